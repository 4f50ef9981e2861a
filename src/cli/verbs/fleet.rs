//! `refguard fleet`

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::cli::args::{BasicFormat, TimeArgs};
use crate::cli::asker::{Asker, DaemonArgs};
use crate::cli::exit::Exit;
use crate::cli::fleet::{Fleet, FleetClient, FleetDaemon};
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{Rules, Source, TrackedSet, Workspace};
use crate::output::{self, Style};

/// Show what the followers of daemons enforce, and what they can run
///
/// A follower (a LiteLLM proxy with the package) reports the commit that it enforces and the
/// guardrails that it can run. `--can-run REV` exits 1 where one lacks a guardrail that some policy
/// of REV adds, so that a pipeline can ask before it promotes; also where fewer followers than
/// `--expect` report. Exits 2 where a daemon cannot be asked.
///
/// Example: refguard fleet --can-run HEAD http://10.0.0.5:8731 http://10.0.0.6:8731
#[derive(Debug, Args)]
pub(in crate::cli) struct FleetArgs {
    /// Ask whether every follower can run what this revision adds
    #[arg(long, value_name = "REV", conflicts_with = "forget")]
    can_run: Option<String>,

    /// How many followers have to report for `--can-run`, of all daemons together
    #[arg(long, value_name = "N", default_value_t = 1, requires = "can_run")]
    expect: usize,

    /// Only followers of this set (`--can-run`: production, unless said otherwise)
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// Have the daemons forget a client that is lost: one that is not there anymore (repeatable)
    #[arg(long, value_name = "ID")]
    forget: Vec<String>,

    #[command(flatten)]
    daemons: DaemonArgs,

    #[command(flatten)]
    times: TimeArgs,

    /// How the followers are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

/// The JSON object of `fleet`.
#[derive(Serialize)]
struct FleetReport<'a> {
    version: u32,
    /// How many clients there are, each counted once, by state.
    states: BTreeMap<&'a str, usize>,
    daemons: &'a [FleetDaemon],
    #[serde(skip_serializing_if = "Option::is_none")]
    can_run: Option<CanRun<'a>>,
}

/// Whether the clients can run what a revision adds.
#[derive(Serialize)]
struct CanRun<'a> {
    revision: &'a str,
    /// The guardrails that some policy adds.
    needs: Vec<&'a str>,
    /// How many clients were asked for, and how many there are.
    expected: usize,
    clients: usize,
    lacking: Vec<Lacking<'a>>,
}

/// A client that lacks guardrails.
#[derive(Serialize)]
struct Lacking<'a> {
    client: &'a str,
    owner: Option<&'a str>,
    state: &'a str,
    guardrails: Vec<&'a str>,
}

pub(in crate::cli) fn run(shell: &Shell, args: &FleetArgs) -> Result<Exit> {
    let wanted = match &args.can_run {
        Some(revision) => {
            let workspace = Workspace::open(&shell.dir)?;
            let source = Source::At(revision.clone());
            let sets = &mut TrackedSet::default();
            Some(shell.judge_set(&workspace, sets, &source, Rules::OfThen)?.0)
        }
        None => None,
    };
    let asker = args.daemons.asker()?;
    let mut is_forgotten = true;
    for id in &args.forget {
        is_forgotten &= forget_client(&asker, id);
    }

    let set = args
        .set
        .as_deref()
        .or(args.can_run.as_ref().map(|_| "production"));
    let fleet = Fleet::ask(&asker, set);
    let clients = fleet.clients();
    let can_run = wanted
        .as_ref()
        .zip(args.can_run.as_deref())
        .map(|(wanted, revision)| {
            let set = wanted.set();
            let needs: BTreeSet<&str> = set
                .policies
                .iter()
                .flat_map(|policy| policy.add.iter().map(|guardrail| set.guardrail(*guardrail)))
                .collect();
            let lacking = clients
                .iter()
                .filter_map(|client| find_lack(client, &needs))
                .collect();
            let (expected, clients) = (args.expect, clients.len());
            CanRun {
                revision,
                needs: needs.into_iter().collect(),
                expected,
                clients,
                lacking,
            }
        });
    let fits = can_run
        .as_ref()
        .is_none_or(|answer| answer.lacking.is_empty() && answer.clients >= answer.expected);

    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    clients
        .iter()
        .for_each(|client| *states.entry(&client.state).or_default() += 1);
    match args.format {
        BasicFormat::Json => print::write_json(&FleetReport {
            version: 1,
            states,
            daemons: &fleet.daemons,
            can_run,
        })?,
        BasicFormat::Human => {
            let style = args.times.dress_time(print::choose_style(shell.color));
            shell.write_page(&format_fleet(&clients, style))?;
            can_run.iter().for_each(say_what_lacks);
        }
    }
    fleet
        .failed()
        .for_each(|(daemon, error)| print::write_message(&format!("{daemon}: {error}")));
    Ok(match fleet.failed().next() {
        Some(_) => Exit::Trouble,
        None => Exit::fault_if(!fits || !is_forgotten),
    })
}

