//! nginx, Envoy and Caddy, as their examples configure them, in front of a server that tells what
//! it sees.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::echo::Echo;
use crate::support::{Client, Daemon, PATIENCE, Reply, Repo, required};

/// Health gets two guardrails; legal more than a header holds; nobody said anything of finance.
fn policies() -> String {
    let long: Vec<String> = (0..60)
        .map(|n| format!("guardrail-{n}-{}", "x".repeat(80)))
        .collect();
    let policy = |name: &str, guardrails: &str, team: &str| {
        format!(
            "apiVersion: refguard/v1\nkind: Policy\nname: {name}\n\
             guardrails: {{add: [{guardrails}]}}\n---\n\
             apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {name}\nteams: [{team}]\n\
             models: [gpt-4]\n"
        )
    };
    [
        policy("health", "hipaa, \"pii, strict\"", "\"health-*\""),
        policy("legal", &long.join(", "), "legal"),
    ]
    .join("---\n")
}

/// A proxy between a client and the echo server, with the daemon beside it.
pub struct Gateway {
    _repo: Repo,
    daemon: Option<Daemon>,
    proxy: Child,
    /// Where the proxy listens.
    pub address: String,
    echo: Echo,
    /// The proxy reads the model from the body; else from the path.
    pub reads_body: bool,
    commit: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Its workers end with the master only if it is asked.
        let _ = Command::new("kill")
            .args(["-s", "TERM", &self.proxy.id().to_string()])
            .status();
        let _ = self.proxy.wait();
    }
}

/// What starts a proxy over a configuration.
pub type Start = fn(&PathBuf, &std::path::Path) -> Command;

impl Gateway {
    /// `None` where the program is not there and need not be.
    fn start(proxy: (&str, &str, Start), options: &[&str]) -> Option<Self> {
        Self::start_before(None, &policies(), proxy, options)
    }

    /// The same with other policies, and before another server than the one that tells what it
    /// sees.
    pub fn start_before(
        upstream: Option<&str>,
        policies: &str,
        (program, example, start): (&str, &str, Start),
        options: &[&str],
    ) -> Option<Self> {
        let path = find(program)?;
        let repo = Repo::new();
        repo.write("all.yaml", policies);
        let commit = repo.commit();
        repo.promote("HEAD");
        let daemon = Daemon::start(
            &repo.path(),
            &[
                &[
                    "--require",
                    "team,model",
                    "--allowed-host",
                    "llm.example.com",
                ],
                options,
            ]
            .concat(),
        );
        daemon.until_served(&commit);
        let (echo, address) = (Echo::start(), format!("127.0.0.1:{}", free_port()));
        let text = configuration(
            example,
            &[
                ("8080", &address),
                ("8731", &daemon.address),
                ("4000", upstream.unwrap_or(&echo.address)),
            ],
        );
        let config = repo.beside("config.yaml");
        fs::write(&config, text).unwrap();
        let place = repo.beside("");
        let log = fs::File::create(repo.beside("log")).unwrap();
        let mut command = start(&path, &config);
        let mut proxy = command
            .current_dir(place)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let reads_body = program == "envoy";
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(&address).is_err() {
            let over = proxy.try_wait().unwrap().is_some() || Instant::now() > deadline;
            let log = || fs::read_to_string(repo.beside("log")).unwrap();
            assert!(!over, "{program} does not listen: {}", log());
            thread::sleep(Duration::from_millis(10));
        }
        Some(Self {
            _repo: repo,
            daemon: Some(daemon),
            proxy,
            address,
            echo,
            reads_body,
            commit,
        })
    }

    /// A completion of a model, with a key.
    fn ask(&self, key: &str, model: &str, headers: &[(&str, &str)]) -> Reply {
        let (path, body) = match self.reads_body {
            true => (
                "/v1/chat/completions".to_owned(),
                json!({"model": model, "messages": []}),
            ),
            false => (
                format!("/openai/deployments/{model}/chat/completions"),
                json!({"messages": []}),
            ),
        };
        self.send(key, &format!("{path}?n=1"), headers, &body.to_string())
    }

    /// The header that the proxy knows a key by.
    pub fn authorization(&self, key: &str) -> String {
        format!(
            "Bearer {}",
            if self.reads_body {
                token(key)
            } else {
                key.to_owned()
            }
        )
    }

