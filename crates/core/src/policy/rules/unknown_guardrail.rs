//! RG105 `unknown-guardrail`: a guardrail that the catalog lacks

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{Finding, Kind, Name, Rule, Severity, Spanned};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG105",
    name: "unknown-guardrail",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a policy adds, and its pipeline runs, only guardrails that the catalog lists",
    why: "A guardrail that the gateway does not have never runs: a slip in its name is a request \
        without protection. Where no catalog lists guardrails, this is not checked.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
guardrails: [pii_blocker]
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker, pii_bloker]
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
guardrails: [pii_blocker]
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

/// Every guardrail of an `add` or a step that no catalog lists.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let Some(known) = &draft.catalog.guardrails else {
        return;
    };

    if draft.may_lack(Kind::Catalog) {
        return;
    }

    let mut suggestions = Suggestions::new(known.keys().copied());
    let all_known = draft
        .guardrails()
        .names()
        .all(|name| known.contains_key(name));
    for item in draft
        .policies
        .iter()
        .filter(|item| !all_known || item.raw.pipeline.is_some())
    {
        let added = item
            .raw
            .guardrails
            .iter()
            .flat_map(|own| own.add.iter().flatten());
        let steps = item
            .raw
            .pipeline
            .iter()
            .flat_map(|pipeline| pipeline.steps.iter());
        let names = added.chain(steps.map(|step| &step.guardrail));
        for name in names.filter(|name: &&Spanned<Name>| !known.contains_key(name.as_str())) {
            let message = format!("the catalog has no guardrail `{}`", name.as_str());
            let near = suggestions.suggest_help(name.as_str());
            let finding = item
                .make_finding(&RULE, name.span, message)
                .with_help("list it in the catalog, or mend its name");
            findings.push(finding.maybe_help(near));
        }
    }
}
