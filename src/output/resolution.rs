//! What a request gets, for a person.

use refguard_core::document::Action;
use refguard_core::resolve::{Answer, Near, ResolvedPipeline, Verdict};

use super::Style;
use super::escape::escape_terminal;

/// An answer in words: guardrails first, then where they come from.
pub fn format_resolution(answer: &Answer<'_>, style: Style) -> String {
    let paint = Paint(style);
    let got = answer.resolution;
    let mut text = String::new();
    let none = || paint.warn("none: no policy matches this request");
    let list = |names: &[&str]| {
        names
            .iter()
            .map(|name| escape_terminal(name).into_owned())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let guardrails = if got.guardrails.is_empty() {
        none()
    } else {
        paint.strong(&list(&got.guardrails))
    };
    text.push_str(&format!("guardrails: {guardrails}\n"));
    for policy in &got.policies {
        let why = policy.matched_via().map_or_else(
            || "asked for by name".to_owned(),
            |reason| reason.to_string(),
        );
        // The name of a pinned one says its version itself.
        let number = policy
            .served_id()
            .and_then(|_| policy.version_number(answer.version));
        let version = number.map(|n| format!("@{n}")).unwrap_or_default();
        let name = format!("{}{version}", escape_terminal(policy.name()));
        let guardrails: Vec<&str> = policy.guardrail_names().collect();
        text.push_str(&format!(
            "  {} ({}): {}\n",
            paint.strong(&name),
            escape_terminal(&why),
            list(&guardrails)
        ));
        let chain: Vec<_> = policy.chain_names().map(escape_terminal).collect();
        if chain.len() > 1 {
            text.push_str(&format!("    built on {}\n", chain.join(" -> ")));
        }
    }
    for pipeline in &got.pipelines {
        text.push_str(&pipeline_lines(pipeline));
    }
    if !got.unknown.is_empty() {
        let names: Vec<&str> = got.unknown.iter().map(String::as_str).collect();
        text.push_str(&format!(
            "{}: {}\n",
            paint.warn("asked for, but unknown"),
            list(&names)
        ));
    }
    if let Some(near) = answer.explain {
        text.push_str(&format_explanation(near, &paint));
    }
    let commit = answer
        .origin
        .commit
        .map(|commit| format!(" at {}", commit.get(..12).unwrap_or(commit)))
        .unwrap_or_default();
    let promotion = answer
        .origin
        .promotion
        .map(|n| format!(", promotion {n}"))
        .unwrap_or_default();
    if let Some(until) = got.valid_until {
        text.push_str(&format!("valid until: {until}\n"));
    }
    text.push_str(&format!(
        "from: {}{commit}{promotion}\n",
        escape_terminal(answer.origin.set)
    ));
    text
}

fn pipeline_lines(resolved: &ResolvedPipeline<'_>) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or("").to_owned();
    let action = |action: Action| word(serde_json::json!(action));
    let mode = word(serde_json::json!(resolved.pipeline.mode));
    let mut text = format!(
        "pipeline of {} ({mode}):\n",
        escape_terminal(resolved.policy)
    );
    for (number, step) in (1..).zip(&resolved.pipeline.steps) {
        let name = escape_terminal(resolved.set.guardrail(step.guardrail)).into_owned();
        let on_error = action(step.on_error.unwrap_or(step.on_fail));
        let (on_pass, on_fail) = (action(step.on_pass), action(step.on_fail));
        text.push_str(&format!(
            "  {number}. {name}: pass {on_pass}, fail {on_fail}, error {on_error}\n"
        ));
    }
    text
}

/// The attachments that came near, those that matched first.
pub(super) fn format_explanation(near: &[Near], paint: &Paint) -> String {
    if near.is_empty() {
        return "no attachment comes near this request\n".to_owned();
    }
    let mut text = "attachments that came near:\n".to_owned();
    for near in near {
        let sign = match near.verdict {
            Verdict::Matched => paint.good("+"),
            Verdict::Repeated | Verdict::DefaultNotNeeded => "=".to_owned(),
            Verdict::ConditionFailed | Verdict::Missed | Verdict::Expired => paint.warn("-"),
        };
        let place = format!("{}:{}", escape_terminal(&near.file), near.line);
        text.push_str(&format!(
            "  {sign} {} ({place}): {}\n",
            escape_terminal(&near.policy),
            escape_terminal(&near.why)
        ));
    }
    text
}

/// Emphasis on a terminal.
pub(super) struct Paint(pub Style);

impl Paint {
    fn wrap(&self, code: &str, text: &str) -> String {
        if self.0.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn strong(&self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(super) fn good(&self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(super) fn warn(&self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(super) fn bad(&self, text: &str) -> String {
        self.wrap("31", text)
    }
}
