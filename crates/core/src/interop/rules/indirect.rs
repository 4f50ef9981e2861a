//! RG306 `litellm-indirect`: policies that the config does not hold itself

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG306",
    name: "litellm-indirect",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "the policies of a LiteLLM config stand in it, not in files it includes or in the \
        environment",
    why: "LiteLLM merges the files under `include` into the config and fills values that begin \
        with `os.environ/` from the environment; where a variable is not set the value is null, \
        and a `scope` or a condition is gone. Import sees only the text of one config: write the \
        files and values into it first.",
    bad: &[(
        "config.yaml",
        r#"include: [policies.yaml]
policies:
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
    guardrails:
      add: [pii_blocker]
policy_attachments:
  - policy: baseline
    scope: "*"
"#,
    )],
};

/// Other files belong to this config.
pub(in crate::interop) fn report_include(file: &SourceFile, span: Span) -> Finding {
    Finding::new(
        &RULE,
        file,
        span,
        "`include` names other files, which import does not read",
    )
    .with_help("copy the included files into one config, without `include`, and import that")
}

/// A value that is not here.
pub(in crate::interop) fn report_environment(
    file: &SourceFile,
    span: Span,
    value: &str,
) -> Finding {
    let said = format!(
        "LiteLLM fills `{}` from the environment, which import does not know",
        value.escape_debug()
    );
    Finding::new(&RULE, file, span, said).with_help("write the value itself")
}
