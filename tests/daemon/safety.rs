//! Who may ask, how much, how slowly; and how the daemon ends.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::support::{Client, Daemon, PATIENCE, Reply, Repo, read_reply, refguard, until};

const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

fn refused(args: &[&str]) -> String {
    let out = refguard().arg("serve").args(args).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    String::from_utf8(out.stderr).unwrap()
}

#[test]
fn an_address_beyond_loopback_needs_tokens_and_tls() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(
        &tokens,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
    )
    .unwrap();
    let tokens = tokens.to_str().unwrap();
    assert!(refused(&["--listen", "0.0.0.0:0"]).contains("`--tokens FILE`"));
    assert!(refused(&["--listen", "0.0.0.0:0", "--tokens", tokens]).contains("`--tls-cert FILE"));
    assert!(refused(&["--listen", "nonsense"]).contains("ADDRESS:PORT"));
    fs::write(repo.beside("bad"), "password\n").unwrap();
    let bad = repo.beside("bad");
    assert!(refused(&["--tokens", bad.to_str().unwrap()]).contains("line 1"));
}

#[test]
fn a_request_that_calls_the_server_by_another_name_is_refused_on_loopback() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--allowed-host", "refguard"]);
    daemon.until("ready", |set| set["commit"].is_string());
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("refguard", 200),
        ("evil.example", 403),
        ("", 403),
    ] {
        assert_eq!(
            daemon
                .ask("GET", "/v1/status", &[("Host", host)], "")
                .status,
            status,
            "{host}"
        );
    }
}

#[test]
fn a_token_is_asked_for_everywhere_but_by_probes() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(
        &tokens,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 # test\n",
    )
    .unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    assert_eq!(daemon.get("/healthz").status, 200);
    for path in [
        "/v1/status",
        "/v1/policies",
        "/metrics",
        "/v1/bundle",
        "/v1/authz",
    ] {
        let refused = daemon.get(path);
        assert_eq!(
            (refused.status, refused.header("www-authenticate")),
            (401, Some("Bearer")),
            "{path}"
        );
    }
    for bad in ["Bearer tests", "Bearer", "Basic test", "bearer  "] {
        assert_eq!(
            daemon
                .ask("GET", "/v1/status", &[("Authorization", bad)], "")
                .status,
            401,
            "{bad}"
        );
    }
    assert_eq!(
        daemon
            .ask("GET", "/v1/status", &[("Authorization", "Bearer test")], "")
            .status,
        200
    );
    let twice = [
        ("Authorization", "Bearer test"),
        ("Authorization", "Bearer test"),
    ];
    assert_eq!(daemon.ask("GET", "/v1/status", &twice, "").status, 401);
}

/// A connection that takes every certificate of a file for good.
fn speak_tls(address: &str, trusted: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(config, name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}

/// The certificate that a server shows, whoever signed it.
pub fn served_certificate(address: &str) -> Vec<u8> {
    let out = Command::new("openssl")
        .args(["s_client", "-connect", address, "-servername", "localhost"])
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(out) = out else { return Vec::new() };
    CertificateDer::from_pem_slice(&out.stdout)
        .map(|found| found.to_vec())
        .unwrap_or_default()
}

#[test]
fn tls_is_spoken_with_the_certificate_given() {
    let repo = Repo::serving();
    let (cert, key) = (format!("{TLS}/cert.pem"), format!("{TLS}/key.pem"));
    let daemon = Daemon::start(&repo.path(), &["--tls-cert", &cert, "--tls-key", &key]);
    let mut stream = speak_tls(&daemon.address, &cert);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    assert_eq!(read_reply(&mut BufReader::new(stream)).unwrap().status, 200);
    // `wait` asks by TLS too, and trusts whom it is told to trust.
    let commit = repo.git(&["rev-parse", "production"]);
    let port = daemon.address.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}");
    let wait = |options: &[&str], timeout: &str| {
        let mut command = refguard();
        command
            .args(["wait", "--commit", &commit, "--timeout", timeout])
            .args(options)
            .arg(&url);
        command
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap()
    };
    let trusted = wait(&["--ca", &cert], "60s");
    assert!(trusted.status.success(), "{trusted:?}");
    let stranger = wait(&[], "1ms");
    assert!(!stranger.status.success(), "{stranger:?}");
    // Plain text on that port gets no answer.
    let mut plain = TcpStream::connect(&daemon.address).unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    assert!(read_reply(&mut BufReader::new(plain)).is_err());
}

