//! RG106 `empty-pipeline`: a pipeline without steps

use super::Scope;
use crate::document::{Finding, Rule, Severity};
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

/// Every pipeline without steps.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        if let Some(pipeline) = item
            .raw
            .pipeline
            .as_ref()
            .filter(|pipeline| pipeline.steps.is_empty())
        {
            let message = format!("the pipeline of `{}` has no steps", item.raw.name.as_str());
            findings.push(
                item.make_finding(&RULE, pipeline.steps.span, message)
                    .with_help("add a step, or remove the pipeline"),
            );
        }
    }
}
