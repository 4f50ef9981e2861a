//! RG207 `add-and-remove`: a guardrail both added and removed

use rustc_hash::FxHashMap;

use super::Scope;
use crate::document::{Finding, Rule, Severity, Span};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG207",
    name: "add-and-remove",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a policy does not add and remove the same guardrail",
    why: "What a policy adds and removes is removed: the `add` has no effect.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker, toxicity_filter]
  remove: [toxicity_filter]
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
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every `remove` of what the policy adds itself.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let Some(own) = item
            .raw
            .guardrails
            .as_ref()
            .filter(|own| own.remove.is_some())
        else {
            continue;
        };

        let added: FxHashMap<&str, Span> = own
            .add
            .iter()
            .flatten()
            .map(|name| (name.as_str(), name.span))
            .collect();

        for name in own.remove.iter().flatten() {
            if let Some(add) = added.get(name.as_str()) {
                let message = format!(
                    "`{}` adds and removes `{}`",
                    item.raw.name.as_str(),
                    name.as_str()
                );
                let finding = item
                    .make_finding(&RULE, name.span, message)
                    .with_help("remove it from one of the lists");
                findings.push(finding.with_related(item.file, *add, "added here, without effect"));
            }
        }
    }
}
