//! RG307 `litellm-unlisted-model`: a model that the config lacks

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG307",
    name: "litellm-unlisted-model",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "the models that attachments of a LiteLLM config name are in its `model_list`",
    why: "LiteLLM does not look whether an attachment names a model that exists; a mistyped one \
        never matches. A model may also come from the database or the router. It is imported into \
        the catalog with the others: remove it there if it is a mistake.",
    bad: &[(
        "config.yaml",
        r#"policies:
  baseline:
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    models: [gpt-5]
model_list:
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
    models: [gpt-4]
model_list:
  - model_name: gpt-4
"#,
    )],
};

/// A model that an attachment names and no list has.
pub(in crate::interop) fn report_model(file: &SourceFile, span: Span, model: &str) -> Finding {
    let said = format!(
        "`model_list` has no model `{}`: it is added to the catalog",
        model.escape_debug()
    );
    Finding::new(&RULE, file, span, said)
        .with_help("if it is mistyped, mend it here and import again")
}
