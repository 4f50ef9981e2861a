//! RG007 `ambiguous-scalar`: a scalar that YAML versions read differently

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG007",
    name: "ambiguous-scalar",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "text that YAML could take for something else is quoted where a string is due",
    why: "YAML 1.1 reads `no` as false, `0755` as 493 and `12:30` as 750; YAML 1.2 does not. \
        refguard reads 1.2, your other tools may not. In quotes it is a string for all of them.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
owner: no
guardrails:
  add: [pii_blocker]
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
owner: "no"
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

/// A plain scalar that needs quotes to be the string it is meant as.
pub(crate) fn report_reading(file: &SourceFile, span: Span, text: &str, reading: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("`{text}` {reading}; a string is due here"),
    )
    .with_help(format!("quote it: \"{text}\""))
}

/// A plain scalar that two YAML versions read differently where a number is due.
pub(crate) fn report_number(file: &SourceFile, span: Span, text: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("YAML 1.1 and YAML 1.2 read `{text}` as different values"),
    )
    .with_help("write the number in plain decimal digits")
}
