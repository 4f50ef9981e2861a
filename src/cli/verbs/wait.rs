//! `refguard wait`

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::args::{BasicFormat, parse_duration};
use crate::cli::asker::{Answer, Asker, DaemonArgs};
use crate::cli::exit::Exit;
use crate::cli::fleet::{Fleet, FleetClient};
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{Brought, Workspace};

/// How long to rest between two looks.
const REST: Duration = Duration::from_millis(100);
/// The rest between two looks at what is enforced: the listings may be large.
const LONG_REST: Duration = Duration::from_secs(1);
/// Clients that are named when the time is over.
const NAMED: usize = 10;

/// Wait until every daemon serves a commit, followers enforce it, or it answers at all
///
/// For a deployment that must not go on before its policies are in force everywhere, and, with
/// `--ready`, for the health check of a container. Exits 1 when the time is over, or at once where
/// a daemon rejected the commit; stderr says which daemon serves what, and which client enforces
/// what.
///
/// Example: refguard wait --commit production --enforced --expect 4 http://10.0.0.5:8731
#[derive(Debug, Args)]
pub(in crate::cli) struct WaitArgs {
    /// The commit: a full hash, or a revision of this repository such as `production`; of what was
    /// promoted, such as `main`, the promotion that brought it
    #[arg(long, value_name = "REV", required_unless_present = "ready")]
    commit: Option<String>,

    /// Wait for requests to be answered, from whatever commit: what `/readyz` says
    #[arg(long, conflicts_with_all = ["commit", "set", "enforced"])]
    ready: bool,

    /// Wait also until followers report that they enforce it, and none that another one is enforced
    #[arg(long)]
    enforced: bool,

    /// How many followers at least, of all daemons together
    #[arg(long, value_name = "N", default_value_t = 1, requires = "enforced")]
    expect: usize,

    /// The set that must serve it
    #[arg(long, value_name = "NAME", default_value = "production")]
    set: String,

    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    daemons: DaemonArgs,

    /// How the end of the wait is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &WaitArgs) -> Result<Exit> {
    let goal = match &args.commit {
        Some(revision) => Goal::Serves {
            commit: served_commit(shell, revision, &args.set)?,
            set: &args.set,
        },
        None => Goal::Ready,
    };
    let asker = args.daemons.asker()?;

    let deadline = Instant::now() + args.timeout;
    loop {
        let (mut looks, mut instants) = (Vec::new(), Vec::new());
        for (daemon, answer) in asker.ask_all("GET", goal.path()) {
            match goal.look_at(daemon, answer) {
                Look::There { instant } => instants.push(instant),
                look => looks.push(look),
            }
        }
        if looks.is_empty() && args.enforced {
            looks = describe_unenforced(&asker, &goal, args.expect, &instants);
        }
        if looks.is_empty() {
            goal.tell_outcome(&looks, args.format)?;
            return Ok(Exit::Fine);
        }
        let is_hopeless = looks.iter().any(|look| matches!(look, Look::Hopeless(_)));
        if is_hopeless || Instant::now() >= deadline {
            goal.tell_outcome(&looks, args.format)?;
            return Ok(Exit::Fault);
        }
        thread::sleep(if args.enforced { LONG_REST } else { REST });
    }
}

/// The commit that a daemon serves where a revision is in force; a full hash need not be in any
/// repository here.
fn served_commit(shell: &Shell, revision: &str, set: &str) -> Result<String> {
    let is_hash = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let workspace = match Workspace::open(&shell.dir) {
        Err(_) if is_hash => return Ok(revision.to_ascii_lowercase()),
        opened => opened?,
    };
    let commit = match workspace.revision(revision) {
        Err(_) if is_hash => return Ok(revision.to_ascii_lowercase()),
        found => found?.0,
    };

    // A set that is no environment, such as a work tree, has no promotions.
    let Ok(brought) = workspace.promotion_of(set, commit) else {
        return Ok(commit.to_string());
    };
    let help = format!("daemons serve promotions: name `{set}`, or one of them as `{set}#N`");
    match brought {
        Some(Brought::Itself) => {}
        Some(Brought::By { number, tip }) => {
            print::write_message(&format!(
                "note: promotion {number} brought `{revision}` to `{set}`: waiting for it, {tip}"
            ));
            return Ok(tip.to_string());
        }
        Some(Brought::InPart { number }) => print::write_message(&format!(
            "warning: promotion {number} brought only some policies of `{revision}` to `{set}`, \
             and none that is known here brought all of it; {help}"
        )),
        None => print::write_message(&format!(
            "warning: no promotion that is known here has brought `{revision}` to `{set}`, and \
             {help}"
        )),
    }
    Ok(commit.to_string())
}

/// How a follower stands with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It enforces it.
    Enforces,
    /// It was lost while it did: it proves nothing, and hinders nothing.
    Silent,
    /// It enforces something else: another commit, the same as of another instant, or what it had
    /// before it refused.
    Other,
}

/// A follower that tells no instant is judged by the commit alone, any other one by the instants as
/// of which daemons serve it, too.
fn describe_standing(
    client: &FleetClient,
    commit: &str,
    instants: &[Option<Timestamp>],
) -> Standing {
    let is_of_now = client.instant.is_none() || instants.contains(&client.instant);
    let is_same = client.commit.as_deref() == Some(commit) && is_of_now;
    match (is_same, client.state.as_str()) {
        (true, "lost") => Standing::Silent,
        (true, "rejected") | (false, _) => Standing::Other,
        (true, _) => Standing::Enforces,
    }
}

