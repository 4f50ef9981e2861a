//! Arguments that several verbs take. Each verb's own are in its file; must not know any verb.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use refguard_core::document::{Dimension, Level, did_you_mean};
use refguard_core::policy::{BadLevel, Levels, rules};
use refguard_core::prove::{Budget, Detail};
use refguard_core::resolve::Context;
use serde_json::Value;

use super::completion;
use super::shell::Shell;
use crate::ops::{LogSelection, Source, TimeBox, Workspace, budget_within, parse_time};
use crate::output::{Format, Style};

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How times are told.
#[derive(Debug, Args)]
pub(super) struct TimeArgs {
    /// Tell times as they are (RFC 3339) on a terminal too, where `3 hours ago` is told; elsewhere
    /// they always are
    #[arg(long)]
    absolute: bool,
}

impl TimeArgs {
    /// The style, which tells times so.
    pub(super) fn dress_time(&self, style: Style) -> Style {
        let is_near = style.columns.is_some() && !self.absolute;
        Style {
            now: is_near.then(Timestamp::now),
            ..style
        }
    }
}

/// Whether the remote is asked before anything is read.
#[derive(Debug, Args)]
pub(super) struct FetchArgs {
    /// Ask the remote first what it holds of the environments, and fetch that
    #[arg(long)]
    fetch: bool,
}

impl FetchArgs {
    pub(super) fn is_wanted(&self) -> bool {
        self.fetch
    }
}

/// Why something is done, where a reason is asked for.
#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    /// Why: one line, kept in the commit
    #[arg(value_name = "REASON", required_unless_present = "reason_text")]
    reason: Option<String>,

    /// The same, written as at `promote` and `rollback`
    #[arg(long = "reason", value_name = "TEXT", conflicts_with = "reason")]
    reason_text: Option<String>,
}

impl ReasonArgs {
    /// The reason, however it was written.
    pub(super) fn text(&self) -> &str {
        let given = self.reason.as_deref().or(self.reason_text.as_deref());
        given.unwrap_or_default()
    }
}

/// Where the set is read from.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    pub fetch: FetchArgs,
}

/// One of the places that a set can be read from.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct PlaceArgs {
    /// Read the work tree: tracked and untracked files, not ignored ones (default)
    #[arg(long)]
    worktree: bool,

    /// Read the index that git names: what a commit would hold
    #[arg(long)]
    staged: bool,

    /// Read a commit from git's object store: a branch, tag, hash, or anything git understands; or
    /// what was in production at a time: RFC 3339, a date, or 24h (ago)
    #[arg(long, value_name = "REV", add = completion::complete_revisions())]
    at: Option<String>,
}

impl SourceArgs {
    /// Whether any of them was typed.
    pub(super) fn is_given(&self) -> bool {
        self.place.worktree || self.place.staged || self.place.at.is_some()
    }

    /// The revision that was typed.
    pub(super) fn revision(&self) -> Option<&str> {
        self.place.at.as_deref()
    }

    pub(super) fn source(&self) -> Source {
        Source::of_head(self.revision(), self.place.staged)
    }
}

/// The instant that a verb answers for.
#[derive(Debug, Args)]
pub(super) struct NowArgs {
    /// Answer as of this time: RFC 3339, a date (its first moment in UTC), or so long ago, such as
    /// 24h or 7d; default: the clock
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    now: Option<Timestamp>,
}

impl NowArgs {
    /// Whether a time was typed.
    pub(super) fn is_given(&self) -> bool {
        self.now.is_some()
    }

    /// The instant: what was typed; else the time that a set was asked for by; else the clock.
    pub(super) fn instant(&self, workspace: &Workspace, at: Option<&str>) -> Timestamp {
        let asked = || at.and_then(|revision| workspace.time_of(revision));
        self.now.or_else(asked).unwrap_or_else(Timestamp::now)
    }
}

/// A time as it is typed everywhere.
fn read_time(text: &str) -> Result<Timestamp, String> {
    parse_time(text, Timestamp::now())
}

/// The environment that a verb speaks of.
#[derive(Debug, Args)]
pub(super) struct EnvArgs {
    /// The environment
    #[arg(
        long = "env",
        visible_alias = "environment",
        value_name = "ENV",
        default_value = "production",
        add = completion::complete_environments()
    )]
    pub environment: String,
}

/// The set that a question is about: that of an environment, or another one.
#[derive(Debug, Args)]
pub(super) struct AskedSetArgs {
    #[command(flatten)]
    env: EnvArgs,

    /// Ask the set of a revision, or what was in the environment at a time: RFC 3339, a date, or
    /// 24h (ago)
    #[arg(long, value_name = "REV", add = completion::complete_revisions())]
    at: Option<String>,

    /// Ask the work tree: tracked and untracked files, not ignored ones
    #[arg(long, conflicts_with_all = ["at", "staged"])]
    worktree: bool,

    /// Ask the index that git names: what a commit would hold
    #[arg(long, conflicts_with = "at")]
    staged: bool,

    #[command(flatten)]
    fetch: FetchArgs,

