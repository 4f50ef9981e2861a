//! What followers say that they enforce, as everybody else sees it.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Daemon, JSON, Repo};

/// What a follower reports.
fn report(commit: &str, state: &str) -> Value {
    json!({
        "set": "production", "commit": commit, "instant": null, "state": state, "reason": null,
        "guardrails": [{ "name": "gen-1", "modes": ["pre_call", "post_call"] }],
    })
}

fn put(daemon: &Daemon, id: &str, body: &Value) -> u16 {
    daemon.ask("PUT", &format!("/v1/clients/{id}"), &[JSON], &body.to_string()).status
}

#[test]
fn followers_say_what_they_enforce_and_everybody_sees_it() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let commit = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    let commit = commit.as_str().unwrap();
    assert_eq!(daemon.get("/v1/clients").json(), json!({ "version": 1, "clients": [] }));

    let first = report(commit, "current");
    let reply = daemon.ask("PUT", "/v1/clients/gateway-1.17", &[JSON], &first.to_string());
    assert_eq!(reply.status, 200, "{}", reply.body);
    // The answer says how it stands with the set.
    assert_eq!(reply.json()["set"]["commit"], json!(commit));
    assert_eq!(reply.json()["set"]["rejected"], Value::Null);
    // One that names no set follows the first.
    let second = json!({ "state": "rejected", "reason": "it has no guardrail `gen-1`" });
    assert_eq!(put(&daemon, "gateway-2.9", &second), 200);

    let listed = daemon.get("/v1/clients").json();
    let [one, two] = listed["clients"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert!(one["seen_at"].is_string());
    assert_eq!(one["id"], json!("gateway-1.17"));
    for (field, value) in first.as_object().unwrap() {
        assert_eq!(&one[field], value, "{field}");
    }
    assert_eq!((&two["set"], &two["commit"]), (&json!("production"), &Value::Null));
    assert_eq!(two["reason"], json!("it has no guardrail `gen-1`"));
    assert_eq!(daemon.get("/v1/clients?set=production").json(), listed);
    assert_eq!(daemon.get("/v1/clients?set=staging").status, 404);

    let counts = json!({ "current": 1, "behind": 0, "away": 0, "rejected": 1, "lost": 0 });
    assert_eq!(daemon.get("/v1/status").json()["clients"], counts);
    let metrics = daemon.get("/metrics").body;
    for line in [
        "refguard_clients{set=\"production\",state=\"current\"} 1",
        "refguard_clients{set=\"production\",state=\"lost\"} 0",
        &format!("refguard_clients_commit{{set=\"production\",commit=\"{commit}\"}} 1"),
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    // What it says next takes the place of what it said.
    assert_eq!(put(&daemon, "gateway-2.9", &report(commit, "behind")), 200);
    let counts = json!({ "current": 1, "behind": 1, "away": 0, "rejected": 0, "lost": 0 });
    assert_eq!(daemon.get("/v1/status").json()["clients"], counts);
}

#[test]
fn the_answer_to_a_report_tells_what_the_daemon_holds_back() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let served = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    let broken = repo.broken();
    repo.promote(&broken);
    daemon.until_rejected(&broken);
    let body = report(served.as_str().unwrap(), "current").to_string();
    let set = daemon.ask("PUT", "/v1/clients/a", &[JSON], &body).json()["set"].clone();
    assert_eq!((&set["commit"], &set["behind"]), (&served, &json!(true)));
    assert_eq!(set["rejected"]["commit"], json!(broken));
}

#[test]
fn reports_that_cannot_be_meant_are_refused() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    let good = report("c0ffee", "current");
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed
    };
    assert_eq!(put(&daemon, "a", &good), 200);
    for (body, status) in [
        (with("set", json!("staging")), 404),
        (with("state", json!("lost")), 400),
        (with("commit", json!("a\"} 1\nforged{x=\"")), 400),
        (with("instant", json!("soon")), 400),
        (with("colour", json!("red")), 400),
        (with("guardrails", json!(["gen-1"])), 400),
        (with("reason", json!("x".repeat(64 << 10))), 413),
        (json!([]), 400),
    ] {
        assert_eq!(put(&daemon, "a", &body), status, "{body:.80}");
    }
    for id in ["a%20b", "a%0Ab", "%C3%A4", &"a".repeat(129)] {
        assert_eq!(put(&daemon, id, &good), 400, "{id}");
    }
    let form = [("Content-Type", "text/plain"), ("Origin", "https://evil.example")];
    assert_eq!(daemon.ask("PUT", "/v1/clients/a", &form, &good.to_string()).status, 415);
    assert_eq!(daemon.ask("DELETE", "/v1/clients/a", &[], "").status, 405);
    assert_eq!(daemon.get("/v1/clients").json()["clients"].as_array().unwrap().len(), 1);
}

#[test]
fn an_id_belongs_to_the_token_that_first_used_it_while_that_is_accepted() {
    const TEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, format!("{TEST}\n{OTHER}\n")).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let ask = |method: &str, path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let body =
            if method == "PUT" { report("c0ffee", "current").to_string() } else { String::new() };
        daemon.ask(method, path, &[JSON, ("Authorization", &bearer)], &body).status
    };
    let place = "/v1/clients/gateway-1";
    crate::support::until("the set is known", || ask("PUT", place, "test") == 200);
    assert_eq!(ask("PUT", place, "other"), 403);
    assert_eq!(ask("PUT", place, "forged"), 401);
    assert_eq!(ask("GET", "/v1/clients", "forged"), 401);
    assert_eq!(ask("PUT", place, "test"), 200);

    // The first token is replaced: its clients go on with the new one.
    fs::write(&tokens, format!("{OTHER}\n")).unwrap();
    daemon.signal("HUP");
    crate::support::until("the token is refused", || ask("PUT", place, "test") == 401);
    assert_eq!(ask("PUT", place, "other"), 200);
}
