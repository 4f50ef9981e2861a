//! `refguard wait`

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use super::serve::parse_time;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::Workspace;

/// How long to rest between two looks.
const REST: Duration = Duration::from_millis(100);
/// How long one daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of a status that are read at most.
const MAX_STATUS: u64 = 16 << 20;

/// Wait until every daemon named serves a commit
///
/// For a deployment that must not go on before its policies are in force everywhere. Exits 1 when
/// the time is over; stderr says which daemon serves what.
///
/// Example: refguard wait --commit production http://10.0.0.5:8731 http://10.0.0.6:8731
#[derive(Debug, Args)]
pub(in crate::cli) struct WaitArgs {
    /// The commit: a full hash, or a revision of this repository such as `production`
    #[arg(long, value_name = "REV")]
    commit: String,

    /// The set that must serve it
    #[arg(long, value_name = "NAME", default_value = "production")]
    set: String,

    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time)]
    timeout: Duration,

    /// Send the bearer token that is in this variable of the environment
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,

    /// The daemons: http://HOST:PORT or unix:PATH
    #[arg(value_name = "URL", required = true)]
    daemons: Vec<String>,
}

pub(in crate::cli) fn run(shell: &Shell, args: &WaitArgs) -> Result<Exit> {
    let whole = args.commit.len() == 40 && args.commit.bytes().all(|b| b.is_ascii_hexdigit());
    let commit = match whole {
        true => args.commit.to_ascii_lowercase(),
        false => Workspace::open(&shell.dir)?.revision(&args.commit)?.0.to_string(),
    };
    let token = match &args.token_env {
        None => None,
        Some(name) => {
            Some(std::env::var(name).with_context(|| format!("the variable `{name}` is not set"))?)
        }
    };
    for daemon in &args.daemons {
        Address::parse(daemon)?;
    }
    let deadline = Instant::now() + args.timeout;
    loop {
        let lagging: Vec<String> = args
            .daemons
            .iter()
            .filter_map(|daemon| match served(daemon, &args.set, token.as_deref()) {
                Ok(Some(served)) if served == commit => None,
                Ok(Some(served)) => Some(format!("{daemon} serves {served}")),
                Ok(None) => Some(format!("{daemon} serves nothing as `{}`", args.set)),
                Err(error) => Some(format!("{daemon}: {error:#}")),
            })
            .collect();
        if lagging.is_empty() {
            return Ok(Exit::Fine);
        }
        if Instant::now() >= deadline {
            lagging.iter().for_each(|line| print::message(line));
            return Ok(Exit::Fault);
        }
        thread::sleep(REST);
    }
}

enum Address<'a> {
    Tcp(&'a str),
    Unix(&'a str),
}

impl<'a> Address<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("unix:") {
            return Ok(Self::Unix(path));
        }
        match url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) {
            Some(host) if !host.is_empty() && !host.contains('/') => Ok(Self::Tcp(host)),
            _ => bail!("`{url}` is no daemon's address: write it as http://HOST:PORT or unix:PATH"),
        }
    }
}

/// The commit that a daemon serves as a set.
fn served(url: &str, set: &str, token: Option<&str>) -> Result<Option<String>> {
    let (host, text) = match Address::parse(url)? {
        Address::Tcp(host) => {
            let named = if host.contains(':') && !host.ends_with(']') {
                host.to_owned()
            } else {
                format!("{host}:80")
            };
            let address = named.to_socket_addrs()?.next().context("the name has no address")?;
            let stream = TcpStream::connect_timeout(&address, ANSWER)?;
            stream.set_read_timeout(Some(ANSWER))?;
            (host, ask(stream, host, token)?)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(ANSWER))?;
            ("localhost", ask(stream, "localhost", token)?)
        }
    };
    let (head, body) =
        text.split_once("\r\n\r\n").with_context(|| format!("{host} does not speak HTTP"))?;
    let status = head.split(' ').nth(1).unwrap_or("");
    if status != "200" {
        bail!("it answers with status {status}");
    }
    let status: Value = serde_json::from_str(body).context("its status is no JSON")?;
    let sets = status.get("sets").and_then(Value::as_array).context("its status has no sets")?;
    let found = sets.iter().find(|found| found.get("name").and_then(Value::as_str) == Some(set));
    Ok(found.and_then(|found| found.get("commit")).and_then(Value::as_str).map(str::to_owned))
}

/// One request by HTTP/1.0: the answer is whole when the connection ends.
fn ask(mut stream: impl Read + Write, host: &str, token: Option<&str>) -> Result<String> {
    let bearer =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    stream
        .write_all(format!("GET /v1/status HTTP/1.0\r\nHost: {host}\r\n{bearer}\r\n").as_bytes())?;
    let mut text = String::new();
    stream.take(MAX_STATUS).read_to_string(&mut text)?;
    Ok(text)
}
