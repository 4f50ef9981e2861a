//! When an environment takes no promotion: freezes and soaks, whom they stop, and how they are
//! passed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Weekday;

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// A freeze that is in force whenever this test runs, and one that is over.
const FROZEN: &str = "freeze: [{from: 2020-01-01, to: 2999-12-30T12:00:00Z, reason: year's end}]";
const THAWED: &str = "freeze: [{from: 2020-01-01, to: 2020-12-31}]";

fn settings(fields: &str) -> String {
    format!(
        "apiVersion: refguard/v1\nkind: Repository\nenvironments:\n  - name: staging\n  - name: \
         production\n    gates: {{safeguards: refuse}}\n    allow: [bob@example.org]\n    {fields}\n"
    )
}

/// A repository whose production has these settings: they judge the promotions from now on.
fn promoted(fields: &str) -> TestRepo {
    let repo = begun();
    repo.write("refguard.yaml", &settings(fields))
        .commit("settings");
    repo.run(["promote", "--allow-safeguards", "another way"])
        .ok();
    repo
}

/// A repository with a first promotion, which nothing stops.
fn begun() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write("refguard.yaml", &settings(""))
        .commit("one");
    repo.run(["promote"]).ok();
    repo
}

/// The date of commits that are made now: the other ones of these tests are of 2024.
fn now() -> String {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    format!("{} +0000", since.as_secs())
}

fn last_message(repo: &TestRepo, environment: &str) -> String {
    repo.git(["log", "-1", "--format=%B", environment])
}

#[test]
fn a_frozen_environment_takes_a_promotion_only_with_a_reason() {
    let repo = promoted(FROZEN);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let word = "gate `freeze`: frozen until 2999-12-30T12:00:00Z: year's end";

    let refused = repo.run(["promote"]).fails(1);
    assert!(refused.contains(&format!("refused: {word}")), "{refused}");
    let dry = repo.run(["promote", "--dry-run"]).ends(1);
    assert!(
        dry.stderr.contains(&format!("refused: {word}")),
        "{}",
        dry.stderr
    );
    let review = repo.run(["review", "production", "HEAD"]).ok();
    assert!(
        review.contains("frozen until 2999-12-30T12:00:00Z"),
        "{review}"
    );

    let status = repo.run(["status"]).ok();
    assert!(
        status.contains("! production: frozen until 2999-12-30T12:00:00Z: year's end"),
        "{status}"
    );
    let json = repo.run(["status", "--format", "json"]).json();
    let production = json["environments"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "production");
    assert_eq!(
        production.unwrap()["freeze"]["until"],
        "2999-12-30T12:00:00Z"
    );

    let passed = repo
        .run(["promote", "--allow-freeze", "a key leaks"])
        .ends(0);
    assert!(
        passed.stderr.contains(&format!("allowed: {word}")),
        "{}",
        passed.stderr
    );
    assert!(last_message(&repo, "production").contains("Refguard-Allow: freeze a key leaks"));
    let log = repo.run(["log", "--format", "json"]).json();
    assert_eq!(log["promotions"][0]["allowed"][0]["gate"], "freeze");
    assert_eq!(log["promotions"][0]["allowed"][0]["reason"], "a key leaks");
}

#[test]
fn a_rollback_and_a_hold_are_never_frozen() {
    let repo = promoted(FROZEN);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    repo.run(["promote", "--allow-freeze", "a key leaks"]).ok();

    repo.run(["rollback", "--reason", "worse"]).ok();

    let message = last_message(&repo, "production");
    assert!(
        message.contains("Refguard-Rollback: 2") && !message.contains("Allow"),
        "{message}"
    );
    repo.run(["release", "mended"]).ok();
    repo.run(["hold", "until Monday"]).ok();
}

#[test]
fn a_freeze_that_is_over_stops_nobody_and_an_allow_without_one_is_not_recorded() {
    let repo = promoted(THAWED);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    repo.run(["promote", "--allow-freeze", "to be sure"]).ok();
    assert!(!last_message(&repo, "production").contains("Allow"));
}

/// A freeze of the whole of two days of the week by the clocks of a zone.
fn weekly(days: [Weekday; 2], zone: &str) -> String {
    let names = days.map(|day| match day {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    });
    format!(
        "freeze: [{{days: [{}], from: \"00:00\", to: \"24:00\", timezone: {zone}, reason: nobody}}]",
        names.join(", ")
    )
}

