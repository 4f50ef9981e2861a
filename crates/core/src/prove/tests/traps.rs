//! Traps that a person, or a tool that samples, walks into.

use super::engine_of;
use crate::document::Dimension;
use crate::prove::{
    Budget, Impact, ProveOptions, Verdict, WeakeningKind, impact_of_change, prove_invariants,
};
use crate::resolve::Engine;

fn engine(documents: &[&str]) -> Engine {
    let yaml: Vec<String> = documents
        .iter()
        .map(|document| format!("apiVersion: refguard/v1\n{document}\n"))
        .collect();
    engine_of(&yaml.join("---\n")).expect("a valid set")
}

fn policy(name: &str, guardrail: &str) -> String {
    format!("kind: Policy\nname: {name}\nguardrails: {{add: [{guardrail}]}}")
}

fn attach(policy: &str, rest: &str) -> String {
    format!("kind: PolicyAttachment\npolicy: {policy}\n{rest}")
}

fn of(base: &[&str], head: &[&str]) -> Impact {
    let impact = impact_of_change(&engine(base), &engine(head), &Budget::default());
    assert!(impact.exact, "{:?}", impact.not_analysed);
    impact
}

fn built_in(documents: &[&str]) -> [Verdict; 2] {
    let options = ProveOptions {
        no_unguarded: true,
        monotone: true,
    };

    let proof = prove_invariants(&engine(documents), options, &Budget::default());
    assert!(proof.exact, "{:?}", proof.not_analysed);
    proof
        .invariants
        .try_into()
        .expect("two built-in invariants")
}

#[test]
fn fourteen_deleted_tag_attachments_are_fourteen_regions() {
    let mut documents = vec![
        "kind: Policy\nname: base".to_owned(),
        attach("base", "scope: \"*\""),
    ];
    let kept = documents.len();
    for n in 0..14 {
        documents.push(policy(&format!("p{n}"), &format!("g{n}")));
    }

    let policies = documents.len();
    documents.extend((0..14).map(|n| attach(&format!("p{n}"), &format!("tags: [tag-{n}]"))));
    let all: Vec<&str> = documents.iter().map(String::as_str).collect();
    assert!(kept < policies);
    let found = of(&all, &all[..policies]);
    assert_eq!(found.regions.len(), 14);
    assert!(
        found
            .regions
            .iter()
            .all(|region| region.lost.len() == 1 && region.gained.is_empty())
    );

    assert!(found.weakens);
}

#[test]
fn an_attachment_that_gives_nothing_switches_a_default_off() {
    let (p, q) = (policy("p", "audit"), "kind: Policy\nname: empty");
    let (default, empty) = (
        attach("p", "scope: \"*\"\ndefault: true"),
        attach("empty", "teams: [x]"),
    );
    let found = of(&[&p, q, &default], &[&p, q, &default, &empty]);
    assert_eq!(found.regions.len(), 1);
    let region = &found.regions[0];
    assert_eq!(
        (
            region.lost.as_slice(),
            region.values[Dimension::Team].any.as_slice()
        ),
        (&["audit".to_owned()][..], &["x".to_owned()][..])
    );
    assert_eq!(
        (region.because[0].kind, region.because[0].name.as_str()),
        ("PolicyAttachment", "empty")
    );
    assert!(found.weakens);
    // The same set breaks both built-in invariants.
    let [unguarded, monotone] = built_in(&[&p, q, &default, &empty]);
    assert!(!unguarded.holds && !monotone.holds);
    assert_eq!(
        unguarded
            .counterexample
            .expect("one")
            .value(Dimension::Team),
        Some("x")
    );
    assert_eq!(
        monotone.compared_with.expect("one").value(Dimension::Team),
        Some("x")
    );
    assert_eq!(
        monotone.counterexample.expect("one").value(Dimension::Team),
        None
    );

    assert!(
        built_in(&[&p, q, &default])
            .iter()
            .all(|verdict| verdict.holds)
    );
}

