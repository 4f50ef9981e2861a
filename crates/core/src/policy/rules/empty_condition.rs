//! RG115 `empty-condition`: a condition that no model can meet

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG115",
    name: "empty-condition",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a condition names at least one model",
    why: "An empty condition is read as \"always\" by some and as \"never\" by others. A policy \
        that always holds has no `condition`.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
condition:
  model: []
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
  model: [gpt-4]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every empty list and every empty pattern.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let Some(condition) = &item.raw.condition else {
            continue;
        };
        let policy = item.raw.name.as_str();
        let help = "name a model, or remove the condition if the policy always holds";
        if condition.model.0.is_empty() {
            let message = format!("the condition of `{policy}` names no model");
            findings.push(
                item.make_finding(&RULE, condition.model.span, message)
                    .with_help(help),
            );
        }

        for text in condition.model.0.iter().filter(|text| text.is_empty()) {
            let message = format!("the condition of `{policy}` has an empty pattern");
            findings.push(item.make_finding(&RULE, text.span, message).with_help(help));
        }
    }
}
