//! RG311 `litellm-comments`: comments that an import leaves behind

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG311",
    name: "litellm-comments",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "comments among the policies of a LiteLLM config are carried over by hand",
    why: "An import writes what a config means, and a comment means nothing to LiteLLM. To a \
        person it may be why a guardrail is there. Copy what is worth keeping beside the documents \
        that the import wrote, or into their `description`; the config itself is not changed.",
    bad: &[(
        "config.yaml",
        r#"policies:
  # Demanded by the audit of 2025.
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    scope: "*"
"#,
    )],
    good: &[(
        "config.yaml",
        r#"policies:
  baseline:
    description: Demanded by the audit of 2025.
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    scope: "*"
"#,
    )],
};

/// Comments of which the first stands at a place.
pub(in crate::interop) fn report_comments(file: &SourceFile, first: Span, count: usize) -> Finding {
    let message = match count {
        1 => "this comment is not carried over".to_owned(),
        _ => format!("{count} comments among the policies are not carried over; this is the first"),
    };

    Finding::new(&RULE, file, first, message)
        .with_help("copy it beside the entry that it is about, or into a `description`")
}
