//! What each crate may depend on, as cargo resolves it: the wall around the core, and the program
//! without a daemon.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Packages that lead to git, async code, HTTP, file watching or the command line.
const SHELL_ONLY: [&str; 9] = [
    "axum",
    "clap",
    "git2",
    "hyper",
    "libgit2-sys",
    "notify",
    "refguard",
    "rustls",
    "tokio",
];
/// Packages that only `serve` and what talks to daemons need.
const DAEMON_ONLY: [&str; 9] = [
    "arc-swap",
    "axum",
    "hyper",
    "notify",
    "prometheus-client",
    "rustls",
    "tokio",
    "tower-http",
    "tracing",
];

#[test]
fn the_core_depends_on_no_git_no_async_code_and_no_command_line() {
    let packages = dependency_tree(&["--package", "refguard-core"]);

    assert!(
        packages.contains("granit-parser"),
        "the tree was not read: {packages:?}"
    );
    assert_eq!(found(&packages, &SHELL_ONLY), [""; 0]);
}

#[test]
fn a_build_without_the_daemon_has_no_async_runtime_no_http_and_no_tls() {
    let lean = dependency_tree(&["--package", "refguard", "--no-default-features"]);
    let whole = dependency_tree(&["--package", "refguard"]);

    assert!(
        lean.contains("git2") && lean.contains("clap"),
        "the tree was not read: {lean:?}"
    );
    assert_eq!(found(&lean, &DAEMON_ONLY), [""; 0]);
    assert_eq!(
        found(&whole, &DAEMON_ONLY),
        DAEMON_ONLY,
        "a name of the list is not what it is"
    );
}

/// The names of all packages in a crate's tree of normal and build dependencies, on this platform.
fn dependency_tree(of: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}"])
        .args(of)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn found<'a>(packages: &BTreeSet<String>, names: &[&'a str]) -> Vec<&'a str> {
    names
        .iter()
        .copied()
        .filter(|name| packages.contains(*name))
        .collect()
}
