//! RG305 `litellm-dead-condition`: a condition that never holds

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG305",
    name: "litellm-dead-condition",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a condition of a LiteLLM config does not have an empty list of models",
    why: "With `model: []` LiteLLM never applies the policy, where `model:` without a value always \
        applies it. One of the two was meant.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
    condition:
      model: []
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
    condition:
      model: ["gpt-4.*"]
policy_attachments:
  - policy: baseline
    scope: "*"
"#,
    )],
};

/// A condition with no pattern.
pub(in crate::interop) fn report_condition(file: &SourceFile, span: Span, of: &str) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        format!("the condition{of} has an empty list: for LiteLLM it never holds"),
    )
    .with_help("name the models, or remove the condition or the policy")
}
