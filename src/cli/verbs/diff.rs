//! `refguard diff`

use anyhow::Result;
use clap::Args;

use super::{Ready, Shell};
use crate::cli::args::ChangeFormat;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::diff::{DiffReport, diff_sets};
use crate::ops::Source;
use crate::output;

/// Tell what changed between two sets, by meaning
///
/// Policies added, removed and changed field by field; what each policy's effective guardrails gain or lose, also
/// through a parent; attachments, and what of the catalog they touch. Moves and reformatting are no change. Without
/// arguments: production against the work tree.
///
/// Example: refguard diff main HEAD --format markdown
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct DiffArgs {
    #[command(flatten)]
    sides: SidesArgs,

    /// Exit 1 where there is a difference
    #[arg(long)]
    exit_code: bool,

    /// How the difference is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

/// Two sets to be held against each other.
#[derive(Debug, Args)]
pub(super) struct SidesArgs {
    /// The set before: a revision
    #[arg(value_name = "BASE", default_value = "production")]
    base: String,

    /// The set after: a revision (default: the work tree)
    #[arg(value_name = "HEAD")]
    head: Option<String>,

    /// The set after is the index that git names
    #[arg(long, conflicts_with = "head")]
    staged: bool,
}

/// Two valid sets.
pub(super) struct Sides {
    pub base: Ready,
    pub head: Ready,
}

impl SidesArgs {
    /// Reads both; the errors of either end the verb.
    pub(super) fn ready(&self, shell: &Shell) -> Result<std::result::Result<Sides, Exit>> {
        let head = match &self.head {
            Some(revision) => Source::At(revision.clone()),
            None if self.staged => Source::Staged,
            None => Source::Worktree,
        };
        let base = match shell.ready(&Source::At(self.base.clone()))? {
            Ok(ready) => ready,
            Err(exit) => return Ok(Err(exit)),
        };
        Ok(shell.ready(&head)?.map(|head| Sides { base, head }))
    }
}

pub(in crate::cli) fn run(shell: &Shell, args: &DiffArgs) -> Result<Exit> {
    let Sides { base, head } = match args.sides.ready(shell)? {
        Ok(sides) => sides,
        Err(exit) => return Ok(exit),
    };
    let diff = diff_sets(base.engine.set(), head.engine.set());
    let report = DiffReport::new(&base.origin.name, &head.origin.name, &diff);
    match args.format {
        ChangeFormat::Json => print::json(&report)?,
        ChangeFormat::Human => print::results(&output::diff::human(&report, print::style(shell.color).color))?,
        ChangeFormat::Markdown => print::results(&output::diff::markdown(&report))?,
    }
    Ok(Exit::fault_if(args.exit_code && !diff.is_empty()))
}
