//! RG316 `litellm-mended-row`: a version whose author or time the database does not tell

use crate::document::{Finding, Rule, Severity, SourceFile, Span};

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG316",
    name: "litellm-mended-row",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "the versions of a LiteLLM database say who made them and when",
    why: "Each version becomes a commit with its author and its time. A row without an author, or \
        with one that git cannot take, is a commit of `litellm`; one whose time cannot be read, is \
        before 1970 or after 2100, has the time of the version before it; without any before it, \
        a time of the other commits; and where no row tells a time, that of the import.",
    bad: &[
        (
            "policies.json",
            r#"{"policies": [{"policy_name": "baseline", "version_number": 1, "version_status": "production",
  "guardrails_add": ["pii_blocker"], "created_at": "yesterday", "created_by": ""}]}
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
            r#"{"policies": [{"policy_name": "baseline", "version_number": 1, "version_status": "production",
  "guardrails_add": ["pii_blocker"], "created_at": "2026-01-01T00:00:00Z", "created_by": "user-1"}]}
"#,
        ),
        (
            "attachments.json",
            r#"{"attachments": [{"policy_name": "baseline", "scope": "*"}]}
"#,
        ),
    ],
};

/// A version whose row is older than the one before it.
pub(in crate::interop) const OLDER: &str =
    "is older than the version before it: its commit has the time of that one";

/// A version without a time, after one that has one.
pub(in crate::interop) const TIMELESS: &str =
    "has no time that can be right: its commit has the time of the version before it";

/// A version without a time, and without a version before it that has one.
pub(in crate::interop) const TIMELESS_FIRST: &str = "has no time that can be right, and nor has a \
    version before it: its commit has the earliest time of all, or that of this import";

/// The same of a draft.
pub(in crate::interop) const TIMELESS_DRAFT: &str = "has no time that can be right, and nor has a \
    version before it: its commit has the latest time of all, or that of this import";

/// What of a row was mended.
pub(in crate::interop) fn report_row(
    file: &SourceFile,
    span: Span,
    name: &str,
    number: i64,
    what: &str,
) -> Finding {
    let said = format!("version {number} of `{}` {what}", name.escape_debug());
    Finding::new(&RULE, file, span, said)
        .with_help("mend the saved answer and import again, if it matters who made it and when")
}
