//! RG124 `renamed-environment`: an environment that the settings put at another ref than the branch
//! of its name

use super::{Scope, StatedRef, stated_refs};
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG124",
    name: "renamed-environment",
    severity: Severity::Error,
    since: Rule::SINCE_0_2,
    summary: "an environment is the branch of its name",
    why: "A commit must not choose which branch is production: the environment NAME is always \
        `refs/heads/NAME`. Settings that say otherwise would be read by a person as if they \
        counted, while another branch is served.",
    bad: &[
        (
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
        ),
        (
            "refguard.yaml",
            r#"apiVersion: refguard/v1
kind: Repository
environments:
  - name: production
    ref: refs/heads/prod
"#,
        ),
    ],
    good: &[
        (
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
        ),
        (
            "refguard.yaml",
            r#"apiVersion: refguard/v1
kind: Repository
environments:
  - name: production
"#,
        ),
    ],
};

/// Every environment with a ref that is not the one of its name.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.repository {
        for StatedRef {
            environment,
            reference,
            is_usual,
        } in stated_refs(item.raw)
        {
            // What is no branch at all has a finding of its own.
            let Some(old) = reference
                .value
                .strip_prefix("refs/heads/")
                .filter(|_| !is_usual)
            else {
                continue;
            };

            let name = environment.name.as_str();
            let message = format!(
                "`{name}` is always the branch `{name}`, not `{}`",
                reference.value
            );
            let help = format!(
                "remove `ref`, and rename the branch: `git branch -m {old} {name}`, at a remote \
                    `git push REMOTE {old}:refs/heads/{name} :{old}`; its ledger keeps its name"
            );
            findings.push(
                item.make_finding(&RULE, reference.span, message)
                    .with_help(help),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    #[test]
    fn only_the_ref_of_its_name_is_an_environments() {
        let of = |environment: &str| {
            let text = format!(
                "{{apiVersion: refguard/v1, kind: Repository, environments: [{environment}]}}\n"
            );
            codes(&[("refguard.yaml", &text)])
        };

        assert_eq!(of("{name: production, ref: refs/heads/prod}"), ["RG124"]);
        assert_eq!(
            of("{name: us/production, ref: refs/heads/production}"),
            ["RG124"]
        );
        assert_eq!(of("{name: us/production}"), [""; 0]);
    }
}
