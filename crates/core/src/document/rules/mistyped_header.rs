//! RG014 `mistyped-header`: a document that is nearly ours

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG014",
    name: "mistyped-header",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a document that is nearly ours is ours, and must say so",
    why: "A slip in `apiVersion` or `kind` would make a policy vanish: the engine would skip the \
        file as somebody else's. So a header within two edits of ours, or one of our kinds without \
        `apiVersion`, is an error.",
    bad: &[(
        "policies/baseline.yaml",
        "apiVersion: refgaurd/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
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

use crate::document::did_you_mean;

/// An `apiVersion` that is nearly ours.
pub(crate) fn api_version(file: &SourceFile, span: Span, found: &str) -> Finding {
    Finding::new(&RULE, file, span, format!("`apiVersion` is `{found}`"))
        .with_help("did you mean `refguard/v1`?")
}

/// One of our kinds, or our version under another key, without `apiVersion`.
pub(crate) fn no_api_version(file: &SourceFile, span: Span, said: &str) -> Finding {
    Finding::new(&RULE, file, span, said)
        .with_help("begin the document with `apiVersion: refguard/v1`")
}

/// A kind that there is not.
pub(crate) fn report_kind(file: &SourceFile, span: Span, found: &str, kinds: &[&str]) -> Finding {
    let help = match did_you_mean(found, kinds.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "the kinds are {}",
            kinds
                .iter()
                .map(|k| format!("`{k}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };

    Finding::new(&RULE, file, span, format!("unknown kind `{found}`")).with_help(help)
}

/// A document of ours that cannot be placed.
pub(crate) fn report_misplaced(file: &SourceFile, span: Span, said: &str, help: &str) -> Finding {
    Finding::new(&RULE, file, span, said).with_help(help)
}
