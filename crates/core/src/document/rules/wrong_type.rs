//! RG008 `wrong-type`: a value of another type

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG008",
    name: "wrong-type",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a value has the type that its field asks for",
    why: "A string where a list is due, a number where a name is due: guessing would make a policy \
        that nobody wrote.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: pii_blocker
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
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// A value of another type than its field's.
pub(crate) fn report_type(
    file: &SourceFile,
    span: Span,
    field: &str,
    expected: &str,
    found: &str,
) -> Finding {
    let place = if field.is_empty() {
        String::new()
    } else {
        format!("`{field}`: ")
    };

    Finding::new(
        &RULE,
        file,
        span,
        format!("{place}expected {expected}, found {found}"),
    )
}

/// A value that the schema let through and the type does not take, such as `10.0` for a whole
/// number.
pub(crate) fn report_unreadable(file: &SourceFile, span: Span, said: &str) -> Finding {
    Finding::new(&RULE, file, span, said)
}
