//! `refguard impact`

use anyhow::Result;
use clap::Args;
use refguard_core::prove::{Impact, impact_from};
use refguard_core::safeguards::SafeguardDiff;
use serde::Serialize;

use super::diff::{Sides, SidesArgs};
use crate::cli::args::{BudgetArgs, ChangeFormat, DetailArgs};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::safeguards_between;
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

    #[command(flatten)]
    detail: DetailArgs,

    /// How the regions are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

/// The JSON object of `impact`.
#[derive(Serialize)]
struct ImpactReport {
    #[serde(flatten)]
    impact: Impact,
    /// What the change does to invariants, tests and settings.
    safeguards: SafeguardDiff,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ImpactArgs) -> Result<Exit> {
    let Sides {
        base,
        head,
        workspace,
    } = args.sides.read_both(shell)?;
    let (budget, detail) = (args.budget.budget(), args.detail.detail());
    let now = args.sides.instant(&workspace);
    let mut impact = progress::while_working("working out what changes", || {
        impact_from(&base.engine, &head.engine, now, &budget, detail)
    });
    impact.base = base.origin.name;
    impact.head = head.origin.name;

    let safeguards = safeguards_between(base.engine.set(), head.engine.set(), now)?;
    match args.format {
        ChangeFormat::Json => print::write_json(&ImpactReport { impact, safeguards })?,
        ChangeFormat::Human => {
            let style = print::choose_style(shell.color);
            let text = output::safeguards_human(&safeguards, style);
            shell.write_page(&(text + &output::impact_human(&impact, style)))?
        }
        ChangeFormat::Markdown => {
            let text = output::safeguards_markdown(&safeguards);
            print::write_results(&(text + &output::impact_markdown(&impact)))?
        }
    }
    Ok(Exit::Fine)
}
