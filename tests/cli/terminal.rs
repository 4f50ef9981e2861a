//! What people see on a terminal: its width, a pager, times told from now; and that nothing of it
//! reaches a pipe.

use std::collections::BTreeSet;

use crate::support::{Screen, TestRepo};

const CATALOG: &str = "apiVersion: refguard/v1\nkind: Catalog\n\
    guardrails: [hipaa_audit, phi_redaction, pii_masking, log]\n\
    teams: [health-eu, health-us, research-lab, x]\n";

/// A set whose tables are wider than sixty columns.
fn wide() -> TestRepo {
    let repo = TestRepo::new();
    repo.write("catalog.yaml", CATALOG)
        .policy(
            "healthcare-compliance",
            "guardrails: {add: [hipaa_audit, phi_redaction, pii_masking, log]}",
        )
        .policy("base", "guardrails: {add: [log]}")
        .write(
            "attachments/all.yaml",
            "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n",
        )
        .write(
            "attachments/health.yaml",
            "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: healthcare-compliance\n\
             teams: [health-eu, health-us]\n",
        )
        .commit("a summary that is long enough to need a second line on a narrow terminal");
    let _ = repo.run(["promote", "--reason", "the first"]).ok();
    let _ = repo
        .run([
            "hold",
            "an incident whose reason is longer than a narrow terminal is wide",
        ])
        .ok();
    repo
}

/// Verbs with tables or long lines.
const VERBS: [&[&str]; 9] = [
    &["list"],
    &["list", "attachments"],
    &["versions", "base"],
    &["matrix"],
    &["explain"],
    &["status"],
    &["log", "--absolute"],
    &["why", "--team", "x", "--guardrail", "phi_redaction"],
    &["test", "--coverage"],
];

#[test]
fn nothing_is_wider_than_the_terminal_and_no_word_is_broken() {
    let repo = wide();
    for verb in VERBS {
        let piped = repo.run(verb.iter().copied()).ok();
        let is_wide = piped.lines().any(|line| line.chars().count() > 60);
        assert!(
            is_wide || matches!(verb[0], "status" | "test"),
            "{verb:?}: {piped}"
        );
        let seen = repo.on_terminal(verb, Screen::of(60, 2_000), &[]);
        let widest = seen
            .stdout
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0);
        let longest = piped.split_whitespace().map(str::len).max().unwrap_or(0);
        assert!(widest <= 60.max(longest + 4), "{verb:?}: {}", seen.stdout);
        // Every word is there, whole; columns without a cell need no name there.
        let words = |text: &str| {
            let words = text
                .split_whitespace()
                .filter(|word| word.contains(char::is_lowercase));
            words.map(str::to_owned).collect::<BTreeSet<String>>()
        };
        let (due, got) = (words(&piped), words(&seen.stdout));
        let is_time = |word: &String| word.starts_with("2024-");
        let lost: Vec<&String> = due.difference(&got).filter(|word| !is_time(word)).collect();
        assert!(
            piped.contains('…') || lost.is_empty(),
            "{verb:?}: {lost:?}\n{}",
            seen.stdout
        );
    }
}

#[test]
fn every_column_of_a_table_has_a_name() {
    let listed = wide().run(["list", "attachments"]).ok();
    assert!(listed.starts_with("POLICY"), "{listed}");
    assert!(
        listed
            .lines()
            .next()
            .unwrap()
            .contains("PRIORITY  DEFAULT  PLACE"),
        "{listed}"
    );
}

