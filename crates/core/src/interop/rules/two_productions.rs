//! RG310 `litellm-two-productions`: two versions in production

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG310",
    name: "litellm-two-productions",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a policy of a LiteLLM database has one version in production",
    why: "Two promotions at once can leave two versions of a policy in production, as LiteLLM \
        demotes the one and promotes the other in two writes. Which one it serves is then a matter \
        of the order of rows: after a synchronisation the one that its list has last. That one is \
        taken.",
    bad: &[
        (
            "policies.json",
            r#"{"policies": [{"policy_name": "baseline", "version_number": 2, "version_status": "production", "guardrails_add": ["pii_blocker"]},
  {"policy_name": "baseline", "version_number": 1, "version_status": "production", "guardrails_add": ["pii_masker"]}]}
"#,
        ),
        (
            "attachments.json",
            r#"{"attachments": [{"policy_name": "baseline", "scope": "*"}]}
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

/// A second version in production; `taken` is the one that LiteLLM serves.
pub(in crate::interop) fn report_versions(
    file: &SourceFile,
    span: Span,
    policy: &str,
    taken: i64,
) -> Finding {
    let said = format!(
        "two versions of the policy `{policy}` are in production: LiteLLM serves version {taken}"
    );
    Finding::new(&RULE, file, span, said)
        .with_help("look which one was meant; promote it after the import")
}
