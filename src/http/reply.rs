//! Answers: JSON, with the commit that they were made from.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::problem::Problem;
use crate::daemon::Snapshot;

/// Which commit an answer was made from.
pub(super) static COMMIT: HeaderName = HeaderName::from_static("x-refguard-commit");

/// A snapshot's commit as a header; empty where it has none.
pub(super) fn commit_value(snapshot: &Snapshot) -> HeaderValue {
    let commit = snapshot
        .commit
        .as_deref()
        .and_then(|commit| HeaderValue::from_str(commit).ok());
    commit.unwrap_or(HeaderValue::from_static(""))
}

/// An answer from a snapshot: JSON, with its commit.
pub(super) fn answer_json(
    snapshot: &Snapshot,
    status: StatusCode,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
        .headers_mut()
        .insert(COMMIT.clone(), commit_value(snapshot));
    response
}

/// A value as JSON bytes.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(4096);
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(bytes)
}
