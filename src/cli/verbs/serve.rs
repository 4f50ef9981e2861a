//! `refguard serve`

mod listen;
mod secrets;
mod supervise;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use refguard_core::document::{Dimension, MAX_TAGS, MAX_VALUE};

use self::listen::{Address, Socket, SocketFile};
use self::secrets::Secrets;
use crate::cli::args::parse_duration;
use crate::cli::asker::trusted_authorities;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::daemon::{
    Config, Daemon, Fetch, Hub, LineLog, LogTarget, MAX_SAMPLES, Shadow, ShadowOptions, Subject,
    Systemd, quieten_shared_pool,
};
use crate::http::{
    self, AuthzOptions, Credentials, DecisionLog, HostGuard, Limits, NotifyForm, NotifyOptions,
    NotifyTarget, Options, Signals,
};
use crate::ops::{self, Workspace};
use crate::output::LinkTemplate;
use crate::pages::ForgeLinks;
use crate::repo::GitEnv;

/// Serve the production set to proxies over HTTP, and follow its ref
///
/// The set is read from git's object store, never from a checkout, and swapped whole when the ref
/// moves. A set that does not load is refused and the last good one keeps serving; `/v1/status`
/// says why. Nothing in the repository is changed.
///
/// Example: refguard serve --init my-policies
#[derive(Debug, Args)]
#[command(after_long_help = limits_help())]
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
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        value_parser = parse_duration,
        requires = "fetch",
    )]
    interval: Duration,

    /// Count what is served as stale when the refs could not be read (fetched) for this long
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    max_staleness: Option<Duration>,

    /// What a stale set means: not ready, or refused with 503
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "unready",
        requires = "max_staleness"
    )]
    when_stale: WhenStale,

    /// Refuse requests that name a policy which is unknown or not `requestable` (422)
    #[arg(long)]
    strict_requests: bool,

    /// Serve no pages under /ui/
    #[arg(long)]
    no_ui: bool,

    /// Make places on pages links: an address with {commit}, {path} and {line}, such as
    /// `https://forge.example/team/policies/blob/{commit}/{path}#L{line}`
    #[arg(long, value_name = "TEMPLATE")]
    link: Option<LinkTemplate>,

    #[command(flatten)]
    safety: SafetyArgs,

    #[command(flatten)]
    authz: AuthzArgs,

    #[command(flatten)]
    shadow: ShadowArgs,

    #[command(flatten)]
    notify: NotifyArgs,

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
#[command(next_help_heading = "Shadow")]
struct ShadowArgs {
    /// Count what REF would say to the requests that are answered: `/v1/shadow` and metrics; no
    /// answer changes
    #[arg(long = "shadow", value_name = "REF")]
    revision: Option<String>,

    /// Keep so many of the newest requests that REF would answer otherwise, for `/v1/shadow`
    #[arg(long = "shadow-samples", value_name = "N", default_value = "0", requires = "revision",
          value_parser = clap::value_parser!(u64).range(..=MAX_SAMPLES as u64))]
    samples: u64,

    /// Keep the keys of those as their SHA-256
    #[arg(long = "shadow-hash-keys", requires = "revision")]
    hash_keys: bool,
}

/// Bytes of a file that holds a receiver's address.
const MAX_ADDRESS: u64 = 8 << 10;

#[derive(Debug, Args)]
#[command(next_help_heading = "Notifications")]
struct NotifyArgs {
    /// Post what happens to this address, as CloudEvents in JSON (repeatable): http://, https://,
    /// or file:PATH of a file that holds the address
    #[arg(long = "notify", value_name = "URL")]
    receivers: Vec<String>,

    /// Post what happens to this address, as a text that Slack shows (repeatable)
    ///
    /// The address is a secret there: in `file:PATH` nobody sees it who may list processes.
    #[arg(long = "notify-slack", value_name = "URL")]
    slack: Vec<String>,

    /// Sign what is posted with the secret that is in this variable of the environment
    /// (HMAC-SHA256)
    #[arg(long = "notify-secret-env", value_name = "NAME")]
    secret_env: Option<String>,

