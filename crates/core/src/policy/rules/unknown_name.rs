//! RG119 `unknown-name`: a test or an invariant that names what there is not

use std::collections::BTreeMap;

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{
    Dimension, Finding, Kind, RawBox, RawCase, RawExpect, RawInvariant, RawPolicyTest, Rule,
    Severity, Span,
};
use crate::policy::{DraftSet, Item, KnownGuardrail, Pattern};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Names;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG119",
    name: "unknown-name",
    severity: Severity::Error,
    since: Rule::SINCE_0_2,
    summary: "a test's expectations and an invariant name guardrails, policies and requests that \
        exist",
    why: "`forbid: [debug_lgo]` and `excludes: [debug_lgo]` hold whatever the policies do, and an \
        invariant for the team `helth-eu` speaks of no request: a typo there passes for ever and \
        looks like cover. Guardrails, teams, keys, models and tags are those of the catalog, where \
        it lists them; policies are those of the set. What a test's `context` and `matrix` hold is \
        free: a test may ask for a stranger.",
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
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
---
apiVersion: refguard/v1
kind: Invariant
name: everything-is-checked
require: [pii_blockr]
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
---
apiVersion: refguard/v1
kind: Invariant
name: everything-is-checked
require: [pii_blocker]
"#,
    )],
};

/// Every unknown name of a test's expectations and outcomes, and of an invariant.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.tests.is_empty() && draft.invariants.is_empty() {
        return;
    }

    let mut guardrails = GuardrailJudge::new(draft);
    let mut policies = Suggestions::new(draft.by_name.keys().copied());

    for item in &draft.tests {
        for case in &item.raw.cases {
            check_outcomes(item, case, &mut guardrails, findings);
            for expect in case_expectations(case) {
                check_guardrails(item, expect, &mut guardrails, findings);
                check_policies(draft, item, expect, &mut policies, findings);
            }
        }
    }

    for item in &draft.invariants {
        let RawInvariant {
            require,
            any_of,
            forbid,
            ..
        } = item.raw;

        for name in [require, any_of, forbid]
            .into_iter()
            .flatten()
            .flat_map(|list| list.iter())
        {
            findings.extend(guardrails.judge_name(item, name.span, name));
        }
    }

    check_boxes(draft, findings);
}

/// What a case expects: of every request, and of some requests of its matrix.
fn case_expectations(case: &RawCase) -> impl Iterator<Item = &RawExpect> {
    let exceptions = case
        .expect_for
        .iter()
        .flatten()
        .map(|exception| &exception.expect.value);

    std::iter::once(&case.expect.value).chain(exceptions)
}

/// The guardrails that the catalog lists. What a policy adds is among them, or an error itself.
struct GuardrailJudge<'a> {
    /// `None` where no catalog lists any, or one cannot be read: then every name may be right.
    known: Option<&'a BTreeMap<&'a str, KnownGuardrail>>,
    suggestions: Suggestions<'a>,
}

impl<'a> GuardrailJudge<'a> {
    fn new(draft: &'a DraftSet<'_>) -> Self {
        let known = draft
            .catalog
            .guardrails
            .as_ref()
            .filter(|_| !draft.may_lack(Kind::Catalog));

        Self {
            suggestions: Suggestions::new(known.into_iter().flat_map(BTreeMap::keys).copied()),
            known,
        }
    }

    /// A finding, if there is no guardrail of that name.
    fn judge_name<T>(&mut self, item: &Item<'_, T>, span: Span, name: &str) -> Option<Finding> {
        if self.known?.contains_key(name) {
            return None;
        }

        let message = format!("the catalog has no guardrail `{}`", name.escape_debug());
        let help = "list it in the catalog, or mend its name";
        let finding = item.make_finding(&RULE, span, message).with_help(help);

        Some(finding.maybe_help(self.suggestions.suggest_help(name)))
    }
}

fn check_outcomes(
    item: &Item<'_, RawPolicyTest>,
    case: &RawCase,
    guardrails: &mut GuardrailJudge<'_>,
    findings: &mut Vec<Finding>,
) {
    for (name, _) in case.outcomes.iter().flat_map(|outcomes| &outcomes.0) {
        findings.extend(guardrails.judge_name(item, name.span, name));
    }
}

fn check_guardrails(
    item: &Item<'_, RawPolicyTest>,
    expect: &RawExpect,
    guardrails: &mut GuardrailJudge<'_>,
    findings: &mut Vec<Finding>,
) {
    let lists = [&expect.guardrails, &expect.includes, &expect.excludes];
    for name in lists.into_iter().flatten().flat_map(|list| list.iter()) {
        findings.extend(guardrails.judge_name(item, name.span, name));
    }
}

fn check_policies(
    draft: &DraftSet<'_>,
    item: &Item<'_, RawPolicyTest>,
    expect: &RawExpect,
    suggestions: &mut Suggestions<'_>,
    findings: &mut Vec<Finding>,
) {
    for text in expect.policies.iter().flat_map(|list| list.iter()) {
        let name = text.split('@').next().unwrap_or(text);
        if !draft.knows_policy(name) {
            let message = format!("there is no policy `{}`", name.escape_debug());
            let finding = item
                .make_finding(&RULE, text.span, message)
                .with_help("name a policy of this set");
            findings.push(finding.maybe_help(suggestions.suggest_help(name)));
        }
    }
}