#[test]
fn a_weekly_freeze_is_in_force_on_its_days_in_its_zone_only() {
    // The clocks of these two are 26 hours apart: on both days it never is in both.
    let (here, there) = ("Pacific/Kiritimati", "Etc/GMT+12");
    let today = Timestamp::now().in_tz(here).unwrap().weekday();
    let days = [today, today.next()];
    let word = "frozen until 20";

    let repo = promoted(&weekly(days, here));
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let before = repo.id("production");
    let refused = repo.run(["promote"]).fails(1);
    assert!(
        refused.contains(&format!("refused: gate `freeze`: {word}")),
        "{refused}"
    );
    let dry = repo.run(["promote", "--dry-run"]).ends(1);
    assert!(dry.stderr.contains(word), "{}", dry.stderr);
    let status = repo.run(["status"]).ok();
    assert!(
        status.contains(&format!("! production: {word}")) && status.contains(": nobody"),
        "{status}"
    );
    assert_eq!(repo.id("production"), before);
    // It ends at a midnight of that zone, which is 10:00 in UTC.
    let json = repo.run(["status", "--format", "json"]).json();
    let until = json["environments"].as_array().unwrap().iter();
    let until = until
        .filter_map(|it| it["freeze"]["until"].as_str())
        .collect::<Vec<_>>();
    assert!(
        matches!(until.as_slice(), [until] if until.ends_with("T10:00:00Z")),
        "{until:?}"
    );

    let repo = promoted(&weekly(days, there));
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let dry = repo.run(["promote", "--dry-run"]).ends(0);
    assert!(!dry.stderr.contains("frozen"), "{}", dry.stderr);
    assert!(!repo.run(["status"]).ok().contains("frozen"));
    repo.run(["promote"]).ok();
}

#[test]
fn a_commit_that_removes_its_own_freeze_is_frozen_all_the_same() {
    let repo = promoted(FROZEN);
    repo.write("refguard.yaml", &settings(THAWED))
        .commit("make room");

    let refused = repo.run(["promote"]).fails(1);

    assert!(
        refused.contains("refused: gate `freeze`: frozen until"),
        "{refused}"
    );
    let lost = "refused: gate `safeguards`: refguard.yaml:1: gate `freeze` of `production`: no \
                longer frozen from 2020-01-01T00:00:00Z to 2999-12-30T12:00:00Z";
    assert!(refused.contains(lost), "{refused}");
    assert!(
        repo.run(["diff", "production", "HEAD"])
            .ok()
            .contains("no longer frozen")
    );
}

#[test]
fn a_set_soaks_where_it_comes_from_before_it_moves_on() {
    let repo = promoted("from: staging\n    soak: 30d");
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    repo.run_with(
        ["promote", "--to", "staging"],
        &[("GIT_COMMITTER_DATE", &now())],
    )
    .ok();

    let refused = repo.run(["promote"]).fails(1);
    assert!(
        refused.contains("refused: gate `soak`: the set was in `staging` for"),
        "{refused}"
    );
    assert!(
        refused.contains("and 720h is asked for; it may move on at 20"),
        "{refused}"
    );
    let status = repo.run(["status"]).ok();
    assert!(
        status.contains("takes sets that stayed for 720h where they come from"),
        "{status}"
    );

    let dry = repo.run(["promote", "--dry-run"]).ends(1);
    assert!(
        dry.stderr.contains("refused: gate `soak`: the set was in"),
        "{}",
        dry.stderr
    );
    let dry = repo
        .run(["promote", "--dry-run", "--allow-soak", "a key leaks"])
        .ends(0);
    assert!(
        dry.stderr.contains("allowed: gate `soak`"),
        "{}",
        dry.stderr
    );

    repo.run(["promote", "--allow-soak", "a key leaks"]).ok();
    assert!(last_message(&repo, "production").contains("Refguard-Allow: soak a key leaks"));
}

