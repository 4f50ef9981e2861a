//! `/openapi.json`: made once, at the start, from the table of endpoints.
//!
//! Owns how a table is written as OpenAPI 3.1, and the schemas that several endpoints share
//! (`schemas.json`).

mod fields;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::call::{AnyQuery, Call};
use super::endpoint::{Chooses, Content, Endpoint, Parameter, Tag, Values, Verb, json_body};
use super::problem::Problem;

pub(super) use fields::field_names;

const SCHEMAS: &str = include_str!("schemas.json");

/// The methods that OpenAPI has names for.
const METHODS: [(&str, &str); 8] = [
    ("get", "Get"),
    ("put", "Put"),
    ("post", "Post"),
    ("delete", "Delete"),
    ("options", "Options"),
    ("head", "Head"),
    ("patch", "Patch"),
    ("trace", "Trace"),
];

const SET_BY_QUERY: Parameter = Parameter::optional(
    "set",
    "An environment's name, or `worktree`; by default production",
    Values::Text,
);
const SET_BY_HEADER: Parameter = Parameter::optional(
    "X-Refguard-Set",
    "As `?set=`, percent-encoded",
    Values::Encoded,
);

pub(super) fn openapi_endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/openapi.json", "openapi", answer_openapi)
            .with_summary(Tag::Health, "This document")
            .with_answer(
                StatusCode::OK,
                "OpenAPI 3.1",
                json_body(json!({ "type": "object" })),
            ),
    ]
}

/// The description of this API.
async fn answer_openapi(call: Call<AnyQuery>) -> Result<Response, Problem> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, call.app.description.clone()).into_response())
}

/// Writes a table as an OpenAPI document.
///
/// # Errors
/// Where the shared schemas are no JSON.
pub(super) fn describe_api(endpoints: &[Endpoint]) -> Result<Value, serde_json::Error> {
    let schemas: Value = serde_json::from_str(SCHEMAS)?;
    let mut paths = Map::new();
    for endpoint in endpoints {
        let path = endpoint.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.extend(describe_operations(endpoint));
        }
    }
    let tags = Tag::ALL.map(|tag| json!({ "name": tag.name(), "description": tag.description() }));
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "refguard",
            "version": "1",
            "description": "The guardrail policies of an LLM gateway, as their production branch \
             in git holds them. No path changes a policy or the repository.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8731" }],
        "security": [{}, { "bearer": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "headers": { "Commit": {
                "description": "The commit that the answer was made from; empty where there is \
                 none",
                "schema": { "type": "string" },
            } },
            "schemas": schemas,
        },
    }))
}

/// The operations of an endpoint, by method.
fn describe_operations(endpoint: &Endpoint) -> Vec<(String, Value)> {
    let one = |method: &str| {
        vec![(
            method.to_owned(),
            describe_operation(endpoint, endpoint.id.to_owned()),
        )]
    };
    match endpoint.verb {
        Verb::Get => one("get"),
        Verb::Post => one("post"),
        Verb::Put => one("put"),
        Verb::Delete => one("delete"),
        Verb::Any => METHODS
            .iter()
            .map(|(method, suffix)| {
                (
                    (*method).to_owned(),
                    describe_operation(endpoint, format!("{}{suffix}", endpoint.id)),
                )
            })
            .collect(),
    }
}

fn describe_operation(endpoint: &Endpoint, id: String) -> Value {
    let mut operation = json!({
        "tags": [endpoint.tag.name()],
        "operationId": id,
        "summary": endpoint.summary,
        "parameters": describe_parameters(endpoint),
        "responses": describe_responses(endpoint),
    });
    if let (Some(schema), Some(fields)) = (&endpoint.request, operation.as_object_mut()) {
        let content = json!({ "application/json": { "schema": schema } });
        fields.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "content": content }),
        );
    }
    operation
}

fn describe_parameters(endpoint: &Endpoint) -> Vec<Value> {
    let set: &[(&str, Parameter)] = match endpoint.chooses {
        Chooses::Nothing => &[],
        Chooses::ByHeader => &[("header", SET_BY_HEADER)],
        Chooses::ByQueryOrHeader => &[("query", SET_BY_QUERY), ("header", SET_BY_HEADER)],
    };
    let own = [
        ("path", &endpoint.path_parameters),
        ("query", &endpoint.query),
        ("header", &endpoint.headers),
    ];
    let own = own
        .into_iter()
        .flat_map(|(place, list)| list.iter().map(move |p| (place, *p)));
    set.iter()
        .copied()
        .chain(own)
        .map(|(place, one)| describe_parameter(place, &one))
        .collect()
}

