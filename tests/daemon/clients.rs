//! What followers say that they enforce, as everybody else sees it.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Client, Daemon, JSON, PATIENCE, Repo, refguard, until};

/// What a follower reports.
fn report(commit: &str, state: &str) -> Value {
    json!({
        "set": "production", "commit": commit, "instant": null, "state": state, "reason": null,
        "guardrails": [{ "name": "gen-1", "modes": ["pre_call", "post_call"] }],
    })
}

fn put(daemon: &Daemon, id: &str, body: &Value) -> u16 {
    daemon
        .ask(
            "PUT",
            &format!("/v1/clients/{id}"),
            &[JSON],
            &body.to_string(),
        )
        .status
}

#[test]
fn followers_say_what_they_enforce_and_everybody_sees_it() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let commit = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    let commit = commit.as_str().unwrap();
    assert_eq!(
        daemon.get("/v1/clients").json(),
        json!({ "version": 1, "clients": [] })
    );

    let first = report(commit, "current");
    let reply = daemon.ask(
        "PUT",
        "/v1/clients/gateway-1.17",
        &[JSON],
        &first.to_string(),
    );
    assert_eq!(reply.status, 200, "{}", reply.body);
    // The answer says how it stands with the set.
    assert_eq!(reply.json()["set"]["commit"], json!(commit));
    assert_eq!(reply.json()["set"]["rejected"], Value::Null);
    // One that names no set follows the first.
    let second = json!({ "state": "rejected", "reason": "it has no guardrail `gen-1`" });
    assert_eq!(put(&daemon, "gateway-2.9", &second), 200);

    let listed = daemon.get("/v1/clients").json();
    let [one, two] = listed["clients"].as_array().unwrap().as_slice() else {
        panic!("{listed}")
    };
    assert!(one["seen_at"].is_string());
    assert_eq!(one["id"], json!("gateway-1.17"));
    for (field, value) in first.as_object().unwrap() {
        assert_eq!(&one[field], value, "{field}");
    }
    assert_eq!(
        (&two["set"], &two["commit"]),
        (&json!("production"), &Value::Null)
    );
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
        // A list is no object, though its values would do in their order.
        (with("guardrails", json!([["gen-1", ["pre_call"]]])), 400),
        (json!([null, null, null, "current"]), 400),
        (with("reason", json!("x".repeat(64 << 10))), 413),
        (json!([]), 400),
    ] {
        assert_eq!(put(&daemon, "a", &body), status, "{body:.80}");
    }
    for id in ["a%20b", "a%0Ab", "%C3%A4", &"a".repeat(129)] {
        assert_eq!(put(&daemon, id, &good), 400, "{id}");
    }
    let form = [
        ("Content-Type", "text/plain"),
        ("Origin", "https://evil.example"),
    ];
    assert_eq!(
        daemon
            .ask("PUT", "/v1/clients/a", &form, &good.to_string())
            .status,
        415
    );
    assert_eq!(daemon.ask("POST", "/v1/clients/a", &[], "").status, 405);
    assert_eq!(
        daemon.ask("DELETE", "/v1/clients/a%20b", &[], "").status,
        400
    );
    assert_eq!(
        daemon.get("/v1/clients").json()["clients"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
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
        let body = if method == "PUT" {
            report("c0ffee", "current").to_string()
        } else {
            String::new()
        };
        daemon
            .ask(method, path, &[JSON, ("Authorization", &bearer)], &body)
            .status
    };
    let place = "/v1/clients/gateway-1";
    until("the set is known", || ask("PUT", place, "test") == 200);
    assert_eq!(ask("PUT", place, "other"), 403);
    assert_eq!(ask("PUT", place, "forged"), 401);
    assert_eq!(ask("GET", "/v1/clients", "forged"), 401);
    assert_eq!(ask("PUT", place, "test"), 200);

    // The first token is replaced: its clients go on with the new one.
    fs::write(&tokens, format!("{OTHER}\n")).unwrap();
    daemon.signal("HUP");
    until("the token is refused", || ask("PUT", place, "test") == 401);
    assert_eq!(ask("PUT", place, "other"), 200);
}

