//! `/ui/sign-in`, `/ui/sign-out`: a token for a session. The token is in no address, no cookie and
//! no log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::{is_own_form, list_sessions, next_page};
use super::sessions::{COOKIE, SECURE_COOKIE};
use super::{ROOT, Visit, see_other, send_page, send_problem};
use crate::http::Limits;
use crate::http::app::App;
use crate::http::attempts::{FORGIVEN, Peer};
use crate::http::body::read_body;
use crate::http::guard;
use crate::http::problem::Problem;
use crate::pages::{Frame, Section, SignInTrouble, sign_in_page};

/// Bytes of the form.
const MAX_FORM: usize = 16 << 10;

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Given {
    token: String,
    #[serde(default)]
    next: String,
}

/// The form; a daemon that asks for no tokens has none.
pub(super) async fn show_form(visit: Visit) -> Result<Response, Problem> {
    if visit.app.options.credentials.tokens().is_none() {
        return Ok(see_other(ROOT));
    }
    let asked: Asked = visit.query().unwrap_or_default();
    Ok(send_page(sign_in_page(next_page(&asked.next), None)))
}

/// Takes a token and begins a session.
pub(super) async fn take_token(State(app): State<Arc<App>>, request: Request) -> Response {
    match begin_session(&app, request).await {
        Ok(response) => response,
        Err(problem) => send_problem(&outside_frame(), &problem),
    }
}

async fn begin_session(app: &App, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    if !is_own_form(&head.headers) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "the form is none of this server's",
        ));
    }
    let limits = Limits {
        body_bytes: MAX_FORM,
        ..app.options.limits
    };
    let bytes = read_body(&head, body, &limits).await?;
    let given: Given = serde_urlencoded::from_bytes(&bytes)
        .map_err(|_| Problem::bad_request("the form cannot be read"))?;
    let next = next_page(&given.next);

    let peer = head
        .extensions
        .get::<Peer>()
        .copied()
        .unwrap_or(Peer::Socket);
    let now = Instant::now();
    if !app.attempts.may_try(peer, now) {
        return Ok(refuse_token(
            next,
            StatusCode::TOO_MANY_REQUESTS,
            SignInTrouble::TooMany,
        ));
    }
    let Some(token) = guard::accepted_hash(app, given.token.trim()) else {
        app.attempts.note_wrong_token(peer, now);
        tracing::warn!(peer = %peer, "a wrong token was given to sign in with");
        return Ok(refuse_token(
            next,
            StatusCode::UNAUTHORIZED,
            SignInTrouble::Refused,
        ));
    };
    let Some(id) = app.sessions.begin_session(token) else {
        let detail = "the system gives no random bytes";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };

    // The new one may have taken another's place.
    app.live.judge_again();

    let mut response = see_other(next);
    set_cookie(app, &mut response, &id, app.sessions.life().as_secs());
    Ok(response)
}

fn refuse_token(next: &str, status: StatusCode, trouble: SignInTrouble) -> Response {
    let mut response = send_page(sign_in_page(next, Some(trouble)));
    *response.status_mut() = status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, FORGIVEN.as_secs().into());
    }
    response
}

/// Ends the session.
pub(super) async fn sign_out(State(app): State<Arc<App>>, request: Request) -> Response {
    if !is_own_form(request.headers()) {
        let problem = Problem::new(StatusCode::FORBIDDEN, "the form is none of this server's");
        return send_problem(&outside_frame(), &problem);
    }
    list_sessions(request.headers()).for_each(|key| app.sessions.end_session(key));
    app.live.judge_again();
    let mut response = see_other("/ui/sign-in").into_response();
    set_cookie(&app, &mut response, "", 0);
    response
}

fn outside_frame() -> Frame {
    Frame {
        navigation: false,
        ..Frame::new("Not shown", Section::Other)
    }
}

/// The cookie is for pages only: no script reads it, no other site's request carries it, the API
/// does not know it.
fn set_cookie(app: &App, response: &mut Response, id: &str, seconds: u64) {
    let is_secure = app.options.credentials.tls().is_some();
    let (name, secure) = if is_secure {
        (SECURE_COOKIE, "; Secure")
    } else {
        (COOKIE, "")
    };
    let cookie =
        format!("{name}={id}; Path={ROOT}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}
