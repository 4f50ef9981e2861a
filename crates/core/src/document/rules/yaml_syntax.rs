//! RG001 `yaml-syntax`: the text is not YAML

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG001",
    name: "yaml-syntax",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a file must be well-formed YAML 1.2",
    why: "A file that does not parse says nothing for certain. refguard reports the place, reads \
        the file's other documents all the same, and refuses the set.",
    bad: &[(
        "policies/baseline.yaml",
        "apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker
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

/// The lines that git leaves where it could not merge.
pub(crate) fn merge_conflict(file: &SourceFile, span: Span) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        "this is a merge that is not finished: git left both sides here",
    )
    .with_help(
        "keep what is right of the two sides, and remove the lines `<<<<<<<`, `=======` and \
            `>>>>>>>`",
    )
}

/// What the parser says, at its place.
pub(crate) fn report_syntax(file: &SourceFile, span: Span, said: &str) -> Finding {
    let line = file
        .text()
        .get(..span.start as usize)
        .and_then(|t| t.rsplit('\n').next())
        .unwrap_or("");
    let tab = line.contains('\t')
        || file
            .text()
            .get(span.start as usize..)
            .is_some_and(|t| t.starts_with('\t'));
    let help = if tab {
        "indent with spaces; YAML does not allow tabs there"
    } else {
        "mend the YAML at or just before this place"
    };

    Finding::new(
        &RULE,
        file,
        span,
        format!(
            "not well-formed YAML: {}",
            said.trim_end_matches('.').to_lowercase()
        ),
    )
    .with_help(help)
}
