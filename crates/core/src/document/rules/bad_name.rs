//! RG013 `bad-name`: a name that cannot be one

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG013",
    name: "bad-name",
    severity: Severity::Error,
    summary: "a name has 1 to 128 characters, none of them a control character or `@`, and no space at either end",
    why: "`@` separates a name from its version (`baseline@3`); spaces and control characters make two names that look the same.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline@2
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline@2
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

/// Why `name` is no name, if it is none.
pub(crate) fn fault(name: &str) -> Option<String> {
    let fault = if name.is_empty() {
        "is empty".to_owned()
    } else if name.chars().count() > 128 {
        format!("has {} characters; 128 are allowed", name.chars().count())
    } else if name.chars().any(char::is_control) {
        "has a control character".to_owned()
    } else if name.contains('@') {
        "has an `@`, which separates a name from its version".to_owned()
    } else if name.trim() != name {
        "begins or ends with a space".to_owned()
    } else {
        return None;
    };
    Some(fault)
}

/// A name that is none.
pub(crate) fn finding(file: &SourceFile, span: Span, name: &str, fault: &str) -> Finding {
    Finding::new(&RULE, file, span, format!("the name `{}` {fault}", name.escape_debug()))
        .help("use 1 to 128 characters without control characters, without `@`, and without a space at either end")
}
