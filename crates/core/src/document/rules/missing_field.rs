//! RG010 `missing-field`: a field that must be there

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG010",
    name: "missing-field",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a document has the fields that its kind needs",
    why: "A policy without a name cannot be attached, an attachment without a policy gives \
        nothing.",
    bad: &[(
        "policies/baseline.yaml",
        "apiVersion: refguard/v1
kind: Policy
guardrails:
  add: [pii_blocker]
",
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

/// A field that must be there.
pub(crate) fn report_field(file: &SourceFile, span: Span, field: &str, of: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("the field `{field}` is missing{of}"),
    )
    .with_help(format!("add `{field}:`"))
}
