//! What a restart serves: the set that was served last, of this repository, root and environment,
//! before anything new is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Daemon, Repo, StuckObject, policy, until};

/// A repository whose daemon has kept generation 1, and whose production branch holds a commit that
/// cannot be read to its end.
fn with_stuck_tip() -> (Repo, String, StuckObject) {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    assert_eq!(
        daemon.stop().code(),
        Some(0),
        "what is served is kept before the end"
    );
    let second = repo.generation(2);
    let stuck = StuckObject::new(&repo, "HEAD:policies/p3.yaml");
    repo.promote(&second);
    (repo, second, stuck)
}

#[test]
fn a_tip_that_is_read_for_ever_does_not_keep_a_restart_from_serving() {
    let (repo, second, stuck) = with_stuck_tip();
    let daemon = Daemon::start(&repo.path(), &[]);
    let set = daemon.until("restored", |set| {
        set["commit"].is_string() && set["ref_commit"] == json!(second)
    });
    assert_eq!(set["source"], json!("state-file"), "{set}");
    assert_eq!(daemon.guardrails(), ["gen-1"]);
    assert_eq!(daemon.get("/readyz").status, 200);
    stuck.release();
    daemon.until_served(&second);
}

#[test]
fn a_tip_whose_load_ended_the_daemon_is_not_what_the_next_start_tries_first() {
    let (repo, second, stuck) = with_stuck_tip();
    let marker = repo.path().join(".git/refguard/loading-production");
    let daemon = Daemon::start(&repo.path(), &[]);
    until("the load has begun", || marker.exists());
    // As the kernel does where memory runs out.
    drop(daemon);

    let again = Daemon::start(&repo.path(), &[]);
    let set = again.until("told", |set| set["failing"]["commit"] == json!(second));
    let message = set["failing"]["message"].as_str().unwrap();
    assert!(
        message.contains("ended the daemon 1 times in a row"),
        "{message}"
    );
    assert_eq!(set["failing"]["retry_seconds"], json!(60));
    assert_eq!(again.guardrails(), ["gen-1"]);
    assert!(
        again
            .get("/metrics")
            .body
            .contains("refguard_failing{set=\"production\"} 1")
    );
    // Whoever has mended it asks for it at once.
    stuck.release();
    again.signal("HUP");
    again.until_served(&second);
    // It is taken away once the set is served, not before.
    until("the load is over", || !marker.exists());
}

#[test]
fn a_load_that_the_daemons_own_end_cuts_off_is_no_death() {
    let (repo, second, stuck) = with_stuck_tip();
    let marker = repo.path().join(".git/refguard/loading-production");
    let daemon = Daemon::start(&repo.path(), &[]);
    until("the load has begun", || marker.exists());
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(!marker.exists());
    stuck.release();
    Daemon::start(&repo.path(), &[]).until_served(&second);
}

/// One repository with two roots, `eu` and `us`, that differ in their guardrail.
fn two_roots() -> Repo {
    let repo = Repo::new();
    for root in ["eu", "us"] {
        repo.write(
            &format!("{root}/refguard.yaml"),
            "apiVersion: refguard/v1\nkind: Repository\n",
        );
        repo.write(
            &format!("{root}/policies/p.yaml"),
            &policy("p", &format!("only-{root}")),
        );
    }
    repo.commit();
    repo.promote("HEAD");
    repo
}

fn guardrails(daemon: &Daemon) -> Vec<String> {
    daemon.until("served", |set| set["commit"].is_string());
    daemon.guardrails()
}

#[test]
fn the_state_of_another_root_is_not_served() {
    let repo = two_roots();
    for root in ["eu", "us"] {
        let daemon = Daemon::start(&repo.path().join(root), &[]);
        assert_eq!(guardrails(&daemon), [format!("only-{root}")]);
        assert_eq!(daemon.stop().code(), Some(0));
    }
    repo.git(&["update-ref", "-d", "refs/heads/production"]);
    for root in ["eu", "us"] {
        let daemon = Daemon::start(&repo.path().join(root), &[]);
        assert_eq!(guardrails(&daemon), [format!("only-{root}")]);
    }
}

#[test]
fn two_repositories_with_one_state_folder_keep_apart() {
    let (one, other) = (Repo::serving(), Repo::new());
    other.generation(7);
    other.promote("HEAD");
    let state = one.beside("state");
    let options = ["--state-dir", state.to_str().unwrap()];
    for repo in [&one, &other] {
        let daemon = Daemon::start(&repo.path(), &options);
        daemon.until("ready", |set| set["commit"].is_string());
        assert_eq!(daemon.stop().code(), Some(0));
        repo.git(&["update-ref", "-d", "refs/heads/production"]);
    }
    assert_eq!(guardrails(&Daemon::start(&one.path(), &options)), ["gen-1"]);
    assert_eq!(
        guardrails(&Daemon::start(&other.path(), &options)),
        ["gen-7"]
    );
}

