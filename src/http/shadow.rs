//! `/v1/shadow`: what another revision would have said to the requests that were answered.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::{Call, NoQuery};
use super::endpoint::{Endpoint, Tag, json_body, schema_of};
use super::problem::Problem;
use super::reply::to_json;

pub(super) fn shadow_endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/v1/shadow", "shadow", find_shadow)
            .with_summary(
                Tag::Resolve,
                "What `--shadow REF` would have said: counts by region and guardrail, and samples",
            )
            .with_answer(
                StatusCode::OK,
                "The counts since both sets are compared",
                json_body(answer_report()),
            )
            .with_refusals([StatusCode::NOT_FOUND]),
    ]
}

fn answer_report() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let counts = json!({ "type": "object", "additionalProperties": count });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    let text = json!({ "type": ["string", "null"] });
    let region = json!({
        "type": "object",
        "required": ["region", "requests", "described"],
        "properties": { "region": count, "requests": count, "described": { "type": "object" } },
    });
    let sample = json!({
        "type": "object",
        "required": ["at", "context", "lost", "gained", "pipelines", "region"],
        "properties": {
            "at": { "type": "string" },
            "context": schema_of("Context"),
            "lost": names,
            "gained": names,
            "pipelines": { "type": "boolean" },
            "region": { "type": ["integer", "null"], "minimum": 0 },
        },
    });
    json!({
        "type": "object",
        "required": [
            "version", "ref", "set", "base", "head", "since", "exact", "requests", "same", "differs", "unclear",
            "shed", "lost", "gained", "regions", "outside", "samples",
        ],
        "properties": {
            "version": { "const": 1 },
            "ref": { "type": "string" },
            "set": text, "base": text, "head": text,
            "since": { "type": "string" },
            "exact": { "type": "boolean" },
            "requests": count, "same": count, "differs": count, "unclear": count, "shed": count,
            "lost": counts, "gained": counts,
            "regions": { "type": "array", "items": region },
            "outside": count,
            "samples": { "type": "array", "items": sample },
        },
    })
}

async fn find_shadow(call: Call<NoQuery>) -> Result<Response, Problem> {
    let Some(shadow) = &call.app.options.shadow else {
        return Err(Problem::not_found(
            "nothing is compared: start the daemon with `--shadow REF`",
        ));
    };
    let body = to_json(&shadow.report_counts())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
