//! RG107 `step-not-added`: a pipeline runs what its policy does not add

use rustc_hash::FxHashSet;

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG107",
    name: "step-not-added",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a pipeline's steps are guardrails that its own policy adds",
    why: "A pipeline orders what its policy gives. A step that the policy does not add itself \
        would run, or take a guardrail from another policy, without standing in `guardrails.add`, \
        where a reviewer looks. What is only inherited is added once more.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
pipeline:
  mode: pre_call
  steps:
    - guardrail: pii_blocker
      on_pass: next
    - guardrail: toxicity_filter
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
  add: [pii_blocker, toxicity_filter]
pipeline:
  mode: pre_call
  steps:
    - guardrail: pii_blocker
      on_pass: next
    - guardrail: toxicity_filter
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every step whose guardrail is not in the policy's own `add`.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let Some(pipeline) = &item.raw.pipeline else {
            continue;
        };
        let added = || {
            item.raw
                .guardrails
                .iter()
                .flat_map(|own| own.add.iter().flatten())
                .map(|name| name.as_str())
        };

        let known: FxHashSet<&str> = added().collect();
        let mut suggestions = Suggestions::new(added());
        for step in pipeline
            .steps
            .iter()
            .filter(|step| !known.contains(step.guardrail.as_str()))
        {
            let (policy, name) = (item.raw.name.as_str(), step.guardrail.as_str());
            let message = format!("`{policy}` runs `{name}` in its pipeline, but does not add it");
            let near = suggestions.suggest_help(name);
            let finding = item.make_finding(&RULE, step.guardrail.span, message);
            findings.push(
                finding
                    .with_help(format!("add `{name}` to `guardrails.add` of `{policy}`"))
                    .maybe_help(near),
            );
        }
    }
}
