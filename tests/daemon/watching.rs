//! The ref moves in every way that git moves it, and the daemon follows.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Daemon, PATIENCE, Repo, refguard, until};

#[test]
fn a_loose_ref_that_moves_is_followed_at_once() {
    let repo = Repo::serving();
    // A poll would come too late: only a hint can tell in time.
    let daemon = Daemon::start(&repo.path(), &["--poll", "1h"]);
    daemon.until("ready", |set| set["commit"].is_string());
    assert_eq!(daemon.guardrails(), ["gen-1"]);
    let second = repo.generation(2);
    repo.promote("HEAD");
    daemon.until_served(&second);
    assert_eq!(daemon.guardrails(), ["gen-2"]);
}

#[test]
fn the_first_move_after_a_restart_is_followed_at_once_though_nothing_else_of_git_changes() {
    let repo = Repo::serving();
    let second = repo.generation(2);
    let serving = || {
        let daemon = Daemon::start(&repo.path(), &["--poll", "1h"]);
        daemon.until("ready", |set| set["commit"].is_string());
        daemon
    };
    // The first start makes the folder of what was served last: that is a change of git's folder
    // too.
    assert_eq!(serving().stop().code(), Some(0));
    let daemon = serving();
    // As a push brings it: what is new lies there already, and only the ref moves.
    repo.git(&["update-ref", "refs/heads/production", &second]);
    daemon.until_served(&second);
}

#[test]
fn packed_refs_and_gc_are_no_change_and_hide_none() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let first = daemon.until("ready", |set| set["commit"].is_string());
    repo.git(&["pack-refs", "--all", "--prune"]);
    repo.git(&["gc", "-q", "--prune=now"]);
    let second = repo.generation(2);
    repo.promote("HEAD");
    let after = daemon.until_served(&second);
    assert_ne!(first["loaded_at"], after["loaded_at"]);
    repo.git(&["gc", "-q", "--prune=now"]);
    daemon.signal("HUP");
    let later = daemon.until("looked at again", |set| {
        set["checked_at"] != after["checked_at"]
    });
    assert_eq!(
        later["loaded_at"], after["loaded_at"],
        "a value that did not change was loaded again"
    );
}

#[test]
fn a_ref_that_is_packed_moves_from_packed_refs_alone() {
    let repo = Repo::serving();
    let second = repo.generation(2);
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    repo.promote(&second);
    repo.git(&["pack-refs", "--all", "--prune"]);
    assert!(!repo.path().join(".git/refs/heads/production").exists());
    daemon.until_served(&second);
}

#[test]
fn a_forced_move_to_an_unrelated_history_is_followed() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    repo.git(&["checkout", "-q", "--orphan", "other"]);
    let other = repo.generation(7);
    repo.promote("HEAD");
    daemon.until_served(&other);
    assert_eq!(daemon.guardrails(), ["gen-7"]);
}

#[test]
fn a_deleted_ref_keeps_the_set_and_a_new_one_is_followed() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let first = daemon.until("ready", |set| set["commit"].is_string());
    repo.git(&["update-ref", "-d", "refs/heads/production"]);
    let gone = daemon.until("without a ref", |set| set["ref_commit"].is_null());
    assert_eq!(gone["commit"], first["commit"]);
    assert_eq!(gone["behind"], json!(true));
    assert!(
        gone["failing"]["message"]
            .as_str()
            .unwrap()
            .contains("does not exist"),
        "{gone}"
    );
    assert_eq!(daemon.get("/readyz").status, 200);
    let second = repo.generation(2);
    repo.promote("HEAD");
    daemon.until_served(&second);
}

#[test]
fn a_repository_that_another_replaces_is_followed() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    let other = Repo::new();
    other.generation(9);
    let nine = other.promote("HEAD");
    fs::rename(repo.path(), repo.beside("old")).unwrap();
    daemon.until_status("without a repository", |status| {
        !status["notes"].as_array().unwrap().is_empty()
    });
    assert_eq!(daemon.guardrails(), ["gen-1"]);
    fs::rename(other.path(), repo.path()).unwrap();
    daemon.until_served(&nine);
    // The new repository is watched as the old one was.
    let ten = repo.generation(10);
    repo.promote("HEAD");
    daemon.until_served(&ten);
    daemon.until_status("without a complaint", |status| {
        status["notes"].as_array().unwrap().is_empty()
    });
}

