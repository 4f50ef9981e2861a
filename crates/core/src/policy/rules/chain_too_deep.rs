//! RG104 `chain-too-deep`: more than a hundred policies in one chain

use super::Scope;
use crate::document::rules::limit_exceeded;
use crate::document::{Finding, Release, Rule, Severity};
use crate::policy::{DraftSet, MAX_CHAIN};

/// A policy and its parent, by the parts of their numbers, on one line.
macro_rules! link {
    ($($name:literal)+ < $($parent:literal)+) => {
        concat!("--- {apiVersion: refguard/v1, kind: Policy, name: p", $($name,)+ ", inherit: p", $($parent,)+ "}\n")
    };
}

/// Ten of them, `.0` to `.9`, each below the one before.
macro_rules! ten {
    ($tens:literal < $before:literal) => {
        concat!(
            link!($tens ".0" < $before),
            link!($tens ".1" < $tens ".0"),
            link!($tens ".2" < $tens ".1"),
            link!($tens ".3" < $tens ".2"),
            link!($tens ".4" < $tens ".3"),
            link!($tens ".5" < $tens ".4"),
            link!($tens ".6" < $tens ".5"),
            link!($tens ".7" < $tens ".6"),
            link!($tens ".8" < $tens ".7"),
            link!($tens ".9" < $tens ".8")
        )
    };
}

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Lineage;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG104",
    name: "chain-too-deep",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "a chain of inheritance has at most 100 policies",
    why: "Nobody can review what a policy of such a chain gives. Merge members that are attached \
        nowhere.",
    bad: &[(
        "policies/chain.yaml",
        concat!(
            "--- {apiVersion: refguard/v1, kind: Policy, name: p0, guardrails: {add: \
                [pii_blocker]}}\n",
            ten!("1" < "0"),
            ten!("2" < "1.9"),
            ten!("3" < "2.9"),
            ten!("4" < "3.9"),
            ten!("5" < "4.9"),
            ten!("6" < "5.9"),
            ten!("7" < "6.9"),
            ten!("8" < "7.9"),
            ten!("9" < "8.9"),
            ten!("10" < "9.9"),
            "--- {apiVersion: refguard/v1, kind: PolicyAttachment, policy: p10.9, scope: \"*\"}\n"
        ),
    )],
    good: &[(
        "policies/chain.yaml",
        concat!(
            "--- {apiVersion: refguard/v1, kind: Policy, name: p0, guardrails: {add: \
                [pii_blocker]}}\n",
            link!("1" < "0"),
            link!("2" < "1"),
            "--- {apiVersion: refguard/v1, kind: PolicyAttachment, policy: p2, scope: \"*\"}\n"
        ),
    )],
};

/// Guardrails that a chain of policies adds at most: the limit `chain-guardrails`. No gateway runs
/// as many for a call, and every answer has them all.
const MAX_GUARDRAILS: usize = 4_096;

/// Every policy whose chain is too long, or adds too much.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    check_guardrails(draft, findings);
    for (item, depth) in draft.policies.iter().zip(&draft.lineage.depths) {
        let depth = depth.filter(|depth| *depth > MAX_CHAIN);
        if let (Some(depth), Some(parent)) = (depth, &item.raw.inherit) {
            let name = item.raw.name.as_str();
            let message =
                format!("`{name}` ends a chain of {depth} policies; {MAX_CHAIN} are allowed");
            findings.push(
                item.make_finding(&RULE, parent.span, message)
                    .with_help("merge policies that are attached nowhere"),
            );
        }
    }
}

/// The nearest policy to the root whose chain adds too many guardrails: those below it do as well.
fn check_guardrails(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    let added = |at: usize| {
        let guardrails = draft.policies.get(at)?.raw.guardrails.as_ref()?;
        guardrails.add.as_ref().map(Vec::len)
    };
    let added = |at: usize| added(at).unwrap_or(0);
    for (at, item) in draft.policies.iter().enumerate() {
        if added(at) == 0 {
            continue;
        }

        let all: usize = draft.chain_upwards(at).map(added).sum();
        if all > MAX_GUARDRAILS && all - added(at) <= MAX_GUARDRAILS {
            let message = format!(
                "the chain of `{}` adds {all} guardrails: the limit `chain-guardrails` is \
                    {MAX_GUARDRAILS}",
                item.raw.name.as_str()
            );
            findings.push(
                item.make_finding(&limit_exceeded::RULE, item.raw.name.span, message)
                    .since_release(Release::V0_2)
                    .with_help("every request that the policy matches gets all of them"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::codes;

    fn chain(length: usize) -> String {
        let link = |n: usize| match n {
            0 => "--- {apiVersion: refguard/v1, kind: Policy, name: p0, guardrails: {add: [a]}}\n"
                .to_owned(),
            n => format!(
                "--- {{apiVersion: refguard/v1, kind: Policy, name: p{n}, inherit: p{}}}\n",
                n - 1
            ),
        };

        let attachment = format!(
            "--- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p{}, scope: '*'}}\n",
            length - 1
        );
        (0..length).map(link).chain([attachment]).collect()
    }

    #[test]
    fn a_hundred_policies_are_a_chain_and_one_more_is_not() {
        assert_eq!(codes(&[("p.yaml", &chain(100))]), [""; 0]);
        assert_eq!(codes(&[("p.yaml", &chain(101))]), ["RG104"]);
        assert_eq!(codes(&[("p.yaml", &chain(103))]), ["RG104"; 3]);
    }
}
