//! RG202 `covered-attachment`: an attachment that adds no request

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;
use crate::policy::reach::{Area, AreaIndex, SearchBudget};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG202",
    name: "covered-attachment",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "an attachment is for some request that no other one of the same policy is for",
    why: "An attachment whose requests another one has already changes no request's guardrails. \
        Often one of the two was meant for another policy, or was meant to go.",
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
teams: ["health-*"]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [health-eu]
models: ["gpt-*"]
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
teams: ["health-*"]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [finance]
models: ["gpt-*"]
"#,
    )],
};

/// Every attachment that one of the same policy covers; of equal ones the later.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let areas = draft.areas();
    let key = |area: &Area| u32::try_from(area.policy).unwrap_or(u32::MAX);
    let alone = |area: &Area| {
        draft
            .attached
            .get(area.policy)
            .is_none_or(|list| list.len() < 2)
    };

    let several = || areas.all_areas().filter(|(_, area)| !alone(area));
    let index = AreaIndex::new(areas, several().map(|(at, area)| (key(area), at)));
    let mut budget = SearchBudget::new();

    for (at, area) in several() {
        let covering =
            index.find_covering(areas, key(area), area, &mut budget, |other, outer, _| {
                let equal = areas.area_covers(area, outer);
                // A default one beside one for every request is `dead-default`.
                other != at
                    && (!equal || other < at)
                    && !(area.default && !outer.default && outer.is_everything())
            });
        let found = covering
            .and_then(|other| Some((draft.attachments.get(at)?, draft.attachments.get(other)?)));
        if let Some((item, other)) = found {
            let policy = &item.raw.policy;
            let message = format!(
                "another attachment of `{}` covers this one",
                policy.as_str()
            );
            let finding = item
                .make_finding(&RULE, policy.span, message)
                .with_help("remove it, or change its target");
            findings.push(finding.with_related(
                other.file,
                other.raw.policy.span,
                "this one is for all of its requests",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::rules::tests::{draft_of, places};

    const POLICY: &str = "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {add: [g]}\n";

    fn set(targets: &[&str]) -> String {
        let one = |target: &&str| {
            format!(
                "--- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, {target}}}\n"
            )
        };

        targets.iter().map(one).collect()
    }

    fn lines(targets: &[&str]) -> Vec<u32> {
        let found = places(&[("a.yaml", &set(targets)), ("p.yaml", POLICY)]);
        found
            .into_iter()
            .filter(|(code, _)| *code == "RG202")
            .map(|(_, line)| line)
            .collect()
    }

    #[test]
    fn tags_defaults_and_equals() {
        assert_eq!(lines(&["tags: [a]", "tags: [a, b]"]), [1]);
        assert_eq!(lines(&["tags: [a]", "teams: [x]"]), [0; 0]);
        assert_eq!(lines(&["tags: ['*']", "teams: ['*']"]), [1]);
        assert_eq!(lines(&["teams: [x], tags: [a]", "teams: ['x*']"]), [1]);
        assert_eq!(lines(&["teams: [x]", "teams: [x], default: true"]), [2]);
        assert_eq!(
            lines(&["teams: [x]", "teams: ['x*'], default: true"]),
            [0; 0]
        );
        assert_eq!(lines(&["teams: [x]", "scope: '*', default: true"]), [0; 0]);
        assert_eq!(lines(&["teams: [x]", "teams: [x]"]), [2]);

        assert_eq!(lines(&["teams: ['*']", "keys: [k]", "scope: '*'"]), [2, 3]);
    }

    #[test]
    fn one_that_expires_covers_only_what_expires_no_later() {
        assert_eq!(
            lines(&["teams: [x]", "scope: '*', expires: 2026-12-31"]),
            [0; 0]
        );
        assert_eq!(
            lines(&["teams: [x], expires: 2026-12-31", "scope: '*'"]),
            [1]
        );
        let both = |own: &str, other: &str| {
            let (own, other) = (
                format!("teams: [x], expires: {own}"),
                format!("scope: '*', expires: {other}"),
            );
            lines(&[&own, &other])
        };

        assert_eq!(both("2026-12-31", "2026-12-31"), [1]);
        assert_eq!(both("2026-12-31", "'2027-01-01T00:00:00Z'"), [1]);
        assert_eq!(both("2026-12-31", "2026-12-30"), [0; 0]);
        // Of two for the same requests the one that ends first is covered, wherever it stands.
        assert_eq!(
            lines(&["teams: [x], expires: 2026-12-31", "teams: [x]"]),
            [1]
        );
        assert_eq!(
            lines(&["teams: [x]", "teams: [x], expires: 2026-12-31"]),
            [2]
        );
        // One that is over counts as there.
        assert_eq!(
            lines(&["teams: [x], expires: 2020-01-01", "scope: '*'"]),
            [1]
        );
    }

    fn target() -> impl Strategy<Value = String> {
        let list =
            || proptest::option::weighted(0.6, proptest::collection::vec("[ab]{0,2}\\*?", 1..3));
        (list(), list(), list(), proptest::bool::weighted(0.2)).prop_map(
            |(teams, models, tags, default)| {
                let field = |name: &str, list: Option<Vec<String>>| match list {
                    Some(list) => format!("{name}: ['{}'], ", list.join("', '")),
                    None => String::new(),
                };

                let lists = field("teams", teams) + &field("models", models) + &field("tags", tags);
                let lists = if lists.is_empty() {
                    "scope: '*', ".to_owned()
                } else {
                    lists
                };

                format!("{lists}default: {default}")
            },
        )
    }

    proptest! {
        /// The search finds an attachment exactly where a look at every pair does.
        #[test]
        fn search_agrees_with_scan(targets in proptest::collection::vec(target(), 1..8)) {
            let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
            let attachments = set(&targets);
            draft_of(&[("a.yaml", &attachments), ("p.yaml", POLICY)], |draft| {
                let areas = draft.areas();
                let mut findings = Vec::new();
                check_draft(draft, &mut findings);
                let found: Vec<usize> = findings.iter().map(|finding| finding.location.line as usize - 1).collect();
                let covered = |(at, area): &(usize, &Area)| {
                    areas.all_areas().any(|(other, outer)| {
                        other != *at
                            && areas.area_covers(outer, area)
                            && (!areas.area_covers(area, outer) || other < *at)
                            && !(area.default && !outer.default && outer.is_everything())
                    })
                };

                let wanted: Vec<usize> = areas.all_areas().filter(covered).map(|(at, _)| at).collect();
                assert_eq!(found, wanted, "{attachments}");
            });
        }
    }
}
