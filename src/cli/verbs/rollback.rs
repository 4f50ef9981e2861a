//! `refguard rollback`

use anyhow::Result;
use clap::Args;

use super::change;
use crate::cli::args::ChangeFormat;
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::ops::{HomeRequest, RollbackRequest, Workspace};
use crate::repo::Target;

/// Bring back what was in an environment before, and hold it there
///
/// Makes a promotion with the tree of an earlier one. The environment is then on hold: the next
/// `promote` is refused until `release`. A second rollback goes further back. Only a set that is
/// not valid is refused; what the other gates have to say is a warning.
///
/// Example: refguard rollback --reason "false positives in support"
#[derive(Debug, Args)]
pub(in crate::cli) struct RollbackArgs {
    /// The promotion to go back to, or the commit of an external move (default: what was in force
    /// before)
    #[arg(long, value_name = "N|COMMIT", add = completion::complete_promotions())]
    to: Option<Target>,

    /// The environment
    #[arg(
        long,
        visible_alias = "env",
        value_name = "ENV",
        default_value = "production",
        add = completion::complete_environments()
    )]
    environment: String,

    /// Say what would change and what the gates say; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Why: one line, kept in the commit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Go on only if the environment is at OLD
    #[arg(long, value_name = "OLD")]
    expect: Option<String>,

    /// Make the rollback at REMOTE (default: where the environment lives); what is here follows
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,

    /// Move what is here, without asking any remote
    #[arg(long, conflicts_with = "push")]
    local: bool,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &RollbackArgs) -> Result<Exit> {
    let workspace = Workspace::open(&shell.dir)?;
    let plan = workspace.plan_rollback(&RollbackRequest {
        environment: args.environment.clone(),
        to: args.to,
        reason: args.reason.clone(),
        expect: args.expect.clone(),
        home: HomeRequest {
            push: args.push.clone(),
            local: args.local,
        },
    })?;
    change::say_gates(&plan.verdict);
    if args.dry_run {
        return change::dry_run(shell, &change::Preview::of_rollback(&plan), args.format);
    }
    if plan.verdict.refuses() {
        return change::report_refusal(&args.environment, &plan.verdict, args.format);
    }
    change::report_change(&workspace.roll_back(&plan)?, "rolled back", args.format)
}
