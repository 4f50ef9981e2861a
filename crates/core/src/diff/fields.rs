//! Two documents as canonical JSON → the fields in which they differ.
//!
//! Must not know what a field does to a request, but for one question: whether a changed pipeline
//! may block less than before.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::Dimension;
use crate::policy::{Policy, PolicySet, policy_json};

/// The order in which the fields of a document are listed, up to the dimensions.
const FIRST: [&str; 15] = [
    "name",
    "policy",
    "description",
    "owner",
    "inherit",
    "guardrails",
    "condition",
    "pipeline",
    "mode",
    "steps",
    "guardrail",
    "on_pass",
    "on_fail",
    "on_error",
    "scope",
];

/// Where a field is listed; one that is not named here comes last.
fn place_of(field: &str) -> usize {
    let known = FIRST
        .into_iter()
        .chain(Dimension::WRITTEN.map(Dimension::plural));
    let mut known = known.chain(["priority"]);
    known.position(|name| name == field).unwrap_or(usize::MAX)
}

/// One field that differs. What is absent is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Where it stands in the document: `guardrails.add`, `pipeline.steps[0].on_fail`.
    pub path: String,
    /// Its value before.
    pub a: Value,
    /// Its value after.
    pub b: Value,
}

/// The fields in which two versions of a policy differ, each in the set that it stands in.
pub fn compare_policies(a: (&PolicySet, &Policy), b: (&PolicySet, &Policy)) -> Vec<FieldChange> {
    if a.1.digest == b.1.digest {
        return Vec::new();
    }

    compare_documents(&policy_json(a.0, a.1), &policy_json(b.0, b.1))
}

/// The fields in which two documents in canonical form differ.
///
/// A block that only one of them has is taken apart like one that both have, so that
/// `guardrails.add` is the path also where the first guardrail comes; only a pipeline comes and
/// goes as a whole. Steps are compared one by one where both pipelines run the same guardrails in
/// the same order.
pub fn compare_documents(a: &Value, b: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare_fields("", Some(a), Some(b), &mut found);
    found
}

fn compare_fields(path: &str, a: Option<&Value>, b: Option<&Value>, found: &mut Vec<FieldChange>) {
    let none = Map::new();
    match (a, b) {
        (a, b) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => compare_objects(path, a, b, found),
        (Some(Value::Object(a)), None) if path != "pipeline" => {
            compare_objects(path, a, &none, found)
        }
        (None, Some(Value::Object(b))) if path != "pipeline" => {
            compare_objects(path, &none, b, found)
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if same_steps(a, b) => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                compare_fields(&format!("{path}[{at}]"), Some(a), Some(b), found);
            }
        }
        (a, b) => {
            let value = |side: Option<&Value>| side.cloned().unwrap_or(Value::Null);
            found.push(FieldChange {
                path: path.to_owned(),
                a: value(a),
                b: value(b),
            });
        }
    }
}

fn compare_objects(
    path: &str,
    a: &Map<String, Value>,
    b: &Map<String, Value>,
    found: &mut Vec<FieldChange>,
) {
    let mut keys: Vec<&String> = a
        .keys()
        .chain(b.keys().filter(|key| !a.contains_key(*key)))
        .collect();
    keys.sort_by_key(|key| (place_of(key), *key));
    for key in keys {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };

        compare_fields(&path, a.get(key), b.get(key), found);
    }
}

/// Whether two lists are steps of the same guardrails in the same order. A list of names is not.
fn same_steps(a: &[Value], b: &[Value]) -> bool {
    let guardrail = |step: &Value| step.get("guardrail").cloned();
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| guardrail(a).is_some() && guardrail(a) == guardrail(b))
}

/// Whether a pipeline may let pass what it stopped before. Said of every change but the harmless
/// ones: an action that becomes `block`, what is handed on, and the text of an answer.
pub(super) fn pipeline_may_lose(fields: &[FieldChange]) -> bool {
    let harmless = |field: &FieldChange| {
        field.b == "block"
            || field.path.ends_with(".pass_data")
            || field.path.ends_with(".modify_response_message")
    };

    fields
        .iter()
        .any(|field| field.path.starts_with("pipeline") && !harmless(field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(a: &Value, b: &Value) -> Vec<String> {
        compare_documents(a, b)
            .into_iter()
            .map(|change| change.path)
            .collect()
    }

    #[test]
    fn a_block_that_comes_or_goes_is_named_by_its_fields() {
        let bare = json!({"name": "p"});
        let full =
            json!({"name": "p", "guardrails": {"add": ["x"]}, "condition": {"model": ["m"]}});
        assert_eq!(paths(&bare, &full), ["guardrails.add", "condition.model"]);
        assert_eq!(paths(&full, &bare), ["guardrails.add", "condition.model"]);

        assert_eq!(
            compare_documents(&bare, &full)[0],
            FieldChange {
                path: "guardrails.add".to_owned(),
                a: Value::Null,
                b: json!(["x"])
            }
        );
    }

    #[test]
    fn a_pipeline_comes_as_a_whole_and_changes_step_by_step() {
        let step = |name: &str, on_fail: &str| json!({"guardrail": name, "on_fail": on_fail});
        let with = |steps: Vec<Value>| json!({"pipeline": {"mode": "pre_call", "steps": steps}});
        let two = with(vec![step("a", "block"), step("b", "block")]);
        assert_eq!(paths(&json!({}), &two), ["pipeline"]);
        assert_eq!(
            paths(&two, &with(vec![step("a", "block"), step("b", "next")])),
            ["pipeline.steps[1].on_fail"]
        );
        assert_eq!(
            paths(&two, &with(vec![step("b", "block"), step("a", "block")])),
            ["pipeline.steps"]
        );

        assert_eq!(
            paths(&two, &with(vec![step("a", "block")])),
            ["pipeline.steps"]
        );
    }

    #[test]
    fn only_a_change_to_block_or_of_a_text_is_harmless_in_a_pipeline() {
        let field = |path: &str, b: Value| {
            [FieldChange {
                path: path.to_owned(),
                a: json!("modify_response"),
                b,
            }]
        };

        assert!(!pipeline_may_lose(&field(
            "pipeline.steps[0].on_fail",
            json!("block")
        )));
        assert!(!pipeline_may_lose(&field(
            "pipeline.steps[0].modify_response_message",
            json!("no")
        )));
        assert!(!pipeline_may_lose(&field("description", json!("no"))));
        assert!(pipeline_may_lose(&field(
            "pipeline.steps[0].on_fail",
            json!("next")
        )));

        assert!(pipeline_may_lose(&field("pipeline", Value::Null)));
    }
}
