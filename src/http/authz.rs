//! `/v1/authz`: forward-auth for proxies that ask with headers (nginx, Envoy, Caddy).
//!
//! Every answer carries every header that an upstream would trust, empty where there is nothing:
//! the proxy copies them over whatever the client sent under those names.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use refguard_core::document::Dimension;
use refguard_core::resolve::{Context, Request};

use super::app::App;
use super::body::read_body;
use super::call::{AnyQuery, Call, decode_percent, decoded_header, single_header};
use super::endpoint::{Chooses, Endpoint, Parameter, Tag, Values};
use super::forwarded::{Asked, Forwarded, Refusal, read_request};
use super::problem::Problem;
use super::reply::{COMMIT, commit_value};
use super::resolve::policy_names;
use crate::daemon::{Snapshot, Unserved};

static GUARDRAILS: HeaderName = HeaderName::from_static("x-refguard-guardrails");
static POLICIES: HeaderName = HeaderName::from_static("x-refguard-policies");

/// What may not stand in a name of a list: the comma parts names, the percent sign begins an
/// escape.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b',')
    .add(b'%')
    .add(b'"')
    .add(b'\\')
    .add(b';');

/// What is said of a list in a header.
const LISTED: &str = "Names, percent-encoded, parted by commas; empty in every refusal";

const REQUEST_HEADERS: [Parameter; 7] = [
    Parameter::optional(
        "X-Refguard-Team",
        "The team, percent-encoded",
        Values::Encoded,
    ),
    Parameter::optional(
        "X-Refguard-Key",
        "The key's alias, percent-encoded",
        Values::Encoded,
    ),
    Parameter::optional(
        "X-Refguard-Model",
        "The model, percent-encoded; a forwarded JSON body's goes before it",
        Values::Encoded,
    ),
    Parameter::optional(
        "X-Refguard-User",
        "The user, percent-encoded",
        Values::Encoded,
    ),
    Parameter::optional(
        "X-Refguard-Tool",
        "The tool as `server/tool`, percent-encoded",
        Values::Encoded,
    ),
    Parameter::optional(
        "X-Refguard-Server",
        "The MCP server, percent-encoded; a forwarded `tools/call` names the tool",
        Values::Encoded,
    ),
    Parameter::optional(
        "X-Refguard-Tags",
        "Tags, percent-encoded, parted by commas",
        Values::Encoded,
    ),
];

/// How requests are decided.
#[derive(Debug, Clone)]
pub struct AuthzOptions {
    /// What a request must have.
    pub require: Vec<Dimension>,
    /// Whether a request that no policy matches is refused.
    pub deny_unmatched: bool,
    /// The status where nothing can be answered.
    pub not_ready: u16,
    /// How long the headers of an answer may be together.
    pub max_header_bytes: usize,
}

impl Default for AuthzOptions {
    fn default() -> Self {
        Self {
            require: vec![Dimension::Model],
            deny_unmatched: false,
            not_ready: 503,
            max_header_bytes: 4096,
        }
    }
}