/// Takes a client out of every daemon that knows it. False where one of them refuses, or cannot be
/// asked; one that nobody knows is said, and is no fault: it is not there.
fn forget_client(asker: &Asker<'_>, id: &str) -> bool {
    let (mut is_known, mut is_refused) = (false, false);
    for (daemon, answer) in asker.ask_all("DELETE", &format!("/v1/clients/{id}")) {
        // One of several daemons knows it.
        let trouble = match answer {
            Ok(answer) if answer.status == "404" => continue,
            Ok(answer) => answer.json().err(),
            Err(error) => Some(error),
        };
        is_known = true;
        if let Some(error) = trouble {
            is_refused = true;
            print::write_message(&format!("{daemon}: {error:#}"));
        }
    }
    if !is_known {
        print::write_message(&format!("no client `{id}` is known"));
    }
    !is_refused
}

/// What a client lacks of what is needed.
fn find_lack<'a>(client: &'a FleetClient, needs: &BTreeSet<&'a str>) -> Option<Lacking<'a>> {
    let has = |name: &&&str| client.guardrails.iter().any(|own| own.name == **name);
    let guardrails: Vec<&str> = needs.iter().filter(|name| !has(name)).copied().collect();
    let (owner, state) = (client.owner.as_deref(), client.state.as_str());
    let client = client.id.as_str();
    (!guardrails.is_empty()).then_some(Lacking {
        client,
        owner,
        state,
        guardrails,
    })
}

fn say_what_lacks(can_run: &CanRun<'_>) {
    for lacking in &can_run.lacking {
        print::write_message(&format!(
            "client `{}` ({}) cannot run `{}`",
            lacking.client,
            lacking.state,
            lacking.guardrails.join("`, `")
        ));
    }
    if can_run.clients < can_run.expected {
        print::write_message(&format!(
            "{} of {} clients report: a daemon that was just started knows them within 30 seconds",
            can_run.clients, can_run.expected
        ));
    }
}

fn format_fleet(clients: &[&FleetClient], style: Style) -> String {
    if clients.is_empty() {
        return "no client reports\n".to_owned();
    }
    let mut of_id: BTreeMap<&str, usize> = BTreeMap::new();
    clients
        .iter()
        .for_each(|client| *of_id.entry(&client.id).or_default() += 1);
    let row = |client: &&FleetClient| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let commit = text(&client.commit).chars().take(10).collect();
        let seen = match style.now {
            Some(_) => output::tell_time(&client.seen_at.to_string(), style),
            None => client.seen_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        };
        // The owner is shown only where the id does not say which client it is.
        let is_shared = of_id
            .get(client.id.as_str())
            .is_some_and(|count| *count > 1);
        let owner = client.owner.as_ref().filter(|_| is_shared);
        let id = owner.map_or_else(
            || client.id.clone(),
            |owner| format!("{} ({owner})", client.id),
        );
        vec![
            id,
            text(&client.set),
            client.state.clone(),
            commit,
            seen,
            client.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = clients.iter().map(row).collect();
    output::format_table(
        &["client", "set", "state", "commit", "seen", "reason"],
        &rows,
        style,
    )
}
