//! `refguard status`

use anyhow::Result;
use clap::Args;

use crate::cli::args::{BasicFormat, FetchArgs, TimeArgs};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::PRODUCTION;
use crate::output;

/// Tell what is drafted, what is published, and what each environment lacks
///
/// Drafts are policies of the work tree that differ from the publish branch. For each environment:
/// its promotion, how far it is behind, whether it is on hold, and whether something else than a
/// promotion moved it.
///
/// Example: refguard status
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    fetch: FetchArgs,

    #[command(flatten)]
    times: TimeArgs,

    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &StatusArgs) -> Result<Exit> {
    let workspace = shell.open_environment(PRODUCTION, &args.fetch)?;
    let status = progress::while_working("looking at the environments", || workspace.status())?;
    match args.format {
        BasicFormat::Json => print::write_json(&status)?,
        BasicFormat::Human => shell.write_page(&output::format_status(
            &status,
            args.times.dress_time(print::choose_style(shell.color)),
        ))?,
    }
    Ok(Exit::Fine)
}
