//! Findings as text: for a person, for JSON readers, and for the formats that forges and CI systems
//! know.
//!
//! Owns how a report looks; one file a format. Must not know stdout or a terminal (it writes where
//! it is told, in colour only as told), git, or what a rule means. Text from policies is hostile:
//! it goes through [`escape`] before it stands in anything that a reader interprets.

mod age;
mod blame;
mod causes;
mod csv;
pub mod diff;
mod distinct;
pub mod escape;
mod excerpt;
mod failures;
mod fingerprint;
mod fitting;
mod github;
mod gitlab;
mod human;
mod impact;
mod json;
mod junit;
mod links;
mod matrix;
mod policy;
mod promotion_log;
mod prove;
mod replay;
mod resolution;
mod review;
mod rules;
mod safeguards;
mod sarif;
mod schemas;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod tests_report;
mod versions;
mod why;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::str::FromStr;

use jiff::Timestamp;
use refguard_core::document::{Finding, SourceFile};

pub use age::{age_words, tell_time};
pub use blame::format_blame;
pub use causes::finding_lines;
pub use fitting::fit_text;
pub use impact::{context_words, impact_human, impact_markdown, region_words};
pub use json::finding_json;
pub use links::{BadTemplate, LinkTemplate, PlaceLinks};
pub use matrix::{matrix_csv, matrix_html, matrix_human, matrix_markdown};
pub use policy::format_policy;
pub use promotion_log::{format_promotion_log, promotion_log_csv};
pub use prove::{proof_human, proof_markdown};
pub use replay::{replay_human, replay_markdown};
pub use resolution::format_resolution;
pub use review::{
    NamedRow, ReviewObject, loss_words, named_rows, review_human, review_markdown, review_object,
    verdict_line,
};
pub use rules::{RulesObject, format_rule, rules_markdown, rules_object};
pub use safeguards::{
    SafeguardGroup, group_safeguards, more_cases, safeguards_human, safeguards_markdown,
};
pub use schemas::output_schema;
pub use status::format_status;
pub use table::format_table;
pub use tests_report::{tests_github, tests_human, tests_junit};
pub use versions::{format_version, format_versions};
pub use why::{Why, format_why};

/// How a report is written. A new format is a file, a variant, and its line in `Format::row`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// For a person, in the manner of rustc.
    Human,
    /// refguard's own JSON, version 1.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// GitHub workflow commands, which become annotations.
    Github,
    /// JUnit XML, as Jenkins and GitLab read it.
    Junit,
    /// GitLab code quality.
    Gitlab,
}

/// What there is to know of a format: its name as it is typed, a line of help, and how it is
/// written.
struct Row(&'static str, &'static str, Renderer);

type Renderer = fn(&Report<'_>, Style, &mut dyn io::Write) -> io::Result<()>;

impl Format {
    /// Every format, in the order that help texts list them.
    pub const ALL: [Self; 6] = [
        Self::Human,
        Self::Json,
        Self::Sarif,
        Self::Github,
        Self::Junit,
        Self::Gitlab,
    ];

    fn row(self) -> Row {
        match self {
            Self::Human => Row(
                "human",
                "For people: the line, the place, what to do",
                human::render,
            ),
            Self::Json => Row("json", "For programs: versioned and stable", json::render),
            Self::Sarif => Row("sarif", "SARIF 2.1.0, for code scanning", sarif::render),
            Self::Github => Row("github", "Annotations of GitHub Actions", github::render),
            Self::Junit => Row("junit", "JUnit XML", junit::render),
            Self::Gitlab => Row("gitlab", "GitLab code quality", gitlab::render),
        }
    }

    /// The name as it is typed.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What it is for, in a line of help.
    pub fn description(self) -> &'static str {
        self.row().1
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no format has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown format `{0}`: it is one of {names}",
    names = Format::ALL.map(Format::as_str).join(", "),
)]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// How many things a run looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Files with documents of ours.
    pub files: usize,
    /// Policies.
    pub policies: usize,
    /// Attachments.
    pub attachments: usize,
    /// Test documents.
    pub tests: usize,
}

/// What a run found, and in what.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The findings, in the order in which they are to be shown (see [`Finding::sort_key`]).
    pub findings: &'a [Finding],
    /// The files that findings speak of. One that is missing here is named without its lines.
    pub sources: &'a [SourceFile],
    /// What was looked at.
    pub checked: Checked,
    /// The folder of the policies within its git repository, empty at the top. Formats that a forge
    /// reads name files from there on.
    pub prefix: &'a str,
}

/// A file as a forge finds it: from the top of the git repository.
fn from_the_top<'f>(prefix: &str, file: &'f str) -> Cow<'f, str> {
    match file {
        _ if prefix.is_empty() => file.into(),
        // The folder itself.
        "." => prefix.to_owned().into(),
        _ => format!("{prefix}/{file}").into(),
    }
}

impl Report<'_> {
    fn errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.is_error())
            .count()
    }

    fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }
}

/// How human output is dressed. The machine formats take no notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Whether to write ANSI colours.
    pub color: bool,
    /// Columns of the terminal; `None`: there is none, and lines are as long as they are.
    pub columns: Option<usize>,
    /// Where times are told by how long ago they were: since when.
    pub now: Option<Timestamp>,
}

impl Style {
    /// Columns to fill with a source line; a longer one is cut to fit.
    fn source_columns(self) -> usize {
        self.columns.unwrap_or(120)
    }
}

/// Writes a report in a format.
///
/// # Errors
/// Only what `out` itself reports.
pub fn render(
    report: &Report<'_>,
    format: Format,
    style: Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let Row(_, _, render) = format.row();
    render(report, style, out)
}

/// `1 error`, `2 errors`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The beginning of a commit's hash: enough for a person to find it.
fn short_commit(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
