//! `refguard review`

use anyhow::Result;
use clap::Args;

use crate::cli::args::{BudgetArgs, ChangeFormat, DetailArgs};
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{Source, Workspace};
use crate::output;

/// Put together what a reviewer needs to know of a change
///
/// Findings that are new, what changed by meaning with losses of protection first, what that does
/// to every possible request, tests and coverage beside those of before, the versions that the
/// merge will make, and whether the environments could take it. BASE is taken where the change
/// began, so what was merged since is no part of it. Without arguments: the publish branch against
/// the work tree. Exit 1: the set after has an error or a failed test.
///
/// Example: refguard review origin/main HEAD --format markdown
#[derive(Debug, Args)]
pub(in crate::cli) struct ReviewArgs {
    /// What the change is to be merged into: a revision (default: the publish branch)
    #[arg(value_name = "BASE")]
    base: Option<String>,

    /// The set after: a revision (default: the work tree)
    #[arg(value_name = "HEAD")]
    head: Option<String>,

    /// The set after is the index that git names
    #[arg(long, conflicts_with = "head")]
    staged: bool,

    #[command(flatten)]
    budget: BudgetArgs,

    #[command(flatten)]
    detail: DetailArgs,

    /// How the review is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ReviewArgs) -> Result<Exit> {
    let head = match &args.head {
        Some(revision) => Source::At(revision.clone()),
        None if args.staged => Source::Staged,
        None => Source::Worktree,
    };
    let (budget, detail) = (args.budget.budget(), args.detail.detail());
    let review =
        Workspace::open(&shell.dir)?.review(args.base.as_deref(), &head, &budget, detail)?;
    match args.format {
        ChangeFormat::Json => print::write_json(&output::review_json(&review))?,
        ChangeFormat::Markdown => print::write_results(&output::review_markdown(&review))?,
        ChangeFormat::Human => {
            print::write_results(&output::review_human(&review, print::choose_style(shell.color)))?
        }
    }
    Ok(Exit::fault_if(review.is_faulty()))
}
