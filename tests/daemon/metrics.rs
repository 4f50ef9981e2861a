//! What alerts and dashboards ask for is what the daemon says.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use crate::support::{Daemon, JSON, Repo};

/// The names of metrics in a file of `packaging/`.
fn names_in(path: &str) -> BTreeSet<String> {
    let text =
        fs::read_to_string(format!("{}/packaging/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text
        .split(|c: char| !is_part(c))
        .filter(|word| word.starts_with("refguard_"));
    words.map(str::to_owned).collect()
}

#[test]
fn every_metric_of_alerts_and_dashboard_is_one_of_the_daemons() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--notify", "http://127.0.0.1:9/"]);
    let commit = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    let report = json!({ "commit": commit, "state": "current" });
    assert_eq!(
        daemon
            .ask("PUT", "/v1/clients/a", &[JSON], &report.to_string())
            .status,
        200
    );
    let broken = repo.broken();
    repo.promote(&broken);
    daemon.until_rejected(&broken);
    daemon.guardrails();

    let metrics = daemon.get("/metrics").body;
    let said: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for file in [
        "prometheus/alerts.yaml",
        "prometheus/alerts.test.yaml",
        "grafana/refguard.json",
    ] {
        let names = names_in(file);
        assert!(names.len() > 10, "{file}: {names:?}");
        for name in names {
            assert!(
                said.contains(name.as_str()),
                "{file} asks for `{name}`: {metrics}"
            );
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        metrics.contains(&format!("refguard_build_info{{version=\"{version}\"}} 1")),
        "{metrics}"
    );
    assert!(
        metrics.contains("refguard_hold{set=\"production\"} 0"),
        "{metrics}"
    );
}

#[test]
fn a_hold_is_a_metric_until_it_is_released() {
    let repo = Repo::serving();
    repo.generation(2);
    repo.refguard(&["promote", "--reason", "the first by its gates"]);
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_metrics(&["refguard_hold{set=\"production\"} 0"]);
    repo.refguard(&["hold", "for an audit"]);
    daemon.until_metrics(&["refguard_hold{set=\"production\"} 1"]);
    repo.refguard(&["release", "it is over"]);
    daemon.until_metrics(&["refguard_hold{set=\"production\"} 0"]);
}
