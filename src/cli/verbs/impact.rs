//! `refguard impact`

use anyhow::Result;
use clap::Args;
use refguard_core::prove::impact;

use super::diff::{Sides, SidesArgs};
use crate::cli::args::{BudgetArgs, ChangeFormat};
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::output;

/// Tell what a change does to every possible request, exactly
///
/// Regions of requests that lose or gain guardrails, losses first, each with a request to show for
/// it and the documents that caused it; and whether less is blocked than before. Without arguments:
/// production against the work tree.
///
/// Example: refguard impact production HEAD --format markdown
#[derive(Debug, Args)]
pub(in crate::cli) struct ImpactArgs {
    #[command(flatten)]
    sides: SidesArgs,

    #[command(flatten)]
    budget: BudgetArgs,

    /// How the regions are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ImpactArgs) -> Result<Exit> {
    let Sides { base, head } = args.sides.read_both(shell)?;
    let mut impact = impact(&base.engine, &head.engine, &args.budget.budget());
    impact.base = base.origin.name;
    impact.head = head.origin.name;
    match args.format {
        ChangeFormat::Json => print::json(&impact)?,
        ChangeFormat::Human => {
            print::results(&output::impact_human(&impact, print::style(shell.color)))?
        }
        ChangeFormat::Markdown => print::results(&output::impact_markdown(&impact))?,
    }
    Ok(Exit::Fine)
}
