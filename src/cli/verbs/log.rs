//! `refguard log`

use anyhow::Result;
use clap::Args;

use crate::cli::args::BasicFormat;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::Workspace;
use crate::output;

/// Tell the history of an environment: who, when, why, what changed
///
/// Promotions, rollbacks and holds, and where something else moved the ref; the newest first.
///
/// Example: refguard log --policy healthcare-compliance
#[derive(Debug, Args)]
pub(in crate::cli) struct LogArgs {
    /// The environment
    #[arg(long, value_name = "ENV", default_value = "production")]
    environment: String,

    /// Only what changed this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// How the history is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &LogArgs) -> Result<Exit> {
    let log = Workspace::open(&shell.dir)?.log(&args.environment, args.policy.as_deref())?;
    match args.format {
        BasicFormat::Json => print::json(&log)?,
        BasicFormat::Human => {
            print::results(&output::promotion_log(&log, print::style(shell.color)))?
        }
    }
    Ok(Exit::Fine)
}
