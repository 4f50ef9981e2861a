//! nginx, Envoy and Caddy, as their examples configure them, between hostile requests and a real
//! LiteLLM: the model that runs is the model that was judged.

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::proxies::{FORGED, Gateway, PROXIES, free_port};
use crate::support::{PATIENCE, Reply, read_reply, required};

/// The models of tests/data/litellm/proxy/config.yaml.
const MODELS: [&str; 4] = ["gpt-4", "gpt-3", "bedrock/gpt-4", "broken"];

/// Each model has a guardrail of its own, so that the guardrails tell which model was judged.
fn one_guardrail_a_model() -> String {
    let of_model = |model: &str| {
        format!(
            "apiVersion: refguard/v1\nkind: Policy\nname: {model}\n\
             guardrails: {{add: [for-{model}]}}\n---\n\
             apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {model}\n\
             teams: [\"health-*\"]\nmodels: [{model}]\n"
        )
    };
    MODELS.map(of_model).join("---\n")
}

/// A LiteLLM proxy with models that only say that they ran.
struct LiteLlm {
    process: Child,
    address: String,
}

impl LiteLlm {
    /// `None` where no Python has it and it need not be there.
    fn start(place: &Path) -> Option<Self> {
        let Some(python) = std::env::var_os("REFGUARD_TEST_PYTHON") else {
            assert!(
                !required("litellm"),
                "`litellm` is required, and REFGUARD_TEST_PYTHON is not set"
            );
            eprintln!("skipped: REFGUARD_TEST_PYTHON names no Python with `litellm[proxy]`");
            return None;
        };
        let address = format!("127.0.0.1:{}", free_port());
        let port = address.rsplit_once(':').unwrap().1;
        let folder = format!("{}/tests/data/litellm/proxy", env!("CARGO_MANIFEST_DIR"));
        let log = fs::File::create(place.join("litellm.log")).unwrap();
        let process = Command::new(python)
            .args([
                "-c",
                "from litellm.proxy.proxy_cli import run_server; run_server()",
            ])
            .args([
                "--config",
                &format!("{folder}/config.yaml"),
                "--host",
                "127.0.0.1",
            ])
            .args(["--port", port, "--num_workers", "1", "--telemetry", "False"])
            .current_dir(place)
            .env("HOME", place)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env(
                "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY",
                "true",
            )
            .env("NO_DOCS", "True")
            .env("DISABLE_ADMIN_UI", "True")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut started = Self { process, address };

        // It imports for half a minute on a busy machine.
        let deadline = Instant::now() + 4 * PATIENCE;
        while TcpStream::connect(&started.address).is_err() {
            let over = started.process.try_wait().unwrap().is_some() || Instant::now() > deadline;
            let log = || fs::read_to_string(place.join("litellm.log")).unwrap();
            assert!(!over, "LiteLLM does not listen: {}", log());
            thread::sleep(Duration::from_millis(50));
        }
        Some(started)
    }
}

impl Drop for LiteLlm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request as it goes over the wire.
#[derive(Clone)]
struct Wire {
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    is_chunked: bool,
}

