//! RG006 `null-value`: null where a value is due

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG006",
    name: "null-value",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a field that is given must have a value",
    why: "`teams:` with nothing after it is null. Other engines read that as an empty list or an \
        empty string, and an attachment becomes global. Leave the field out, or give it its value.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams:
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
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Nothing, `~` or `null` where `expected` is due.
pub(crate) fn report_null(file: &SourceFile, span: Span, field: &str, expected: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("`{field}` has no value: expected {expected}, found null"),
    )
    .with_help(format!("give `{field}` a value, or remove the line"))
}
