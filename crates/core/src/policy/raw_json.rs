//! Canonical JSON of documents by themselves, without a set around them.

use serde_json::{Map, Value, json};

use crate::document::{Dimension, RawAttachment};

/// An attachment's document as canonical JSON: equal to [`super::attachment_json`] of the set it
/// makes.
pub fn raw_attachment_json(raw: &RawAttachment) -> Value {
    let mut fields = Map::new();
    fields.insert("policy".to_owned(), json!(raw.policy.value));
    if let Some(scope) = &raw.scope {
        fields.insert("scope".to_owned(), json!(scope.value));
    }

    for dimension in Dimension::ALL {
        if let Some(patterns) = raw.patterns(dimension) {
            let patterns = sorted_texts(patterns.iter().map(|text| text.as_str()));
            fields.insert(dimension.plural().to_owned(), json!(patterns));
        }
    }

    if let Some(priority) = raw.priority {
        fields.insert("priority".to_owned(), json!(priority.value));
    }

    if raw.default.is_some_and(|default| default.value) {
        fields.insert("default".to_owned(), json!(true));
    }

    if let Some(expires) = &raw.expires {
        let instant = raw
            .expiry_instant()
            .map_or_else(|| expires.value.clone(), |it| it.to_string());
        fields.insert("expires".to_owned(), json!(instant));
    }

    if let Some(reason) = &raw.reason {
        fields.insert("reason".to_owned(), json!(reason.value));
    }

    Value::Object(fields)
}

fn sorted_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();

    texts
}