/// Whether a path is answered here: then its answers must carry every header.
pub(super) fn is_authz(path: &str) -> bool {
    path.strip_prefix("/v1/authz")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Adds the headers that an answer lacks, empty.
pub(super) fn complete_headers(headers: &mut HeaderMap) {
    for name in [&GUARDRAILS, &POLICIES, &COMMIT] {
        headers.entry(name).or_insert(HeaderValue::from_static(""));
    }
}

pub(super) fn authz_endpoints() -> Vec<Endpoint> {
    let describe = |endpoint: Endpoint| {
        endpoint
            .with_summary(
                Tag::Authz,
                "Decide a request from its headers (forward auth)",
            )
            .with_headers(REQUEST_HEADERS)
            .with_answer(StatusCode::OK, "The request may go on", Vec::new())
            .with_answer_headers(&[
                ("X-Refguard-Guardrails", LISTED),
                ("X-Refguard-Policies", LISTED),
            ])
            .with_refusals([StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE])
    };
    const REST: Parameter = Parameter::required(
        "path",
        "The path of the original request, slashes too: proxies append it",
        Values::Text,
    );
    vec![
        describe(Endpoint::any("/v1/authz", "authz", decide_here)).of_set(Chooses::ByQueryOrHeader),
        // A path that ends in a slash is not below it for the router.
        describe(Endpoint::any("/v1/authz/", "authzRoot", decide_below::<()>))
            .of_set(Chooses::ByHeader),
        describe(Endpoint::any(
            "/v1/authz/{*path}",
            "authzBelow",
            decide_below::<String>,
        ))
        .of_set(Chooses::ByHeader)
        .with_path([REST]),
    ]
}

/// Decides a request of which headers and body are known, and its address where `X-Forwarded-Uri`
/// says it.
async fn decide_here(call: Call<AnyQuery>) -> Result<Response, Problem> {
    let set = match has_clients_query(&call.head) {
        true => call.set_by_header()?,
        false => call.set()?,
    };
    let uri = single_header(&call.head.headers, "x-forwarded-uri")?.map(str::to_owned);
    decide_request(&call.app, set, uri, &call.head, call.body).await
}

/// Whether the query is the client's own: Caddy and Traefik ask with the query of the request that
/// they forward, and say in `X-Forwarded-Uri` what that request was. A client must not choose the
/// set.
fn has_clients_query(head: &Parts) -> bool {
    let forwarded = head
        .headers
        .get("x-forwarded-uri")
        .map(HeaderValue::as_bytes);
    let Some((own, forwarded)) = head.uri.query().zip(forwarded) else {
        return false;
    };
    forwarded.splitn(2, |byte| *byte == b'?').nth(1) == Some(own.as_bytes())
}

/// Decides a request whose own path and query follow the path of this endpoint. The query is its
/// client's: it must not choose the set.
async fn decide_below<P>(call: Call<AnyQuery, P>) -> Result<Response, Problem> {
    let set = call.set_by_header()?;
    let uri = call.head.uri.path_and_query().map(ToString::to_string);
    let uri = uri.and_then(|uri| uri.strip_prefix("/v1/authz").map(str::to_owned));
    decide_request(&call.app, set, uri, &call.head, call.body).await
}

async fn decide_request(
    app: &Arc<App>,
    set: Option<String>,
    uri: Option<String>,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = read_body(head, body, &app.options.limits).await?;
    let context = read_context(&head.headers, uri.as_deref(), &bytes)?;
    let options = &app.options.authz;
    if let Some(missing) = options
        .require
        .iter()
        .find(|dimension| context.values(**dimension).is_empty())
    {
        let detail = format!("the request has no {}", missing.context_field());
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let snapshot = app
        .hub
        .snapshot_of(set.as_deref())
        .map_err(|unserved| refuse_unserved(unserved, options.not_ready))?;
    let request = Request {
        context,
        policies: Vec::new(),
    };
    let resolution = snapshot.engine.resolve(&request);
    if let Some(shadow) = &app.options.shadow {
        shadow.see_request(&snapshot, &request.context, &[]);
    }
    let line = app.log_decision("authz", &snapshot, &request.context, &resolution);
    line.into_iter().for_each(|line| app.write_decision(line));
    if options.deny_unmatched && resolution.policies.is_empty() {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "no policy matches this request",
        ));
    }
    let (guardrails, policies) = (
        join_names(&resolution.guardrails),
        join_names(&policy_names(&resolution)),
    );
    answer_decision(&snapshot, &guardrails, &policies, options.max_header_bytes)
}

/// Why a set gives no answer, with the status that stands for "not ready".
fn refuse_unserved(unserved: Unserved, not_ready: u16) -> Problem {
    let problem = Problem::from(unserved);
    match StatusCode::from_u16(not_ready) {
        Ok(status) if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
            Problem { status, ..problem }
        }
        _ => problem,
    }
}

fn answer_decision(
    snapshot: &Snapshot,
    guardrails: &str,
    policies: &str,
    limit: usize,
) -> Result<Response, Problem> {
    let bytes = guardrails.len() + policies.len() + snapshot.commit.as_deref().map_or(0, str::len);
    if bytes > limit {
        let detail = format!(
            "the answer has {bytes} bytes of headers: the limit `max-header-bytes` is {limit}"
        );
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the answer does not fit into headers",
            )
        })
    };
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(GUARDRAILS.clone(), value(guardrails)?);
    headers.insert(POLICIES.clone(), value(policies)?);
    headers.insert(COMMIT.clone(), commit_value(snapshot));
    Ok(response)
}

