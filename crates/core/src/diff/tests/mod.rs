//! Diffs of sets that are written as YAML.

mod attachments;
mod effective;
mod property;

use serde_json::json;

use super::*;
use crate::document::{Dimension, Limits, Loaded, load_file};
use crate::policy::{Levels, check_documents};

/// A set from files. A document in `text` may leave its `apiVersion` out.
pub(crate) fn set(files: &[(&str, &str)]) -> PolicySet {
    let mut all = Loaded::default();
    for (path, text) in files {
        let documents: Vec<String> = text
            .split("---\n")
            .filter(|text| !text.trim().is_empty())
            .map(|text| format!("apiVersion: refguard/v1\n{text}"))
            .collect();

        all.append_loaded(load_file(
            *path,
            documents.join("---\n").into_bytes(),
            &Limits::DEFAULT,
        ));
    }

    let checked = check_documents(all, &Levels::default());
    let said: Vec<String> = checked
        .findings
        .iter()
        .map(|f| format!("{:?}: {}", f.location, f.message))
        .collect();

    checked.set.unwrap_or_else(|| panic!("no set: {said:#?}"))
}

pub(in crate::diff) fn one(text: &str) -> PolicySet {
    set(&[("all.yaml", text)])
}

fn names(list: &[Arc<str>]) -> Vec<&str> {
    list.iter().map(|name| &**name).collect()
}

fn paths(fields: &[FieldChange]) -> Vec<&str> {
    fields.iter().map(|field| field.path.as_str()).collect()
}

