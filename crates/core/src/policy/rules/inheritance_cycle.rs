//! RG103 `inheritance-cycle`: a policy that is its own ancestor

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// How many names of a cycle a message shows.
const SHOWN: usize = 8;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Lineage;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG103",
    name: "inheritance-cycle",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "no policy inherits from itself, not by way of others either",
    why: "A chain of inheritance is walked from its root down; a cycle has no root. It is reported \
        at every member's `inherit`: one of them is to go.",
    bad: &[(
        "policies/finance.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
inherit: finance
guardrails:
  add: [pii_blocker]
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
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
"#,
    )],
};

/// Every member of every cycle.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for cycle in &draft.lineage.cycles {
        for at in 0..cycle.len() {
            let member = cycle.get(at).and_then(|index| draft.policies.get(*index));
            let Some((item, parent)) =
                member.and_then(|item| Some((item, item.raw.inherit.as_ref()?)))
            else {
                continue;
            };

            let message = format!(
                "`{}` inherits from itself: {}",
                item.raw.name.as_str(),
                cycle_path(draft, cycle, at)
            );

            findings.push(
                item.make_finding(&RULE, parent.span, message)
                    .with_help("remove one `inherit` of the cycle"),
            );
        }
    }
}

/// `a -> b -> a`, from a member on; the middle of a long one is left out.
fn cycle_path(draft: &DraftSet<'_>, cycle: &[usize], from: usize) -> String {
    let name = |index: &usize| {
        draft
            .policies
            .get(*index)
            .map_or("", |item| item.raw.name.as_str())
    };

    let mut names: Vec<&str> = cycle
        .iter()
        .cycle()
        .skip(from)
        .take(cycle.len().min(SHOWN))
        .map(name)
        .collect();
    let more = format!("({} more)", cycle.len().saturating_sub(SHOWN));
    if cycle.len() > SHOWN {
        names.push(&more);
    }

    names.extend(cycle.get(from).map(name));
    names.join(" -> ")
}