#[test]
fn another_repository_under_the_same_path_does_not_get_the_state_of_the_one_before() {
    let repo = Repo::serving();
    let state = repo.beside("state");
    let options = ["--state-dir", state.to_str().unwrap()];
    let daemon = Daemon::start(&repo.path(), &options);
    daemon.until("ready", |set| set["commit"].is_string());
    assert_eq!(daemon.stop().code(), Some(0));
    let other = Repo::new();
    other.broken();
    let broken = other.promote("HEAD");
    fs::rename(repo.path(), repo.beside("old")).unwrap();
    fs::rename(other.path(), repo.path()).unwrap();

    let daemon = Daemon::start(&repo.path(), &options);
    daemon.until_rejected(&broken);
    assert_eq!(daemon.get("/readyz").status, 503);
    let notes = daemon.get("/v1/status").json()["notes"].to_string();
    assert!(notes.contains("another repository or root"), "{notes}");
}

/// Serves once, so that the state is kept; then the branch is deleted, so that only the state is
/// left.
fn with_state_alone() -> (Repo, PathBuf) {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    assert_eq!(daemon.stop().code(), Some(0));
    repo.git(&["update-ref", "-d", "refs/heads/production"]);
    let file = repo.path().join(".git/refguard/served-production.json");
    assert!(file.is_file());
    (repo, file)
}

fn serves_nothing_and_says(repo: &Repo, said: &str) {
    let daemon = Daemon::start(&repo.path(), &[]);
    let status = daemon.until_status("told", |status| status["notes"].to_string().contains(said));
    assert_eq!(status["sets"][0]["commit"], json!(null));
    assert_eq!(daemon.get("/readyz").status, 503);
}

#[test]
fn something_else_in_the_place_of_the_state_is_refused_without_waiting_for_it() {
    let (repo, file) = with_state_alone();
    fs::remove_file(&file).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
    serves_nothing_and_says(&repo, "not a regular file");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    serves_nothing_and_says(&repo, "not a regular file");
}

#[test]
fn a_state_that_another_user_wrote_is_refused() {
    let (repo, file) = with_state_alone();
    // Only root can give a file away.
    if !Command::new("chown")
        .arg("1")
        .arg(&file)
        .status()
        .unwrap()
        .success()
    {
        return;
    }
    serves_nothing_and_says(&repo, "belongs to user 1");
}

/// The state as version 0.1.0 wrote it: without the repository's and the root's names.
fn as_version_one(file: &Path) -> Value {
    let mut state: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let fields = state.as_object_mut().unwrap();
    fields.remove("owner");
    fields.insert("version".to_owned(), json!(1));
    state
}

#[test]
fn the_state_that_the_version_before_wrote_is_taken() {
    let (repo, file) = with_state_alone();
    let state = as_version_one(&file);
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, state.to_string()).unwrap();
    assert_eq!(guardrails(&Daemon::start(&repo.path(), &[])), ["gen-1"]);
    // Also from a folder that was named, as long as the repository has its commit.
    let named = repo.beside("state");
    fs::create_dir(&named).unwrap();
    fs::rename(&file, named.join("served-production.json")).unwrap();
    let options = ["--state-dir", named.to_str().unwrap()];
    assert_eq!(
        guardrails(&Daemon::start(&repo.path(), &options)),
        ["gen-1"]
    );
}

#[test]
fn the_state_that_the_version_before_wrote_for_another_root_is_not_taken() {
    let repo = two_roots();
    let daemon = Daemon::start(&repo.path().join("us"), &[]);
    assert_eq!(guardrails(&daemon), ["only-us"]);
    assert_eq!(daemon.stop().code(), Some(0));
    repo.git(&["update-ref", "-d", "refs/heads/production"]);
    let folder = repo.path().join(".git/refguard");
    let state = as_version_one(&folder.join("served-production.json"));
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("served-production.json"), state.to_string()).unwrap();

    let daemon = Daemon::start(&repo.path().join("eu"), &[]);
    daemon.until_status("told", |status| {
        status["notes"].to_string().contains("other files")
    });
    assert_eq!(daemon.get("/readyz").status, 503);
    drop(daemon);
    assert_eq!(
        guardrails(&Daemon::start(&repo.path().join("us"), &[])),
        ["only-us"]
    );
}

#[test]
fn a_restart_goes_on_from_the_versions_that_were_read() {
    let repo = Repo::serving();
    repo.generation(2);
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_numbered("p0", 2);
    let kept = repo.path().join(".git/refguard/versions");
    until("the versions are kept", || kept.exists());
    drop(daemon);
    // A walk through history would need it.
    let blob = repo.git(&["rev-parse", "HEAD~1:policies/p0.yaml"]);
    let (folder, file) = blob.split_at(2);
    fs::remove_file(repo.path().join(".git/objects").join(folder).join(file)).unwrap();

    let again = Daemon::start(&repo.path(), &[]);
    again.until_numbered("p0", 2);
    repo.generation(3);
    repo.promote("HEAD");
    again.until_numbered("p0", 3);
}

