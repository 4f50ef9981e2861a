//! A request as a handler takes it: its query and the arguments of its path already read, and the
//! set that it chooses.
//!
//! A query that cannot be read is refused here, so that every endpoint refuses it with the same
//! words.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::app::App;
use super::endpoint::Arguments;
use super::problem::Problem;
use crate::daemon::Snapshot;

/// The header that chooses a set, as `?set=` does.
const SET_HEADER: &str = "x-refguard-set";

/// No parameters beside `set`: any other is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// A query that is not read: of a probe, or a client's own that a proxy passes on.
#[derive(Debug)]
pub(super) struct AnyQuery;

impl<'de> Deserialize<'de> for AnyQuery {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_ignored_any(serde::de::IgnoredAny)
            .map(|_| Self)
    }
}

/// One request to an endpoint.
pub(super) struct Call<Q, P = ()> {
    pub app: Arc<App>,
    pub query: Q,
    pub path: P,
    pub head: Parts,
    pub body: Body,
}

impl<Q: Arguments, P: Arguments> FromRequest<Arc<App>> for Call<Q, P> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (mut head, body) = request.into_parts();
        let path = Path::<P>::from_request_parts(&mut head, &()).await;
        let Path(path) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
        let query = read_query(head.uri.query().unwrap_or(""))?;
        Ok(Self {
            app: app.clone(),
            query,
            path,
            head,
            body,
        })
    }
}

impl<Q, P> Call<Q, P> {
    /// The snapshot of the set that the query or the header chooses.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        Ok(self.app.hub.snapshot_of(self.set()?.as_deref())?)
    }

    /// The name of the set that the query or the header chooses. The query goes first: a proxy
    /// writes it into the address that it asks, where no client can change it.
    pub fn set(&self) -> Result<Option<String>, Problem> {
        let by_header = self.set_by_header()?;
        Ok(read_set(self.head.uri.query().unwrap_or(""))?.or(by_header))
    }

    /// The name of the set that the header chooses.
    pub fn set_by_header(&self) -> Result<Option<String>, Problem> {
        decoded_header(&self.head.headers, SET_HEADER)
    }
}

/// Reads a query without its `set`, which every endpoint takes.
fn read_query<Q: DeserializeOwned>(query: &str) -> Result<Q, Problem> {
    let refuse = |error: serde_urlencoded::de::Error| {
        Problem::bad_request(format!("the query cannot be read: {error}"))
    };
    if !may_name_set(query) {
        return serde_urlencoded::from_str(query).map_err(refuse);
    }
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "set");
    let others = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(others)
        .finish();
    serde_urlencoded::from_str(&others).map_err(refuse)
}

/// Reads the `set` of a query, which must be there once at most.
fn read_set(query: &str) -> Result<Option<String>, Problem> {
    if !may_name_set(query) {
        return Ok(None);
    }
    let mut sets = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "set")
        .map(|(_, s)| s);
    match (sets.next(), sets.next()) {
        (_, Some(_)) => Err(Problem::bad_request("the query has `set` twice")),
        (set, None) => Ok(set.map(Cow::into_owned)),
    }
}

/// Whether a query is worth looking through; its names may be percent-encoded.
fn may_name_set(query: &str) -> bool {
    query.contains("set") || query.contains('%')
}

/// The value of a header, percent-decoded. Absent and empty are the same.
pub(super) fn decoded_header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    single_header(headers, name)?
        .map(|text| decode_percent(text, name))
        .transpose()
}

/// The value of a header, which must be there once at most: of two, one may be forged.
pub(super) fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Problem::bad_request(format!(
            "the header `{name}` is there twice"
        )));
    }
    let Some(value) = first else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Problem::bad_request(format!(
            "the header `{name}` has bytes that are not ASCII: percent-encode them"
        ))
    })?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

/// Decodes percent-encoded UTF-8.
pub(super) fn decode_percent(text: &str, name: &str) -> Result<String, Problem> {
    let is_escape = |rest: &str| {
        rest.get(..2)
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return Err(Problem::bad_request(format!(
            "the header `{name}` has a `%` without two hex digits"
        )));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| Problem::bad_request(format!("the header `{name}` is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limited {
        limit: Option<u32>,
    }

    #[test]
    fn a_set_is_chosen_beside_any_other_parameter() {
        for (query, set, limit) in [
            ("", None, None),
            ("limit=3", None, Some(3)),
            ("set=a%20b&limit=3", Some("a b"), Some(3)),
            ("limit=3&%73et=x", Some("x"), Some(3)),
            ("set=", Some(""), None),
        ] {
            assert_eq!(read_set(query).unwrap().as_deref(), set, "{query}");
            assert_eq!(
                read_query::<Limited>(query).unwrap(),
                Limited { limit },
                "{query}"
            );
        }
        assert!(read_set("set=a&%73et=a").is_err());
        for query in ["limit=x", "limits=3", "limit=1&limit=2", "set=a&limits=3"] {
            assert!(read_query::<Limited>(query).is_err(), "{query}");
        }
    }
}
