//! `/ui/`: pages for people who have no clone. Nothing changes by them.
//!
//! `access` says who may see them, `sessions` remembers who has signed in, `live` tells open pages
//! of changes. Each other file is a page: it reads its query, asks for data on a thread that may
//! take its time, and gives it to [`pages`](crate::pages). Pages are no part of the description of
//! the API.

pub(super) mod access;
mod ask;
mod history;
mod live;
mod matrix;
mod now;
mod policies;
pub(super) mod sessions;
mod shadow;
mod sign_in;
mod typed;
mod view;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::de::DeserializeOwned;

use self::access::Visitor;
use super::app::App;
use super::problem::Problem;
use crate::pages::{ASSETS, Asset, Frame, Section, error_page};

pub(super) use live::{Live, watch_changes};
pub(super) use now::Standings;

/// What a browser may do with a page. A page loads its own style sheet and script, sends its forms
/// to this server, and is shown in no frame; nothing of it comes from elsewhere.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src \
    'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every page. `same-origin` and not `no-referrer`: with the latter a browser sends
/// `Origin: null` with forms, which could not be told from another site's.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Seconds until a page that cannot be shown now may be asked for again.
const RETRY: &str = "3";

/// Where the pages are.
pub(super) const ROOT: &str = "/ui/";

/// Whether a path is that of a page, or leads to one.
pub(super) fn is_page(path: &str) -> bool {
    path == "/" || path == "/ui" || path.starts_with(ROOT)
}

/// The routes of all pages.
pub(super) fn page_routes() -> Router<Arc<App>> {
    let router = Router::new()
        .route("/", get(lead_to_now))
        .route("/ui", get(lead_to_now))
        .route("/ui/", make_page(now::show_now))
        .route("/ui/ask", make_page(ask::show_ask))
        .route("/ui/policies", make_page(policies::show_policies))
        .route("/ui/policy", make_page(policies::show_policy))
        .route("/ui/compare", make_page(policies::show_comparison))
        .route("/ui/history", make_page(history::show_history))
        .route("/ui/difference", make_page(history::show_difference))
        .route("/ui/change", make_page(history::show_change))
        .route("/ui/matrix", make_page(matrix::show_matrix))
        .route("/ui/matrix.csv", make_page(matrix::answer_csv))
        .route("/ui/shadow", make_page(shadow::show_shadow))
        .route("/ui/events", get(live::answer_events))
        .route(
            "/ui/sign-in",
            make_page(sign_in::show_form).merge(post(sign_in::take_token)),
        )
        .route("/ui/sign-out", post(sign_in::sign_out))
        .route("/ui/{*rest}", make_page(nothing_here));
    ASSETS.into_iter().fold(router, |router, asset| {
        router.route(asset.path, get(move || async move { send_asset(&asset) }))
    })
}

async fn lead_to_now() -> Response {
    see_other(ROOT)
}

async fn nothing_here(_: Visit) -> Result<Response, Problem> {
    Err(Problem::not_found("there is no such page"))
}

/// A request for a page.
pub(super) struct Visit {
    pub app: Arc<App>,
    pub head: Parts,
    pub visitor: Visitor,
}

impl Visit {
    /// The query; names that it does not know are ignored, as people change addresses by hand.
    pub fn query<Q: DeserializeOwned>(&self) -> Result<Q, Problem> {
        let query = self.head.uri.query().unwrap_or("");
        serde_urlencoded::from_str(query)
            .map_err(|error| Problem::bad_request(format!("the address cannot be read: {error}")))
    }

    /// A frame for this visitor.
    pub fn frame(&self, title: impl Into<String>, section: Section) -> Frame {
        let signed_in = self.visitor == Visitor::SignedIn;
        let links = self.app.options.page_links.clone();
        let has_shadow = self.app.options.shadow.is_some();
        Frame {
            signed_in,
            links,
            has_shadow,
            ..Frame::new(title, section)
        }
    }
}

/// A page: what its handler refuses becomes a page too.
fn make_page<F, A>(handler: F) -> MethodRouter<Arc<App>>
where
    F: Fn(Visit) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    get(
        move |State(app): State<Arc<App>>, request: Request| async move {
            let (head, _) = request.into_parts();
            let visitor = access::find_visitor(&app, &head.headers);
            let frame = Visit {
                app: app.clone(),
                head: head.clone(),
                visitor,
            }
            .frame("Not shown", Section::Other);
            match handler(Visit { app, head, visitor }).await {
                Ok(response) => response,
                Err(problem) => send_problem(&frame, &problem),
            }
        },
    )
}

fn send_problem(frame: &Frame, problem: &Problem) -> Response {
    let text = error_page(
        frame,
        problem.status.as_u16(),
        &problem.detail,
        problem.is_busy,
    );
    let mut response = send_page(text);
    *response.status_mut() = problem.status;
    if problem.status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY));
    }
    response
}

/// A page, which no cache keeps: it may be for those who are signed in only.
fn send_page(text: String) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guard_response(&mut response);
    response
}

fn send_asset(asset: &Asset) -> Response {
    let mut response = (
        [(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind))],
        asset.content,
    )
        .into_response();
    let cache = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    guard_response(&mut response);
    response
}

/// Leads a browser on, with a `GET`.
fn see_other(address: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let address = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static(ROOT));
    response.headers_mut().insert(header::LOCATION, address);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guard_response(&mut response);
    response
}

fn guard_response(response: &mut Response) {
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}
