//! `refguard promote`

use anyhow::Result;
use clap::Args;

use super::change;
use crate::cli::args::ChangeFormat;
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::{HomeRequest, Lowered, Plan, PromoteRequest, Selection, Workspace};

/// Move an environment to a commit, in one step
///
/// Makes one commit on the environment's branch and moves its ref by compare-and-swap. Every gate
/// is asked before: valid, tests, empty, published, older, freeze, soak, hold, weaken, safeguards.
/// Without REV the tip of the branch that the environment is promoted from is taken, never HEAD.
/// Exit 3: somebody else was first.
///
/// Example: refguard promote --dry-run
///
/// Example: refguard promote --policy healthcare-compliance --reason "audit finding 12"
#[derive(Debug, Args)]
pub(in crate::cli) struct PromoteArgs {
    /// The commit
    #[arg(value_name = "REV", add = completion::complete_revisions())]
    revision: Option<String>,

    /// The environment
    #[arg(
        long,
        visible_alias = "env",
        value_name = "ENV",
        default_value = "production",
        add = completion::complete_environments()
    )]
    to: String,

    /// Promote only this policy (repeatable)
    #[arg(long = "policy", value_name = "NAME", add = completion::complete_policies())]
    policies: Vec<String>,

    /// Promote only the removal of this policy (repeatable)
    #[arg(long = "remove", value_name = "NAME")]
    removed: Vec<String>,

    /// Say what would change and what the gates say; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Why: one line, kept in the commit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Go on only if the environment is at OLD (`none`: it does not exist yet)
    #[arg(long, value_name = "OLD")]
    expect: Option<String>,

    /// Make the promotion at REMOTE (default: where the environment lives); what is here follows
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,

    /// Move what is here, without asking any remote
    #[arg(long, conflicts_with = "push")]
    local: bool,

    /// Pass the gate *published*; recorded
    #[arg(long)]
    allow_unpublished: bool,

    /// Pass the gate *older*; recorded
    #[arg(long)]
    allow_older: bool,

    /// Pass the gate *weaken*; recorded with the reason
    #[arg(long, value_name = "REASON")]
    allow_weaken: Option<String>,

    /// Pass the gate *safeguards*; recorded with the reason
    #[arg(long, value_name = "REASON")]
    allow_safeguards: Option<String>,

    /// Pass the gate *freeze*; recorded with the reason
    #[arg(long, value_name = "REASON")]
    allow_freeze: Option<String>,

    /// Pass the gate *soak*; recorded with the reason
    #[arg(long, value_name = "REASON")]
    allow_soak: Option<String>,

    /// Pass the gate *hold* and end the hold; recorded with the reason
    #[arg(long, value_name = "REASON")]
    release_hold: Option<String>,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &PromoteArgs) -> Result<Exit> {
    let workspace = Workspace::open(&shell.dir)?;
    let request = PromoteRequest {
        to: args.to.clone(),
        revision: args.revision.clone(),
        selection: Selection {
            policies: args.policies.clone(),
            removed: args.removed.clone(),
        },
        reason: args.reason.clone(),
        expect: args.expect.clone(),
        home: HomeRequest {
            push: args.push.clone(),
            local: args.local,
        },
        lowered: Lowered {
            unpublished: args.allow_unpublished,
            older: args.allow_older,
            weaken: args.allow_weaken.clone(),
            safeguards: args.allow_safeguards.clone(),
            freeze: args.allow_freeze.clone(),
            soak: args.allow_soak.clone(),
            hold: args.release_hold.clone(),
        },
    };
    let plan = progress::while_working("asking the gates", || workspace.plan_promotion(request))?;
    change::say_gates(&plan.verdict);
    if plan.already_there {
        warn_of_what_no_gate_saw(&plan);
    }
    if args.dry_run {
        return change::dry_run(shell, &change::Preview::of_promotion(&plan), args.format);
    }
    if plan.verdict.refuses() {
        return change::report_refusal(&args.to, &plan.verdict, args.format);
    }
    change::report_change(&workspace.promote(&plan)?, "promoted", args.format)
}

/// Where the environment has the set already no gate is asked: a hold, and a move that no promotion
/// made, are said here.
fn warn_of_what_no_gate_saw(plan: &Plan) {
    let ledger = &plan.environment.ledger;
    if ledger.external_tip().is_some() {
        print::write_message(
            "warning: something else than a promotion moved the environment to this set: no gate \
             was asked",
        );
    }
    if let Some((promotion, reason)) = ledger.standing_hold() {
        let number = promotion.record.number;
        print::write_message(&format!(
            "warning: on hold since promotion {number}: {reason}"
        ));
    }
}
