//! RG204 `glob-condition`: a condition written as a glob

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG204",
    name: "glob-condition",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a condition is a regular expression, not a glob",
    why: "`gpt-4*` means `gpt-` and then any number of the character `4`: it does not match \
        `gpt-4o`. What begins with `gpt-4` is `gpt-4.*`.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
condition:
  model: "gpt-4*"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
condition:
  model: "gpt-4.*"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every pattern that reads like a glob.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        for text in item
            .raw
            .condition
            .iter()
            .flat_map(|condition| &condition.model.0)
        {
            if let Some(Ok(pattern)) = draft.conditions.get(text.as_str())
                && pattern.looks_like_glob()
            {
                let written = text.escape_debug();
                let message = format!(
                    "the condition `{written}` looks like a glob, and is a regular expression"
                );
                let meant = text.strip_suffix('*').unwrap_or(text).escape_debug();
                findings.push(
                    item.make_finding(&RULE, text.span, message)
                        .with_help(format!("for any rest write `{meant}.*`")),
                );
            }
        }
    }
}
