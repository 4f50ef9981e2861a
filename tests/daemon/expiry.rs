//! Attachments that end while a daemon serves them: no commit, no restart, and no way back.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Client, Clock, Daemon, Repo, policy, refguard, until};

/// So many whole seconds from now, at least.
fn soon(seconds: u64) -> Timestamp {
    let at = SystemTime::now() + Duration::from_secs(seconds + 1);
    let second = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    Timestamp::from_second(second.try_into().unwrap()).unwrap()
}

fn ending(name: &str, expires: &str) -> String {
    format!(
        "apiVersion: refguard/v1\nkind: Policy\nname: {name}\nguardrails: {{add: [{name}]}}\n---\n\
         apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {name}\nscope: \"*\"\n\
         expires: {expires}\n\
         reason: a pilot\n"
    )
}

/// Everybody gets `stays`; `one` and `two` end at an instant, `later` in a year that no test sees.
fn repository(expires: &str) -> Repo {
    let repo = Repo::new();
    repo.write("policies/stays.yaml", &policy("stays", "stays"));
    repo.write("policies/one.yaml", &ending("one", expires));
    repo.write("policies/two.yaml", &ending("two", expires));
    repo.write("policies/later.yaml", &ending("later", "2990-12-31"));
    repo.commit();
    repo.promote("HEAD");
    repo
}

const ALL: [&str; 4] = ["later", "one", "stays", "two"];
const LEFT: [&str; 2] = ["later", "stays"];

fn resolve(daemon: &Daemon) -> Value {
    daemon
        .post("/v1/resolve", r#"{"context":{"model":"m"}}"#)
        .json()
}

fn next_expiry(daemon: &Daemon) -> Option<i64> {
    let metrics = daemon.get("/metrics").body;
    let name = "refguard_next_expiry_timestamp_seconds{set=\"production\"} ";
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(|value| value.parse().unwrap())
}

#[test]
fn a_long_poll_is_answered_at_the_instant_and_never_before() {
    let at = soon(5);
    let repo = repository(&at.to_string());
    let daemon = Daemon::start(&repo.path(), &["--poll", "1h"]);
    daemon.until_numbered("stays", 1);
    let commit = daemon.set()["commit"].clone();
    let before = resolve(&daemon);
    assert_eq!(
        (&before["guardrails"], &before["valid_until"]),
        (&json!(ALL), &json!(at))
    );
    assert_eq!(next_expiry(&daemon), Some(at.as_second()));
    let bundle = daemon.get("/v1/bundle");
    assert_eq!(bundle.json()["instant"], json!(null));
    let litellm = daemon.get("/v1/bundle?format=litellm");
    let tag = litellm.header("etag").unwrap().to_owned();

    let wait = [
        ("If-None-Match", bundle.header("etag").unwrap()),
        ("Prefer", "wait=30"),
    ];
    let after = Client::new(&daemon.address).ask("GET", "/v1/bundle", &wait, "");

    assert!(Timestamp::now() >= at, "not before its time");
    assert_eq!(after.status, 200);
    assert!(
        after
            .header("etag")
            .unwrap()
            .ends_with(&format!("-{}\"", at.as_second()))
    );
    let set = after.json();
    assert_eq!((&set["commit"], &set["instant"]), (&commit, &json!(at)));
    assert_eq!(
        set["digest"],
        bundle.json()["digest"],
        "the documents are the same"
    );
    assert_eq!(
        set["attachments"].as_array().unwrap().len(),
        4,
        "followers see when each ends"
    );
    assert_eq!(resolve(&daemon)["guardrails"], json!(LEFT));
    let status = daemon.set();
    assert_eq!(
        (&status["instant"], &status["attachments"]),
        (&json!(at), &json!(4))
    );
    assert!(next_expiry(&daemon).unwrap() > at.as_second());
    // LiteLLM's form has no end, so another bundle comes.
    let litellm = daemon.ask(
        "GET",
        "/v1/bundle?format=litellm",
        &[("If-None-Match", &tag)],
        "",
    );
    assert!(
        litellm.status == 200 && !litellm.body.contains("policy: one"),
        "{}",
        litellm.body
    );
    let authz = daemon.ask("GET", "/v1/authz", &[("X-Refguard-Model", "m")], "");
    assert_eq!(authz.header("x-refguard-guardrails"), Some("later,stays"));
}

#[test]
fn what_was_over_when_the_daemon_started_is_never_served() {
    let repo = repository("2020-12-31");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("served", |set| set["commit"].is_string());
    assert_eq!(daemon.guardrails(), LEFT);
    let listed = daemon.get("/v1/attachments").body;
    assert!(listed.contains("2021-01-01T00:00:00Z"), "{listed}");
    let explained = daemon
        .post("/v1/resolve?explain=1", r#"{"context":{"model":"m"}}"#)
        .body;
    assert!(
        explained.contains("expired at 2021-01-01T00:00:00Z (a pilot)"),
        "{explained}"
    );
}

#[test]
fn a_restart_with_a_clock_that_ran_back_revives_nothing() {
    let at = soon(1);
    let repo = repository(&at.to_string());
    let state = repo.beside("state");
    let options = ["--state-dir", state.to_str().unwrap()];
    let daemon = Daemon::start(&repo.path(), &options);
    daemon.until("past the instant", |set| set["instant"] == json!(at));
    let kept = || {
        let mut folders = vec![state.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
            {
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.file_name().unwrap().to_str().unwrap() == "instant-production" {
                    return Some(entry);
                }
            }
        }
        None
    };
    until("the instant is kept", || kept().is_some());
    let file = kept().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), at.to_string());
    daemon.stop();

    // The daemon before saw an instant that the clock of this machine has not reached: it ran
    // ahead, or this one runs back.
    fs::write(&file, "2991-01-01T00:00:00Z\n").unwrap();
    let daemon = Daemon::start(&repo.path(), &options);
    daemon.until("served", |set| set["commit"].is_string());
    assert_eq!(daemon.guardrails(), ["stays"]);
    daemon.until_status("said", |status| {
        status["notes"]
            .to_string()
            .contains("2991-01-01T00:00:00Z, ahead of the clock")
    });
    // A new commit is served as of that instant too.
    repo.write("policies/more.yaml", &ending("more", "2990-06-30"));
    let commit = repo.commit();
    repo.promote("HEAD");
    daemon.until_served(&commit);
    assert_eq!(daemon.guardrails(), ["stays"]);
}

