//! RG315 `litellm-split-character`: a character that PyYAML reads as two halves

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG315",
    name: "litellm-split-character",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "texts of a LiteLLM config are written without escapes of half characters",
    why: "JSON writes a character past U+FFFF as two escapes, such as `\\ud83d\\ude00`. PyYAML, \
        which LiteLLM reads its config with, does not put them together: the text that it has \
        equals no text of a request. It is imported as the character that was meant.",
    bad: &[(
        "config.yaml",
        "policies:\n  baseline:\n    guardrails:\n      add: [pii_blocker]\n\
         policy_attachments:\n  - policy: baseline\n    teams: [\"team \\ud83d\\ude00\"]\n",
    )],
    good: &[(
        "config.yaml",
        "policies:\n  baseline:\n    guardrails:\n      add: [pii_blocker]\n\
         policy_attachments:\n  - policy: baseline\n    teams: [\"team \\U0001F600\"]\n",
    )],
};

/// A text with such escapes.
pub(in crate::interop) fn report_character(file: &SourceFile, span: Span) -> Finding {
    let said = "LiteLLM reads `\\ud8xx\\udcxx` as two broken characters: it matches no request";
    Finding::new(&RULE, file, span, said)
        .with_help("it is imported as the character that is meant: write that into the config too")
}
