//! `/v1/clients`: followers report what they enforce, and anybody who may ask sees it.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use refguard_core::resolve::ObjectOnly;
use serde::Deserialize;
use serde_json::json;

use super::Limits;
use super::body::{may_be_json, read_body};
use super::call::{Call, NoQuery};
use super::endpoint::{Chooses, Endpoint, Parameter, Tag, Values, json_body, schema_of};
use super::guard;
use super::problem::Problem;
use super::reply::to_json;
use crate::daemon::{ClientReport, Kept, MAX_REPORT_BYTES, ReportRefused};

/// Characters of a client's id or of the commit that it enforces at most.
const MAX_NAME: usize = 128;

const ID: Parameter = Parameter::required(
    "id",
    "The client's id: letters, digits, `.`, `_`, `:` and `-`",
    Values::Like("^[A-Za-z0-9._:-]{1,128}$"),
);

pub(super) fn client_endpoints() -> Vec<Endpoint> {
    let listing = json!({
        "type": "object",
        "required": ["version", "clients"],
        "properties": {
            "version": { "const": 1 },
            "clients": { "type": "array", "items": schema_of("Client") },
        },
    });
    let taken = json!({
        "type": "object",
        "required": ["version", "set"],
        "properties": { "version": { "const": 1 }, "set": schema_of("SetStatus") },
    });
    let forgotten = json!({
        "type": "object",
        "required": ["version", "forgotten"],
        "properties": { "version": { "const": 1 }, "forgotten": { "type": "string" } },
    });
    vec![
        Endpoint::put("/v1/clients/{id}", "reportClient", report_client)
            .with_summary(
                Tag::Clients,
                "Say what a follower enforces; to be said again every 30 seconds",
            )
            .with_path([ID])
            .with_request(schema_of("ClientReport"))
            .with_answer(
                StatusCode::OK,
                "It was taken; the answer says how it stands with the set",
                json_body(taken),
            )
            .with_refusals([
                StatusCode::BAD_REQUEST,
                StatusCode::NOT_FOUND,
                StatusCode::PAYLOAD_TOO_LARGE,
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::SERVICE_UNAVAILABLE,
            ]),
        Endpoint::delete("/v1/clients/{id}", "forgetClient", forget_client)
            .with_summary(
                Tag::Clients,
                "Take a follower out: one that ends says so, and a lost one can be taken out by \
                 anybody who may ask",
            )
            .with_path([ID])
            .with_answer(StatusCode::OK, "It is forgotten", json_body(forgotten))
            .with_refusals([StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND]),
        Endpoint::get("/v1/clients", "clients", list_clients)
            .with_summary(
                Tag::Clients,
                "What every follower enforces; `set` leaves only its followers",
            )
            .of_set(Chooses::ByQueryOrHeader)
            .with_answer(StatusCode::OK, "The clients, by id", json_body(listing)),
    ]
}

/// Takes a follower's report. Its answer tells what the daemon serves of that set, and what it
/// holds back.
async fn report_client(call: Call<NoQuery, ClientPath>) -> Result<Response, Problem> {
    if !may_be_json(&call.head.headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a body needs the header `Content-Type: application/json`",
        ));
    }
    let (app, id) = (call.app, call.path.id);
    check_id(&id)?;

    let limits = Limits {
        body_bytes: MAX_REPORT_BYTES.min(app.options.limits.body_bytes),
        ..app.options.limits
    };
    let bytes = read_body(&call.head, call.body, &limits).await?;
    let ObjectOnly(mut report): ObjectOnly<ClientReport> = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad_request(format!("the report cannot be read: {error}")))?;
    if report
        .commit
        .as_deref()
        .is_some_and(|commit| !is_name(commit))
    {
        return Err(Problem::bad_request("`commit` is no commit and no digest"));
    }
    let status = app.hub.set_status(report.set.as_deref())?;
    report.set = Some(status.name.clone());

    let owner = guard::find_owner(&app, &call.head.headers);
    app.hub
        .clients()
        .put_report(&id, owner, report, bytes.len(), guard::accepted(&app))
        .map_err(refuse_report)?;
    let body = to_json(&json!({ "version": 1, "set": status }))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn check_id(id: &str) -> Result<(), Problem> {
    match is_name(id) {
        true => Ok(()),
        false => Err(Problem::bad_request(format!(
            "a client's id has 1 to {MAX_NAME} letters, digits or `._:-`"
        ))),
    }
}

/// Takes a follower out.
async fn forget_client(call: Call<NoQuery, ClientPath>) -> Result<Response, Problem> {
    let (app, id) = (call.app, call.path.id);
    check_id(&id)?;
    let owner = guard::find_owner(&app, &call.head.headers);
    app.hub
        .clients()
        .remove_client(&id, owner)
        .map_err(|kept| {
            let status = match kept {
                Kept::Unknown => StatusCode::NOT_FOUND,
                Kept::Owned => StatusCode::FORBIDDEN,
            };
            Problem::new(status, kept.to_string())
        })?;
    let body = to_json(&json!({ "version": 1, "forgotten": id }))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn refuse_report(refused: ReportRefused) -> Problem {
    let status = match refused {
        ReportRefused::Owned => StatusCode::FORBIDDEN,
        ReportRefused::Share | ReportRefused::Full => StatusCode::TOO_MANY_REQUESTS,
    };
    Problem::new(status, refused.to_string())
}

/// What every follower said last, of one set or of all.
async fn list_clients(call: Call<NoQuery>) -> Result<Response, Problem> {
    let set = match call.set()? {
        Some(name) => Some(call.app.hub.set_name(Some(&name))?),
        None => None,
    };
    let clients = call.app.hub.clients().list_clients(set.as_deref());
    let body = to_json(&json!({ "version": 1, "clients": clients }))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Whether a text can stand in a label, a log and an address as it is.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_plain)
}

#[derive(Debug, Deserialize)]
struct ClientPath {
    id: String,
}