const CHAT: &str = "/v1/chat/completions";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A chat of a model, in the body.
fn chat(model: &str) -> String {
    body(&format!(r#""model":"{model}""#))
}

/// A chat with these fields.
fn body(fields: &str) -> String {
    format!(r#"{{{fields},"messages":[{{"role":"user","content":"hello"}}]}}"#)
}

impl Wire {
    fn new(path: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            headers: vec![JSON],
            body: body.into(),
            is_chunked: false,
        }
    }

    fn with(self, headers: &[(&'static str, &'static str)]) -> Self {
        Self {
            headers: headers.to_vec(),
            ..self
        }
    }

    fn chunked(self) -> Self {
        Self {
            is_chunked: true,
            ..self
        }
    }

    fn bytes(&self, host: &str, authorization: &str) -> Vec<u8> {
        let Self {
            path,
            headers,
            body,
            is_chunked,
        } = self;
        let mut text = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             authorization: {authorization}\r\n"
        );
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if *is_chunked {
            // Cut within the model's name, if that stands where it mostly does.
            let (first, rest) = body.split_at(body.len().min(12));
            text += &format!(
                "transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
                first.len(),
                rest.len()
            );
        } else {
            text += &format!("content-length: {}\r\n\r\n{body}", body.len());
        }
        text.into_bytes()
    }
}

/// What became of a request: the model that ran, or the status and words that refused it.
type Outcome = Result<String, String>;

/// Sends a request through a proxy. What ran must be what was judged.
fn send(gateway: &Gateway, wire: &Wire) -> Outcome {
    let authorization = gateway.authorization("sk-health");
    let mut stream = TcpStream::connect(&gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(&wire.bytes(&gateway.address, &authorization))
        .unwrap();
    let reply = read_reply(&mut BufReader::new(stream));
    let Ok(Reply { status, body, .. }) = reply else {
        return Err("no answer".to_owned());
    };

    let what = format!(
        "{} {:?} {}: {status} {body}",
        wire.path, wire.headers, wire.body
    );
    match body.matches("ran ").count() {
        0 => {
            assert_ne!(status, 200, "{what}");
            Err(format!("{status} {body}"))
        }
        1 => {
            let (_, ran) = body.split_once("ran ").unwrap();
            let (model, given) = ran
                .split_once("; given ")
                .unwrap_or_else(|| panic!("{what}"));
            let (given, _) = given.split_once(';').unwrap_or_else(|| panic!("{what}"));
            assert_eq!(
                given,
                format!("for-{model}"),
                "another model was judged: {what}"
            );
            Ok(model.to_owned())
        }
        _ => panic!("several models ran: {what}"),
    }
}

/// Requests whose path names the model, as every proxy takes them.
fn hostile_paths() -> Vec<Wire> {
    let (safe, end) = ("/openai/deployments/gpt-4", "chat/completions");
    [
        format!("{safe}/%2e%2e/gpt-3/{end}"),
        format!("{safe}/../gpt-3/{end}"),
        format!("{safe}%2F..%2Fgpt-3/{end}"),
        format!("{safe}%2f{end}"),
        format!("/openai/deployments/bedrock%2Fgpt-4/{end}"),
        format!("/openai/deployments/bedrock%252Fgpt-4/{end}"),
        format!("/openai/deployments/gpt%2D3/{end}"),
        format!("/openai/deployments/gpt-3/../gpt-4/{end}"),
        format!("/openai/deployments/./gpt-3/{end}"),
        format!("//openai//deployments//gpt-3//{end}"),
        format!("/openai/deployments//gpt-3/{end}"),
        format!("/openai/deployments/bedrock//gpt-4/{end}"),
        format!("{safe};model=gpt-3/{end}"),
        format!("{safe}/{end};x=/gpt-3/{end}"),
        format!("{safe}%3Bmodel=gpt-3/{end}"),
        format!("{safe}\\..\\gpt-3/{end}"),
        format!("{safe}/{end}/openai/deployments/gpt-3/{end}"),
        format!("/openai/deployments/gpt-3{safe}/{end}"),
        format!("/engines/gpt-3{safe}/{end}"),
        format!("/engines/gpt-3/{end}?model=gpt-4"),
        format!("{safe}/{end}?model=gpt-3"),
        format!("{safe}/{end}?model=gpt-4&model=gpt-3"),
        format!("{safe}/{end}?%6dodel=gpt-3"),
        format!("{safe}/{end}?x=1;model=gpt-3"),
        format!("{safe}/{end}#/../../gpt-3/{end}"),
        format!("{safe}/{end}/"),
        format!("{safe}/{end}/../../../gpt-3/{end}"),
        format!("/OpenAI/Deployments/gpt-3/{end}"),
        format!("/openai/deployments/GPT-4/{end}"),
        format!("/openai/deployments/gpt-4,gpt-3/{end}"),
        format!("http://127.0.0.1/openai/deployments/gpt-3/{end}"),
    ]
    .into_iter()
    .flat_map(|path| {
        let plain = Wire::new(path, body(r#""n":1"#));
        // The body's model counts for nothing where the path has one.
        [
            Wire {
                body: chat("gpt-3"),
                ..plain.clone()
            },
            plain,
        ]
    })
    .collect()
}

/// Requests whose body or query names the model.
fn hostile_bodies() -> Vec<Wire> {
    let of_paths = [
        "/v1/chat/completions?model=gpt-3",
        "/v1/chat/completions?model=gpt-4&model=gpt-3",
        "/v1/chat/completions?Model=gpt-3",
        "/v1/chat/completions?%6dodel=gpt-3",
        "/v1/chat/completions?x=1;model=gpt-3",
        "/v1/chat/completions?model=gpt-4%2Cgpt-3",
        "/v1/chat/completions?model",
        "/v1/chat/completions/",
        "/V1/Chat/Completions",
        "//v1/chat/completions",
        "/v1/./chat/completions",
        "/v1/embeddings/../chat/completions",
        "/v1/chat%2Fcompletions",
        "/v1/chat;x/completions",
        "/openai/deployments/gpt-3/chat/completions",
    ];
    let of_bodies = [
        body(r#""model":"gpt-4","model":"gpt-3""#),
        body(r#""model":"gpt-3","model":"gpt-4""#),
        body(r#""mod\u0065l":"gpt-3","model":"gpt-4""#),
        body(r#""model":"gpt-4","Model":"gpt-3""#),
        body(r#""model":"gpt-4 ""#),
        body(r#""model":"gpt\u002d3""#),
        body(r#""model":["gpt-3"]"#),
        body(r#""model":null"#),
        body(r#""model":"gpt-4,gpt-3""#),
        body(r#""model":"broken","fallbacks":["gpt-3"]"#),
        body(r#""model":"broken","fallbacks":[{"broken":["gpt-3"]}]"#),
        body(r#""model":"broken","context_window_fallbacks":[{"broken":["gpt-3"]}]"#),
        body(r#""model":"broken","router_settings_override":{"fallbacks":[{"broken":["gpt-3"]}]}"#),
        body(r#""model":"gpt-4","n":NaN"#),
        format!("{}x", chat("gpt-4")),
        format!("[{}]", chat("gpt-4")),
        format!("\u{feff}{}", chat("gpt-4")),
        format!(" \n\t{}\n", chat("gpt-3")),
    ];
    let text = ("content-type", "text/plain");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let trap = body(r#""model":"gpt-4","x":"&model=gpt-3&prompt=x&""#);
    let of_types = [
        Wire::new("/v1/completions", trap.clone()).with(&[form]),
        Wire::new("/v1/completions", trap.clone()).with(&[JSON, form]),
        Wire::new("/v1/completions", trap).with(&[form, JSON]),
        Wire::new("/v1/completions", "model=gpt-3&prompt=x").with(&[form]),
        Wire::new(CHAT, chat("gpt-3")).with(&[text]),
        Wire::new(CHAT, chat("gpt-3")).with(&[]),
        Wire::new(CHAT, chat("gpt-4"))
            .with(&[("content-type", "APPLICATION/JSON; charset=utf-16")]),
        Wire::new(CHAT, chat("gpt-4")).with(&[JSON, ("content-encoding", "gzip")]),
        Wire::new(CHAT, chat("gpt-4")).with(&[JSON, ("content-encoding", "identity")]),
        Wire::new(CHAT, chat("gpt-4")).with(&[JSON, ("x-litellm-model", "gpt-3")]),
        Wire::new(CHAT, body(r#""model":"gpt-4","model":"gpt-3""#)).chunked(),
        Wire::new(CHAT, chat("gpt-4,gpt-3")).chunked(),
    ];
    let of_paths = of_paths
        .map(|path| Wire::new(path, chat("gpt-4")))
        .into_iter();
    of_paths
        .chain(of_bodies.map(|body| Wire::new(CHAT, body)))
        .chain(of_types)
        .collect()
}

#[test]
fn the_model_that_runs_is_the_model_that_was_judged() {
    let place = tempfile::tempdir().unwrap();
    let Some(litellm) = LiteLlm::start(place.path()) else {
        return;
    };
    let policies = one_guardrail_a_model();
    for (program, example, start) in PROXIES {
        let upstream = Some(litellm.address.as_str());
        let Some(gateway) =
            Gateway::start_before(upstream, &policies, (program, example, start), &[])
        else {
            continue;
        };

        // Sound ones run, so that the others are not refused for another reason.
        let end = "chat/completions";
        for model in ["gpt-4", "gpt-3", "bedrock/gpt-4"] {
            let path = format!("/openai/deployments/{model}/{end}?n=1");
            let named = Wire {
                headers: [&[JSON][..], FORGED].concat(),
                ..Wire::new(path, body(r#""n":1"#))
            };
            for wire in [named.clone(), named.chunked()] {
                assert_eq!(send(&gateway, &wire).as_deref(), Ok(model), "{program}");
            }
        }
        for wire in hostile_paths() {
            let outcome = send(&gateway, &wire);
            assert!(
                outcome != Ok("broken".to_owned()),
                "{program} {}",
                wire.path
            );
        }
        if !gateway.reads_body {
            // Without a model in the path nothing is judged, so nothing runs.
            for wire in hostile_bodies()
                .into_iter()
                .filter(|wire| !wire.path.contains("deployments"))
            {
                assert!(send(&gateway, &wire).is_err(), "{program} {}", wire.path);
            }
            continue;
        }

        for wire in hostile_bodies() {
            let _: Outcome = send(&gateway, &wire);
        }
        let sound = Wire::new(CHAT, chat("gpt-3"));
        for wire in [sound.clone(), sound.clone().chunked(), sound.with(&[])] {
            assert_eq!(send(&gateway, &wire).as_deref(), Ok("gpt-3"), "{program}");
        }
        // What names two models is refused by refguard itself, before LiteLLM has a word.
        for (path, fields) in [
            (CHAT, r#""model":"gpt-4,gpt-3""#),
            (CHAT, r#""model":"broken","fallbacks":["gpt-3"]"#),
            ("/v1/chat/completions?model=gpt-3", r#""model":"gpt-4""#),
            (
                "/openai/deployments/gpt-3/chat/completions",
                r#""model":"gpt-4""#,
            ),
        ] {
            let refused = send(&gateway, &Wire::new(path, body(fields))).unwrap_err();
            assert!(refused.starts_with("403 "), "{path} {fields}: {refused}");
        }
    }
}
