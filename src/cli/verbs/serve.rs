//! `refguard serve`

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use refguard_core::document::Dimension;

use crate::cli::args::parse_duration;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::daemon::{Config, Daemon, Fetch, Systemd};
use crate::http::{
    self, AuthzOptions, DecisionLog, HostGuard, Limits, Listener, Options, Signals, Tokens,
};
use crate::ops;
use crate::repo::GitEnv;

/// Serve the production set to proxies over HTTP, and follow its ref
///
/// The set is read from git's object store, never from a checkout, and swapped whole when the ref
/// moves. A set that does not load is refused and the last good one keeps serving; `/v1/status`
/// says why. Nothing in the repository is changed.
///
/// Example: refguard serve --init my-policies
#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    /// Make a policy repository from the embedded example in DIR, if there is none, and serve it
    #[arg(long, value_name = "DIR")]
    init: Option<PathBuf>,

    /// Where to listen: HOST:PORT, or unix:PATH (repeatable; port 0 takes a free one)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8731")]
    listen: Vec<Address>,

    /// Permissions of a Unix socket
    #[arg(long, value_name = "OCTAL", default_value = "0660", value_parser = parse_mode)]
    socket_mode: u32,

    /// Serve the work tree too, as the set `worktree`
    #[arg(long)]
    worktree: bool,

    /// Read the refs this often where no hint comes
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    poll: Duration,

    /// Keep the last good sets in DIR (default: $STATE_DIRECTORY, or `refguard` in the git
    /// directory)
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Fetch from REMOTE and follow its branches
    #[arg(long, value_name = "REMOTE")]
    fetch: Option<String>,

    /// Fetch this often
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration, requires = "fetch")]
    interval: Duration,

    /// Count what is served as stale when the refs could not be read (fetched) for this long
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    max_staleness: Option<Duration>,

    /// What a stale set means: not ready, or refused with 503
    #[arg(long, value_name = "WHAT", default_value = "unready", requires = "max_staleness")]
    when_stale: WhenStale,

    #[command(flatten)]
    safety: SafetyArgs,

    #[command(flatten)]
    authz: AuthzArgs,

    #[command(flatten)]
    logs: LogArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhenStale {
    /// Readiness fails; requests are answered
    Unready,
    /// Requests get 503 too
    Refuse,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
struct SafetyArgs {
    /// Ask for a bearer token: a file of SHA-256 hashes in hex, one a line
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,

    /// TLS: the certificate chain, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// TLS: the key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Listen beyond loopback without TLS, or without tokens
    #[arg(long)]
    insecure: bool,

    /// A name by which requests may call this server on loopback, beside localhost (repeatable)
    #[arg(long, value_name = "HOST")]
    allowed_host: Vec<String>,

    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    max_connections: usize,

    /// Requests of one batch
    #[arg(long, value_name = "N", default_value_t = Limits::default().batch)]
    max_batch: usize,

    /// Long-polls that wait at once
    #[arg(long, value_name = "N", default_value_t = Limits::default().parked)]
    max_parked: usize,

    /// Cut off a client that takes longer to send a request's head
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    header_timeout: Duration,

    /// Cut off a client that takes longer to send a request's body
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    body_timeout: Duration,

    /// Wait for requests in flight this long at the end
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    shutdown_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Forward auth (/v1/authz)")]
struct AuthzArgs {
    /// What a request must have, or get 403; empty: nothing
    #[arg(long, value_name = "LIST", default_value = "model", value_delimiter = ',', num_args = 0..=1, value_parser = required())]
    require: Vec<Option<Dimension>>,

    /// Refuse a request that no policy matches
    #[arg(long)]
    deny_unmatched: bool,

    /// The status where nothing can be answered: 503, or 403 for an Envoy that lets errors pass
    #[arg(long, value_name = "STATUS", default_value_t = 503, value_parser = parse_refusal)]
    authz_not_ready: u16,

    /// Refuse an answer whose headers are longer, instead of cutting it
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    max_header_bytes: usize,
}

/// A dimension by its field in a context, or nothing: an empty text.
fn required() -> impl TypedValueParser<Value = Option<Dimension>> {
    let fields = Dimension::WRITTEN.map(Dimension::context_field);
    let words = std::iter::once("").chain(fields);
    PossibleValuesParser::new(words).map(|word| {
        Dimension::WRITTEN.into_iter().find(|dimension| dimension.context_field() == word)
    })
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
struct LogArgs {
    /// How messages are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace, or a filter such as refguard=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,

    /// Write each answer's decision as a JSON line: a file, or `-` for stderr
    #[arg(long, value_name = "FILE")]
    decision_log: Option<PathBuf>,

    /// Write one of N decisions
    #[arg(long, value_name = "N", default_value_t = 1, requires = "decision_log")]
    decision_sample: u64,

    /// Write keys as their SHA-256
    #[arg(long, requires = "decision_log")]
    decision_hash_keys: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Human,
    /// For programs: one JSON object a line
    Json,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let text = text.replace("localhost:", "127.0.0.1:");
        text.parse().map(Self::Tcp).map_err(|_| "write it as ADDRESS:PORT or unix:PATH".to_owned())
    }
}

impl Address {
    fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write it as an octal number such as 0660".to_owned())
}

fn parse_refusal(text: &str) -> Result<u16, String> {
    match text {
        "403" => Ok(403),
        "503" => Ok(503),
        _ => Err("it is 503 or 403".to_owned()),
    }
}

pub(in crate::cli) fn run(shell: &Shell, args: &ServeArgs) -> Result<Exit> {
    args.judge_safety()?;
    let dir = match &args.init {
        Some(target) => made(&shell.dir.join(target))?,
        None => shell.dir.clone(),
    };
    let options = args.options()?;
    start_logs(&args.logs, print::choose_error_style(shell.color).color)?;
    let listeners =
        args.listen.iter().map(|address| args.bind(address)).collect::<Result<Vec<_>>>()?;
    let systemd = Systemd::from_process();
    let daemon = Daemon::start(args.config(dir), systemd).context("cannot start")?;
    let (listeners, shown): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
    let lines: String = shown.iter().map(|address| format!("listening on {address}\n")).collect();
    // Nobody need listen to that: a closed stdout must not end a daemon.
    let _ = print::write_results(&lines);
    if args.init.is_some() {
        daemon.wait_for_first_look();
        let _ = print::write_results(
            &shown.first().map(|address| invitation(address)).unwrap_or_default(),
        );
    }
    let signals =
        Signals { hangup: Box::new(daemon.urge()), ending: Box::new(move || systemd.stopping()) };
    let served =
        http::serve(listeners, daemon.hub().clone(), options, signals).context("cannot serve");
    for address in &args.listen {
        if let Address::Unix(path) = address {
            // Gone already, or somebody else's by now: either way there is nothing to do.
            let _ = fs::remove_file(path);
        }
    }
    drop(daemon);
    served.map(|()| Exit::Fine)
}

/// A repository from the example, promoted; what is there already is left as it is.
fn made(dir: &Path) -> Result<PathBuf> {
    let occupied = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if !occupied {
        ops::init(dir)?;
    }
    Ok(dir.to_owned())
}

fn invitation(address: &str) -> String {
    format!(
        "try:
  curl -s {address}/v1/status
  curl -s {address}/v1/resolve -H 'content-type: application/json' -d '{{\"context\":{{\"team\":\"health-eu\",\"model\":\"gpt-4o\",\"tags\":[\"phi-eu\"]}}}}'
  curl -si {address}/v1/authz -H 'X-Refguard-Team: health-eu' -H 'X-Refguard-Model: gpt-4o'
"
    )
}

impl ServeArgs {
    fn config(&self, dir: PathBuf) -> Config {
        let fetch = self.fetch.clone().map(|remote| Fetch { remote, interval: self.interval });
        Config {
            dir,
            env: GitEnv::from_process(),
            worktree: self.worktree,
            poll: self.poll,
            state_dir: self.state_dir.clone(),
            fetch,
            max_staleness: self.max_staleness,
            refuse_stale: self.when_stale == WhenStale::Refuse,
        }
    }

    /// An address that others can reach needs tokens and TLS.
    fn judge_safety(&self) -> Result<()> {
        let safety = &self.safety;
        if safety.insecure || self.listen.iter().all(Address::is_local) {
            return Ok(());
        }
        if safety.tokens.is_none() {
            bail!("an address beyond loopback needs `--tokens FILE` (or `--insecure`)");
        }
        if safety.tls_cert.is_none() {
            bail!(
                "an address beyond loopback needs `--tls-cert FILE --tls-key FILE` (or `--insecure`)"
            );
        }
        Ok(())
    }

    fn options(&self) -> Result<Options> {
        let safety = &self.safety;
        let read = |path: &Path| {
            fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let in_file = |path: &Path, error: String| anyhow::anyhow!("`{}`: {error}", path.display());
        let tokens = match &safety.tokens {
            None => None,
            Some(path) => {
                let text = String::from_utf8_lossy(&read(path)?).into_owned();
                Some(Tokens::parse(&text).map_err(|error| in_file(path, error))?)
            }
        };
        let tls = match (&safety.tls_cert, &safety.tls_key) {
            (Some(cert), Some(key)) => Some(
                http::tls_config(&read(cert)?, &read(key)?)
                    .map_err(|error| in_file(cert, error))?,
            ),
            _ => None,
        };
        let loopback = |address: &Address| matches!(address, Address::Tcp(address) if address.ip().is_loopback());
        let guarded = self.listen.iter().any(loopback) && self.listen.iter().all(Address::is_local);
        Ok(Options {
            limits: Limits {
                connections: safety.max_connections.max(1),
                batch: safety.max_batch,
                parked: safety.max_parked,
                header_time: safety.header_timeout,
                body_time: safety.body_timeout,
                shutdown_time: safety.shutdown_timeout,
                ..Limits::default()
            },
            tokens,
            hosts: guarded.then(|| HostGuard { allowed: safety.allowed_host.clone() }),
            authz: self.authz.options(),
            tls,
            decisions: self.logs.decisions()?,
        })
    }

    fn bind(&self, address: &Address) -> Result<(Listener, String)> {
        let failed = |shown: String| move || format!("cannot listen on `{shown}`");
        match address {
            Address::Tcp(wanted) => {
                let listener =
                    TcpListener::bind(wanted).with_context(failed(wanted.to_string()))?;
                let scheme = if self.safety.tls_cert.is_some() { "https" } else { "http" };
                let shown = format!("{scheme}://{}", listener.local_addr()?);
                Ok((Listener::Tcp(listener), shown))
            }
            Address::Unix(path) => {
                // A socket that a dead daemon left behind; one that answers is in use.
                if path.exists() && UnixStream::connect(path).is_err() {
                    let _ = fs::remove_file(path);
                }
                let shown = path.display().to_string();
                let listener = UnixListener::bind(path).with_context(failed(shown.clone()))?;
                let mode = fs::Permissions::from_mode(self.socket_mode);
                fs::set_permissions(path, mode).with_context(failed(shown.clone()))?;
                Ok((Listener::Unix(listener), format!("unix:{shown}")))
            }
        }
    }
}

impl AuthzArgs {
    fn options(&self) -> AuthzOptions {
        AuthzOptions {
            require: self.require.iter().copied().flatten().collect(),
            deny_unmatched: self.deny_unmatched,
            not_ready: self.authz_not_ready,
            max_header_bytes: self.max_header_bytes,
        }
    }
}

impl LogArgs {
    fn decisions(&self) -> Result<Option<DecisionLog>> {
        let Some(path) = &self.decision_log else { return Ok(None) };
        let out: Box<dyn Write + Send> = if path == Path::new("-") {
            Box::new(std::io::stderr())
        } else {
            let file = fs::OpenOptions::new().create(true).append(true).open(path);
            Box::new(file.with_context(|| format!("cannot write `{}`", path.display()))?)
        };
        Ok(Some(DecisionLog::start(out, self.decision_sample, self.decision_hash_keys)?))
    }
}

fn start_logs(args: &LogArgs, color: bool) -> Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_new(&args.log).context("`--log` cannot be read")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color);
    let started = match args.log_format {
        LogFormat::Human => logs.with_target(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
