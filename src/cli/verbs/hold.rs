//! `refguard hold`

use anyhow::Result;
use clap::Args;

use super::change;
use crate::cli::args::{ChangeFormat, ReasonArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::ops::{HomeRequest, Workspace};

/// Let no promotion follow until the hold is released
///
/// Ended by `release "reason"`, or by a promotion with `--release-hold "reason"`.
///
/// Example: refguard hold "freeze until the audit is over"
#[derive(Debug, Args)]
pub(in crate::cli) struct HoldArgs {
    #[command(flatten)]
    reason: ReasonArgs,

    /// The environment
    #[arg(
        long,
        visible_alias = "env",
        value_name = "ENV",
        default_value = "production",
        add = completion::complete_environments()
    )]
    environment: String,

    /// Make the hold at REMOTE (default: where the environment lives); what is here follows
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,

    /// Move what is here, without asking any remote
    #[arg(long, conflicts_with = "push")]
    local: bool,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &HoldArgs) -> Result<Exit> {
    let workspace = Workspace::open(&shell.dir)?;
    let plan = {
        let home = HomeRequest {
            push: args.push.clone(),
            local: args.local,
        };
        workspace.plan_hold(&args.environment, args.reason.text(), &home)?
    };
    change::say_gates(&plan.verdict);
    if plan.verdict.refuses() {
        return change::report_refusal(&args.environment, &plan.verdict, args.format);
    }
    change::report_change(&workspace.roll_back(&plan)?, "on hold", args.format)
}
