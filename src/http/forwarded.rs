//! Which model a forwarded request runs: one pure function of its path, its query and its body.
//!
//! The gateway behind the proxy reads the model too, and what is judged must be what runs. LiteLLM
//! takes the model of the path, else that of the query, else that of the body, and runs others
//! besides where the body lists fallbacks or the model is a list. So a request whose parts name
//! different models, or that could be read in two ways, is refused. `tests/data/models` holds what
//! LiteLLM itself runs. Must not know headers, sets or who asks.
//!
//! ```text
//! /openai/deployments/gpt-4/chat/completions              {"messages":[]}     gpt-4
//! /v1/chat/completions                                    {"model":"gpt-4"}   gpt-4
//! /v1/chat/completions?model=gpt-3                        {"model":"gpt-4"}   refused: two models
//! /openai/deployments/gpt-4%2F..%2Fgpt-3/chat/completions {}                  refused: two readings
//! ```

use percent_encoding::percent_decode_str;
use refguard_core::resolve::ObjectOnly;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// What of a request may name a model.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Forwarded<'a> {
    /// The path as it stands in the request line, where it is known.
    pub path: Option<&'a str>,
    /// The query without its question mark.
    pub query: Option<&'a str>,
    pub content_type: &'a str,
    /// Empty where the proxy forwards none.
    pub body: &'a [u8],
}

/// Why a request is not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be read.
    Malformed(String),
    /// It can be read in more than one way, or runs more than one model.
    Ambiguous(String),
}

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The one model that it names.
    pub model: Option<String>,
    /// Whether path or query name it.
    pub in_uri: bool,
    /// The tool that a JSON-RPC `tools/call` of MCP names, without its server.
    pub tool: Option<String>,
}

/// The paths under which LiteLLM has a model, and what may follow it there. The order is that of
/// its routes.
const DEPLOYMENTS: [(&str, &[&str]); 2] = [
    (
        "/openai/deployments/",
        &[
            "/chat/completions",
            "/completions",
            "/embeddings",
            "/images/generations",
            "/images/edits",
        ],
    ),
    (
        "/engines/",
        &["/chat/completions", "/completions", "/embeddings"],
    ),
];

/// What follows a model in Google's paths.
const GOOGLE_VERBS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];

/// The first segment of paths that are passed on to a provider, which has the model somewhere in
/// the rest.
const PASSED_ON: [&str; 7] = [
    "vertex_ai",
    "vertex-ai",
    "bedrock",
    "azure",
    "azure_ai",
    "gemini",
    "nvidia_nim",
];

/// What a request asks for.
///
/// # Errors
/// Where it cannot be read, or in more than one way, or would run several models.
pub(super) fn read_request(request: &Forwarded<'_>) -> Result<Asked, Refusal> {
    let path = request.path.map(read_path).transpose()?.flatten();
    let mut named: Vec<(&str, String)> = path.into_iter().map(|model| ("path", model)).collect();
    named.extend(
        read_query(request.query.unwrap_or(""))?
            .into_iter()
            .map(|m| ("query", m)),
    );
    let in_uri = !named.is_empty();
    let body = read_body(request.content_type, request.body)?;
    let tool = body.tool;
    named.extend(body.models.into_iter().map(|model| ("body", model)));

    if let Some((place, model)) = named.iter().find(|(_, model)| model.contains(',')) {
        return Err(refuse_ambiguous(format!(
            "the {place} names several models: `{model}`"
        )));
    }
    let Some((first_place, first)) = named.first() else {
        return Ok(Asked {
            tool,
            ..Asked::default()
        });
    };
    if let Some((place, other)) = named.iter().find(|(_, model)| model != first) {
        return Err(refuse_ambiguous(format!(
            "the {first_place} names the model `{first}`, and the {place} `{other}`"
        )));
    }
    Ok(Asked {
        model: Some(first.clone()),
        in_uri,
        tool,
    })
}

fn refuse_ambiguous(detail: impl Into<String>) -> Refusal {
    Refusal::Ambiguous(detail.into())
}

/// The model that a path names.
fn read_path(raw: &str) -> Result<Option<String>, Refusal> {
    let path = decode_path(raw)?;
    let first = path.split('/').nth(1).unwrap_or("");
    if is_passed_on(first) {
        return Err(refuse_ambiguous(format!(
            "a path below `/{first}` is passed on to a provider"
        )));
    }

    // A gateway may have its routes below a path of its own.
    let deployment = DEPLOYMENTS
        .iter()
        .filter_map(|(marker, rests)| Some((path.split_once(marker)?, *rests)))
        .min_by_key(|((before, _), _)| before.len());
    if let Some(((_, rest), rests)) = deployment {
        return read_deployment(rest, rests).map(Some);
    }
    let before_model = path
        .split_once("/models/")
        .map_or(path.as_str(), |(before, _)| before);
    if let Some(segment) = before_model
        .split('/')
        .find(|segment| is_passed_on(segment))
    {
        return Err(refuse_ambiguous(format!(
            "a path with `{segment}` is passed on to a provider"
        )));
    }
    read_google(&path)
}

