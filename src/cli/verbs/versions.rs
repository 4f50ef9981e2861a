//! `refguard versions`

use anyhow::Result;
use clap::Args;

use crate::cli::args::{BasicFormat, TimeArgs};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{completion, print, progress};
use crate::ops::{VersionHistory, Workspace};
use crate::output;

/// List the versions of a policy, the newest first
///
/// Version N is the N-th change of the policy's document on the first-parent history of the publish
/// branch; a removal is one too. Moving the file, reformatting and comments make no version.
///
/// Example: refguard versions healthcare-compliance
#[derive(Debug, Args)]
pub(in crate::cli) struct VersionsArgs {
    /// The policy's name
    #[arg(add = completion::complete_policies())]
    name: String,

    #[command(flatten)]
    times: TimeArgs,

    /// How the list is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &VersionsArgs) -> Result<Exit> {
    let workspace = Workspace::open(&shell.dir)?;
    let list =
        VersionHistory::new(&workspace).version_list(&args.name, &progress::Bar::of_commits())?;
    match args.format {
        BasicFormat::Json => print::write_json(&list)?,
        BasicFormat::Human => {
            let style = args.times.dress_time(print::choose_style(shell.color));
            shell.write_page(&output::format_versions(&list, style))?;
        }
    }
    Ok(Exit::Fine)
}