/// Moves production by hand to a commit with a date.
fn dated(repo: &Repo, date: Timestamp) -> String {
    let mut git = Command::new("git");
    let date_words = format!("@{} +0000", date.as_second());
    git.arg("-C")
        .arg(repo.path())
        .env("GIT_COMMITTER_DATE", date_words);
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    let made = git
        .args(identity)
        .args(["commit", "-q", "--allow-empty", "-m", "dated"])
        .status();
    assert!(made.unwrap().success());
    repo.promote("HEAD")
}

#[test]
fn a_set_is_never_older_than_its_own_commit() {
    // A clock that runs some minutes behind that of the machine which made the commit.
    let repo = repository(&soon(120).to_string());
    let commit = dated(&repo, soon(240));
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&commit);
    assert_eq!(daemon.guardrails(), LEFT);
}

#[test]
fn a_commit_that_is_dated_far_ahead_ends_nothing_before_its_time() {
    let repo = repository("2990-12-31");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("served", |set| set["commit"].is_string());
    let before = daemon.guardrails();
    assert_ne!(before, LEFT);
    let commit = dated(&repo, "2995-01-01T00:00:00Z".parse().unwrap());
    daemon.until_served(&commit);
    assert_eq!(daemon.guardrails(), before);
}

#[test]
fn a_folder_without_git_follows_the_clock_too() {
    let at = soon(5);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("stays.yaml"), policy("stays", "stays")).unwrap();
    fs::write(
        folder.path().join("one.yaml"),
        ending("one", &at.to_string()),
    )
    .unwrap();
    let daemon = Daemon::start_with(refguard(), folder.path(), &["--worktree", "--poll", "1h"]);
    let ask = || {
        let reply = daemon.post("/v1/resolve?set=worktree", r#"{"context":{"model":"m"}}"#);
        (reply.status == 200).then(|| reply.json())
    };
    until("served", || ask().is_some());
    let first = ask().unwrap();
    assert_eq!(
        (&first["guardrails"], &first["valid_until"]),
        (&json!(["one", "stays"]), &json!(at))
    );
    until("past the instant", || {
        ask().unwrap()["guardrails"] == json!(["stays"])
    });
    assert!(Timestamp::now() >= at);
}

/// A daemon whose wall clock is that of the test, and whose zone has daylight saving.
fn start_by(clock: &Clock, dir: &Path, options: &[&str]) -> Daemon {
    let mut command = refguard();
    clock.bind(&mut command);
    command.env("TZ", "Europe/Berlin");
    Daemon::start_with(command, dir, options)
}

