//! `refguard log`

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::cli::args::{FetchArgs, TimeArgs};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{completion, print, progress};
use crate::ops::VersionHistory;
use crate::output;

/// Tell the history of an environment: who, when, why, what changed
///
/// Promotions, rollbacks, holds and releases, gates that were passed by a flag, and where something
/// else moved the ref; the newest first.
///
/// Example: refguard log --policy healthcare-compliance
#[derive(Debug, Args)]
pub(in crate::cli) struct LogArgs {
    /// The environment
    #[arg(
        long,
        visible_alias = "env",
        value_name = "ENV",
        default_value = "production",
        add = completion::complete_environments()
    )]
    environment: String,

    /// Only what changed this policy
    #[arg(long, value_name = "NAME", add = completion::complete_policies())]
    policy: Option<String>,

    #[command(flatten)]
    fetch: FetchArgs,

    #[command(flatten)]
    times: TimeArgs,

    /// How the history is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: LogFormat,
}

/// Formats of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Human,
    /// For programs: versioned and stable
    Json,
    /// For spreadsheets: a line an entry
    Csv,
}

pub(in crate::cli) fn run(shell: &Shell, args: &LogArgs) -> Result<Exit> {
    let workspace = shell.open_environment(&args.environment, &args.fetch)?;
    let log = progress::while_working("reading the promotions", || {
        workspace.log(&args.environment, args.policy.as_deref())
    })?;
    if log.promotions.is_empty()
        && let Some(unknown) = workspace.left_unfetched(&args.environment)?
    {
        print::write_message(&format!("note: {unknown}"));
    }
    if let Some(policy) = args.policy.as_deref().filter(|_| log.promotions.is_empty()) {
        // An error where history has no such policy, with the name that is nearest.
        VersionHistory::new(&workspace).versions_of(policy, &progress::Bar::of_commits())?;
        if args.format == LogFormat::Human {
            let environment = &log.environment;
            let text = format!("no promotion to {environment} has changed `{policy}` yet");
            print::write_line(&text)?;
            return Ok(Exit::Fine);
        }
    }
    match args.format {
        LogFormat::Json => print::write_json(&log)?,
        LogFormat::Csv => print::write_results(&output::promotion_log_csv(&log))?,
        LogFormat::Human => shell.write_page(&output::format_promotion_log(
            &log,
            args.times.dress_time(print::choose_style(shell.color)),
        ))?,
    }
    Ok(Exit::Fine)
}
