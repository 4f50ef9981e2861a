//! RG222 `idle-setting`: a setting that the repository decides and no commit

use super::{Scope, stated_refs};
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG222",
    name: "idle-setting",
    severity: Severity::Warning,
    since: Rule::SINCE_0_2,
    summary: "settings say only what a commit may decide",
    why: "Which branch is published and which ref an environment has is decided by the repository \
        and by convention, never by a commit. `publish_branch` and `ref` are read to find a \
        contradiction, and change nothing.",
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
    ref: refs/heads/production
publish_branch: main
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

/// Every such setting. One that contradicts the convention is an error of its own.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.repository {
        if let Some(branch) = &item.raw.publish_branch {
            let message = "`publish_branch` changes nothing: the repository names the branch";
            let help = format!(
                "remove the line; the publish branch is what `HEAD` of the server names, or what \
                    `git config refguard.publishBranch {}` says",
                branch.as_str()
            );

            findings.push(
                item.make_finding(&RULE, branch.span, message)
                    .with_help(help),
            );
        }

        for stated in stated_refs(item.raw).filter(|stated| stated.is_usual) {
            let message = "`ref` changes nothing: an environment is the branch of its name";
            let finding = item.make_finding(&RULE, stated.reference.span, message);
            findings.push(finding.with_help("remove the line"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    #[test]
    fn a_ref_by_convention_and_a_named_publish_branch_are_idle() {
        let of = |fields: &str| {
            codes(&[(
                "refguard.yaml",
                &format!("{{apiVersion: refguard/v1, kind: Repository, {fields}}}\n"),
            )])
        };

        assert_eq!(
            of("environments: [{name: a, ref: refs/heads/a}]"),
            ["RG222"]
        );
        assert_eq!(of("publish_branch: trunk"), ["RG222"]);
        assert_eq!(of("environments: [{name: a}]"), [""; 0]);
    }
}
