//! Canonical JSON of documents by themselves, without a set around them.

use serde_json::{Map, Value, json};

use crate::document::RawAttachment;

/// An attachment's document as canonical JSON: equal to [`super::attachment_json`] of the set it makes.
pub fn raw_attachment_json(raw: &RawAttachment) -> Value {
    let mut fields = Map::new();
    fields.insert("policy".to_owned(), json!(raw.policy.value));
    if let Some(scope) = &raw.scope {
        fields.insert("scope".to_owned(), json!(scope.value));
    }
    let dimensions =
        [("teams", &raw.teams), ("keys", &raw.keys), ("models", &raw.models), ("tags", &raw.tags)];
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
