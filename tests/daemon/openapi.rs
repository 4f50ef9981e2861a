//! The description of the API, held against the daemon by a program that makes requests from it.

use std::process::Command;

use crate::support::{Daemon, Repo, required};

/// Every check of schemathesis, on requests that the description allows and on such that it
/// forbids.
fn hold(daemon: &Daemon, options: &[&str]) {
    let Some(python) = python_with("schemathesis") else {
        return;
    };
    let url = format!("http://{}/openapi.json", daemon.address);
    // Sound requests may be refused with 422: `strict` asks for that where a policy is unknown.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(
        &config,
        "[checks]\npositive_data_acceptance.expected-statuses = \
         [\"2xx\", \"3xx\", \"401\", \"403\", \"404\", \"409\", \"422\", \"429\", \"5xx\"]\n",
    )
    .unwrap();
    let mut command = Command::new(python);
    command
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&config)
        .args([
            "run",
            &url,
            "--checks",
            "all",
            "--max-examples",
            "20",
            "--seed",
            "1",
        ]);
    command.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--generation-database",
        "none",
        "--no-color",
    ]);
    let out = command
        .args(options)
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stdout)
    );
}

/// The Python that tests may use, where it has a module.
fn python_with(module: &str) -> Option<std::ffi::OsString> {
    let python = std::env::var_os("REFGUARD_TEST_PYTHON");
    let has = |python: &std::ffi::OsString| {
        Command::new(python)
            .args(["-c", &format!("import {module}")])
            .output()
            .is_ok_and(|out| out.status.success())
    };
    let found = python.filter(has);
    assert!(
        found.is_some() || !required(module),
        "`{module}` is required, and REFGUARD_TEST_PYTHON has none"
    );
    if found.is_none() {
        eprintln!("skipped: REFGUARD_TEST_PYTHON names no Python with `{module}`");
    }
    found
}

fn served() -> (Repo, Daemon) {
    let repo = Repo::serving();
    let commit = repo.generation(2);
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&commit);
    daemon.until_numbered("p0", 2);
    (repo, daemon)
}

#[test]
fn the_daemon_does_what_its_description_says() {
    let (_repo, daemon) = served();
    hold(&daemon, &["--exclude-path-regex", "^/v1/authz"]);
}

/// It answers any method on purpose, also those that have no name in OpenAPI.
#[test]
fn forward_auth_does_what_its_description_says() {
    let (_repo, daemon) = served();
    hold(
        &daemon,
        &[
            "--include-path-regex",
            "^/v1/authz",
            "--exclude-checks",
            "unsupported_method",
        ],
    );
}
