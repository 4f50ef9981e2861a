//! RG219 `idle-pipeline`: a pipeline that can never stop a request

use super::{Scope, step_actions};
use crate::document::{Action, Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG219",
    name: "idle-pipeline",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "some step of a pipeline can block or modify",
    why: "A guardrail that runs as a step does not run by itself in the pipeline's mode. Where \
        every action of every step is `allow` or `next`, its failing stops nothing any more: the \
        pipeline only watches. Running out of steps allows too.",
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
      on_fail: next
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
pipeline:
  mode: pre_call
  steps:
    - guardrail: pii_blocker
      on_fail: block
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every pipeline without an action that stops a request. One without steps is `empty-pipeline`.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let Some(pipeline) = &item.raw.pipeline else {
            continue;
        };
        let stops = |action: &Action| matches!(action, Action::Block | Action::ModifyResponse);
        let can_stop = pipeline
            .steps
            .iter()
            .any(|step| step_actions(step).iter().any(stops));
        if can_stop || pipeline.steps.is_empty() {
            continue;
        }

        let message = format!(
            "the pipeline of `{}` stops no request, whatever its guardrails find",
            item.raw.name.as_str()
        );
        findings.push(
            item.make_finding(&RULE, pipeline.mode.span, message)
                .with_help(
                    "write `on_fail: block` at a step, or take the pipeline away so that its \
                    guardrails run by themselves",
                ),
        );
    }
}
