//! A diff and a comparison for a terminal.

use annotate_snippets::renderer::{AnsiColor, Style};
use refguard_core::diff::{Comparison, DiffReport, FieldChange, VersionName};

use super::{Change, Event, Item, Subject, counts, items, policy_of, row, targets, touches};
use crate::output::escape::escape_terminal;

/// A diff for a terminal.
pub fn human(report: &DiffReport<'_>, color: bool) -> String {
    let paint = Paint { color };
    let (base, head) = (escape_terminal(report.base), escape_terminal(report.head));
    if report.diff.is_empty() {
        return format!("{base} and {head} mean the same\n");
    }
    let mut page =
        format!("{}: {}\n", paint.bold(&format!("{base} → {head}")), counts(report.diff));
    if let Some(touches) = touches(&report.diff.touches, |name| escape_terminal(name).into_owned())
    {
        page.push_str(&format!("touches {touches}\n"));
    }
    for item in items(report.diff) {
        page.push('\n');
        page.push_str(&paint.item(&item));
    }
    page
}

/// Two versions of a policy for a terminal.
pub fn comparison(comparison: &Comparison<'_>, color: bool) -> String {
    let paint = Paint { color };
    let policy = escape_terminal(comparison.policy);
    let (a, b) = (version(comparison.a), version(comparison.b));
    if comparison.fields.is_empty() {
        return format!("{policy}: {a} and {b} mean the same\n");
    }
    let mut page = format!("{}\n", paint.bold(&format!("{policy}: {a} → {b}")));
    for field in &comparison.fields {
        page.push_str(&paint.field(field));
    }
    page
}

fn version(name: VersionName<'_>) -> String {
    let commit = name.commit.map(|commit| clip_commit(&escape_terminal(commit)));
    match (name.number, commit) {
        (Some(number), Some(commit)) => format!("@{number} ({commit})"),
        (Some(number), None) => format!("@{number}"),
        (None, Some(commit)) => commit,
        (None, None) => "draft".to_owned(),
    }
}

fn clip_commit(commit: &str) -> String {
    commit.chars().take(12).collect()
}

/// Writes for a terminal, in colour or not.
struct Paint {
    color: bool,
}

impl Paint {
    fn styled(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    fn bad(&self, text: &str) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    fn good(&self, text: &str) -> String {
        self.styled(AnsiColor::Green.on_default(), text)
    }

    fn item(&self, item: &Item<'_>) -> String {
        let sign = match item.event {
            Event::Removed => self.bad("-"),
            Event::Changed => self.styled(AnsiColor::Yellow.on_default(), "~"),
            Event::Added => self.good("+"),
        };
        let subject = match item.subject {
            Subject::Policy(name) => format!("policy {}", self.bold(&escape_terminal(name))),
            Subject::Attachment(document) => {
                let policy = self.bold(&escape_terminal(policy_of(document)));
                format!("attachment of {policy} to {}", targets(document, said))
            }
        };
        let mut text = format!("{sign} {subject}  {}:{}\n", escape_terminal(item.file), item.line);
        let mut line = |words: String| text.push_str(&format!("    {words}\n"));
        for (word, guardrails) in ["loses", "may lose"].into_iter().zip(&item.lost) {
            if !guardrails.is_empty() {
                line(format!("{} {}", self.bad(word), row(guardrails, said)));
            }
        }
        if let Some(warning) = item.warning {
            line(self.bad(warning));
        }
        for (word, guardrails) in ["gains", "may gain"].into_iter().zip(&item.gained) {
            if !guardrails.is_empty() {
                line(format!("{} {}", self.good(word), row(guardrails, said)));
            }
        }
        if !item.via.is_empty() {
            line(format!("through {}", row(&item.via, said)));
        }
        item.fields.iter().for_each(|field| text.push_str(&self.field(field)));
        if let Some(touches) = item.touches.and_then(|list| touches(list, said)) {
            text.push_str(&format!("    touches {touches}\n"));
        }
        text
    }

    fn field(&self, field: &FieldChange) -> String {
        let path = escape_terminal(&field.path);
        let change = match Change::of(field) {
            Change::Names { gone, come } => {
                let gone = gone.iter().map(|name| self.bad(&format!("-{}", said(name))));
                let come = come.iter().map(|name| self.good(&format!("+{}", said(name))));
                gone.chain(come).collect::<Vec<_>>().join(" ")
            }
            Change::Values { a, b } => format!("{} → {}", escape_terminal(&a), escape_terminal(&b)),
        };
        format!("    {path}: {change}\n")
    }
}

fn said(name: &str) -> String {
    escape_terminal(name).into_owned()
}