/// The patterns of invariants and of `expect_for`: the catalog has what they name.
fn check_boxes(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    if draft.may_lack(Kind::Catalog) {
        return;
    }

    for dimension in Dimension::ALL {
        let Some(known) = draft.catalog.values_of(dimension) else {
            continue;
        };
        let mut suggestions = Suggestions::new(known.names().iter().copied());
        let mut judge = |text: &str| {
            let is_known = known.touches_pattern(&Pattern::parse(text));
            (!is_known).then(|| suggestions.suggest_help(text))
        };

        for item in &draft.invariants {
            for raw in [&item.raw.for_, &item.raw.except].into_iter().flatten() {
                check_box(item, raw, dimension, &mut judge, findings);
            }
        }

        for item in &draft.tests {
            let cases = item.raw.cases.iter();
            for exception in cases.flat_map(|case| case.expect_for.iter().flatten()) {
                check_box(item, &exception.for_, dimension, &mut judge, findings);
            }
        }
    }
}

/// `judge` gives `Some` for an unknown text, with what may have been meant.
fn check_box<T>(
    item: &Item<'_, T>,
    raw: &RawBox,
    dimension: Dimension,
    judge: &mut dyn FnMut(&str) -> Option<Option<String>>,
    findings: &mut Vec<Finding>,
) {
    for text in raw
        .patterns(dimension)
        .into_iter()
        .flat_map(|list| list.iter())
    {
        if let Some(near) = judge(text) {
            let what = dimension.singular();
            let message = format!("the catalog has no {what} `{}`", text.escape_debug());
            let field = dimension.plural();
            let help = format!("list it under `{field}` of the catalog, or mend its name");
            findings.push(
                item.make_finding(&RULE, text.span, message)
                    .with_help(help)
                    .maybe_help(near),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::{ATTACHED, places};

    const CATALOG: &str = "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [g]\n\
        teams: [health-eu, 'ci-*']\ntags: [t, phi]\n";

    fn of(kind: &str, body: &str, catalog: &str) -> Vec<(&'static str, u32)> {
        let document = format!("apiVersion: refguard/v1\nkind: {kind}\nname: one\n{body}");
        let files = [
            ("p.yaml", ATTACHED),
            ("t.yaml", document.as_str()),
            ("c.yaml", catalog),
        ];
        let files = if catalog.is_empty() {
            &files[..2]
        } else {
            &files[..]
        };

        let mut found = places(files);
        found.retain(|(code, _)| *code == "RG119");
        found
    }

    fn of_case(case: &str) -> Vec<(&'static str, u32)> {
        of(
            "PolicyTest",
            &format!("cases:\n  - name: c\n{case}"),
            CATALOG,
        )
    }

    #[test]
    fn every_list_of_a_test_is_looked_at() {
        for expect in [
            "guardrails: [h]",
            "includes: [h]",
            "excludes: [h]",
            "policies: [q]",
        ] {
            assert_eq!(
                of_case(&format!("    expect: {{{expect}}}\n")),
                [("RG119", 6)],
                "{expect}"
            );
        }

        let expect = "    expect: {guardrails: [g], policies: [p, p@3]}\n";
        assert_eq!(of_case(expect), []);
        assert_eq!(
            of_case(&format!("{expect}    outcomes: {{h: fail}}\n")),
            [("RG119", 7)]
        );
        assert_eq!(
            of_case(&format!(
                "{expect}    context: {{team: x, tags: [y]}}\n    matrix: {{keys: [z]}}\n"
            )),
            []
        );
        let exception =
            "    expect_for:\n      - for: {teams: [helth-eu]}\n        expect: {excludes: [h]}\n";

        assert_eq!(
            of_case(&format!("{expect}{exception}")),
            [("RG119", 8), ("RG119", 9)]
        );
    }

    #[test]
    fn every_list_of_an_invariant_is_looked_at() {
        for list in ["require", "any_of", "forbid"] {
            let body = format!("{list}: [h]\n");
            assert_eq!(of("Invariant", &body, CATALOG), [("RG119", 4)], "{list}");
        }

        let body = "for: {teams: ['health-*', ci-7], tags: [t]}\n\
            except: {teams: [helth-eu], tags: ['pii*']}\nforbid: [g]\n";
        assert_eq!(of("Invariant", body, CATALOG), [("RG119", 5), ("RG119", 5)]);
    }

    #[test]
    fn without_a_catalog_every_guardrail_may_be_right() {
        assert_eq!(of("Invariant", "forbid: [h]\nfor: {teams: [x]}\n", ""), []);
        let case = "cases:\n  - name: c\n    expect: {excludes: [h]}\n    outcomes: {h: fail}\n";
        assert_eq!(of("PolicyTest", case, ""), []);
    }
}
