//! One policy, for a person.

use serde_json::Value;

use super::escape::escape_terminal;
use crate::ops::ShownPolicy;

/// A policy with its chain, children and attachments.
pub fn format_policy(shown: &ShownPolicy) -> String {
    let mut text = format_fields(&shown.policy);
    push_line(
        &mut text,
        "chain",
        if shown.chain.len() > 1 {
            shown.chain.join(" -> ")
        } else {
            String::new()
        },
    );
    push_line(&mut text, "guardrails", shown.guardrails.join(", "));
    push_line(&mut text, "children", shown.children.join(", "));
    for attached in &shown.attached {
        push_line(&mut text, "attached to", attached.clone());
    }
    text
}

/// What a policy's document says, and where it stands.
pub(super) fn format_fields(document: &Value) -> String {
    let field = |key: &str| {
        document
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let list = |pointer: &str, sign: &str| {
        let names = document.pointer(pointer).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names
            .map(|name| format!("{sign}{name}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let place = format!(
        "{}:{}",
        field("file"),
        document.get("line").and_then(Value::as_u64).unwrap_or(0)
    );
    let own = [
        list("/guardrails/add", "+"),
        list("/guardrails/remove", "-"),
    ]
    .join(" ");
    let mut text = String::new();
    let plain = [
        ("policy", "name"),
        ("description", "description"),
        ("owner", "owner"),
        ("inherits", "inherit"),
    ];
    for (name, key) in plain {
        push_line(&mut text, name, field(key));
    }
    push_line(&mut text, "place", place);
    push_line(&mut text, "digest", field("digest"));
    push_line(&mut text, "own", own.trim().to_owned());
    push_line(&mut text, "for models", list("/condition/model", ""));
    push_line(
        &mut text,
        "pipeline",
        document
            .pointer("/pipeline/mode")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned(),
    );
    for step in document
        .pointer("/pipeline/steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let word = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or("");
        let (pass, fail, error) = (word("on_pass"), word("on_fail"), word("on_error"));
        push_line(
            &mut text,
            "step",
            format!(
                "{}: pass {pass}, fail {fail}, error {error}",
                word("guardrail")
            ),
        );
    }
    text
}

fn push_line(text: &mut String, name: &str, value: String) {
    if !value.is_empty() {
        text.push_str(&format!("{name:<12} {}\n", escape_terminal(&value)));
    }
}
