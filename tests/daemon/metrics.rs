//! What alerts and dashboards ask for is what the daemon says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::support::{Daemon, JSON, Repo};

fn packaged(path: &str) -> String {
    fs::read_to_string(format!("{}/packaging/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The names of metrics in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text
        .split(|c: char| !is_part(c))
        .filter(|word| word.starts_with("refguard_"));
    words.map(str::to_owned).collect()
}

/// A daemon that has something of everything that alerts and dashboard ask for.
fn eventful() -> (Repo, Daemon) {
    let repo = Repo::serving();
    let ending = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p0\nteams: [a]\n\
        expires: 2990-12-31\n";
    repo.write("attachments/ending.yaml", ending);
    repo.promote(&repo.commit());
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
    // It is counted when its answer is written.
    daemon.until_metrics(&["refguard_http_requests_total{"]);
    (repo, daemon)
}

#[test]
fn every_metric_of_alerts_and_dashboard_is_one_of_the_daemons() {
    let (_repo, daemon) = eventful();
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
        let names = names_in(&packaged(file));
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

/// A query of an alert or a panel, with the texts that are told with its answer.
struct Query {
    name: String,
    expression: String,
    told: String,
}

fn queries() -> Vec<Query> {
    let alerts: Value = serde_yaml::from_str(&packaged("prometheus/alerts.yaml")).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap().iter();
    let of_alerts = rules.map(|rule| Query {
        name: rule["alert"].as_str().unwrap().to_owned(),
        expression: rule["expr"].as_str().unwrap().to_owned(),
        told: rule["annotations"].to_string().replace("$labels.", ""),
    });
    let dashboard: Value = serde_json::from_str(&packaged("grafana/refguard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panels = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap().iter();
        targets.map(|target| Query {
            name: panel["title"].as_str().unwrap().to_owned(),
            expression: target["expr"].as_str().unwrap().to_owned(),
            told: target["legendFormat"].as_str().unwrap_or("").to_owned(),
        })
    });
    of_alerts.chain(of_panels).collect()
}

/// The names and values of a selector's or a sample's labels: `a="x",b=~"y|z"`.
fn labels_in(braces: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = braces.split('"');
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let name = name.trim_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        found.push((name.to_owned(), value.to_owned()));
    }
    found
}

/// What the daemon says: of each metric its labels, of each label its values.
fn said_by(metrics: &str) -> BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> {
    let mut said = BTreeMap::<_, BTreeMap<String, BTreeSet<String>>>::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = said.entry(name).or_default();
        let braces = line
            .split_once('{')
            .and_then(|(_, rest)| rest.rsplit_once('}'));
        for (label, value) in labels_in(braces.map_or("", |(braces, _)| braces)) {
            labels.entry(label).or_default().insert(value);
        }
    }
    said
}

/// The texts between a start and an end.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Vec<&'t str> {
    let parts = text.split(start).skip(1);
    parts
        .filter_map(|part| part.split_once(end).map(|(inside, _)| inside))
        .collect()
}

#[test]
fn every_label_of_alerts_and_dashboard_is_one_of_its_metric() {
    /// What whoever scrapes adds to each sample.
    const OF_TARGETS: [&str; 2] = ["instance", "job"];
    let (_repo, daemon) = eventful();
    let metrics = daemon.get("/metrics").body;
    let said = said_by(&metrics);
    let mut seen = BTreeSet::new();
    for Query {
        name,
        expression,
        told,
    } in queries()
    {
        let used = names_in(&expression);
        let has_label = |label: &str| {
            let of_metric = |metric: &String| said[metric.as_str()].contains_key(label);
            OF_TARGETS.contains(&label) || used.iter().all(of_metric)
        };

        for metric in &used {
            for braces in between(&expression, &format!("{metric}{{"), "}") {
                for (label, value) in labels_in(braces) {
                    let known = said[metric.as_str()].get(&label);
                    let known = known.unwrap_or_else(|| panic!("{name}: {metric} has no {label}"));
                    // A variable of the dashboard, or a pattern, may match anything.
                    let is_plain = value.bytes().all(|b| b.is_ascii_lowercase() || b == b'|');
                    for one in value.split('|').filter(|_| is_plain) {
                        assert!(known.contains(one), "{name}: no {metric} has {label}={one}");
                    }
                    seen.insert(label);
                }
            }
        }

        let groups = between(&expression, "by (", ")");
        for label in groups.iter().flat_map(|group| group.split(", ")) {
            assert!(has_label(label), "{name}: no {label} to group by");
            seen.insert(label.to_owned());
        }
        for label in between(&told, "{{", "}}").into_iter().map(str::trim) {
            let is_kept = groups.first().map_or_else(
                || has_label(label),
                |outermost| outermost.split(", ").any(|kept| kept == label),
            );
            assert!(
                is_kept || label == "$value",
                "{name}: tells {label}, which its answer does not have"
            );
        }
    }
    let expected = [
        "commit", "instance", "le", "result", "route", "set", "state", "status",
    ];
    assert_eq!(seen, expected.map(str::to_owned).into());
    // What ends next is asked for by an alert and by a panel.
    let next = "refguard_next_expiry_timestamp_seconds";
    let asking = queries()
        .iter()
        .filter(|query| query.expression.contains(next))
        .count();
    assert_eq!(asking, 2);
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
