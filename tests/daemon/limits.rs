//! What one request, or many connections, may cost the daemon.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Client, Daemon, JSON, Repo, StuckObject, fill_with_polls, policy, refguard, until,
};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn served() -> (Repo, Daemon) {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    (repo, daemon)
}

#[test]
fn a_value_has_at_most_1024_bytes_wherever_it_comes_from() {
    let (_repo, daemon) = served();
    for (bytes, status) in [(1_024, 200), (1_025, 400)] {
        // Bytes of UTF-8 count, not characters.
        let value = format!("{}{}", "é".repeat(512), "x".repeat(bytes - 1_024));
        for name in ["team", "key", "model", "tags"] {
            let context = match name {
                "tags" => json!({ "tags": ["a", value] }),
                name => json!({ name: value }),
            };
            let batch = json!({ "requests": [{ "context": {} }, { "context": context }] });
            let mut replies = vec![
                daemon.post("/v1/resolve", &json!({ "context": context }).to_string()),
                daemon.post("/v1/resolve", &batch.to_string()),
            ];
            let encoded = value.replace('é', "%C3%A9");
            let header = format!("X-Refguard-{name}");
            let mut headers = vec![(header.as_str(), encoded.as_str())];
            headers.extend((name != "model").then_some(("X-Refguard-Model", "m")));
            replies.push(daemon.ask("GET", "/v1/authz", &headers, ""));
            if name == "model" {
                let body = json!({ "model": value }).to_string();
                replies.push(daemon.ask("POST", "/v1/authz", &[JSON], &body));
            }
            for reply in replies {
                assert_eq!(reply.status, status, "{name}: {}", reply.body);
                let named = reply.body.contains(&format!("`{name}`"));
                assert!(status == 200 || named, "{name}: {}", reply.body);
            }
        }
    }
}

#[test]
fn a_request_names_256_policies_and_a_version_of_each_set_is_read_once() {
    let (_repo, daemon) = served();
    daemon.until_numbered("p0", 1);
    let asked = |names: Vec<&str>| {
        daemon.post(
            "/v1/resolve",
            &json!({ "context": {}, "policies": names }).to_string(),
        )
    };
    let answer = asked(vec!["p0@production"; 256]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.json()["policies"].as_array().unwrap().len(),
        6,
        "{}",
        answer.body
    );
    let refused = asked(vec!["p0@production"; 257]);
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("`request-policies`"),
        "{}",
        refused.body
    );
    let long = "x".repeat(1_025);
    assert_eq!(asked(vec![&long]).status, 400);
}

#[test]
fn an_explanation_is_for_batches_of_100() {
    let (_repo, daemon) = served();
    let batch = |count| json!({ "requests": vec![json!({ "context": {} }); count] }).to_string();
    let explained = daemon.post("/v1/resolve?explain=1", &batch(100));
    assert_eq!(explained.status, 200, "{}", explained.body);
    let refused = daemon.post("/v1/resolve?explain=1", &batch(101));
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("`explained`"), "{}", refused.body);
    assert_eq!(daemon.post("/v1/resolve", &batch(101)).status, 200);
}

/// A small request for a large answer: 17 kB that would become some 90 MB.
#[test]
fn an_answer_has_a_limit_of_bytes_and_the_daemon_does_not_grow_by_what_it_refuses() {
    let repo = Repo::new();
    let long = "x".repeat(100);
    let policies: Vec<String> = (0..300)
        .map(|n| policy(&format!("p{n}-{long}"), "g"))
        .collect();
    repo.write("policies/all.yaml", &policies.join("---\n"));
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&commit);

    let batch = json!({ "requests": vec![json!({ "context": {} }); 1_000] }).to_string();
    let before = daemon.resident();
    for _ in 0..3 {
        let refused = daemon.post("/v1/resolve", &batch);
        assert_eq!(refused.status, 422);
        assert!(refused.body.contains("`answer`"), "{}", refused.body);
    }
    let grown = daemon.resident().saturating_sub(before);
    assert!(grown < 150_000, "{grown} kB more");
    let some = daemon.post("/v1/resolve?fields=guardrails", &batch);
    assert_eq!(some.json()["results"].as_array().unwrap().len(), 1_000);
}

