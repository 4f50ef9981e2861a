//! RG304 `litellm-empty-condition`: a condition that always holds

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG304",
    name: "litellm-empty-condition",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a condition of a LiteLLM config names a model",
    why: "LiteLLM takes an empty condition, or one whose `model` is null, as no condition: the \
        policy always holds. It is imported without a condition.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
    condition: {}
policy_attachments:
  - policy: baseline
    scope: "*"
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

/// A condition without a model.
pub(in crate::interop) fn report_condition(file: &SourceFile, span: Span, of: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("the condition{of} is empty: for LiteLLM it always holds"),
    )
    .with_help("imported without a condition; name a `model` if one was meant")
}
