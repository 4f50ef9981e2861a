//! RG206 `wildcard-matches-nothing`: a wildcard that nothing of the catalog meets

use rustc_hash::FxHashSet;

use super::Scope;
use crate::document::{Dimension, Finding, Kind, Rule, Severity};
use crate::policy::{DraftSet, Pattern};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG206",
    name: "wildcard-matches-nothing",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a wildcard of an attachment matches something that the catalog has",
    why: "A prefix that no team, key, model or tag of the catalog begins with is for nobody: it is \
        misspelt, or what it was for is gone.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
teams: [finance, health-eu]
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
teams: ["helth-*"]
"#,
    )],
    good: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
teams: [finance, health-eu]
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
teams: ["health-*"]
"#,
    )],
};

/// Every wildcard of an attachment that touches nothing of the catalog.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.may_lack(Kind::Catalog) {
        return;
    }

    for dimension in Dimension::ALL {
        let Some(known) = draft.catalog.values_of(dimension) else {
            continue;
        };
        let idle = |(prefix, exact): &(&str, bool)| {
            !exact
                && !prefix.is_empty()
                && !prefix.contains('*')
                && !known.touches_pattern(&Pattern::Prefix((*prefix).into()))
        };

        let idle: FxHashSet<&str> = draft
            .areas()
            .distinct_patterns(dimension)
            .filter(idle)
            .map(|(prefix, _)| prefix)
            .collect();

        for item in draft.attachments.iter().filter(|_| !idle.is_empty()) {
            let texts = item
                .raw
                .patterns(dimension)
                .into_iter()
                .flat_map(|list| list.iter());

            for text in texts.filter(|text| {
                text.strip_suffix('*')
                    .is_some_and(|prefix| idle.contains(prefix))
            }) {
                let (written, what) = (text.escape_debug(), dimension.singular());
                let message = format!("`{written}` matches no {what} of the catalog");
                let help = format!("mend the prefix, or list the {what} in the catalog");
                findings.push(item.make_finding(&RULE, text.span, message).with_help(help));
            }
        }
    }
}
