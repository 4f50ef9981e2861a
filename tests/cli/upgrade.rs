//! Repositories that 0.1 made: they are read, promoted on, rolled back and pushed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// A promotion as 0.1 wrote it: without the trailers that name its place.
fn promote_as_before(repo: &TestRepo, number: u32, more: &str) -> String {
    let set = repo.run(["validate", "--format", "json"]);
    assert_eq!(set.code, Some(0));
    let source = repo.id("main");
    // The digest of a set is the document's; any promotion of the same tree tells it.
    let probe = repo.cloned(&[]);
    probe.git(["update-ref", "-d", "refs/remotes/origin/production"]);
    probe.git(["config", "user.name", "x"]);
    probe.run(["promote", "--local"]).ok();
    let message = probe.git(["log", "-1", "--format=%B", "refs/heads/production"]);
    let digest = message
        .lines()
        .find(|line| line.starts_with("Refguard-Digest"))
        .unwrap();
    let text = format!(
        "promote {number}\n\nRefguard-Promotion: {number}\nRefguard-Environment: production\n\
         Refguard-Commit: {source}\n{digest}\n{more}"
    );
    let tree = repo.git(["rev-parse", "main^{tree}"]);
    let mut args = vec!["commit-tree", tree.as_str(), "-m", text.trim_end()];
    let old = repo.try_git(&["rev-parse", "-q", "--verify", "refs/heads/production"]);
    let old = String::from_utf8(old.stdout).unwrap().trim().to_owned();
    if !old.is_empty() {
        args.extend(["-p", old.as_str()]);
    }
    args.extend(["-p", source.as_str()]);
    let commit = repo.git(args);
    repo.git(["update-ref", "refs/heads/production", &commit]);
    repo.git(["update-ref", "refs/refguard/ledger/production", &commit]);
    commit
}

fn of_before() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    promote_as_before(&repo, 1, "");
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    promote_as_before(&repo, 2, "Refguard-Reason: as before\n");
    repo
}

#[test]
fn promotions_go_on_from_those_without_the_new_trailers() {
    let repo = of_before();
    let last = repo.id("production");
    repo.policy("base", "guardrails: {add: [pii, audit, log]}")
        .commit("three");
    assert!(repo.run(["promote"]).ok().contains("promotion 3"));
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(
        message.contains(&format!("Refguard-Previous: {last}")),
        "{message}"
    );
    repo.run(["rollback"]).ok();
    repo.run(["rollback"]).ok();
    let answer = repo
        .run(["resolve", "--at", "production", "--format", "json"])
        .json();
    assert_eq!(answer["guardrails"], json!(["pii"]));
    let log = repo.run(["log", "--format", "json"]).json();
    let numbers: Vec<_> = log["promotions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["number"].clone())
        .collect();
    assert_eq!(numbers, [json!(5), json!(4), json!(3), json!(2), json!(1)]);
}

#[test]
fn a_redundant_name_in_the_settings_of_before_stops_nothing() {
    let repo = TestRepo::new();
    let settings = "apiVersion: refguard/v1\nkind: Repository\npublish_branch: main\n\
        environments:\n  - name: production\n    ref: refs/heads/production\n";
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write("refguard.yaml", settings)
        .commit("one");
    promote_as_before(&repo, 1, "");
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    assert!(repo.run(["promote"]).ok().contains("promotion 2"));
    repo.run(["rollback"]).ok();
}

/// What 0.1.0 itself made: see `tests/data/made-by-0.1/README.md`.
fn made_by_0_1() -> TestRepo {
    let repo = TestRepo::new();
    let bundle = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/made-by-0.1/repository.bundle"
    );
    repo.git(["fetch", "-q", bundle, "production:production"]);
    repo.git(["fetch", "-q", bundle, "refs/refguard/*:refs/refguard/*"]);
    repo.git(["pull", "-q", bundle, "main"]);
    // It is of the beginning of 2026.
    repo.pass_year();
    repo.pass_year();
    repo
}

/// The promotions of that repository with one thing each that is an error now, and the error.
const NEWER_ERRORS: [(u32, &str); 8] = [
    (2, "RG002"),
    (3, "RG013"),
    (4, "RG018"),
    (5, "RG119"),
    (6, "RG120"),
    (7, "RG116"),
    (8, "RG004"),
    (9, "RG001"),
];