fn is_passed_on(segment: &str) -> bool {
    PASSED_ON
        .iter()
        .any(|known| known.eq_ignore_ascii_case(segment))
}

/// Decodes a path that all readers decode and normalize alike.
fn decode_path(raw: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(raw).decode_utf8();
    let decoded = decoded.map_err(|_| refuse_ambiguous("the path is not UTF-8"))?;
    // A separator, a dot or a percent sign that is encoded is decoded by some readers before they
    // look for segments, by some after, and by some twice.
    let mut escapes = raw.split('%').skip(1).filter_map(|rest| rest.get(..2));
    let is_odd = |escape: &str| {
        let byte = u8::from_str_radix(escape, 16).unwrap_or(0);
        matches!(
            byte,
            b'/' | b'\\' | b'.' | b'%' | b'?' | b'#' | b';' | 0..0x20 | 0x7f
        )
    };
    let is_plain = decoded.starts_with('/')
        && !decoded.contains("//")
        && !decoded.contains(['\\', '#', ';'])
        && !decoded.chars().any(char::is_control)
        && !decoded
            .split('/')
            .any(|segment| matches!(segment, "." | ".."));
    match is_plain && !escapes.any(is_odd) {
        true => Ok(decoded.into_owned()),
        false => Err(refuse_ambiguous(
            "the path can be read in more than one way",
        )),
    }
}

/// The model in what follows `/openai/deployments/` or `/engines/`. It may hold slashes.
fn read_deployment(rest: &str, operations: &[&str]) -> Result<String, Refusal> {
    let model = operations
        .iter()
        .find_map(|operation| rest.strip_suffix(operation));
    let Some(model) = model.filter(|model| !model.is_empty()) else {
        return Err(refuse_ambiguous(
            "the path names a deployment, and no operation that is known",
        ));
    };
    let mut others = DEPLOYMENTS.iter().flat_map(|(marker, rests)| {
        std::iter::once(marker.trim_end_matches('/')).chain(rests.iter().copied())
    });
    match others.any(|other| format!("/{model}").contains(other)) {
        true => Err(refuse_ambiguous(
            "the path names a deployment within another",
        )),
        false => Ok(model.to_owned()),
    }
}

/// The model of `/models/{model}:generateContent`. It may hold slashes.
fn read_google(path: &str) -> Result<Option<String>, Refusal> {
    let Some((before, verb)) = path.rsplit_once(':') else {
        return Ok(None);
    };
    if !GOOGLE_VERBS.contains(&verb) {
        return Ok(None);
    }
    match before.split_once("/models/") {
        Some((_, model))
            if !model.is_empty() && !model.contains("models/") && !model.contains(':') =>
        {
            Ok(Some(model.to_owned()))
        }
        _ => Err(refuse_ambiguous(format!(
            "the path ends in `:{verb}`, and names no one model"
        ))),
    }
}

/// The models that a query names. Each counts: readers differ in which of several they take.
fn read_query(query: &str) -> Result<Vec<String>, Refusal> {
    if query.contains('#') {
        return Err(refuse_ambiguous("the query has a `#`"));
    }
    let mut models = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let name = name.to_ascii_lowercase();
        match name.trim_end_matches("[]").trim() {
            "model" if !value.is_empty() => models.push(value.into_owned()),
            "target_model_names" => {
                return Err(refuse_ambiguous(
                    "the query names models besides: `target_model_names`",
                ));
            }
            _ => {}
        }
    }
    Ok(models)
}

/// The fields of a body that name models. A field that is there twice is refused.
#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    /// Of realtime sessions.
    session: Option<Nested>,
    /// Of evaluations.
    completion: Option<Nested>,
    fallbacks: Option<IgnoredAny>,
    context_window_fallbacks: Option<IgnoredAny>,
    content_policy_fallbacks: Option<IgnoredAny>,
    router_settings_override: Option<IgnoredAny>,
    user_config: Option<IgnoredAny>,
    target_model_names: Option<IgnoredAny>,
    models: Option<IgnoredAny>,
    /// Of JSON-RPC; elsewhere it may be anything.
    method: Option<Value>,
}

