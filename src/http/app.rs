//! The router, made from the table of endpoints, and what every answer gets.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

use super::attempts::Attempts;
use super::endpoint::Endpoint;
use super::guard::Caller;
use super::measure::Measures;
use super::pace::Pace;
use super::pages::sessions::Sessions;
use super::pages::{self, Live, Standings};
use super::problem::Problem;
use super::reply::{COMMIT, commit_value};
use super::reserve::OnReserve;
use super::seats::BodyShare;
use super::workers::Workers;
use super::{Options, authz, bundle, guard};
use crate::daemon::Hub;

/// What every handler shares.
pub(super) struct App {
    pub hub: Arc<Hub>,
    pub options: Options,
    /// Changes with each swap of a snapshot; closed at shutdown.
    pub changes: watch::Receiver<u64>,
    /// Places for long-polls.
    pub parked: Semaphore,
    /// Long-polls that wait for a change.
    pub pace: Pace,
    /// Threads for answers that take long.
    pub workers: Workers,
    /// Threads that make pages.
    pub page_makers: Workers,
    /// The one thread that reads git's history.
    pub historians: Workers,
    /// Threads for what takes seconds, so that nothing else waits for it.
    pub analysts: Workers,
    pub measures: Measures,
    pub bundles: bundle::BundleCache,
    /// The OpenAPI document.
    pub description: Bytes,
    /// Browsers that have signed in.
    pub sessions: Sessions,
    /// Wrong tokens that were typed into the form of late.
    pub attempts: Attempts,
    /// Wrong tokens of requests of late. Apart from those of the form, so that a proxy with an old
    /// token keeps nobody behind the same address from signing in.
    pub wrong_tokens: Attempts,
    /// Pages that follow what is in force.
    pub live: Live,
    /// What git says of the environments.
    pub standings: Standings,
}

/// Routes each request to the endpoint of its path and method.
pub(super) fn build_router(app: Arc<App>, endpoints: Vec<Endpoint>) -> Router {
    let routes = endpoints
        .into_iter()
        .fold(Router::new(), |router, endpoint| {
            router.route(endpoint.path, endpoint.route)
        });
    let routes = if app.options.pages {
        routes.merge(pages::page_routes())
    } else {
        routes
    };
    routes
        .fallback(refuse_path)
        .method_not_allowed_fallback(refuse_method)
        .layer(CatchPanicLayer::custom(report_panic))
        .layer(middleware::from_fn_with_state(app.clone(), finish_answer))
        .with_state(app)
}

async fn refuse_path() -> Problem {
    Problem::not_found("there is no such path: see `/openapi.json`")
}

async fn refuse_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not have that method: see `/openapi.json`",
    )
}

fn report_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "this request met a bug of the daemon",
    )
    .into_response()
}

/// The answer to a request that may not be answered otherwise, for who asks, or because its
/// connection is one of those beyond the limit, which are for probes.
fn refuse_request(app: &App, request: &Request, caller: Caller) -> Option<Response> {
    let path = request.uri().path();
    if request.extensions().get::<OnReserve>().is_some() && !guard::is_open(path) {
        let detail = "too many connections are open: see the limit `--max-connections`";
        return Some(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response());
    }
    if app.options.pages && pages::is_page(path) {
        return pages::access::refusal(app, request, caller);
    }
    guard::judge_caller(app, request.headers(), path, caller)
        .err()
        .map(IntoResponse::into_response)
}

/// A request of somebody who may not ask, though a form may be taken from them: its body shares
/// memory with its like only.
fn mark_stranger(request: &mut Request, caller: Caller) {
    let extensions = request.extensions_mut();
    extensions.insert(caller);
    if let Some(share) = extensions.get().map(BodyShare::of_stranger) {
        extensions.insert(share);
    }
}

/// Lets through who may ask, and gives every answer, errors too, what it must have: the commit, the
/// headers of `/v1/authz`, and its place in the metrics.
async fn finish_answer(
    State(app): State<Arc<App>>,
    matched: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = std::time::Instant::now();
    let is_authz = authz::is_authz(request.uri().path());
    let caller = guard::recognise_caller(&app, &request);
    if caller != Caller::Known {
        mark_stranger(&mut request, caller);
    }
    let mut response = match refuse_request(&app, &request, caller) {
        None => next.run(request).await,
        Some(refusal) => refusal,
    };

    if caller != Caller::Known {
        response
            .headers_mut()
            .insert(COMMIT.clone(), HeaderValue::from_static(""));
    } else if !response.headers().contains_key(&COMMIT) {
        let commit = app
            .hub
            .snapshot_of(None)
            .map(|snapshot| commit_value(&snapshot));
        response.headers_mut().insert(
            COMMIT.clone(),
            commit.unwrap_or(HeaderValue::from_static("")),
        );
    }
    if is_authz {
        authz::complete_headers(response.headers_mut());
    }

    let route = matched.as_ref().map_or("other", MatchedPath::as_str);
    app.measures
        .count_request(route, response.status(), started.elapsed());
    response
}
