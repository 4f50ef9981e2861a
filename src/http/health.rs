//! `/healthz`, `/readyz`, `/metrics`, `/v1/status`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::call::{AnyQuery, Call, NoQuery};
use super::endpoint::{Chooses, Endpoint, Tag, json_body, schema_of};
use super::guard::Caller;
use super::problem::Problem;
use super::reply::to_json;
use crate::daemon::{SetStatus, Unserved};

pub(super) fn health_endpoints() -> Vec<Endpoint> {
    let text = |kind| vec![(kind, json!({ "type": "string" }))];
    let ready = json!({
        "type": "object",
        "required": ["ready"],
        "properties": {
            "ready": { "const": true },
            "rejected": {
                "type": "boolean",
                "description": "To who sends no token where one is asked for, in place of `sets`: \
                    whether a commit was rejected and the last good set is served",
            },
            "sets": { "type": "array", "items": schema_of("SetStatus") },
        },
    });
    vec![
        Endpoint::get("/healthz", "healthz", answer_healthz)
            .open_to_probes()
            .with_summary(Tag::Health, "The process is alive")
            .with_answer(StatusCode::OK, "Alive", text("text/plain")),
        Endpoint::get("/readyz", "readyz", answer_readyz)
            .open_to_probes()
            .with_summary(Tag::Health, "Requests are answered")
            .of_set(Chooses::ByQueryOrHeader)
            .with_answer(StatusCode::OK, "Ready", json_body(ready)),
        Endpoint::get("/metrics", "metrics", answer_metrics)
            .with_summary(Tag::Health, "Prometheus metrics")
            .with_answer(
                StatusCode::OK,
                "OpenMetrics text",
                text("application/openmetrics-text"),
            ),
        Endpoint::get("/v1/status", "status", answer_status)
            .with_summary(Tag::Health, "What the daemon says of itself")
            .with_answer(StatusCode::OK, "Status", json_body(schema_of("Status"))),
    ]
}

/// The process is alive.
async fn answer_healthz(_: Call<AnyQuery>) -> Result<Response, Problem> {
    Ok((
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        "ok\n",
    )
        .into_response())
}

/// Requests of a set are answered; else why not. What was rejected is told either way, its content
/// to who may ask for it: findings quote files, and probes send no token.
async fn answer_readyz(call: Call<NoQuery>) -> Result<Response, Problem> {
    let ready = call.app.hub.ready_snapshot(call.set()?.as_deref());
    if call.head.extensions.get::<Caller>().is_some() {
        return tell_stranger(&call.app.hub.sets(), ready.err());
    }
    let details = serde_json::to_value(call.app.hub.sets()).unwrap_or_default();
    match ready {
        Ok(_) => {
            let body = json!({ "ready": true, "sets": details });
            Ok((
                [(header::CONTENT_TYPE, "application/json")],
                to_json(&body)?,
            )
                .into_response())
        }
        Err(why) => Err(Problem {
            more: Some(("sets", details)),
            ..Problem::from(why)
        }),
    }
}

/// What a probe without a token is told where one is asked for: nothing that a repository holds.
fn tell_stranger(sets: &[SetStatus], unserved: Option<Unserved>) -> Result<Response, Problem> {
    let is_rejected = |set: &SetStatus| set.rejected.is_some();
    let Some(unserved) = unserved else {
        let rejected = sets.iter().any(is_rejected);
        let body = to_json(&json!({ "ready": true, "rejected": rejected }))?;
        return Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response());
    };

    Err(Problem::from(match unserved {
        Unserved::NotReady { name, .. } => {
            let set = sets.iter().find(|set| set.name == name);
            let why = match set.is_some_and(is_rejected) {
                true => "what its ref holds was rejected: ask with a token for the reason",
                false => "it is not loaded: ask with a token for the reason",
            };
            Unserved::NotReady {
                name,
                why: why.to_owned(),
            }
        }
        Unserved::Unknown(_) | Unserved::Stale(_) => unserved,
    }))
}

/// Prometheus metrics.
async fn answer_metrics(call: Call<AnyQuery>) -> Result<Response, Problem> {
    let hub = &call.app.hub;
    let tally = hub.clients().tally_clients();
    let text = hub.metrics().render(&hub.status_beside(&tally), &tally);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// What the daemon says of itself.
async fn answer_status(call: Call<AnyQuery>) -> Result<Response, Problem> {
    let body = to_json(&call.app.hub.status())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
