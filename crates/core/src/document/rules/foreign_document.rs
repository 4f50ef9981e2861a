//! RG015 `foreign-document`: somebody else's document in our folders

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG015",
    name: "foreign-document",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "the folders `policies`, `attachments`, `tests` and `invariants` hold only our \
        documents",
    why: "A YAML document there that is not ours is more likely a policy with a broken header than \
        a stranger. Put other YAML elsewhere, or name it under `exclude` in refguard.yaml.",
    bad: &[(
        "policies/baseline.yaml",
        "title: baseline
rules: [pii_blocker]
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

/// A YAML document under one of our folders that is not ours.
pub(crate) fn report_document(file: &SourceFile, span: Span, folder: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("this document is not refguard's, but stands under `{folder}/`"),
    )
    .with_help(
        "begin it with `apiVersion: refguard/v1` and a `kind`, or move the file, or name it \
            under `exclude` in refguard.yaml",
    )
}