#[test]
fn a_set_that_has_soaked_moves_on_also_when_its_source_has_gone_further() {
    let repo = promoted("from: staging\n    soak: 30m");
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    repo.run(["promote", "--to", "staging"]).ok();
    let soaked = repo.id("staging");
    // Two years later, by the dates of these commits, another set comes.
    repo.policy("base", "guardrails: {add: [pii, audit, extra]}")
        .commit("three");
    repo.run_with(
        ["promote", "--to", "staging"],
        &[("GIT_COMMITTER_DATE", &now())],
    )
    .ok();

    let refused = repo.run(["promote"]).fails(1);
    assert!(refused.contains("gate `soak`"), "{refused}");
    let dry = repo.run(["promote", "--dry-run", &soaked]).ends(0);
    assert!(!dry.stderr.contains("soak"), "{}", dry.stderr);
    repo.run(["promote", &soaked]).ok();
}

#[test]
fn what_cannot_be_followed_is_refused_with_its_place() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write(
            "refguard.yaml",
            &settings(
                "freeze: [{days: [fri], from: \"16:00\", to: \"24:00\", timezone: Europe/Berlyn}]",
            ),
        );

    let said = repo.run(["validate"]).ends(1);

    assert!(
        said.stdout
            .contains("there is no time zone `Europe/Berlyn`"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("refguard.yaml:8:") && said.stdout.contains("`Europe/Berlin`"),
        "{}",
        said.stdout
    );
}

#[test]
fn the_server_judges_a_push_by_its_own_clock() {
    let server = TestRepo::bare();
    let hook = server.path().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let program = env!("CARGO_BIN_EXE_refguard");
    fs::write(
        &hook,
        format!("#!/bin/sh\nexec '{program}' hook pre-receive\n"),
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let repo = begun();
    repo.git([
        "remote",
        "add",
        "origin",
        &format!("file://{}", server.path().display()),
    ]);
    repo.git(["config", "refguard.publishBranch", "main"]);
    let push = |commit: &str| {
        let branch = format!("{commit}:refs/heads/production");
        let ledger = format!("{commit}:refs/refguard/ledger/production");
        let pushed = repo.try_git(&["push", "-q", "--atomic", "origin", &branch, &ledger]);
        (
            pushed.status.success(),
            String::from_utf8(pushed.stderr).unwrap(),
        )
    };
    repo.git(["push", "-q", "origin", "main"]);
    assert_eq!(push("production"), (true, String::new()));
    repo.write("refguard.yaml", &settings(FROZEN))
        .commit("settings");
    repo.git(["push", "-q", "origin", "main"]);
    repo.run(["promote", "--local"]).ok();
    assert_eq!(push("production"), (true, String::new()));

    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    repo.git(["push", "-q", "origin", "main"]);
    // What a program without the gate would make, with a date before the freeze: no trailer says
    // that it was passed.
    repo.run(["promote", "--local", "--allow-freeze", "a key leaks"])
        .ok();
    let made = last_message(&repo, "production");
    let silent = made.replace("\nRefguard-Allow: freeze a key leaks", "");
    assert_ne!(silent, made);
    let parents = repo.git(["log", "-1", "--format=%P", "production"]);
    let mut args = vec!["commit-tree", "production^{tree}", "-m", &silent];
    parents
        .split(' ')
        .for_each(|parent| args.extend(["-p", parent]));
    let forged = repo.git(args);
    let mut dated_args = vec!["commit-tree", "production^{tree}", "-m", &made];
    parents
        .split(' ')
        .for_each(|parent| dated_args.extend(["-p", parent]));

    let ahead = [("GIT_COMMITTER_DATE", "2090-01-01T00:00:00Z")];
    let dated = repo.git_with(&dated_args, &ahead);
    let (is_taken, said) = push(&dated);
    assert!(!is_taken && said.contains("ahead of the clock"), "{said}");
    let (is_taken, said) = push(&forged);
    assert!(
        !is_taken && said.contains("frozen until 2999-12-30T12:00:00Z"),
        "{said}"
    );
    assert_eq!(push("production"), (true, String::new()));
}

#[test]
fn a_promotion_has_the_date_of_now_here_and_at_the_server() {
    let repo = begun();
    let before = repo.id("production");
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let dated = |date: &str| {
        repo.run_with(["promote"], &[("GIT_COMMITTER_DATE", date)])
            .fails(1)
    };
    let said = dated("2090-01-01T00:00:00Z");
    assert!(
        said.contains("dated 2090-01-01T00:00:00Z, ahead of the clock"),
        "{said}"
    );
    let said = dated("2019-01-01T00:00:00Z");
    assert!(
        said.contains("before the promotion that it follows"),
        "{said}"
    );
    assert_eq!(repo.id("production"), before);
    repo.run(["promote"]).ok();
}
