//! RG003 `forbidden-yaml`: YAML that readers disagree on

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG003",
    name: "forbidden-yaml",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "tags, merge keys, directives and keys that are not scalars are not used",
    why: "Each of them is read differently by different YAML libraries, so a reviewer and an \
        engine could read two policies from one text. Write the value out; plain anchors and \
        aliases are fine.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails: !custom
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

/// A tag such as `!!str` or `!include`.
pub(crate) fn report_tag(file: &SourceFile, span: Span) -> Finding {
    Finding::new(&RULE, file, span, "YAML tags are not used in policy files")
        .with_help("remove the tag; quote the value if it must be a string")
}

/// `<<: *base`.
pub(crate) fn merge_key(file: &SourceFile, span: Span) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        "merge keys (`<<`) are not used in policy files",
    )
    .with_help("write the fields out, or share guardrails between policies with `inherit`")
}

/// `%YAML 1.1` or `%TAG`.
pub(crate) fn report_directive(file: &SourceFile, span: Span) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        "YAML directives are not used in policy files",
    )
    .with_help("remove the line that begins with `%`")
}

/// A sequence or mapping as a key.
pub(crate) fn complex_key(file: &SourceFile, span: Span) -> Finding {
    Finding::new(&RULE, file, span, "a key must be a plain or quoted word")
        .with_help("write the key as one word")
}

/// `: value` or `~: value`: null as a key.
pub(crate) fn null_key(file: &SourceFile, span: Span) -> Finding {
    Finding::new(&RULE, file, span, "the key before this `:` is missing")
        .with_help("write the field's name, or quote the key if it is a name")
}