const CATALOG: &str = "\
kind: Catalog
guardrails: [pii, audit, toxicity, debug]
teams: [finance, health-eu, health-us, \"lab-*\"]
keys: [ci, prod-1, prod-2]
models: [gpt-3.5, gpt-4, gpt-4o, claude-3]
---
";

const BASE: &str = "\
kind: Policy
name: base
description: for everyone
guardrails: {add: [pii, toxicity]}
---
kind: Policy
name: health
inherit: base
guardrails: {add: [audit], remove: [toxicity]}
---
kind: PolicyAttachment
policy: base
scope: \"*\"
---
kind: PolicyAttachment
policy: health
teams: [\"health-*\"]
---
";

fn with_catalog(text: &str) -> PolicySet {
    one(&format!("{CATALOG}{text}"))
}

#[test]
fn a_set_and_itself_do_not_differ() {
    let diff = diff_sets(&with_catalog(BASE), &with_catalog(BASE));
    assert!(diff.is_empty());
    assert_eq!(diff, SetDiff::default());
}

#[test]
fn a_move_an_order_and_a_comment_are_no_change() {
    let documents: Vec<&str> = BASE.split_inclusive("---\n").collect();
    let moved = set(&[
        (
            "x/attachments.yaml",
            &format!("# moved\n{}{}", documents[3], documents[2]),
        ),
        (
            "y/health.yaml",
            "kind: Policy\nguardrails:\n  remove:\n  - toxicity\n  add: [\"audit\"]\n\
             name: health # same\ninherit: base\n",
        ),
        (
            "z/base.yaml",
            &documents[0].replace("pii, toxicity", "toxicity, pii"),
        ),
    ]);

    assert!(diff_sets(&one(BASE), &moved).is_empty());
}

#[test]
fn the_order_of_files_between_equal_attachments_is_no_change() {
    let policies = "kind: Policy\nname: a\n---\nkind: Policy\nname: b\n---\n";
    let attachment =
        |policy: &str| format!("kind: PolicyAttachment\npolicy: {policy}\nteams: [x]\n");
    let ab = set(&[
        ("p.yaml", policies),
        ("1.yaml", &attachment("a")),
        ("2.yaml", &attachment("b")),
    ]);
    let ba = set(&[
        ("p.yaml", policies),
        ("1.yaml", &attachment("b")),
        ("2.yaml", &attachment("a")),
    ]);

    assert_ne!(ab.digest, ba.digest);
    assert_eq!(diff_sets(&ab, &ba), SetDiff::default());
}

#[test]
fn added_removed_and_changed_policies() {
    let head = BASE
        .replace("name: base", "name: ground")
        .replace("inherit: base", "inherit: ground");
    let diff = diff_sets(
        &one(BASE),
        &one(&head.replace("policy: base", "policy: ground")),
    );
    assert_eq!(
        diff.policies
            .added
            .iter()
            .map(|p| &*p.name)
            .collect::<Vec<_>>(),
        ["ground"]
    );
    assert_eq!(
        diff.policies
            .removed
            .iter()
            .map(|p| &*p.name)
            .collect::<Vec<_>>(),
        ["base"]
    );
    assert_eq!(
        names(&diff.policies.removed[0].guardrails),
        ["pii", "toxicity"]
    );
    let [health] = &diff.policies.changed[..] else {
        panic!("{diff:#?}")
    };

    assert_eq!(
        (&*health.name, health.because, paths(&health.fields)),
        ("health", Because::Own, vec!["inherit"])
    );
    assert_eq!(
        (health.may_lose, names(&health.via)),
        (false, vec!["ground", "base"])
    );
    assert!(health.guardrails.is_empty());

    assert_eq!(
        (diff.attachments.added.len(), diff.attachments.removed.len()),
        (1, 1)
    );
}

#[test]
fn a_child_loses_through_its_parent() {
    let head = BASE.replace("add: [pii, toxicity]", "add: [toxicity, debug]");
    let diff = diff_sets(&with_catalog(BASE), &with_catalog(&head));
    let [base, health] = &diff.policies.changed[..] else {
        panic!("{diff:#?}")
    };

    assert_eq!(
        (base.because, paths(&base.fields)),
        (Because::Own, vec!["guardrails.add"])
    );
    assert_eq!(base.fields[0].a, json!(["pii", "toxicity"]));
    assert_eq!(base.fields[0].b, json!(["debug", "toxicity"]));
    assert_eq!(
        (health.because, health.fields.len()),
        (Because::Inherited, 0)
    );
    assert_eq!(names(&health.via), ["base"]);

    for change in [base, health] {
        assert_eq!(names(&change.guardrails.gained), ["debug"]);
        assert_eq!(names(&change.guardrails.lost), ["pii"]);
        assert!(change.may_lose);
    }
}

#[test]
fn a_change_that_a_child_undoes_is_not_the_childs() {
    let head = BASE.replace("add: [pii, toxicity]", "add: [pii]");
    let diff = diff_sets(&one(BASE), &one(&head));
    let [base] = &diff.policies.changed[..] else {
        panic!("{diff:#?}")
    };

    assert_eq!(names(&base.guardrails.lost), ["toxicity"]);
}

#[test]
fn a_description_touches_no_child_and_loses_nothing() {
    let diff = diff_sets(&one(BASE), &one(&BASE.replace("for everyone", "for all")));
    let [base] = &diff.policies.changed[..] else {
        panic!("{diff:#?}")
    };

    assert_eq!(
        (paths(&base.fields), base.may_lose),
        (vec!["description"], false)
    );
    assert_eq!(base.touches, Touches::default());
}

#[test]
fn what_is_touched_is_counted_in_both_catalogs() {
    let head = BASE.replace("add: [audit]", "add: []");
    let diff = diff_sets(&with_catalog(BASE), &one(&head));
    let touches = &diff.policies.changed[0].touches;
    let teams = touches.0[Dimension::Team].clone().expect("a list of teams");
    assert_eq!(
        (teams.count, teams.of, names(&teams.samples)),
        (2, 4, vec!["health-eu", "health-us"])
    );
    assert_eq!(
        touches.0[Dimension::Key]
            .as_ref()
            .map(|keys| (keys.count, keys.of)),
        Some((3, 3))
    );

    assert_eq!(diff.touches, *touches);
}

#[test]
fn an_entry_that_is_a_pattern_is_touched_from_both_sides() {
    for (pattern, count) in [
        ("lab-7", 1),
        ("lab-7*", 1),
        ("la*", 1),
        ("l*", 1),
        ("x*", 0),
        ("*", 4),
    ] {
        let head = BASE.replace("\"health-*\"", &format!("\"{pattern}\""));
        let diff = diff_sets(
            &with_catalog(&BASE.replace("\"health-*\"", "\"nobody*\"")),
            &with_catalog(&head),
        );
        let teams = diff.attachments.changed[0].entry.touches.0[Dimension::Team]
            .clone()
            .expect("a list of teams");
        assert_eq!(teams.count, count, "{pattern}");
    }
}

#[test]
fn a_model_counts_only_where_the_policy_applies() {
    let policy = |add: &str| {
        format!(
            "kind: Policy\nname: p\nguardrails: {{add: [{add}]}}\ncondition: {{model: \
                gpt-4.*}}\n---\n"
        )
    };

    let attachment = "kind: PolicyAttachment\npolicy: p\nteams: [finance]\n---\n";
    let of = |add: &str| with_catalog(&format!("{}{attachment}", policy(add)));
    let models = diff_sets(&of("pii"), &of("audit")).touches.0[Dimension::Model]
        .clone()
        .expect("a list of models");
    assert_eq!(
        (models.count, models.of, names(&models.samples)),
        (2, 4, vec!["gpt-4", "gpt-4o"])
    );
}

#[test]
fn a_pipeline_that_blocks_less_may_lose() {
    let policy = |on_fail: &str| {
        format!(
            "kind: Policy\nname: p\nguardrails: {{add: [pii]}}\n\
             pipeline:\n  mode: pre_call\n  steps:\n  - {{guardrail: pii, on_fail: {on_fail}}}\n"
        )
    };

    let (block, next) = (one(&policy("block")), one(&policy("next")));
    let weaker = diff_sets(&block, &next).policies.changed.remove(0);
    assert_eq!(
        paths(&weaker.fields),
        ["pipeline.steps[0].on_fail", "pipeline.steps[0].on_error"]
    );
    assert!(weaker.may_lose && weaker.guardrails.is_empty());
    assert!(!diff_sets(&next, &block).policies.changed[0].may_lose);
    let narrower = one(&format!("{}condition: {{model: gpt-4}}\n", policy("block")));

    assert!(diff_sets(&narrower, &block).policies.changed[0].may_lose);
}

#[test]
fn the_json_of_a_diff_and_of_a_comparison() {
    let head = BASE
        .replace("add: [pii, toxicity]", "add: [toxicity]")
        .replace(
            "teams: [\"health-*\"]",
            "teams: [\"health-*\"]\npriority: 1",
        );
    let extra = "kind: Policy\nname: extra\nguardrails: {add: [debug]}\n---\n\
        kind: PolicyAttachment\npolicy: extra\ntags: [x]\n";
    let (base, head) = (with_catalog(BASE), with_catalog(&format!("{head}{extra}")));
    let diff = diff_sets(&base, &head);
    insta::assert_json_snapshot!("diff", DiffReport::new("production", "worktree", &diff));
    let policy = |set: &PolicySet| set.find_policy("base").expect("base").1.clone();
    let fields = compare_policies((&base, &policy(&base)), (&head, &policy(&head)));
    let (a, b) = (
        VersionName {
            number: Some(1),
            commit: Some("abc"),
        },
        VersionName {
            number: None,
            commit: None,
        },
    );

    insta::assert_json_snapshot!("comparison", Comparison::new("base", a, b, fields));
}
