//! RG301 `litellm-unknown-key`: a key that LiteLLM leaves unread

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG301",
    name: "litellm-unknown-key",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a policy or attachment of a LiteLLM config has only keys that LiteLLM reads",
    why: "LiteLLM takes the keys it knows and leaves the others unread: with `team:` instead of \
        `teams:` an attachment is for every request, with `models:` in a condition the policy \
        always holds. What such a key was meant to do is unknown, so nothing is imported until it \
        is mended.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    team: [healthcare]
"#,
    )],
    good: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    teams: [healthcare]
"#,
    )],
};

use crate::document::did_you_mean;

/// A key that LiteLLM does not read.
pub(in crate::interop) fn report_key(
    file: &SourceFile,
    span: Span,
    key: &str,
    known: &[&str],
    of: &str,
) -> Finding {
    let help = match did_you_mean(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "the keys are {}",
            known
                .iter()
                .map(|k| format!("`{k}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };

    Finding::new(&RULE, file, span, format!("unknown key `{key}`{of}")).with_help(help)
}
