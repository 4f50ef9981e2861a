//! RG011 `bad-value`: a value outside the choice

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG011",
    name: "bad-value",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a field with a fixed choice of values has one of them",
    why: "A status or action that is not known used to pass in silence and to mean the default. \
        Here it is refused, with the values there are.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
pipeline:
  mode: pre-call
  steps:
    - guardrail: pii_blocker
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
pipeline:
  mode: pre_call
  steps:
    - guardrail: pii_blocker
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

use crate::document::did_you_mean;

/// A value that is not among the ones allowed.
pub(crate) fn report_value(
    file: &SourceFile,
    span: Span,
    field: &str,
    found: &str,
    allowed: &[&str],
) -> Finding {
    let list: Vec<String> = allowed.iter().map(|a| format!("`{a}`")).collect();
    let nearest =
        did_you_mean(found, allowed.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    Finding::new(
        &RULE,
        file,
        span,
        format!(
            "`{field}` cannot be `{found}`: it is one of {}",
            list.join(", ")
        ),
    )
    .maybe_help(nearest)
}

/// A value outside what its field takes, in words.
pub(crate) fn report_other(file: &SourceFile, span: Span, field: &str, said: &str) -> Finding {
    Finding::new(&RULE, file, span, format!("`{field}`: {said}"))
}
