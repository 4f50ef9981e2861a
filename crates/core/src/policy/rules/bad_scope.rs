//! RG111 `bad-scope`: a scope that is no scope

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG111",
    name: "bad-scope",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "`scope` is `\"*\"` or not there",
    why: "Other engines take `scope: prod` for every request, as they look only whether there is a \
        scope. A part of the requests is named by lists such as `teams`.",
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
scope: prod
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
tags: [prod]
"#,
    )],
};

/// Every scope other than `*`.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.attachments {
        if let Some(scope) = item.raw.scope.as_ref().filter(|scope| scope.value != "*") {
            let message = format!(
                "`scope` cannot be `{}`: it is `*` or not there",
                scope.escape_debug()
            );
            let help = "write `scope: \"*\"` for every request, or a list such as `teams`";
            findings.push(
                item.make_finding(&RULE, scope.span, message)
                    .with_help(help),
            );
        }
    }
}
