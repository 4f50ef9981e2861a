//! A diff and a comparison for a terminal.

use annotate_snippets::renderer::{AnsiColor, Style};
use refguard_core::diff::{Comparison, DiffReport, FieldChange, VersionName};

use super::{
    Change, Event, Item, Subject, count_changes, join_names, list_items, policy_of, target_words,
    touches_words,
};
use crate::output::escape::escape_terminal;

/// A diff for a terminal.
pub fn diff_human(report: &DiffReport<'_>, color: bool) -> String {
    let paint = Paint { color };
    let (base, head) = (escape_terminal(report.base), escape_terminal(report.head));
    if report.diff.is_empty() {
        return format!("{base} and {head} mean the same\n");
    }
    let mut page = format!(
        "{}: {}\n",
        paint.bold(&format!("{base} → {head}")),
        count_changes(report.diff)
    );
    if let Some(touches) = touches_words(&report.diff.touches, |name| {
        escape_terminal(name).into_owned()
    }) {
        page.push_str(&format!("touches {touches}\n"));
    }
    for item in list_items(report.diff) {
        page.push('\n');
        page.push_str(&paint.draw_item(&item));
    }
    page
}

/// Two versions of a policy for a terminal.
pub fn comparison_human(comparison: &Comparison<'_>, color: bool) -> String {
    let paint = Paint { color };
    let policy = escape_terminal(comparison.policy);
    let (a, b) = (version_words(comparison.a), version_words(comparison.b));
    if comparison.fields.is_empty() {
        return format!("{policy}: {a} and {b} mean the same\n");
    }
    let mut page = format!("{}\n", paint.bold(&format!("{policy}: {a} → {b}")));
    for field in &comparison.fields {
        page.push_str(&paint.draw_field(field));
    }
    page
}

fn version_words(name: VersionName<'_>) -> String {
    let commit = name
        .commit
        .map(|commit| clip_commit(&escape_terminal(commit)));
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
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
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

    fn draw_item(&self, item: &Item<'_>) -> String {
        let sign = match item.event {
            Event::Removed => self.bad("-"),
            Event::Changed => self.styled(AnsiColor::Yellow.on_default(), "~"),
            Event::Added => self.good("+"),
        };
        let subject = match item.subject {
            Subject::Policy(name) => format!("policy {}", self.bold(&escape_terminal(name))),
            Subject::Attachment(document) => {
                let policy = self.bold(&escape_terminal(policy_of(document)));
                format!(
                    "attachment of {policy} to {}",
                    target_words(document, escape_name)
                )
            }
        };
        let mut text = format!(
            "{sign} {subject}  {}:{}\n",
            escape_terminal(item.file),
            item.line
        );
        let mut line = |words: String| text.push_str(&format!("    {words}\n"));
        for (word, guardrails) in ["loses", "may lose"].into_iter().zip(&item.lost) {
            if !guardrails.is_empty() {
                line(format!(
                    "{} {}",
                    self.bad(word),
                    join_names(guardrails, escape_name)
                ));
            }
        }
        if let Some(warning) = item.warning {
            line(self.bad(warning));
        }
        for (word, guardrails) in ["gains", "may gain"].into_iter().zip(&item.gained) {
            if !guardrails.is_empty() {
                line(format!(
                    "{} {}",
                    self.good(word),
                    join_names(guardrails, escape_name)
                ));
            }
        }
        if !item.via.is_empty() {
            line(format!("through {}", join_names(&item.via, escape_name)));
        }
        item.fields
            .iter()
            .for_each(|field| text.push_str(&self.draw_field(field)));
        if let Some(touches) = item
            .touches
            .and_then(|list| touches_words(list, escape_name))
        {
            text.push_str(&format!("    touches {touches}\n"));
        }
        text
    }

    fn draw_field(&self, field: &FieldChange) -> String {
        let path = escape_terminal(&field.path);
        let change = match Change::between_sides(field) {
            Change::Names { gone, come } => {
                let gone = gone
                    .iter()
                    .map(|name| self.bad(&format!("-{}", escape_name(name))));
                let come = come
                    .iter()
                    .map(|name| self.good(&format!("+{}", escape_name(name))));
                gone.chain(come).collect::<Vec<_>>().join(" ")
            }
            Change::Values { a, b } => format!("{} → {}", escape_terminal(&a), escape_terminal(&b)),
        };
        format!("    {path}: {change}\n")
    }
}

fn escape_name(name: &str) -> String {
    escape_terminal(name).into_owned()
}
