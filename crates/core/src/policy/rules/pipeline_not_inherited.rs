//! RG212 `pipeline-not-inherited`: a parent's pipeline that its child has not

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG212",
    name: "pipeline-not-inherited",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a child of a policy with a pipeline has a pipeline of its own",
    why: "Guardrails are inherited, pipelines are not: in the child the same guardrails run on \
        their own, and what the parent's `on_fail` said no longer holds.",
    bad: &[(
        "policies/finance.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
pipeline:
  mode: pre_call
  steps:
    - guardrail: pii_blocker
      on_fail: modify_response
---
apiVersion: refguard/v1
kind: Policy
name: finance
inherit: baseline
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
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: Policy
name: finance
inherit: baseline
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

/// Every policy without a pipeline and with an ancestor that has one.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft
        .policies
        .iter()
        .all(|item| item.raw.pipeline.is_none())
    {
        return;
    }

    for (index, item) in draft.policies.iter().enumerate() {
        let Some(parent) = item
            .raw
            .inherit
            .as_ref()
            .filter(|_| item.raw.pipeline.is_none())
        else {
            continue;
        };

        if draft.lineage.depths.get(index).is_none_or(Option::is_none) {
            continue;
        }

        let mut ancestors = draft
            .chain_upwards(index)
            .skip(1)
            .filter_map(|member| draft.policies.get(member));
        let found =
            ancestors.find_map(|ancestor| Some((ancestor, ancestor.raw.pipeline.as_ref()?)));
        if let Some((ancestor, pipeline)) = found {
            let (name, from) = (item.raw.name.as_str(), ancestor.raw.name.as_str());
            let message =
                format!("`{name}` inherits the guardrails of `{from}`, but not its pipeline");
            let finding = item.make_finding(&RULE, parent.span, message);
            let help = format!("give `{name}` a pipeline of its own");
            findings.push(finding.with_help(help).with_related(
                ancestor.file,
                pipeline.mode.span,
                "the pipeline is here",
            ));
        }
    }
}