    /// Sign what is posted with the secret that is in this file
    #[arg(
        long = "notify-secret-file",
        value_name = "FILE",
        conflicts_with = "secret_env"
    )]
    secret_file: Option<PathBuf>,

    /// Trust the certificates that these sign, as PEM, instead of those that this machine trusts
    #[arg(long = "notify-ca", value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl NotifyArgs {
    /// Who is told, if anybody.
    ///
    /// # Errors
    /// Where an address is none, or the secret or the authorities cannot be read.
    fn options(&self) -> Result<Option<NotifyOptions>> {
        let receivers = self
            .receivers
            .iter()
            .map(|text| (text, NotifyForm::CloudEvents));
        let slack = self.slack.iter().map(|text| (text, NotifyForm::Slack));
        let targets = receivers
            .chain(slack)
            .map(|(text, form)| read_receiver(text, form));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        if targets.is_empty() {
            return Ok(None);
        }
        let tls = match targets.iter().any(NotifyTarget::is_tls) {
            true => Some(trusted_authorities(self.ca.as_deref())?),
            false => None,
        };
        Ok(Some(NotifyOptions {
            targets,
            secret: self.secret()?,
            tls,
        }))
    }

    fn secret(&self) -> Result<Option<Vec<u8>>> {
        let (secret, from) = match (&self.secret_env, &self.secret_file) {
            (Some(name), _) => {
                let secret = std::env::var(name)
                    .with_context(|| format!("the variable `{name}` is not set"))?;
                (secret, format!("the variable `{name}`"))
            }
            (None, Some(path)) => {
                let from = format!("`{}`", path.display());
                (
                    fs::read_to_string(path).with_context(|| format!("cannot read {from}"))?,
                    from,
                )
            }
            (None, None) => return Ok(None),
        };
        let secret = secret.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            bail!("{from} holds no secret");
        }
        Ok(Some(secret.as_bytes().to_vec()))
    }
}

/// A receiver by its address, or by the file that holds it.
fn read_receiver(text: &str, form: NotifyForm) -> Result<NotifyTarget> {
    let Some(path) = text.strip_prefix("file:") else {
        return NotifyTarget::parse(text, form).map_err(anyhow::Error::msg);
    };
    let mut url = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MAX_ADDRESS).read_to_string(&mut url));
    read.with_context(|| format!("cannot read `{path}`"))?;
    NotifyTarget::parse(url.trim(), form).map_err(|error| anyhow!("`{path}`: {error}"))
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
struct SafetyArgs {
    /// Ask for a bearer token: a file of SHA-256 hashes in hex, one a line
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,

