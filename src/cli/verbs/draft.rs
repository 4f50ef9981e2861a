//! `refguard draft`

use anyhow::Result;
use clap::Args;

use crate::cli::args::BasicFormat;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{completion, print, progress};
use crate::ops::{VersionHistory, Which, Workspace};

/// Write the document of an older version into the work tree, to be edited and committed
///
/// The text is that of the version, comments included. It takes the place of the document that
/// holds the policy now, or gets a file of its own under policies/. A file with changes that are
/// not committed is left alone.
///
/// Example: refguard draft healthcare-compliance --from 3
#[derive(Debug, Args)]
pub(in crate::cli) struct DraftArgs {
    /// The policy's name
    #[arg(add = completion::complete_policies())]
    name: String,

    /// The version: N, latest, production (or another environment) or REV [default: the newest that
    /// has a document]
    #[arg(long, value_name = "N")]
    from: Option<String>,

    /// Overwrite changes that are not committed
    #[arg(long)]
    force: bool,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &DraftArgs) -> Result<Exit> {
    let from = args.from.as_deref().map(Which::parse);
    let workspace = Workspace::open(&shell.dir)?;
    let draft = VersionHistory::new(&workspace).draft(
        &args.name,
        from,
        args.force,
        &progress::Bar::of_commits(),
    )?;
    match args.format {
        BasicFormat::Json => print::write_json(&draft)?,
        BasicFormat::Human => {
            let is = if draft.changed {
                "now holds"
            } else {
                "already holds"
            };
            print::write_line(&format!(
                "{} {is} {}@{}",
                draft.file, draft.policy, draft.number
            ))?;
        }
    }
    Ok(Exit::Fine)
}
