//! RG122 `step-mode`: a pipeline with a step that the gateway does not run in its mode

use super::Scope;
use crate::document::{Finding, Kind, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG122",
    name: "step-mode",
    severity: Severity::Error,
    since: Rule::SINCE_0_2,
    summary: "the guardrail of each step runs in the mode of its pipeline",
    why: "LiteLLM runs a guardrail in its own modes only. In a pipeline of another mode the step \
        passes in silence: nothing is checked, and `on_pass` decides. Where the catalog does not \
        give a guardrail's modes, this is not checked.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails:
  - {name: answer_check, modes: [post_call]}
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [answer_check]
pipeline:
  mode: pre_call
  steps:
    - guardrail: answer_check
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
kind: Catalog
guardrails:
  - {name: answer_check, modes: [post_call]}
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [answer_check]
pipeline:
  mode: post_call
  steps:
    - guardrail: answer_check
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every step whose guardrail is known to run in other modes only.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.may_lack(Kind::Catalog) {
        return;
    }

    for item in &draft.policies {
        let Some(pipeline) = &item.raw.pipeline else {
            continue;
        };
        let mode = pipeline.mode.value.guardrail_mode();
        for step in pipeline.steps.iter() {
            let name = step.guardrail.as_str();
            let Some(known) = draft.catalog.guardrail(name) else {
                continue;
            };

            if known.runs_in(mode) != Some(false) {
                continue;
            }

            let modes: Vec<String> = known
                .modes
                .iter()
                .flatten()
                .map(|mode| format!("`{}`", mode.as_str()))
                .collect();
            let modes = if modes.is_empty() {
                "no mode".to_owned()
            } else {
                modes.join(", ")
            };

            let message = format!(
                "`{name}` runs in {modes}: in a pipeline of mode `{}` it passes without a check",
                mode.as_str()
            );
            findings.push(
                item.make_finding(&RULE, step.guardrail.span, message)
                    .with_help(
                        "move it to a pipeline of its own mode, or give it the mode at the \
                        gateway and in the catalog",
                    )
                    .with_related(item.file, pipeline.mode.span, "the mode of the pipeline"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    #[test]
    fn only_modes_that_are_known_are_judged() {
        let of = |listed: &str| {
            let text = format!(
                "--- {{apiVersion: refguard/v1, kind: Catalog, guardrails: [{listed}]}}\n\
                 --- {{apiVersion: refguard/v1, kind: Policy, name: p, guardrails: {{add: [g]}}, \
                 pipeline: {{mode: post_call, steps: [{{guardrail: g}}]}}}}\n\
                 --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, scope: '*'}}\n"
            );

            codes(&[("p.yaml", &text)])
        };

        assert_eq!(of("g"), [""; 0]);
        assert_eq!(of("{name: g, default_on: false}"), [""; 0]);
        assert_eq!(of("{name: g, modes: [pre_call, post_call]}"), [""; 0]);
        assert_eq!(of("{name: g, modes: pre_call}"), ["RG122"]);
        assert_eq!(
            of("{name: g, modes: [during_call, logging_only]}"),
            ["RG122"]
        );
        assert_eq!(of("{name: g, modes: []}"), ["RG122"]);
        assert_eq!(of("{name: g, modes: [pre_call, precall]}"), ["RG011"]);
    }
}
