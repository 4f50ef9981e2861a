//! RG205 `condition-matches-nothing`: a condition that no model of the catalog meets

use rustc_hash::FxHashMap;

use super::Scope;
use crate::document::{Dimension, Finding, Kind, Rule, Severity};
use crate::policy::condition::ModelPattern;
use crate::policy::reach::{Leads, SearchBudget};
use crate::policy::{DraftSet, KnownNames};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG205",
    name: "condition-matches-nothing",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a condition holds for some model of the catalog",
    why: "A policy whose condition holds for no model that the gateway has never applies. Most \
        often the model's name is misspelt, or the model is gone.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Catalog
models: [gpt-4, gpt-4o]
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
condition:
  model: "claude-.*"
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
models: [gpt-4, gpt-4o]
---
apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker]
condition:
  model: "gpt-.*"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
"#,
    )],
};

/// Every condition none of whose patterns can hold for what the catalog lists.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let Some(models) = draft.catalog.values_of(Dimension::Model) else {
        return;
    };

    if draft.may_lack(Kind::Catalog) {
        return;
    }

    let mut budget = SearchBudget::new();
    let mut said: FxHashMap<&str, bool> = FxHashMap::default();
    for item in &draft.policies {
        let Some(condition) = &item.raw.condition else {
            continue;
        };
        let mut may_hold = |text: &str| match draft.conditions.get_key_value(text) {
            Some((text, Ok(pattern))) => *said
                .entry(text)
                .or_insert_with(|| may_match(pattern, models, &mut budget)),
            _ => true,
        };

        if !condition.model.0.is_empty() && !condition.model.0.iter().any(|text| may_hold(text)) {
            let message = format!(
                "the condition of `{}` holds for no model of the catalog",
                item.raw.name.as_str()
            );
            let help = "mend the pattern, or list the model in the catalog";
            findings.push(
                item.make_finding(&RULE, condition.model.span, message)
                    .with_help(help),
            );
        }
    }
}

/// False only where it is sure that no model of the catalog is matched.
fn may_match(pattern: &ModelPattern, models: &KnownNames<'_>, budget: &mut SearchBudget) -> bool {
    if pattern.is_literal() {
        return models.has_value(pattern.text());
    }

    let leads = Leads::from_condition(pattern);
    models
        .prefixes()
        .iter()
        .any(|prefix| leads.may_begin_with(prefix))
        || models.names().iter().any(|model| {
            !budget.spend(1)
                || (leads.may_be(model) && (!budget.spend(10) || pattern.matches(model)))
        })
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    fn of(models: &str, condition: &str) -> Vec<&'static str> {
        let text = format!(
            "--- {{apiVersion: refguard/v1, kind: Catalog, models: {models}}}\n\
             --- {{apiVersion: refguard/v1, kind: Policy, name: p, guardrails: {{add: [g]}}, condition: {{model: {condition}}}}}\n\
             --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, scope: '*'}}\n"
        );

        codes(&[("p.yaml", &text)])
    }

    #[test]
    fn a_pattern_of_the_catalog_may_be_anything_that_it_begins() {
        assert_eq!(of("['openai/*', gpt-4]", "'openai/gpt-.*'"), [""; 0]);
        assert_eq!(of("['openai/*', gpt-4]", "'.*-mini'"), [""; 0]);
        assert_eq!(of("['openai/*', gpt-4]", "openai/gpt-5"), [""; 0]);
        assert_eq!(of("['openai/*', gpt-4]", "'bedrock/.*'"), ["RG205"]);

        assert_eq!(of("['openai/*', gpt-4]", "gpt-5"), ["RG205"]);
    }

    #[test]
    fn one_pattern_of_a_list_is_enough() {
        assert_eq!(of("[gpt-4]", "[gpt-5, 'gpt-4.*']"), [""; 0]);
        assert_eq!(of("[gpt-4]", "[gpt-5, 'gpt-4.+']"), ["RG205"]);
        assert_eq!(of("[]", "gpt-4"), ["RG205"]);
    }
}
