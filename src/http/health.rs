//! `/healthz`, `/readyz`, `/metrics`, `/v1/status`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::app::{Shared, to_json};
use super::problem::Problem;

/// The process is alive.
pub(super) async fn healthz() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

/// Requests are answered; else why not. What was rejected is told either way.
pub(super) async fn readyz(State(app): Shared) -> Result<Response, Problem> {
    let ready = app.hub.ready();
    let sets = app.hub.status().sets;
    let details = serde_json::to_value(&sets).unwrap_or_default();
    match ready {
        Ok(_) => {
            let body = serde_json::json!({ "ready": true, "sets": details });
            Ok(([(header::CONTENT_TYPE, "application/json")], to_json(&body)?).into_response())
        }
        Err(why) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string());
            Err(Problem { more: Some(("sets", details)), ..problem })
        }
    }
}

/// Prometheus metrics.
pub(super) async fn metrics(State(app): Shared) -> Response {
    let text = app.hub.metrics().render(&app.hub.status());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// What the daemon says of itself.
pub(super) async fn status(State(app): Shared) -> Result<Response, Problem> {
    let body = to_json(&app.hub.status())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
