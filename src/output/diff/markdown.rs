//! A diff as a comment on a pull request: a short summary, what is lost, the rest folded away.
//!
//! Every name goes through the escapes, and the whole stays under what forges take as a comment,
//! however much changed: what does not fit is counted.

use refguard_core::diff::{DiffReport, FieldChange};

use super::{Change, Event, Item, Subject, counts, items, policy_of, row, targets, touches};
use crate::output::count;
use crate::output::escape::markdown_code;

/// Bytes of the list of losses. GitHub takes 65,536 characters in all.
const LOSSES: usize = 12_000;
/// Bytes of the details.
const DETAILS: usize = 40_000;

/// A diff as markdown.
pub fn markdown(report: &DiffReport<'_>) -> String {
    markdown_within(report, LOSSES, DETAILS)
}

/// As [`markdown`], in so many bytes for the losses and for the details.
pub fn markdown_within(
    report: &DiffReport<'_>,
    losses_bytes: usize,
    details_bytes: usize,
) -> String {
    let (base, head) = (markdown_code(report.base), markdown_code(report.head));
    if report.diff.is_empty() {
        return format!("### Policies: no change\n\n{base} and {head} mean the same.\n");
    }
    let items = items(report.diff);
    let mut page = format!("### Policies: {base} → {head}\n\n{}", counts(report.diff));
    if let Some(touches) = touches(&report.diff.touches, markdown_code) {
        page.push_str(&format!(". Touches {touches}"));
    }
    page.push_str(".\n\n");
    let losses: Vec<String> = items.iter().filter(|item| item.loses).map(loss).collect();
    match losses.len() {
        0 => page.push_str("No policy gives less, and no attachment matches less, than before.\n"),
        number => {
            page.push_str(&format!(
                "**Less protection** in {}:\n\n",
                count(number, "place", "places")
            ));
            fill(&mut page, losses, losses_bytes);
        }
    }
    let changes = count(items.len(), "change", "changes");
    page.push_str(&format!("\n<details><summary>{changes} in detail</summary>\n\n"));
    fill(&mut page, items.iter().map(detail).collect(), details_bytes);
    page.push_str("\n</details>\n");
    page
}

/// Adds what fits, and counts the rest.
fn fill(page: &mut String, parts: Vec<String>, bytes: usize) {
    let mut left = bytes;
    let mut omitted = 0;
    for part in parts {
        match left.checked_sub(part.len()) {
            Some(rest) => {
                left = rest;
                page.push_str(&part);
            }
            None => omitted += 1,
        }
    }
    if omitted > 0 {
        page.push_str(&format!("- … and {omitted} more\n"));
    }
}

fn subject(item: &Item<'_>) -> String {
    match item.subject {
        Subject::Policy(name) => format!("policy {}", markdown_code(name)),
        Subject::Attachment(document) => {
            let policy = markdown_code(policy_of(document));
            format!("attachment of {policy} to {}", targets(document, markdown_code))
        }
    }
}

/// One line of the summary.
fn loss(item: &Item<'_>) -> String {
    let [sure, unsure] = &item.lost;
    let mark = match item.event {
        Event::Removed => "Removed",
        _ if !sure.is_empty() => "Loses",
        _ => "May lose",
    };
    let mut what: Vec<String> = Vec::new();
    if !sure.is_empty() {
        what.push(row(sure, markdown_code));
    }
    if !unsure.is_empty() {
        what.push(format!("perhaps {}", row(unsure, markdown_code)));
    }
    what.extend(item.warning.map(str::to_owned));
    if !item.via.is_empty() {
        what.push(format!("through {}", row(&item.via, markdown_code)));
    }
    let what = if what.is_empty() { String::new() } else { format!(": {}", what.join("; ")) };
    format!("- **{mark}** {}{what}\n", subject(item))
}

/// One item of the details.
fn detail(item: &Item<'_>) -> String {
    let word = match item.event {
        Event::Removed => "**Removed**",
        Event::Changed if item.loses => "**Changed**",
        Event::Changed => "Changed",
        Event::Added => "Added",
    };
    let place = markdown_code(&format!("{}:{}", item.file, item.line));
    let mut text = format!("- {word} {} ({place})\n", subject(item));
    let mut line = |words: String| text.push_str(&format!("  - {words}\n"));
    let lost = ["**loses**", "**may lose**"].into_iter().zip(&item.lost);
    for (word, guardrails) in lost.filter(|(_, guardrails)| !guardrails.is_empty()) {
        line(format!("{word} {}", row(guardrails, markdown_code)));
    }
    if let Some(warning) = item.warning {
        line(format!("**{warning}**"));
    }
    let gained = ["gains", "may gain"].into_iter().zip(&item.gained);
    for (word, guardrails) in gained.filter(|(_, guardrails)| !guardrails.is_empty()) {
        line(format!("{word} {}", row(guardrails, markdown_code)));
    }
    if !item.via.is_empty() {
        line(format!("through {}", row(&item.via, markdown_code)));
    }
    item.fields.iter().for_each(|change| line(field(change)));
    if let Some(touches) = item.touches.and_then(|list| touches(list, markdown_code)) {
        line(format!("touches {touches}"));
    }
    text
}

fn field(field: &FieldChange) -> String {
    let path = markdown_code(&field.path);
    match Change::of(field) {
        Change::Names { gone, come } => {
            let gone = (!gone.is_empty()).then(|| format!("without {}", row(&gone, markdown_code)));
            let come = (!come.is_empty()).then(|| format!("with {}", row(&come, markdown_code)));
            format!("{path}: {}", gone.into_iter().chain(come).collect::<Vec<_>>().join("; "))
        }
        Change::Values { a, b } => format!("{path}: {} → {}", markdown_code(&a), markdown_code(&b)),
    }
}