/// A JSON-RPC call of an MCP tool.
#[derive(Deserialize)]
struct ToolCall {
    params: ObjectOnly<ToolParams>,
}

#[derive(Deserialize)]
struct ToolParams {
    name: String,
}

/// What a body names.
#[derive(Debug, Default)]
struct Named {
    models: Vec<String>,
    tool: Option<String>,
}

/// The model of an inner object, if it is one.
struct Nested(Option<String>);

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(
            value
                .get("model")
                .and_then(Value::as_str)
                .map(str::to_owned),
        ))
    }
}

impl Body {
    /// A field that makes the gateway run other models than the one that is named.
    fn other_models(&self) -> Option<&'static str> {
        [
            (&self.fallbacks, "fallbacks"),
            (&self.context_window_fallbacks, "context_window_fallbacks"),
            (&self.content_policy_fallbacks, "content_policy_fallbacks"),
            (&self.router_settings_override, "router_settings_override"),
            (&self.user_config, "user_config"),
            (&self.target_model_names, "target_model_names"),
            (&self.models, "models"),
        ]
        .into_iter()
        .find_map(|(field, name)| field.as_ref().map(|_| name))
    }
}

/// What a body names. A body that says it is JSON must be; another may be, since there are servers
/// that take it for JSON whatever it says.
fn read_body(content_type: &str, bytes: &[u8]) -> Result<Named, Refusal> {
    if bytes.is_empty() {
        return Ok(Named::default());
    }
    let kind = content_type.to_ascii_lowercase();
    // As the gateway looks for it: anywhere, whatever stands before or behind.
    if kind.contains("form") {
        return Err(refuse_ambiguous(
            "the forwarded body is a form, which may name a model",
        ));
    }

    let body = match serde_json::from_slice::<ObjectOnly<Body>>(bytes) {
        Ok(ObjectOnly(body)) => body,
        Err(error) if kind.contains("json") || looks_like_json(bytes) => {
            return Err(refuse_unreadable(&error));
        }
        Err(_) => return Ok(Named::default()),
    };
    if let Some(field) = body.other_models() {
        return Err(refuse_ambiguous(format!(
            "the body makes the gateway run other models: `{field}`"
        )));
    }
    let nested = [body.session, body.completion]
        .into_iter()
        .flatten()
        .filter_map(|n| n.0);
    let models = body
        .model
        .into_iter()
        .chain(nested)
        .filter(|model| !model.is_empty())
        .collect();
    let is_call = body.method.as_ref().and_then(Value::as_str) == Some("tools/call");
    let tool = is_call.then(|| read_tool(bytes)).transpose()?;
    Ok(Named { models, tool })
}

/// The tool of a body that is a `tools/call`.
fn read_tool(body: &[u8]) -> Result<String, Refusal> {
    let call: ObjectOnly<ToolCall> =
        serde_json::from_slice(body).map_err(|error| refuse_unreadable(&error))?;
    Ok(call.0.params.0.name)
}

fn refuse_unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::Malformed(format!("the forwarded body cannot be read: {error}"))
}