    /// How long a browser that has signed in with a token stays so
    #[arg(long, value_name = "TIME", default_value = "8h", value_parser = parse_duration)]
    session_time: Duration,

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
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
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
    #[arg(
        long,
        value_name = "LIST",
        default_value = "model",
        value_delimiter = ',',
        num_args = 0..=1,
        value_parser = required_dimension(),
    )]
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
fn required_dimension() -> impl TypedValueParser<Value = Option<Dimension>> {
    let fields = Dimension::WRITTEN.map(Dimension::context_field);
    let words = std::iter::once("").chain(fields);
    PossibleValuesParser::new(words).map(|word| {
        Dimension::WRITTEN
            .into_iter()
            .find(|dimension| dimension.context_field() == word)
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

fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write it as an octal number such as 0660".to_owned())
}

fn parse_refusal(text: &str) -> Result<u16, String> {
    match text {
        "403" => Ok(403),
        "503" => Ok(503),
        _ => Err("it is 503 or 403".to_owned()),
    }
}

/// The limits that no option sets.
fn limits_help() -> String {
    let limits = Limits::default();
    let lines = [
        format!(
            "a request's body has at most {} bytes (413)",
            limits.body_bytes
        ),
        format!(
            "bodies that are on their way {} bytes together (503)",
            limits.bodies_bytes
        ),
        format!(
            "its head {} bytes and {} headers (431)",
            limits.header_bytes, limits.headers
        ),
        format!("one value {MAX_VALUE} bytes, {MAX_TAGS} tags or tools (400)"),
        format!("it names {} policies (400)", limits.named_policies),
        format!(
            "a batch that is explained has {} requests (422)",
            limits.explained
        ),
        format!(
            "an answer has {} bytes and takes {:?} (422)",
            limits.answer_bytes, limits.answer_time
        ),
        format!(
            "a client that takes nothing for {:?} is cut off",
            limits.write_time
        ),
        format!(
            "a connection on which nothing is asked for {:?} is closed",
            limits.idle_time
        ),
    ];
    format!("Limits that no option sets:\n  {}", lines.join("\n  "))
}

pub(in crate::cli) fn run(shell: &Shell, args: &ServeArgs) -> Result<Exit> {
    // The first process of a container has to collect what the processes of git leave behind.
    if let Some(exit) = supervise::supervise_if_first()? {
        return Ok(exit);
    }
    args.judge_safety()?;
    quieten_shared_pool();
    let dir = match &args.init {
        Some(target) => make_repository(&shell.dir.join(target))?,
        None => shell.dir.clone(),
    };
    ops::refuse_renamed_environments(&dir, &GitEnv::from_process(), args.fetch.as_deref())?;
    let secrets = args.safety.secrets();
    let credentials = Arc::<Credentials>::default();
    secrets.read_into(&credentials)?;
    let notifications = args.notify.options()?;
    let target = args.logs.decision_target();
    if let Some(target) = &target {
        target
            .check_target()
            .with_context(|| args.logs.cannot_write())?;
    }
    start_logs(&args.logs, print::choose_error_style(shell.color).color)?;
    let sockets = args
        .listen
        .iter()
        .map(|address| Socket::bind(address, args.socket_mode))
        .collect::<Result<Vec<_>>>()?;

    let systemd = Systemd::from_process();
    let daemon = Daemon::start_daemon(args.config(lasting_path(&dir)), systemd.clone())
        .context("cannot start")?;
    let hub = daemon.hub().clone();
    let decisions = match target {
        Some(target) => Some(args.logs.start_decisions(target, &hub)?),
        None => None,
    };
    if let Some(notifications) = notifications {
        http::notify_targets(hub.clone(), notifications).context("cannot start")?;
    }
    args.announce_start(&sockets, &daemon);

    let shadow = args
        .shadow_options(&dir)
        .map(|options| Shadow::start_shadow(hub.clone(), options));
    let shadow = shadow.transpose().context("cannot start")?;
    let options = args.options(&dir, credentials.clone(), decisions.clone(), shadow);
    let (listeners, sockets) = listen::into_listeners(sockets);
    let urge = daemon.urge_look();
    let notes = hub.notes().clone();
    let reopened = decisions.clone();
    let hangup = move || {
        let trouble = secrets.read_into(&credentials).err();
        let trouble = trouble.map(|error| format!("kept the old tokens and TLS files: {error:#}"));
        notes.report_trouble(Subject::Reload, "", trouble);
        if let Some(log) = &reopened {
            log.reopen();
        }
        urge();
    };
    let signals = Signals {
        hangup: Box::new(hangup),
        ending: Box::new(move || systemd.tell_stopping()),
    };
    let served = http::serve_listeners(listeners, hub, options, signals).context("cannot serve");
    sockets.into_iter().for_each(SocketFile::remove);
    if let Some(log) = &decisions {
        log.flush();
    }
    drop(daemon);
    served.map(|()| Exit::Fine)
}

/// A repository from the example, promoted; a repository that is there already is left as it is.
fn make_repository(dir: &Path) -> Result<PathBuf> {
    let occupied = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if !occupied {
        ops::init_repository(dir)?;
    } else if Workspace::open(dir)?.repo().is_err() {
        bail!(
            "`{}` is not empty and in no git repository: name a new folder",
            dir.display()
        );
    }
    Ok(dir.to_owned())
}

fn first_steps(address: &str, with_pages: bool) -> String {
    let page = format!("see what is in force: {address}/ui/\n");
    let page = if with_pages { page.as_str() } else { "" };
    format!(
        "try:
  curl -s {address}/v1/status
  curl -s {address}/v1/resolve -d '{{\"context\":{{\"team\":\"health-eu\",\"model\":\"gpt-4o\",\"tags\":[\"phi-eu\"]}}}}'
  curl -si {address}/v1/authz -H 'X-Refguard-Team: health-eu' -H 'X-Refguard-Model: gpt-4o'
{page}"
    )
}

impl ServeArgs {
    fn config(&self, dir: PathBuf) -> Config {
        let fetch = self.fetch.clone().map(|remote| Fetch {
            remote,
            interval: self.interval,
        });
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

    fn shadow_options(&self, dir: &Path) -> Option<ShadowOptions> {
        Some(ShadowOptions {
            dir: lasting_path(dir),
            revision: self.shadow.revision.clone()?,
            poll: self.poll,
            samples: usize::try_from(self.shadow.samples).unwrap_or(MAX_SAMPLES),
            hash_keys: self.shadow.hash_keys,
        })
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
                "an address beyond loopback needs `--tls-cert FILE --tls-key FILE` (or \
                 `--insecure`)"
            );
        }
        Ok(())
    }

    fn options(
        &self,
        dir: &Path,
        credentials: Arc<Credentials>,
        decisions: Option<Arc<DecisionLog>>,
        shadow: Option<Arc<Shadow>>,
    ) -> Options {
        let safety = &self.safety;
        let is_guarded = self.listen.iter().any(Address::is_loopback)
            && self.listen.iter().all(Address::is_local);
        Options {
            limits: Limits {
                connections: safety.max_connections.max(1),
                batch: safety.max_batch,
                parked: safety.max_parked,
                header_time: safety.header_timeout,
                body_time: safety.body_timeout,
                shutdown_time: safety.shutdown_timeout,
                ..Limits::default()
            },
            credentials,
            hosts: is_guarded.then(|| HostGuard {
                allowed: safety.allowed_host.clone(),
            }),
            authz: self.authz.options(),
            strict_requests: self.strict_requests,
            decisions,
            shadow,
            pages: !self.no_ui,
            page_links: self.link.clone().map(|template| ForgeLinks {
                template,
                prefix: Workspace::open(dir)
                    .map(|workspace| workspace.root().prefix().to_owned())
                    .unwrap_or_default(),
            }),
            session_time: safety.session_time,
        }
    }

    /// Says where it listens, and after `--init` what to try. That nobody reads it must not end a
    /// daemon.
    fn announce_start(&self, sockets: &[Socket], daemon: &Daemon) {
        let scheme = if self.safety.tls_cert.is_some() {
            "https"
        } else {
            "http"
        };
        let shown: Vec<String> = sockets.iter().map(|socket| socket.url(scheme)).collect();
        let lines: String = shown
            .iter()
            .map(|address| format!("listening on {address}\n"))
            .collect();
        let _ = print::write_results(&lines);

        if self.init.is_some() {
            daemon.wait_for_first_look();
            let first = shown
                .first()
                .map(|address| first_steps(address, !self.no_ui));
            let _ = print::write_results(&first.unwrap_or_default());
        }
    }
}

impl SafetyArgs {
    fn secrets(&self) -> Secrets {
        Secrets {
            tokens: self.tokens.clone(),
            tls: self.tls_cert.clone().zip(self.tls_key.clone()),
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
    fn decision_target(&self) -> Option<LogTarget> {
        let path = self.decision_log.as_ref()?;
        Some(match path == Path::new("-") {
            true => LogTarget::Stderr,
            false => LogTarget::File(path.clone()),
        })
    }

    fn cannot_write(&self) -> String {
        let path = self.decision_log.clone().unwrap_or_default();
        format!("cannot write `{}`", path.display())
    }

    fn start_decisions(&self, target: LogTarget, hub: &Hub) -> Result<Arc<DecisionLog>> {
        let lines = LineLog::start_writer(target, hub).with_context(|| self.cannot_write())?;
        Ok(Arc::new(DecisionLog::new(
            lines,
            self.decision_sample,
            self.decision_hash_keys,
        )))
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

/// A path that leads to whatever stands there later too: absolute, with its symbolic links. Of a
/// shell's folder, by the name that the shell has for it.
fn lasting_path(dir: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let named = std::env::var_os("PWD").map(PathBuf::from);
    let is_here = |named: &PathBuf| {
        named.is_absolute() && fs::canonicalize(named).is_ok_and(|found| found == here)
    };
    let base = named.filter(is_here).unwrap_or(here);
    match dir == Path::new(".") {
        true => base,
        false => base.join(dir),
    }
}
