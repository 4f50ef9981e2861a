//! What does not load, does not validate or is empty never replaces what is served: not while the
//! daemon runs, and not over a restart.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Daemon, Repo};

/// Runs a story twice: the trouble comes while a daemon serves, and then again before one starts.
fn still_serves_the_first(
    trouble: impl Fn(&Repo) -> Option<String>,
    said: impl Fn(&Value) -> bool,
) {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let first = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    until_kept(&repo.path());
    let commit = trouble(&repo);
    let check = |daemon: &Daemon| {
        let set = daemon.until("in trouble", &said);
        assert_eq!(set["commit"], first, "{set}");
        if let Some(commit) = &commit {
            assert_eq!(set["ref_commit"], json!(commit));
            assert_eq!(set["behind"], json!(true));
        }
        assert_eq!(daemon.guardrails(), ["gen-1"]);
        assert_eq!(daemon.get("/readyz").status, 200);
        set
    };
    check(&daemon);
    drop(daemon);
    let again = Daemon::start(&repo.path(), &[]);
    again.until("restored", |set| set["commit"].is_string());
    let set = check(&again);
    assert_eq!(set["source"], json!("state-file"));
    drop(again);
}

fn until_kept(repo: &Path) {
    let file = repo.join(".git/refguard/served-production.json");
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while !file.exists() {
        assert!(std::time::Instant::now() < deadline, "nothing was kept");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_broken_tip() {
    let said = |set: &Value| {
        let finding = &set["rejected"]["findings"][0];
        finding["file"] == json!("policies/p0.yaml") && finding["line"] == json!(4)
    };
    still_serves_the_first(
        |repo| {
            repo.broken();
            Some(repo.promote("HEAD"))
        },
        said,
    );
}

#[test]
fn an_empty_set() {
    still_serves_the_first(
        |repo| {
            fs::remove_dir_all(repo.path().join("policies")).unwrap();
            repo.write("README", "nothing");
            repo.commit();
            Some(repo.promote("HEAD"))
        },
        |set| {
            set["rejected"]["message"]
                .as_str()
                .is_some_and(|message| message.contains("empty"))
        },
    );
}

#[test]
fn a_missing_object() {
    still_serves_the_first(
        |repo| {
            repo.generation(2);
            let blob = repo.git(&["rev-parse", "HEAD:policies/p3.yaml"]);
            let (folder, file) = blob.split_at(2);
            fs::remove_file(repo.path().join(".git/objects").join(folder).join(file)).unwrap();
            Some(repo.promote("HEAD"))
        },
        |set| set["failing"]["message"].is_string() && set["rejected"].is_null(),
    );
}

#[test]
fn a_truncated_pack() {
    still_serves_the_first(
        |repo| {
            repo.generation(2);
            repo.git(&["repack", "-q", "-a", "-d"]);
            repo.git(&["prune-packed", "-q"]);
            for pack in repo.packs() {
                let bytes = fs::read(&pack).unwrap();
                fs::remove_file(&pack).unwrap();
                fs::write(&pack, &bytes[..bytes.len() / 3]).unwrap();
            }
            // Git itself refuses to move a ref to what it cannot read.
            let tip = fs::read_to_string(repo.path().join(".git/refs/heads/main")).unwrap();
            fs::write(repo.path().join(".git/refs/heads/production"), &tip).unwrap();
            None
        },
        |set| set["failing"]["message"].is_string(),
    );
}

#[test]
fn a_deleted_ref() {
    still_serves_the_first(
        |repo| {
            repo.git(&["update-ref", "-d", "refs/heads/production"]);
            None
        },
        |set| set["failing"]["message"].is_string(),
    );
}

#[test]
fn a_forced_move_to_a_broken_tip_and_then_gc() {
    still_serves_the_first(
        |repo| {
            repo.git(&["checkout", "-q", "--orphan", "other"]);
            repo.broken();
            let tip = repo.promote("HEAD");
            repo.git(&["branch", "-D", "main"]);
            repo.git(&["reflog", "expire", "--expire=now", "--all"]);
            repo.git(&["gc", "-q", "--prune=now"]);
            Some(tip)
        },
        |set| set["rejected"]["commit"].is_string(),
    );
}

#[test]
fn a_repository_that_is_gone() {
    let repo = Repo::serving();
    let state = repo.beside("state");
    let options = ["--state-dir", state.to_str().unwrap()];
    let daemon = Daemon::start(&repo.path(), &options);
    let first = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    assert_eq!(
        daemon.stop().code(),
        Some(0),
        "what is served is kept before the end"
    );
    fs::remove_dir_all(repo.path().join(".git")).unwrap();
    let again = Daemon::start(&repo.path(), &options);
    again.until("restored", |set| set["commit"] == first);
    assert_eq!(again.guardrails(), ["gen-1"]);
}

#[test]
fn a_kept_set_that_was_tampered_with_is_not_served() {
    let repo = Repo::serving();
    let state = repo.beside("state");
    let options = ["--state-dir", state.to_str().unwrap()];
    Daemon::start(&repo.path(), &options).until("ready", |set| set["commit"].is_string());
    let daemon = Daemon::start(&repo.path(), &options);
    daemon.until("ready", |set| set["commit"].is_string());
    daemon.stop();
    let file = state.join("served-production.json");
    let text = fs::read_to_string(&file).unwrap();
    repo.git(&["update-ref", "-d", "refs/heads/production"]);
    for bad in [
        text.replace("gen-1", "gen-6"),
        text.chars().take(text.chars().count() / 2).collect(),
        String::new(),
    ] {
        fs::write(&file, bad).unwrap();
        let daemon = Daemon::start(&repo.path(), &options);
        daemon.until("without a ref", |set| set["failing"]["message"].is_string());
        assert_eq!(daemon.get("/readyz").status, 503);
        assert_eq!(daemon.post("/v1/resolve", r#"{"context":{}}"#).status, 503);
    }
}

#[test]
fn with_nothing_good_at_all_the_daemon_lives_and_answers_nobody() {
    let repo = Repo::new();
    repo.broken();
    let broken = repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_rejected(&broken);
    assert_eq!(daemon.get("/healthz").status, 200);
    for path in ["/readyz", "/v1/policies", "/v1/attachments", "/v1/bundle"] {
        let reply = daemon.get(path);
        assert_eq!(reply.status, 503, "{path}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(reply.header("x-refguard-commit"), Some(""));
    }
    assert_eq!(
        daemon
            .post("/v1/resolve", r#"{"context":{"model":"m"}}"#)
            .status,
        503
    );
    assert!(daemon.get("/readyz").body.contains("policies/p0.yaml"));
    assert!(daemon.get("/metrics").body.contains(&format!(
        "refguard_rejected_info{{set=\"production\",commit=\"{broken}\"}} 1"
    )));
    // And it still watches.
    let good = repo.generation(2);
    repo.promote("HEAD");
    daemon.until_served(&good);
    assert_eq!(daemon.get("/readyz").status, 200);
}

#[test]
fn a_rejected_value_is_not_tried_again_and_a_good_one_ends_the_rejection() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let first = daemon.until("ready", |set| set["commit"].is_string());
    repo.broken();
    let broken = repo.promote("HEAD");
    let rejected = daemon.until_rejected(&broken);
    assert_eq!(rejected["commits_behind"], json!(1));
    let again = daemon.until("polled again", |set| {
        set["checked_at"] != rejected["checked_at"]
    });
    assert_eq!(again["rejected"]["at"], rejected["rejected"]["at"]);
    assert!(again["lag_seconds"].as_f64().unwrap() > 0.0);
    repo.promote(first["commit"].as_str().unwrap());
    let back = daemon.until("in order", |set| set["rejected"].is_null());
    assert_eq!(
        (&back["behind"], &back["loaded_at"]),
        (&json!(false), &first["loaded_at"])
    );
}

/// A ref that is new, and whose set is empty, takes nothing from the one that is served, however
/// often it is looked at.
#[test]
fn a_new_ref_to_an_empty_set_replaces_no_full_one() {
    let (repo, other) = (Repo::serving(), Repo::new());
    let first = repo.git(&["rev-parse", "production"]);
    other.write("README.md", "nothing yet\n");
    other.commit();
    let empty = other.promote("HEAD");
    let current = repo.beside("current");
    std::os::unix::fs::symlink(repo.path(), &current).unwrap();
    let daemon = Daemon::start(&current, &[]);
    daemon.until_served(&first);

    let next = repo.beside("next");
    std::os::unix::fs::symlink(other.path(), &next).unwrap();
    fs::rename(next, &current).unwrap();
    let mut seen = daemon.until_rejected(&empty);
    for _ in 0..5 {
        assert_eq!(seen["commit"], json!(first), "{seen}");
        assert_eq!(daemon.get("/readyz").status, 200);
        assert_eq!(daemon.guardrails(), ["gen-1"]);
        let before = seen["checked_at"].clone();
        seen = daemon.until("looked at again", |set| set["checked_at"] != before);
    }

    let ninth = other.generation(9);
    other.promote("HEAD");
    daemon.until_served(&ninth);
    assert_eq!(daemon.guardrails(), ["gen-9"]);
}

#[test]
fn an_object_that_comes_later_is_waited_for() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    let second = repo.generation(2);
    let blob = repo.git(&["rev-parse", "HEAD:policies/p3.yaml"]);
    let (folder, file) = blob.split_at(2);
    let object = repo.path().join(".git/objects").join(folder).join(file);
    let away = repo.beside("object");
    fs::rename(&object, &away).unwrap();
    repo.promote("HEAD");
    daemon.until("failing", |set| set["failing"]["commit"] == json!(second));
    fs::rename(&away, &object).unwrap();
    daemon.until_served(&second);
}

#[test]
fn a_state_that_cannot_be_written_is_said_and_no_more() {
    let repo = Repo::serving();
    repo.write("file", "");
    let state = repo.path().join("file/state");
    let daemon = Daemon::start(&repo.path(), &["--state-dir", state.to_str().unwrap()]);
    daemon.until("ready", |set| set["commit"].is_string());
    let status = daemon.until_status("complaining", |status| {
        !status["notes"].as_array().unwrap().is_empty()
    });
    assert!(
        status["notes"][0].as_str().unwrap().contains("cannot keep"),
        "{status}"
    );
    assert_eq!(daemon.get("/readyz").status, 200);
}

#[test]
fn a_promotion_of_another_root_is_not_served() {
    let repo = Repo::serving();
    repo.generation(2);
    repo.refguard(&["promote", "--reason", "one"]);
    let daemon = Daemon::start(&repo.path(), &[]);
    let served = repo.git(&["rev-parse", "refs/heads/production"]);
    daemon.until_served(&served);

    let message = repo.git(&["log", "-1", "--format=%B", "production"]);
    let foreign = message.replace("Refguard-Root: .", "Refguard-Root: us");
    assert_ne!(message, foreign);
    let tree = format!("{served}^{{tree}}");
    let moved = repo.git(&[
        "commit-tree",
        &tree,
        "-m",
        &foreign,
        "-p",
        &format!("{served}^"),
    ]);
    repo.git(&["update-ref", "refs/heads/production", &moved]);
    let status = daemon.until_rejected(&moved);
    assert!(
        status.to_string().contains("belongs to the root `us`"),
        "{status}"
    );
    assert_eq!(daemon.set()["commit"], served);
}

/// Serves a repository of two promotions and a hold, whose history before the hold is gone in some
/// way.
fn serves_without_history(cut: impl Fn(&Repo, &[String]), why: &str) {
    let repo = Repo::new();
    repo.generation(1);
    repo.refguard(&["promote", "--reason", "one"]);
    repo.generation(2);
    repo.refguard(&["promote", "--reason", "two"]);
    repo.refguard(&["hold", "the audit"]);
    let tip = repo.git(&["rev-parse", "production"]);
    let gone = ["production^1", "main^1"].map(|name| repo.git(&["rev-parse", name]));
    cut(&repo, &gone);

    let daemon = Daemon::start(&repo.path(), &[]);
    let set = daemon.until_served(&tip);
    assert_eq!(
        set["hold"]["reason"],
        json!("the audit"),
        "the tip itself says so: {set}"
    );
    assert_eq!(set["promotion"], json!(3), "{set}");
    assert_eq!(daemon.guardrails(), ["gen-2"]);
    assert_eq!(daemon.get("/readyz").status, 200);

    let said = [
        "was promoted to `production` before cannot be told",
        "version numbers are not known",
    ];
    daemon.until_status("said", |status| {
        let notes = status["notes"].to_string();
        said.iter().all(|said| notes.contains(said)) && notes.contains(why)
    });
    let pinned = r#"{"context":{"model":"m"},"policies":["p0@1"]}"#;
    let replies = [
        daemon.get("/v1/promotions"),
        daemon.get("/v1/policies/p0/versions"),
        daemon.post("/v1/resolve", pinned),
    ];
    for reply in replies {
        assert_eq!(reply.status, 503, "{}", reply.body);
        assert!(reply.body.contains(why), "{}", reply.body);
    }
}

fn object_file(repo: &Repo, id: &str) -> std::path::PathBuf {
    let (folder, file) = id.split_at(2);
    repo.path().join(".git/objects").join(folder).join(file)
}

#[test]
fn history_that_a_shallow_clone_lacks() {
    serves_without_history(
        |repo, _| {
            // As a clone of depth 1 has it: the tips are the last that is there.
            let ends = repo.git(&["rev-parse", "production", "main"]);
            fs::write(repo.path().join(".git/shallow"), ends + "\n").unwrap();
        },
        "this is a shallow clone",
    );
}

#[test]
fn history_that_was_pruned() {
    serves_without_history(
        |repo, gone| {
            gone.iter()
                .for_each(|id| fs::remove_file(object_file(repo, id)).unwrap())
        },
        "is missing from the repository",
    );
}

#[test]
fn history_that_is_damaged() {
    serves_without_history(
        |repo, gone| {
            for id in gone {
                let file = object_file(repo, id);
                fs::remove_file(&file).unwrap();
                fs::write(&file, "no object").unwrap();
            }
        },
        "is damaged",
    );
}
