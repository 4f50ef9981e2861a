//! RG308 `litellm-no-policies`: a config without policies

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG308",
    name: "litellm-no-policies",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a LiteLLM config that is imported has `policies`",
    why: "Without `policies` LiteLLM does not start its policy engine and leaves `policy_attachments` unread. There is nothing to import.",
    bad: &[(
        "config.yaml",
        r#"model_list:
  - model_name: gpt-4
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

/// There is no policy.
pub(in crate::interop) fn finding(file: &SourceFile, span: Span) -> Finding {
    Finding::new(&RULE, file, span, "this config has no policies")
        .help("give the proxy's config, the file that LiteLLM is started with")
}
