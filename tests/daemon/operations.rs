//! What the people do who run a daemon: rotate logs and secrets, replace folders, fill disks, stop
//! it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::support::{Daemon, Repo, refguard, until};

const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
/// SHA-256 of `test`, and of `other`.
const TEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n";
const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa\n";
const QUESTION: &str = r#"{"context":{"model":"m"}}"#;

fn ready(daemon: &Daemon) {
    until("ready", || daemon.get("/readyz").status == 200);
}

#[test]
fn a_revoked_token_is_refused_after_a_reload_and_a_bad_file_revokes_none() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, TEST).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    ready(&daemon);
    let ask = |token: &str| {
        let header = format!("Bearer {token}");
        daemon.ask("GET", "/v1/status", &[("Authorization", &header)], "")
    };
    assert_eq!((ask("test").status, ask("other").status), (200, 401));

    fs::write(&tokens, OTHER).unwrap();
    daemon.signal("HUP");
    until("revoked", || ask("test").status == 401);
    assert_eq!(ask("other").status, 200);

    fs::write(&tokens, "no hash\n").unwrap();
    daemon.signal("HUP");
    until("told", || {
        ask("other").json()["notes"].to_string().contains("line 1")
    });
    assert_eq!((ask("test").status, ask("other").status), (401, 200));
    fs::write(&tokens, OTHER).unwrap();
    daemon.signal("HUP");
    until("in order", || {
        !ask("other").json()["notes"].to_string().contains("line 1")
    });
}

#[test]
fn a_certificate_is_replaced_without_a_restart() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(!crate::support::required("openssl"));
        return;
    }
    let repo = Repo::serving();
    let (cert, key) = (repo.beside("cert.pem"), repo.beside("key.pem"));
    fs::copy(format!("{TLS}/cert.pem"), &cert).unwrap();
    fs::copy(format!("{TLS}/key.pem"), &key).unwrap();
    let options = [
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let daemon = Daemon::start(&repo.path(), &options);
    let served = || crate::safety::served_certificate(&daemon.address);
    let first = CertificateDer::from_pem_file(&cert).unwrap().to_vec();
    assert_eq!(served(), first);

    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .args([&key, Path::new("-out"), &cert])
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let second = CertificateDer::from_pem_file(&cert).unwrap().to_vec();
    assert_ne!(first, second);
    daemon.signal("HUP");
    until("the new certificate", || served() == second);
}

#[test]
fn a_rotated_decision_log_is_left_and_a_new_one_begun() {
    let repo = Repo::serving();
    let (log, old) = (repo.beside("decisions"), repo.beside("decisions.1"));
    let daemon = Daemon::start(&repo.path(), &["--decision-log", log.to_str().unwrap()]);
    ready(&daemon);
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    daemon.post("/v1/resolve", QUESTION);
    until("logged", || lines(&log) == 1);
    fs::rename(&log, &old).unwrap();
    daemon.signal("HUP");
    until("opened anew", || {
        daemon.post("/v1/resolve", QUESTION);
        lines(&log) > 0
    });
    let before = lines(&old);
    daemon.post("/v1/resolve", QUESTION);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(lines(&old), before);
}

#[test]
fn decisions_that_a_full_disk_loses_are_counted_and_told() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--decision-log", "/dev/full"]);
    ready(&daemon);
    for _ in 0..3 {
        assert_eq!(daemon.post("/v1/resolve", QUESTION).status, 200);
    }
    daemon.until_metrics(&["refguard_decisions_dropped_total 3"]);
    let status = daemon.get("/v1/status").json();
    assert!(
        status["notes"]
            .to_string()
            .contains("cannot write `/dev/full`"),
        "{status}"
    );
}

