//! RG018 `misnamed-file`: a name that ends in `.YAML` or `.Yml`

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG018",
    name: "misnamed-file",
    severity: Severity::Error,
    since: Rule::SINCE_0_2,
    summary: "the name of a file of the set ends in `.yaml` or `.yml`, in small letters",
    why: "Only such files are read. A policy in `baseline.YAML` would vanish on one system and, \
        where the file system does not tell large letters from small ones, be there on another.",
    bad: &[(
        "policies/baseline.YAML",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
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

/// A file of ours, or under one of our folders, with such a name.
pub(crate) fn report_file(file: &SourceFile) -> Finding {
    let name = file.path().rsplit('.').next().unwrap_or("");
    let message = format!("this file is not read: its name ends in `.{name}`");
    Finding::new(&RULE, file, Span::default(), message).with_help(format!(
        "rename it, so that it ends in `.{}`",
        name.to_lowercase()
    ))
}