    fn send(&self, key: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let key = self.authorization(key);
        let headers = [
            &[
                ("Authorization", key.as_str()),
                ("Content-Type", "application/json"),
            ],
            headers,
        ]
        .concat();
        Client::new(&self.address).ask("POST", path, &headers, body)
    }

    /// What the server behind saw under a name; several are joined.
    fn seen(reply: &Reply, name: &str) -> Option<String> {
        let headers: Vec<(String, String)> =
            serde_json::from_value(reply.json()["headers"].clone()).unwrap();
        let values: Vec<String> = headers
            .into_iter()
            .filter(|(known, _)| known == name)
            .map(|(_, v)| v)
            .collect();
        (!values.is_empty()).then(|| values.join(" AND "))
    }

    /// Asks, and wants a refusal that the server behind hears nothing of.
    fn refuses(&self, key: &str, model: &str, status: &[u16]) {
        self.unheard(&format!("{key} {model}"), status, || {
            self.ask(key, model, FORGED)
        });
    }

    /// Asks for a hostile path: it is refused, or what the server behind gets is read by LiteLLM as
    /// it was judged.
    fn refuses_or_judges(&self, path: &str, body: &str) {
        let before = self.echo.seen();
        let reply = self.send("sk-health", path, FORGED, body);
        if reply.status != 200 {
            assert!(
                matches!(reply.status, 400 | 403 | 404 | 500),
                "{path}: {reply:?}"
            );
            assert_eq!(
                self.echo.seen(),
                before,
                "{path}: it reached the server behind"
            );
            return;
        }
        let taken = reply.json()["path"].as_str().unwrap().to_owned();
        let given = Gateway::seen(&reply, "x-refguard-guardrails").unwrap_or_default();
        let model = taken
            .strip_prefix("/openai/deployments/")
            .and_then(|rest| rest.split('?').next()?.strip_suffix("/chat/completions"));
        assert!(model.is_some(), "{path}: {taken}");
        assert_eq!(
            model == Some("gpt-4"),
            !given.is_empty(),
            "{path}: {taken} {given}"
        );
        assert!(
            !taken.contains("..") && !taken.contains("//"),
            "{path}: {taken}"
        );
        assert!(!taken.contains("model="), "{path}: {taken}");
    }

    fn unheard(&self, what: &str, status: &[u16], ask: impl FnOnce() -> Reply) {
        let before = self.echo.seen();
        let reply = ask();
        assert!(status.contains(&reply.status), "{what}: {reply:?}");
        assert_eq!(
            self.echo.seen(),
            before,
            "{what}: it reached the server behind"
        );
    }
}

/// What a client says that would like to be another.
pub const FORGED: &[(&str, &str)] = &[
    ("X-Refguard-Guardrails", "none"),
    ("x-refguard-policies", "mine"),
    ("X-REFGUARD-Commit", "0000"),
    ("X-Refguard-Team", "health-forged"),
    ("X-Refguard-Key", "forged"),
    ("X-Refguard-Model", "forged"),
    ("X-Refguard-Tags", "forged"),
    ("X-Refguard-User", "forged"),
    ("X-Refguard-Tool", "forged"),
    ("X-Refguard-Server", "forged"),
    ("X-Refguard-Set", "forged"),
    ("X-Litellm-Model", "forged"),
    (
        "X-Forwarded-Uri",
        "/openai/deployments/forged/chat/completions",
    ),
];

/// The secret that signs tokens.
const SECRET: &[u8] = b"a secret that only this test knows";

