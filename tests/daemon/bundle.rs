//! The whole set, and waiting for the next one.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Client, Daemon, PATIENCE, Repo};

#[test]
fn a_bundle_has_a_tag_and_is_not_sent_twice() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_numbered("p0", 1);
    let commit = daemon.until("ready", |set| set["commit"].is_string())["commit"]
        .as_str()
        .unwrap()
        .to_owned();
    let bundle = daemon.get("/v1/bundle");
    let etag = bundle.header("etag").unwrap().to_owned();
    let history = etag.strip_prefix(&format!("\"{commit}-refguard-")).unwrap();
    let history = history.strip_suffix("-0\"").unwrap();
    assert!(
        history.len() == 16 && history.bytes().all(|b| b.is_ascii_hexdigit()),
        "{etag}"
    );
    let set = bundle.json();
    assert_eq!(
        (set["policies"].as_array().unwrap().len(), &set["commit"]),
        (5, &json!(commit))
    );
    assert_eq!(set["digest"], daemon.set()["digest"]);
    for tag in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".to_owned(),
    ] {
        let same = daemon.ask("GET", "/v1/bundle", &[("If-None-Match", &tag)], "");
        assert_eq!(
            (same.status, same.header("x-refguard-commit")),
            (304, Some(commit.as_str())),
            "{tag}"
        );
        assert_eq!(same.header("etag"), Some(etag.as_str()));
    }
    let litellm = daemon.ask(
        "GET",
        "/v1/bundle?format=litellm",
        &[("If-None-Match", &etag)],
        "",
    );
    assert_eq!(litellm.status, 200);
    assert_eq!(
        litellm.header("etag"),
        Some(format!("\"{commit}-litellm-0-0\"").as_str())
    );
    let accept = [("Accept", "application/json, application/yaml;q=0.9")];
    let json = daemon.ask("GET", "/v1/bundle?format=litellm", &accept, "");
    assert_eq!(
        json.header("etag"),
        Some(format!("\"{commit}-litellm-json-0-0\"").as_str())
    );
    assert_eq!(
        (json.header("content-type"), json.header("vary")),
        (Some("application/json"), Some("accept"))
    );
    assert_eq!(
        json.json()["policies"]["p0"],
        json!({ "guardrails": { "add": ["gen-1"] } })
    );
    assert_eq!(
        json.json()["policy_attachments"][0],
        json!({ "policy": "p0", "scope": "*" })
    );
    for format in ["other", "litellm-json", "litellmjson"] {
        assert_eq!(
            daemon.get(&format!("/v1/bundle?format={format}")).status,
            400
        );
    }
}

