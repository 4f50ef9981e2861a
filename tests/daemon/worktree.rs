//! The work tree beside the environments: for authors, and for a folder without git.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::{Daemon, Repo, policy};

fn drafts(daemon: &Daemon, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let find = |status: &Value| {
        status["sets"]
            .as_array()
            .unwrap()
            .iter()
            .find(|set| set["name"] == "worktree")
            .cloned()
    };
    let status = daemon.until_status(what, |status| find(status).is_some_and(|set| wanted(&set)));
    find(&status).unwrap()
}

fn guardrails(daemon: &Daemon) -> Value {
    let reply = daemon.post("/v1/resolve?set=worktree", r#"{"context":{"model":"m"}}"#);
    assert_eq!(reply.header("x-refguard-commit"), Some(""));
    reply.json()["guardrails"].clone()
}

#[test]
fn drafts_are_seen_under_their_own_name_only() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--worktree", "--poll", "1h"]);
    let before = drafts(&daemon, "served", |set| set["digest"].is_string());
    assert_eq!(before["commit"], json!(null));
    // As an editor saves: a new file, renamed over the old one.
    repo.write("policies/p0.yaml.swp", &policy("p0", "draft"));
    fs::rename(
        repo.path().join("policies/p0.yaml.swp"),
        repo.path().join("policies/p0.yaml"),
    )
    .unwrap();
    drafts(&daemon, "read again", |set| {
        set["digest"] != before["digest"]
    });
    assert_eq!(guardrails(&daemon), json!(["draft", "gen-1"]));
    assert_eq!(daemon.guardrails(), ["gen-1"]);
}

#[test]
fn a_half_written_file_keeps_the_last_good_drafts() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--worktree"]);
    drafts(&daemon, "served", |set| set["digest"].is_string());
    repo.write(
        "policies/p1.yaml",
        "apiVersion: refguard/v1\nkind: Policy\nname: p1\nguardrails:\n  add: [ge",
    );
    let bad = drafts(&daemon, "rejected", |set| set["rejected"].is_object());
    assert_eq!(
        bad["rejected"]["findings"][0]["file"],
        json!("policies/p1.yaml")
    );
    assert_eq!(guardrails(&daemon), json!(["gen-1"]));
    repo.write("policies/p1.yaml", &policy("p1", "whole"));
    drafts(&daemon, "good again", |set| set["rejected"].is_null());
    assert_eq!(guardrails(&daemon), json!(["gen-1", "whole"]));
}

#[test]
fn a_checkout_of_many_files_is_a_few_reloads() {
    let repo = Repo::serving();
    repo.git(&["checkout", "-q", "-b", "many"]);
    (0..3000).for_each(|n| {
        repo.write(
            &format!("policies/many/m{n}.yaml"),
            &policy(&format!("m{n}"), "many"),
        )
    });
    repo.commit();
    repo.git(&["checkout", "-q", "main"]);
    let daemon = Daemon::start(&repo.path(), &["--worktree", "--poll", "1h"]);
    drafts(&daemon, "served", |set| set["policies"] == json!(5));
    repo.git(&["checkout", "-q", "many"]);
    drafts(&daemon, "whole", |set| set["policies"] == json!(3005));
    let metrics = daemon.get("/metrics").body;
    let of_drafts = |line: &&str| line.starts_with("refguard_reloads_total{set=\"worktree\"");
    let reloads: u32 = metrics
        .lines()
        .filter(of_drafts)
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap())
        .sum();
    assert!(reloads < 60, "{reloads} reloads");
}

#[test]
fn a_mounted_config_map_needs_no_git() {
    let repo = Repo::new();
    let mount = repo.beside("mount");
    let fill = |version: &str, guardrail: &str| {
        fs::create_dir_all(mount.join(version)).unwrap();
        fs::write(mount.join(version).join("p.yaml"), policy("p", guardrail)).unwrap();
    };
    fill("..2026_1", "one");
    symlink("..2026_1", mount.join("..data")).unwrap();
    symlink("..data/p.yaml", mount.join("p.yaml")).unwrap();
    let daemon = Daemon::start(&mount, &["--worktree"]);
    let before = drafts(&daemon, "served", |set| set["digest"].is_string());
    assert_eq!(
        daemon.get("/readyz").status,
        200,
        "{}",
        daemon.get("/v1/status").body
    );
    assert_eq!(daemon.guardrails(), ["one"]);
    // As the kubelet does it: a new folder, a new link, renamed over the old one.
    fill("..2026_2", "two");
    symlink("..2026_2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    fs::remove_dir_all(mount.join("..2026_1")).unwrap();
    drafts(&daemon, "changed", |set| set["digest"] != before["digest"]);
    assert_eq!(daemon.guardrails(), ["two"]);
}
