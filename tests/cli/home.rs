//! Where an environment lives: clones, remotes that take less than they are given, and what is said
//! of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// An author's repository and the bare one that it knows as `origin`, with one promotion there.
fn shared() -> (TestRepo, TestRepo) {
    let server = TestRepo::bare();
    let author = TestRepo::new();
    author.git([
        "remote",
        "add",
        "origin",
        &format!("file://{}", server.path().display()),
    ]);
    author
        .policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    author.git(["push", "-q", "origin", "main"]);
    author.run(["promote", "--push", "origin"]).ok();
    (server, author)
}

fn publish(repo: &TestRepo, guardrail: &str) -> String {
    let id = repo
        .policy("base", &format!("guardrails: {{add: [{guardrail}]}}"))
        .commit(guardrail);
    repo.git(["push", "-q", "origin", "main"]);
    id
}

fn numbers(repo: &TestRepo) -> Vec<Value> {
    let log = repo.run(["log", "--format", "json"]).json();
    log["promotions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["number"].clone())
        .collect()
}

#[test]
fn a_fresh_clone_sees_what_the_remote_has_and_goes_on_from_there() {
    let (server, author) = shared();
    let clone = server.cloned(&[]);
    assert_eq!(numbers(&clone), [json!(1)]);
    assert!(clone.run(["diff"]).ok().contains("mean the same"));
    let status = clone.run(["status", "--format", "json"]).json();
    assert_eq!(status["environments"][0]["promotion"], json!(1));
    assert_eq!(
        clone
            .run(["resolve", "--at", "production", "--format", "json"])
            .json()["guardrails"],
        json!(["pii"])
    );
    publish(&clone, "audit");
    let said = clone.run(["promote", "--reason", "r"]).ok();
    assert!(
        said.starts_with("production@origin: promoted, promotion 2"),
        "{said}"
    );
    let message = server.git(["log", "-1", "--format=%B", "production"]);
    assert!(
        message.contains("Refguard-Promotion: 2"),
        "no rival promotion 1: {message}"
    );
    // The author has not fetched; its next verb that moves asks the remote.
    author.git(["pull", "-q", "origin", "main"]);
    assert!(
        author
            .run(["promote"])
            .ok()
            .contains("already there, at promotion 2")
    );
    assert_eq!(
        author.id("refs/remotes/origin/production"),
        server.id("production")
    );
}

#[test]
fn what_is_not_pushed_is_not_left_out_in_silence() {
    let (server, _author) = shared();
    let clone = server.cloned(&[]);
    clone
        .policy("base", "guardrails: {add: [audit]}")
        .commit("local");
    let said = clone.run(["promote"]).fails(1);
    assert!(
        said.contains("`main` is 1 commit ahead of `origin/main`: push it first"),
        "{said}"
    );
}

#[test]
fn rollbacks_and_holds_go_to_where_the_environment_lives() {
    let (server, author) = shared();
    publish(&author, "audit");
    author.run(["promote"]).ok();
    let clone = server.cloned(&[]);
    assert!(
        clone
            .run(["rollback"])
            .ok()
            .starts_with("production@origin: rolled back, promotion 3")
    );
    assert!(
        clone
            .run(["hold", "audit week"])
            .ok()
            .contains("promotion 4")
    );
    let message = server.git(["log", "-1", "--format=%B", "production"]);
    assert!(message.contains("Refguard-Hold: audit week"), "{message}");
    assert_eq!(
        server.id("refs/refguard/ledger/production"),
        server.id("production")
    );
}

#[test]
fn where_the_first_promotion_goes_must_be_said() {
    let (server, _) = (TestRepo::bare(), ());
    let author = TestRepo::new();
    author.git([
        "remote",
        "add",
        "origin",
        &format!("file://{}", server.path().display()),
    ]);
    author
        .policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    author.git(["push", "-q", "origin", "main"]);
    let said = author.run(["promote"]).fails(2);
    assert!(said.contains("with `--push origin` or `--local`"), "{said}");
    author.run(["promote", "--local"]).ok();
    // It lives here now, and a later push to the remote takes its past along.
    publish(&author, "audit");
    assert!(
        author
            .run(["promote"])
            .ok()
            .starts_with("production: promoted, promotion 2")
    );
    publish(&author, "log");
    assert!(
        author
            .run(["promote", "--push", "origin"])
            .ok()
            .contains("promotion 3")
    );
    let log = server.git(["log", "--first-parent", "--format=%s", "production"]);
    assert_eq!(
        log.lines()
            .filter(|line| line.starts_with("promote "))
            .count(),
        3,
        "{log}"
    );
}

#[test]
fn without_the_remote_only_local_moves_and_a_plain_push_sends_it() {
    let (server, author) = shared();
    publish(&author, "audit");
    author.git(["config", "remote.origin.url", "/nowhere"]);
    let said = author.run(["promote"]).fails(2);
    assert!(said.contains("`--local` moves what is here"), "{said}");
    assert!(
        author
            .run(["promote", "--local"])
            .ok()
            .starts_with("production: promoted")
    );
    author.git([
        "config",
        "remote.origin.url",
        &format!("file://{}", server.path().display()),
    ]);
    author.git([
        "push",
        "-q",
        "origin",
        "production",
        "refs/refguard/ledger/production",
    ]);
    assert!(
        server
            .git(["log", "-1", "--format=%B", "production"])
            .contains("Promotion: 2")
    );
    // A branch that went another way is no base for anything.
    author.git(["update-ref", "refs/heads/production", "main"]);
    author.git(["fetch", "-q"]);
    assert!(
        author
            .run(["promote", "--local"])
            .fails(1)
            .contains("has diverged from `origin`")
    );
    publish(&author, "log");
    let out = author.run(["promote"]).ends(0);
    assert!(out.stderr.contains("it is left as it is"), "{}", out.stderr);
    assert_eq!(author.id("refs/heads/production"), author.id("main~1"));
}

#[test]
fn a_remote_that_hides_ledgers_has_the_promotion_and_it_is_said_once() {
    let (server, author) = shared();
    server.git(["update-ref", "-d", "refs/refguard/ledger/production"]);
    server.git(["config", "receive.hideRefs", "refs/refguard"]);
    publish(&author, "audit");
    let run = author.run(["promote"]).ends(0);
    assert!(
        run.stderr.contains("`origin` takes no `refs/refguard/*`"),
        "{}",
        run.stderr
    );
    assert!(
        server
            .git(["log", "-1", "--format=%B", "production"])
            .contains("Promotion: 2")
    );
    publish(&author, "log");
    let run = author.run(["promote"]).ends(0);
    assert!(!run.stderr.contains("takes no"), "{}", run.stderr);
    assert_eq!(numbers(&server.cloned(&[])), [json!(3), json!(2), json!(1)]);
}

#[test]
fn a_remote_that_refuses_other_refs_than_branches_still_works() {
    let (server, author) = shared();
    server.git(["update-ref", "-d", "refs/refguard/ledger/production"]);
    let hook = server.path().join("hooks/update");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        "#!/bin/sh\ncase $1 in refs/heads/*) ;; *) exit 1 ;; esac\n",
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    publish(&author, "audit");
    let run = author.run(["promote"]).ends(0);
    assert!(
        run.stderr.contains("takes no `refs/refguard/*`"),
        "{}",
        run.stderr
    );
    assert!(
        server
            .git(["log", "-1", "--format=%B", "production"])
            .contains("Promotion: 2")
    );
}

#[test]
fn what_could_not_follow_here_is_said_and_the_next_run_heals_it() {
    let (server, author) = shared();
    publish(&author, "audit");
    let run = author
        .run_with(["promote"], &[("REFGUARD_TEST_FAIL_AT", "before-ref")])
        .ends(0);
    assert!(
        run.stderr.contains("`origin` has it, but the copy"),
        "{}",
        run.stderr
    );
    assert_ne!(author.id("refs/heads/production"), server.id("production"));
    assert!(
        author
            .run(["promote"])
            .ok()
            .contains("already there, at promotion 2")
    );
    assert_eq!(author.id("refs/heads/production"), server.id("production"));
    assert_eq!(
        author.id("refs/refguard/ledger/production"),
        server.id("production")
    );
}

#[test]
fn a_mirror_moves_nothing() {
    let (server, _author) = shared();
    let mirror = server.cloned(&["--mirror"]);
    for verb in [vec!["promote"], vec!["rollback"], vec!["hold", "x"]] {
        let said = mirror.run(verb.iter().copied()).fails(1);
        assert!(said.contains("is a mirror of origin (file://"), "{said}");
    }
}

#[test]
fn of_several_remotes_one_must_be_named() {
    let (server, author) = shared();
    author.git(["remote", "add", "fork", "/nowhere"]);
    for verb in ["promote", "log"] {
        let said = author.run([verb]).fails(2);
        assert!(said.contains("`git config refguard.remote NAME`"), "{said}");
    }
    author.git(["config", "refguard.remote", "origin"]);
    publish(&author, "audit");
    author.run(["promote"]).ok();
    assert!(
        server
            .git(["log", "-1", "--format=%B", "production"])
            .contains("Promotion: 2")
    );
}

#[test]
fn a_branch_that_is_gone_at_the_remote_is_restored_and_not_begun_anew() {
    let (server, author) = shared();
    let last = server.id("production");
    server.git(["update-ref", "-d", "refs/heads/production"]);
    publish(&author, "audit");
    let said = author.run(["promote"]).fails(1);
    assert!(
        said.contains(&format!("git push origin {last}:refs/heads/production")),
        "{said}"
    );
    author.git([
        "push",
        "-q",
        "origin",
        &format!("{last}:refs/heads/production"),
    ]);
    assert!(author.run(["promote"]).ok().contains("promotion 2"));
}

#[test]
fn tags_named_like_branches_confuse_no_push_and_no_fetch() {
    let (server, author) = shared();
    for name in [
        "refs/heads/production",
        "production",
        "refs/refguard/ledger/production",
    ] {
        server.git(["update-ref", &format!("refs/tags/{name}"), "main"]);
    }
    publish(&author, "audit");
    assert!(author.run(["promote"]).ok().contains("promotion 2"));
    assert_eq!(
        server.id("refs/heads/production"),
        author.id("refs/remotes/origin/production")
    );
}

#[test]
fn a_first_promotion_that_may_be_a_rival_is_said_to_be_one() {
    let (server, author) = shared();
    let url = format!("file://{}", server.path().display());
    let clone = TestRepo::new();
    clone.git(["remote", "add", "origin", &url]);
    clone.git([
        "config",
        "remote.origin.fetch",
        "+refs/heads/main:refs/remotes/origin/main",
    ]);
    clone.git(["config", "refguard.publishBranch", "main"]);
    clone.git(["fetch", "-q", "origin"]);
    clone.git(["reset", "-q", "--hard", "origin/main"]);
    let said = clone.run(["promote", "--local"]).ends(0).stderr;
    assert!(
        said.contains("rival promotion 1") && said.contains("ls-remote"),
        "{said}"
    );
    // Where it is asked, it is found.
    let asked = clone.run(["promote", "--format", "json"]).json();
    assert_eq!(
        (&asked["changed"], &asked["home"]),
        (&json!(false), &json!("origin"))
    );
    drop(author);
}

#[test]
fn an_environment_that_the_remote_lacks_is_moved_here_and_that_is_said() {
    let server = TestRepo::bare();
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    repo.run(["promote"]).ok();
    repo.git([
        "remote",
        "add",
        "origin",
        &format!("file://{}", server.path().display()),
    ]);
    repo.git(["config", "refguard.publishBranch", "main"]);
    repo.git(["push", "-q", "origin", "main"]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let said = repo.run(["promote"]).ends(0).stderr;
    assert!(
        said.contains("`origin` has no `production`") && said.contains("--push"),
        "{said}"
    );
}

#[test]
fn a_setting_of_a_clone_that_names_another_publish_branch_is_said_at_each_promotion() {
    let (_server, author) = shared();
    author.git(["checkout", "-q", "-b", "other"]);
    author
        .policy("base", "guardrails: {add: [pii, audit]}")
        .commit("elsewhere");
    author.git(["push", "-q", "origin", "other"]);
    author.git(["config", "refguard.publishBranch", "other"]);
    let said = author.run(["promote"]).ends(0).stderr;
    assert!(
        said.contains("`other` is the publish branch by a setting"),
        "{said}"
    );
    assert!(said.contains("names `main`"), "{said}");
}

#[test]
fn a_reading_verb_says_how_old_the_copy_is_and_looks_first_where_asked() {
    let (server, author) = shared();
    let clone = server.cloned(&[]);
    publish(&author, "audit");
    author.run(["promote"]).ok();

    for words in [
        vec!["log"],
        vec!["status"],
        vec!["diff"],
        vec!["resolve", "--at", "production"],
        vec!["why", "--guardrail", "pii"],
    ] {
        let said = clone.run(words.clone()).ends(0).stderr;
        assert_eq!(
            said.matches("`origin` was last asked").count(),
            1,
            "{words:?}: {said}"
        );
    }
    assert_eq!(
        numbers(&clone),
        [json!(1)],
        "no reading verb fetches by itself"
    );

    let log = clone.run(["log", "--fetch", "--format", "json"]).json();
    assert_eq!(log["promotions"][0]["number"], json!(2));
    let said = clone.run(["log"]).ends(0).stderr;
    assert!(said.contains("less than a minute ago"), "{said}");

    // What is asked of the work tree is read from no copy.
    assert_eq!(clone.run(["resolve", "--worktree"]).ends(0).stderr, "");
    assert_eq!(author.run(["resolve", "--worktree"]).ends(0).stderr, "");
}

#[test]
fn a_remote_that_cannot_be_asked_first_is_an_error_with_its_name() {
    let (server, _author) = shared();
    let clone = server.cloned(&[]);
    clone.git(["remote", "set-url", "origin", "file:///nonexistent/nowhere"]);
    let said = clone.run(["status", "--fetch"]).ends(2).stderr;
    assert!(said.contains("nowhere"), "{said}");
    let alone = TestRepo::new();
    let said = alone.run(["status", "--fetch"]).ends(2).stderr;
    assert!(said.contains("there is no remote to fetch from"), "{said}");
}

#[test]
fn a_name_of_a_branch_and_a_tag_means_the_branch_with_a_warning() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    repo.git(["tag", "side"]);
    repo.git(["checkout", "-q", "-b", "side"]);
    repo.policy("base", "guardrails: {add: [audit]}")
        .commit("two");
    repo.git(["checkout", "-q", "main"]);

    let asked = |at: &str| repo.run(["resolve", "--at", at, "--format", "json"]);
    let run = asked("side");
    assert!(
        run.stderr
            .contains("`side` is a branch and a tag: the branch is read"),
        "{}",
        run.stderr
    );
    assert_eq!(run.json()["guardrails"], json!(["audit"]));
    assert_eq!(asked("side~1").json()["guardrails"], json!(["pii"]));
    let run = asked("refs/tags/side");
    assert_eq!(run.stderr, "");
    assert_eq!(run.json()["guardrails"], json!(["pii"]));
}

#[test]
fn a_ledger_of_no_environment_is_named() {
    let (_server, author) = shared();
    author.git(["update-ref", "refs/refguard/ledger/prodution", "main"]);
    let status = author.run(["status", "--format", "json"]).json();
    let problems = status["problems"].to_string();
    assert!(
        problems.contains("`refs/refguard/ledger/prodution` is the ledger of no"),
        "{problems}"
    );
    assert_eq!(
        problems.matches("is the ledger of no").count(),
        1,
        "{problems}"
    );
}

#[test]
fn a_ledger_that_is_gone_at_the_remote_is_said_and_not_believed() {
    let (server, author) = shared();
    author.run(["hold", "the audit"]).ok();
    let first = server.id("production^1");
    server.git(["update-ref", "refs/heads/production", &first]);
    let status = author.run(["status", "--fetch"]).ok();
    assert!(
        status.contains("on hold"),
        "the ledger records it: {status}"
    );

    server.git(["update-ref", "-d", "refs/refguard/ledger/production"]);
    let said = "`origin` no longer has the ledger of `production`";
    let run = author.run(["status", "--fetch"]).ends(0);
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert!(!run.stdout.contains("on hold"), "{}", run.stdout);
    assert!(
        !author
            .run(["status", "--fetch"])
            .ends(0)
            .stderr
            .contains(said),
        "once is enough"
    );
}

#[test]
fn a_ledger_that_went_back_at_the_remote_together_with_its_branch_is_said() {
    let (server, author) = shared();
    let first = server.id("production");
    publish(&author, "audit");
    author.run(["promote"]).ok();
    author.run(["hold", "audit week"]).ok();
    for name in ["refs/heads/production", "refs/refguard/ledger/production"] {
        server.git(["update-ref", name, &first]);
    }
    let run = author.run(["status", "--fetch"]).ends(0);
    let said = "the ledger of `production` went back from promotion 3 to promotion 1, and with it \
        a hold was lost: audit week";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert!(
        !author
            .run(["status", "--fetch"])
            .ends(0)
            .stderr
            .contains(said),
        "once is enough"
    );

    // A verb that moves says it too, also where the promotions were replaced by as many others.
    publish(&author, "log");
    let clone = server.cloned(&[]);
    clone.run(["promote"]).ok();
    author.run(["status", "--fetch"]).ok();
    for name in ["refs/heads/production", "refs/refguard/ledger/production"] {
        server.git(["update-ref", name, &first]);
    }
    let other = server.cloned(&[]);
    publish(&other, "other");
    other.run(["promote"]).ok();
    let run = author.run(["hold", "--reason", "who did that"]).ends(0);
    let said = "the ledger of `production` went back from promotion 2 to promotion 1";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

#[test]
fn a_clone_of_one_branch_does_not_say_that_nothing_was_promoted() {
    let (server, _author) = shared();
    let clone = server.cloned(&["--single-branch", "--branch", "main"]);
    for verb in ["status", "log"] {
        let run = clone.run([verb]).ends(0);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(
            said.contains("`refguard status --fetch` asks `origin`"),
            "{verb}: {said}"
        );
        assert!(!said.contains("nothing was promoted"), "{verb}: {said}");
    }
    let blame = clone.run(["blame", "--team", "x"]).ends(2);
    assert!(
        blame.stderr.contains("`refguard status --fetch` asks"),
        "{}",
        blame.stderr
    );
    let said = clone.run(["status", "--fetch"]).ok();
    assert!(said.contains("production: promotion 1"), "{said}");
}
