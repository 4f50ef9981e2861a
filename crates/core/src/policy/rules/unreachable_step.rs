//! RG108 `unreachable-step`: a step that can never run

use super::{Scope, step_actions};
use crate::document::{Action, Finding, PipelineMode, RawStep, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG108",
    name: "unreachable-step",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "every step of a pipeline can be reached",
    why: "Only `next` goes on to the next step. Where none of a step's `on_pass`, `on_fail` and \
        `on_error` is `next`, the steps after it never run. The defaults are `allow` on a pass and \
        `block` on a fail. A guardrail of which the catalog says that it looks at streams only, or \
        never at them, is skipped for the other calls, so the step after it can be reached.",
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
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let Some(pipeline) = &item.raw.pipeline else {
            continue;
        };
        let mut end = None;
        for step in pipeline.steps.iter() {
            if let Some(end) = end {
                let message = format!("the step `{}` can never run", step.guardrail.as_str());
                let finding = item
                    .make_finding(&RULE, step.guardrail.span, message)
                    .with_help("write `on_pass: next` at the step before it, or remove this step")
                    .with_related(
                        item.file,
                        end,
                        "no outcome of this step goes on to the next one",
                    );
                findings.push(finding);
            } else if !goes_on(draft, step, pipeline.mode.value) {
                end = Some(step.guardrail.span);
            }
        }
    }
}

/// Whether some call goes on to the next step.
fn goes_on(draft: &DraftSet<'_>, step: &RawStep, mode: PipelineMode) -> bool {
    let known = draft.catalog.guardrail(step.guardrail.as_str());
    let skipped = known.is_some_and(|known| known.may_be_skipped(mode.guardrail_mode()));
    skipped || step_actions(step).contains(&Action::Next)
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    #[test]
    fn a_step_that_only_some_calls_reach_is_reached() {
        let of = |scope: &str| {
            let text = format!(
                "--- {{apiVersion: refguard/v1, kind: Catalog, guardrails: [{{name: g, {scope}}}, h]}}\n\
                 --- {{apiVersion: refguard/v1, kind: Policy, name: p, guardrails: {{add: [g, h]}}, \
                 pipeline: {{mode: pre_call, steps: [{{guardrail: g}}, {{guardrail: h}}]}}}}\n\
                 --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, scope: '*'}}\n"
            );

            codes(&[("p.yaml", &text)])
        };

        assert_eq!(of("default_on: false"), ["RG108"]);
        assert_eq!(of("stream_scope: both"), ["RG108"]);
        assert_eq!(of("stream_scope: streaming"), [""; 0]);
        assert_eq!(of("stream_scope: {pre_call: non_streaming}"), [""; 0]);
        assert_eq!(of("stream_scope: {post_call: non_streaming}"), ["RG108"]);
    }
}
