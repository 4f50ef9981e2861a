//! `refguard hold`

use anyhow::Result;
use clap::Args;

use super::change;
use crate::cli::args::ChangeFormat;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::ops::Workspace;

/// Let no promotion follow until the hold is released
///
/// Ended by `promote --release-hold "reason"`.
///
/// Example: refguard hold "freeze until the audit is over"
#[derive(Debug, Args)]
pub(in crate::cli) struct HoldArgs {
    /// Why: one line, kept in the commit
    reason: String,

    /// The environment
    #[arg(long, value_name = "ENV", default_value = "production")]
    environment: String,

    /// Push to REMOTE, and move the local refs only after it took the hold
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &HoldArgs) -> Result<Exit> {
    let workspace = Workspace::open(&shell.dir)?;
    let plan = workspace.plan_hold(&args.environment, &args.reason, args.push.as_deref())?;
    change::say_gates(&plan.verdict);
    if plan.verdict.refuses() {
        return change::refused(&args.environment, &plan.verdict, args.format);
    }
    change::done(&workspace.roll_back(&plan)?, "on hold", args.format)
}