/// A page of another site may send text, a form or untyped bytes to a loopback address without
/// asking; JSON it may not.
#[test]
fn a_page_of_a_browser_must_declare_its_body_as_json_and_curl_need_not() {
    let (_repo, daemon) = served();
    let body = r#"{"context":{}}"#;
    let origin = ("Origin", "https://evil.example");
    for headers in [
        vec![origin, ("Content-Type", "text/plain")],
        vec![origin, ("Content-Type", "text/plain;charset=UTF-8")],
        vec![
            origin,
            ("Content-Type", "application/x-www-form-urlencoded"),
        ],
        vec![
            ("Sec-Fetch-Site", "cross-site"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ],
        vec![("Content-Type", "text/plain")],
        vec![origin],
    ] {
        let refused = daemon.ask("POST", "/v1/resolve", &headers, body);
        assert_eq!(refused.status, 415, "{headers:?}");
        assert!(
            refused.body.contains("application/json"),
            "{}",
            refused.body
        );
    }
    assert_eq!(daemon.ask("POST", "/v1/resolve", &[], body).status, 200);
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/x-www-form-urlencoded",
    ] {
        let reply = daemon.ask("POST", "/v1/resolve", &[("Content-Type", kind)], body);
        assert_eq!(reply.status, 200, "{kind}");
    }
}

#[test]
fn promotions_come_in_pages() {
    let repo = Repo::new();
    let run = |args: &[&str]| {
        let out = refguard()
            .arg("-C")
            .arg(repo.path())
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{args:?}: {out:?}");
    };
    for n in 1..=5 {
        repo.generation(n);
        run(&["promote", "--reason", &format!("promotion {n}")]);
    }
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving promotion 5", |set| set["promotion"] == json!(5));

    let numbers = |page: &Value| -> Vec<u64> {
        let entries = page["promotions"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["number"].as_u64().unwrap())
            .collect()
    };
    let mut seen = Vec::new();
    let mut path = "/v1/promotions?limit=2".to_owned();
    loop {
        let page = daemon.get(&path).json();
        seen.push(numbers(&page));
        // What each changed is told across the ends of pages too.
        for entry in page["promotions"].as_array().unwrap() {
            assert_eq!(entry["policies"].as_array().unwrap().len(), 5, "{entry}");
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/promotions?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [vec![5, 4], vec![3, 2], vec![1]]);
    let whole = daemon.get("/v1/promotions").json();
    assert_eq!(
        (numbers(&whole), &whole["next"]),
        (vec![5, 4, 3, 2, 1], &json!(null))
    );

    // A new promotion stands before the page, not in it.
    let next = daemon.get("/v1/promotions?limit=2").json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    repo.generation(6);
    run(&["promote", "--reason", "promotion 6"]);
    let page = daemon
        .get(&format!("/v1/promotions?limit=2&cursor={next}"))
        .json();
    assert_eq!(numbers(&page), [3, 2]);
    assert_eq!(numbers(&daemon.get("/v1/promotions?limit=1").json()), [6]);
    let gone = "0".repeat(40);
    assert_eq!(
        daemon.get(&format!("/v1/promotions?cursor={gone}")).status,
        409
    );
    assert_eq!(daemon.get("/v1/promotions?limit=0").status, 400);
}

/// A daemon with 256 files, and so with places for 96 connections.
fn small_daemon(repo: &Repo, options: &[&str]) -> Daemon {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_refguard"));
    let daemon = Daemon::start_with(command, &repo.path(), options);
    daemon.until("ready", |set| set["commit"].is_string());
    daemon
}

#[test]
fn a_flood_of_connections_leaves_files_and_probes_alone() {
    let repo = Repo::serving();
    let daemon = small_daemon(&repo, &[]);
    let polls = fill_with_polls(&daemon, 96);
    let flood: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(&daemon.address).unwrap())
        .collect();
    for path in ["/healthz", "/readyz"] {
        let probe = daemon.get(path);
        assert_eq!(probe.status, 200, "{probe:?}");
    }
    let refused = daemon.get("/v1/status");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.body.contains("`--max-connections`"),
        "{}",
        refused.body
    );

    // It still has files to read the next set with.
    let second = repo.generation(2);
    repo.promote("HEAD");
    drop((flood, polls));
    daemon.until_served(&second);
    let mut client = Client::new(&daemon.address);
    assert_eq!(client.ask("GET", "/v1/status", &[], "").status, 200);
}