#[test]
fn a_new_pipeline_captures_what_another_policy_adds() {
    let (p, q) = (policy("p", "audit"), policy("q", "audit"));
    let piped = format!(
        "{q}\npipeline: {{mode: pre_call, steps: [{{guardrail: audit, on_fail: allow, on_pass: \
            next, on_error: next}}]}}"
    );
    let (everyone, team) = (attach("p", "scope: \"*\""), attach("q", "teams: [x]"));
    let found = of(&[&p, &q, &everyone, &team], &[&p, &piped, &everyone, &team]);
    assert!(
        found
            .regions
            .iter()
            .all(|region| region.lost.is_empty() && region.gained.is_empty())
    );
    assert!(
        found.regions.iter().any(|region| region.pipelines.is_some() && region.values[Dimension::Team].any == ["x"])
    );
    let weakening = found.weakening.expect("a failed audit blocked before");
    assert_eq!((weakening.before, weakening.after), ("block", "allow"));
    assert_eq!(weakening.outcomes.get("audit"), Some(&"fail"));
    // A pipeline that blocks as the guardrail alone does is no weakening.
    let strict = piped
        .replace("on_fail: allow", "on_fail: block")
        .replace("on_error: next", "on_error: block");
    assert!(
        !of(
            &[&p, &q, &everyone, &team],
            &[&p, &strict, &everyone, &team]
        )
        .weakens
    );
}

#[test]
fn what_a_policy_named_by_the_request_loses_is_listed() {
    let (p, plain) = (policy("p", "audit"), "kind: Policy\nname: p");
    let found = of(
        &[&p, "kind: Policy\nname: q", &attach("q", "scope: \"*\"")],
        &[plain, "kind: Policy\nname: q", &attach("q", "scope: \"*\"")],
    );
    assert_eq!(found.regions.len(), 1);
    assert_eq!(found.regions[0].requested.as_deref(), Some("p"));
    assert_eq!(found.regions[0].lost, ["audit"]);
    // Where every request gets the guardrail anyway, naming the policy loses nothing.
    let (everywhere, all) = (policy("all", "audit"), attach("all", "scope: \"*\""));

    assert!(
        of(&[&p, &everywhere, &all], &[plain, &everywhere, &all])
            .regions
            .is_empty()
    );
}

#[test]
fn pipelines_that_change_places_are_a_change() {
    let piped = |name: &str, guardrail: &str| {
        let steps = format!("steps: [{{guardrail: {guardrail}}}]");
        format!(
            "{}\npipeline: {{mode: pre_call, {steps}}}",
            policy(name, guardrail)
        )
    };

    let (p, q) = (piped("p", "a"), piped("q", "b"));
    let (one, two) = (
        attach("p", "teams: [x]\npriority: 1"),
        attach("q", "tags: [t]\npriority: 2"),
    );
    let later = attach("p", "teams: [x]\npriority: 3");
    let found = of(&[&p, &q, &one, &two], &[&p, &q, &later, &two]);
    assert_eq!(found.regions.len(), 1);
    let change = found.regions[0].pipelines.as_ref().expect("pipelines");
    assert_eq!(
        (
            change.before[0].policy.as_str(),
            change.after[0].policy.as_str()
        ),
        ("p", "q")
    );

    assert!(!found.weakens);
}

#[test]
fn a_spent_budget_is_said_and_never_taken_for_nothing() {
    let (p, q) = (policy("p", "audit"), policy("p", "other"));
    let team = attach("p", "teams: [x]");
    let found = impact_of_change(
        &engine(&[&p, &team]),
        &engine(&[&q, &team]),
        &Budget::with_units(1),
    );

    assert!(!found.exact && !found.not_analysed.is_empty());
    // Without a change there is nothing that could have been missed.
    let same = impact_of_change(
        &engine(&[&p, &team]),
        &engine(&[&p, &team]),
        &Budget::with_units(1),
    );

    assert!(same.exact && same.regions.is_empty());
}