#[test]
fn a_repository_that_comes_later_is_served_then() {
    let repo = Repo::serving();
    let away = repo.beside("away");
    fs::rename(repo.path(), &away).unwrap();
    fs::create_dir(repo.path()).unwrap();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_status("saying why", |status| {
        !status["notes"].as_array().unwrap().is_empty()
    });
    assert_eq!(daemon.get("/readyz").status, 503);
    assert_eq!(daemon.get("/healthz").status, 200);
    fs::remove_dir(repo.path()).unwrap();
    fs::rename(away, repo.path()).unwrap();
    daemon.until("ready", |set| set["commit"].is_string());
}

#[test]
fn without_watches_the_daemon_polls_and_says_so() {
    let repo = Repo::serving();
    // A user namespace has limits of its own, so that this test spoils nobody else's watches.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-Ur", "sh", "-c"]);
    let probe = command.arg(script).arg("true").status();
    if !probe.is_ok_and(|status| status.success()) {
        return; // No user namespaces here.
    }
    let mut command = Command::new("unshare");
    command
        .args(["-Ur", "sh", "-c", script])
        .arg(refguard().get_program())
        .env("HOME", "/dev/null");
    let daemon = Daemon::start_with(command, &repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    let status = daemon.get("/v1/status").json();
    assert_eq!(status["watch"], json!("polling"), "{status}");
    assert!(
        status["notes"][0]
            .as_str()
            .unwrap()
            .contains("cannot be watched"),
        "{status}"
    );
    let second = repo.generation(2);
    repo.promote("HEAD");
    daemon.until_served(&second);
}

#[test]
fn several_environments_are_followed_as_the_production_set_names_them() {
    let repo = Repo::new();
    let settings = "apiVersion: refguard/v1\nkind: Repository\n\
        environments: [{name: production}, {name: staging}]\n";
    repo.write("refguard.yaml", settings);
    let first = repo.generation(1);
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&first);
    let status = daemon.get("/v1/status").json();
    assert_eq!(
        (&status["sets"][1]["name"], &status["sets"][1]["commit"]),
        (&json!("staging"), &json!(null))
    );
    assert_eq!(daemon.get("/readyz").status, 200);
    assert_eq!(daemon.get("/v1/policies?set=staging").status, 503);
    assert_eq!(daemon.get("/v1/policies?set=nowhere").status, 404);
    // A branch of that name is not enough: only a promotion makes it one to serve.
    let second = repo.generation(2);
    repo.git(&["update-ref", "refs/heads/staging", "HEAD"]);
    repo.promote("HEAD");
    daemon.until_served(&second);
    assert_eq!(daemon.get("/v1/policies?set=staging").status, 503);
    repo.git(&["update-ref", "-d", "refs/heads/staging"]);
    let third = repo.generation(3);
    repo.refguard(&["promote", "--to", "staging"]);
    let second = repo.git(&["rev-parse", "refs/heads/staging"]);
    daemon.until_status("serving staging", |status| {
        status["sets"][1]["commit"] == json!(second)
    });
    assert_eq!(daemon.guardrails(), ["gen-2"]);
    assert_ne!(third, second);
    // A third one appears with the production set that names it.
    repo.write(
        "refguard.yaml",
        &settings.replace("staging}", "staging}, {name: canary}"),
    );
    repo.commit();
    repo.promote("HEAD");
    repo.refguard(&["promote", "--to", "canary"]);
    daemon.until_status("serving canary", |status| {
        status["sets"][2]["commit"].is_string()
    });
}

#[test]
fn a_remote_is_fetched_and_followed() {
    let origin = Repo::serving();
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);
    let daemon = Daemon::start(&clone.path(), &["--fetch", "origin", "--interval", "200ms"]);
    let served = daemon.until("ready", |set| set["commit"].is_string());
    assert_eq!(served["ref"], json!("refs/remotes/origin/production"));
    let second = origin.generation(2);
    origin.promote("HEAD");
    daemon.until_served(&second);
    // A remote that is away is said, and changes nothing.
    fs::rename(origin.path(), origin.beside("away")).unwrap();
    let status = daemon.until_status("complaining", |status| {
        !status["notes"].as_array().unwrap().is_empty()
    });
    assert_eq!(status["sets"][0]["commit"], json!(second));
}

