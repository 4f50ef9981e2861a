//! RG216 `test-unknown-policy`: a test case that names no policy of the set

use super::Scope;
use super::suggestions::Suggestions;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG216",
    name: "test-unknown-policy",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "the policies that a test case asks for are of the set",
    why: "A case that asks for a policy that is not there tests something else than its author \
        means; it may be meant, as a request can name a stranger. `NAME@N` names a version of the \
        policy `NAME`.",
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

/// Every policy that a case asks for and the set lacks; those that it expects are for
/// `unknown-name`.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut suggestions = Suggestions::new(draft.by_name.keys().copied());
    for item in &draft.tests {
        for text in item
            .raw
            .cases
            .iter()
            .flat_map(|case| case.policies.iter().flatten())
        {
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
}
