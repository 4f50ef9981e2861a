//! RG308 `litellm-no-policies`: a config without policies

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG308",
    name: "litellm-no-policies",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a LiteLLM config that is imported has `policies`",
    why: "Without `policies` LiteLLM does not start its policy engine and leaves \
        `policy_attachments` unread. There is nothing to import. Under another key, such as \
        `litellm_settings` or the `proxy_config` of a Helm chart's values, LiteLLM does not read \
        them either.",
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

/// A saved answer of `/policies/list` has no policy.
pub(in crate::interop) fn report_empty_answer(file: &SourceFile) -> Finding {
    Finding::new(
        &RULE,
        file,
        Span::default(),
        "this saved answer has no policies",
    )
    .with_help("ask the proxy's `/policies/list` with its master key, and save what it says")
}

/// There is no policy; `elsewhere` names a key under which some stand.
pub(in crate::interop) fn report_absence(
    file: &SourceFile,
    span: Span,
    elsewhere: Option<(&str, Span)>,
) -> Finding {
    let finding = |span, said: &str| Finding::new(&RULE, file, span, said);
    match elsewhere {
        None => finding(span, "this config has no policies")
            .with_help("give the proxy's config, the file that LiteLLM is started with"),
        Some((key, at)) => {
            let key = key.escape_debug();
            let said = format!("this config has no policies at its top: they stand under `{key}`");
            finding(at, &said).with_help(match &*key.to_string() {
                "proxy_config" => {
                    "give the proxy's config itself: what stands under `proxy_config`".to_owned()
                }
                _ => format!(
                    "LiteLLM does not read them under `{key}`: move them to the top of the config"
                ),
            })
        }
    }
}
