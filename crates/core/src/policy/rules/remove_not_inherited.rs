//! RG208 `remove-not-inherited`: a `remove` of what no ancestor adds

use super::{Scope, removed_guardrails};
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG208",
    name: "remove-not-inherited",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "what a policy removes, an ancestor adds",
    why: "`remove` takes away only what the policy inherits. A guardrail that comes from elsewhere \
        stays, and the author thinks that it is gone.",
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
inherit: baseline
guardrails:
  remove: [toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
"#,
    )],
    good: &[(
        "policies/finance.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker, toxicity_filter]
---
apiVersion: refguard/v1
kind: Policy
name: finance
inherit: baseline
guardrails:
  remove: [toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
"#,
    )],
};

/// Every `remove` of what neither the policy nor an ancestor adds.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for (index, item) in draft.policies.iter().enumerate() {
        let removed = removed_guardrails(item.raw);
        if removed.is_empty() || !draft.has_sound_line(index) {
            continue;
        }

        for name in removed {
            // What the policy adds itself is `add-and-remove`.
            let number = draft.guardrails().number_of(name.as_str());
            let adds = |member: usize, number| {
                draft
                    .guardrails()
                    .added_by(member)
                    .binary_search(&number)
                    .is_ok()
            };

            if !number.is_some_and(|number| {
                draft
                    .chain_upwards(index)
                    .any(|member| adds(member, number))
            }) {
                let (policy, guardrail) = (item.raw.name.as_str(), name.as_str());
                let message = format!(
                    "`{policy}` removes `{guardrail}`, which no policy that it inherits from adds"
                );
                let help = match item.raw.inherit {
                    Some(_) => "remove the line, or inherit from the policy that adds it",
                    None => {
                        "`remove` takes away what is inherited: name a parent under `inherit`, or \
                            remove the line"
                    }
                };

                findings.push(item.make_finding(&RULE, name.span, message).with_help(help));
            }
        }
    }
}
