//! RG110 `no-target`: an attachment that does not say for whom

use super::Scope;
use crate::document::{Dimension, Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG110",
    name: "no-target",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "an attachment has a target: `scope: \"*\"`, or lists that are not empty",
    why: "Other engines take an attachment without a target, or with an empty list, for every \
        request: a list that was emptied makes a policy global. What is for every request says so \
        with `scope: \"*\"`.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: []
"#,
    )],
    good: &[(
        "policies/baseline.yaml",
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
"#,
    )],
};

/// Every attachment without a target, and every empty list.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.attachments {
        let lists = Dimension::WRITTEN.map(|dimension| (dimension, item.raw.patterns(dimension)));
        if item.raw.scope.is_none() && lists.iter().all(|(_, list)| list.is_none()) {
            let message = format!(
                "this attachment of `{}` has no target",
                item.raw.policy.as_str()
            );
            let fields: Vec<String> = Dimension::WRITTEN
                .iter()
                .map(|of| format!("`{}`", of.plural()))
                .collect();
            let help = format!(
                "add one of {}, or `scope: \"*\"` for every request",
                fields.join(", ")
            );
            findings.push(
                item.make_finding(&RULE, item.raw.policy.span, message)
                    .with_help(help),
            );
        }

        for (dimension, list) in lists {
            if let Some(list) = list.filter(|list| list.is_empty()) {
                let message = format!("`{}` is an empty list", dimension.plural());
                let help = format!("name a {}, or remove the line", dimension.singular());
                findings.push(item.make_finding(&RULE, list.span, message).with_help(help));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::{ATTACHED, places};

    #[test]
    fn the_place_is_the_empty_list_or_the_policy() {
        let set = |target: &str| {
            format!(
                "{ATTACHED}---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: \
                    p\n{target}"
            )
        };

        let lines = ATTACHED.lines().count() as u32;
        assert_eq!(places(&[("p.yaml", &set(""))]), [("RG110", lines + 4)]);
        assert_eq!(
            places(&[("p.yaml", &set("teams: [a]\nmodels: []\n"))]),
            [("RG110", lines + 6)]
        );
    }
}