#[test]
fn a_long_answer_goes_through_the_pager_that_git_would_use() {
    let repo = wide();
    let pager = "sed -e 's/^/paged: /'";
    let low = Screen::of(100, 8);
    let shown = |env: &[(&str, &str)], more: &[&str]| {
        let line: Vec<&str> = ["explain"]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        repo.on_terminal(&line, low, env).ok()
    };
    for name in ["REFGUARD_PAGER", "GIT_PAGER", "PAGER"] {
        let seen = shown(&[(name, pager)], &[]);
        assert!(
            seen.lines().all(|line| line.starts_with("paged: ")),
            "{name}: {seen}"
        );
    }
    let setting = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.pager"),
        ("GIT_CONFIG_VALUE_0", pager),
    ];
    assert!(shown(&setting, &[]).starts_with("paged: "));

    let due = shown(&[("PAGER", "")], &[]);
    // The setting of a repository is its maker's: whoever reads that runs nothing of it.
    repo.git(["config", "core.pager", pager]);
    assert_eq!(shown(&[("PAGER", "")], &[]), due);
    assert!(due.starts_with("CODE "), "{due}");
    for (env, more) in [
        // None is wanted, it is not there, it ends at once, or the answer is for programs.
        (("PAGER", "cat"), &[][..]),
        (("PAGER", "no-such-pager-anywhere 2>/dev/null"), &[]),
        (("PAGER", pager), &["--no-pager"]),
    ] {
        assert_eq!(shown(&[env], more), due, "{env:?} {more:?}");
    }
    assert!(!shown(&[("PAGER", pager)], &["--format", "json"]).contains("paged: "));
    assert_eq!(shown(&[("PAGER", "true")], &[]), "");
    // One that fits is not worth a pager, and a pipe has none.
    let tall = repo
        .on_terminal(&["status"], Screen::of(100, 50), &[("PAGER", pager)])
        .ok();
    assert!(!tall.contains("paged: "), "{tall}");
    assert!(
        !repo
            .run_with(["explain"], &[("PAGER", pager)])
            .ok()
            .contains("paged: ")
    );
}

#[test]
fn a_pager_changes_no_exit_code() {
    let repo = wide();
    repo.policy("base", "gaurdrails: {add: [log]}");
    for pager in ["cat >/dev/null; exit 0", "true", "exit 7", "kill -9 $$"] {
        let seen = repo.on_terminal(&["validate"], Screen::of(80, 4), &[("PAGER", pager)]);
        assert_eq!(seen.code, Some(1), "{pager}: {}", seen.stdout);
    }
}

#[test]
fn what_takes_long_says_so_on_a_terminal_until_it_is_done() {
    let repo = wide();
    let mut replay = repo.refguard();
    replay
        .args(["replay", "-", "production", "main"])
        .env("TERM", "xterm");
    // The log ends when the sign of life was seen.
    let seen = repo.at_prompt(
        replay,
        Screen::of(100, 50),
        &[(
            "answering the rows",
            "{\"team\":\"x\"}\n\u{4}\u{4}\u{4}\u{4}",
        )],
    );
    assert!(seen.contains("1 row"), "{seen}");
    let piped = repo.run_with_input(["replay", "-", "production", "main"], "{\"team\":\"x\"}\n");
    assert_eq!(piped.stderr, "");
}

#[test]
fn times_are_told_from_now_on_a_terminal_alone() {
    let repo = wide();
    let screen = Screen::of(100, 50);
    let piped = repo.run(["log"]).ok();
    assert!(piped.contains("2024-01-01T00:01:00+00:00"), "{piped}");
    for verb in [
        &["log"][..],
        &["versions", "base"],
        &["blame", "--team", "x"],
        &["show", "base@1"],
    ] {
        let near = repo.on_terminal(verb, screen, &[]).ok();
        assert!(
            near.contains(" years ago") && !near.contains("2024-01-01T"),
            "{verb:?}: {near}"
        );
        let line = [verb, &["--absolute"]].concat();
        let absolute = repo.on_terminal(&line, screen, &[]).ok();
        assert!(
            absolute.contains("2024-01-01T") && !absolute.contains(" ago"),
            "{absolute}"
        );
        let json = repo
            .on_terminal(&[verb, &["--format", "json"]].concat(), screen, &[])
            .ok();
        assert!(
            json.contains("2024-01-01T") && !json.contains(" ago"),
            "{json}"
        );
    }
}
