//! RG218 `idle-glob`: an `include` or `exclude` that matches no file

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG218",
    name: "idle-glob",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "every glob of `include` and `exclude` matches a file",
    why: "`include: [\"polices/**\"]` reads nothing, and an `exclude` that was meant for a folder \
        that has another name leaves out nothing. Globs are relative to the folder of \
        refguard.yaml; of other files than YAML only those under the set's own folders are looked \
        at, and folders whose names begin with a dot are not searched at all.",
    bad: &[
        (
            "refguard.yaml",
            r#"apiVersion: refguard/v1
kind: Repository
exclude: ["polices/old/**"]
"#,
        ),
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
    ],
    good: &[
        (
            "refguard.yaml",
            r#"apiVersion: refguard/v1
kind: Repository
exclude: ["policies/old/**"]
"#,
        ),
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
            "policies/old/baseline.yaml",
            r#"apiVersion: refguard/v1
kind: Policy
name: baseline
"#,
        ),
    ],
};

/// A glob of a field of refguard.yaml that matches no file.
pub fn report_glob(file: &SourceFile, span: Span, field: &str, glob: &str) -> Finding {
    let message = format!("`{}` under `{field}` matches no file", glob.escape_debug());
    Finding::new(&RULE, file, span, message)
        .with_help("mend the path, which is relative to this file's folder, or remove the line")
}
