//! RG303 `litellm-ignored`: something that LiteLLM reads and does not heed

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG303",
    name: "litellm-ignored",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a LiteLLM config has nothing that LiteLLM does not heed",
    why: "LiteLLM does not heed lists beside `scope: \"*\"`, a scope beside lists, empty lists \
        beside others, and an empty `inherit`. They are left out, so that the answers stay what \
        they are; look whether they were meant to narrow something.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    scope: "*"
    teams: [healthcare]
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
    scope: "*"
"#,
    )],
};

/// Something that is left out because LiteLLM does not heed it.
pub(in crate::interop) fn report_ignored(file: &SourceFile, span: Span, what: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("LiteLLM does not heed {what}: it is left out"),
    )
    .with_help("remove it if that is right; if it was meant to have an effect, mend the config")
}
