//! RG117 `bad-invariant`: an invariant that says nothing, or nothing that can be

use rustc_hash::FxHashMap;

use super::Scope;
use crate::document::{
    Dimension, Finding, Name, RawBox, RawInvariant, Rule, Severity, Span, Spanned,
};
use crate::policy::known::KnownNames;
use crate::policy::{DraftSet, Item, Pattern};

/// What it looks at.
pub(super) const SCOPE: Scope = Scope::Local;

/// The rule.
pub static RULE: Rule = Rule {
    code: "RG117",
    name: "bad-invariant",
    severity: Severity::Error,
    since: Rule::SINCE_0_1,
    summary: "an invariant asks for something, of some requests, that can be",
    why: "An invariant that asks for nothing, or exempts every request, holds whatever the \
        policies say: a proof of it is worth nothing. One that asks for a guardrail and forbids it \
        cannot hold.",
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
kind: Invariant
name: no-leaks
for: {teams: ["health*"]}
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
kind: Invariant
name: no-leaks
for: {teams: ["health*"]}
require: [pii_blocker]
"#,
    )],
};

type NameList<'a> = Option<&'a Spanned<Vec<Spanned<Name>>>>;

/// Every fault of every invariant.
pub(super) fn check_draft(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for item in &draft.invariants {
        nothing_asked(item, findings);
        empty_lists(item, findings);
        check_contradiction(item, findings);
        check_nobody(item, findings);
    }
}

fn make_fault(item: &Item<'_, RawInvariant>, span: Span, said: &str, help: &str) -> Finding {
    item.make_finding(
        &RULE,
        span,
        format!("the invariant `{}` {said}", item.raw.name.as_str()),
    )
    .with_help(help)
}

fn nothing_asked(item: &Item<'_, RawInvariant>, findings: &mut Vec<Finding>) {
    let RawInvariant {
        name,
        require,
        any_of,
        forbid,
        ..
    } = item.raw;
    let asks = |list: &NameList<'_>| list.is_some_and(|list| !list.is_empty());
    // An empty `any_of` is said as such.
    if !asks(&require.as_ref()) && !asks(&forbid.as_ref()) && any_of.is_none() {
        findings.push(make_fault(
            item,
            name.span,
            "asks for nothing",
            "add `require`, `any_of` or `forbid`",
        ));
    }
}

fn empty_lists(item: &Item<'_, RawInvariant>, findings: &mut Vec<Finding>) {
    let RawInvariant {
        for_,
        except,
        any_of,
        ..
    } = item.raw;

    if let Some(list) = any_of.as_ref().filter(|list| list.is_empty()) {
        findings.push(make_fault(
            item,
            list.span,
            "asks for one of no guardrails",
            "name a guardrail, or remove the line",
        ));
    }

    for (word, raw) in [("for", for_), ("except", except)] {
        for dimension in Dimension::ALL {
            let list = raw.as_ref().and_then(|raw| raw.patterns(dimension));
            if let Some(list) = list.filter(|list| list.is_empty()) {
                let said = format!("has an empty list `{}` under `{word}`", dimension.plural());
                findings.push(make_fault(
                    item,
                    list.span,
                    &said,
                    "name a value, or remove the line",
                ));
            }
        }
    }
}

fn check_contradiction(item: &Item<'_, RawInvariant>, findings: &mut Vec<Finding>) {
    let RawInvariant {
        require,
        any_of,
        forbid,
        ..
    } = item.raw;
    let Some(forbid) = forbid else { return };
    let forbidden: FxHashMap<&str, Span> = forbid
        .iter()
        .map(|name| (name.as_str(), name.span))
        .collect();
    for name in require.iter().flat_map(|list| list.iter()) {
        if let Some(span) = forbidden.get(name.as_str()) {
            let said = format!("requires and forbids `{}`", name.as_str());
            let finding = make_fault(item, name.span, &said, "remove it from one of the lists");
            findings.push(finding.with_related(item.file, *span, "forbidden here"));
        }
    }

    let any_of = any_of.as_ref().filter(|list| !list.is_empty());
    if let Some(list) = any_of.filter(|list| {
        list.iter()
            .all(|name| forbidden.contains_key(name.as_str()))
    }) {
        let finding = make_fault(
            item,
            list.span,
            "forbids every guardrail of `any_of`",
            "remove one from `forbid`",
        );

        findings.push(finding.with_related(item.file, forbid.span, "forbidden here"));
    }
}

fn check_nobody(item: &Item<'_, RawInvariant>, findings: &mut Vec<Finding>) {
    let Some(except) = &item.raw.except else {
        return;
    };
    let everyone = RawBox::default();
    let of = item.raw.for_.as_ref().map_or(&everyone, |of| &of.value);

    if Dimension::ALL
        .iter()
        .all(|dimension| box_covers(except, of, *dimension))
    {
        findings.push(make_fault(
            item,
            except.span,
            "exempts every request that it is for",
            "narrow `except`",
        ));
    }
}

/// Whether `outer` leaves out no value of a dimension that `inner` has.
fn box_covers(outer: &RawBox, inner: &RawBox, dimension: Dimension) -> bool {
    let Some(outer) = outer.patterns(dimension) else {
        return true;
    };
    let outer = KnownNames::new(outer.iter().map(|text| text.as_str()));
    match inner.patterns(dimension) {
        // No tag at all is not matched by `*`, an absent team is.
        None => !dimension.is_set() && outer.covers_pattern(&Pattern::parse("*")),
        Some(inner) => inner
            .iter()
            .all(|text| outer.covers_pattern(&Pattern::parse(text))),
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rules::tests::{ATTACHED, codes};

    fn of(body: &str) -> Vec<&'static str> {
        let invariant = format!("apiVersion: refguard/v1\nkind: Invariant\nname: i\n{body}");
        codes(&[("i.yaml", &invariant), ("p.yaml", ATTACHED)])
    }

    #[test]
    fn what_can_hold_and_can_fail_is_fine() {
        for body in [
            "require: [g]\n",
            "any_of: [g, h]\nforbid: [h]\n",
            "forbid: [g]\nrequire: []\n",
            "for: {teams: ['a*']}\nexcept: {teams: ['ab*'], keys: ['ci-*']}\nrequire: [g]\n",
            "for: {teams: ['a*']}\nexcept: {tags: ['*']}\nrequire: [g]\n",
        ] {
            assert_eq!(of(body), [""; 0], "{body}");
        }
    }

    #[test]
    fn what_cannot_is_a_fault() {
        for body in [
            "",
            "require: []\n",
            "any_of: []\n",
            "for: {teams: []}\nrequire: [g]\n",
            "except: {keys: []}\nrequire: [g]\n",
            "require: [g]\nforbid: [g]\n",
            "any_of: [g, h]\nforbid: [g, h]\n",
            "except: {}\nrequire: [g]\n",
            "for: {teams: [ab, 'ac*'], keys: [k]}\nexcept: {teams: ['a*']}\nrequire: [g]\n",
        ] {
            assert_eq!(of(body), ["RG117"], "{body}");
        }
    }
}
