//! RG012 `unknown-field`: a field that no reader knows

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG012",
    name: "unknown-field",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a document has only the fields that its kind knows",
    why: "A field with a slip in its name used to be ignored: `team:` for `teams:` made an \
        attachment global. Here every field is known or refused.",
    bad: &[(
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
team: [finance]
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

use crate::document::did_you_mean;

/// A field that the mapping does not know.
pub(crate) fn report_field(
    file: &SourceFile,
    span: Span,
    field: &str,
    known: &[&str],
    of: &str,
) -> Finding {
    let help = match did_you_mean(field, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "the fields are {}",
            known
                .iter()
                .map(|k| format!("`{k}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };

    Finding::new(&RULE, file, span, format!("unknown field `{field}`{of}")).with_help(help)
}