/// Runs a verb in the repository, and says how it ended and what it wrote.
fn run(repo: &Repo, line: &[&str], urls: &[String]) -> (i32, String, String) {
    let dir = repo.path();
    let mut command = refguard();
    let out = command
        .arg("-C")
        .arg(&dir)
        .args(line)
        .args(urls)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        out.status.code().unwrap(),
        text(out.stdout),
        text(out.stderr),
    )
}

#[test]
fn wait_enforced_ends_well_when_enough_followers_enforce_the_commit_and_none_another() {
    let repo = Repo::serving();
    let daemons = [
        Daemon::start(&repo.path(), &[]),
        Daemon::start(&repo.path(), &[]),
    ];
    let urls = daemons
        .each_ref()
        .map(|daemon| format!("http://{}", daemon.address));
    let first = daemons[0].until("ready", |set| set["commit"].is_string())["commit"].clone();
    let first = first.as_str().unwrap().to_owned();
    daemons[1].until("ready", |set| set["commit"].is_string());
    assert_eq!(put(&daemons[0], "a", &report(&first, "current")), 200);
    assert_eq!(put(&daemons[1], "b", &report(&first, "current")), 200);
    let wait = |commit: &str, timeout: &str, expect: &str| {
        let line = [
            "wait",
            "--enforced",
            "--expect",
            expect,
            "--timeout",
            timeout,
            "--commit",
            commit,
        ];
        run(&repo, &line, &urls)
    };
    let patience = format!("{}s", PATIENCE.as_secs());
    assert_eq!(wait(&first, &patience, "2").0, 0);
    let (code, _, said) = wait(&first, "1ms", "3");
    assert_eq!(code, 1);
    assert!(
        said.contains(&format!("2 of 3 clients enforce {first}")),
        "{said}"
    );

    // The next commit is served; one follower enforces the one before.
    let second = repo.promote(&repo.generation(2));
    daemons
        .iter()
        .for_each(|daemon| drop(daemon.until_served(&second)));
    assert_eq!(put(&daemons[0], "a", &report(&second, "current")), 200);
    let (code, _, said) = wait(&second, "1ms", "1");
    assert_eq!(code, 1);
    assert!(
        said.contains(&format!("client `b` enforces {first} (current")),
        "{said}"
    );
    // It told another daemon since.
    assert_eq!(put(&daemons[0], "b", &report(&second, "current")), 200);
    assert_eq!(wait(&second, &patience, "2").0, 0);
    // Nor does one prove anything that answers as of another instant, or refuses what the daemon
    // serves.
    let mut third = report(&second, "current");
    third["instant"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(put(&daemons[0], "e", &third), 200);
    let (code, _, said) = wait(&second, "1ms", "2");
    assert_eq!(code, 1);
    assert!(
        said.contains(&format!("`e` enforces {second} as of 2020-01-01T00:00:00Z")),
        "{said}"
    );
    assert_eq!(put(&daemons[0], "e", &report(&second, "rejected")), 200);
    assert_eq!(wait(&second, "1ms", "2").0, 1);
    assert_eq!(put(&daemons[0], "e", &report(&second, "behind")), 200);
    assert_eq!(wait(&second, &patience, "3").0, 0);
    assert_eq!(
        daemons[0].ask("DELETE", "/v1/clients/e", &[], "").status,
        200
    );
    // One that has no set enforces nothing, and one that says farewell is gone.
    assert_eq!(put(&daemons[0], "c", &report(&first, "rejected")), 200);
    assert_eq!(wait(&second, "1ms", "2").0, 1);
    assert_eq!(
        daemons[0].ask("DELETE", "/v1/clients/c", &[], "").status,
        200
    );
    assert_eq!(
        daemons[0].ask("DELETE", "/v1/clients/c", &[], "").status,
        404
    );
    assert_eq!(put(&daemons[0], "d", &json!({ "state": "away" })), 200);
    assert_eq!(wait(&second, &patience, "2").0, 0);

    // What a daemon rejected will never be enforced: that is said at once, with the place.
    let broken = repo.broken();
    repo.promote(&broken);
    daemons
        .iter()
        .for_each(|daemon| drop(daemon.until_rejected(&broken)));
    let (code, _, said) = wait(&broken, "1h", "1");
    assert_eq!(code, 1);
    assert!(
        said.contains("rejected") && said.contains(".yaml:"),
        "{said}"
    );
}

#[test]
fn fleet_shows_every_follower_and_says_who_cannot_run_what_a_revision_adds() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let commit = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    let commit = commit.as_str().unwrap();
    let urls = [format!("http://{}", daemon.address)];
    let fleet = |line: &[&str], urls: &[String]| run(&repo, &[&["fleet"], line].concat(), urls);
    // A daemon that was just started knows nobody: that is no yes.
    let (code, _, said) = fleet(&["--can-run", "production"], &urls);
    assert_eq!(code, 1);
    assert!(said.contains("0 of 1 clients report"), "{said}");

    assert_eq!(put(&daemon, "gateway-1", &report(commit, "current")), 200);
    let mut second = report(commit, "rejected");
    second["reason"] = json!("it has no guardrail `gen-2`");
    second["guardrails"] = json!([]);
    let listed = fleet(&[], &urls).1;
    assert!(
        listed.contains("gateway-1") && listed.contains("current"),
        "{listed}"
    );
    assert_eq!(fleet(&["--can-run", "production"], &urls).0, 0);
    let second_generation = repo.generation(2);
    let (code, _, said) = fleet(&["--can-run", &second_generation], &urls);
    assert_eq!(code, 1);
    assert!(
        said.contains("client `gateway-1` (current) cannot run `gen-2`"),
        "{said}"
    );

    assert_eq!(put(&daemon, "gateway-2", &second), 200);
    let (code, json, _) = fleet(&["--can-run", "production", "--format", "json"], &urls);
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["states"], json!({ "current": 1, "rejected": 1 }));
    assert_eq!(json["can_run"]["needs"], json!(["gen-1"]));
    assert_eq!(json["can_run"]["lacking"][0]["client"], json!("gateway-2"));
    let schema = refguard()
        .args(["schema", "output", "fleet"])
        .output()
        .unwrap()
        .stdout;
    let schema = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
    assert!(schema.is_valid(&json), "{json}");
    let notes = daemon.get("/v1/status").json()["notes"].to_string();
    assert!(
        notes.contains("1 client of `production` cannot enforce what is served"),
        "{notes}"
    );

    let (code, _, said) = fleet(&["--forget", "gateway-2", "--forget", "nobody"], &urls);
    assert_eq!(code, 0);
    assert!(said.contains("no client `nobody` is known"), "{said}");
    assert_eq!(
        daemon.get("/v1/clients").json()["clients"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // A daemon that cannot be asked is said, and the others are shown.
    let (code, listed, said) = fleet(&[], &[urls[0].clone(), "http://127.0.0.1:1".to_owned()]);
    assert_eq!(code, 2);
    assert!(
        listed.contains("gateway-1") && said.contains("127.0.0.1:1"),
        "{listed} {said}"
    );
}

const TOKENS: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 # test
d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa # other
";

/// Reports with a token.
fn put_as(client: &mut Client, token: &str, id: &str, body: &Value) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let headers = [JSON, ("Authorization", bearer.as_str())];
    let reply = client.ask(
        "PUT",
        &format!("/v1/clients/{id}"),
        &headers,
        &body.to_string(),
    );
    (reply.status, reply.body)
}

