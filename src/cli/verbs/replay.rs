//! `refguard replay`

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use refguard_core::prove::{Detail, impact_from};
use refguard_core::traffic::Replay;

use super::diff::{Sides, read_sides};
use crate::cli::args::{BudgetArgs, ChangeFormat, FetchArgs, LogArgs, NowArgs};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::{Source, replay_logs};
use crate::output;

/// Tell what a change would have done to the requests of a log
///
/// Each request of the decision log, of LiteLLM's spend log (rows as JSON lines) or of a batch is
/// answered by both sets: how many rows lose or gain what, by team and model, with an example and
/// the region of `impact` that they lie in; which regions no row lies in; and which rows do not say
/// enough. Rows are answered as of now; where something expires later, what becomes of them from
/// then on is told too. Without BASE and HEAD: production against the work tree. Logs may be packed
/// (gzip, zstd).
///
/// Example: refguard replay decisions.jsonl.zst production main --since 24h
#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArgs {
    /// The logs (`-`: standard input), then the set before and the set after, as revisions: a word
    /// that names no file is one
    #[arg(value_name = "LOG… [BASE] [HEAD]", required = true)]
    words: Vec<String>,

    /// The set after is the index that git names
    #[arg(long)]
    staged: bool,

    #[command(flatten)]
    rows: LogArgs,

    #[command(flatten)]
    fetch: FetchArgs,

    #[command(flatten)]
    now: NowArgs,

    #[command(flatten)]
    budget: BudgetArgs,

    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: ChangeFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ReplayArgs) -> Result<Exit> {
    let Words { logs, base, head } = Words::sort(&args.words)?;
    if head.is_some() && args.staged {
        bail!("`--staged` stands beside a revision for the set after");
    }
    let (typed, head) = (head.clone(), Source::of_head(head.as_deref(), args.staged));
    let rows = args.rows.log_selection(logs)?;
    let Sides {
        base,
        head,
        workspace,
    } = read_sides(
        shell,
        base.as_deref().unwrap_or("production"),
        &head,
        &args.fetch,
    )?;
    let now = args.now.instant(&workspace, typed.as_deref());

    let (budget, engines) = (args.budget.budget(), (&base.engine, &head.engine));
    let mut impact = progress::while_working("working out what changes", || {
        impact_from(engines.0, engines.1, now, &budget, Detail::ALL)
    });
    impact.base = base.origin.name;
    impact.head = head.origin.name;
    let replay: Replay = progress::while_working("answering the rows", || {
        replay_logs(engines, base.origin.commit, now, &impact, &rows)
    })?;
    match args.format {
        ChangeFormat::Json => print::write_json(&replay)?,
        ChangeFormat::Human => shell.write_page(&output::replay_human(
            &replay,
            print::choose_style(shell.color),
        ))?,
        ChangeFormat::Markdown => print::write_results(&output::replay_markdown(&replay))?,
    }
    Ok(Exit::Fine)
}

/// What the words of the command line are.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    logs: Vec<String>,
    base: Option<String>,
    head: Option<String>,
}

impl Words {
    /// The first is a log, and so are those behind it that name a file.
    fn sort(words: &[String]) -> Result<Self> {
        let is_log = |word: &String| word == "-" || Path::new(word).exists();
        let logs = words.iter().take_while(|word| is_log(word)).count().max(1);
        let (logs, revisions) = words.split_at_checked(logs).unwrap_or((words, &[]));
        match revisions {
            [] => Ok(Self {
                logs: logs.to_vec(),
                base: None,
                head: None,
            }),
            [base] => Ok(Self {
                logs: logs.to_vec(),
                base: Some(base.clone()),
                head: None,
            }),
            [base, head] => Ok(Self {
                logs: logs.to_vec(),
                base: Some(base.clone()),
                head: Some(head.clone()),
            }),
            [first, ..] => bail!(
                "`{first}` names no file, so it and the {} words behind it are revisions: there \
                 are two at most",
                revisions.len() - 1
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_name_files_are_logs_and_the_others_are_revisions() {
        let sort = |words: &[&str]| {
            Words::sort(
                &words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        let sorted = sort(&["Cargo.toml", "-", "production", "HEAD"]).unwrap();
        assert_eq!(sorted.logs, ["Cargo.toml", "-"]);
        assert_eq!(
            (sorted.base.as_deref(), sorted.head.as_deref()),
            (Some("production"), Some("HEAD"))
        );
        // The first is a log even if it is not there: then that is what is said.
        assert_eq!(sort(&["gone.jsonl", "main"]).unwrap().logs, ["gone.jsonl"]);
        assert_eq!(sort(&["Cargo.toml"]).unwrap().base, None);
        let said = sort(&["Cargo.toml", "a", "b", "c"])
            .unwrap_err()
            .to_string();
        assert!(said.contains("`a` names no file"), "{said}");
    }
}
