//! RG210 `dead-default`: a default attachment that never counts

use super::Scope;
use crate::document::{Finding, Rule, Severity};
use crate::policy::DraftSet;

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG210",
    name: "dead-default",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "a default attachment counts for some request",
    why: "Default attachments count only where no other attachment matches. One that is not \
        default and matches every request, of a policy that always applies, switches them all off.",
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
kind: Policy
name: strict
guardrails:
  add: [toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: strict
scope: "*"
default: true
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
kind: Policy
name: strict
guardrails:
  add: [toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: strict
scope: "*"
default: true
"#,
    )],
};

/// Every default attachment, if another one is for every request and always applies.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let everywhere = draft.areas().all_areas().find(|(_, area)| {
        !area.default
            && area.expires.is_none()
            && area.is_everything()
            && always_applies(draft, area.policy)
    });
    let Some(everywhere) = everywhere.and_then(|(at, _)| draft.attachments.get(at)) else {
        return;
    };
    let policy = everywhere.raw.policy.as_str();

    for (at, _) in draft.areas().all_areas().filter(|(_, area)| area.default) {
        let Some((item, default)) = draft
            .attachments
            .get(at)
            .and_then(|item| Some((item, item.raw.default.as_ref()?)))
        else {
            continue;
        };

        let message = format!(
            "this default attachment never counts: `{policy}` is attached to every request"
        );
        let finding = item.make_finding(&RULE, default.span, message);
        let help = "default attachments count only where no other one matches: narrow the other \
            one, or remove `default`";
        findings.push(finding.with_help(help).with_related(
            everywhere.file,
            everywhere.raw.policy.span,
            "attached to every request here",
        ));
    }
}

/// A policy applies when any member of its chain has no condition.
fn always_applies(draft: &DraftSet<'_>, policy: usize) -> bool {
    let mut line = draft
        .chain_upwards(policy)
        .filter_map(|member| draft.policies.get(member));
    draft.has_sound_line(policy) && line.any(|member| member.raw.condition.is_none())
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    #[test]
    fn only_one_for_every_request_that_always_applies_switches_defaults_off() {
        let of = |target: &str, condition: &str| {
            let text = format!(
                "--- {{apiVersion: refguard/v1, kind: Policy, name: p, guardrails: {{add: [g]}}{condition}}}\n\
                 --- {{apiVersion: refguard/v1, kind: Policy, name: q, guardrails: {{add: [h]}}}}\n\
                 --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, {target}}}\n\
                 --- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: q, teams: [a], default: true}}\n"
            );

            codes(&[("p.yaml", &text)])
        };

        assert_eq!(of("scope: '*'", ""), ["RG210"]);
        assert_eq!(of("teams: [a, '*'], keys: ['*']", ""), ["RG210"]);
        assert_eq!(of("tags: ['*']", ""), [""; 0]);
        assert_eq!(of("teams: ['a*']", ""), [""; 0]);
        assert_eq!(of("scope: '*'", ", condition: {model: '.*'}"), [""; 0]);
    }
}
