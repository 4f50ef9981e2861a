//! RG102 `unknown-parent`: `inherit` names no policy

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Lineage;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG102",
    name: "unknown-parent",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "`inherit` names a policy of the set",
    why: "A policy whose parent is not there would lose, in silence, every guardrail that it \
        inherits.",
    bad: &[(
        "policies/finance.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: Policy
name: finance
inherit: basline
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [health]
"#,
    )],
    good: &[(
        "policies/finance.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: Policy
name: finance
inherit: baseline
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [health]
"#,
    )],
};

/// Every `inherit` that names no policy of the set.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut suggestions = Suggestions::new(draft.by_name.keys().copied());
    for (item, _) in draft
        .policies
        .iter()
        .zip(&draft.parents)
        .filter(|(_, parent)| parent.is_none())
    {
        if let Some(parent) = item
            .raw
            .inherit
            .as_ref()
            .filter(|parent| !draft.knows_policy(parent))
        {
            let message = format!("there is no policy `{}` to inherit from", parent.as_str());
            let near = suggestions.suggest_help(parent);
            findings.push(
                item.make_finding(&RULE, parent.span, message)
                    .with_help("name a policy of this set")
                    .maybe_help(near),
            );
        }
    }
}
