//! RG209 `remove-without-effect`: a `remove` that another attached policy undoes

use rustc_hash::FxHashSet;

use super::{Scope, added_guardrails, removed_guardrails};
use crate::document::{Finding, Name, Rule, Severity, Spanned};
use crate::policy::DraftSet;
use crate::policy::reach::{Meeting, SearchBudget};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Whole;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG209",
    name: "remove-without-effect",
    severity: Severity::Warning,
    since: Rule::SINCE_0_1,
    summary: "no other policy gives back, to the same requests, what a policy removes",
    why: "A request gets the guardrails of all its policies together, so a `remove` never takes \
        away what another matched policy adds. The classic mistake is a baseline for every request \
        and a child that removes: the baseline still matches. Attach the baseline with `default: \
        true`, so that it counts only where no other policy does, and let the child inherit from \
        it.",
    bad: &[(
        "policies/finance.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker, toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
---
apiVersion: refguard/v1
kind: Policy
name: finance
inherit: baseline
guardrails:
  remove: [toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
"#,
    )],
    good: &[(
        "policies/finance.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: baseline
guardrails:
  add: [pii_blocker, toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
scope: "*"
default: true
---
apiVersion: refguard/v1
kind: Policy
name: finance
inherit: baseline
guardrails:
  remove: [toxicity_filter]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: finance
teams: [finance]
"#,
    )],
};

/// Every `remove` that an attachment of another policy undoes, once.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let mut budget = SearchBudget::new();
    let mut said: FxHashSet<(usize, &str)> = FxHashSet::default();
    for (policy, attachments) in draft.attached.iter().enumerate() {
        if attachments.is_empty() || !draft.has_sound_line(policy) {
            continue;
        }

        for (remover, name) in removals_of(draft, policy) {
            if said.contains(&(remover, name.as_str())) {
                continue;
            }

            let pair = attachments.iter().find_map(|at| {
                let meeting = Meeting {
                    area: draft.areas().area_of(*at)?,
                    holder: remover,
                };

                let giver = draft.givers().find_first(
                    draft,
                    name.as_str(),
                    meeting,
                    &mut budget,
                    |_| true,
                )?;
                Some((*at, giver))
            });

            if let Some(finding) =
                pair.and_then(|(at, giver)| removal_finding(draft, remover, name, at, giver))
            {
                said.insert((remover, name.as_str()));
                findings.push(finding);
            }
        }
    }
}

/// What the chain of an attached policy removes for good: the member, and the name in its `remove`.
fn removals_of<'a>(draft: &DraftSet<'a>, policy: usize) -> Vec<(usize, &'a Spanned<Name>)> {
    let mut found = Vec::new();
    for member in draft.chain_upwards(policy) {
        let Some(item) = draft.policies.get(member) else {
            continue;
        };

        for name in removed_guardrails(item.raw) {
            // What the policy adds itself is `add-and-remove`; what comes back further down is
            // meant to.
            let own = added_guardrails(item.raw)
                .iter()
                .any(|other| other.value == name.value);
            if !own && !draft.givers().policy_gives(draft, policy, name.as_str()) {
                found.push((member, name));
            }
        }
    }

    found
}

fn removal_finding(
    draft: &DraftSet<'_>,
    remover: usize,
    name: &Spanned<Name>,
    at: usize,
    giver: usize,
) -> Option<Finding> {
    let item = draft.policies.get(remover)?;
    let (own, other) = (draft.attachments.get(at)?, draft.attachments.get(giver)?);
    let (policy, guardrail, gives) = (
        item.raw.name.as_str(),
        name.as_str(),
        other.raw.policy.as_str(),
    );
    let message =
        format!("`{policy}` removes `{guardrail}`, but `{gives}` gives it to the same requests");
    let help = format!(
        "a request gets the guardrails of all its policies: attach `{gives}` with `default: true`, \
            or leave `{guardrail}` out of it"
    );
    let own_note = format!("`{}` is for these requests", own.raw.policy.as_str());
    let finding = item.make_finding(&RULE, name.span, message).with_help(help);
    let finding = finding.with_related(
        other.file,
        other.raw.policy.span,
        format!("`{gives}` is for some of them too"),
    );

    Some(finding.with_related(own.file, own.raw.policy.span, own_note))
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::places;

    fn of(text: &str) -> Vec<u32> {
        let documents: String = text
            .lines()
            .map(|line| format!("--- {{apiVersion: refguard/v1, {}}}\n", line.trim()))
            .collect();
        let found = places(&[("p.yaml", &documents)]);
        found
            .into_iter()
            .filter(|(code, _)| *code == "RG209")
            .map(|(_, line)| line)
            .collect()
    }

    const BASE: &str = "kind: Policy, name: base, guardrails: {add: [g, h]}";
    const CHILD: &str = "kind: Policy, name: child, inherit: base, guardrails: {remove: [g]}";

    fn with(more: &[&str]) -> Vec<u32> {
        of(&[&[BASE, CHILD], more].concat().join("\n"))
    }

    #[test]
    fn only_where_both_count_for_a_request() {
        let base = |target: &str| format!("kind: PolicyAttachment, policy: base, {target}");
        let child = |target: &str| format!("kind: PolicyAttachment, policy: child, {target}");
        let pair = |a: &str, b: &str| with(&[&base(a), &child(b)]);
        assert_eq!(pair("scope: '*'", "teams: [a]"), [2]);
        assert_eq!(pair("keys: [k]", "teams: [a]"), [2]);
        assert_eq!(pair("tags: [x]", "tags: [z]"), [2]);
        assert_eq!(pair("teams: ['a*']", "teams: [ab]"), [2]);
        assert_eq!(
            pair(
                "teams: [ab], models: [m]",
                "teams: ['a*', 'b*'], models: ['m*', o1]"
            ),
            [2]
        );
        assert_eq!(pair("scope: '*', default: true", "teams: [a]"), [0; 0]);
        assert_eq!(
            pair("scope: '*', default: true", "teams: [a], default: true"),
            [2]
        );
        assert_eq!(pair("teams: [b]", "teams: [a]"), [0; 0]);

        assert_eq!(
            pair("teams: ['a*'], models: [m]", "teams: [ab], models: [o1]"),
            [0; 0]
        );
    }

    #[test]
    fn conditions_keep_families_of_models_apart() {
        let gpt = "kind: Policy, name: gpt, guardrails: {add: [g]}, condition: {model: 'gpt-4.*'}";
        let everywhere = "kind: PolicyAttachment, policy: gpt, scope: '*'";
        let on =
            |models: &str| format!("kind: PolicyAttachment, policy: child, models: [{models}]");
        assert_eq!(with(&[gpt, everywhere, &on("'claude-*'")]), [0; 0]);
        assert_eq!(with(&[gpt, everywhere, &on("'gpt-*'")]), [2]);

        assert_eq!(with(&[gpt, everywhere, &on("gpt-5")]), [0; 0]);
    }

    #[test]
    fn an_attached_heir_is_meant_too_unless_it_adds_again() {
        let base = "kind: PolicyAttachment, policy: base, scope: '*'";
        let heir = "kind: Policy, name: heir, inherit: child";
        let again = "kind: Policy, name: heir, inherit: child, guardrails: {add: [g]}";
        let attached = "kind: PolicyAttachment, policy: heir, teams: [a]";
        assert_eq!(with(&[base, heir, attached]), [2]);

        assert_eq!(with(&[base, again, attached]), [0; 0]);
    }
}
