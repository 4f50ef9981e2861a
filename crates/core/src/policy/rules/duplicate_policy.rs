//! RG101 `duplicate-policy`: two policies of one name

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Lineage;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG101",
    name: "duplicate-policy",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a policy's name is unique in the set",
    why: "A name is a policy's identity: attachments, `inherit` and versions go by it. With two of \
        one name the answer would depend on the order of files. Rename one, or merge them.",
    bad: &[
        (
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
        ),
        (
            "policies/copy.yaml",
            r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [toxicity_filter]
"#,
        ),
    ],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker, toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every policy whose name an earlier one has.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.by_name.len() == draft.policies.len() {
        return;
    }

    for (index, item) in draft.policies.iter().enumerate() {
        let name = &item.raw.name;
        let first = draft
            .by_name
            .get(name.as_str())
            .filter(|first| **first != index);
        if let Some(first) = first.and_then(|first| draft.policies.get(*first)) {
            let finding = item
                .make_finding(
                    &RULE,
                    name.span,
                    format!("a second policy is named `{}`", name.as_str()),
                )
                .with_help("rename one of them, or merge them")
                .with_related(first.file, first.raw.name.span, "the first one is here");

            findings.push(finding);
        }
    }
}