/// Whoever sends nothing, half of a head, half of a body, or nothing after an answer, makes place
/// for who asks.
#[test]
fn slow_clients_keep_no_place_from_others() {
    let repo = Repo::serving();
    let daemon = small_daemon(&repo, &[]);
    let half_body = "POST /v1/resolve HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\n\
         content-length: 99\r\n\r\n{";
    for half in ["", "GET /v1/authz HTTP/1.1\r\nhost: loc", half_body] {
        let slow = || {
            let mut stream = TcpStream::connect(&daemon.address).unwrap();
            stream.write_all(half.as_bytes()).unwrap();
            stream
        };
        let flood: Vec<TcpStream> = (0..300).map(|_| slow()).collect();
        for _ in 0..20 {
            let reply = daemon.ask("GET", "/v1/authz", &[("X-Refguard-Model", "m")], "");
            assert_eq!(reply.status, 200, "{half:?}: {reply:?}");
            assert_eq!(
                daemon.post("/v1/resolve", r#"{"context":{}}"#).status,
                200,
                "{half:?}"
            );
        }
        drop(flood);
    }

    let idle = || {
        let mut client = Client::new(&daemon.address);
        assert_eq!(client.ask("GET", "/healthz", &[], "").status, 200);
        client
    };
    let _idle: Vec<Client> = (0..300).map(|_| idle()).collect();
    assert_eq!(daemon.get("/v1/status").status, 200);
    // Each found a place, as another one made it.
    daemon.until_metrics(&["refguard_http_connections_refused_total 0"]);
}

/// A follower that takes its time keeps its place until the last byte has left the daemon, though
/// the whole answer is made at once.
#[test]
fn a_flood_of_connections_does_not_cut_an_answer_that_is_being_sent() {
    let repo = Repo::serving();
    // More than what the buffers of two sockets take.
    for number in 0..20 {
        let text = policy(&format!("large-{number}"), "g");
        let description = format!("description: \"{}\"\nguardrails:", "x".repeat(900_000));
        let path = format!("policies/large-{number}.yaml");
        repo.write(&path, &text.replacen("guardrails:", &description, 1));
    }
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = small_daemon(&repo, &[]);
    daemon.until_served(&commit);

    let mut follower = Client::new(&daemon.address);
    follower.send("GET", "/v1/bundle", &[], "");
    let text = follower.peek();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    for _ in 0..400 {
        let mut other = Client::new(&daemon.address);
        assert_eq!(other.ask("GET", "/healthz", &[], "").status, 200);
    }
    let flood: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(&daemon.address).unwrap())
        .collect();
    assert_eq!(daemon.get("/healthz").status, 200);
    let reply = follower.reply().unwrap();
    assert!(reply.body.len() > 18_000_000, "{}", reply.body.len());
    assert_eq!(reply.json()["commit"], json!(commit));
    drop(flood);
}

#[test]
fn a_low_soft_limit_of_descriptors_is_raised() {
    let repo = Repo::serving();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -Sn 64 && ulimit -Hn 1024 && exec \"$0\" \"$@\"",
        ])
        .arg(env!("CARGO_BIN_EXE_refguard"));
    let daemon = Daemon::start_with(command, &repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    let mut clients: Vec<Client> = (0..200).map(|_| Client::new(&daemon.address)).collect();
    for _ in 0..2 {
        for client in &mut clients {
            assert_eq!(client.ask("GET", "/v1/status", &[], "").status, 200);
        }
    }
    let second = repo.generation(2);
    repo.promote("HEAD");
    daemon.until_served(&second);
}

