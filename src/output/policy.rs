//! One policy, for a person.

use serde_json::Value;

use super::escape::escape_terminal;
use crate::ops::ShownPolicy;

/// A policy with its chain, children and attachments.
pub fn policy(shown: &ShownPolicy) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("{name:<12} {}\n", escape_terminal(&value)));
        }
    };
    let field = |key: &str| shown.policy.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let list = |pointer: &str, sign: &str| {
        let names = shown.policy.pointer(pointer).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.map(|name| format!("{sign}{name}")).collect::<Vec<_>>().join(" ")
    };
    line("policy", field("name"));
    line("description", field("description"));
    line("owner", field("owner"));
    line("place", format!("{}:{}", field("file"), shown.policy.get("line").and_then(Value::as_u64).unwrap_or(0)));
    line("digest", field("digest"));
    line("own", [list("/guardrails/add", "+"), list("/guardrails/remove", "-")].join(" ").trim().to_owned());
    line("for models", list("/condition/model", ""));
    line("chain", if shown.chain.len() > 1 { shown.chain.join(" -> ") } else { String::new() });
    line("guardrails", shown.guardrails.join(", "));
    line("children", shown.children.join(", "));
    for attached in &shown.attached {
        line("attached to", attached.clone());
    }
    for step in shown.policy.pointer("/pipeline/steps").and_then(Value::as_array).into_iter().flatten() {
        let word = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or("");
        let (pass, fail, error) = (word("on_pass"), word("on_fail"), word("on_error"));
        line("step", format!("{}: pass {pass}, fail {fail}, error {error}", word("guardrail")));
    }
    text
}
