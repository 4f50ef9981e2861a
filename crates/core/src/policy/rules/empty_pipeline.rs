//! RG106 `empty-pipeline`: a pipeline without steps, or with more than the limit

use super::Scope;
use crate::document::rules::limit_exceeded;
use crate::document::{Finding, Release, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG106",
    name: "empty-pipeline",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a pipeline has at least one step",
    why: "A pipeline that runs out of steps allows the request, so one without steps looks like a \
        check and is none.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
pipeline:
  mode: pre_call
  steps: []
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
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Steps of a pipeline at most: the limit `pipeline-steps`. Each one is a check that a call waits
/// for.
const MAX_STEPS: usize = 1_024;

/// Every pipeline without steps, or with too many.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let Some(pipeline) = &item.raw.pipeline else {
            continue;
        };
        let (name, steps) = (item.raw.name.as_str(), &pipeline.steps);
        if steps.is_empty() {
            let message = format!("the pipeline of `{name}` has no steps");
            findings.push(
                item.make_finding(&RULE, steps.span, message)
                    .with_help("add a step, or remove the pipeline"),
            );
        } else if steps.len() > MAX_STEPS {
            let message = format!(
                "the pipeline of `{name}` has {} steps: the limit `pipeline-steps` is {MAX_STEPS}",
                steps.len()
            );
            findings.push(
                item.make_finding(&limit_exceeded::RULE, steps.span, message)
                    .since_release(Release::V0_2)
                    .with_help(
                        "a call waits for one step after the other: keep those that decide \
                            something",
                    ),
            );
        }
    }
}
