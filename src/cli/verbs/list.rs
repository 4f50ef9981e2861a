//! `refguard list`

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::cli::args::{BasicFormat, NowArgs, SourceArgs};
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::{ops, output};

/// List the policies or attachments of a set
///
/// Example: refguard list attachments --format json
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// What to list
    #[arg(default_value = "policies")]
    what: What,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    now: NowArgs,

    /// How the list is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// By name, with parent and guardrails
    Policies,
    /// In the order of evaluation
    Attachments,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ListArgs) -> Result<Exit> {
    let valid = shell.load_valid_set(&args.source)?;
    let set = valid.engine.set();
    let now = args.now.instant(&valid.workspace, args.source.revision());
    let listing = match args.what {
        What::Policies => ops::list_policies(set, now),
        What::Attachments => ops::list_attachments(set, now),
    };
    match args.format {
        BasicFormat::Json => print::write_json(&listing)?,
        BasicFormat::Human => {
            let style = print::choose_style(shell.color);
            shell.write_page(&output::format_table(&listing.header, &listing.rows, style))?
        }
    }
    Ok(Exit::Fine)
}
