//! Repositories that 0.1 made: they are read, promoted on, rolled back and pushed.

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
    let digest = message.lines().find(|line| line.starts_with("Refguard-Digest")).unwrap();
    let text = format!(
        "promote {number}\n\nRefguard-Promotion: {number}\nRefguard-Environment: production\nRefguard-Commit: {source}\n{digest}\n{more}"
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
    repo.policy("base", "guardrails: {add: [pii, audit]}").commit("two");
    promote_as_before(&repo, 2, "Refguard-Reason: as before\n");
    repo
}

#[test]
fn promotions_go_on_from_those_without_the_new_trailers() {
    let repo = of_before();
    let last = repo.id("production");
    repo.policy("base", "guardrails: {add: [pii, audit, log]}").commit("three");
    assert!(repo.run(["promote"]).ok().contains("promotion 3"));
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(message.contains(&format!("Refguard-Previous: {last}")), "{message}");
    repo.run(["rollback"]).ok();
    repo.run(["rollback"]).ok();
    let answer = repo.run(["resolve", "--at", "production", "--format", "json"]).json();
    assert_eq!(answer["guardrails"], json!(["pii"]));
    let log = repo.run(["log", "--format", "json"]).json();
    let numbers: Vec<_> =
        log["promotions"].as_array().unwrap().iter().map(|it| it["number"].clone()).collect();
    assert_eq!(numbers, [json!(5), json!(4), json!(3), json!(2), json!(1)]);
}

#[test]
fn a_redundant_name_in_the_settings_of_before_stops_nothing() {
    let repo = TestRepo::new();
    let settings = "apiVersion: refguard/v1\nkind: Repository\npublish_branch: main\nenvironments:\n  - name: production\n    ref: refs/heads/production\n";
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write("refguard.yaml", settings)
        .commit("one");
    promote_as_before(&repo, 1, "");
    repo.policy("base", "guardrails: {add: [pii, audit]}").commit("two");
    assert!(repo.run(["promote"]).ok().contains("promotion 2"));
    repo.run(["rollback"]).ok();
}