fn second_of(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

/// What every request gets, from whatever set there is.
fn answered(daemon: &Daemon) -> Vec<String> {
    let mut reply = daemon.post("/v1/resolve", r#"{"context":{"model":"m"}}"#);
    until("served", || {
        if reply.status != 200 {
            reply = daemon.post("/v1/resolve", r#"{"context":{"model":"m"}}"#);
        }
        reply.status == 200
    });
    serde_json::from_value(reply.json()["guardrails"].clone()).unwrap()
}

#[test]
fn the_first_answer_at_the_instant_is_without_what_ended_wherever_the_clock_jumps() {
    let at = second_of("2030-06-15T12:00:00Z");
    let Some(clock) = Clock::at(at - 1) else {
        return;
    };
    let repo = repository("2030-06-15T12:00:00Z");
    let state = repo.beside("state");
    let options = ["--state-dir", state.to_str().unwrap(), "--poll", "1h"];
    let daemon = start_by(&clock, &repo.path(), &options);
    daemon.until("served", |set| set["commit"].is_string());
    assert_eq!(answered(&daemon), ALL, "a second before");

    // Both end at that second: no answer that is asked for then has either.
    clock.set(at);
    assert_eq!(answered(&daemon), LEFT);
    let status = daemon.set();
    assert_eq!(second_of(status["instant"].as_str().unwrap()), at);
    // What is told everywhere is the same instant.
    let bundle = daemon.get("/v1/bundle").json();
    assert_eq!(bundle["instant"], status["instant"]);
    assert_eq!(resolve(&daemon)["valid_until"], status["valid_until"]);

    clock.set(at - 3600);
    assert_eq!(answered(&daemon), LEFT, "a clock that is set back");
    until("the instant is kept", || {
        let folders = fs::read_dir(&state).into_iter().flatten();
        folders
            .map(|entry| entry.unwrap().path())
            .flat_map(|path| fs::read_dir(path).into_iter().flatten())
            .any(|entry| entry.unwrap().file_name() == "instant-production")
            || state.join("instant-production").exists()
    });
    daemon.stop();
    let daemon = start_by(&clock, &repo.path(), &options);
    daemon.until("served", |set| set["commit"].is_string());
    assert_eq!(
        answered(&daemon),
        LEFT,
        "and a restart with the clock set back"
    );
}

#[test]
fn a_machine_that_was_suspended_over_an_instant_wakes_up_behind_it() {
    let at = second_of("2030-06-15T12:00:00Z");
    let Some(clock) = Clock::at(at - 1) else {
        return;
    };
    let repo = repository("2030-06-15T12:00:00Z");
    let daemon = start_by(&clock, &repo.path(), &["--poll", "1h"]);
    daemon.until("served", |set| set["commit"].is_string());
    assert_eq!(answered(&daemon), ALL);

    // The question comes while it sleeps, and is answered when it wakes up a week later.
    daemon.signal("STOP");
    let mut client = Client::new(&daemon.address);
    let json = [("Content-Type", "application/json")];
    client.send("POST", "/v1/resolve", &json, r#"{"context":{"model":"m"}}"#);
    clock.set(at + 7 * 24 * 3600);
    daemon.signal("CONT");
    assert_eq!(client.reply().unwrap().json()["guardrails"], json!(LEFT));
}

#[test]
fn an_hour_that_the_clocks_show_twice_or_never_ends_nothing_early_or_late() {
    // In Berlin 02:30 is there twice on 2030-10-27, and not at all on 2030-03-31: an instant has an
    // offset, so it is one moment whatever the zone of the machine.
    for (expires, due) in [
        ("2030-10-27T02:30:00+02:00", "2030-10-27T00:30:00Z"),
        ("2030-10-27T02:30:00+01:00", "2030-10-27T01:30:00Z"),
        ("2030-03-31T02:30:00+01:00", "2030-03-31T01:30:00Z"),
        ("2030-10-27", "2030-10-28T00:00:00Z"),
    ] {
        let at = second_of(due);
        let Some(clock) = Clock::at(at - 1) else {
            return;
        };
        let repo = repository(expires);
        let daemon = start_by(&clock, &repo.path(), &["--poll", "1h"]);
        daemon.until("served", |set| set["commit"].is_string());
        assert_eq!(answered(&daemon), ALL, "{expires}");
        assert_eq!(next_expiry(&daemon), Some(at), "{expires}");
        clock.set(at);
        assert_eq!(answered(&daemon), LEFT, "{expires}");
    }
}

#[test]
fn a_mounted_config_map_follows_the_clock_over_its_swaps() {
    let at = second_of("2030-06-15T12:00:00Z");
    let Some(clock) = Clock::at(at - 1) else {
        return;
    };
    let top = tempfile::tempdir().unwrap();
    let mount = top.path();
    let fill = |version: &str, names: &[&str]| {
        fs::create_dir(mount.join(version)).unwrap();
        let texts: Vec<String> = names
            .iter()
            .map(|name| ending(name, "2030-06-15T12:00:00Z"))
            .chain([policy("stays", "stays")])
            .collect();
        fs::write(mount.join(version).join("p.yaml"), texts.join("---\n")).unwrap();
    };
    fill("..2030_1", &["one"]);
    symlink("..2030_1", mount.join("..data")).unwrap();
    symlink("..data/p.yaml", mount.join("p.yaml")).unwrap();
    let daemon = start_by(&clock, mount, &["--worktree"]);
    assert_eq!(answered(&daemon), ["one", "stays"]);

    // As the kubelet does it, with two that end at one instant.
    let before = daemon.set()["digest"].clone();
    fill("..2030_2", &["one", "two"]);
    symlink("..2030_2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    let second = daemon.until("swapped", |set| set["digest"] != before);
    assert_eq!(answered(&daemon), ["one", "stays", "two"]);
    clock.set(at);
    assert_eq!(answered(&daemon), ["stays"]);

    // Behind the instant another swap brings what has ended, and the clock is set back.
    clock.set(at - 60);
    fill("..2030_3", &["one", "three"]);
    symlink("..2030_3", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    daemon.until("swapped again", |set| set["digest"] != second["digest"]);
    assert_eq!(answered(&daemon), ["stays"]);
}