#[test]
fn a_fifo_that_nobody_reads_holds_up_neither_the_start_nor_an_answer() {
    let repo = Repo::serving();
    let fifo = repo.beside("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let daemon = Daemon::start(&repo.path(), &["--decision-log", fifo.to_str().unwrap()]);
    ready(&daemon);
    assert_eq!(daemon.post("/v1/resolve", QUESTION).status, 200);
    daemon.until_metrics(&["refguard_decisions_dropped_total 1"]);
    let status = daemon.get("/v1/status").json();
    assert!(
        status["notes"]
            .to_string()
            .contains("nobody reads the FIFO"),
        "{status}"
    );

    // Who reads it gets what is decided from then on.
    let reader = Command::new("cat")
        .arg(&fifo)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = Ends(reader);
    let mut lines = BufReader::new(reader.0.stdout.take().unwrap()).lines();
    until("the complaint is over", || {
        daemon.post("/v1/resolve", QUESTION);
        daemon.get("/v1/status").json()["notes"] == json!([])
    });
    assert!(lines.next().unwrap().unwrap().contains("\"gen-1\""));
}

/// A process that ends with the test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_that_is_no_socket_is_not_taken_for_one() {
    let repo = Repo::serving();
    let file = repo.beside("notes.txt");
    fs::write(&file, "mine").unwrap();
    let address = format!("unix:{}", file.display());
    let out = refguard()
        .arg("-C")
        .arg(repo.path())
        .args(["serve", "--listen", &address])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(
        String::from_utf8_lossy(&out.stderr).contains("is no socket"),
        "{out:?}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_socket_that_another_daemon_has_taken_over_is_left_to_it() {
    let repo = Repo::serving();
    let socket = repo.beside("socket");
    let address = format!("unix:{}", socket.display());
    let first = Daemon::start(&repo.path(), &["--listen", &address]);
    fs::remove_file(&socket).unwrap();
    let second = Daemon::start(&repo.path(), &["--listen", &address]);
    assert_eq!(first.stop().code(), Some(0));
    assert!(socket.exists());
    assert_eq!(second.stop().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_folder_that_is_replaced_under_its_name_is_followed() {
    let (one, other) = (Repo::serving(), Repo::new());
    other.generation(9);
    let nine = other.promote("HEAD");
    let current = one.beside("current");
    symlink(one.path(), &current).unwrap();
    let swap = |to: &Path| {
        let next = one.beside("next");
        symlink(to, &next).unwrap();
        fs::rename(next, &current).unwrap();
    };
    // By its name, and from within it as a shell does.
    let by_name = Daemon::start(&current, &[]);
    let mut command = refguard();
    command.current_dir(&current).env("PWD", &current);
    let from_within = Daemon::start_with(command, Path::new("."), &[]);
    for daemon in [&by_name, &from_within] {
        daemon.until("ready", |set| set["commit"].is_string());
    }
    swap(&other.path());
    by_name.until_served(&nine);
    from_within.until_served(&nine);
}

/// A remote helper that says nothing for ever, and leaves a trace of its own process.
fn hung_helper(repo: &Repo) -> std::path::PathBuf {
    let bin = repo.beside("bin");
    fs::create_dir(&bin).unwrap();
    let helper = bin.join("git-remote-hung");
    let script = "#!/bin/sh\necho $$ > \"${0%/*}/pid\"\nexec sleep 1000\n";
    fs::File::create(&helper)
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

fn is_alive(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[test]
fn the_end_takes_a_fetch_that_hangs_with_it() {
    let repo = Repo::serving();
    let bin = hung_helper(&repo);
    repo.git(&["remote", "add", "origin", "hung::somewhere"]);
    repo.git(&["update-ref", "refs/remotes/origin/production", "HEAD"]);
    let mut command = refguard();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).env("GIT_ALLOW_PROTOCOL", "hung");
    let options = ["--fetch", "origin", "--interval", "50ms"];
    let daemon = Daemon::start_with(command, &repo.path(), &options);
    until("a fetch hangs", || bin.join("pid").exists());
    let helper = || {
        fs::read_to_string(bin.join("pid"))
            .unwrap()
            .trim()
            .to_owned()
    };
    until("the helper has a number", || !helper().is_empty());
    assert!(is_alive(&helper()));
    assert_eq!(daemon.stop().code(), Some(0));
    until("the helper is gone", || !is_alive(&helper()));
}

#[test]
fn the_first_process_of_a_container_collects_what_others_leave_and_ends_when_told() {
    let repo = Repo::serving();
    let unshare = ["-Urpf", "--mount-proc", "--kill-child"];
    let probe = Command::new("unshare").args(unshare).arg("true").status();
    if !probe.is_ok_and(|probe| probe.success()) {
        return; // No user namespaces here.
    }
    // A helper of git that leaves a process behind: its parent is the first process then.
    let bin = repo.beside("bin");
    fs::create_dir(&bin).unwrap();
    let helper = bin.join("git-remote-brief");
    let script = "#!/bin/sh\nsleep 0.05 &\necho x >> \"${0%/*}/calls\"\nexit 1\n";
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    repo.git(&["remote", "add", "origin", "brief::somewhere"]);
    repo.git(&["update-ref", "refs/remotes/origin/production", "HEAD"]);

    let zombies = repo.beside("zombies");
    let own = refguard();
    let mut command = Command::new("unshare");
    command.args(unshare);
    // Before the daemon takes its place, a shell starts who looks for zombies.
    let script = "(while sleep 0.2; do grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc \
        -l > \"$ZOMBIES\"; done) & exec \"$0\" \"$@\"";
    command.args(["sh", "-c", script]).arg(own.get_program());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command
        .env("PATH", path)
        .env("HOME", "/dev/null")
        .env("ZOMBIES", &zombies);
    command
        .env("GIT_ALLOW_PROTOCOL", "brief")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    let options = ["--fetch", "origin", "--interval", "50ms"];
    let daemon = Daemon::start_with(command, &repo.path(), &options);
    daemon.until("ready", |set| set["commit"].is_string());

    let calls = || {
        fs::read_to_string(bin.join("calls"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    until("twenty fetches", || calls() >= 20);
    let count = || {
        fs::read_to_string(&zombies)
            .unwrap_or_default()
            .trim()
            .parse::<usize>()
    };
    until("no zombies", || count().is_ok_and(|count| count < 3));

    // The first process of the container is the child of `unshare`, which ends as it does.
    let id = daemon.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let first = children.split_whitespace().next().unwrap();
    assert!(
        Command::new("kill")
            .args(["-s", "TERM", first])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(daemon.wait().code(), Some(0));
}
