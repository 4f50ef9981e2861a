//! `refguard release`

use anyhow::Result;
use clap::Args;

use super::change;
use crate::cli::args::{ChangeFormat, ReasonArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{HomeRequest, Workspace};

/// End a hold: promotions may follow again
///
/// The set stays as it is. Where there is no hold, nothing is done.
///
/// Example: refguard release "the audit is over"
#[derive(Debug, Args)]
pub(in crate::cli) struct ReleaseArgs {
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

    /// Release it at REMOTE (default: where the environment lives); what is here follows
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,

    /// Move what is here, without asking any remote
    #[arg(long, conflicts_with = "push")]
    local: bool,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ReleaseArgs) -> Result<Exit> {
    let workspace = Workspace::open(&shell.dir)?;
    let home = HomeRequest {
        push: args.push.clone(),
        local: args.local,
    };
    let plan = workspace.plan_release(&args.environment, args.reason.text(), &home)?;
    change::say_gates(&plan.verdict);
    if plan.verdict.refuses() {
        return change::report_refusal(&args.environment, &plan.verdict, args.format);
    }
    if plan.is_idle() {
        print::write_message(&format!("note: `{}` is not on hold", args.environment));
    }
    change::report_change(&workspace.roll_back(&plan)?, "released", args.format)
}