/// Whether some server would take bytes for JSON: with a byte order mark or in UTF-16 too.
fn looks_like_json(body: &[u8]) -> bool {
    let is_marked = [&b"\xef\xbb\xbf"[..], b"\xfe\xff", b"\xff\xfe"]
        .iter()
        .any(|mark| body.starts_with(mark));
    let is_wide = body.iter().take(4).any(|byte| *byte == 0);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    is_marked || is_wide || matches!(first, Some(b'{' | b'[' | b'"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn model_of(path: &str, query: &str, body: &str) -> Result<Option<String>, Refusal> {
        let request = Forwarded {
            path: Some(path),
            query: Some(query),
            content_type: "application/json",
            body: body.as_bytes(),
        };
        read_request(&request).map(|asked| asked.model)
    }

    /// What LiteLLM itself runs, by `tests/data/models/generate.py`: a request that is let through
    /// runs the one model that was judged, and none that clients send every day is refused.
    #[test]
    fn what_is_judged_is_what_litellm_runs() {
        let lines = include_str!("../../tests/data/models/requests.jsonl").lines();
        let (mut read, mut refused, mut plain) = (0, 0, 0);
        for line in lines {
            let case: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| case[name].as_str().unwrap_or("");
            let is_plain = case["plain"] == true;
            let request = Forwarded {
                path: Some(text("path")),
                query: Some(text("query")),
                content_type: case["type"].as_str().unwrap_or("application/json"),
                body: text("body").as_bytes(),
            };
            // The proxy's own words for no model.
            let models = case["models"].as_array().into_iter().flatten();
            let models: Vec<&str> = models
                .filter_map(Value::as_str)
                .filter(|model| !["", "None"].contains(model))
                .collect();
            plain += usize::from(is_plain);
            match read_request(&request) {
                Err(refusal) => {
                    refused += 1;
                    assert!(!is_plain, "{line}: {refusal:?}");
                }
                Ok(asked) => {
                    read += 1;
                    let judged: Vec<&str> = asked.model.as_deref().into_iter().collect();
                    assert!(models.is_empty() || models == judged, "{line}: {asked:?}");
                    assert!(!is_plain || !judged.is_empty(), "{line}");
                }
            }
        }
        assert!(
            read > 60 && refused > 60 && plain > 30,
            "{read} {refused} {plain}"
        );
    }

    #[test]
    fn a_form_is_one_whatever_stands_around_its_type() {
        for kind in [
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded=1;a=b",
            "application/x-www-form-urlencoded\u{a0}",
            "Multipart/Form-Data; boundary=x",
            "text/plain; a=multipart/form-data",
        ] {
            let body = r#"{"model":"gpt-4o","a":"&model=gpt-5&b="}"#.as_bytes();
            let request = Forwarded {
                content_type: kind,
                body,
                ..Forwarded::default()
            };
            assert!(
                matches!(read_request(&request), Err(Refusal::Ambiguous(_))),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_tool_is_that_of_the_one_call() {
        let tool_of = |body: &str| {
            let request = Forwarded {
                content_type: "application/json",
                body: body.as_bytes(),
                ..Forwarded::default()
            };
            read_request(&request).map(|asked| asked.tool)
        };
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","arguments":{"name":"x"}}}"#;
        assert_eq!(tool_of(call), Ok(Some("get".to_owned())));
        for none in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"get"}}"#,
            r#"{"method":["tools/call"],"params":3}"#,
            r#"{"model":"gpt-4","messages":[]}"#,
        ] {
            assert_eq!(tool_of(none), Ok(None), "{none}");
        }
        for bad in [
            r#"{"method":"tools/call"}"#,
            r#"{"method":"tools/call","params":[]}"#,
            r#"{"method":"tools/call","params":["get"]}"#,
            r#"{"method":"tools/call","params":{"name":1}}"#,
            r#"{"method":"tools/call","params":{"name":"get","name":"put"}}"#,
            r#"{"method":"tools/list","method":"tools/call","params":{"name":"get"}}"#,
            r#"{"method":"tools/call","params":{"name":"get"},"params":{"name":"put"}}"#,
            r#"[{"method":"tools/call","params":{"name":"get"}}]"#,
        ] {
            assert!(matches!(tool_of(bad), Err(Refusal::Malformed(_))), "{bad}");
        }
    }

    proptest! {
        /// Wherever two parts name different models, the request is refused; where they agree, or
        /// only one speaks, that model is judged.
        #[test]
        fn one_model_is_judged_or_none(
            parts in proptest::collection::vec(proptest::option::of("[a-z]{1,3}(/[a-z]{1,3})?"), 3),
        ) {
            let path = match &parts[0] {
                Some(model) => format!("/openai/deployments/{model}/chat/completions"),
                None => "/v1/chat/completions".to_owned(),
            };
            let query = parts[1].as_ref().map(|m| format!("n=1&model={m}")).unwrap_or_default();
            let body = serde_json::json!({ "model": parts[2], "messages": [] }).to_string();
            let mut named: Vec<&String> = parts.iter().flatten().collect();
            named.dedup();
            named.sort();
            named.dedup();
            match (model_of(&path, &query, &body), named.as_slice()) {
                (Ok(model), []) => prop_assert_eq!(model, None),
                (Ok(model), [one]) => prop_assert_eq!(model.as_ref(), Some(*one)),
                (Err(Refusal::Ambiguous(_)), [_, _, ..]) => {}
                (found, named) => prop_assert!(false, "{found:?} of {named:?}"),
            }
        }

        /// Bytes of any kind are read or refused, never a panic; a model of a path holds nothing
        /// that a proxy or a gateway could take apart.
        #[test]
        fn any_path_is_read_or_refused(path in "(/|%2[fFeE5]|\\.|[a-z:]|/openai/deployments/|/engines/|/chat/completions|/models/|\\PC){0,12}") {
            if let Ok(Some(model)) = model_of(&path, "", "") {
                prop_assert!(!format!("/{model}/").contains("/../"), "{model}");
                prop_assert!(!model.contains("//") && !model.contains("/chat/completions"));
            }
        }
    }
}
