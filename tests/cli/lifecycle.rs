//! The life of a version: a test for each row of docs/lifecycle.md, and what must survive.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::{TestRepo, policy};

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// A repository with one policy, attached to everything, committed.
fn base() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    repo
}

fn promoted(repo: &TestRepo, args: &[&str]) -> Value {
    repo.run(
        ["promote", "--format", "json"]
            .into_iter()
            .chain(args.iter().copied()),
    )
    .json()
}

fn guardrails(repo: &TestRepo, at: &str) -> Value {
    repo.run(["resolve", "--at", at, "--format", "json"]).json()["guardrails"].clone()
}

#[test]
fn a_created_policy_is_a_draft_until_it_is_promoted() {
    let repo = base();
    assert!(
        repo.run(["resolve", "--at", "production"])
            .fails(2)
            .contains("refs/heads/production")
    );
    let done = promoted(&repo, &[]);
    assert_eq!(
        (&done["promotion"], &done["changed"], &done["previous"]),
        (&json!(1), &json!(true), &Value::Null)
    );
    assert_eq!(done["promoted"], json!(repo.id("main")));
    assert_eq!(guardrails(&repo, "production"), json!(["pii"]));
}

#[test]
fn a_draft_is_edited_without_touching_production() {
    let repo = base();
    let _ = promoted(&repo, &[]);
    repo.policy("base", "guardrails: {add: [pii, audit]}");
    assert_eq!(guardrails(&repo, "production"), json!(["pii"]));
    assert_eq!(
        repo.run(["resolve", "--format", "json"]).json()["guardrails"],
        json!(["audit", "pii"])
    );
}

