//! `refguard validate`

use std::mem::ManuallyDrop;

use anyhow::Result;
use clap::Args;
use refguard_core::document::Finding;

use crate::cli::args::{LevelArgs, SourceArgs, findings_format};
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::{Shell, report_of};
use crate::output::{self, Format, Report};

/// Check a policy set by every rule
///
/// Reports every finding with file, line and column, sorted by place; nothing stops at the first.
/// `refguard explain CODE` tells a rule, why it is one, and how to mend a breach of it.
///
/// Example: refguard validate --staged --deny-warnings
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    levels: LevelArgs,

    /// Accept a tree without any document
    #[arg(long)]
    allow_empty: bool,

    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = findings_format())]
    format: Format,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ValidateArgs) -> Result<Exit> {
    let (source, levels) = (args.source.source(), args.levels.levels());
    let (workspace, loaded) = shell.load_set(&source, &levels, args.allow_empty)?;
    // The process ends with this verb: freeing a large set piece by piece would be for nothing.
    let loaded = ManuallyDrop::new(loaded);
    let checked = &loaded.checked;
    let mut text = Vec::new();
    let report = Report { prefix: workspace.root().prefix(), ..report_of(checked) };
    output::render(&report, args.format, print::choose_style(shell.color), &mut text)?;
    print::write_results(&String::from_utf8_lossy(&text))?;
    let errors = checked.findings.iter().any(Finding::is_error);
    Ok(Exit::fault_if(errors || (args.levels.deny_warnings && !checked.findings.is_empty())))
}
