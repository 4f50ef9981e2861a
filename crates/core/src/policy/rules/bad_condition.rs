//! RG114 `bad-condition`: a condition outside the grammar

use super::Scope;
use crate::document::rules::limit_exceeded;
use crate::document::{Finding, Rule, Severity, SourceFile, Span, Spanned};
use crate::policy::DraftSet;
use crate::policy::condition::ConditionFault;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG114",
    name: "bad-condition",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a condition's pattern is one that Python and Rust read alike",
    why: "A gateway in Python reads the same patterns. Allowed are literals, escaped punctuation, \
        `.`, classes, `\\d \\w \\s`, groups, `|`, `* + ? {m} {m,} {m,n}`, `(?i)` at the start, `^` \
        and `$` at the ends. Look-around, back-references, `\\b` and the rest are read differently \
        or not at all, and a pattern that never matches is a policy that never applies.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
condition:
  model: "gpt-4(?!o).*"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
condition:
  model: ["gpt-4", "gpt-4-.*"]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every pattern that cannot be read.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.conditions.values().all(Result::is_ok) {
        return;
    }

    for item in &draft.policies {
        for text in item
            .raw
            .condition
            .iter()
            .flat_map(|condition| &condition.model.0)
        {
            if let Some(Err(fault)) = draft.conditions.get(text.as_str()) {
                let rule = if fault.limit {
                    &limit_exceeded::RULE
                } else {
                    &RULE
                };

                let message = format!(
                    "the condition `{}` cannot be read: {}",
                    shorten_text(text),
                    fault.message
                );
                let finding = item.make_finding(rule, fault_place(item.file, text, fault), message);
                findings.push(finding.maybe_help(fault.help.clone()));
            }
        }
    }
}

/// The fault's own place, if the pattern stands in the file as it is; else the whole scalar.
fn fault_place(file: &SourceFile, text: &Spanned<String>, fault: &ConditionFault) -> Span {
    let (start, end) = (text.span.start as usize, text.span.end as usize);
    let written = file.text().get(start..end).unwrap_or("");
    let inner = ['"', '\'']
        .iter()
        .find_map(|quote| written.strip_prefix(*quote)?.strip_suffix(*quote));
    let offset = match inner {
        Some(inner) if inner == text.value => 1,
        None if written == text.value => 0,
        _ => return text.span,
    };

    if fault.range.is_empty() && !text.is_empty() {
        return text.span;
    }

    Span::new(
        start + offset + fault.range.start,
        start + offset + fault.range.end,
    )
}

fn shorten_text(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("").escape_debug()),
        None => text.escape_debug().to_string(),
    }
}
