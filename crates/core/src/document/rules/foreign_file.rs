//! RG016 `foreign-file`: a file in our folders that is not read

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG016",
    name: "foreign-file",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "the folders of the set hold only YAML files",
    why: "A file `baseline.yaml.bak` or `baseline.yam` under `policies/` is not read. If it was \
        meant to be, its policy is missing.",
    bad: &[
        (
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
        ),
        (
            "policies/old.yaml.bak",
            "name: old
",
        ),
    ],
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

/// A file under one of our folders that is not read.
pub(crate) fn report_file(file: &SourceFile, folder: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        Span::default(),
        format!(
            "this file under `{folder}/` is not read: its name does not end in `.yaml` or \
            `.yml`"
        ),
    )
    .with_help(
        "rename it if it holds policies; otherwise move it, or name it under `exclude` in \
        refguard.yaml",
    )
}
