//! RG220 `default-on-guardrail`: a policy that speaks of a guardrail which runs for every call
//! anyway

use rustc_hash::FxHashSet;

use super::{Scope, added_guardrails, removed_guardrails};
use crate::document::{Finding, Kind, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG220",
    name: "default-on-guardrail",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "policies add and remove only guardrails that the gateway leaves to policies",
    why: "A guardrail with `default_on: true` runs for every call, whatever policies say. A \
        `remove` of it takes nothing away, and a request that no policy gives it gets it all the \
        same. Only a pipeline that has it as a step changes what it does, in the pipeline's mode.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails:
  - {name: pii_blocker, default_on: true}
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [finance]
"#,
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails:
  - {name: pii_blocker, default_on: false}
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [finance]
"#,
    )],
};

/// Every `add` and `remove` of a guardrail that is on by default, but for what the policy's own
/// pipeline runs.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let known = draft
        .catalog
        .guardrails
        .iter()
        .flat_map(|known| known.values());
    let on: FxHashSet<&str> = known
        .filter(|known| known.default_on == Some(true))
        .map(|known| &*known.name)
        .collect();
    if on.is_empty() || draft.may_lack(Kind::Catalog) {
        return;
    }

    let help = "for policies to decide, set `default_on: false` at the gateway and in the \
        catalog; else leave it out here";
    for item in &draft.policies {
        let policy = item.raw.name.as_str();
        let steps = item
            .raw
            .pipeline
            .iter()
            .flat_map(|pipeline| pipeline.steps.iter());
        let steps: FxHashSet<&str> = steps.map(|step| step.guardrail.as_str()).collect();

        let adds = added_guardrails(item.raw)
            .iter()
            .filter(|name| !steps.contains(name.as_str()));
        for name in adds.filter(|name| on.contains(name.as_str())) {
            let message = format!(
                "`{policy}` adds `{}`, which the gateway runs for every call anyway",
                name.as_str()
            );
            findings.push(item.make_finding(&RULE, name.span, message).with_help(help));
        }

        for name in removed_guardrails(item.raw)
            .iter()
            .filter(|name| on.contains(name.as_str()))
        {
            let message = format!(
                "`{policy}` removes `{}`, but the gateway runs it for every call all the same",
                name.as_str()
            );
            findings.push(item.make_finding(&RULE, name.span, message).with_help(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    #[test]
    fn a_pipeline_decides_and_lists_do_not() {
        let of = |policy: &str| {
            let text = format!(
                "--- {{apiVersion: refguard/v1, kind: Catalog, guardrails: [{{name: g, default_on: true}}, h]}}\n\
                 --- {{apiVersion: refguard/v1, kind: Policy, name: base, guardrails: {{add: [g, h]}}, \
                 pipeline: {{mode: pre_call, steps: [{{guardrail: g}}]}}}}\n\
                 --- {{apiVersion: refguard/v1, kind: Policy, name: p, {policy}}}\n\
                 --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, scope: '*'}}\n"
            );
            let codes = codes(&[("p.yaml", &text)]);
            codes.iter().filter(|code| **code == "RG220").count()
        };

        assert_eq!(of("inherit: base"), 0);
        assert_eq!(of("inherit: base, guardrails: {remove: [g]}"), 1);
        assert_eq!(of("inherit: base, guardrails: {add: [g, h]}"), 1);
        assert_eq!(of("inherit: base, guardrails: {add: [h]}"), 0);
    }
}
