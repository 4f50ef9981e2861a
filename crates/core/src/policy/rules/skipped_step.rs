//! RG213 `skipped-step`: a step that a pass of the one before skips

use super::{Scope, step_actions};
use crate::document::{Action, Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG213",
    name: "skipped-step",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a step that skips the steps after it says so",
    why: "Where `on_pass` is not given it is `allow`, and that ends the pipeline: the steps after \
        it run only when this one fails. For all of them to run, write `on_pass: next`; where they \
        are meant as a fallback, write `on_pass: allow`.",
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
      on_fail: next
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

/// Every step before the last without `on_pass`, which allows. Where nothing goes on to the next
/// step at all, that is `unreachable-step`.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let Some(pipeline) = &item.raw.pipeline else {
            continue;
        };
        let Some((_, before)) = pipeline.steps.split_last() else {
            continue;
        };

        for step in before
            .iter()
            .take_while(|step| step_actions(step).contains(&Action::Next))
        {
            if step.on_pass.is_none() {
                let message = format!(
                    "when `{}` passes, the steps after it do not run",
                    step.guardrail.as_str()
                );
                let help = "write `on_pass: next` for them to run, or `on_pass: allow` where they \
                    are a fallback";
                findings.push(
                    item.make_finding(&RULE, step.guardrail.span, message)
                        .with_help(help),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::places;

    #[test]
    fn a_step_is_skipped_or_unreachable_not_both() {
        let of = |steps: &str| {
            let text = format!(
                "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {{add: [a, b, c]}}\n\
                 pipeline:\n  mode: pre_call\n  steps:\n\
                 {steps}--- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, scope: '*'}}\n"
            );
            places(&[("p.yaml", &text)])
        };

        assert_eq!(of("  - {guardrail: a}\n"), []);
        assert_eq!(
            of("  - {guardrail: a}\n  - {guardrail: b}\n"),
            [("RG108", 9)]
        );
        let fallback = "  - {guardrail: a, on_pass: allow, on_fail: next}\n  - {guardrail: b}\n";
        assert_eq!(of(fallback), []);
        assert_eq!(
            of("  - {guardrail: a, on_error: next}\n  - {guardrail: b}\n"),
            [("RG213", 8)]
        );
        assert_eq!(
            of("  - {guardrail: a, on_fail: next, on_error: block}\n  - {guardrail: b}\n"),
            [("RG213", 8)]
        );
        assert_eq!(
            of("  - {guardrail: a, on_pass: block, on_fail: next}\n  - {guardrail: b}\n"),
            []
        );
        let three = "  - {guardrail: a, on_fail: next}\n  - {guardrail: b}\n  - {guardrail: c}\n";
        assert_eq!(of(three), [("RG213", 8), ("RG108", 10)]);
    }
}
