//! RG118 `bad-test`: a test that cannot fail

use crate::document::{Finding, RawExpect, Rule, Severity};
use crate::policy::DraftSet;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG118",
    name: "bad-test",
    severity: Severity::Error,
    summary: "a test case can fail: its `expect` names something",
    why: "A case that expects nothing passes whatever the policies say, and looks like cover. `guardrails: []` expects that there are none, and can fail; empty `includes` and `excludes` cannot.",
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

/// Every test without cases, and every case that cannot fail.
pub(super) fn check(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.tests {
        let name = &item.raw.name;
        if item.raw.cases.is_empty() {
            let message = format!("the test `{}` has no cases", name.as_str());
            findings.push(item.finding(&RULE, name.span, message).help("add a case, or remove the document"));
        }
        for case in item.raw.cases.iter().filter(|case| !can_fail(&case.expect)) {
            let message = format!("the case `{}` expects nothing, so it cannot fail", case.name.escape_debug());
            let help = "say under `expect` what the request must get: `guardrails`, `includes`, `excludes`, `policies` or `action`";
            findings.push(item.finding(&RULE, case.expect.span, message).help(help));
        }
    }
}

fn can_fail(expect: &RawExpect) -> bool {
    let RawExpect { guardrails, includes, excludes, policies, action } = expect;
    let names = |list: &Option<crate::document::Spanned<Vec<_>>>| list.as_ref().is_some_and(|list| !list.is_empty());
    guardrails.is_some() || policies.is_some() || action.is_some() || names(includes) || names(excludes)
}
