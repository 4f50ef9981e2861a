//! `refguard diff`

use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use refguard_core::diff::{DiffReport, diff_sets};
use refguard_core::prove::{Impact, impact_from};
use refguard_core::resolve::Engine;
use refguard_core::safeguards::SafeguardDiff;
use serde::Serialize;

use crate::cli::args::{BudgetArgs, ChangeFormat, DetailArgs, FetchArgs, NowArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{Rules, SetOrigin, Source, TrackedSet, Workspace, safeguards_between};
use crate::output;

/// Tell what changed between two sets, by meaning
///
/// Policies added, removed and changed field by field; what each policy's effective guardrails gain
/// or lose, also through a parent; attachments, and what of the catalog they touch. Moves and
/// reformatting are no change. Without arguments: production against the work tree.
///
/// Example: refguard diff main HEAD --format markdown
#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    #[command(flatten)]
    sides: SidesArgs,

    /// Tell also what the change does to every possible request, as `impact` does
    #[arg(long)]
    impact: bool,

    #[command(flatten)]
    budget: BudgetArgs,

    #[command(flatten)]
    detail: DetailArgs,

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
    #[arg(value_name = "BASE", default_value = "production", add = completion::complete_revisions())]
    base: String,

    /// The set after: a revision (default: the work tree)
    #[arg(value_name = "HEAD", add = completion::complete_revisions())]
    head: Option<String>,

    /// The set after is the index that git names
    #[arg(long, conflicts_with = "head")]
    staged: bool,

    #[command(flatten)]
    fetch: FetchArgs,

    #[command(flatten)]
    now: NowArgs,
}

/// Two valid sets, and the folder that they are of.
pub(super) struct Sides {
    pub base: Side,
    pub head: Side,
    pub workspace: Workspace,
}

/// One of them.
pub(super) struct Side {
    pub engine: Arc<Engine>,
    pub origin: SetOrigin,
}

impl SidesArgs {
    /// The instant from which on the sides are compared.
    pub(super) fn instant(&self, workspace: &Workspace) -> Timestamp {
        self.now.instant(workspace, self.head.as_deref())
    }

    /// Reads both.
    ///
    /// # Errors
    /// Where either is not valid, or cannot be read.
    pub(super) fn read_both(&self, shell: &Shell) -> Result<Sides> {
        let head = Source::of_head(self.head.as_deref(), self.staged);
        read_sides(shell, &self.base, &head, &self.fetch)
    }
}

/// Reads two sets, the one before by its revision.
///
/// # Errors
/// As of [`SidesArgs::read_both`].
pub(super) fn read_sides(
    shell: &Shell,
    base: &str,
    head: &Source,
    fetch: &FetchArgs,
) -> Result<Sides> {
    let workspace = shell.open_to_read(fetch)?;
    // One tracked set, so that what two commits share is read once.
    let mut sets = TrackedSet::default();
    let base = Source::At(base.to_owned());
    let (engine, origin) = shell.judge_set(&workspace, &mut sets, &base, Rules::OfThen)?;
    let base = Side { engine, origin };
    let (engine, origin) = shell.judge_set(&workspace, &mut sets, head, Rules::OfThen)?;
    Ok(Sides {
        base,
        head: Side { engine, origin },
        workspace,
    })
}

pub(in crate::cli) fn run(shell: &Shell, args: &DiffArgs) -> Result<Exit> {
    let Sides {
        base,
        head,
        workspace,
    } = args.sides.read_both(shell)?;
    let now = args.sides.instant(&workspace);
    let diff = diff_sets(base.engine.set(), head.engine.set());
    let report = DiffReport::new(&base.origin.name, &head.origin.name, &diff);
    let impact = args.impact.then(|| Impact {
        base: base.origin.name.clone(),
        head: head.origin.name.clone(),
        ..impact_from(
            &base.engine,
            &head.engine,
            now,
            &args.budget.budget(),
            args.detail.detail(),
        )
    });
    let safeguards = safeguards_between(base.engine.set(), head.engine.set(), now)?;
    let differs = !diff.is_empty() || !safeguards.is_empty();
    let change = Change {
        diff: report,
        safeguards,
        impact: impact.as_ref(),
    };
    match args.format {
        ChangeFormat::Json => print::write_json(&change)?,
        ChangeFormat::Human => {
            shell.write_page(&change_text(shell, &change, ChangeFormat::Human))?;
        }
        ChangeFormat::Markdown => {
            print::write_results(&change_text(shell, &change, ChangeFormat::Markdown))?;
        }
    }
    Ok(Exit::fault_if(args.exit_code && differs))
}

/// What changed, and what that does if somebody asked: the JSON object of `diff`.
#[derive(Serialize)]
pub(super) struct Change<'a> {
    #[serde(flatten)]
    pub diff: DiffReport<'a>,
    /// What the change does to invariants, tests and settings.
    pub safeguards: SafeguardDiff,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<&'a Impact>,
}

/// What changed, and what that does, for people: lost safeguards first.
pub(super) fn change_text(shell: &Shell, change: &Change<'_>, format: ChangeFormat) -> String {
    let style = print::choose_style(shell.color);
    let is_markdown = format == ChangeFormat::Markdown;

    let safeguards = match is_markdown {
        true => output::safeguards_markdown(&change.safeguards),
        false => output::safeguards_human(&change.safeguards, style),
    };
    let diff = match is_markdown {
        _ if change.diff.diff.is_empty() && !change.safeguards.is_empty() => {
            "policies and attachments mean the same\n".to_owned()
        }
        true => output::diff::diff_markdown(&change.diff),
        false => output::diff::diff_human(&change.diff, style.color),
    };
    let impact = change
        .impact
        .filter(|_| !change.diff.diff.is_empty())
        .map(|impact| {
            if is_markdown {
                output::impact_markdown(impact)
            } else {
                output::impact_human(impact, style)
            }
        });

    let parts = [Some(safeguards), Some(diff), impact];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("\n")
}