/// Many bodies of which one byte is missing, once as they are and once in chunks of one byte: each
/// would be a megabyte or many.
#[test]
fn half_sent_bodies_take_bounded_memory() {
    let (_repo, daemon) = served();
    let head = "POST /v1/resolve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let mib = 1 << 20;
    let whole = format!("{head}content-length: {mib}\r\n\r\n{}", " ".repeat(mib - 1));
    let chunks = "1\r\n \r\n".repeat(mib / 4);
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}");
    let before = daemon.resident();
    for (text, count) in [(&whole, 300), (&chunked, 100)] {
        let send = || {
            let mut stream = TcpStream::connect(&daemon.address).unwrap();
            // The daemon may have ended it.
            let _ = stream.write_all(text.as_bytes());
            stream
        };
        let flood: Vec<TcpStream> = (0..count).map(|_| send()).collect();
        let grown = daemon.resident().saturating_sub(before);
        assert!(grown < 250_000, "{grown} kB more");
        assert_eq!(daemon.post("/v1/resolve", r#"{"context":{}}"#).status, 200);
        drop(flood);
    }
}

/// What is thrown away, and what strangers send, takes no memory from the bodies of those who may
/// ask.
#[test]
fn bodies_of_strangers_and_bodies_that_are_refused_take_nothing_from_others() {
    const TEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    std::fs::write(&tokens, TEST).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let bearer = ("Authorization", "Bearer test");
    let own = format!(r#"{{"context":{{}}{}}}"#, " ".repeat(900_000));
    let ask = || {
        daemon
            .ask("POST", "/v1/resolve", &[JSON, bearer], &own)
            .status
    };
    until("served", || ask() == 200);

    let head =
        |path: &str, more: &str| format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{more}");
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let json = "content-type: application/json\r\nauthorization: Bearer test\r\n";
    let refused = " ".repeat(500_000);
    let half = "x".repeat(16_000);
    for (head, body, count) in [
        // Forms that are too large, of strangers.
        (head("/ui/sign-in", form), &refused, 200),
        // Forms that are not, and that do not end.
        (head("/ui/sign-in", form), &half, 300),
        // Bodies that are too large, of those who may ask.
        (head("/v1/resolve", json), &refused, 200),
    ] {
        let declared = if body == &half { 16_001 } else { 9_000_000 };
        let text = format!("{head}content-length: {declared}\r\n\r\n{body}");
        let send = || {
            let mut stream = TcpStream::connect(&daemon.address).unwrap();
            // The daemon may have ended it.
            let _ = stream.write_all(text.as_bytes());
            stream
        };
        let flood: Vec<TcpStream> = (0..count).map(|_| send()).collect();
        for _ in 0..3 {
            assert_eq!(ask(), 200);
            let signed_in = daemon.ask("POST", "/ui/sign-in", &[FORM], "token=test");
            assert_eq!(signed_in.status, 303, "{signed_in:?}");
        }
        drop(flood);
    }
}

/// The dearest request of all: a batch with explanations, values as long as they may be, and a
/// version that is read from git, which does not answer.
#[test]
fn dear_requests_that_are_held_hold_no_others() {
    let (repo, daemon) = served();
    let second = repo.generation(2);
    repo.promote("HEAD");
    daemon.until_served(&second);
    daemon.until_numbered("p0", 2);
    let _stuck = StuckObject::new(&repo, "main~1:policies/p0.yaml");
    let value = "x".repeat(1_024);
    let context = json!({ "team": value, "key": value, "model": value, "tags": [value] });
    let request = json!({ "context": context, "policies": ["p0@1"] });
    let batch = json!({ "requests": vec![request; 100] }).to_string();
    let held: Vec<Client> = (0..16)
        .map(|_| {
            let mut client = Client::new(&daemon.address);
            client.send("POST", "/v1/resolve?explain=1", &[JSON], &batch);
            client
        })
        .collect();

    for _ in 0..20 {
        assert_eq!(daemon.get("/healthz").status, 200);
        assert_eq!(daemon.get("/readyz").status, 200);
        assert_eq!(daemon.guardrails(), ["gen-2"]);
        let asked = daemon.ask("GET", "/v1/authz", &[("X-Refguard-Model", "m")], "");
        assert_eq!(asked.status, 200);
    }
    for mut client in held {
        assert!(client.is_open(), "it is held, or it would show nothing");
    }
}

#[test]
fn conditions_are_compiled_before_requests_ask_them() {
    let repo = Repo::new();
    for file in 0..4 {
        let policies: Vec<String> = (0..1_000)
            .map(|number| {
                let name = format!("p{file}-{number}");
                let condition =
                    format!("condition: {{model: \"gpt-{name}(-[a-z0-9]+)?\"}}\nguardrails:");
                policy(&name, "g").replacen("guardrails:", &condition, 1)
            })
            .collect();
        let (one, other) = policies.split_at(500);
        repo.write(&format!("policies/{file}a.yaml"), &one.join("---\n"));
        repo.write(&format!("policies/{file}b.yaml"), &other.join("---\n"));
    }
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&commit);
    let before = daemon.resident();
    let reply = daemon.post(
        "/v1/resolve?fields=guardrails",
        r#"{"context":{"model":"x"}}"#,
    );
    assert_eq!(reply.status, 200);
    let grown = daemon.resident().saturating_sub(before);
    assert!(grown < 20_000, "{grown} kB more");
}