#[test]
fn an_id_is_one_client_with_one_token_and_another_one_with_another_token() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, TOKENS).unwrap();
    let start = || Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let daemons = [start(), start()];
    let commit = repo.git(&["rev-parse", "production"]);
    let put = |daemon: &Daemon, token: &str, commit: &str| {
        let mut client = Client::new(&daemon.address);
        let body = report(commit, "current");
        until("taken", || {
            put_as(&mut client, token, "gateway-1", &body).0 == 200
        });
    };
    let urls = daemons
        .each_ref()
        .map(|daemon| format!("http://{}", daemon.address));
    let run = |line: &[&str]| {
        let mut command = refguard();
        let dir = repo.path();
        command
            .env("TOKEN", "test")
            .arg("-C")
            .arg(&dir)
            .args(line)
            .args(["--token-env", "TOKEN"]);
        let out = command.args(&urls).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        (
            out.status.code().unwrap(),
            String::from_utf8(out.stdout).unwrap(),
            said,
        )
    };
    let wait = |expect: &str, timeout: &str| {
        run(&[
            "wait",
            "--enforced",
            "--expect",
            expect,
            "--timeout",
            timeout,
            "--commit",
            &commit,
        ])
    };

    // One proxy behind a load balancer, told by two daemons: what it said last counts.
    put(&daemons[0], "test", "c0ffee");
    put(&daemons[1], "test", &commit);
    let patience = format!("{}s", PATIENCE.as_secs());
    assert_eq!(wait("1", &patience).0, 0);
    assert_eq!(wait("2", "1ms").0, 1);

    // Somebody else takes its id, at another daemon: that hides nothing of what the first one
    // enforces.
    put(&daemons[0], "test", "c0ffee");
    assert_eq!(
        daemons[1]
            .ask(
                "DELETE",
                "/v1/clients/gateway-1",
                &[("Authorization", "Bearer test")],
                ""
            )
            .status,
        200
    );
    put(&daemons[1], "other", &commit);
    let (code, _, said) = wait("1", "1ms");
    assert_eq!(code, 1);
    assert!(
        said.contains("client `gateway-1` (token ") && said.contains("c0ffee"),
        "{said}"
    );

    let (code, listed, _) = run(&["fleet", "--format", "json"]);
    assert_eq!(code, 0);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let owners: Vec<&Value> = [0, 1]
        .map(|at| &listed["daemons"][at]["clients"][0]["owner"])
        .to_vec();
    assert!(
        owners
            .iter()
            .all(|owner| owner.as_str().is_some_and(|it| it.len() == 12))
    );
    assert_ne!(owners[0], owners[1]);
    assert!(!TOKENS.contains(owners[0].as_str().unwrap()));
    assert_eq!(listed["states"], json!({ "current": 2 }), "{listed}");
    let table = run(&["fleet"]).1;
    assert!(
        table.contains(&format!("gateway-1 ({})", owners[0].as_str().unwrap())),
        "{table}"
    );
}

