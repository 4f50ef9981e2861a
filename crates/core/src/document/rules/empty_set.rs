//! RG019 `empty-set`: nothing to judge

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG019",
    name: "empty-set",
    severity: Severity::Error,
    since: Rule::SINCE_0_2,
    summary: "a tree that is judged holds a document of ours besides its settings",
    why: "\"0 policies, no finding\" is what a check says in the wrong folder, of a sparse \
        checkout, and where `include` has a typo: the pipeline is green and nothing was looked at. \
        Where a repository is meant to be empty, say `--allow-empty`.",
    bad: &[(
        "refguard.yaml",
        r#"apiVersion: refguard/v1
kind: Repository
include: ["**/*.yaml"]
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

/// A tree without documents; said at the settings, or else at the folder.
pub fn report_empty(place: &SourceFile) -> Finding {
    Finding::new(
        &RULE,
        place,
        Span::default(),
        "no policy document was found",
    )
    .with_help(
        "look whether this is the right folder (`-C DIR`), whether all of it is checked out, \
            and what `include` and `exclude` in refguard.yaml leave; an empty set is accepted with \
            `--allow-empty`",
    )
}
