//! Findings as data: what is wrong, where, what to do. Rendering lives in `output`.

use std::sync::Arc;

use super::{Release, Rule, SourceFile, Span};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The set is refused.
    Error,
    /// The set is accepted; a person should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`, as in every machine format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

// The stricter is the greater.
/// What refguard.yaml or a flag says of a warning.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not reported.
    Off,
    /// Reported as a warning.
    Warn,
    /// Reported as an error.
    Error,
}

impl Level {
    /// The word that stands for it in refguard.yaml and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A place in a file, as a person and as a machine reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Path relative to the root, with `/`.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column of the end (exclusive).
    pub end_column: u32,
    /// The same place in bytes.
    pub span: Span,
}

/// Another place that belongs to a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub location: Location,
    /// What it has to do with the finding.
    pub message: String,
}

/// One thing that is wrong or odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// The rule's own severity, until levels are applied.
    pub severity: Severity,
    /// The first release that finds it: to judge by the rules of an older one makes a warning of an
    /// error.
    pub since: Release,
    /// What is wrong: lower case, no full stop, names in backticks.
    pub message: String,
    /// The place that is to be changed.
    pub location: Location,
    /// What to do.
    pub help: Option<String>,
    /// Other places that explain it.
    pub related: Vec<Related>,
}

impl Finding {
    /// A finding of `rule` at a span of a file.
    pub fn new(
        rule: &'static Rule,
        file: &SourceFile,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: rule.severity,
            since: rule.since,
            message: message.into(),
            location: file.locate_span(span),
            help: None,
            related: Vec::new(),
        }
    }

    /// With a word on what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a word on what to do, if there is one.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Found by no release before this one, although the rule is older.
    #[must_use]
    pub fn since_release(mut self, release: Release) -> Self {
        self.since = release;
        self
    }

    /// With another place that explains it.
    #[must_use]
    pub fn with_related(
        mut self,
        file: &SourceFile,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        self.related.push(Related {
            location: file.locate_span(span),
            message: message.into(),
        });
        self
    }

    /// Whether it refuses the set.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether it refused a set already by the rules of a release.
    pub fn is_error_as_of(&self, release: Release) -> bool {
        self.is_error() && self.since <= release
    }

    /// Whether it is a warning only because the rules of an older release were asked.
    pub fn is_lowered(&self) -> bool {
        self.severity == Severity::Warning && self.rule.severity == Severity::Error
    }

    /// What stays the same of it when lines move.
    pub fn identity(&self) -> (&'static str, &str, &str) {
        (self.rule.code, &self.location.file, &self.message)
    }

    /// The order of every report: by place, then code, then message.
    pub fn sort_key(&self) -> (&str, u32, u32, &str, &str) {
        (
            &self.location.file,
            self.location.line,
            self.location.column,
            self.rule.code,
            &self.message,
        )
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Location {
            file, line, column, ..
        } = &self.location;
        let severity = self.severity.as_str();
        write!(
            f,
            "{file}:{line}:{column}: {severity}[{}]: {}",
            self.rule.code, self.message
        )
    }
}