/// A repository that 0.1.0 itself made, at one of its promotions: see
/// `tests/data/made-by-0.1/README.md`.
fn made_by_0_1(promotion: usize) -> Repo {
    let repo = Repo::new();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/made-by-0.1");
    let bundle = format!("{data}/repository.bundle");
    repo.git(&["fetch", "-q", &bundle, "main", "production:promoted"]);
    let at = format!("promoted~{}", 10 - promotion);
    repo.git(&["branch", "production", &at]);
    repo.git(&["update-ref", "refs/refguard/ledger/production", &at]);
    repo
}

#[test]
fn every_set_that_0_1_promoted_is_served_and_what_is_an_error_now_is_said() {
    for (promotion, code) in (2..).zip([
        "RG002", "RG013", "RG018", "RG119", "RG120", "RG116", "RG004", "RG001",
    ]) {
        let repo = made_by_0_1(promotion);
        let daemon = Daemon::start(&repo.path(), &[]);
        let commit = repo.git(&["rev-parse", "production"]);
        let set = daemon.until_served(&commit);
        assert_eq!(set["promotion"], promotion);
        assert_eq!(set["rejected"], Value::Null);
        assert_eq!(set["outdated"]["findings"][0]["code"], code, "{promotion}");
        assert_eq!(set["outdated"]["findings"][0]["severity"], "warning");
        assert!(guardrails(&daemon).contains(&"pii".to_owned()));

        // What it keeps itself is taken after a restart, with nothing else at hand.
        assert_eq!(daemon.stop().code(), Some(0));
        repo.git(&["update-ref", "-d", "refs/heads/production"]);
        let restarted = Daemon::start(&repo.path(), &[]);
        assert!(
            guardrails(&restarted).contains(&"pii".to_owned()),
            "{promotion}"
        );
    }
}

#[test]
fn the_state_that_0_1_kept_is_served_where_nothing_else_is_left() {
    let repo = made_by_0_1(10);
    repo.git(&["update-ref", "-d", "refs/heads/production"]);
    let folder = repo.path().join(".git/refguard");
    fs::create_dir_all(&folder).unwrap();
    let kept = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/made-by-0.1/served-production.json"
    );
    fs::copy(kept, folder.join("served-production.json")).unwrap();

    let daemon = Daemon::start(&repo.path(), &[]);
    assert_eq!(guardrails(&daemon), ["pii"]);
    let set = daemon.set();
    assert_eq!(set["source"], "state-file");
    assert_eq!(set["outdated"]["errors"], 5, "{set}");
}

#[test]
fn what_this_release_promoted_or_moved_there_keeps_all_its_rules() {
    let repo = made_by_0_1(1);
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&repo.git(&["rev-parse", "production"]));
    // A promotion that says it is of this release, with what this release refuses.
    let tree = repo.git(&["rev-parse", "promoted~5^{tree}"]);
    let message = repo.git(&["log", "-1", "--format=%B", "promoted~5"]);
    let message = message.replace("Promotion: 5", "Promotion: 2");
    let message = format!("{}\nRefguard-Version: 0.2.0", message.trim_end());
    let forged = repo.git(&[
        "commit-tree",
        &tree,
        "-p",
        "production",
        "-p",
        "promoted~5^2",
        "-m",
        &message,
    ]);
    repo.git(&["update-ref", "refs/heads/production", &forged]);
    let set = daemon.until_rejected(&forged);
    assert_eq!(set["rejected"]["findings"][0]["code"], "RG119");
}

#[test]
fn an_environment_that_only_an_invalid_publish_branch_names_has_no_state_and_is_not_served() {
    let repo = Repo::serving();
    let first = repo.git(&["rev-parse", "production"]);
    repo.write(
        "refguard.yaml",
        "apiVersion: refguard/v1\nkind: Repository\n\
         environments: [{name: production}, {name: live}]\n",
    );
    repo.broken();
    repo.git(&["branch", "live", &first]);
    let daemon = Daemon::start(&repo.path(), &[]);
    let served = daemon.until_served(&first);
    daemon.until("looked at again", |set| {
        set["checked_at"] != served["checked_at"]
    });
    let status = daemon.get("/v1/status").json();
    // What its settings name is listed at most.
    for set in status["sets"].as_array().unwrap() {
        let is_served = set["commit"].is_string();
        assert_eq!(is_served, set["name"] == "production", "{status}");
    }
    assert_ne!(daemon.get("/readyz?set=live").status, 200);
    assert_eq!(daemon.stop().code(), Some(0));
    let kept: Vec<String> = fs::read_dir(repo.path().join(".git/refguard"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("live"))
        .collect();
    assert!(kept.is_empty(), "{kept:?}");
}