#[test]
fn an_empty_clone_is_served_without_waiting_for_the_interval() {
    let origin = Repo::serving();
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);
    let daemon = Daemon::start(&clone.path(), &["--fetch", "origin", "--interval", "1h"]);
    daemon.until_served(&origin.git(&["rev-parse", "production"]));
}

#[test]
fn what_is_stale_fails_readiness_or_is_refused_as_chosen() {
    let origin = Repo::serving();
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);
    for (when, status) in [("unready", 200), ("refuse", 503)] {
        let options = [
            "--fetch",
            "origin",
            "--interval",
            "100ms",
            "--max-staleness",
            "3s",
            "--when-stale",
            when,
        ];
        let daemon = Daemon::start(&clone.path(), &options);
        daemon.until("ready", |set| {
            set["commit"].is_string() && set["stale"] == json!(false)
        });
        fs::rename(origin.path(), origin.beside("away")).unwrap();
        daemon.until("stale", |set| set["stale"] == json!(true));
        assert_eq!(daemon.get("/readyz").status, 503);
        assert_eq!(
            daemon.post("/v1/resolve", r#"{"context":{}}"#).status,
            status,
            "{when}"
        );
        fs::rename(origin.beside("away"), origin.path()).unwrap();
        daemon.until("fresh", |set| set["stale"] == json!(false));
        assert_eq!(daemon.get("/readyz").status, 200);
    }
}

