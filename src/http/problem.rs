//! Errors as RFC 9457 problem documents.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::daemon::{NoHistory, Unserved};

/// Why a request is not answered.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub status: StatusCode,
    /// What is wrong with this request, in a sentence.
    pub detail: String,
    /// More members of the document.
    pub more: Option<(&'static str, Value)>,
    /// Whether others ask for too much at once: nothing else is wrong.
    pub is_busy: bool,
    /// After how many seconds to ask again, where that may help.
    pub retry_seconds: u64,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            more: None,
            is_busy: false,
            retry_seconds: 1,
        }
    }

    /// Others ask for too much at once.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self {
            is_busy: true,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Says which request of a batch it is about.
    pub fn of_request(self, number: usize) -> Self {
        Self {
            detail: format!("request {number}: {}", self.detail),
            ..self
        }
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl From<Unserved> for Problem {
    fn from(unserved: Unserved) -> Self {
        let status = match unserved {
            Unserved::Unknown(_) => StatusCode::NOT_FOUND,
            Unserved::NotReady { .. } | Unserved::Stale(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, unserved.to_string())
    }
}

impl From<NoHistory> for Problem {
    fn from(error: NoHistory) -> Self {
        let status = match error {
            NoHistory::NotFound(_) => StatusCode::NOT_FOUND,
            NoHistory::Changed => StatusCode::CONFLICT,
            NoHistory::Late => StatusCode::UNPROCESSABLE_ENTITY,
            NoHistory::NotYet | NoHistory::Unreadable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut document = json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail });
        if let (Some(object), Some((name, value))) = (document.as_object_mut(), self.more) {
            object.insert(name.to_owned(), value);
        }
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            document.to_string(),
        )
            .into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE
            || self.status == StatusCode::TOO_MANY_REQUESTS
        {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, self.retry_seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = axum::http::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
