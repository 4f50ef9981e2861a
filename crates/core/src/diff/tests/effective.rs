//! Gains and losses under conditions.

use super::*;

/// What `p`, which gives `pii` under one condition and then under another, gains and loses.
fn conditions(before: &str, after: &str) -> Guardrails {
    let policy = |model: &str| {
        let condition = if model.is_empty() {
            String::new()
        } else {
            format!("condition: {{model: {model}}}\n")
        };

        one(&format!(
            "kind: Policy\nname: p\nguardrails: {{add: [pii]}}\n{condition}"
        ))
    };

    let diff = diff_sets(&policy(before), &policy(after));
    diff.policies
        .changed
        .into_iter()
        .next()
        .expect("a change")
        .guardrails
}

#[track_caller]
fn assert_moves(before: &str, after: &str, gains: bool, loses: bool) {
    let found = conditions(before, after);
    assert_eq!(
        (!found.gained.is_empty(), !found.lost.is_empty()),
        (gains, loses),
        "{before} → {after}"
    );
    assert_eq!(found.unsure, Unsure::default(), "{before} → {after}");
}

#[test]
fn names_and_prefixes_are_exact() {
    assert_moves("", "gpt-4", false, true);
    assert_moves("", "\".*\"", false, true);
    assert_moves("gpt-4", "gpt-.*", true, false);
    assert_moves("gpt-4.*", "gpt-.*", true, false);
    assert_moves("gpt-.*", "[gpt-4.*, gpt-3.*]", false, true);
    assert_moves("[gpt-4, gpt-4o]", "gpt-4.*", true, false);
    assert_moves("gpt-4.*", "claude-.*", true, true);
    assert_moves("gpt-4", "gpt-4o", true, true);

    assert_moves("'gpt-3\\.5.*'", "gpt-3.*", true, false);
}

#[test]
fn other_expressions_are_exact_too() {
    assert_moves("'gpt-(4|5)'", "\".*\"", true, false);
    assert_moves("'gpt-[45]'", "gpt-4", false, true);
    assert_moves("'gpt-(4|5)'", "'gpt-(4|6)'", true, true);
    // A condition holds also for the model that is called like its text, and that one is lost.
    assert_moves("'gpt-(4|5)'", "'gpt-(4|5|6)'", true, true);
}

#[test]
fn a_loss_that_another_member_makes_good_is_none() {
    let chain = |root: &str| {
        one(&format!(
            "kind: Policy\nname: root\nguardrails: {{add: [pii]}}\n{root}---\nkind: Policy\nname: \
                p\ninherit: root\nguardrails: {{add: [pii]}}\n"
        ))
    };

    let diff = diff_sets(&chain(""), &chain("condition: {model: gpt-4}\n"));
    let [root] = &diff.policies.changed[..] else {
        panic!("{diff:#?}")
    };

    assert_eq!(&*root.name, "root");
}

#[test]
fn a_remove_under_a_condition_loses_for_those_models() {
    let child = |remove: &str| {
        one(&format!(
            "kind: Policy\nname: root\nguardrails: {{add: [pii]}}\n---\nkind: Policy\nname: \
                mid\ninherit: root\n{remove}---\nkind: Policy\nname: p\ninherit: mid\nguardrails: \
                {{add: [audit]}}\n"
        ))
    };

    let without = child("");
    let with = child("guardrails: {remove: [pii]}\ncondition: {model: gpt-.*}\n");
    let loses = diff_sets(&without, &with);
    let [mid, p] = &loses.policies.changed[..] else {
        panic!("{loses:#?}")
    };

    assert_eq!(
        (mid.because, p.because, names(&p.via)),
        (Because::Own, Because::Inherited, vec!["mid"])
    );
    assert!(
        [mid, p]
            .iter()
            .all(|change| names(&change.guardrails.lost) == ["pii"])
    );
    assert!(
        [mid, p]
            .iter()
            .all(|change| change.guardrails.gained.is_empty())
    );
}

#[test]
fn a_remove_for_other_models_loses_nothing() {
    let child = |remove: &str| {
        one(&format!(
            "kind: Policy\nname: root\nguardrails: {{add: [pii]}}\ncondition: {{model: \
                gpt-.*}}\n---\nkind: Policy\nname: p\ninherit: root\n{remove}"
        ))
    };

    let remove = |model: &str| {
        child(&format!(
            "guardrails: {{remove: [pii]}}\ncondition: {{model: {model}}}\n"
        ))
    };

    let lost = |model: &str| {
        diff_sets(&child(""), &remove(model))
            .policies
            .changed
            .remove(0)
            .guardrails
            .lost
            .len()
    };

    assert_eq!(
        ["claude-.*", "claude-3", "gpt-4", "gpt-4.*", "g.*"].map(lost),
        [0, 0, 1, 1, 1]
    );
}
