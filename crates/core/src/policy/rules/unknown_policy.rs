//! RG109 `unknown-policy`: an attachment to no policy

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Lineage;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG109",
    name: "unknown-policy",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "an attachment names a policy of the set",
    why: "An attachment to a policy that is not there gives its requests nothing, and nobody is \
        told.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: base-line
teams: [finance]
"#,
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every attachment whose policy is not of the set.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut suggestions = Suggestions::new(draft.by_name.keys().copied());
    for (item, _) in draft
        .attachments
        .iter()
        .zip(&draft.owners)
        .filter(|(_, owner)| owner.is_none())
    {
        let policy = &item.raw.policy;
        if !draft.knows_policy(policy) {
            let message = format!("there is no policy `{}`", policy.as_str());
            let finding = item
                .make_finding(&RULE, policy.span, message)
                .with_help("name a policy of this set");
            findings.push(finding.maybe_help(suggestions.suggest_help(policy)));
        }
    }
}
