//! RG108 `unreachable-step`: a step that can never run

use super::{Scope, actions};
use crate::document::{Action, Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG108",
    name: "unreachable-step",
    severity: Severity::Error,
    summary: "every step of a pipeline can be reached",
    why: "Only `next` goes on to the next step. Where none of a step's `on_pass`, `on_fail` and `on_error` is `next`, the steps after it never run. The defaults are `allow` on a pass and `block` on a fail.",
    bad: &[(
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
      on_pass: allow
      on_fail: block
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
      on_fail: block
    - guardrail: toxicity_filter
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every step after one that always ends the pipeline.
pub(super) fn check(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let steps = item.raw.pipeline.iter().flat_map(|pipeline| pipeline.steps.iter());
        let mut end = None;
        for step in steps {
            if let Some(end) = end {
                let message = format!("the step `{}` can never run", step.guardrail.as_str());
                let finding = item
                    .finding(&RULE, step.guardrail.span, message)
                    .help("write `on_pass: next` at the step before it, or remove this step")
                    .related(item.file, end, "no outcome of this step goes on to the next one");
                findings.push(finding);
            } else if !actions(step).contains(&Action::Next) {
                end = Some(step.guardrail.span);
            }
        }
    }
}
