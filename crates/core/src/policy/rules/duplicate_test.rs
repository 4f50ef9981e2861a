//! RG120 `duplicate-test`: two tests, or two cases of a test, of one name

use rustc_hash::FxHashMap;

use super::Scope;
use crate::document::{Finding, RawPolicyTest, Rule, Severity};
use crate::policy::{DraftSet, Item};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG120",
    name: "duplicate-test",
    severity: Severity::Error,
    since: Rule::SINCE_0_2,
    summary: "a test's name is unique in the set, and a case's name in its test",
    why: "Reports name a case by its test and its own name. CI systems merge two of one name, so \
        that one that fails can hide behind one that passes.",
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
---
apiVersion: refguard/v1
kind: PolicyTest
name: baseline
cases:
  - name: every request is checked
    context: {model: gpt-4}
    expect: {includes: [pii_blocker]}
  - name: every request is checked
    context: {team: finance}
    expect: {includes: [pii_blocker]}
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
scope: "*"
---
apiVersion: refguard/v1
kind: PolicyTest
name: baseline
cases:
  - name: every request for a model is checked
    context: {model: gpt-4}
    expect: {includes: [pii_blocker]}
  - name: every request of a team is checked
    context: {team: finance}
    expect: {includes: [pii_blocker]}
"#,
    )],
};

/// Every test and every case whose name an earlier one has.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut tests: FxHashMap<&str, &Item<'_, RawPolicyTest>> = FxHashMap::default();
    for item in &draft.tests {
        let name = &item.raw.name;
        if let Some(first) = tests.get(name.as_str()) {
            let message = format!("a second test is named `{}`", name.as_str());
            let finding = item
                .make_finding(&RULE, name.span, message)
                .with_help("rename one of them, or merge their cases")
                .with_related(first.file, first.raw.name.span, "the first one is here");
            findings.push(finding);
        } else {
            tests.insert(name.as_str(), item);
        }

        check_cases(item, findings);
    }
}

fn check_cases(item: &Item<'_, RawPolicyTest>, findings: &mut Vec<Finding>) {
    let mut cases = FxHashMap::default();
    for name in item.raw.cases.iter().map(|case| &case.name) {
        let first = *cases.entry(name.as_str()).or_insert(name.span);
        if first != name.span {
            let message = format!("a second case is named `{}`", name.escape_debug());
            let finding = item
                .make_finding(&RULE, name.span, message)
                .with_help("say in each name what the case shows that the others do not")
                .with_related(item.file, first, "the first one is here");
            findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::{ATTACHED, places};

    #[test]
    fn a_name_may_come_again_in_another_test_only() {
        let test = |name: &str, cases: &[&str]| {
            let case = |name: &&str| format!("  - name: {name}\n    expect: {{includes: [g]}}\n");
            let cases: String = cases.iter().map(case).collect();
            format!("apiVersion: refguard/v1\nkind: PolicyTest\nname: {name}\ncases:\n{cases}")
        };

        let first = test("one", &["a", "b"]);
        for (second, found) in [
            (test("two", &["a", "b"]), vec![]),
            (test("one", &["c"]), vec![("RG120", 3)]),
            (test("two", &["a", "b", "a"]), vec![("RG120", 9)]),
        ] {
            let files = [
                ("p.yaml", ATTACHED),
                ("t1.yaml", &first),
                ("t2.yaml", &second),
            ];

            assert_eq!(places(&files), found, "{second}");
        }
    }
}