/// The page that followers are written by: its example has the fields of a real bundle, and no
/// others.
#[test]
fn the_page_of_the_format_shows_what_is_served() {
    let page = include_str!("../../docs/bundle.md");
    let example = page
        .split("```json\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    let repo = Repo::new();
    repo.write(
        "all.yaml",
        "apiVersion: refguard/v1
kind: Catalog
guardrails: [hipaa_audit, debug_log]
---
apiVersion: refguard/v1
kind: Policy
name: base
guardrails: {add: [debug_log]}
---
apiVersion: refguard/v1
kind: Policy
name: health
description: HIPAA guardrails
owner: health-platform
inherit: base
guardrails: {add: [hipaa_audit], remove: [debug_log]}
condition: {model: gpt-4.*}
pipeline: {mode: pre_call, steps: [{guardrail: hipaa_audit, on_pass: next}]}
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: health
teams: [health-*]
tags: [phi*]
priority: 10
",
    );
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&commit);
    let served = daemon.get("/v1/bundle").json();

    let fields = |value: &Value| -> Vec<String> {
        let mut fields: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        fields.sort();
        fields
    };
    assert_eq!(fields(&served), fields(&example));
    let health = served["policies"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "health");
    for (served, example) in [
        (&served["guardrails"][0], &example["guardrails"][0]),
        (health.unwrap(), &example["policies"][0]),
        (&served["attachments"][0], &example["attachments"][0]),
    ] {
        assert_eq!(fields(served), fields(example));
    }
    for same in ["guardrails", "condition", "pipeline", "requestable"] {
        assert_eq!(
            health.unwrap()[same],
            example["policies"][0][same],
            "{same}"
        );
    }
    assert_eq!(served["attachments"], example["attachments"]);
    assert_eq!(
        (&served["valid_until"], &served["version"]),
        (&json!(null), &json!(1))
    );
    for field in served.as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{field}`")) || page.contains(&format!("\"{field}\"")));
    }
}

/// Its items are written from what is kept of each document.
#[test]
fn a_bundle_is_whole_whatever_its_documents_say() {
    let repo = Repo::new();
    repo.write(
        "all.yaml",
        r#"apiVersion: refguard/v1
kind: Policy
name: "a\"}],"
description: "ends in a brace, \\ and more: \"}"
guardrails: {add: [pii, audit]}
requestable: true
---
apiVersion: refguard/v1
kind: Policy
name: Grüße 🦀
guardrails: {add: [pii]}
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: "a\"}],"
scope: "*"
expires: 2999-12-31
reason: "a \"pilot\"}"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: Grüße 🦀
teams: ["a\\b-*"]
"#,
    );
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&commit);
    daemon.until_numbered("Gr%C3%BC%C3%9Fe%20%F0%9F%A6%80", 1);
    let served = daemon.get("/v1/bundle").json();
    let digests = |at: usize| served["policies"][at]["digest"].as_str().map(str::len);
    assert_eq!((digests(0), digests(1)), (Some(64), Some(64)));
    assert_eq!(
        served["policies"],
        json!([
            {
                "name": "Grüße 🦀", "guardrails": {"add": ["pii"]}, "requestable": null, "version": 1,
                "digest": served["policies"][0]["digest"],
            },
            {
                "name": "a\"}],", "description": "ends in a brace, \\ and more: \"}",
                "guardrails": {"add": ["audit", "pii"]}, "requestable": true, "version": 1,
                "digest": served["policies"][1]["digest"],
            },
        ])
    );
    assert_eq!(
        served["attachments"],
        json!([
            {
                "policy": "a\"}],", "scope": "*", "expires": "3000-01-01T00:00:00Z", "reason": "a \"pilot\"}",
            },
            {"policy": "Grüße 🦀", "teams": ["a\\b-*"], "expires": null, "reason": null},
        ])
    );
    let read = refguard_core::policy::Bundle::from_json(served.to_string().as_bytes()).unwrap();
    assert_eq!(*read.set.digest, *served["digest"].as_str().unwrap());
}

/// A body names versions by history, so its tag must tell another history.
#[test]
fn the_tag_changes_with_the_version_numbers_and_not_with_the_rest_of_history() {
    let repo = Repo::serving();
    // Another document in between makes the same text version 3.
    repo.generation(2);
    repo.generation(1);
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_numbered("p0", 3);
    let tag = |daemon: &Daemon| daemon.get("/v1/bundle").header("etag").unwrap().to_owned();
    let versions =
        |daemon: &Daemon| daemon.get("/v1/bundle").json()["policies"][0]["version"].clone();
    let first = tag(&daemon);
    assert_eq!(versions(&daemon), json!(3));
    let ask = |headers: &[(&str, &str)]| daemon.ask("GET", "/v1/bundle", headers, "").status;
    assert_eq!(ask(&[("If-None-Match", &first)]), 304);

    // A poll that waits learns the new numbers, though the set is the same.
    let mut waiting = Client::new(&daemon.address);
    waiting.send(
        "GET",
        "/v1/bundle",
        &[("Prefer", "wait=60"), ("If-None-Match", &first)],
        "",
    );
    until_parked(&daemon, 1);
    repo.generation(2);
    repo.generation(1);
    let reply = waiting.reply().unwrap();
    assert_eq!(reply.status, 200);
    daemon.until_numbered("p0", 5);
    let second = tag(&daemon);
    assert_ne!(first, second);
    assert_eq!(
        (versions(&daemon), ask(&[("If-None-Match", &first)])),
        (json!(5), 200)
    );

    // Whoever cares for the set alone names its commit.
    let commit = daemon.set()["commit"].as_str().unwrap().to_owned();
    assert_eq!(ask(&[("X-Refguard-Commit", &commit)]), 304);
    assert_eq!(ask(&[("X-Refguard-Commit", "0000")]), 200);
    assert_eq!(
        ask(&[("X-Refguard-Commit", "0000"), ("If-None-Match", &second)]),
        200
    );
    assert_eq!(
        ask(&[("X-Refguard-Commit", &commit), ("If-None-Match", &first)]),
        200
    );
}

#[test]
fn a_long_poll_ends_with_the_next_set_and_only_with_a_tag_waits_at_all() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_numbered("p0", 1);
    let etag = daemon.get("/v1/bundle").header("etag").unwrap().to_owned();
    // Without a tag, or with another, nothing is waited for: the answer has status 200.
    assert_eq!(
        daemon
            .ask("GET", "/v1/bundle", &[("Prefer", "wait=60")], "")
            .status,
        200
    );
    let other = [("Prefer", "wait=60"), ("If-None-Match", "\"x\"")];
    assert_eq!(daemon.ask("GET", "/v1/bundle", &other, "").status, 200);
    let mut client = Client::new(&daemon.address);
    client.send(
        "GET",
        "/v1/bundle",
        &[("Prefer", "wait=60"), ("If-None-Match", &etag)],
        "",
    );
    until_parked(&daemon, 1);
    let second = repo.generation(2);
    repo.promote("HEAD");
    let reply = client.reply().unwrap();
    assert_eq!(
        (reply.status, reply.header("x-refguard-commit")),
        (200, Some(second.as_str()))
    );
    // Its versions get their numbers a little later: that is another body.
    daemon.until_numbered("p0", 2);
    let etag = daemon.get("/v1/bundle").header("etag").unwrap().to_owned();
    let short = daemon.ask(
        "GET",
        "/v1/bundle",
        &[("Prefer", "wait=1"), ("If-None-Match", &etag)],
        "",
    );
    assert_eq!(short.status, 304);
}

#[test]
fn parked_polls_have_a_limit_of_their_own_and_end_at_shutdown() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--max-parked", "2"]);
    daemon.until_numbered("p0", 1);
    let etag = daemon.get("/v1/bundle").header("etag").unwrap().to_owned();
    let headers = [("Prefer", "wait=60"), ("If-None-Match", etag.as_str())];
    let mut parked = [Client::new(&daemon.address), Client::new(&daemon.address)];
    parked
        .iter_mut()
        .for_each(|client| client.send("GET", "/v1/bundle", &headers, ""));
    until_parked(&daemon, 2);
    let refused = daemon.ask("GET", "/v1/bundle", &headers, "");
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("`parked`"), "{}", refused.body);
    // Requests that do not wait are still answered.
    assert_eq!(daemon.guardrails(), ["gen-1"]);
    let started = Instant::now();
    daemon.signal("TERM");
    for client in &mut parked {
        assert_eq!(client.reply().unwrap().status, 304);
    }
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(started.elapsed() < PATIENCE);
}

fn until_parked(daemon: &Daemon, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while !daemon
        .get("/metrics")
        .body
        .contains(&format!("refguard_http_parked {count}\n"))
    {
        assert!(Instant::now() < deadline, "nothing is parked");
    }
}
