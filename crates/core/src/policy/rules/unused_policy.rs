//! RG201 `unused-policy`: a policy that no request gets

use rustc_hash::FxHashSet;

use super::Scope;
use crate::document::{Finding, Kind, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG201",
    name: "unused-policy",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a policy is attached, inherited from, or requestable",
    why: "A policy that is attached nowhere protects nothing, unless keys, teams or requests name \
        it; one that is `requestable` is meant for that. Most often its attachment was forgotten.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
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

/// Every policy without attachments and children that is not requestable.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.may_lack(Kind::PolicyAttachment) || draft.may_lack(Kind::Policy) {
        return;
    }

    let parents: FxHashSet<usize> = draft.parents.iter().copied().flatten().collect();
    for (index, item) in draft.policies.iter().enumerate() {
        let attached = draft
            .attached
            .get(index)
            .is_some_and(|list| !list.is_empty());
        let requestable = item.raw.requestable.is_some_and(|flag| flag.value);
        if attached || requestable || parents.contains(&index) {
            continue;
        }

        // A second one of the name is `duplicate-policy`.
        let name = &item.raw.name;
        if draft.by_name.get(name.as_str()) == Some(&index) {
            let message = format!(
                "`{}` is attached nowhere, and no policy inherits from it",
                name.as_str()
            );
            findings.push(item.make_finding(&RULE, name.span, message).with_help(
                "attach it, or write `requestable: true` where keys, teams or requests name it",
            ));
        }
    }
}
