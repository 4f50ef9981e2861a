//! The routes, and what every answer gets.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use tokio::sync::{Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

use super::measure::Measures;
use super::problem::Problem;
use super::{Options, authz, bundle, guard, health, listing, openapi, resolve};
use crate::daemon::{Hub, Snapshot};

/// Which commit an answer was made from.
pub(super) static COMMIT: HeaderName = HeaderName::from_static("x-refguard-commit");

/// What every handler shares.
pub(super) struct App {
    pub hub: Arc<Hub>,
    pub options: Options,
    /// Changes with each swap of a snapshot; closed at shutdown.
    pub changes: watch::Receiver<u64>,
    /// Places for long-polls.
    pub parked: Semaphore,
    pub measures: Measures,
    pub bundles: bundle::BundleCache,
}

pub(super) type Shared = State<Arc<App>>;

/// Every path that is served, with its methods: what the OpenAPI document must list.
pub(super) const ROUTES: &[(&str, &str)] = &[
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
    ("get", "/v1/status"),
    ("post", "/v1/resolve"),
    ("get", "/v1/policies"),
    ("get", "/v1/policies/{name}"),
    ("get", "/v1/policies/{name}/versions"),
    ("get", "/v1/policies/{name}/versions/{number}"),
    ("get", "/v1/policies/{name}/compare"),
    ("get", "/v1/attachments"),
    ("get", "/v1/promotions"),
    ("get", "/v1/bundle"),
    ("any", "/v1/authz"),
    ("any", "/v1/authz/{*path}"),
];

/// What answers a path of [`ROUTES`].
fn handler(path: &str) -> MethodRouter<Arc<App>> {
    match path {
        "/healthz" => get(health::healthz),
        "/readyz" => get(health::readyz),
        "/metrics" => get(health::metrics),
        "/openapi.json" => get(openapi::openapi),
        "/v1/status" => get(health::status),
        "/v1/resolve" => post(resolve::resolve),
        "/v1/policies" => get(listing::policies),
        "/v1/policies/{name}" => get(listing::policy),
        "/v1/policies/{name}/versions" => get(listing::versions),
        "/v1/policies/{name}/versions/{number}" => get(listing::version_at),
        "/v1/policies/{name}/compare" => get(listing::compare),
        "/v1/attachments" => get(listing::attachments),
        "/v1/promotions" => get(listing::promotions),
        "/v1/bundle" => get(bundle::bundle),
        "/v1/authz" | "/v1/authz/{*path}" => any(authz::authz),
        _ => MethodRouter::new(),
    }
}

pub(super) fn router(app: Arc<App>) -> Router {
    let routes =
        ROUTES.iter().fold(Router::new(), |router, (_, path)| router.route(path, handler(path)));
    routes
        // A path that ends in a slash is not below it for the router.
        .route("/v1/authz/", any(authz::authz))
        .fallback(async || Problem::not_found("there is no such path: see `/openapi.json`"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not have that method: see `/openapi.json`",
            )
        })
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this request met a bug of the daemon")
                .into_response()
        }))
        .layer(middleware::from_fn_with_state(app.clone(), finish))
        .with_state(app)
}

/// Lets through who may ask, and gives every answer, errors too, what it must have: the commit, the headers of `/v1/authz`, and its place in the metrics.
async fn finish(
    State(app): Shared,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = std::time::Instant::now();
    let is_authz = authz::is_authz(request.uri().path());
    let mut response = match guard::judge(&app, request.headers(), request.uri().path()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if !response.headers().contains_key(&COMMIT) {
        let commit = app.hub.snapshot(None).ok().and_then(|snapshot| commit_value(&snapshot));
        response
            .headers_mut()
            .insert(COMMIT.clone(), commit.unwrap_or(HeaderValue::from_static("")));
    }
    if is_authz {
        authz::complete(response.headers_mut());
    }
    let route = matched.as_ref().map_or("other", MatchedPath::as_str);
    app.measures.request(route, response.status(), started.elapsed());
    response
}

/// A snapshot's commit as a header.
pub(super) fn commit_value(snapshot: &Snapshot) -> Option<HeaderValue> {
    snapshot.commit.as_deref().and_then(|commit| HeaderValue::from_str(commit).ok())
}

/// An answer from a snapshot: JSON, with its commit.
pub(super) fn answer(snapshot: &Snapshot, status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
    let commit = commit_value(snapshot).unwrap_or(HeaderValue::from_static(""));
    response.headers_mut().insert(COMMIT.clone(), commit);
    response
}

/// A value as JSON bytes.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(4096);
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(bytes)
}

/// Bytes of a body that is too large which are read and thrown away.
const DRAINED: usize = 4 << 20;

/// The whole body of a request, within the limits of size and time.
pub(super) async fn body(app: &App, request: Request) -> Result<Bytes, Problem> {
    let limits = &app.options.limits;
    read_body(request, limits.body_bytes, limits.body_time).await
}

async fn read_body(request: Request, limit: usize, time: Duration) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is too large: the limit `body` is {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let said = request.body().size_hint().lower();
    if usize::try_from(said).map_or(true, |said| said > limit) {
        // A client that still sends when the connection ends may not see why: what is left is read for a while.
        let _ = tokio::time::timeout(time, drain(request.into_body())).await;
        return Err(too_large());
    }
    let reading = axum::body::to_bytes(request.into_body(), limit);
    match tokio::time::timeout(time, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_limit(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad_request("the body ended early")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to come")),
    }
}

/// Reads on and throws away, up to a limit.
async fn drain(mut body: Body) {
    let mut left = DRAINED;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

/// Whether reading stopped at the limit: the error of `to_bytes` says it only in its source's words.
fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(|source| source.to_string().contains("length limit exceeded"))
}
