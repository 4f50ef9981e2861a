//! RG312 `litellm-unlisted-guardrail`: a guardrail that the config lacks

use crate::document::{Finding, Rule, Severity, SourceFile, Span, did_you_mean};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG312",
    name: "litellm-unlisted-guardrail",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "the guardrails that policies of a LiteLLM config name are in its `guardrails`",
    why: "A guardrail may also be made in the proxy's dashboard, which keeps it in the database; \
        of one that is nowhere LiteLLM runs nothing, and a pipeline step of it is an error for \
        each call. It is imported into the catalog by its name: give it its `modes` there, or mend \
        it if it is a mistake.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker, made_in_the_dashboard]
policy_attachments:
  - policy: baseline
    scope: "*"
guardrails:
  - guardrail_name: pii_blocker
    litellm_params: {guardrail: presidio, mode: pre_call}
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
    litellm_params: {guardrail: presidio, mode: pre_call}
"#,
    )],
};

/// A guardrail that a policy adds and no list has.
pub(in crate::interop) fn report_guardrail<'a>(
    file: &SourceFile,
    span: Span,
    name: &str,
    listed: impl Iterator<Item = &'a str>,
) -> Finding {
    let said = format!(
        "`{}` is not among this config's `guardrails`: it is added to the catalog",
        name.escape_debug()
    );
    let near = did_you_mean(name, listed).map(|near| format!("did you mean `{near}`?"));
    Finding::new(&RULE, file, span, said)
        .with_help(
            "if it is made in the proxy's dashboard, give it its modes in the catalog; if it is \
            mistyped, mend it here and import again",
        )
        .maybe_help(near)
}
