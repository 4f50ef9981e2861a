//! RG211 `unused-guardrail`: a guardrail that no policy adds

use rustc_hash::FxHashSet;

use super::Scope;
use crate::document::{Finding, Kind, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG211",
    name: "unused-guardrail",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "some policy adds each guardrail of the catalog",
    why: "A guardrail that the gateway has and no policy adds costs money, or is believed to be \
        on. One that a test excludes or an invariant forbids is listed so that no policy adds it, \
        and is not reported.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails: [pii_blocker, toxicity_filter]
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
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails: [pii_blocker, toxicity_filter]
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker, toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every guardrail of a catalog that no policy adds, at its first place.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.may_lack(Kind::Policy) {
        return;
    }

    let mut known: FxHashSet<&str> = draft.guardrails().names().collect();
    known.extend(unwanted_guardrails(draft));
    for item in &draft.catalogs {
        for name in item.raw.guardrails.iter().flatten() {
            let name = &name.name;
            if known.insert(name.as_str()) {
                let message = format!("no policy adds the guardrail `{}`", name.as_str());
                findings.push(
                    item.make_finding(&RULE, name.span, message)
                        .with_help("add it in a policy, or remove it here"),
                );
            }
        }
    }
}

/// The guardrails that no request may get: what tests exclude and invariants forbid.
fn unwanted_guardrails<'d>(draft: &'d DraftSet<'_>) -> impl Iterator<Item = &'d str> {
    let forbidden = draft
        .invariants
        .iter()
        .filter_map(|item| item.raw.forbid.as_ref());
    let cases = draft.tests.iter().flat_map(|item| &item.raw.cases);
    let excluded = cases.filter_map(|case| case.expect.excludes.as_ref());

    forbidden
        .flat_map(|list| list.iter().map(|name| name.as_str()))
        .chain(excluded.flat_map(|list| list.iter().map(|name| name.as_str())))
}
