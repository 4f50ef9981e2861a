//! What happens is told to receivers, also to one that fails, hangs and comes back; and none is in
//! the way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Daemon, JSON, PATIENCE, Repo, refguard, until};

const TAKES: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;

/// Something that is posted to.
struct Desk {
    url: String,
    mode: Arc<AtomicU8>,
    /// How many connections came.
    tries: Arc<AtomicUsize>,
    /// What it took: head and body.
    taken: Mutex<Receiver<(String, String)>>,
}

impl Desk {
    fn open(mode: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?key=secret", listener.local_addr().unwrap());
        let (mode, tries) = (Arc::new(AtomicU8::new(mode)), Arc::new(AtomicUsize::new(0)));
        let (told, taken) = channel();
        let (own_mode, own_tries) = (mode.clone(), tries.clone());
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                own_tries.fetch_add(1, Ordering::SeqCst);
                match own_mode.load(Ordering::SeqCst) {
                    HANGS => hanging.push(stream),
                    FAILS => {
                        let _ = read_request(&stream);
                        let _ = stream.write_all(b"HTTP/1.0 503 Service Unavailable\r\n\r\n");
                    }
                    _ => {
                        let Some(request) = read_request(&stream) else {
                            continue;
                        };
                        let _ = stream.write_all(b"HTTP/1.0 204 No Content\r\n\r\n");
                        let _ = told.send(request);
                    }
                }
            }
        });
        Self {
            url,
            mode,
            tries,
            taken: Mutex::new(taken),
        }
    }

    fn next(&self) -> (String, String) {
        self.taken.lock().unwrap().recv_timeout(PATIENCE).unwrap()
    }

    /// The next event: its type without what stands before it, and its data.
    fn event(&self) -> (String, Value) {
        self.signed_event(None)
    }

    /// The same, signed with a secret.
    fn signed_event(&self, secret: Option<&str>) -> (String, Value) {
        let (head, body) = self.next();
        match secret {
            Some(secret) => assert_signed(&head, &body, secret),
            None => assert!(!head.contains("X-Refguard-Signature"), "{head}"),
        }
        assert!(
            head.starts_with("POST /hook?key=secret HTTP/1.0\r\n"),
            "{head}"
        );
        assert!(
            head.contains("Content-Type: application/cloudevents+json"),
            "{head}"
        );
        let event: Value = serde_json::from_str(&body).unwrap();
        let kind = event["type"]
            .as_str()
            .unwrap()
            .strip_prefix("refguard.")
            .unwrap()
            .to_owned();
        assert_eq!(event["specversion"], "1.0");
        assert!(
            event["id"].is_string() && event["time"].is_string() && event["source"].is_string()
        );
        (kind, event["data"].clone())
    }
}

fn read_request(stream: impl Read) -> Option<(String, String)> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

/// HMAC-SHA256 as RFC 2104 has it, in hex, for keys of a block at most.
fn sign(key: &[u8], body: &[u8]) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(body);
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner.finalize());
    let digest = outer.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request has the signature of its own body, once.
fn assert_signed(head: &str, body: &str, secret: &str) {
    let due = format!("sha256={}", sign(secret.as_bytes(), body.as_bytes()));
    let found: Vec<&str> = head
        .lines()
        .filter_map(|line| line.strip_prefix("X-Refguard-Signature: "))
        .collect();
    assert_eq!(found, [due], "{head}{body}");
}

#[test]
fn the_receivers_way_to_sign_is_that_of_rfc_4231() {
    let due = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(sign(b"Jefe", b"what do ya want for nothing?"), due);
}

#[test]
fn every_kind_of_event_is_told_in_its_order() {
    let repo = Repo::serving();
    let desk = Desk::open(TAKES);
    let daemon = Daemon::start(&repo.path(), &["--notify", &desk.url]);
    let (kind, data) = desk.event();
    let first = daemon.until("ready", |set| set["commit"].is_string())["commit"].clone();
    assert_eq!(
        (kind.as_str(), &data["commit"], &data["previous"]),
        ("served", &first, &Value::Null)
    );

    let second = repo.promote(&repo.generation(2));
    let (kind, data) = desk.event();
    assert_eq!(
        (kind.as_str(), &data["commit"], &data["previous"]),
        ("served", &json!(second), &first)
    );

    let broken = repo.broken();
    repo.promote(&broken);
    let (kind, data) = desk.event();
    assert_eq!(
        (kind.as_str(), &data["commit"]),
        ("rejected", &json!(broken))
    );
    assert_eq!(
        (&data["serves"], &data["findings"][0]["line"].is_u64()),
        (&json!(second), &true)
    );

    let third = repo.promote(&repo.generation(3));
    let mut kinds = [desk.event().0, desk.event().0];
    kinds.sort();
    assert_eq!(kinds, ["recovered", "served"]);

    let report =
        json!({ "commit": third, "state": "rejected", "reason": "it has no guardrail `gen-3`" });
    let put = daemon.ask("PUT", "/v1/clients/gw-1", &[JSON], &report.to_string());
    assert_eq!(put.status, 200);
    let (kind, data) = desk.event();
    assert_eq!(
        (kind.as_str(), &data["client"]),
        ("client-rejected", &json!("gw-1"))
    );
    assert_eq!(data["reason"], json!("it has no guardrail `gen-3`"));

    repo.generation(4);
    repo.refguard(&["promote", "--reason", "by its gates"]);
    assert_eq!(desk.event().0, "served");
    repo.refguard(&["hold", "for an audit"]);
    // The hold is a commit of its own, so it is served too.
    let events = [desk.event(), desk.event()];
    let hold = events.iter().find(|(kind, _)| kind == "hold").unwrap();
    assert_eq!(
        (&hold.1["held"], &hold.1["reason"]),
        (&json!(true), &json!("for an audit"))
    );
    daemon.until_metrics(&["refguard_notifications_total{result=\"failed\"} 0"]);
}

