//! Arguments that several verbs take. Each verb's own are in its file; must not know any verb.

use std::time::Duration;

use clap::{Args, ValueEnum};
use refguard_core::document::Level;
use refguard_core::policy::{BadLevel, Levels, rules};
use refguard_core::prove::Budget;

use crate::ops::{Source, budget_within};
use crate::output;

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

/// Where the set is read from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct SourceArgs {
    /// Read the work tree: tracked and untracked files, not ignored ones (default)
    #[arg(long)]
    worktree: bool,

    /// Read the index that git names: what a commit would hold
    #[arg(long)]
    staged: bool,

    /// Read a commit from git's object store: a branch, tag, hash, or anything git understands
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl SourceArgs {
    /// Whether any of them was typed.
    pub(super) fn is_given(&self) -> bool {
        self.worktree || self.staged || self.at.is_some()
    }

    pub(super) fn source(&self) -> Source {
        match &self.at {
            Some(revision) => Source::At(revision.clone()),
            None if self.staged => Source::Staged,
            None => Source::Worktree,
        }
    }
}

/// Levels of warnings, over those of refguard.yaml.
#[derive(Debug, Args)]
pub(super) struct LevelArgs {
    /// Set the level of a warning: off, warn or error (repeatable)
    #[arg(long = "level", value_name = "RULE=LEVEL", value_parser = parse_level)]
    levels: Vec<(String, Level)>,

    /// Fail on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
}

fn parse_level(text: &str) -> Result<(String, Level), String> {
    let (rule, level) =
        text.split_once('=').ok_or("write it as RULE=LEVEL, such as unused-policy=off")?;
    let level = match level {
        "off" => Level::Off,
        "warn" => Level::Warn,
        "error" => Level::Error,
        other => return Err(format!("`{other}` is no level: it is one of off, warn, error")),
    };
    let mut levels = Levels::default();
    levels.set(&rules::all(), rule, level).map_err(|bad| match bad {
        BadLevel::Unknown(Some(near)) => {
            format!("there is no rule `{rule}`; did you mean `{near}`?")
        }
        BadLevel::Unknown(None) => format!("there is no rule `{rule}`"),
        BadLevel::Fixed(name) => format!("`{name}` is an error, and errors cannot be lowered"),
    })?;
    Ok((rule.to_owned(), level))
}

impl LevelArgs {
    pub(super) fn levels(&self) -> Levels {
        let mut levels = Levels::default();
        for (rule, level) in &self.levels {
            // Each was set once already when it was parsed.
            let _ = levels.set(&rules::all(), rule, *level);
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
    /// Seconds of analysis; what is not finished by then is listed as not analysed
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    budget: Option<Duration>,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    let seconds: f64 = number.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("`{text}` is no number of seconds"))
}

impl BudgetArgs {
    pub(super) fn budget(&self) -> Budget {
        self.budget.map_or_else(Budget::default, budget_within)
    }
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

/// Formats of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FindingsFormat {
    /// For people: the line, the place, what to do
    Human,
    /// For programs: versioned and stable
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
    /// JUnit XML
    Junit,
    /// GitLab code quality
    Gitlab,
}

impl FindingsFormat {
    pub(super) fn output(self) -> output::Format {
        match self {
            Self::Human => output::Format::Human,
            Self::Json => output::Format::Json,
            Self::Sarif => output::Format::Sarif,
            Self::Github => output::Format::Github,
            Self::Junit => output::Format::Junit,
            Self::Gitlab => output::Format::Gitlab,
        }
    }
}