#[test]
fn a_unix_socket_has_its_mode_and_outlives_a_dead_daemon() {
    let repo = Repo::serving();
    let socket = repo.beside("socket");
    let address = format!("unix:{}", socket.display());
    let options = ["--listen", &address, "--socket-mode", "0600"];
    drop(Daemon::start(&repo.path(), &options));
    assert!(socket.exists(), "it was killed");
    let daemon = Daemon::start(&repo.path(), &options);
    daemon.until("ready", |set| set["commit"].is_string());
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: whatever\r\n\r\n")
        .unwrap();
    assert_eq!(
        read_reply(&mut BufReader::new(stream)).unwrap().status,
        403,
        "loopback is guarded, so is this"
    );
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    assert_eq!(read_reply(&mut BufReader::new(stream)).unwrap().status, 200);
    let commit = daemon.set()["commit"].as_str().unwrap().to_owned();
    let wait = refguard()
        .args(["wait", "--commit", &commit, &address])
        .status()
        .unwrap();
    assert!(wait.success());
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn too_much_of_anything_is_refused() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--max-connections", "3"]);
    daemon.until("ready", |set| set["commit"].is_string());
    assert_eq!(
        daemon
            .post("/v1/resolve", &" ".repeat((1 << 20) + 1))
            .status,
        413
    );
    let long = "x".repeat(200_000);
    let mut client = Client::new(&daemon.address);
    client.send("GET", "/healthz", &[("X-Long", &long)], "");
    assert!(client.reply().is_ok_and(|reply| reply.status == 431));
    // Connections on which nothing is asked make place for others.
    let idle: Vec<Client> = (0..9)
        .map(|_| {
            let mut client = Client::new(&daemon.address);
            assert_eq!(client.ask("GET", "/v1/status", &[], "").status, 200);
            client
        })
        .collect();
    // Those that wait for an answer do not: a fourth connection is for probes.
    let deadline = Instant::now() + PATIENCE;
    let kept = crate::support::fill_with_polls(&daemon, 3);
    assert_eq!(daemon.get("/healthz").status, 200);
    assert_eq!(daemon.get("/v1/status").status, 503);
    drop((kept, idle));
    loop {
        let mut client = Client::new(&daemon.address);
        client.send("GET", "/v1/status", &[], "");
        if client.reply().is_ok_and(|reply| reply.status == 200) {
            break;
        }
        assert!(Instant::now() < deadline, "places are not given back");
    }
}

