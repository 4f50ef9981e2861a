//! `refguard review`

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::cli::args::{BudgetArgs, ChangeFormat, DetailArgs, FetchArgs, LogArgs, NowArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::{PRODUCTION, Source};
use crate::output::{self, LinkTemplate, PlaceLinks};

/// The time for all of a review, where none is typed.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Put together what a reviewer needs to know of a change
///
/// A verdict in one line; who loses and gains what, in names of the catalog; safeguards that are
/// lost; findings that are new; failed tests by cause; what the gates would say; whom to ask. Then
/// what is gained or stays, and the exact regions of requests. BASE is taken where the change
/// began, so what was merged since is no part of it. Without arguments: the publish branch against
/// the work tree. Works for five seconds at most, or `--budget`, besides reading the sets, their
/// tests and logs, and says what was left out; a gate that this does not suffice for is said to be
/// not decided. Exit 1: the set after has an error or a failed test.
///
/// Example: refguard review origin/main HEAD --format markdown
#[derive(Debug, Args)]
pub(in crate::cli) struct ReviewArgs {
    /// What the change is to be merged into: a revision (default: the publish branch)
    #[arg(value_name = "BASE", add = completion::complete_revisions())]
    base: Option<String>,

    /// The set after: a revision (default: the work tree)
    #[arg(value_name = "HEAD", add = completion::complete_revisions())]
    head: Option<String>,

    /// The set after is the index that git names
    #[arg(long, conflicts_with = "head")]
    staged: bool,

    #[command(flatten)]
    now: NowArgs,

    #[command(flatten)]
    budget: BudgetArgs,

    #[command(flatten)]
    detail: DetailArgs,

    /// Tell also what the change would have done to the requests of a log, as `replay` does
    /// (repeatable)
    #[arg(long = "replay", value_name = "LOG")]
    logs: Vec<String>,

    #[command(flatten)]
    rows: LogArgs,

    /// Make places links: an address with {commit}, {path} and {line}, such as
    /// `https://forge.example/team/policies/blob/{commit}/{path}#L{line}` (markdown)
    #[arg(long, value_name = "TEMPLATE")]
    link: Option<LinkTemplate>,

    #[command(flatten)]
    fetch: FetchArgs,

    /// How the review is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ReviewArgs) -> Result<Exit> {
    let head = Source::of_head(args.head.as_deref(), args.staged);
    let (time, detail) = (args.budget.time_box(PATIENCE), args.detail.detail());
    let rows = match args.logs.is_empty() {
        true => None,
        false => Some(args.rows.log_selection(args.logs.clone())?),
    };
    let workspace = shell.open_environment(PRODUCTION, &args.fetch)?;
    let now = args.now.instant(&workspace, args.head.as_deref());
    let typed = [args.base.as_deref(), args.head.as_deref()];
    for revision in typed.into_iter().flatten() {
        shell.say_how_read(&workspace, revision)?;
    }
    let review = progress::while_working("reviewing", || {
        workspace.review(
            args.base.as_deref(),
            &head,
            now,
            time,
            detail,
            rows.as_ref(),
        )
    })?;
    match args.format {
        ChangeFormat::Json => print::write_json(&output::review_object(&review))?,
        ChangeFormat::Markdown => {
            let links = PlaceLinks {
                template: args.link.clone(),
                before: Some(review.base_commit.to_string()),
                after: review.head_commit.map(|commit| commit.to_string()),
                prefix: review.prefix.clone(),
            };
            print::write_results(&output::review_markdown(&review, &links))?
        }
        ChangeFormat::Human => shell.write_page(&output::review_human(
            &review,
            print::choose_style(shell.color),
        ))?,
    }
    Ok(Exit::fault_if(review.is_faulty()))
}