    #[command(flatten)]
    now: NowArgs,
}

impl AskedSetArgs {
    /// The instant to answer for.
    pub(super) fn instant(&self, workspace: &Workspace) -> Timestamp {
        self.now.instant(workspace, self.at.as_deref())
    }

    /// The folder of policies that is asked, as far as it has to be known where the set is.
    ///
    /// # Errors
    /// As [`Shell::open_environment`].
    pub(super) fn open(&self, shell: &Shell) -> anyhow::Result<Workspace> {
        if self.worktree || self.staged {
            return shell.open_to_read(&self.fetch);
        }
        shell.open_environment(&self.env.environment, &self.fetch)
    }

    /// The set, in a folder of policies.
    ///
    /// # Errors
    /// Where nothing was promoted to the environment, or not at that time.
    pub(super) fn source(&self, workspace: &Workspace) -> anyhow::Result<Source> {
        if self.worktree || self.staged {
            return Ok(if self.staged {
                Source::Staged
            } else {
                Source::Worktree
            });
        }
        workspace.source_in(&self.env.environment, self.at.as_deref())
    }
}

/// A request, by its parts or as JSON.
#[derive(Debug, Args)]
pub(super) struct ContextArgs {
    /// The team's alias
    #[arg(long, value_name = "TEAM", add = completion::complete_values(Dimension::Team))]
    team: Option<String>,

    /// The key's alias
    #[arg(long, value_name = "KEY", add = completion::complete_values(Dimension::Key))]
    key: Option<String>,

    /// The model
    #[arg(long, value_name = "MODEL", add = completion::complete_values(Dimension::Model))]
    model: Option<String>,

    /// A tag (repeatable)
    #[arg(long = "tag", value_name = "TAG", add = completion::complete_values(Dimension::Tag))]
    tags: Vec<String>,

    /// The user whose key it is
    #[arg(long, value_name = "USER", add = completion::complete_values(Dimension::User))]
    user: Option<String>,

    /// The tool that it calls: server/tool of an MCP call
    #[arg(long, value_name = "TOOL", add = completion::complete_values(Dimension::Tool))]
    tool: Option<String>,

    /// The request as JSON: {"team":…,"key":…,"model":…,"tags":[…],"user":…,"tool":…}
    #[arg(
        long,
        value_name = "JSON",
        conflicts_with_all = ["team", "key", "model", "tags", "user", "tool"],
    )]
    context: Option<String>,
}

impl ContextArgs {
    /// The request.
    ///
    /// # Errors
    /// Where it is no JSON, or passes a limit.
    pub(super) fn context(&self) -> anyhow::Result<Context> {
        match &self.context {
            None => {
                let single = [
                    (Dimension::Team, &self.team),
                    (Dimension::Key, &self.key),
                    (Dimension::Model, &self.model),
                    (Dimension::User, &self.user),
                    (Dimension::Tool, &self.tool),
                ];
                let single = single.into_iter();
                let single = single.filter_map(|(of, value)| Some((of, value.as_deref()?)));
                let tags = self.tags.iter().map(|tag| (Dimension::Tag, tag.as_str()));
                Ok(Context::from_values(single.chain(tags)).within_limits()?)
            }
            Some(text) => {
                let value: Value = serde_json::from_str(text).context("`--context` is not JSON")?;
                Context::from_json(&value).context("`--context` is not a request")
            }
        }
    }
}

/// Files of the set that are looked at.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// Look only at these files or folders, judged with the whole set around them
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Files of a set, by their paths from its root.
pub(super) struct ChosenFiles(Vec<String>);

impl FileArgs {
    /// The files that were typed.
    ///
    /// # Errors
    /// Where one is not below the root.
    pub(super) fn choose_files(
        &self,
        shell: &Shell,
        workspace: &Workspace,
    ) -> anyhow::Result<ChosenFiles> {
        Ok(ChosenFiles(
            workspace.paths_from_root(&shell.dir, &self.files)?,
        ))
    }
}

impl ChosenFiles {
    /// Whether a file is one of them, or below one; each is, where none was typed.
    pub(super) fn has_file(&self, file: &str) -> bool {
        let is_below = |chosen: &String| {
            chosen.is_empty()
                || file
                    .strip_prefix(chosen.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.is_empty() || self.0.iter().any(is_below)
    }

    /// The first that holds none of some files.
    pub(super) fn unmet_names<'f>(
        &self,
        files: impl Iterator<Item = &'f str> + Clone,
    ) -> Option<&str> {
        let holds = |chosen: &&String| {
            let one = Self(vec![(*chosen).clone()]);
            !files.clone().any(|file| one.has_file(file))
        };
        self.0.iter().find(holds).map(String::as_str)
    }
}

/// Levels of warnings, over those of refguard.yaml.
#[derive(Debug, Args)]
pub(super) struct LevelArgs {
    /// Set the level of a warning: off, warn or error (repeatable)
    #[arg(
        long = "level",
        value_name = "RULE=LEVEL",
        value_parser = parse_level,
        add = completion::complete_levels(),
    )]
    levels: Vec<(String, Level)>,

    /// Fail on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
}

