//! Canonical JSON of documents by themselves, without a set around them.

use serde_json::{Map, Value, json};

use crate::document::{Name, RawAttachment, RawPolicy, Spanned};

/// An attachment's document as canonical JSON: equal to [`super::attachment_json`] of the set it makes.
pub fn raw_attachment_json(raw: &RawAttachment) -> Value {
    let mut fields = Map::new();
    fields.insert("policy".to_owned(), json!(raw.policy.value));
    if let Some(scope) = &raw.scope {
        fields.insert("scope".to_owned(), json!(scope.value));
    }
    let dimensions = [("teams", &raw.teams), ("keys", &raw.keys), ("models", &raw.models), ("tags", &raw.tags)];
    for (key, patterns) in dimensions {
        if let Some(patterns) = patterns {
            fields.insert(key.to_owned(), json!(sorted(patterns.iter().map(|text| text.as_str()))));
        }
    }
    if let Some(priority) = raw.priority {
        fields.insert("priority".to_owned(), json!(priority.value));
    }
    if raw.default.is_some_and(|default| default.value) {
        fields.insert("default".to_owned(), json!(true));
    }
    Value::Object(fields)
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// TEMPORARY
pub fn raw_policy_json(raw: &RawPolicy) -> Value {
    let names = |l: &Option<Vec<Spanned<Name>>>| sorted(l.iter().flatten().map(|n| n.as_str())).join(",");
    json!([
        raw.name.as_str(),
        raw.description.as_ref().map(|d| &d.value),
        raw.owner.as_ref().map(|d| &d.value),
        raw.inherit.as_ref().map(|d| &d.value),
        raw.guardrails.as_ref().map(|g| (names(&g.add), names(&g.remove))),
        raw.condition.as_ref().map(|c| c.model.0.iter().map(|t| t.value.clone()).collect::<Vec<_>>()),
        raw.pipeline.as_ref().map(|p| format!(
            "{:?}",
            p.steps
                .iter()
                .map(|s| (
                    s.guardrail.as_str().to_owned(),
                    s.on_pass.map(|v| v.value),
                    s.on_fail.map(|v| v.value),
                    s.on_error.map(|v| v.value),
                    s.pass_data,
                    s.modify_response_message.as_ref().map(|m| m.value.clone())
                ))
                .collect::<Vec<_>>()
        ))
    ])
}
