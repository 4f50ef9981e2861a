//! The JSON Schemas (2020-12) of what verbs print with `--format json`: `output.json` beside this
//! file.
//!
//! Fields may be added in a later release, never renamed: a reader passes over what it does not
//! know. The test `tests/cli/outputs.rs` holds every output against its schema, and every field of
//! an output against a description.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = include_str!("output.json");

/// The schema of what a verb prints, and `error` that of why it prints nothing.
///
/// # Errors
/// The names that there are, where it is none of them.
pub fn output_schema(verb: &str) -> Result<Value, Vec<String>> {
    let all: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let definitions = all
        .get("$defs")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let verbs = all
        .get("verbs")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let Some(root) = verbs.get(verb).and_then(Value::as_str) else {
        return Err(verbs.keys().cloned().collect());
    };

    let mut needed = BTreeSet::new();
    collect(root, &definitions, &mut needed);
    let kept: Map<String, Value> = definitions
        .into_iter()
        .filter(|(name, _)| needed.contains(name))
        .collect();
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:refguard:output:v1:{}", verb.replace(' ', "-")),
        "title": format!("refguard {verb} --format json"),
        "$ref": format!("#/$defs/{root}"),
        "$defs": kept,
    }))
}

/// A definition and all that it leads to.
fn collect(name: &str, definitions: &Map<String, Value>, needed: &mut BTreeSet<String>) {
    if !needed.insert(name.to_owned()) {
        return;
    }
    let mut open: Vec<&Value> = definitions.get(name).into_iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            Value::String(text) => {
                if let Some(next) = text.strip_prefix("#/$defs/") {
                    collect(next, definitions, needed);
                }
            }
            _ => {}
        }
    }
}