#[test]
fn a_set_that_0_1_promoted_is_read_with_a_warning_whatever_is_an_error_now() {
    let repo = made_by_0_1();
    for (number, code) in NEWER_ERRORS {
        let at = format!("production#{number}");
        let run = repo
            .run(["resolve", "--at", &at, "--team", "a", "--format", "json"])
            .ends(0);
        assert!(
            run.stderr.contains(code) && run.stderr.contains("since 0.2.0"),
            "{}",
            run.stderr
        );
        let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let due = if number == 3 {
            json!(["audit", "pii"])
        } else {
            json!(["pii"])
        };
        assert_eq!(answer["guardrails"], due, "{at}");
        assert_eq!(repo.run(["show", "base", "--at", &at]).code, Some(0));

        let judged = repo
            .run(["validate", "--at", &at, "--format", "json"])
            .ends(1);
        let found: serde_json::Value = serde_json::from_str(&judged.stdout).unwrap();
        let errors = found["findings"].as_array().unwrap().iter();
        let errors = errors.filter(|finding| finding["severity"] == "error");
        let codes: Vec<_> = errors
            .map(|finding| finding["code"].as_str().unwrap())
            .collect();
        assert!(
            !codes.is_empty() && codes.iter().all(|found| *found == code),
            "{at}: {found}"
        );
    }
    let sound = repo
        .run(["resolve", "--at", "production#1", "--team", "a"])
        .ends(0);
    assert_eq!(sound.stderr, "");
    for verb in [
        &["log"][..],
        &["versions", "base"],
        &["diff", "production#1", "production#10"],
    ] {
        assert_eq!(repo.run(verb.iter().copied()).code, Some(0), "{verb:?}");
    }
}

#[test]
fn a_promotion_asks_for_all_that_is_an_error_now() {
    let repo = made_by_0_1();
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("all the same");
    let refused = repo.run(["promote"]).fails(1);
    for code in ["RG002", "RG013", "RG018", "RG120", "RG004", "RG001"] {
        assert!(refused.contains(code), "{code}: {refused}");
    }
    let wrong = [
        "wide.yaml",
        "more.yaml",
        "policies/extra.YAML",
        "policies/invisible.yaml",
    ];
    for file in wrong
        .into_iter()
        .chain(["tests/twice.yaml", "tests/long.yaml"])
    {
        if repo.path().join(file).exists() {
            repo.remove(file);
        }
    }
    repo.remove("invariants/no-log.yaml").commit("mended");
    let done = repo.run(["promote", "--format", "json"]).json();
    assert_eq!(
        done["promotion"], 11,
        "what stands is compared with, not judged"
    );
}

#[test]
fn a_rollback_goes_back_to_a_set_that_0_1_promoted_and_it_stays_readable() {
    let repo = made_by_0_1();
    for (number, code) in NEWER_ERRORS {
        let to = number.to_string();
        let run = repo.run(["rollback", "--to", &to]).ends(0);
        assert!(run.stderr.contains(code), "{number}: {}", run.stderr);
        let message = repo.git(["log", "-1", "--format=%B", "production"]);
        assert!(
            message.contains("Refguard-Version: 0.1.0\n"),
            "whose rules it keeps: {message}"
        );
        assert_eq!(
            repo.run(["resolve", "--at", "production", "--team", "a"])
                .code,
            Some(0)
        );
    }
    // To take the hold away changes no set, so it asks for no more than before.
    repo.run(["release", "seen"]).ok();
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(message.contains("Refguard-Version: 0.1.0\n"), "{message}");
    repo.run(["rollback", "--to", "1"]).ok();
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(
        message.contains("Refguard-Version: 0.2"),
        "a set that is sound now: {message}"
    );
}

#[test]
fn what_0_1_promoted_is_pushed_to_a_server_of_now_by_a_rollback() {
    let repo = made_by_0_1();
    let server = repo.cloned(&["--bare"]);
    server.git(["symbolic-ref", "HEAD", "refs/heads/main"]);
    server.git([
        "fetch",
        "-q",
        repo.path().to_str().unwrap(),
        "refs/refguard/*:refs/refguard/*",
    ]);
    let hook = server.path().join("hooks/pre-receive");
    let text = format!(
        "#!/bin/sh\nexec '{}' hook pre-receive\n",
        env!("CARGO_BIN_EXE_refguard")
    );
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, text).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    repo.git(["remote", "add", "origin", server.path().to_str().unwrap()]);
    repo.git(["fetch", "-q", "origin"]);
    assert!(
        repo.run(["rollback", "--to", "5"])
            .ok()
            .contains("promotion 11")
    );
    assert_eq!(server.id("production"), repo.id("production"));
    // Who says of such a set that it keeps the rules of now is refused.
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    let (old, tree) = (
        repo.id("production~1"),
        repo.git(["rev-parse", "production^{tree}"]),
    );
    server.git(["update-ref", "refs/heads/production", &old]);
    server.git(["update-ref", "refs/refguard/ledger/production", &old]);
    for version in ["0.2.0", "the newest"] {
        let forged = message.replace("Version: 0.1.0", &format!("Version: {version}"));
        let forged = repo.git(["commit-tree", &tree, "-p", &old, "-m", forged.trim_end()]);
        let target = format!("{forged}:refs/heads/production");
        let pushed = repo.try_git(&["push", "origin", &target]);
        assert!(!pushed.status.success(), "{version}");
        let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
        assert!(said.contains("names"), "{said}");
    }
}