fn parse_level(text: &str) -> Result<(String, Level), String> {
    let (rule, level) = text
        .split_once('=')
        .ok_or("write it as RULE=LEVEL, such as unused-policy=off")?;
    let level = match level {
        "off" => Level::Off,
        "warn" => Level::Warn,
        "error" => Level::Error,
        other => {
            return Err(format!(
                "`{other}` is no level: it is one of off, warn, error"
            ));
        }
    };
    let mut levels = Levels::default();
    let rules = rules::all_rules();
    levels
        .set_level(&rules, rule, level)
        .map_err(|bad| match bad {
            BadLevel::Unknown => match did_you_mean(rule, rules.iter().map(|rule| rule.name)) {
                Some(near) => format!("there is no rule `{rule}`; did you mean `{near}`?"),
                None => format!("there is no rule `{rule}`"),
            },
            BadLevel::Fixed(name) => format!("`{name}` is an error, and errors cannot be lowered"),
        })?;
    Ok((rule.to_owned(), level))
}

impl LevelArgs {
    pub(super) fn levels(&self) -> Levels {
        let mut levels = Levels::default();
        for (rule, level) in &self.levels {
            // Each was set once already when it was parsed.
            let _ = levels.set_level(&rules::all_rules(), rule, *level);
        }
        levels
    }
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BasicFormat {
    /// For people
    Human,
    /// For programs: versioned and stable
    Json,
}

/// How long exact analysis may take.
#[derive(Debug, Args)]
pub(super) struct BudgetArgs {
    /// Time for the analysis; what is not finished by then is listed as not analysed
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    budget: Option<Duration>,
}

/// A time as it is typed everywhere: `500ms`, `2.5s`, `1m 30s`; a bare number means seconds.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no time above zero: write it as 500ms, 5s, 2m or 1h");
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| bad())?,
        Err(_) => {
            let signed: SignedDuration = text.parse().map_err(|_| bad())?;
            signed.try_into().map_err(|_| bad())?
        }
    };
    if duration.is_zero() {
        Err(bad())
    } else {
        Ok(duration)
    }
}

impl BudgetArgs {
    pub(super) fn budget(&self) -> Budget {
        self.budget.map_or_else(Budget::default, budget_within)
    }

    /// The time for all of an answer, from now on.
    pub(super) fn time_box(&self, default: Duration) -> TimeBox {
        TimeBox::begin(self.budget.unwrap_or(default))
    }
}

/// How much of an exact analysis is told.
#[derive(Debug, Args)]
pub(super) struct DetailArgs {
    /// Tell every region of requests and every cause; without it, what a person can read
    #[arg(long)]
    all: bool,
}

impl DetailArgs {
    pub(super) fn detail(&self) -> Detail {
        if self.all {
            Detail::ALL
        } else {
            Detail::READABLE
        }
    }
}

/// Which rows of logs are looked at.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Look only at rows from this time on: RFC 3339, a date (its first moment in UTC), or so long
    /// ago, such as 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,

    /// Look only at one row of so many
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        value_parser = clap::value_parser!(u64).range(1..),
    )]
    sample: u64,

    /// Look only at rows of this set
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
}

impl LogArgs {
    /// The rows of some logs.
    ///
    /// # Errors
    /// Where standard input is named twice.
    pub(super) fn log_selection(&self, logs: Vec<String>) -> anyhow::Result<LogSelection> {
        if logs.iter().filter(|log| *log == "-").count() > 1 {
            anyhow::bail!("standard input can be read once: `-` is given twice");
        }
        Ok(LogSelection {
            logs,
            one_of: self.sample,
            since: self.since,
            set: self.set.clone(),
        })
    }
}

/// A time; a bare number means so many seconds ago.
fn parse_since(text: &str) -> Result<Timestamp, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .and_then(|_| parse_duration(text).ok());
    let time = seconds.and_then(|ago| Timestamp::now().checked_sub(ago).ok());
    time.map_or_else(|| read_time(text), Ok)
}

/// Formats of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ChangeFormat {
    /// For people
    Human,
    /// For programs: versioned and stable
    Json,
    /// For a comment on a pull request
    Markdown,
}

/// A format of findings: those that `output` has.
pub(super) fn findings_format() -> impl TypedValueParser<Value = Format> {
    let possible =
        Format::ALL.map(|format| PossibleValue::new(format.as_str()).help(format.description()));
    PossibleValuesParser::new(possible).try_map(|name| name.parse::<Format>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_grammar() {
        let millis = |text| parse_duration(text).map(|duration| duration.as_millis());
        for (text, due) in [
            ("5", 5_000),
            ("0.5", 500),
            ("500ms", 500),
            ("5s", 5_000),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1h 30m", 5_400_000),
        ] {
            assert_eq!(millis(text), Ok(due), "{text}");
        }
        for bad in ["", "0", "0s", "-1s", "-1", "1y", "1e400", "inf", "NaN", "s"] {
            let said = parse_duration(bad).unwrap_err();
            assert!(said.starts_with(&format!("`{bad}` is no time")), "{said}");
        }
    }
}
