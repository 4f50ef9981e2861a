//! RG112 `scope-with-targets`: every request, and only some

use super::Scope;
use crate::document::{Dimension, Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG112",
    name: "scope-with-targets",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "`scope` does not stand together with a list such as `teams`",
    why: "`scope: \"*\"` is every request, whatever else stands there: the lists would have no \
        effect, and a reviewer would think that they have.",
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
scope: "*"
teams: [finance]
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
teams: [finance]
"#,
    )],
};

/// Every scope beside a list.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.attachments {
        let Some(scope) = &item.raw.scope else {
            continue;
        };
        let lists = Dimension::WRITTEN
            .iter()
            .filter_map(|dimension| Some((dimension, item.raw.patterns(*dimension)?)));
        let lists: Vec<_> = lists.collect();
        if lists.is_empty() {
            continue;
        }

        let fields: Vec<String> = lists
            .iter()
            .map(|(dimension, _)| format!("`{}`", dimension.plural()))
            .collect();
        let message = format!("`scope` stands together with {}", fields.join(", "));
        let mut finding = item
            .make_finding(&RULE, scope.span, message)
            .with_help("keep the scope or the lists, not both");
        for (dimension, list) in lists {
            finding = finding.with_related(
                item.file,
                list.span,
                format!("`{}` is here", dimension.plural()),
            );
        }

        findings.push(finding);
    }
}
