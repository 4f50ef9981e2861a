//! A diff with everything in it, in both forms, and what hostile names do to them.

use refguard_core::diff::{Comparison, DiffReport, VersionName, compare_policies, diff_sets};
use refguard_core::document::{Limits, Loaded, load_file};
use refguard_core::policy::{Levels, PolicySet, check_documents};

/// A set from files. A document in `text` leaves its `apiVersion` out.
fn set(files: &[(&str, &str)]) -> PolicySet {
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
    let found: Vec<&str> = checked
        .findings
        .iter()
        .map(|f| f.message.as_str())
        .collect();
    checked.set.unwrap_or_else(|| panic!("no set: {found:#?}"))
}

const BASE: &str = "\
kind: Catalog
teams: [finance, health-eu, health-us, lab-1, lab-2]
keys: [ci, prod-1]
models: [gpt-3.5, gpt-4, claude-3]
---
kind: Policy
name: baseline
description: for everyone
guardrails: {add: [pii, toxicity]}
---
kind: Policy
name: health
inherit: baseline
guardrails: {add: [audit]}
condition: {model: 'gpt-(3|4).*'}
---
kind: Policy
name: checked
guardrails: {add: [pii]}
pipeline: {mode: pre_call, steps: [{guardrail: pii, on_fail: block}]}
---
kind: Policy
name: legacy
guardrails: {add: [debug_log, pii]}
---
kind: PolicyAttachment
policy: baseline
scope: \"*\"
---
kind: PolicyAttachment
policy: health
teams: [\"health-*\"]
---
kind: PolicyAttachment
policy: legacy
teams: [finance]
tags: [old]
priority: 5
---
";

fn base() -> PolicySet {
    set(&[("policies.yaml", BASE)])
}

fn head() -> PolicySet {
    let text = BASE
        .replace("add: [pii, toxicity]", "add: [toxicity, secrets]")
        .replace("for everyone", "for all of us")
        .replace("gpt-(3|4)", "gpt-[34]")
        .replace("on_fail: block", "on_fail: next")
        .replace("teams: [\"health-*\"]", "teams: [health-eu]")
        .replace(
            "kind: Policy\nname: legacy\nguardrails: {add: [debug_log, pii]}\n---\n",
            "",
        )
        .replace(
            "kind: PolicyAttachment\npolicy: legacy\nteams: [finance]\ntags: [old]\n\
            priority: 5\n---\n",
            "",
        );
    let more = "kind: Policy\nname: lab\nguardrails: {add: [pii]}\n---\nkind: PolicyAttachment\n\
        policy: lab\nteams: [\"lab-*\"]\ndefault: true\n";
    set(&[("policies.yaml", &text), ("policies/lab.yaml", more)])
}

#[test]
fn a_diff_for_a_person() {
    let diff = diff_sets(&base(), &head());
    insta::assert_snapshot!(
        "human",
        super::diff_human(&DiffReport::new("production", "worktree", &diff), false)
    );
}

#[test]
fn a_diff_for_a_pull_request() {
    let diff = diff_sets(&base(), &head());
    insta::assert_snapshot!(
        "markdown",
        super::diff_markdown(&DiffReport::new("production", "worktree", &diff))
    );
}

#[test]
fn losses_come_first_and_are_red() {
    let diff = diff_sets(&base(), &head());
    let text = super::diff_human(&DiffReport::new("a", "b", &diff), true);
    let first = text.split("\n\n").nth(1).expect("an item");
    assert!(
        first.contains("\u{1b}[1m\u{1b}[31mloses\u{1b}[0m"),
        "{first:?}"
    );
    let plain = super::diff_human(&DiffReport::new("a", "b", &diff), false);
    assert!(!plain.contains('\u{1b}'));
}

#[test]
fn no_change_is_said_in_both_forms() {
    let diff = diff_sets(&base(), &base());
    let report = DiffReport::new("production", "HEAD~1", &diff);
    assert_eq!(
        super::diff_human(&report, true),
        "production and HEAD~1 mean the same\n"
    );
    assert_eq!(
        super::diff_markdown(&report),
        "### Policies: no change\n\n`production` and `HEAD~1` mean the same.\n"
    );
}

#[test]
fn a_change_that_loses_nothing_says_so() {
    let more = set(&[(
        "policies.yaml",
        &BASE.replace("add: [audit]", "add: [audit, secrets]"),
    )]);
    let diff = diff_sets(&base(), &more);
    let text = super::diff_markdown(&DiffReport::new("a", "b", &diff));
    assert!(
        text.contains("No policy gives less") && !text.contains("**"),
        "{text}"
    );
}

#[test]
fn two_versions_side_by_side() {
    let (base, head) = (base(), head());
    let of = |name: &str| {
        let (a, b) = (
            base.find_policy(name).expect("a policy").1,
            head.find_policy(name).expect("a policy").1,
        );
        let a_name = VersionName {
            number: Some(3),
            commit: Some("0123456789abcdef0123"),
        };
        let fields = compare_policies((&base, a), (&head, b));
        super::comparison_human(
            &Comparison::new(
                name,
                a_name,
                VersionName {
                    number: None,
                    commit: None,
                },
                fields,
            ),
            false,
        )
    };
    insta::assert_snapshot!(
        "comparison",
        ["baseline", "health", "checked"].map(of).join("\n")
    );
    let same = VersionName {
        number: Some(1),
        commit: None,
    };
    let text = super::comparison_human(&Comparison::new("p", same, same, Vec::new()), false);
    assert_eq!(text, "p: @1 and @1 mean the same\n");
}

#[test]
fn a_hostile_name_stays_a_name() {
    let name = "x</summary>`|[a](http://b) <img src=x>";
    let policy = |text: &str| {
        let fields =
            format!("name: \"{name}\"\ndescription: \"{text}\"\nguardrails: {{add: ['{text}']}}\n");
        set(&[("a.yaml", &format!("kind: Policy\n{fields}"))])
    };
    let (before, after) = (policy("<b>"), policy("</details>`::error::"));
    let diff = diff_sets(&before, &after);
    let report = DiffReport::new("<a>", "b\u{1b}[2J\n::error::", &diff);
    let text = super::diff_human(&report, false);
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    assert!(
        !text.lines().any(|line| line.trim_start().starts_with("::")),
        "{text}"
    );
    let text = super::diff_markdown(&report);
    assert!(!text.contains('\u{202e}'), "{text:?}");
    let outside = outside_of_code(&text);
    assert_eq!(outside.matches("</details>").count(), 1, "{outside}");
    assert_eq!(outside.matches("</summary>").count(), 1, "{outside}");
    assert!(
        !outside.contains("<img") && !outside.contains("<b>"),
        "{outside}"
    );
}

/// The text without its code spans. A span's fence is longer than any run of backticks in it.
fn outside_of_code(text: &str) -> String {
    let mut outside = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        outside.push_str(before);
        let body = after.trim_start_matches('`');
        let fence = "`".repeat(1 + after.len() - body.len());
        rest = body.split_once(&fence).expect("a closing fence").1;
    }
    outside + rest
}

#[test]
fn a_comment_fits_however_much_changed() {
    let many = |add: &str| {
        let policy = |n: u32| {
            format!("kind: Policy\nname: policy-{n:0>90}\nguardrails: {{add: [{add}]}}\n---\n")
        };
        set(&[("all.yaml", &(0..900).map(policy).collect::<String>())])
    };
    let diff = diff_sets(&many("pii"), &many("audit"));
    let text = super::diff_markdown(&DiffReport::new("a", "b", &diff));
    assert!(text.len() < 65_536, "{}", text.len());
    assert!(
        text.contains("**Less protection** in 900 places") && text.contains("- … and "),
        "{text}"
    );
    assert!(text.ends_with("\n</details>\n"));
}
