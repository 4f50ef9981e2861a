//! RG302 `litellm-everywhere`: an attachment that is for every request by a slip

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG302",
    name: "litellm-everywhere",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "an attachment of a LiteLLM config says which requests it is for",
    why: "LiteLLM reads an attachment without a target, with only empty lists, or with another \
        scope than `*` as one for every request. It is imported as what it does: `scope: \"*\"`. \
        Say that in the config if it is meant; name teams, keys, models or tags if it is not.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    scope: prod
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

const HELP: &str =
    "imported as `scope: \"*\"`; if that is not meant, name `teams`, `keys`, `models` or `tags`";

/// Nothing says which requests it is for.
pub(in crate::interop) fn no_target(file: &SourceFile, span: Span) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        "this attachment has no target: LiteLLM applies it to every request",
    )
    .with_help(HELP)
}

/// Only empty lists say which requests it is for.
pub(in crate::interop) fn empty_list(file: &SourceFile, span: Span) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        "an empty list is no target: LiteLLM applies this attachment to every request",
    )
    .with_help(HELP)
}

/// A scope that is not `*`.
pub(in crate::interop) fn report_scope(file: &SourceFile, span: Span, scope: &str) -> Finding {
    let scope = scope.escape_debug();
    let said = format!(
        "LiteLLM knows no scope but `*`: with `{scope}` it applies this attachment to every request"
    );
    Finding::new(&RULE, file, span, said).with_help(HELP)
}
