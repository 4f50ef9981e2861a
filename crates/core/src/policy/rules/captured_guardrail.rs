//! RG214 `captured-guardrail`: a pipeline takes over what another policy adds

use rustc_hash::{FxHashMap, FxHashSet};

use super::Scope;
use crate::document::{Finding, PipelineMode, RawPipeline, RawStep, Rule, Severity};
use crate::policy::reach::{Meeting, SearchBudget};
use crate::policy::{DraftSet, Item};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG214",
    name: "captured-guardrail",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a pipeline does not take over a guardrail that another policy adds for the same \
        requests",
    why: "A guardrail that a matched pipeline has as a step does not run on its own in that mode, \
        whichever policy adds it. If the pipeline ends before the step, or goes on after a fail, \
        the other policy's requests lose a check that its author counts on.",
    bad: &[(
        "policies/finance.yaml",
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
---
apiVersion: refguard/v1
kind: Policy
name: finance
guardrails:
  add: [pii_blocker]
pipeline:
  mode: pre_call
  steps:
    - guardrail: pii_blocker
      on_fail: modify_response
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
  add: [toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
---
apiVersion: refguard/v1
kind: Policy
name: finance
guardrails:
  add: [pii_blocker]
pipeline:
  mode: pre_call
  steps:
    - guardrail: pii_blocker
      on_fail: modify_response
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
"#,
    )],
};

/// Every step whose guardrail another policy gives to a request of the pipeline, once a pipeline.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut budget = SearchBudget::new();
    let own_steps = list_own_steps(draft);
    for (policy, attachments) in draft.attached.iter().enumerate() {
        let Some(item) = draft
            .policies
            .get(policy)
            .filter(|_| !attachments.is_empty())
        else {
            continue;
        };

        let Some(pipeline) = &item.raw.pipeline else {
            continue;
        };
        let mut said: FxHashSet<&str> = FxHashSet::default();
        for step in pipeline
            .steps
            .iter()
            .filter(|step| said.insert(step.guardrail.as_str()))
        {
            let other = |giver: usize| {
                let own = (pipeline.mode.value, step.guardrail.as_str());
                giver != policy
                    && !own_steps
                        .get(&giver)
                        .is_some_and(|steps| steps.contains(&own))
            };

            let found = attachments.iter().find_map(|at| {
                let meeting = Meeting {
                    area: draft.areas().area_of(*at)?,
                    holder: policy,
                };

                let giver = draft.givers().find_first(
                    draft,
                    step.guardrail.as_str(),
                    meeting,
                    &mut budget,
                    other,
                )?;

                Some((draft.attachments.get(*at)?, draft.attachments.get(giver)?))
            });

            if let Some((own, giver)) = found {
                findings.push(captured_finding(item, step, own, giver));
            }
        }
    }
}

/// The guardrails that a policy's own pipeline runs, with its mode.
type OwnSteps<'d> = FxHashSet<(PipelineMode, &'d str)>;

/// The own steps of each policy that has a pipeline: where another pipeline has the guardrail in
/// the same mode, nothing is taken from that policy.
fn list_own_steps<'d>(draft: &'d DraftSet<'_>) -> FxHashMap<usize, OwnSteps<'d>> {
    let piped = draft.policies.iter().enumerate();
    let piped = piped.filter_map(|(at, item)| Some((at, item.raw.pipeline.as_ref()?)));
    let steps_of = |pipeline: &'d RawPipeline| {
        let mode = pipeline.mode.value;
        pipeline
            .steps
            .iter()
            .map(|step| (mode, step.guardrail.as_str()))
            .collect()
    };

    piped
        .map(|(at, pipeline)| (at, steps_of(pipeline)))
        .collect()
}

fn captured_finding(
    item: &Item<'_, crate::document::RawPolicy>,
    step: &RawStep,
    own: &Item<'_, crate::document::RawAttachment>,
    giver: &Item<'_, crate::document::RawAttachment>,
) -> Finding {
    let (policy, guardrail, other) = (
        item.raw.name.as_str(),
        step.guardrail.as_str(),
        giver.raw.policy.as_str(),
    );
    let message = format!(
        "the pipeline of `{policy}` takes over `{guardrail}`, which `{other}` gives to the same \
            requests"
    );
    let help = "where the pipeline matches, the guardrail runs only as its step: leave it to one \
        of the two policies";
    item.make_finding(&RULE, step.guardrail.span, message)
        .with_help(help)
        .with_related(
            giver.file,
            giver.raw.policy.span,
            format!("`{other}` is for some of the same requests"),
        )
        .with_related(
            own.file,
            own.raw.policy.span,
            format!("`{policy}` is for these requests"),
        )
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    const PIPELINE: &str = "pipeline: {mode: pre_call, steps: [{guardrail: g}]}";

    fn of(other: &str, target: &str) -> Vec<&'static str> {
        let text = format!(
            "--- {{apiVersion: refguard/v1, kind: Policy, name: p, guardrails: {{add: [g]}}, {PIPELINE}}}\n\
             --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, teams: [a]}}\n\
             --- {{apiVersion: refguard/v1, kind: Policy, name: q, {other}}}\n\
             --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: q, {target}}}\n"
        );

        codes(&[("p.yaml", &text)])
    }

    #[test]
    fn only_from_a_policy_for_the_same_requests_that_does_not_run_it_itself() {
        assert_eq!(of("guardrails: {add: [g]}", "keys: [k]"), ["RG214"]);
        assert_eq!(of("guardrails: {add: [g]}", "teams: [b]"), [""; 0]);
        assert_eq!(of("guardrails: {add: [h]}", "keys: [k]"), [""; 0]);
        assert_eq!(
            of("guardrails: {add: [g]}", "keys: [k], default: true"),
            [""; 0]
        );
        assert_eq!(
            of(
                &format!("guardrails: {{add: [g]}}, {PIPELINE}"),
                "keys: [k]"
            ),
            [""; 0]
        );
        let after = PIPELINE.replace("pre_call", "post_call");
        assert_eq!(
            of(&format!("guardrails: {{add: [g]}}, {after}"), "keys: [k]"),
            ["RG214"; 2]
        );

        assert_eq!(of("inherit: p", "keys: [k]"), ["RG214", "RG212"]);
    }
}
