//! `refguard wait`

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::cli::args::parse_duration;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::http::TlsClient;
use crate::ops::Workspace;

/// How long to rest between two looks.
const REST: Duration = Duration::from_millis(100);
/// How long one daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read at most.
const MAX_ANSWER: usize = 16 << 20;
/// Bytes of one read.
const CHUNK: usize = 16 << 10;

/// Wait until every daemon named serves a commit, or answers at all
///
/// For a deployment that must not go on before its policies are in force everywhere, and, with
/// `--ready`, for the health check of a container. Exits 1 when the time is over; stderr says
/// which daemon serves what.
///
/// Example: refguard wait --commit production http://10.0.0.5:8731 http://10.0.0.6:8731
#[derive(Debug, Args)]
pub(in crate::cli) struct WaitArgs {
    /// The commit: a full hash, or a revision of this repository such as `production`
    #[arg(long, value_name = "REV", required_unless_present = "ready")]
    commit: Option<String>,

    /// Wait for requests to be answered, from whatever commit: what `/readyz` says
    #[arg(long, conflicts_with_all = ["commit", "set"])]
    ready: bool,

    /// The set that must serve it
    #[arg(long, value_name = "NAME", default_value = "production")]
    set: String,

    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,

    /// Send the bearer token that is in this variable of the environment
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,

    /// Trust the certificates that these sign, as PEM, instead of those that this machine trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The daemons: http://HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(value_name = "URL", required = true)]
    daemons: Vec<String>,
}

pub(in crate::cli) fn run(shell: &Shell, args: &WaitArgs) -> Result<Exit> {
    let goal = match &args.commit {
        Some(revision) => Goal::Serves { commit: full_hash(shell, revision)?, set: &args.set },
        None => Goal::Ready,
    };
    let token = match &args.token_env {
        None => None,
        Some(name) => {
            Some(std::env::var(name).with_context(|| format!("the variable `{name}` is not set"))?)
        }
    };
    let addresses: Vec<Address<'_>> =
        args.daemons.iter().map(|daemon| Address::parse(daemon)).collect::<Result<_>>()?;
    let tls = match addresses.iter().any(Address::is_tls) {
        true => Some(trusted_authorities(args)?),
        false => None,
    };
    let caller = Caller { goal, token: token.as_deref(), tls };

    let deadline = Instant::now() + args.timeout;
    loop {
        let daemons = args.daemons.iter().zip(&addresses);
        let lagging: Vec<String> =
            daemons.filter_map(|(daemon, address)| caller.find_lag(daemon, address)).collect();
        if lagging.is_empty() {
            return Ok(Exit::Fine);
        }
        if Instant::now() >= deadline {
            lagging.iter().for_each(|line| print::write_message(line));
            return Ok(Exit::Fault);
        }
        thread::sleep(REST);
    }
}

/// The commit that a revision names; a full hash need not be in any repository here.
fn full_hash(shell: &Shell, revision: &str) -> Result<String> {
    if revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(revision.to_ascii_lowercase());
    }
    Ok(Workspace::open(&shell.dir)?.revision(revision)?.0.to_string())
}

fn trusted_authorities(args: &WaitArgs) -> Result<TlsClient> {
    let Some(path) = &args.ca else {
        return TlsClient::trusting_this_machine().map_err(anyhow::Error::msg);
    };
    let named = || format!("`{}`", path.display());
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", named()))?;
    TlsClient::trusting(&pem).map_err(anyhow::Error::msg).with_context(named)
}

