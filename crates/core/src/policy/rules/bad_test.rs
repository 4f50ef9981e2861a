//! RG118 `bad-test`: a test that cannot fail

use super::Scope;
use crate::document::rules::limit_exceeded;
use crate::document::{Finding, RawCase, RawExpect, RawPolicyTest, Rule, Severity, Spanned};
use crate::policy::cases::{MAX_CASES, count_cases};
use crate::policy::{DraftSet, Item};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG118",
    name: "bad-test",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a test case can fail: its `expect` names something",
    why: "A case that expects nothing passes whatever the policies say, and looks like cover. \
        `guardrails: []` expects that there are none, and can fail; empty `includes` and \
        `excludes` cannot.",
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
    expect: {}
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
  - name: every request is checked
    context: {model: gpt-4}
    expect: {includes: [pii_blocker]}
"#,
    )],
};

/// Every test without cases, every case that cannot fail, and the case that passes the limit of a
/// set.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut total = 0;
    for item in &draft.tests {
        let name = &item.raw.name;
        if item.raw.cases.is_empty() {
            let message = format!("the test `{}` has no cases", name.as_str());
            findings.push(
                item.make_finding(&RULE, name.span, message)
                    .with_help("add a case, or remove the document"),
            );
        }

        for case in &item.raw.cases {
            no_expectation(item, case, findings);
            empty_matrix(item, case, findings);
            let within = total <= MAX_CASES;
            total += count_cases(case);
            if within && total > MAX_CASES {
                let what = "the matrices make too many cases";
                let finding = limit_exceeded::report_limit(
                    item.file,
                    case.name.span,
                    "test-cases",
                    MAX_CASES,
                    what,
                );

                findings.push(
                    finding.with_help(
                        "shorten the lists of the matrix, or use patterns in an invariant",
                    ),
                );
            }
        }
    }
}

fn no_expectation(item: &Item<'_, RawPolicyTest>, case: &RawCase, findings: &mut Vec<Finding>) {
    let exceptions = case
        .expect_for
        .iter()
        .flatten()
        .map(|exception| &exception.expect);

    for expect in std::iter::once(&case.expect)
        .chain(exceptions)
        .filter(|expect| !can_fail(expect))
    {
        let message = format!(
            "the case `{}` expects nothing, so it cannot fail",
            case.name.escape_debug()
        );
        let help = "say what the request must get: `guardrails`, `includes`, `excludes`, \
            `policies` or `action`";
        findings.push(
            item.make_finding(&RULE, expect.span, message)
                .with_help(help),
        );
    }
}

fn empty_matrix(item: &Item<'_, RawPolicyTest>, case: &RawCase, findings: &mut Vec<Finding>) {
    if let Some(matrix) = case.matrix.as_ref().filter(|_| count_cases(case) == 0) {
        let message = format!(
            "the matrix of `{}` has an empty list, so no request is tested",
            case.name.escape_debug()
        );
        findings.push(
            item.make_finding(&RULE, matrix.span, message)
                .with_help("name a value, or remove the list"),
        );
    }
}

fn can_fail(expect: &RawExpect) -> bool {
    let RawExpect {
        guardrails,
        includes,
        excludes,
        policies,
        action,
    } = expect;
    let names = |list: &Option<Spanned<Vec<_>>>| list.as_ref().is_some_and(|list| !list.is_empty());
    guardrails.is_some()
        || policies.is_some()
        || action.is_some()
        || names(includes)
        || names(excludes)
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::{ATTACHED, places};

    fn of(case: &str) -> Vec<(&'static str, u32)> {
        let test = format!(
            "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n  - name: c\n{case}"
        );
        places(&[("p.yaml", ATTACHED), ("t.yaml", &test)])
    }

    #[test]
    fn what_can_fail_is_a_test() {
        assert_eq!(of("    expect: {guardrails: []}\n"), []);
        assert_eq!(of("    expect: {action: block}\n"), []);
        assert_eq!(
            of("    expect: {includes: [], excludes: []}\n"),
            [("RG118", 6)]
        );
        let exception = "    expect_for:\n      - for: {teams: [a]}\n        expect: {}\n";
        assert_eq!(
            of(&format!("    expect: {{guardrails: []}}\n{exception}")),
            [("RG118", 9)]
        );

        assert_eq!(
            of("    matrix: {teams: []}\n    expect: {guardrails: []}\n"),
            [("RG118", 6)]
        );
    }

    #[test]
    fn a_matrix_stays_within_the_limit() {
        let list = (0..400)
            .map(|n| format!("a{n}"))
            .collect::<Vec<_>>()
            .join(", ");
        let case = format!(
            "    matrix: {{teams: [{list}], keys: [{list}]}}\n    expect: {{guardrails: []}}\n"
        );
        assert_eq!(of(&case), [("RG004", 5)]);
    }
}