#[test]
fn wait_ends_well_when_every_daemon_serves_the_commit() {
    let repo = Repo::serving();
    let second = repo.generation(2);
    let daemons = [
        Daemon::start(&repo.path(), &[]),
        Daemon::start(&repo.path(), &[]),
    ];
    let urls = daemons
        .each_ref()
        .map(|daemon| format!("http://{}", daemon.address));
    let wait = |timeout: &str| {
        let mut command = refguard();
        command
            .args(["wait", "--commit", &second, "--timeout", timeout])
            .args(&urls);
        command
    };
    let early = wait("300ms").output().unwrap();
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    assert!(
        String::from_utf8_lossy(&early.stderr).contains("serves"),
        "{early:?}"
    );
    let early = wait("300ms").args(["--format", "json"]).output().unwrap();
    let schema = refguard()
        .args(["schema", "output", "wait"])
        .output()
        .unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let told: Value = serde_json::from_slice(&early.stdout).unwrap();
    assert_eq!(
        (&told["reached"], &told["rejected"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(told["waiting"].as_array().unwrap().len(), 2, "{told}");
    assert!(
        jsonschema::is_valid(&schema, &told) && early.stderr.is_empty(),
        "{early:?}"
    );
    let timeout = format!("{}s", PATIENCE.as_secs());
    let mut late = wait(&timeout).spawn().unwrap();
    repo.promote(&second);
    assert_eq!(late.wait().unwrap().code(), Some(0));
}

#[test]
fn wait_for_what_was_promoted_waits_for_its_promotion() {
    let repo = Repo::new();
    let _ = repo.generation(1);
    let promote = refguard()
        .args([
            "-C",
            repo.path().to_str().unwrap(),
            "promote",
            "--reason",
            "first",
        ])
        .output()
        .unwrap();
    assert!(promote.status.success(), "{promote:?}");
    let daemon = Daemon::start(&repo.path(), &[]);
    let wait = |revision: &str, timeout: &str| {
        let mut command = refguard();
        let url = format!("http://{}", daemon.address);
        command.args([
            "-C",
            repo.path().to_str().unwrap(),
            "wait",
            "--commit",
            revision,
        ]);
        command.args(["--timeout", timeout, &url]).output().unwrap()
    };
    let done = wait("main", &format!("{}s", PATIENCE.as_secs()));
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(
        said.contains("promotion 1 brought `main` to `production`: waiting for it"),
        "{said}"
    );

    // A full hash is such a revision too.
    let hash = repo.git(&["rev-parse", "main"]);
    let done = wait(hash.trim(), &format!("{}s", PATIENCE.as_secs()));
    assert_eq!(done.status.code(), Some(0), "{done:?}");

    let _ = repo.generation(2);
    let early = wait("main", "1ms");
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    let said = String::from_utf8_lossy(&early.stderr);
    assert!(
        said.contains("no promotion that is known here has brought `main`"),
        "{said}"
    );
}

#[test]
fn a_promotion_of_some_policies_brings_no_commit() {
    let repo = Repo::new();
    let _ = repo.generation(1);
    let run = |words: &[&str]| {
        let path = repo.path();
        let start = ["-C", path.to_str().unwrap()];
        let words = start.iter().chain(words).copied();
        refguard().args(words).output().unwrap()
    };
    let fine = |words: &[&str]| {
        let done = run(words);
        assert!(done.status.success(), "{done:?}");
    };
    fine(&["promote", "--reason", "first"]);

    let _ = repo.generation(2);
    let also = "apiVersion: refguard/v1\nkind: Policy\nname: also\nguardrails: {add: [other]}\n";
    std::fs::write(repo.path().join("policies/also.yaml"), also).unwrap();
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "--quiet", "-m", "another policy"]);
    let daemon = Daemon::start(&repo.path(), &[]);
    let url = format!("http://{}", daemon.address);
    let hash = repo.git(&["rev-parse", "main"]);
    fine(&["promote", "--policy", "also", "--reason", "one"]);
    // A hold of it names no policies, and brings no more.
    for hold in [false, true] {
        if hold {
            fine(&["hold", "wait"]);
        }
        for revision in ["main", hash.trim()] {
            let early = run(&["wait", "--commit", revision, "--timeout", "1ms", &url]);
            assert_eq!(early.status.code(), Some(1), "{early:?}");
            let said = String::from_utf8_lossy(&early.stderr);
            assert!(said.contains("brought only some policies of"), "{said}");
        }
    }
    let served = ["wait", "--commit", "production", "--timeout", "60s", &url];
    fine(&served);
}

#[test]
fn wait_ready_is_a_health_check() {
    let origin = Repo::serving();
    let clone = Repo::new();
    clone.git(&[
        "remote",
        "add",
        "origin",
        origin.beside("away").to_str().unwrap(),
    ]);
    let daemon = Daemon::start(&clone.path(), &["--fetch", "origin", "--interval", "100ms"]);
    let wait = |timeout: &str| {
        let mut command = refguard();
        let url = format!("http://{}", daemon.address);
        command
            .args(["wait", "--ready", "--timeout", timeout, &url])
            .output()
            .unwrap()
    };
    let early = wait("1ms");
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    assert!(
        String::from_utf8_lossy(&early.stderr).contains("is not ready"),
        "{early:?}"
    );

    fs::rename(origin.path(), origin.beside("away")).unwrap();
    let ready = wait(&format!("{}s", PATIENCE.as_secs()));
    assert_eq!(ready.status.code(), Some(0), "{ready:?}");
    // A commit is waited for, or readiness; not both.
    let both = refguard()
        .args(["wait", "--ready", "--commit", "x", "unix:x"])
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2), "{both:?}");
    assert_eq!(
        refguard()
            .args(["wait", "unix:x"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn the_log_says_when_what_it_warned_of_is_over() {
    let repo = Repo::serving();
    let good = repo.generation(2);
    let broken = repo.broken();
    let (path, log) = (repo.beside("log"), repo.beside("log"));
    let file = fs::File::create(path).unwrap();
    let daemon = Daemon::start_logged(refguard(), &repo.path(), &[], file.into());
    repo.promote(&broken);
    daemon.until("rejected", |set| !set["rejected"].is_null());
    repo.promote(&good);
    daemon.until_served(&good);
    until("the log says so", || {
        let text = fs::read_to_string(&log).unwrap();
        let warned = text.find(" rejected: ").unwrap_or(usize::MAX);
        text.find("over: rejected: ")
            .is_some_and(|over| over > warned)
    });
}

#[test]
fn a_hold_stays_at_the_remote_when_something_else_moves_the_environment_there() {
    let origin = Repo::new();
    origin.generation(1);
    origin.refguard(&["promote"]);
    origin.refguard(&["hold", "the audit"]);
    origin.generation(2);
    let moved = origin.git(&["rev-parse", "HEAD"]);
    origin.git(&["update-ref", "refs/heads/production", &moved]);
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);

    let daemon = Daemon::start(&clone.path(), &["--fetch", "origin", "--interval", "200ms"]);
    let set = daemon.until_served(&moved);

    assert_eq!(set["promotion"], Value::Null);
    assert_eq!(
        set["hold"]["reason"], "the audit",
        "as the fetched ledger says: {set}"
    );
}

/// A repository with promotion 1, whose branch something else has moved since, and a hold that only
/// the ledger is to record: what moved the branch, promotion 1, the hold.
fn moved_and_held(repo: &Repo) -> [String; 3] {
    repo.generation(1);
    repo.refguard(&["promote"]);
    let first = repo.git(&["rev-parse", "production"]);
    repo.generation(2);
    let moved = repo.promote("HEAD");
    repo.refguard(&["hold", "the audit"]);
    let held = repo.git(&["rev-parse", "production"]);
    repo.promote(&moved);
    repo.git(&["update-ref", LEDGER, &first]);
    [moved, first, held]
}

const LEDGER: &str = "refs/refguard/ledger/production";

#[test]
fn a_ledger_that_moves_alone_is_seen() {
    let repo = Repo::new();
    let [moved, first, held] = moved_and_held(&repo);
    // A poll would come too late.
    let daemon = Daemon::start(&repo.path(), &["--poll", "1h"]);
    let set = daemon.until_served(&moved);
    assert_eq!(
        (&set["hold"], &set["promotion"]),
        (&Value::Null, &Value::Null),
        "{set}"
    );

    repo.git(&["update-ref", LEDGER, &held]);
    let set = daemon.until("on hold", |set| set["hold"]["reason"] == json!("the audit"));
    assert_eq!(set["commit"], json!(moved), "what is served stays: {set}");
    repo.git(&["update-ref", LEDGER, &first]);
    daemon.until("released", |set| set["hold"].is_null());

    // A ledger that says that the environment is another root's speaks against what is served;
    // nothing better is there.
    let message = repo.git(&["log", "-1", "--format=%B", &first]);
    let foreign = message.replace("Refguard-Root: .", "Refguard-Root: us");
    let foreign = repo.git(&["commit-tree", &format!("{first}^{{tree}}"), "-m", &foreign]);
    repo.git(&["update-ref", LEDGER, &foreign]);
    let set = daemon.until_rejected(&moved);
    assert!(
        set.to_string().contains("belongs to the root `us`"),
        "{set}"
    );
    assert_eq!(set["commit"], json!(moved));
    assert_eq!(daemon.guardrails(), ["gen-2"]);
    repo.git(&["update-ref", LEDGER, &first]);
    daemon.until("taken again", |set| set["rejected"].is_null());
}

#[test]
fn a_hold_of_a_promotion_that_the_branch_was_taken_back_from_is_told() {
    let repo = Repo::new();
    repo.generation(1);
    repo.refguard(&["promote"]);
    let first = repo.git(&["rev-parse", "production"]);
    repo.refguard(&["hold", "the audit"]);
    repo.promote(&first);
    let daemon = Daemon::start(&repo.path(), &[]);
    let set = daemon.until_served(&first);
    assert_eq!(set["promotion"], json!(1), "{set}");
    assert_eq!(
        set["hold"]["reason"],
        json!("the audit"),
        "as `refguard status` says: {set}"
    );
}

#[test]
fn a_ledger_of_a_remote_that_moves_alone_is_followed_and_one_that_is_gone_is_not_believed() {
    let origin = Repo::new();
    let [moved, _, held] = moved_and_held(&origin);
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);
    let daemon = Daemon::start(&clone.path(), &["--fetch", "origin", "--interval", "200ms"]);
    let set = daemon.until_served(&moved);
    assert_eq!(set["hold"], Value::Null, "{set}");

    origin.git(&["update-ref", LEDGER, &held]);
    daemon.until("on hold", |set| set["hold"]["reason"] == json!("the audit"));
    origin.git(&["update-ref", "-d", LEDGER]);
    daemon.until("no hold that nothing there records", |set| {
        set["hold"].is_null()
    });
    let said = "`origin` no longer has the ledger of `production`";
    let status = daemon.until_status("said", |status| status["notes"].to_string().contains(said));
    assert_eq!(status["sets"][0]["commit"], json!(moved));
    origin.git(&["update-ref", LEDGER, &held]);
    daemon.until("on hold again", |set| set["hold"].is_object());
    daemon.until_status("no longer said", |status| {
        !status["notes"].to_string().contains(said)
    });
}

#[test]
fn a_ledger_that_goes_back_together_with_its_branch_is_told_also_after_a_restart() {
    let repo = Repo::new();
    repo.generation(1);
    repo.refguard(&["promote"]);
    let first = repo.git(&["rev-parse", "production"]);
    repo.refguard(&["hold", "the audit"]);
    let held = repo.git(&["rev-parse", "production"]);
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&held);
    let said = "the ledger of `production` went back from promotion 2 to promotion 1, and with it \
        a hold was lost: the audit";
    let back = || {
        repo.git(&["update-ref", LEDGER, &first]);
        repo.promote(&first);
    };
    back();
    daemon.until_status("told", |status| status["notes"].to_string().contains(said));
    assert_eq!(daemon.until_served(&first)["hold"], Value::Null);

    // What the state file knows counts too.
    repo.promote(&held);
    repo.git(&["update-ref", LEDGER, &held]);
    daemon.until_status("over", |status| {
        let is_held = status["sets"][0]["commit"] == json!(held);
        is_held && !status["notes"].to_string().contains("went back")
    });
    let state = repo.path().join(".git/refguard/served-production.json");
    until("it is kept", || {
        std::fs::read_to_string(&state).is_ok_and(|kept| kept.contains(&held))
    });
    assert!(daemon.stop().success());
    back();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_status("told", |status| status["notes"].to_string().contains(said));
}

