//! `refguard compare`

use anyhow::Result;
use clap::Args;

use crate::cli::args::BasicFormat;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{completion, print, progress};
use crate::ops::{Address, VersionHistory, Workspace};
use crate::output;

/// Compare two versions of a policy, field by field
///
/// A version is NAME@N, NAME@latest, NAME@production (or another environment) or NAME@REV; a bare
/// NAME is the draft in the work tree.
///
/// Example: refguard compare healthcare-compliance@production healthcare-compliance@latest
#[derive(Debug, Args)]
pub(in crate::cli) struct CompareArgs {
    /// One version
    #[arg(value_name = "NAME@A", add = completion::complete_policies())]
    a: String,

    /// The other
    #[arg(value_name = "NAME@B", add = completion::complete_policies())]
    b: String,

    /// How the differences are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &CompareArgs) -> Result<Exit> {
    let workspace = Workspace::open(&shell.dir)?;
    let (a, b) = (Address::parse(&args.a), Address::parse(&args.b));
    let compared = VersionHistory::new(&workspace).compare(a, b, &progress::Bar::of_commits())?;
    match args.format {
        BasicFormat::Json => print::write_json(&compared.comparison())?,
        BasicFormat::Human => {
            let style = print::choose_style(shell.color);
            shell.write_page(&output::diff::comparison_human(
                &compared.comparison(),
                style.color,
            ))?;
        }
    }
    Ok(Exit::Fine)
}
