//! RG121 `guardrail-conflict`: two catalogs that say different things of one guardrail

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG121",
    name: "guardrail-conflict",
    severity: Severity::Error,
    since: Rule::SINCE_0_2,
    summary: "catalogs that list one guardrail agree on how the gateway runs it",
    why: "Several catalogs are put together. Where one says that a guardrail runs before the model \
        is called and another that it runs after it, one of them is wrong, and pipelines would be \
        judged by chance.",
    bad: &[(
        "catalog.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails:
  - {name: pii_blocker, modes: [pre_call]}
---
apiVersion: refguard/v1
kind: Catalog
guardrails:
  - {name: pii_blocker, modes: [post_call]}
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
scope: "*"
"#,
    )],
    good: &[(
        "catalog.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails:
  - {name: pii_blocker, modes: [pre_call, post_call]}
---
apiVersion: refguard/v1
kind: Catalog
guardrails:
  - pii_blocker
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
scope: "*"
"#,
    )],
};

/// Every field of a guardrail that a later place gives another value, at the later place.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for conflict in &draft.catalog.conflicts {
        let (file, span) = conflict.second;
        let (first, first_span) = conflict.first;
        let (name, field) = (conflict.name, conflict.field);
        let message =
            format!("`{field}` of the guardrail `{name}` differs from what another place says");
        findings.push(
            Finding::new(&RULE, file, span, message)
                .with_help("let one place say it, as the gateway has it")
                .with_related(
                    first,
                    first_span,
                    format!("`{field}` of `{name}` is given here too"),
                ),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::{ATTACHED, places};

    #[test]
    fn only_fields_that_both_give_can_differ() {
        let of = |one: &str, two: &str| {
            let text = format!(
                "{ATTACHED}---\napiVersion: refguard/v1\nkind: Catalog\n\
                 guardrails:\n  - {one}\n  - {two}\n"
            );
            places(&[("p.yaml", &text)])
        };

        assert_eq!(of("g", "{name: g, modes: pre_call}"), []);
        assert_eq!(
            of("{name: g, modes: [pre_call]}", "{name: g, modes: pre_call}"),
            []
        );
        assert_eq!(
            of(
                "{name: g, modes: [pre_call, post_call]}",
                "{name: g, modes: [post_call, pre_call]}"
            ),
            []
        );
        assert_eq!(
            of("{name: g, default_on: false}", "{name: g, modes: pre_call}"),
            []
        );
        assert_eq!(
            of(
                "{name: g, default_on: false}",
                "{name: g, default_on: true}"
            ),
            [("RG121", 16)]
        );

        assert_eq!(
            of(
                "{name: g, stream_scope: both}",
                "{name: g, stream_scope: {pre_call: streaming}}"
            ),
            [("RG121", 16)]
        );
    }
}