#[test]
fn what_is_not_published_is_not_promoted() {
    let repo = base();
    repo.git(["checkout", "-q", "-b", "feature"]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let refused = repo.run(["promote", "feature"]).fails(1);
    assert!(refused.contains("gate `published`"), "{refused}");
    let done = promoted(&repo, &["feature", "--allow-unpublished"]);
    assert_eq!(done["promotion"], json!(1));
    assert!(
        repo.git(["log", "-1", "--format=%B", "production"])
            .contains("Refguard-Allow: published")
    );
}

#[test]
fn a_promotion_is_one_commit_that_tells_its_story() {
    let repo = base();
    let first = promoted(&repo, &[]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let second = promoted(&repo, &["--reason", "audit finding 12"]);
    let parents = repo.git(["log", "-1", "--format=%P", "production"]);
    assert_eq!(
        parents,
        format!("{} {}", first["commit"].as_str().unwrap(), repo.id("main"))
    );
    assert_eq!(
        repo.git(["rev-parse", "production^{tree}"]),
        repo.git(["rev-parse", "main^{tree}"])
    );
    assert_eq!(
        repo.id("refs/refguard/ledger/production"),
        second["commit"].as_str().unwrap()
    );
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    for due in [
        "Refguard-Promotion: 2",
        "Refguard-Environment: production",
        "Refguard-Reason: audit finding 12",
    ] {
        assert!(message.contains(due), "{message}");
    }
    let again = promoted(&repo, &[]);
    assert_eq!(
        (&again["changed"], &again["promotion"]),
        (&json!(false), &json!(2))
    );
}

#[test]
fn a_policy_is_taken_out_of_production_and_its_attachment_is_not_left_behind() {
    let repo = base();
    repo.policy("extra", "guardrails: {add: [audit]}")
        .write("attachments/x.yaml", &ATTACHED.replace("base", "extra"));
    repo.commit("two");
    let _ = promoted(&repo, &[]);
    repo.remove("policies/extra.yaml")
        .commit("drop the policy, forget the attachment");
    let refused = repo.run(["promote", "--remove", "extra"]).fails(1);
    assert!(
        refused.contains("gate `valid`") && refused.contains("attachments/x.yaml:3"),
        "{refused}"
    );
    repo.remove("attachments/x.yaml")
        .commit("drop the attachment too");
    assert_eq!(promoted(&repo, &[])["promotion"], json!(2));
    assert_eq!(guardrails(&repo, "production"), json!(["pii"]));
}

#[test]
fn a_set_that_protects_nothing_is_not_promoted() {
    let repo = base();
    let _ = promoted(&repo, &[]);
    repo.remove("policies/base.yaml")
        .remove("attachments/all.yaml")
        .commit("delete all");
    assert!(repo.run(["promote"]).fails(1).contains("gate `empty`"));
    assert_eq!(guardrails(&repo, "production"), json!(["pii"]));
}

#[test]
fn a_late_job_does_not_undo_a_newer_promotion_not_even_after_a_rollback() {
    let repo = base();
    let old = repo.id("main");
    let _ = promoted(&repo, &[]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let _ = promoted(&repo, &[]);
    assert!(
        repo.run(["promote", &old])
            .fails(1)
            .contains("gate `older`")
    );
    repo.run(["rollback"]).ok();
    repo.policy("base", "guardrails: {add: [pii, log]}")
        .commit("three");
    let _ = promoted(&repo, &["--release-hold", "mended"]);
    assert!(
        repo.run(["promote", &old])
            .fails(1)
            .contains("gate `older`")
    );
    assert_eq!(
        promoted(&repo, &[&old, "--allow-older"])["promotion"],
        json!(5)
    );
}

#[test]
fn one_version_on_one_request_only_adds() {
    let repo = base();
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let answer = repo
        .run(["resolve", "--policy", "base@1", "--format", "json"])
        .json();
    assert_eq!(answer["guardrails"], json!(["audit", "pii"]));
    let names: Vec<&str> = answer["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["base", "base@1"]);
}

#[test]
fn two_rollbacks_go_two_steps_back_and_hold() {
    let repo = base();
    for (number, guardrail) in [(1, "a"), (2, "b"), (3, "c")] {
        repo.policy("base", &format!("guardrails: {{add: [{guardrail}]}}"))
            .commit(guardrail);
        assert_eq!(promoted(&repo, &[])["promotion"], json!(number));
    }
    repo.run(["rollback"]).ok();
    assert_eq!(guardrails(&repo, "production"), json!(["b"]));
    repo.run(["rollback", "--reason", "further"]).ok();
    assert_eq!(guardrails(&repo, "production"), json!(["a"]));
    assert!(
        repo.run(["promote"])
            .fails(1)
            .contains("on hold since promotion 5: further")
    );
    // A hold survives what something else does to the branch.
    repo.git(["update-ref", "refs/heads/production", "main"]);
    assert!(repo.run(["promote"]).ok().contains("already there"));
    repo.policy("base", "guardrails: {add: [d]}").commit("d");
    assert!(repo.run(["promote"]).fails(1).contains("gate `hold`"));
    let log = repo.run(["log", "--format", "json"]).json();
    let kinds: Vec<&str> = log["promotions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "external", "rollback", "rollback", "promote", "promote", "promote"
        ]
    );
    assert_eq!(
        promoted(&repo, &["--release-hold", "mended"])["promotion"],
        json!(6)
    );
    assert_eq!(
        repo.run(["log", "--format", "json"]).json()["promotions"][0]["policies"],
        json!(["base"])
    );
}

#[test]
fn a_hold_is_a_promotion_of_what_is_there() {
    let repo = base();
    let _ = promoted(&repo, &[]);
    repo.run(["hold", "audit week"]).ok();
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    assert!(repo.run(["promote"]).fails(1).contains("audit week"));
    assert_eq!(
        promoted(&repo, &["--release-hold", "over"])["promotion"],
        json!(3)
    );
}

#[test]
fn history_is_asked_by_number_and_by_time() {
    let repo = base();
    let _ = promoted(&repo, &[]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    repo.commit("time passes");
    let _ = promoted(&repo, &[]);
    assert_eq!(guardrails(&repo, "production#1"), json!(["pii"]));
    assert_eq!(guardrails(&repo, "2024-01-01T00:01:30Z"), json!(["pii"]));
    assert_eq!(
        guardrails(&repo, "2030-01-01T00:00:00Z"),
        json!(["audit", "pii"])
    );
    assert!(
        repo.run(["resolve", "--at", "2001-01-01T00:00:00Z"])
            .fails(2)
            .contains("nothing was in `production`")
    );
    assert!(
        repo.run(["resolve", "--at", "production#9"])
            .fails(2)
            .contains("the newest is 2")
    );
}

#[test]
fn some_policies_are_promoted_without_the_others() {
    let repo = base();
    repo.policy("other", "guardrails: {add: [x]}")
        .write("attachments/o.yaml", &ATTACHED.replace("base", "other"));
    repo.commit("two");
    let _ = promoted(&repo, &[]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .policy("other", "guardrails: {add: [x, y]}")
        .commit("both");
    let done = promoted(&repo, &["--policy", "base"]);
    assert_eq!(
        guardrails(&repo, "production"),
        json!(["audit", "pii", "x"])
    );
    assert!(
        repo.git(["log", "-1", "--format=%B", "production"])
            .contains("Refguard-Policies: base")
    );
    assert_eq!(done["promotion"], json!(2));
    // A file is taken whole or not at all.
    let both = format!(
        "{}---\n{}",
        policy("base", "guardrails: {add: [z]}"),
        policy("other", "guardrails: {add: [z]}")
    );
    repo.remove("policies/other.yaml")
        .write("policies/base.yaml", &both)
        .commit("one file");
    let refused = repo.run(["promote", "--policy", "base"]).fails(2);
    assert!(
        refused.contains("policies/base.yaml holds other documents"),
        "{refused}"
    );
}

#[test]
fn a_wrong_expectation_and_a_moved_tip_are_lost_races() {
    let repo = base();
    let _ = promoted(&repo, &["--expect", "none"]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let lost = repo.run(["promote", "--expect", &repo.id("main")]).fails(3);
    assert!(lost.contains("as expected"), "{lost}");
    assert_eq!(
        promoted(&repo, &["--expect", "production"])["promotion"],
        json!(2)
    );
}

#[test]
fn what_is_no_branch_of_its_own_is_refused() {
    let repo = base();
    repo.git(["symbolic-ref", "refs/heads/production", "refs/heads/main"]);
    assert!(repo.run(["promote"]).fails(2).contains("symbolic"));
    repo.git(["symbolic-ref", "--delete", "refs/heads/production"]);
    repo.git(["tag", "production", "HEAD"]);
    let _ = promoted(&repo, &[]);
    repo.git(["checkout", "-q", "refs/heads/production", "-B", "elsewhere"]);
    repo.git(["symbolic-ref", "HEAD", "refs/heads/production"]);
    repo.git(["branch", "-f", "main", "elsewhere"]);
    repo.policy("base", "guardrails: {add: [pii, audit]}");
    repo.git(["add", "-A"]);
    let tree = repo.git(["write-tree"]);
    let next = repo.git(["commit-tree", "-p", "main", "-m", "two", &tree]);
    repo.git(["update-ref", "refs/heads/main", &next]);
    assert!(
        repo.run(["promote", "main", "--allow-unpublished"])
            .fails(2)
            .contains("is checked out in")
    );
}

#[test]
fn of_many_at_once_the_winners_make_one_chain() {
    let repo = base();
    let _ = promoted(&repo, &[]);
    for n in 0..12 {
        repo.policy("base", &format!("guardrails: {{add: [g{n}]}}"))
            .commit(&format!("change {n}"));
    }
    let revisions: Vec<String> = (0..12)
        .map(|back| repo.id(&format!("main~{back}")))
        .collect();
    let children: Vec<_> = revisions
        .iter()
        .chain(&revisions)
        .map(|revision| {
            let mut command = repo.refguard();
            command
                .args(["promote", revision])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut won = 0;
    for child in children {
        let out = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr);
        match out.status.code() {
            Some(0) => won += 1,
            Some(3) => assert!(
                stderr.contains("somebody else was first") || stderr.contains("lock"),
                "{stderr}"
            ),
            Some(1) => assert!(stderr.contains("gate `older`"), "{stderr}"),
            other => panic!("{other:?}: {stderr}"),
        }
    }
    assert!(won >= 1);
    let log = repo.run(["log", "--format", "json"]).json();
    let numbers: Vec<u64> = log["promotions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["number"].as_u64().unwrap())
        .collect();
    let due: Vec<u64> = (1..=numbers.len() as u64).rev().collect();
    assert_eq!(numbers, due);
    repo.git(["fsck", "--strict"]);
}

#[test]
fn a_process_that_dies_at_any_step_leaves_the_old_or_the_new_tip() {
    for point in [
        "before-commit-object",
        "after-commit-object",
        "before-ref",
        "ref-prepared",
        "after-ref",
    ] {
        let repo = base();
        let first = promoted(&repo, &[])["commit"].as_str().unwrap().to_owned();
        repo.policy("base", "guardrails: {add: [pii, audit]}")
            .commit("two");
        let died = repo.run_with(["promote"], &[("REFGUARD_TEST_CRASH_AT", point)]);
        assert_ne!(died.code, Some(0), "{point}");
        let tips: BTreeSet<String> = [first.clone()].into();
        let tip = repo.id("refs/heads/production");
        assert!(
            tips.contains(&tip)
                || repo
                    .git(["log", "-1", "--format=%P", &tip])
                    .starts_with(&first),
            "{point}"
        );
        let again = repo.run(["promote", "--format", "json"]).json();
        assert_eq!(again["promotion"], json!(2), "{point}");
        repo.git(["fsck", "--strict"]);
    }
}

#[test]
fn a_full_disk_moves_nothing() {
    for point in ["before-commit-object", "before-ref"] {
        let repo = base();
        let first = promoted(&repo, &[])["commit"].clone();
        repo.policy("base", "guardrails: {add: [pii, audit]}")
            .commit("two");
        let failed = repo.run_with(["promote"], &[("REFGUARD_TEST_FAIL_AT", point)]);
        assert_eq!(failed.code, Some(2), "{point}: {}", failed.stderr);
        assert_eq!(json!(repo.id("refs/heads/production")), first, "{point}");
        assert_eq!(promoted(&repo, &[])["promotion"], json!(2), "{point}");
    }
}

#[test]
fn signing_that_fails_moves_nothing() {
    let repo = base();
    repo.git(["config", "commit.gpgSign", "true"]);
    repo.git(["config", "gpg.program", "false"]);
    repo.run(["promote"]).fails(2);
    assert!(
        !repo
            .try_git(&["rev-parse", "--verify", "-q", "refs/heads/production"])
            .status
            .success()
    );
}

#[test]
fn two_clones_race_for_one_remote() {
    let seed = base();
    let hub = TestRepo::bare();
    let url = format!("file://{}", hub.path().display());
    seed.git(["push", "-q", &url, "main"]);
    let (one, two) = (hub.cloned(&[]), hub.cloned(&[]));
    assert_eq!(promoted(&one, &["--push", "origin"])["promotion"], json!(1));
    assert_eq!(hub.id("production"), one.id("production"));
    // The second sees what the first did: the same tree is already there.
    assert_eq!(
        promoted(&two, &["--push", "origin"])["changed"],
        json!(false)
    );
    // The remote's copy of `main` decides what is published.
    two.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("local only");
    assert!(
        two.run(["promote", "HEAD", "--push", "origin"])
            .fails(1)
            .contains("gate `published`")
    );
    two.git(["push", "-q", "origin", "main"]);
    let lost = two
        .run(["promote", "--push", "origin", "--expect", "none"])
        .fails(3);
    assert!(lost.contains("as expected"), "{lost}");
    assert_eq!(promoted(&two, &["--push", "origin"])["promotion"], json!(2));
    assert_eq!(hub.id("production"), two.id("refs/heads/production"));
    assert_eq!(
        hub.id("refs/refguard/ledger/production"),
        two.id("refs/heads/production")
    );
}

#[test]
fn an_environment_takes_its_sets_from_another() {
    let repo = base();
    let environments = "apiVersion: refguard/v1\nkind: Repository\n\
        environments:\n  - name: production\n    from: staging\n  - name: staging\n";
    repo.write("refguard.yaml", environments).commit("staging");
    assert!(
        repo.run(["promote"])
            .fails(2)
            .contains("`staging` does not exist")
    );
    let staged = promoted(&repo, &["--to", "staging"]);
    assert_eq!(staged["environment"], json!("staging"));
    let done = promoted(&repo, &[]);
    assert_eq!(done["promoted"], staged["commit"]);
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    assert!(
        repo.run(["promote", "main"])
            .fails(1)
            .contains("history of `staging`")
    );
}

#[test]
fn a_commit_cannot_switch_off_its_own_gates() {
    let repo = base();
    let _ = promoted(&repo, &[]);
    repo.git(["checkout", "-q", "-b", "side"]);
    let settings = "apiVersion: refguard/v1\nkind: Repository\npublish_branch: side\n";
    repo.write("refguard.yaml", settings)
        .commit("publish from the side");
    let said = repo.run(["promote", "side"]).fails(1);
    assert!(
        said.contains("names `side` as the publish branch"),
        "{said}"
    );
    repo.remove("refguard.yaml")
        .policy("base", "guardrails: {add: [pii, audit]}");
    repo.commit("silent again");
    assert!(
        repo.run(["promote", "side"])
            .fails(1)
            .contains("history of `main`")
    );
}

#[test]
fn a_rollback_shows_beforehand_what_it_would_do_and_a_release_ends_its_hold() {
    let repo = TestRepo::new();
    let attached = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";
    let cases: String = (0..12)
        .map(|n| {
            format!(
                "  - name: c{n}\n    context: {{team: t{n}}}\n    expect: {{includes: [audit]}}\n"
            )
        })
        .collect();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", attached);
    repo.commit("one");
    repo.run(["promote"]).ok();
    repo.policy("base", "guardrails: {add: [pii, audit]}");
    let test = format!("apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n{cases}");
    repo.write("tests/t.yaml", &test).commit("two");
    repo.run(["promote"]).ok();
    let (tip, next) = (
        repo.id("production"),
        ["rollback", "--dry-run", "--env", "production"],
    );

    let shown = repo.run(next).ends(0);
    assert!(
        shown.stdout.contains("audit"),
        "what is lost: {}",
        shown.stdout
    );
    assert!(
        shown.stderr.contains("warning: gate `safeguards`"),
        "{}",
        shown.stderr
    );
    assert!(
        !shown.stderr.contains("refused"),
        "a rollback is not refused: {}",
        shown.stderr
    );
    let json = repo
        .run(["rollback", "--dry-run", "--format", "json"])
        .json();
    assert_eq!(
        (&json["dry_run"], &json["refused"]),
        (&true.into(), &false.into())
    );
    assert_eq!(json["promotion"], 3);
    assert!(
        json["diff"].is_object() && json["gates"].is_array(),
        "{json}"
    );
    assert_eq!(repo.id("production"), tip, "nothing has moved");

    let idle = repo.run(["release", "nothing"]).ends(0);
    assert!(idle.stderr.contains("not on hold"), "{}", idle.stderr);
    assert_eq!(repo.id("production"), tip);
    repo.run(["rollback"]).ok();
    repo.run(["promote"]).fails(1);
    repo.run(["release", "--reason", "mended", "--env", "production"])
        .ok();
    let log = repo.run(["log", "--format", "json"]).json();
    assert_eq!(log["promotions"][0]["kind"], "release");
    assert_eq!(
        log["promotions"][0]["allowed"],
        serde_json::json!([{"gate": "hold", "reason": "mended"}])
    );
    // The release is no set of its own: undoing it goes on from what the rollback went back to.
    repo.run(["rollback"]).fails(1);
    repo.policy("base", "guardrails: {add: [pii, audit, log]}")
        .commit("three");
    repo.run(["promote"]).ok();
}

#[test]
fn a_dry_run_tells_what_every_gate_says_and_which_promotion_it_would_be() {
    let repo = base();
    let _ = promoted(&repo, &[]);
    let _ = repo.run(["hold", "audit week"]).ok();
    repo.policy("base", "guardrails: {add: [audit]}")
        .commit("two");
    let said = repo.run(["promote", "--dry-run"]).ends(1).stdout;
    for line in [
        "gate valid: passes",
        "gate hold: refuses",
        "gate weaken: warns",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(
        said.ends_with("production: would be refused; else it would be promotion 3\n"),
        "{said}"
    );
    let line = ["promote", "--dry-run", "--release-hold", "done"];
    let said = repo.run(line).ok();
    assert!(
        said.contains("gate hold: refuses, and is passed\n"),
        "{said}"
    );
    assert!(
        said.ends_with("production: it would be promotion 3\n"),
        "{said}"
    );

    // A gate that could not be asked does not pass.
    repo.policy("base", "inherit: nobody").commit("broken");
    let said = repo.run(["promote", "--dry-run"]).ends(1).stdout;
    assert!(said.contains("gate valid: refuses\n"), "{said}");
    for gate in ["tests", "empty", "weaken", "safeguards"] {
        let line = format!("gate {gate}: not asked, because the set is not valid\n");
        assert!(said.contains(&line), "{gate}: {said}");
    }
    assert!(said.contains("gate older: passes\n"), "{said}");
    let off = "apiVersion: refguard/v1\nkind: Repository\n\
        environments: [{name: production, gates: {weaken: off}}]\n";
    repo.policy("base", "guardrails: {add: [log]}")
        .write("refguard.yaml", off)
        .commit("off");
    let _ = repo
        .run([
            "promote",
            "--release-hold",
            "over",
            "--allow-safeguards",
            "agreed",
        ])
        .ok();
    repo.policy("other", "guardrails: {add: [log]}")
        .commit("again");
    let json = repo
        .run(["promote", "--dry-run", "--format", "json"])
        .json();
    let asked = json["asked"].as_array().unwrap();
    assert!(
        asked.contains(&"tests".into()) && asked.contains(&"soak".into()),
        "{json}"
    );
}

#[test]
fn a_removal_that_breaks_the_set_passes_no_gate_that_was_not_asked() {
    let repo = base();
    repo.policy("child", "inherit: base\nguardrails: {add: [log]}")
        .write("attachments/child.yaml", &attachment_of("child"))
        .commit("child");
    let _ = promoted(&repo, &[]);
    repo.remove("policies/child.yaml")
        .remove("attachments/child.yaml")
        .commit("no child");
    let said = repo
        .run(["promote", "--remove", "child", "--dry-run"])
        .ends(1)
        .stdout;
    assert!(said.contains("gate valid: refuses"), "{said}");
    assert!(
        said.contains("gate weaken: not asked, because the set is not valid"),
        "{said}"
    );
    assert!(!said.contains("gate tests: passes"), "{said}");
}

#[test]
fn the_log_is_the_whole_audit_trail() {
    let repo = base();
    let _ = promoted(&repo, &["--reason", "the first"]);
    repo.policy("base", "guardrails: {add: [audit]}")
        .commit("two, by hand");
    repo.git(["branch", "-f", "production", "main"]);
    repo.policy("base", "guardrails: {add: [log]}")
        .commit("three");
    let strict = "apiVersion: refguard/v1\nkind: Repository\n\
        environments: [{name: production, gates: {weaken: refuse}}]\n";
    repo.write("refguard.yaml", strict).commit("strict");
    let _ = promoted(&repo, &[]);
    let _ = repo.run(["hold", "audit, week"]).ok();
    repo.policy("base", "guardrails: {add: []}").commit("less");
    let _ = promoted(
        &repo,
        &["--release-hold", "over", "--allow-weaken", "=agreed"],
    );
    let said = repo.run(["log"]).ok();
    for line in [
        "passed the gate weaken: =agreed",
        "passed the gate hold: over",
        "put on hold",
        "two, by hand",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let csv = repo.run(["log", "--format", "csv"]).ok();
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(
        lines[0].starts_with("environment,number,kind,time,author,commit,"),
        "{csv}"
    );
    assert_eq!(lines.len(), 7, "{csv}");
    assert!(
        csv.contains("\"audit, week\"") && csv.contains("weaken: =agreed"),
        "{csv}"
    );
    assert!(
        csv.contains(",external,") && csv.contains("\"two, by hand\""),
        "{csv}"
    );
}

#[test]
fn a_second_log_reads_what_the_first_found_and_no_damaged_file_of_it() {
    let repo = TestRepo::new();
    let promote = |guardrail: &str| {
        repo.policy("base", &format!("guardrails: {{add: [{guardrail}]}}"))
            .write("attachments/all.yaml", ATTACHED)
            .commit(guardrail);
        repo.run(["promote"]).ok();
    };
    let log = || repo.run(["log", "--format", "json"]).ok();
    promote("pii");
    repo.run(["hold", "a freeze"]).ok();
    repo.run(["release", "over"]).ok();
    let first = log();
    assert_eq!(log(), first);
    promote("audit");
    let second = log();
    assert_eq!(second.matches("\"base\"").count(), 2, "{second}");

    let kept = || {
        let files = fs::read_dir(repo.path().join(".git/refguard")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths
            .filter(|path| path.to_string_lossy().contains("/changes-"))
            .collect::<Vec<_>>()
    };
    let [file] = &kept()[..] else {
        panic!("{:?}", kept())
    };
    let sound = fs::read(file).unwrap();
    for damaged in [&sound[..sound.len() / 2], b"nonsense", b""] {
        fs::write(file, damaged).unwrap();
        assert_eq!(log(), second);
    }
    fs::remove_file(file).unwrap();
    assert_eq!(log(), second);
}

#[test]
fn settings_that_would_lock_an_environment_are_not_promoted() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}").write(
        "attachments/all.yaml",
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n",
    );
    let settings = |environments: &str| {
        let text =
            format!("apiVersion: refguard/v1\nkind: Repository\nenvironments: [{environments}]\n");
        repo.write("refguard.yaml", &text).commit("settings");
    };
    settings("{name: staging}, {name: production, from: stagin}");
    let said = repo.run(["promote"]).fails(2);
    assert!(said.contains("`stagin`, which is no environment"), "{said}");
    let said = repo.run(["promote", "--to", "staging"]).fails(1);
    assert!(
        said.contains(
            "takes its sets from `stagin`, which is no environment; did you mean `staging`?"
        ),
        "{said}"
    );
    settings("{name: staging}, {name: a, from: b}, {name: b, from: a}, {name: production}");
    let said = repo.run(["promote", "--to", "staging"]).fails(1);
    assert!(
        said.contains("take their sets from each other: a from b from a"),
        "{said}"
    );
    settings("{name: staging, from: main}, {name: production, from: staging}");
    repo.run(["promote", "--to", "staging"]).ok();
    repo.run(["promote"]).ok();
}

#[test]
fn tests_whose_answers_no_report_could_hold_are_refused() {
    let repo = TestRepo::new();
    let names: Vec<String> = (0..3_000).map(|number| format!("g{number}")).collect();
    repo.policy(
        "base",
        &format!("guardrails: {{add: [{}]}}", names.join(", ")),
    )
    .write(
        "attachments/all.yaml",
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n",
    );
    let cases = |count: usize| -> String {
        let case = |number| {
            format!("  - {{name: c{number}, context: {{team: a}}, expect: {{guardrails: [g1]}}}}\n")
        };
        (0..count).map(case).collect()
    };
    let test = |count| {
        format!(
            "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n{}",
            cases(count)
        )
    };
    repo.write("tests/t.yaml", &test(2));
    let said = repo.run(["test"]).ends(1).stdout;
    assert!(said.contains("and 2899 more"), "{said}");
    repo.write("tests/t.yaml", &test(800));
    let said = repo.run(["test"]).fails(2);
    assert!(
        said.contains("the limit `test-answers`") && said.contains("tests/t.yaml:"),
        "{said}"
    );
}

fn attachment_of(policy: &str) -> String {
    format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\nteams: [eu]\n")
}

#[test]
fn promotions_are_no_commits_that_the_publish_branch_lacks() {
    let repo = base();
    let settings = "apiVersion: refguard/v1\nkind: Repository\n\
        environments: [{name: staging}, {name: production, from: staging}]\n";
    repo.write("refguard.yaml", settings)
        .commit("two environments");
    let _ = repo.run(["promote", "--to", "staging"]).ok();
    let _ = repo.run(["promote"]).ok();
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let _ = repo.run(["promote", "--to", "staging"]).ok();
    let _ = repo.run(["promote"]).ok();
    let counts = || -> Vec<(serde_json::Value, serde_json::Value)> {
        let status = repo.run(["status", "--format", "json"]).json();
        let environments = status["environments"].as_array().unwrap().iter();
        environments
            .map(|it| (it["ahead"].clone(), it["behind"].clone()))
            .collect()
    };
    assert_eq!(counts(), vec![(0.into(), 0.into()); 2]);
    assert!(!repo.run(["status"]).ok().contains("does not have"));

    // Somebody goes on from a promotion by hand: that is one commit.
    repo.git(["checkout", "-q", "--detach", "production"]);
    repo.policy("base", "guardrails: {add: [pii, log]}")
        .commit("by hand");
    repo.git(["update-ref", "refs/heads/production", "HEAD"]);
    repo.git(["checkout", "-q", "main"]);
    let told = repo.run(["status"]).ok();
    assert!(
        told.contains("  holds 1 commit that main does not have\n"),
        "{told}"
    );
}