/// Where a daemon listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address<'a> {
    /// `HOST` or `HOST:PORT`
    Http(&'a str),
    Https(&'a str),
    Unix(&'a str),
}

impl<'a> Address<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("unix:") {
            return Ok(Self::Unix(path));
        }
        let (address, host) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(host), _) => (Self::Http as fn(&'a str) -> Self, host),
            (_, Some(host)) => (Self::Https as fn(&'a str) -> Self, host),
            (None, None) => (Self::Http as fn(&'a str) -> Self, ""),
        };
        let host = host.trim_end_matches('/');
        // A name as a header takes it; no path, no user.
        if host.is_empty() || host.contains(|c: char| "/?#@\\".contains(c) || !c.is_ascii_graphic())
        {
            bail!(
                "`{url}` is no daemon's address: write it as http://HOST:PORT, https://HOST:PORT or \
                 unix:PATH"
            );
        }
        Ok(address(host))
    }

    fn is_tls(&self) -> bool {
        matches!(self, Self::Https(_))
    }
}

/// What every daemon is waited for.
#[derive(Debug)]
enum Goal<'a> {
    /// Requests are answered.
    Ready,
    /// A set is served from a commit.
    Serves { commit: String, set: &'a str },
}

impl Goal<'_> {
    /// The path that tells of it.
    fn path(&self) -> &'static str {
        match self {
            Self::Ready => "/readyz",
            Self::Serves { .. } => "/v1/status",
        }
    }

    /// Why a daemon that answered like this is not there yet; `None`: it is.
    fn find_lag(&self, answer: &Answer) -> Result<Option<String>> {
        match self {
            Self::Ready => Ok((answer.status != "200").then(|| answer.title())),
            Self::Serves { commit, set } => Ok(match answer.served_commit(set)? {
                Some(served) if served == *commit => None,
                Some(served) => Some(format!("serves {served}")),
                None => Some(format!("serves nothing as `{set}`")),
            }),
        }
    }
}

/// What a daemon said.
struct Answer {
    /// The status code of HTTP.
    status: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Result<Self> {
        let (head, body) = text.split_once("\r\n\r\n").context("it does not speak HTTP")?;
        let status = head.split(' ').nth(1).unwrap_or("").to_owned();
        Ok(Self { status, body: body.to_owned() })
    }

    /// The commit that the daemon serves as the set, by its status.
    fn served_commit(&self, set: &str) -> Result<Option<String>> {
        if self.status != "200" {
            bail!("it answers with status {}", self.status);
        }
        let status: Value = serde_json::from_str(&self.body).context("its status is no JSON")?;
        let sets =
            status.get("sets").and_then(Value::as_array).context("its status has no sets")?;
        let is_named = |found: &&Value| found.get("name").and_then(Value::as_str) == Some(set);
        let found = sets.iter().find(is_named);
        Ok(found.and_then(|found| found.get("commit")).and_then(Value::as_str).map(str::to_owned))
    }

    /// What a problem document says is wrong, else the status.
    fn title(&self) -> String {
        let problem: Option<Value> = serde_json::from_str(&self.body).ok();
        let said = problem.as_ref().and_then(|it| it.get("detail").or_else(|| it.get("title")));
        match said.and_then(Value::as_str) {
            Some(said) => format!("is not ready: {said}"),
            None => format!("answers with status {}", self.status),
        }
    }
}

/// What every daemon is asked with.
struct Caller<'a> {
    goal: Goal<'a>,
    token: Option<&'a str>,
    /// Where any daemon is asked by https.
    tls: Option<TlsClient>,
}

impl Caller<'_> {
    /// Why a daemon is not there yet; `None`: it is.
    fn find_lag(&self, daemon: &str, address: &Address<'_>) -> Option<String> {
        let answer = self.ask(address).and_then(|text| Answer::parse(&text));
        match answer.and_then(|answer| self.goal.find_lag(&answer)) {
            Ok(lag) => lag.map(|lag| format!("{daemon} {lag}")),
            Err(error) => Some(format!("{daemon}: {error:#}")),
        }
    }

    /// Head and body of a daemon's answer.
    fn ask(&self, address: &Address<'_>) -> Result<String> {
        let path = self.goal.path();
        match *address {
            Address::Http(host) => read_answer(connect(host, 80)?, host, path, self.token),
            Address::Https(host) => {
                let tls = self.tls.as_ref().context("there is no authority to trust")?;
                let stream = connect(host, 443)?;
                let stream = tls.open(stream, host_name(host)).map_err(anyhow::Error::msg)?;
                read_answer(stream, host, path, self.token)
            }
            Address::Unix(socket) => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                read_answer(stream, "localhost", path, self.token)
            }
        }
    }
}

/// The name or address in `HOST:PORT`, without the brackets of an IPv6 address.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, _)) if !host.ends_with(']') => name,
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']')
}

fn connect(host: &str, default_port: u16) -> Result<TcpStream> {
    let has_port = host.contains(':') && !host.ends_with(']');
    let named = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
    let address = named.to_socket_addrs()?.next().context("the name has no address")?;
    let stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    Ok(stream)
}

/// One request by HTTP/1.0: the answer is whole when the connection ends. It is bounded in bytes and
/// in time, also where it comes a byte at a time.
fn read_answer(
    mut stream: impl Read + Write,
    host: &str,
    path: &str,
    token: Option<&str>,
) -> Result<String> {
    let bearer =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n{bearer}\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;

    let end = Instant::now() + ANSWER;
    let (mut answer, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(chunk.get(..read).unwrap_or(&[])),
            // TLS that ends without a farewell. An answer that was cut off is no JSON.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if answer.len() > MAX_ANSWER {
            bail!("its answer has more than {MAX_ANSWER} bytes");
        }
        if Instant::now() >= end {
            bail!("it takes longer than {} s to answer", ANSWER.as_secs());
        }
    }
    String::from_utf8(answer).context("its answer is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host() {
        assert_eq!(Address::parse("http://a:1/").unwrap(), Address::Http("a:1"));
        assert_eq!(Address::parse("https://[::1]:8731").unwrap(), Address::Https("[::1]:8731"));
        assert_eq!(Address::parse("unix:/run/x").unwrap(), Address::Unix("/run/x"));
        for bad in ["a:1", "http://", "https://a/b", "http://u@a", "http://a\r\nX: y", "ftp://a"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_name_for_a_certificate_has_no_port_and_no_brackets() {
        let names = ["a:1", "a", "[::1]:8731", "[::1]"].map(host_name);
        assert_eq!(names, ["a", "a", "::1", "::1"]);
    }
}