#[test]
fn a_receiver_that_fails_hangs_and_comes_back_gets_all_and_is_in_nobodys_way() {
    let repo = Repo::serving();
    let (slow, quick) = (Desk::open(FAILS), Desk::open(TAKES));
    let (secret, receiver) = (repo.beside("secret"), repo.beside("receiver"));
    std::fs::write(&secret, "Jefe\n").unwrap();
    std::fs::write(&receiver, format!("{}\n", quick.url)).unwrap();
    let receiver = format!("file:{}", receiver.display());
    let options = [
        "--notify",
        &slow.url,
        "--notify-slack",
        &receiver,
        "--notify-secret-file",
    ];
    let daemon = Daemon::start(
        &repo.path(),
        &[&options[..], &[secret.to_str().unwrap()]].concat(),
    );
    let (head, body) = quick.next();
    let text: Value = serde_json::from_str(&body).unwrap();
    assert!(
        text["text"]
            .as_str()
            .unwrap()
            .starts_with("refguard, served: `production`"),
        "{text}"
    );
    assert_signed(&head, &body, "Jefe");

    // While one fails and then hangs, sets are swapped, requests are answered, and the other one is
    // told.
    until("it was tried", || slow.tries.load(Ordering::SeqCst) > 0);
    slow.mode.store(HANGS, Ordering::SeqCst);
    let before = slow.tries.load(Ordering::SeqCst);
    until("it was tried again", || {
        slow.tries.load(Ordering::SeqCst) > before
    });
    let second = repo.promote(&repo.generation(2));
    daemon.until_served(&second);
    let (head, body) = quick.next();
    assert!(body.contains(&second), "{body}");
    assert_signed(&head, &body, "Jefe");
    assert_eq!(daemon.guardrails(), ["gen-2"]);

    slow.mode.store(TAKES, Ordering::SeqCst);
    // What was sent again is signed as at first.
    let (first_kind, first) = slow.signed_event(Some("Jefe"));
    let (second_kind, data) = slow.signed_event(Some("Jefe"));
    assert_eq!(
        (first_kind.as_str(), second_kind.as_str()),
        ("served", "served")
    );
    assert_eq!(
        (&first["previous"], &data["commit"]),
        (&Value::Null, &json!(second))
    );
    daemon.until_metrics(&[
        "refguard_notifications_total{result=\"sent\"} 4",
        "refguard_notifications_total{result=\"dropped\"} 0",
    ]);
}

#[test]
fn a_receiver_that_cannot_be_meant_is_said_at_the_start() {
    let repo = Repo::serving();
    let start = |options: &[&str]| {
        let dir = repo.path();
        let mut command = refguard();
        command
            .arg("-C")
            .arg(&dir)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(options);
        let out = command.env_remove("NO_SECRET").output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{out:?}");
        String::from_utf8(out.stderr).unwrap()
    };
    let said = start(&["--notify", "ftp://a/hook?key=secret"]);
    assert!(
        said.contains("http://HOST") && !said.contains("secret"),
        "{said}"
    );
    let file = repo.beside("receiver");
    std::fs::write(&file, "https://a:b@hooks.example/T0/key=secret\n").unwrap();
    let said = start(&["--notify-slack", &format!("file:{}", file.display())]);
    assert!(
        said.contains("receiver`: ") && !said.contains("secret"),
        "{said}"
    );
    let said = start(&["--notify", "file:no-such-file"]);
    assert!(said.contains("cannot read `no-such-file`"), "{said}");
    let said = start(&["--notify", "http://a/", "--notify-secret-env", "NO_SECRET"]);
    assert!(said.contains("`NO_SECRET` is not set"), "{said}");
    let empty = repo.beside("empty");
    std::fs::write(&empty, "\n").unwrap();
    let said = start(&[
        "--notify",
        "http://a/",
        "--notify-secret-file",
        empty.to_str().unwrap(),
    ]);
    assert!(said.contains("holds no secret"), "{said}");
}