fn join_names(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| Cow::from(utf8_percent_encode(name, ESCAPED)))
        .collect::<Vec<_>>()
        .join(",")
}

/// What the forwarded request names: its model, or that of the header where it names none. A header
/// that names another than path or query is a proxy that reads them in another way than the
/// gateway.
fn read_asked(headers: &HeaderMap, uri: Option<&str>, body: &[u8]) -> Result<Asked, Problem> {
    let (path, query) = match uri.map(|uri| uri.split_once('?').unwrap_or((uri, ""))) {
        Some((path, query)) => (Some(path), Some(query)),
        None => (None, None),
    };
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let request = Forwarded {
        path,
        query,
        content_type: kind.unwrap_or(""),
        body,
    };
    let asked = read_request(&request).map_err(|refusal| match refusal {
        Refusal::Malformed(detail) => Problem::bad_request(detail),
        Refusal::Ambiguous(detail) => Problem::new(StatusCode::FORBIDDEN, detail),
    })?;

    // A header that cannot be read is refused also where it would not count.
    let by_proxy = decoded_header(headers, "x-refguard-model")?;
    let by_client = decoded_header(headers, "x-litellm-model")?;
    let differs = |other: &Option<String>| other.is_some() && *other != asked.model;
    if (asked.in_uri && differs(&by_proxy)) || (asked.model.is_some() && differs(&by_client)) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "a header names another model than the request",
        ));
    }
    Ok(Asked {
        model: asked.model.or(by_proxy),
        ..asked
    })
}

/// The tool: `X-Refguard-Server`, a slash and the name in a forwarded `tools/call`, or else
/// `X-Refguard-Tool`. A call whose server nobody names, or that names another tool than the header,
/// is refused.
fn read_tool(headers: &HeaderMap, called: Option<String>) -> Result<Option<String>, Problem> {
    let server = decoded_header(headers, "x-refguard-server")?;
    let by_proxy = decoded_header(headers, "x-refguard-tool")?;
    let Some(called) = called else {
        return Ok(by_proxy);
    };
    let refuse = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    match (server, by_proxy) {
        (Some(server), None) => Ok(Some(format!("{server}/{called}"))),
        (Some(server), Some(tool)) if tool == format!("{server}/{called}") => Ok(Some(tool)),
        (None, Some(tool)) if tool.split_once('/').is_some_and(|(_, name)| name == called) => {
            Ok(Some(tool))
        }
        (None, None) => refuse(
            "the body calls a tool, and neither `X-Refguard-Server` nor `X-Refguard-Tool` is there",
        ),
        (_, Some(_)) => refuse("the header `X-Refguard-Tool` names another tool than the body"),
    }
}