#[test]
fn a_worst_case_ends_within_its_budget() {
    let mut documents = vec![policy("p", "audit"), policy("q", "other")];
    let list = |what: &str, n: usize| {
        (0..n)
            .map(|i| format!("{what}{i}*"))
            .collect::<Vec<_>>()
            .join(", ")
    };

    documents.push(attach(
        "p",
        &format!(
            "teams: [{}]\nkeys: [{}]\ntags: [{}]",
            list("a", 60),
            list("k", 60),
            list("t", 60)
        ),
    ));
    let conditions: Vec<String> = (6..12)
        .map(|n| format!("\"(a|b)*a(a|b){{{n}}}\""))
        .collect();
    documents.push(format!(
        "kind: Policy\nname: r\nguardrails: {{add: [x]}}\ncondition: {{model: [{}]}}",
        conditions.join(", ")
    ));
    documents.push(attach("r", "scope: \"*\""));
    documents.push(attach("q", "scope: \"*\"\ndefault: true"));
    let all: Vec<&str> = documents.iter().map(String::as_str).collect();
    let changed: Vec<String> = documents
        .iter()
        .map(|d| d.replace("[x]", "[other]").replace("t1*", "u1*"))
        .collect();
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    let found = impact_of_change(
        &engine(&all),
        &engine(&changed),
        &Budget::with_units(300_000),
    );

    assert!(!found.exact && !found.not_analysed.is_empty());
}

/// A policy with a pipeline of one step, attached to everyone, and how the gateway runs its
/// guardrail.
fn piped(modes: &str, mode: &str, on_fail: &str) -> Vec<String> {
    let step = format!("{{guardrail: audit, on_pass: next, on_fail: {on_fail}}}");
    vec![
        format!("kind: Catalog\nguardrails: [{{name: audit, modes: [{modes}]}}, other]"),
        format!(
            "{}\npipeline: {{mode: {mode}, steps: [{step}]}}",
            policy("p", "audit")
        ),
        attach("p", "scope: \"*\""),
    ]
}

fn kind_between(before: &[String], after: &[String]) -> Option<WeakeningKind> {
    let [before, after] =
        [before, after].map(|set| set.iter().map(String::as_str).collect::<Vec<_>>());
    let found = of(&before, &after);
    assert!(found.exact, "{:?}", found.not_analysed);

    found.weakening.map(|weakening| weakening.kind)
}

#[test]
fn a_pipeline_that_moves_after_the_model_is_late() {
    let both = |mode| piped("pre_call, post_call", mode, "block");
    let unknown = |mode| both(mode).split_off(1);
    assert_eq!(
        kind_between(&unknown("pre_call"), &unknown("post_call")),
        Some(WeakeningKind::Late)
    );
    assert_eq!(
        kind_between(&unknown("post_call"), &unknown("pre_call")),
        None
    );
    // The guardrail runs before the model by itself where no pipeline takes it over there.
    assert_eq!(kind_between(&both("pre_call"), &both("post_call")), None);
}

#[test]
fn a_block_that_becomes_another_answer_is_softened() {
    let of = |on_fail| piped("pre_call", "pre_call", on_fail);
    assert_eq!(
        kind_between(&of("block"), &of("modify_response")),
        Some(WeakeningKind::Softened)
    );
    assert_eq!(kind_between(&of("modify_response"), &of("block")), None);

    assert_eq!(
        kind_between(&of("block"), &of("next")),
        Some(WeakeningKind::LetThrough)
    );
}

#[test]
fn a_guardrail_still_blocks_in_the_modes_that_no_pipeline_takes_over() {
    // Before: the pipeline lets a failing pass before the model, and the guardrail blocks after it.
    let watched = piped("pre_call, post_call", "pre_call", "next");
    let alone = vec![watched[0].clone(), policy("p", "audit"), watched[2].clone()];
    assert_eq!(kind_between(&alone, &watched), Some(WeakeningKind::Late));
    let only_before = piped("pre_call", "pre_call", "next");
    let alone = vec![
        only_before[0].clone(),
        policy("p", "audit"),
        only_before[2].clone(),
    ];

    assert_eq!(
        kind_between(&alone, &only_before),
        Some(WeakeningKind::LetThrough)
    );
}
