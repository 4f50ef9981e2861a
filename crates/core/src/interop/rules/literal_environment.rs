//! RG314 `litellm-literal-environment`: a variable in a list, which LiteLLM does not fill

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG314",
    name: "litellm-literal-environment",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "lists of a LiteLLM config hold values, not variables",
    why: "LiteLLM fills `os.environ/…` from the environment where it is the value of a key, not \
        where it stands in a list: there it is the text itself, and a team or a model of that name \
        does not exist. It is imported as LiteLLM reads it.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    teams: [os.environ/TEAM]
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
    teams: [finance]
"#,
    )],
};

/// A variable in a list.
pub(in crate::interop) fn report_value(file: &SourceFile, span: Span, value: &str) -> Finding {
    let said = format!(
        "LiteLLM does not fill `{}` in a list: it matches only this very text",
        value.escape_debug()
    );
    Finding::new(&RULE, file, span, said).with_help("write the value itself")
}