fn describe_parameter(place: &str, parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.about,
        "schema": values_schema(parameter.values),
    })
}

fn values_schema(values: Values) -> Value {
    match values {
        Values::Text => json!({ "type": "string" }),
        Values::Like(pattern) => json!({ "type": "string", "pattern": pattern }),
        Values::Encoded => json!({ "$ref": "#/components/schemas/Encoded" }),
        Values::OneOf(words) => json!({ "type": "string", "enum": words }),
        Values::Between(least, most) => {
            json!({ "type": "integer", "format": "int64", "minimum": least, "maximum": most })
        }
    }
}

fn describe_responses(endpoint: &Endpoint) -> Value {
    let mut responses = Map::new();
    for (status, description, contents) in &endpoint.answers {
        let response = describe_response(endpoint, description, contents);
        responses.insert(status.as_u16().to_string(), response);
    }
    for status in &endpoint.refusals {
        let problem = [(
            "application/problem+json",
            json!({ "$ref": "#/components/schemas/Problem" }),
        )];
        let response = describe_response(endpoint, describe_refusal(*status), &problem);
        responses.insert(status.as_u16().to_string(), response);
    }
    Value::Object(responses)
}

fn describe_response(endpoint: &Endpoint, description: &str, contents: &[Content]) -> Value {
    let mut headers = Map::new();
    headers.insert(
        "X-Refguard-Commit".to_owned(),
        json!({ "$ref": "#/components/headers/Commit" }),
    );
    for (name, about) in endpoint.answer_headers {
        let header = json!({ "description": about, "schema": { "type": "string" } });
        headers.insert((*name).to_owned(), header);
    }
    let mut response = json!({ "description": description, "headers": headers });
    let contents: Map<String, Value> = contents
        .iter()
        .map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema })))
        .collect();
    if let Some(fields) = response.as_object_mut().filter(|_| !contents.is_empty()) {
        fields.insert("content".to_owned(), Value::Object(contents));
    }
    response
}

/// What a refusal means, wherever it is given.
fn describe_refusal(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "The request is malformed",
        StatusCode::UNAUTHORIZED => "A bearer token is needed",
        StatusCode::FORBIDDEN => "Refused",
        StatusCode::NOT_FOUND => "There is no such thing",
        StatusCode::REQUEST_TIMEOUT => "The body took too long",
        StatusCode::CONFLICT => "The set has changed since the page before",
        StatusCode::PAYLOAD_TOO_LARGE => "The request is too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body is not declared as JSON",
        StatusCode::UNPROCESSABLE_ENTITY => {
            "A policy that the request names is unknown, or the answer would pass a limit"
        }
        StatusCode::TOO_MANY_REQUESTS => "Too many such requests are under way",
        StatusCode::SERVICE_UNAVAILABLE => "Not ready",
        _ => "An error",
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint_families;
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = describe_api(&endpoint_families()).unwrap();
        let mut pending = vec![&document];
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(to)) = fields.get("$ref") {
                        assert!(
                            document.pointer(to.trim_start_matches('#')).is_some(),
                            "{to}"
                        );
                    }
                    pending.extend(fields.values());
                }
                Value::Array(items) => pending.extend(items),
                _ => {}
            }
        }
    }

    /// What a client may rely on, a line an operation: reviewed where it changes.
    #[test]
    fn the_operations_are_these() {
        let document = describe_api(&endpoint_families()).unwrap();
        let mut lines = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let names = |list: &Value, key: &str| -> Vec<String> {
                    let list = list.as_array().unwrap().iter();
                    list.map(|parameter| parameter[key].as_str().unwrap().to_owned())
                        .collect()
                };
                let statuses = operation["responses"].as_object().unwrap().keys();
                let statuses = statuses.map(String::as_str).collect::<Vec<_>>().join(" ");
                let parameters = names(&operation["parameters"], "name").join(" ");
                lines.push(format!("{method} {path} ({parameters}) {statuses}"));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
