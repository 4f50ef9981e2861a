//! RG203 `inner-wildcard`: a star that is no wildcard

use super::Scope;
use crate::document::{Dimension, Finding, Rule, Severity, SourceFile, Spanned};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG203",
    name: "inner-wildcard",
    severity: Severity::Warning,
    summary: "a `*` stands only at the end of a pattern",
    why: "Only a final `*` matches any rest; any other is the character itself. `*-prod` matches nothing but the text `*-prod`. Conditions on the model take regular expressions; for teams and keys, name them or use a tag.",
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
teams: ["*-prod"]
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
teams: ["prod-*"]
"#,
    )],
};

/// Whether a pattern has a star before its last character.
fn has_inner_star(text: &str) -> bool {
    text.strip_suffix('*').unwrap_or(text).contains('*')
}

/// Every pattern of an attachment, an invariant or a catalog with a star elsewhere than at its end.
pub(super) fn check(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut look = |file: &SourceFile, list: &[Spanned<String>]| {
        for text in list.iter().filter(|text| has_inner_star(text)) {
            let message = format!(
                "only a final `*` is a wildcard: `{}` matches no rest there",
                text.escape_debug()
            );
            let help = "name the values, or use a prefix with a final `*`";
            findings.push(Finding::new(&RULE, file, text.span, message).help(help));
        }
    };
    for dimension in Dimension::ALL {
        let starred = draft.areas().distinct(dimension).any(|(text, _)| text.contains('*'));
        for item in draft.attachments.iter().filter(|_| starred) {
            look(
                item.file,
                item.raw.patterns(dimension).map(|list| list.as_slice()).unwrap_or_default(),
            );
        }
        for item in &draft.invariants {
            for raw in item.raw.for_.iter().chain(&item.raw.except) {
                look(
                    item.file,
                    raw.patterns(dimension).map(|list| list.as_slice()).unwrap_or_default(),
                );
            }
        }
        for item in &draft.catalogs {
            look(item.file, item.raw.values(dimension).unwrap_or_default());
        }
    }
}
