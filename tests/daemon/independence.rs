//! One environment's trouble is not another's, and what a daemon cannot read or fetch is seen by an
//! alert.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Daemon, Repo, StuckObject, refguard, until};

const TWO: &str = "apiVersion: refguard/v1\nkind: Repository\n\
    environments: [{name: production}, {name: staging}]\n";

/// A set of the status; null where there is none yet.
fn set<'a>(status: &'a Value, name: &str) -> &'a Value {
    let sets = status["sets"].as_array().unwrap();
    sets.iter()
        .find(|set| set["name"] == json!(name))
        .unwrap_or(&Value::Null)
}

/// Production and staging, both at generation 1.
fn two_environments() -> Repo {
    let repo = Repo::new();
    repo.write("refguard.yaml", TWO);
    repo.generation(1);
    repo.promote("HEAD");
    repo.refguard(&["promote", "--to", "staging"]);
    repo
}

#[test]
fn a_commit_that_is_read_for_ever_delays_no_other_environment_and_no_watchdog() {
    let repo = two_environments();
    let path = repo.beside("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let beats = Arc::new(AtomicUsize::new(0));
    let counted = beats.clone();
    // Listens until the daemon's end is the test's: a manager that does not listen would stop who
    // tells it something.
    thread::spawn(move || {
        let mut heard = [0; 256];
        while let Ok(length) = manager.recv(&mut heard) {
            let is_beat = heard[..length].starts_with(b"WATCHDOG=1");
            counted.fetch_add(usize::from(is_beat), Ordering::Relaxed);
        }
    });
    let mut command = refguard();
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "300000");
    let daemon = Daemon::start_with(command, &repo.path(), &[]);
    daemon.until_status("both", |status| {
        set(status, "staging")["commit"].is_string()
    });

    let second = repo.generation(2);
    let stuck = StuckObject::new(&repo, "HEAD:policies/p3.yaml");
    repo.git(&["update-ref", "refs/heads/staging", &second]);
    daemon.until_status("staging moves", |status| {
        set(status, "staging")["ref_commit"] == json!(second)
    });
    // Production moves meanwhile, and the service manager is told that the daemon lives.
    repo.git(&["checkout", "-q", "HEAD~1"]);
    let third = repo.generation(3);
    repo.promote(&third);
    daemon.until_served(&third);
    let before = beats.load(Ordering::Relaxed);
    until("three beats", || beats.load(Ordering::Relaxed) > before + 2);
    let status = daemon.get("/v1/status").json();
    assert_ne!(set(&status, "staging")["commit"], json!(second));

    stuck.release();
    daemon.until_status("staging", |status| {
        set(status, "staging")["commit"] == json!(second)
    });
}

#[test]
fn an_environment_without_a_branch_at_the_remote_stops_no_other_one() {
    let origin = two_environments();
    let staged = origin.git(&["rev-parse", "refs/heads/staging"]);
    origin.git(&["update-ref", "-d", "refs/heads/staging"]);
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);
    let daemon = Daemon::start(&clone.path(), &["--fetch", "origin", "--interval", "100ms"]);
    daemon.until("ready", |set| set["commit"].is_string());
    let second = origin.generation(2);
    origin.promote("HEAD");
    daemon.until_served(&second);
    let told = |status: &Value| status["notes"].to_string().contains("no branch `staging`");
    daemon.until_status("told", told);
    assert!(
        daemon
            .get("/metrics")
            .body
            .contains("refguard_fetch_failing 0")
    );
    origin.git(&["update-ref", "refs/heads/staging", &staged]);
    daemon.until_status("staging", |status| {
        set(status, "staging")["commit"] == json!(staged)
    });
    daemon.until_status("no complaint", |status| !told(status));
}

#[test]
fn a_daemon_that_cannot_fetch_or_read_says_so_in_its_metrics() {
    let origin = Repo::serving();
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);
    let daemon = Daemon::start(&clone.path(), &["--fetch", "origin", "--interval", "100ms"]);
    daemon.until("ready", |set| set["commit"].is_string());
    // The branch may be seen before git has ended.
    until("fetched", || {
        !daemon
            .get("/metrics")
            .body
            .contains("refguard_fetched_timestamp_seconds 0\n")
    });

    fs::rename(origin.path(), origin.beside("away")).unwrap();
    daemon.until_metrics(&["refguard_fetch_failing 1"]);
    fs::rename(origin.beside("away"), origin.path()).unwrap();
    daemon.until_metrics(&["refguard_fetch_failing 0"]);

    fs::rename(clone.path(), clone.beside("gone")).unwrap();
    daemon.until_metrics(&["refguard_failing{set=\"production\"} 1", "refguard_ready 1"]);
}

#[test]
fn a_clone_that_somebody_else_fetches_is_followed_by_its_copy_of_the_branch() {
    let origin = Repo::serving();
    let first = origin.git(&["rev-parse", "refs/heads/production"]);
    let clone = Repo::new();
    clone.git(&["remote", "add", "origin", origin.path().to_str().unwrap()]);
    let daemon = Daemon::start(&clone.path(), &[]);
    clone.git(&["fetch", "-q", "origin"]);
    daemon.until_served(&first);

    // A local branch that lies behind holds nothing back; one that went its own way is what is
    // served.
    clone.git(&["update-ref", "refs/heads/production", &first]);
    let second = origin.generation(2);
    origin.promote("HEAD");
    clone.git(&["fetch", "-q", "origin"]);
    daemon.until_served(&second);
    let own = clone.git(&[
        "commit-tree",
        "-m",
        "own",
        "-p",
        &first,
        &format!("{first}^{{tree}}"),
    ]);
    clone.git(&["update-ref", "refs/heads/production", &own]);
    daemon.until_served(&own);
}
