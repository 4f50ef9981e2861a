//! RG216 `test-unknown-policy`: a test case that names no policy of the set

use super::suggestions::Suggestions;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG216",
    name: "test-unknown-policy",
    severity: Severity::Warning,
    summary: "the policies that a test case names are of the set",
    why: "A case that asks for, or expects, a policy that is not there tests something else than its author means. `NAME@N` names a version of the policy `NAME`.",
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
    policies: [basline]
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
  - name: every request is checked
    context: {model: gpt-4}
    policies: [baseline@2]
    expect: {includes: [pii_blocker]}
"#,
    )],
};

/// Every policy that a case asks for or expects and the set lacks.
pub(super) fn check(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut suggestions = Suggestions::new(draft.by_name.keys().copied());
    for item in &draft.tests {
        for case in &item.raw.cases {
            let asked = case.policies.iter().flatten();
            let exceptions = case.expect_for.iter().flatten().map(|exception| &exception.expect);
            let expected = std::iter::once(&case.expect)
                .chain(exceptions)
                .filter_map(|expect| expect.policies.as_ref());
            for text in asked.chain(expected.flat_map(|list| list.iter())) {
                let name = text.split('@').next().unwrap_or(text);
                if !draft.knows(name) {
                    let message = format!("there is no policy `{}`", name.escape_debug());
                    let finding =
                        item.finding(&RULE, text.span, message).help("name a policy of this set");
                    findings.push(finding.maybe_help(suggestions.help(name)));
                }
            }
        }
    }
}
