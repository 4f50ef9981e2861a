//! RG009 `duplicate-key`: the same key twice

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG009",
    name: "duplicate-key",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a key stands once in a mapping",
    why: "Most YAML libraries keep the last one and drop the others in silence: the reviewer reads \
        one policy, the engine loads another.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
guardrails:
  add: [debug_log]
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

/// A key that its mapping has already.
pub(crate) fn report_key(file: &SourceFile, span: Span, key: &str, first: Span) -> Finding {
    Finding::new(&RULE, file, span, format!("the key `{key}` is given twice"))
        .with_help("keep one of them")
        .with_related(file, first, "first given here")
}