#[test]
fn slow_clients_are_cut_off() {
    let repo = Repo::serving();
    let daemon = Daemon::start(
        &repo.path(),
        &["--header-timeout", "200ms", "--body-timeout", "200ms"],
    );
    daemon.until("ready", |set| set["commit"].is_string());
    for (half, status) in [
        ("GET /healthz HTTP/1.1\r\nhost: loc", None),
        (
            "POST /v1/resolve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: 9\r\n\r\n{",
            Some(408),
        ),
    ] {
        let mut stream = TcpStream::connect(&daemon.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(half.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let reply = read_reply(&mut reader).ok().map(|reply| reply.status);
        assert!(
            reply == status || (status.is_none() && reply == Some(408)),
            "{half}: {reply:?}"
        );
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
    }
}

#[test]
fn a_request_in_flight_is_finished_at_the_end_and_an_idle_connection_is_not_waited_for() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--shutdown-timeout", "30s"]);
    daemon.until("ready", |set| set["commit"].is_string());
    let mut idle = Client::new(&daemon.address);
    assert_eq!(idle.ask("GET", "/healthz", &[], "").status, 200);
    let mut busy = TcpStream::connect(&daemon.address).unwrap();
    let body = r#"{"context":{"model":"m"}}"#;
    let (first, rest) = body.split_at(5);
    let head = format!(
        "POST /v1/resolve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    busy.write_all(head.as_bytes()).unwrap();
    // The daemon asks for the body: the request is in its hands.
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).unwrap();
    busy.write_all(first.as_bytes()).unwrap();
    daemon.signal("TERM");
    // New connections are refused once the end has begun.
    while TcpStream::connect(&daemon.address).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    busy.write_all(rest.as_bytes()).unwrap();
    assert_eq!(read_reply(&mut BufReader::new(busy)).unwrap().status, 200);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn the_service_manager_is_told() {
    let repo = Repo::serving();
    let path = repo.beside("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |word: &str| {
        let mut bytes = [0; 1024];
        loop {
            let length = socket
                .recv(&mut bytes)
                .unwrap_or_else(|error| panic!("{word}: {error}"));
            if String::from_utf8_lossy(&bytes[..length])
                .lines()
                .any(|line| line.starts_with(word))
            {
                return;
            }
        }
    };
    let mut command = refguard();
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "600000");
    let daemon = Daemon::start_with(command, &repo.path(), &["--poll", "1h"]);
    heard("READY=1");
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    daemon.signal("HUP");
    heard("RELOADING=1");
    heard("READY=1");
    daemon.signal("TERM");
    heard("STOPPING=1");
}

#[test]
fn decisions_are_logged_with_hashed_keys() {
    let repo = Repo::serving();
    let log = repo.beside("decisions");
    let options = [
        "--decision-log",
        log.to_str().unwrap(),
        "--decision-hash-keys",
    ];
    let daemon = Daemon::start(&repo.path(), &options);
    daemon.until("ready", |set| set["commit"].is_string());
    // Asked twice, decided twice.
    for _ in 0..2 {
        daemon.post(
            "/v1/resolve",
            r#"{"context":{"key":"secret","model":"m\n"}}"#,
        );
    }
    daemon.ask("GET", "/v1/authz", &[("X-Refguard-Model", "m")], "");
    assert_eq!(daemon.stop().code(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    for line in &lines[..2] {
        assert_eq!(
            (&line["by"], &line["guardrails"]),
            (&json!("resolve"), &json!(["gen-1"]))
        );
        assert!(
            line["key"].as_str().unwrap().starts_with("sha256:"),
            "{text}"
        );
    }
    assert!(!text.contains("secret"));
    assert_eq!(lines[2]["by"], json!("authz"));
}

#[test]
fn init_makes_a_repository_serves_it_and_invites() {
    let repo = Repo::new();
    let dir = repo.beside("my-policies");
    let mut command = refguard();
    let child = command
        .args(["serve", "--listen", "127.0.0.1:0", "--init"])
        .arg(&dir);
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(BufReader::new(child.stdout.take().unwrap()));
    let text: Vec<String> = (0..5).map(|_| lines.next().unwrap().unwrap()).collect();
    let address = text[0].strip_prefix("listening on http://").unwrap();
    assert_eq!(
        text.iter().filter(|line| line.contains("curl -s")).count(),
        3,
        "{text:?}"
    );
    let reply = Client::new(address).ask("GET", "/v1/status", &[], "");
    assert_eq!(
        reply.json()["sets"][0]["promotion"],
        json!(1),
        "{}",
        reply.body
    );
    for line in &text[2..] {
        let out = Command::new("sh")
            .arg("-c")
            .arg(format!("{line} --fail"))
            .output()
            .unwrap();
        assert!(
            out.status.success() || String::from_utf8_lossy(&out.stderr).contains("not found"),
            "{line}: {out:?}"
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_probe_without_a_token_is_told_nothing_that_a_repository_holds() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(
        &tokens,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
    )
    .unwrap();
    let options = ["--tokens", tokens.to_str().unwrap()];
    let daemon = Daemon::start(&repo.path(), &options);
    let token = ("Authorization", "Bearer test");
    let known = |daemon: &Daemon| daemon.ask("GET", "/readyz", &[token], "");
    until("served", || known(&daemon).status == 200);
    let broken = repo.broken();
    repo.promote(&broken);
    until("rejected", || {
        known(&daemon).body.contains("policies/p0.yaml")
    });

    let said = daemon.get("/readyz");
    assert_eq!(
        (said.status, said.json()),
        (200, json!({ "ready": true, "rejected": true }))
    );
    let commit = |reply: &Reply| reply.header("x-refguard-commit").unwrap_or("").to_owned();
    for path in [
        "/readyz",
        "/healthz",
        "/v1/status",
        "/ui/sign-in",
        "/ui/",
        "/ui/refguard.css",
    ] {
        let reply = daemon.get(path);
        assert_eq!(commit(&reply), "", "{path}: {:?}", reply.headers);
        for secret in [broken.as_str(), "policies/", "p0"] {
            assert!(!reply.body.contains(secret), "{path}: {}", reply.body);
        }
    }
    assert_ne!(commit(&known(&daemon)), "");
    assert_eq!(
        known(&daemon).json()["sets"][0]["rejected"]["commit"],
        json!(broken)
    );

    // Nothing good at all.
    let state = repo.beside("state");
    let options = [&options[..], &["--state-dir", state.to_str().unwrap()]].concat();
    let daemon = Daemon::start(&repo.path(), &options);
    until("rejected", || {
        known(&daemon).body.contains("policies/p0.yaml")
    });
    let said = daemon.get("/readyz");
    assert_eq!(said.status, 503);
    assert!(
        said.body.contains("was rejected: ask with a token"),
        "{}",
        said.body
    );
    assert!(
        !said.body.contains("policies/") && !said.body.contains("sets"),
        "{}",
        said.body
    );
}

#[test]
fn who_sends_wrong_tokens_to_the_api_has_to_wait_and_a_right_one_never() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(
        &tokens,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
    )
    .unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let ask = |path: &str, bearer: &str| {
        daemon.ask(
            "GET",
            path,
            &[("Authorization", &format!("Bearer {bearer}"))],
            "",
        )
    };
    until("served", || ask("/readyz", "test").status == 200);
    // What a proxy in front asks for itself is no token of ours.
    let basic = ("Authorization", "Basic dGVzdDp0ZXN0");
    for path in ["/ui/", "/v1/status"].repeat(20) {
        let status = daemon.ask("GET", path, &[basic], "").status;
        assert_eq!(status, if path == "/ui/" { 303 } else { 401 });
    }
    let paths = ["/v1/status", "/v1/authz", "/metrics", "/readyz", "/ui/"];
    let statuses: Vec<u16> = paths
        .iter()
        .chain(&paths)
        .map(|path| ask(path, "wrong").status)
        .collect();
    assert_eq!(
        statuses,
        [[401, 401, 401, 200, 303], [401, 401, 401, 200, 303]].concat()
    );
    until("it has to wait", || {
        let late = ask("/v1/status", "wrong");
        late.status == 429 && late.header("retry-after") == Some("6")
    });
    until("on pages too", || ask("/ui/", "wrong").status == 429);
    // A probe is answered all the same, and so is a right token from the same address.
    assert_eq!(ask("/healthz", "wrong").status, 200);
    assert_eq!(ask("/v1/status", "test").status, 200);
    assert_eq!(
        daemon.get("/v1/status").status,
        401,
        "no token is no wrong one"
    );
}