#[test]
fn a_ledger_that_goes_back_is_told_in_a_shallow_clone_too() {
    let origin = Repo::new();
    for number in 1..=3 {
        origin.generation(number);
        origin.refguard(&["promote"]);
    }
    let second = origin.git(&["rev-parse", "production^1"]);
    let third = origin.git(&["rev-parse", "production"]);
    let clone = Repo::new();
    let address = format!("file://{}", origin.path().display());
    clone.git(&["remote", "add", "origin", &address]);
    clone.git(&[
        "fetch",
        "-q",
        "--depth",
        "1",
        "origin",
        "main",
        "production",
    ]);
    clone.git(&[
        "fetch",
        "-q",
        "--depth",
        "1",
        "origin",
        "+refs/heads/*:refs/remotes/origin/*",
        "+refs/refguard/ledger/*:refs/refguard/remotes/origin/ledger/*",
    ]);
    assert_eq!(clone.git(&["rev-parse", "--is-shallow-repository"]), "true");

    let options = ["--fetch", "origin", "--interval", "200ms"];
    let daemon = Daemon::start(&clone.path(), &options);
    daemon.until_served(&third);
    let back = || {
        origin.git(&["update-ref", LEDGER, &second]);
        origin.promote(&second);
    };
    back();
    let said = "the ledger of `production` went back from promotion 3 to promotion 2";
    let status = daemon.until_status("told", |status| status["notes"].to_string().contains(said));
    assert_eq!(status["ready"], json!(true));
    daemon.until_served(&second);

    // A verb that fetches says it as well, and nothing of what goes on as it should.
    assert!(daemon.stop().success());
    origin.git(&["update-ref", LEDGER, &third]);
    origin.promote(&third);
    assert!(!fetched_status(&clone).contains("went back"));
    back();
    assert!(fetched_status(&clone).contains(said));
}

fn fetched_status(clone: &Repo) -> String {
    let mut status = refguard();
    status
        .arg("-C")
        .arg(clone.path())
        .args(["status", "--fetch"]);
    let out = status.output().unwrap();
    String::from_utf8(out.stderr).unwrap()
}
