//! Reading the body of a request, within the limits of size and time.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use super::Limits;
use super::problem::Problem;
use super::seats::BodyShare;

/// Bytes of a body that is too large which are read and thrown away.
const DRAINED: usize = 4 << 20;

/// Reads the whole body of a request with this head.
///
/// # Errors
/// 413 where it is too large, 408 where it takes too long, 400 where it ends early, 503 where
/// other bodies take the memory that all have together.
pub(super) async fn read_body(head: &Parts, body: Body, limits: &Limits) -> Result<Bytes, Problem> {
    let (limit, time) = (limits.body_bytes, limits.body_time);
    let too_large = || {
        let detail = format!("the body is too large: the limit `body` is {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };

    let declared = body.size_hint().lower();
    if usize::try_from(declared).map_or(true, |declared| declared > limit) {
        // A client that still sends when the connection ends may never see the answer: its bytes
        // are read for a while.
        let _ = tokio::time::timeout(time, drain(body)).await;
        return Err(too_large());
    }

    let share = head.extensions.get::<BodyShare>();
    match tokio::time::timeout(time, collect_body(body, share, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Incomplete::TooLarge)) => Err(too_large()),
        Ok(Err(Incomplete::Ended)) => Err(Problem::bad_request("the body ended early")),
        Ok(Err(Incomplete::NoRoom)) => Err(Problem::busy(
            "too many bodies are on their way: they have a limit of memory together",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long to come",
        )),
    }
}

/// Why there is no whole body.
enum Incomplete {
    TooLarge,
    Ended,
    NoRoom,
}

/// Puts a body together as it comes. Memory is taken for what has come, not for what was declared,
/// and in one piece: a body in chunks of one byte would take many times its length in parts.
async fn collect_body(
    mut body: Body,
    share: Option<&BodyShare>,
    limit: usize,
) -> Result<Bytes, Incomplete> {
    let (mut first, mut all) = (None, Vec::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Incomplete::Ended)?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        let before = first.as_ref().map_or(all.len(), Bytes::len);
        if before + bytes.len() > limit {
            return Err(Incomplete::TooLarge);
        }
        if share.is_some_and(|share| !share.add(bytes.len())) {
            return Err(Incomplete::NoRoom);
        }

        // Most bodies are one piece.
        if before == 0 {
            first = Some(bytes);
            continue;
        }
        if let Some(first) = first.take() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&bytes);
    }

    Ok(first.unwrap_or_else(|| all.into()))
}

/// Reads on and throws away, up to a limit. What is thrown away takes no memory from other bodies.
async fn drain(mut body: Body) {
    let mut left = DRAINED;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

/// Whether a body is declared as JSON: `application/json` or `application/…+json`.
///
/// A page of another site may send text, forms and untyped bytes to a loopback address without
/// asking; JSON it may not.
pub(super) fn is_declared_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return false;
    };
    let Ok(kind) = kind.to_str() else {
        return false;
    };
    let essence = kind
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let Some(("application", subtype)) = essence.split_once('/') else {
        return false;
    };
    subtype == "json" || subtype.ends_with("+json")
}

/// Whether a body may be read as JSON.
///
/// A page of a browser can send a `POST` to this machine without asking first if its type is none
/// that JSON has; it then names its origin. Such a body must be declared as JSON, which makes a
/// browser ask, and it gets no permission. A program that names no origin, as `curl -d`, may leave
/// the declaration out or send the type of a form.
pub(super) fn may_be_json(headers: &HeaderMap) -> bool {
    if is_declared_json(headers) {
        return true;
    }

    let from_browser =
        headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    match (kinds.next(), kinds.next()) {
        (None, _) => !from_browser,
        (Some(kind), None) => !from_browser && kind == "application/x-www-form-urlencoded",
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_json_is_declared_as_json() {
        for (kind, is_json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/plain", false),
            ("text/json", false),
            ("text/plain; application/json", false),
            ("application/jsonp", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            assert_eq!(is_declared_json(&headers), is_json, "{kind}");
            headers.append(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            assert!(!is_declared_json(&headers), "{kind} twice");
        }
        assert!(!is_declared_json(&HeaderMap::new()));
    }
}
