//! RG215 `version-like-name`: a name that LiteLLM takes for a version

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG215",
    name: "version-like-name",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a policy's name does not begin with `policy_`",
    why: "LiteLLM takes a name that begins with `policy_` for the id of a version, so a request \
        cannot ask for the policy by its name once it is exported there.",
    bad: &[(
        "policies/baseline.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: policy_baseline
guardrails:
  add: [pii_blocker]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: policy_baseline
scope: "*"
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
"#,
    )],
};

/// Every name that begins so.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.policies {
        let name = &item.raw.name;
        if name.starts_with("policy_") {
            let message = format!(
                "LiteLLM takes the name `{}` for the id of a version",
                name.as_str()
            );
            findings.push(
                item.make_finding(&RULE, name.span, message)
                    .with_help("give it a name that does not begin with `policy_`"),
            );
        }
    }
}