#[test]
fn one_token_has_half_of_the_places_for_clients() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, TOKENS).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let mut client = Client::new(&daemon.address);
    let body = json!({ "state": "away" });
    until("taken", || put_as(&mut client, "test", "0", &body).0 == 200);
    for number in 1..5_000 {
        assert_eq!(
            put_as(&mut client, "test", &number.to_string(), &body).0,
            200
        );
    }
    let (status, said) = put_as(&mut client, "test", "more", &body);
    assert_eq!(status, 429);
    assert!(
        said.contains("with this token: the limit is 5,000 clients"),
        "{said}"
    );
    assert_eq!(
        put_as(&mut client, "test", "7", &body).0,
        200,
        "one that is known reports on"
    );
    assert_eq!(put_as(&mut client, "other", "more", &body).0, 200);
}

#[test]
fn a_fleet_with_one_token_has_all_places() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    let only = TOKENS.lines().next().unwrap();
    // The same twice is one.
    fs::write(&tokens, format!("{only}\n{only}\n")).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let mut client = Client::new(&daemon.address);
    let body = json!({ "state": "away" });
    until("taken", || put_as(&mut client, "test", "0", &body).0 == 200);
    for number in 1..10_000 {
        assert_eq!(
            put_as(&mut client, "test", &number.to_string(), &body).0,
            200
        );
    }
    let (status, said) = put_as(&mut client, "test", "more", &body);
    assert_eq!(status, 429);
    assert!(said.contains("the limit is 10,000 clients"), "{said}");
}