/// What Envoy takes in the place of the keys that nginx and Caddy know.
fn token(key: &str) -> String {
    let claims = match key {
        "sk-health" => json!({"team": "health-eu"}),
        "sk-finance" => json!({"team": "finance"}),
        "sk-legal" => json!({"team": "legal"}),
        "sk-nobody" => json!({}),
        _ => return key.to_owned(),
    };
    let mut claims = claims;
    (claims["iss"], claims["aud"]) = (json!("https://login.example.com"), json!("gateway"));
    let signed = format!(
        "{}.{}",
        base64url(br#"{"alg":"HS256"}"#),
        base64url(claims.to_string().as_bytes())
    );
    let signature = base64url(&hmac(SECRET, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        (0..64)
            .map(|i| key.get(i).copied().unwrap_or(0) ^ with)
            .collect()
    };
    let inner = Sha256::digest([&pad(0x36), text].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let chunk = |chunk: &[u8]| {
        let bits = chunk
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        (0..=chunk.len())
            .map(|i| char::from(DIGITS[bits >> (18 - 6 * i) & 63]))
            .collect::<String>()
    };
    bytes.chunks(3).map(chunk).collect()
}

/// A program of that name, beside the tests' Python or on the path.
fn find(program: &str) -> Option<PathBuf> {
    let python = std::env::var_os("REFGUARD_TEST_PYTHON").map(PathBuf::from);
    let beside = python.and_then(|python| python.parent().map(|dir| dir.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(program))
        .find(|p| p.is_file());
    assert!(
        found.is_some() || !required(program),
        "`{program}` is required, and not there"
    );
    if found.is_none() {
        eprintln!("skipped: there is no `{program}`");
    }
    found
}

/// An example's text with other addresses in the place of its own.
fn configuration(example: &str, addresses: &[(&str, &str)]) -> String {
    let path = format!("{}/integrations/{example}", env!("CARGO_MANIFEST_DIR"));
    let mut text = fs::read_to_string(path).unwrap();
    for (port, address) in addresses {
        let (_, own) = address.rsplit_once(':').unwrap();
        assert!(text.contains(port), "{example} has no port {port}");
        text = text.replace(
            &format!("port_value: {port}"),
            &format!("port_value: {own}"),
        );
        text = text.replace(&format!("http://:{port}"), &format!("http://:{own}"));
        text = text.replace(&format!("127.0.0.1:{port}"), address);
    }
    text
}

/// A port that the system gives to nobody by itself, so that no other test has it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap() + 20_000;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::SeqCst) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn nginx(program: &PathBuf, config: &std::path::Path) -> Command {
    // Its folders for bodies and answers are those of the system's nginx, which only root may use.
    let place = config.parent().unwrap();
    let text = fs::read_to_string(config).unwrap();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders: String = kinds
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    fs::write(
        config,
        text.replace("access_log off;", &format!("access_log off;\n{folders}")),
    )
    .unwrap();
    let mut command = Command::new(program);
    command
        .args(["-e", "stderr", "-g", "daemon off;", "-p"])
        .arg(place)
        .arg("-c")
        .arg(config);
    command
}

fn envoy(program: &PathBuf, config: &std::path::Path) -> Command {
    let keys = json!({"keys": [{"kty": "oct", "alg": "HS256", "k": base64url(SECRET)}]});
    fs::write(config.with_file_name("jwks.json"), keys.to_string()).unwrap();
    let mut command = Command::new(program);
    // No shared memory with another Envoy of this machine.
    command
        .args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "error",
            "-c",
        ])
        .arg(config);
    command
}

fn caddy(program: &PathBuf, config: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(config)
        .env("HOME", config.parent().unwrap());
    command
}

pub const PROXIES: [(&str, &str, Start); 3] = [
    ("nginx", "nginx/nginx.conf", nginx),
    ("envoy", "envoy/envoy.yaml", envoy),
    ("caddy", "caddy/Caddyfile", caddy),
];

/// Goes through the story with each proxy that is there.
fn each(options: &[&str], story: impl Fn(&mut Gateway)) {
    for proxy in PROXIES {
        if let Some(mut gateway) = Gateway::start(proxy, options) {
            story(&mut gateway);
        }
    }
}

#[test]
fn the_upstream_gets_what_refguard_says_and_nothing_that_a_client_forged() {
    each(&[], |gateway| {
        for forged in [&[][..], FORGED, &[("Host", "llm.example.com")]] {
            let reply = gateway.ask("sk-health", "gpt-4", forged);
            assert_eq!(reply.status, 200, "{reply:?}");
            let seen = |name: &str| Gateway::seen(&reply, name);
            assert_eq!(
                seen("x-refguard-guardrails").as_deref(),
                Some("hipaa,pii%2C%20strict"),
                "{reply:?}"
            );
            assert_eq!(seen("x-refguard-policies").as_deref(), Some("health"));
            assert_eq!(seen("x-refguard-commit"), Some(gateway.commit.clone()));
            for name in [
                "team", "key", "user", "model", "tags", "tool", "server", "set",
            ] {
                let said = seen(&format!("x-refguard-{name}")).unwrap_or_default();
                assert!(!said.contains("forged"), "{name}: {reply:?}");
            }
            let path = reply.json()["path"].as_str().unwrap().to_owned();
            assert!(path.ends_with("/chat/completions?n=1"), "{path}");
        }
        // A request that gets nothing also gets nothing forged: its headers are empty or not there.
        let reply = gateway.ask("sk-finance", "gpt-4", FORGED);
        assert_eq!(reply.status, 200, "{reply:?}");
        let seen = |name: &str| Gateway::seen(&reply, name).unwrap_or_default();
        assert_eq!(
            (seen("x-refguard-guardrails"), seen("x-refguard-policies")),
            (String::new(), String::new())
        );
        // The model decides too: it is the body's, or the path's.
        let other = gateway.ask("sk-health", "gpt-3", FORGED);
        assert_eq!(
            Gateway::seen(&other, "x-refguard-guardrails").unwrap_or_default(),
            "",
            "{other:?}"
        );
    });
}

#[test]
fn who_is_nobody_is_refused_and_so_is_a_list_that_is_too_long() {
    each(&[], |gateway| {
        gateway.refuses("sk-stolen", "gpt-4", &[401, 403]);
        gateway.refuses("sk-nobody", "gpt-4", &[403]);
        gateway.refuses("sk-legal", "gpt-4", &[500, 502, 503]);
        // Without a model there is no answer either, whatever a header says.
        gateway.unheard("no model", &[403, 404], || {
            gateway.send("sk-health", "/v1/chat/completions", FORGED, "{}")
        });
    });
}

#[test]
fn a_request_that_no_policy_matches_can_be_refused() {
    each(&["--deny-unmatched"], |gateway| {
        gateway.refuses("sk-finance", "gpt-4", &[403]);
        gateway.refuses("sk-health", "gpt-3", &[403]);
        assert_eq!(gateway.ask("sk-health", "gpt-4", &[]).status, 200);
    });
}

/// Health gets guardrails for `gpt-4` alone. Whatever path reaches the server behind with its
/// guardrails must be one that LiteLLM reads as `gpt-4`, and one without them must not be.
#[test]
fn a_path_that_could_be_read_in_two_ways_is_refused() {
    each(&[], |gateway| {
        let (safe, end) = ("/openai/deployments/gpt-4", "chat/completions");
        for path in [
            format!("{safe}/%2e%2e/gpt-3/{end}"),
            format!("{safe}%2F..%2Fgpt-3/{end}"),
            format!("{safe}%2Fx/{end}"),
            format!("{safe}%5C..%5Cgpt-3/{end}"),
            format!("/openai/deployments/gpt%252D4/{end}"),
            format!("/openai/deployments/gpt-3/{safe}/{end}"),
            format!("{safe}/{end}/openai/deployments/gpt-3/{end}"),
            format!("{safe}/{end}/embeddings"),
            format!("{safe}/x"),
            format!("{safe}/{end}?model=gpt-3"),
            format!("{safe}/{end}?%6dodel=gpt-3"),
            format!("/openai/deployments/gpt-4,gpt-3/{end}"),
            format!("/azure{safe}/{end}"),
        ] {
            gateway.refuses_or_judges(&path, "{}");
        }
        // Proxies that normalize a path hand on what they asked about; others refuse it.
        for path in [
            format!("{safe}/../gpt-3/{end}"),
            format!("/openai/deployments/gpt-3/../gpt-4/{end}"),
            format!("//openai//deployments//gpt-3//{end}"),
            format!("/openai/deployments/gpt%2D4/{end}"),
        ] {
            gateway.refuses_or_judges(&path, "{}");
        }
        let plain = gateway.send("sk-health", &format!("{safe}/{end}?n=1"), FORGED, "{}");
        assert_eq!(plain.status, 200, "{plain:?}");
        let given = Gateway::seen(&plain, "x-refguard-guardrails");
        assert_eq!(given.as_deref(), Some("hipaa,pii%2C%20strict"));
        // A model may hold slashes: it is no `bedrock`.
        let other = format!("/openai/deployments/bedrock/gpt-4/{end}");
        let other = gateway.send("sk-health", &other, FORGED, "{}");
        assert_eq!(other.status, 200, "{other:?}");
        assert_eq!(
            Gateway::seen(&other, "x-refguard-guardrails").unwrap_or_default(),
            ""
        );
    });
}

/// A path's model goes before the body's; one that a query names too, and what else a body lists,
/// runs other models.
#[test]
fn a_request_that_names_two_models_is_refused_where_the_body_is_seen() {
    each(&[], |gateway| {
        if !gateway.reads_body {
            return;
        }
        let chat = "/v1/chat/completions";
        let deployment = "/openai/deployments/gpt-3/chat/completions";
        let model = r#"{"model":"gpt-4","messages":[]}"#;
        for (path, body) in [
            (deployment, model),
            ("/v1/chat/completions?model=gpt-3", model),
            ("/v1/chat/completions?x=1&Model=gpt-3", model),
            ("/v1/embeddings?model=gpt-3", model),
            (chat, r#"{"model":"gpt-4","fallbacks":["gpt-3"]}"#),
            (
                chat,
                r#"{"model":"gpt-4","fallbacks":[{"gpt-4":["gpt-3"]}]}"#,
            ),
            (
                chat,
                r#"{"model":"gpt-4","context_window_fallbacks":["gpt-3"]}"#,
            ),
            (chat, r#"{"model":"gpt-4","router_settings_override":{}}"#),
            (chat, r#"{"model":"gpt-4,gpt-3"}"#),
            (
                "/v1/realtime/calls",
                r#"{"model":"gpt-4","session":{"model":"gpt-3"}}"#,
            ),
            (
                "/v1/files",
                r#"{"model":"gpt-4","target_model_names":"gpt-3"}"#,
            ),
        ] {
            gateway.unheard(path, &[403], || {
                gateway.send("sk-health", path, FORGED, body)
            });
        }
        for (path, body) in [(chat, model), ("/v1/chat/completions?model=gpt-4", model)] {
            assert_eq!(
                gateway.send("sk-health", path, FORGED, body).status,
                200,
                "{path}"
            );
        }
        for body in [
            r#"[{"model":"gpt-3"}]"#,
            r#"{"requests":[{"model":"gpt-3"}]"#,
        ] {
            gateway.unheard(body, &[400], || {
                gateway.send("sk-health", chat, FORGED, body)
            });
        }
    });
}

#[test]
fn a_body_that_could_be_read_in_two_ways_is_refused() {
    each(&[], |gateway| {
        let wide: String = "{\"model\":\"gpt-4\"}"
            .chars()
            .flat_map(|c| [c, '\0'])
            .collect();
        let long = format!(r#"{{"model":"gpt-4","x":"{}"}}"#, "x".repeat(2 << 20));
        for (body, status) in [
            (r#"{"model":"gpt-3","model":"gpt-4"}"#, 400),
            (r#"{"model":"gpt-3""#, 400),
            (r#"{"model":["gpt-4"]}"#, 400),
            ("\u{feff}{\"model\":\"gpt-4\"}", 400),
            (&wide, 400),
            ("model=gpt-4", 400),
            (&long, 413),
        ] {
            if gateway.reads_body {
                let what: String = body.chars().take(40).collect();
                gateway.unheard(&what, &[status], || {
                    gateway.send("sk-health", "/v1/chat/completions", &[], body)
                });
            }
        }
    });
}

#[test]
fn without_a_daemon_that_is_ready_nothing_passes() {
    each(&[], |gateway| {
        assert_eq!(gateway.ask("sk-health", "gpt-4", &[]).status, 200);
        let address = gateway
            .daemon
            .take()
            .map(|daemon| daemon.address.clone())
            .unwrap();
        gateway.refuses("sk-health", "gpt-4", &[500, 502, 503]);
        let nothing = Repo::new();
        let unready = Daemon::start(&nothing.path(), &["--listen", &address, "--require", ""]);
        assert_eq!(unready.get("/readyz").status, 503);
        gateway.refuses("sk-health", "gpt-4", &[500, 502, 503]);
    });
}
