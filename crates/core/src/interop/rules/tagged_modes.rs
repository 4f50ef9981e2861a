//! RG313 `litellm-tagged-modes`: a guardrail whose modes depend on the tags of a call

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG313",
    name: "litellm-tagged-modes",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "the modes of a LiteLLM guardrail are the same for every call",
    why: "Where `mode` gives modes by tag, a guardrail runs in them only for calls with such a \
        tag; the catalog has one list. It is imported with all modes that some call has, so a step \
        of a pipeline may still pass in silence for calls without the tag.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    scope: "*"
guardrails:
  - guardrail_name: pii_blocker
    litellm_params:
      guardrail: presidio
      mode: {tags: {internal: logging_only}, default: pre_call}
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
guardrails:
  - guardrail_name: pii_blocker
    litellm_params: {guardrail: presidio, mode: [pre_call, logging_only]}
"#,
    )],
};

/// Modes by tag.
pub(in crate::interop) fn report_modes(file: &SourceFile, span: Span, name: &str) -> Finding {
    let said = format!(
        "the modes of `{}` depend on tags: it is imported with all of them",
        name.escape_debug()
    );
    Finding::new(&RULE, file, span, said)
        .with_help("leave those that every call has in the catalog, if pipelines rely on them")
}
