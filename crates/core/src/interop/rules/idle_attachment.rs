//! RG309 `litellm-idle-attachment`: an attachment that does nothing

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG309",
    name: "litellm-idle-attachment",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "an attachment of a LiteLLM database is to a policy that was published",
    why: "LiteLLM keeps the attachments of a policy that is deleted, renamed or never published, \
        and applies nothing for them. They are left out.",
    bad: &[
        (
            "policies.json",
            r#"{"policies": [{"policy_name": "baseline", "version_number": 1, "version_status": "production", "guardrails_add": ["pii_blocker"]}]}
"#,
        ),
        (
            "attachments.json",
            r#"{"attachments": [{"policy_name": "baseline", "scope": "*"}, {"policy_name": "deleted", "teams": ["finance"]}]}
"#,
        ),
    ],
    good: &[
        (
            "policies.json",
            r#"{"policies": [{"policy_name": "baseline", "version_number": 1, "version_status": "production", "guardrails_add": ["pii_blocker"]}]}
"#,
        ),
        (
            "attachments.json",
            r#"{"attachments": [{"policy_name": "baseline", "scope": "*"}]}
"#,
        ),
    ],
};

/// An attachment to a policy without a published version.
pub(in crate::interop) fn report_attachment(
    file: &SourceFile,
    span: Span,
    policy: &str,
) -> Finding {
    let said = format!(
        "no version of the policy `{policy}` was published: this attachment does nothing and is \
            left out"
    );
    Finding::new(&RULE, file, span, said)
}
