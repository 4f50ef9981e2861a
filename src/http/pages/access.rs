//! Who may see pages: whoever may ask the API, and browsers that have signed in.
//!
//! Nothing can be changed by a page, so a request that another site makes a browser send (CSRF)
//! could at most end a session; the cookie is `SameSite=Strict` all the same, and forms are taken
//! from this server's own pages only.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::sessions::{COOKIE, SECURE_COOKIE, SessionKey};
use super::{ROOT, see_other};
use crate::daemon::Owner;
use crate::http::app::App;
use crate::http::guard::{self, Caller};
use crate::http::problem::Problem;
use crate::pages::{ASSETS, query_of};

/// The form that takes a token.
const SIGN_IN: &str = "/ui/sign-in";
/// What ends a session.
const SIGN_OUT: &str = "/ui/sign-out";
/// Characters of the address that is shown after signing in, at most.
const MAX_NEXT: usize = 2_000;

/// Who looks at a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Visitor {
    /// Somebody who has signed in, and may sign out.
    SignedIn,
    /// Somebody with a token in the request, or anybody where no tokens are asked for.
    Other,
}

/// The answer to who may not see a page: the way to the form. `None`: the page may be shown.
pub(in crate::http) fn refusal(app: &App, request: &Request, caller: Caller) -> Option<Response> {
    let (path, headers) = (request.uri().path(), request.headers());
    if let Err(problem) = guard::judge_host(app, headers) {
        return Some(problem.into_response());
    }
    let is_open = path == SIGN_IN || ASSETS.iter().any(|asset| asset.path == path);
    if is_open || caller == Caller::Known {
        return None;
    }
    if caller == Caller::Late {
        return Some(guard::refuse_caller(caller).into_response());
    }
    if path == SIGN_OUT {
        // The session is over already.
        return Some(see_other(SIGN_IN));
    }
    let is_look = request.method() == Method::GET || request.method() == Method::HEAD;
    if !is_look || path == "/ui/events" {
        let detail = "sign in first, or send a bearer token";
        return Some(Problem::new(StatusCode::UNAUTHORIZED, detail).into_response());
    }
    let wanted = request
        .uri()
        .path_and_query()
        .map_or(ROOT, |wanted| wanted.as_str());
    let next = if path == "/" { ROOT } else { wanted };
    Some(see_other(&format!(
        "{SIGN_IN}{}",
        query_of(&[("next", next_page(next))])
    )))
}

/// Who looks, once a request was let through.
pub(super) fn find_visitor(app: &App, headers: &HeaderMap) -> Visitor {
    if has_session(app, headers) {
        Visitor::SignedIn
    } else {
        Visitor::Other
    }
}

/// Whether a request is of a browser that has signed in.
pub(in crate::http) fn has_session(app: &App, headers: &HeaderMap) -> bool {
    list_sessions(headers).any(|key| is_good(app, key))
}

fn is_good(app: &App, key: SessionKey) -> bool {
    let Some(tokens) = app.options.credentials.tokens() else {
        return false;
    };
    app.sessions.is_good(key, |token| tokens.has_hash(token))
}

/// What lets somebody look. It may end while a page follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// A token in the request, or that none is asked for.
    Token(Owner),
    /// A session.
    Session(SessionKey),
}

impl Right {
    /// That of a request; `None` where it may not look.
    pub fn of(app: &App, headers: &HeaderMap) -> Option<Self> {
        let token = Self::Token(guard::find_owner(app, headers));
        let sessions = list_sessions(headers).map(Self::Session);
        std::iter::once(token)
            .chain(sessions)
            .find(|right| right.still_holds(app))
    }

    /// Whether it still holds.
    pub fn still_holds(self, app: &App) -> bool {
        match self {
            Self::Token(owner) => guard::is_accepted(app, owner),
            Self::Session(key) => is_good(app, key),
        }
    }

    /// How long it holds at most; `None`: without end.
    pub fn time_left(self, app: &App) -> Option<Duration> {
        match self {
            Self::Token(_) => None,
            Self::Session(key) => Some(app.sessions.time_left(key).unwrap_or_default()),
        }
    }
}

/// The sessions of a request's cookies.
pub(super) fn list_sessions(headers: &HeaderMap) -> impl Iterator<Item = SessionKey> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|it| it.split_once('='));
    pairs
        .filter(|(name, _)| [COOKIE, SECURE_COOKIE].contains(&name.trim()))
        .map(|(_, id)| SessionKey::of(id.trim()))
}

/// A page of this server, whatever somebody has written into an address: anything else becomes the
/// first one.
pub(super) fn next_page(wanted: &str) -> &str {
    let is_plain =
        wanted.len() <= MAX_NEXT && wanted.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    // A browser takes `..`, and its dots in percent signs, out of a path.
    let path = wanted.split(['?', '#']).next().unwrap_or_default();
    let is_page = path.starts_with(ROOT)
        && ["\\", "//", "/.", "%"]
            .into_iter()
            .all(|odd| !path.contains(odd));
    if is_plain && is_page && !wanted.starts_with(SIGN_IN) {
        wanted
    } else {
        ROOT
    }
}

/// Whether a form was sent by a page of this server. A browser names the origin of a form; a
/// program need not.
pub(super) fn is_own_form(headers: &HeaderMap) -> bool {
    let is_cross = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin");
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let origin = headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or(""));
    let is_same = match origin {
        None => true,
        Some(origin) => origin
            .parse::<Uri>()
            .ok()
            .and_then(|uri| {
                uri.authority()
                    .map(|authority| Some(authority.as_str()) == host)
            })
            .unwrap_or(false),
    };
    !is_cross && is_same
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_page_of_this_server_follows_signing_in() {
        for page in ["/ui/", "/ui/policies?q=a%20b", "/ui/ask?team=x..y//z"] {
            assert_eq!(next_page(page), page);
        }
        for foreign in [
            "https://evil.example/",
            "//evil.example/",
            "/ui//evil.example",
            "/ui/\\evil.example",
            "/ui/\r\nx: y",
            "/v1/status",
            "/ui/sign-in?next=/ui/",
            "javascript:alert(1)",
            "/ui/../v1/status",
            "/ui/%2e%2E/v1/status",
            "/ui/.%2e/v1/status",
            "/ui/./..",
            "/ui/..?q=/ui/",
            "",
        ] {
            assert_eq!(next_page(foreign), ROOT, "{foreign}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_told() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (
                    name.parse::<axum::http::HeaderName>().unwrap(),
                    HeaderValue::from_static(value),
                )
            });
            pairs.collect::<HeaderMap>()
        };
        let host = ("host", "refguard.internal:8731");
        assert!(is_own_form(&headers(&[host])));
        assert!(is_own_form(&headers(&[
            host,
            ("origin", "https://refguard.internal:8731")
        ])));
        assert!(!is_own_form(&headers(&[
            host,
            ("origin", "https://evil.example")
        ])));
        assert!(!is_own_form(&headers(&[host, ("origin", "null")])));
        assert!(!is_own_form(&headers(&[
            host,
            ("sec-fetch-site", "cross-site")
        ])));
    }
}