/// What is not enforced yet. `instants` are those of the daemons' sets.
fn describe_unenforced(
    asker: &Asker<'_>,
    goal: &Goal<'_>,
    expect: usize,
    instants: &[Option<Timestamp>],
) -> Vec<Look> {
    let Goal::Serves { commit, set } = goal else {
        return Vec::new();
    };
    let fleet = Fleet::ask(asker, Some(set));
    let mut looks: Vec<Look> = fleet
        .failed()
        .map(|(daemon, error)| Look::Lags(format!("{daemon}: {error}")))
        .collect();
    let clients = fleet.clients();
    let standing = |client: &FleetClient| describe_standing(client, commit, instants);
    let enforcing = clients
        .iter()
        .filter(|client| standing(client) == Standing::Enforces)
        .count();
    if enforcing < expect {
        looks.push(Look::Lags(format!(
            "{enforcing} of {expect} clients enforce {commit}"
        )));
    }
    let others: Vec<&FleetClient> = clients
        .into_iter()
        .filter(|client| client.commit.is_some() && standing(client) == Standing::Other)
        .collect();
    looks.extend(
        others
            .iter()
            .take(NAMED)
            .map(|client| Look::Lags(client.describe())),
    );
    if others.len() > NAMED {
        let more = others.len() - NAMED;
        looks.push(Look::Lags(format!(
            "{more} more clients enforce another commit"
        )));
    }
    if others.iter().any(|client| client.state == "lost") {
        looks.push(Look::Lags(
            "lost clients count until they are forgotten, a day after their last report: what is \
             not there \
             anymore is forgotten at once with `refguard fleet --forget ID`"
                .to_owned(),
        ));
    }
    looks
}

/// What every daemon is waited for.
#[derive(Debug)]
enum Goal<'a> {
    /// Requests are answered.
    Ready,
    /// A set is served from a commit.
    Serves { commit: String, set: &'a str },
}

/// How it stands with a daemon or its followers.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is there; of a set that is served, with the instant as of which.
    There { instant: Option<Timestamp> },
    /// It is not there yet, in words.
    Lags(String),
    /// It will not be there.
    Hopeless(String),
}

impl Look {
    fn words(&self) -> Option<&str> {
        match self {
            Self::There { .. } => None,
            Self::Lags(words) | Self::Hopeless(words) => Some(words),
        }
    }
}

impl Goal<'_> {
    /// The path that tells of it.
    fn path(&self) -> &'static str {
        match self {
            Self::Ready => "/readyz",
            Self::Serves { .. } => "/v1/status",
        }
    }

    /// Says how the wait ended, by what is in the way still.
    fn tell_outcome(&self, looks: &[Look], format: BasicFormat) -> Result<()> {
        if format == BasicFormat::Human {
            looks
                .iter()
                .filter_map(Look::words)
                .for_each(print::write_message);
            return Ok(());
        }
        let (commit, set) = match self {
            Self::Ready => (None, None),
            Self::Serves { commit, set } => (Some(commit), Some(set)),
        };
        print::write_json(&json!({
            "version": 1,
            "reached": looks.is_empty(),
            "rejected": looks.iter().any(|look| matches!(look, Look::Hopeless(_))),
            "commit": commit,
            "set": set,
            "waiting": looks.iter().filter_map(Look::words).collect::<Vec<_>>(),
        }))
    }

    fn look_at(&self, daemon: &str, answer: Result<Answer>) -> Look {
        match answer.and_then(|answer| self.judge_look(daemon, &answer)) {
            Ok(look) => look,
            Err(error) => Look::Lags(format!("{daemon}: {error:#}")),
        }
    }

    fn judge_look(&self, daemon: &str, answer: &Answer) -> Result<Look> {
        let (commit, set) = match self {
            Self::Ready if answer.status == "200" => return Ok(Look::There { instant: None }),
            Self::Ready => {
                return Ok(Look::Lags(format!(
                    "{daemon} {}",
                    answer.title("is not ready")
                )));
            }
            Self::Serves { commit, set } => (commit, set),
        };
        let status = answer.json()?;
        let sets = status
            .get("sets")
            .and_then(Value::as_array)
            .context("its status has no sets")?;
        let is_named = |found: &&Value| found.get("name").and_then(Value::as_str) == Some(set);
        let found = sets.iter().find(is_named);
        let served = found
            .and_then(|found| found.get("commit"))
            .and_then(Value::as_str);
        if served == Some(commit) {
            let instant = found
                .and_then(|found| found.get("instant"))
                .and_then(Value::as_str);
            return Ok(Look::There {
                instant: instant.and_then(|instant| instant.parse().ok()),
            });
        }
        if let Some(why) = found.and_then(|found| describe_rejection(found, commit)) {
            return Ok(Look::Hopeless(format!("{daemon} rejected {commit}: {why}")));
        }
        Ok(Look::Lags(match served {
            Some(served) => format!("{daemon} serves {served}"),
            None => format!("{daemon} serves nothing as `{set}`"),
        }))
    }
}

/// Why a daemon rejected a commit for its content; `None`: it did not.
fn describe_rejection(set: &Value, commit: &str) -> Option<String> {
    let rejected = set.get("rejected")?;
    if rejected.get("commit").and_then(Value::as_str) != Some(commit) {
        return None;
    }
    let text = |value: &Value, field: &str| {
        value
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let first = rejected
        .get("findings")
        .and_then(Value::as_array)
        .and_then(|all| all.first());
    Some(match first {
        Some(finding) => {
            let line = finding
                .get("line")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            let (file, code) = (text(finding, "file"), text(finding, "code"));
            format!("{file}:{line}: {code} {}", text(finding, "message"))
        }
        None => text(rejected, "message"),
    })
}
