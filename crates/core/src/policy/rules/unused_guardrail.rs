//! RG211 `unused-guardrail`: a guardrail that no policy adds

use rustc_hash::FxHashSet;

use crate::document::{Finding, Kind, Rule, Severity};
use crate::policy::DraftSet;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG211",
    name: "unused-guardrail",
    severity: Severity::Warning,
    summary: "some policy adds each guardrail of the catalog",
    why: "A guardrail that the gateway has and no policy adds is one that somebody pays for, or thinks is on.",
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
pub(super) fn check(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.may_lack(Kind::Policy) {
        return;
    }
    let mut known: FxHashSet<&str> = draft.guardrails().names().collect();
    for item in &draft.catalogs {
        for name in item.raw.guardrails.iter().flatten() {
            if known.insert(name.as_str()) {
                let message = format!("no policy adds the guardrail `{}`", name.as_str());
                findings.push(
                    item.finding(&RULE, name.span, message)
                        .help("add it in a policy, or remove it here"),
                );
            }
        }
    }
}
