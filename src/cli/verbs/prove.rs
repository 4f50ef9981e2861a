//! `refguard prove`

use anyhow::Result;
use clap::Args;
use refguard_core::prove::{ProveOptions, prove_from};

use crate::cli::args::{BudgetArgs, ChangeFormat, NowArgs, SourceArgs};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::Rules;
use crate::output;

/// Prove the invariants of a set, or show a request that breaks one
///
/// An Invariant document must hold for every possible request, not only for tested ones. Exit 1
/// where one does not, or where not all of it could be analysed.
///
/// Example: refguard prove --no-unguarded
#[derive(Debug, Args)]
pub(in crate::cli) struct ProveArgs {
    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    now: NowArgs,

    /// Also: no request is left without any guardrail
    #[arg(long)]
    no_unguarded: bool,

    /// Also: no request loses a guardrail by carrying more tags, or by a named team or key
    #[arg(long)]
    monotone: bool,

    #[command(flatten)]
    budget: BudgetArgs,

    /// How the verdicts are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ProveArgs) -> Result<Exit> {
    let valid = shell.load_set_by(&args.source, Rules::OfNow)?;
    let now = args.now.instant(&valid.workspace, args.source.revision());
    let options = ProveOptions {
        no_unguarded: args.no_unguarded,
        monotone: args.monotone,
    };
    let proof = progress::while_working("proving", || {
        prove_from(&valid.engine, now, options, &args.budget.budget())
    });
    match args.format {
        ChangeFormat::Json => print::write_json(&proof)?,
        ChangeFormat::Human => shell.write_page(&output::proof_human(
            &proof,
            print::choose_style(shell.color),
        ))?,
        ChangeFormat::Markdown => print::write_results(&output::proof_markdown(&proof))?,
    }
    Ok(Exit::fault_if(!proof.holds()))
}
