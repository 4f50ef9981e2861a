//! RG113 `unknown-target`: a team, key or model that the catalog lacks

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{Dimension, Finding, Kind, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG113",
    name: "unknown-target",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a team, key or model that an attachment names is one that the catalog has",
    why: "An attachment to a team that there is not gives its guardrails to nobody. An entry of \
        the catalog may end in `*`; a list that no catalog gives is not checked.",
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
teams: [finace]
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
teams: [finance, "health-*"]
"#,
    )],
};

/// Every value without a star that the catalog lacks; one with a star is left to `inner-wildcard`
/// and `wildcard-matches-nothing`.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.may_lack(Kind::Catalog) {
        return;
    }

    // A set is open: a request may bring tags that no catalog lists.
    for dimension in Dimension::ALL
        .into_iter()
        .filter(|dimension| !dimension.is_set())
    {
        let Some(known) = draft.catalog.values_of(dimension) else {
            continue;
        };
        let unknown = |value: &str| !value.contains('*') && !known.has_value(value);
        if !draft
            .areas()
            .distinct_patterns(dimension)
            .any(|(text, exact)| exact && unknown(text))
        {
            continue;
        }

        let mut suggestions = Suggestions::new(known.names().iter().copied());
        for item in &draft.attachments {
            let values = item
                .raw
                .patterns(dimension)
                .into_iter()
                .flat_map(|list| list.iter());

            for value in values.filter(|value| unknown(value)) {
                let message = format!(
                    "the catalog has no {} `{}`",
                    dimension.singular(),
                    value.escape_debug()
                );
                let help = format!(
                    "list it under `{}` of the catalog, or mend its name",
                    dimension.plural()
                );
                let finding = item
                    .make_finding(&RULE, value.span, message)
                    .with_help(help);
                findings.push(finding.maybe_help(suggestions.suggest_help(value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::{ATTACHED, codes};

    #[test]
    fn a_pattern_of_the_catalog_stands_for_its_names() {
        let set = |model: &str| {
            format!(
                "{ATTACHED}---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\n\
                 models: ['{model}']\n\
                 ---\napiVersion: refguard/v1\nkind: Catalog\nmodels: ['openai/*', gpt-4]\n"
            )
        };

        assert_eq!(codes(&[("p.yaml", &set("openai/gpt-4o"))]), [""; 0]);
        assert_eq!(codes(&[("p.yaml", &set("gpt-4"))]), [""; 0]);
        assert_eq!(codes(&[("p.yaml", &set("openai/gpt-*"))]), [""; 0]);
        assert_eq!(codes(&[("p.yaml", &set("gpt-5"))]), ["RG113"]);
    }
}