/// Reads who asks for what: from the headers that the proxy set, and the model from the request
/// that it forwards.
fn read_context(headers: &HeaderMap, uri: Option<&str>, body: &[u8]) -> Result<Context, Problem> {
    let asked = read_asked(headers, uri, body)?;
    let mut context = Context::default();
    for (dimension, name) in [
        (Dimension::Team, "x-refguard-team"),
        (Dimension::Key, "x-refguard-key"),
        (Dimension::User, "x-refguard-user"),
    ] {
        context.extend(decoded_header(headers, name)?.map(|value| (dimension, value)));
    }
    context.extend(asked.model.map(|model| (Dimension::Model, model)));
    context.extend(read_tool(headers, asked.tool)?.map(|tool| (Dimension::Tool, tool)));
    for tag in single_header(headers, "x-refguard-tags")?
        .into_iter()
        .flat_map(|text| text.split(','))
    {
        let tag = tag.trim();
        if !tag.is_empty() {
            context.add_value(Dimension::Tag, decode_percent(tag, "x-refguard-tags")?);
        }
    }
    context
        .within_limits()
        .map_err(|fault| Problem::bad_request(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn headers_are_a_context() {
        let map = headers(&[
            ("x-refguard-team", "health%2Ceu"),
            ("x-refguard-key", ""),
            ("x-refguard-model", "gpt-4"),
            ("x-refguard-tags", "phi%20eu, b%2Cc,,"),
        ]);
        let found = read_context(&map, None, b"").unwrap();
        assert_eq!(found.value(Dimension::Team), Some("health,eu"));
        assert_eq!(
            (found.value(Dimension::Key), found.model()),
            (None, Some("gpt-4"))
        );
        assert_eq!(found.values(Dimension::Tag), ["phi eu", "b,c"]);
    }

    #[test]
    fn what_is_forged_or_broken_is_refused() {
        for bad in [
            headers(&[("x-refguard-team", "a"), ("x-refguard-team", "b")]),
            headers(&[("x-refguard-team", "%")]),
            headers(&[("x-refguard-team", "%zz")]),
            headers(&[("x-refguard-team", "%ff")]),
        ] {
            assert!(read_context(&bad, None, b"").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_model_of_a_forwarded_body_goes_before_the_header() {
        let map = headers(&[
            ("x-refguard-model", "cheap"),
            ("content-type", "application/json"),
        ]);
        assert_eq!(
            read_context(&map, None, br#"{"model":"gpt-4","messages":[]}"#)
                .unwrap()
                .model(),
            Some("gpt-4")
        );
        assert_eq!(
            read_context(&map, None, br#"{"input":1}"#).unwrap().model(),
            Some("cheap")
        );
        for bad in [
            &b"{\"model\":\"gpt-4\""[..],
            br#"{"model":1}"#,
            br#"{"model":"a","model":"b"}"#,
        ] {
            assert!(read_context(&map, None, bad).is_err());
        }
        for wide in [
            &b"\xef\xbb\xbf{\"model\":\"a\"}"[..],
            b"\xff\xfe{\0",
            b"\0{\0\"",
            b"{\0\"\0",
        ] {
            assert!(read_context(&headers(&[]), None, wide).is_err(), "{wide:?}");
        }
        let plain = headers(&[
            ("content-type", "text/plain"),
            ("x-refguard-model", "cheap"),
        ]);
        assert_eq!(
            read_context(&plain, None, br#"{"model":"gpt-4"}"#)
                .unwrap()
                .model(),
            Some("gpt-4")
        );
        assert_eq!(
            read_context(&plain, None, b"--boundary").unwrap().model(),
            Some("cheap")
        );
    }

    #[test]
    fn a_header_that_names_another_model_than_the_path_is_refused() {
        let uri = Some("/openai/deployments/gpt-4/chat/completions?n=1");
        let with = |model| headers(&[("x-refguard-model", model)]);
        assert_eq!(
            read_context(&with("gpt-4"), uri, b"").unwrap().model(),
            Some("gpt-4")
        );
        assert_eq!(
            read_context(&with("gpt-3"), uri, b"").unwrap_err().status,
            403
        );
        let forged = headers(&[("x-litellm-model", "gpt-3")]);
        assert_eq!(read_context(&forged, uri, b"").unwrap_err().status, 403);
    }

    #[test]
    fn the_tool_of_a_call_is_that_of_its_server() {
        let call = br#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"create_issue"}}"#;
        let tool_of = |pairs: &[(&'static str, &str)], body: &[u8]| {
            let context = read_context(&headers(pairs), None, body);
            context.map(|context| context.value(Dimension::Tool).map(str::to_owned))
        };
        let (server, tool) = (("x-refguard-server", "github"), "github/create_issue");
        let whole = ("x-refguard-tool", tool);
        for pairs in [&[server][..], &[whole], &[server, whole]] {
            assert_eq!(
                tool_of(pairs, call).unwrap().as_deref(),
                Some(tool),
                "{pairs:?}"
            );
        }
        assert_eq!(tool_of(&[whole], b"").unwrap().as_deref(), Some(tool));
        assert_eq!(tool_of(&[server], b"{}").unwrap(), None);
        for pairs in [
            &[][..],
            &[("x-refguard-tool", "github/get_me")],
            &[("x-refguard-tool", "create_issue")],
            &[server, ("x-refguard-tool", "gitlab/create_issue")],
        ] {
            assert_eq!(tool_of(pairs, call).unwrap_err().status, 403, "{pairs:?}");
        }
    }

    #[test]
    fn names_of_a_list_cannot_be_taken_for_two() {
        assert_eq!(
            join_names(&["a,b", "c d", "100%", "é"]),
            "a%2Cb,c%20d,100%25,%C3%A9"
        );
    }
}
