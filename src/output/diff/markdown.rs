//! A diff as a comment on a pull request: a short summary, what is lost, the rest folded away.
//!
//! Every name goes through the escapes, and the whole stays under what forges take as a comment,
//! however much changed: what does not fit is counted.

use refguard_core::diff::{DiffReport, FieldChange};

use super::{
    Change, Event, Item, Subject, count_changes, join_names, list_items, policy_of, target_words,
    touches_words,
};
use crate::output::count;
use crate::output::escape::markdown_code;

/// Bytes of the list of losses. GitHub takes 65,536 characters in all.
const LOSSES: usize = 12_000;
/// Bytes of the details.
const DETAILS: usize = 40_000;

/// A diff as markdown.
pub fn diff_markdown(report: &DiffReport<'_>) -> String {
    diff_markdown_within(report, LOSSES, DETAILS)
}

/// As [`diff_markdown`], in so many bytes for the losses and for the details.
pub fn diff_markdown_within(
    report: &DiffReport<'_>,
    losses_bytes: usize,
    details_bytes: usize,
) -> String {
    let (base, head) = (markdown_code(report.base), markdown_code(report.head));
    if report.diff.is_empty() {
        return format!("### Policies: no change\n\n{base} and {head} mean the same.\n");
    }
    let items = list_items(report.diff);
    let mut page = format!(
        "### Policies: {base} → {head}\n\n{}",
        count_changes(report.diff)
    );
    if let Some(touches) = touches_words(&report.diff.touches, markdown_code) {
        page.push_str(&format!(". Touches {touches}"));
    }
    page.push_str(".\n\n");
    let losses: Vec<String> = items
        .iter()
        .filter(|item| item.loses)
        .map(loss_line)
        .collect();
    match losses.len() {
        0 => page.push_str("No policy gives less, and no attachment matches less, than before.\n"),
        number => {
            page.push_str(&format!(
                "**Less protection** in {}:\n\n",
                count(number, "place", "places")
            ));
            push_fitting(&mut page, losses, losses_bytes);
        }
    }
    let changes = count(items.len(), "change", "changes");
    page.push_str(&format!(
        "\n<details><summary>{changes} in detail</summary>\n\n"
    ));
    push_fitting(
        &mut page,
        items.iter().map(detail_lines).collect(),
        details_bytes,
    );
    page.push_str("\n</details>\n");
    page
}

/// Adds what fits, and counts the rest.
fn push_fitting(page: &mut String, parts: Vec<String>, bytes: usize) {
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

fn subject_words(item: &Item<'_>) -> String {
    match item.subject {
        Subject::Policy(name) => format!("policy {}", markdown_code(name)),
        Subject::Attachment(document) => {
            let policy = markdown_code(policy_of(document));
            format!(
                "attachment of {policy} to {}",
                target_words(document, markdown_code)
            )
        }
    }
}

/// One line of the summary.
fn loss_line(item: &Item<'_>) -> String {
    let [sure, unsure] = &item.lost;
    let mark = match item.event {
        Event::Removed => "Removed",
        _ if !sure.is_empty() => "Loses",
        _ => "May lose",
    };
    let mut what: Vec<String> = Vec::new();
    if !sure.is_empty() {
        what.push(join_names(sure, markdown_code));
    }
    if !unsure.is_empty() {
        what.push(format!("perhaps {}", join_names(unsure, markdown_code)));
    }
    what.extend(item.warning.map(str::to_owned));
    if !item.via.is_empty() {
        what.push(format!("through {}", join_names(&item.via, markdown_code)));
    }
    let what = if what.is_empty() {
        String::new()
    } else {
        format!(": {}", what.join("; "))
    };
    format!("- **{mark}** {}{what}\n", subject_words(item))
}

/// One item of the details.
fn detail_lines(item: &Item<'_>) -> String {
    let word = match item.event {
        Event::Removed => "**Removed**",
        Event::Changed if item.loses => "**Changed**",
        Event::Changed => "Changed",
        Event::Added => "Added",
    };
    let place = markdown_code(&format!("{}:{}", item.file, item.line));
    let mut text = format!("- {word} {} ({place})\n", subject_words(item));
    let mut line = |words: String| text.push_str(&format!("  - {words}\n"));
    let lost = ["**loses**", "**may lose**"].into_iter().zip(&item.lost);
    for (word, guardrails) in lost.filter(|(_, guardrails)| !guardrails.is_empty()) {
        line(format!("{word} {}", join_names(guardrails, markdown_code)));
    }
    if let Some(warning) = item.warning {
        line(format!("**{warning}**"));
    }
    let gained = ["gains", "may gain"].into_iter().zip(&item.gained);
    for (word, guardrails) in gained.filter(|(_, guardrails)| !guardrails.is_empty()) {
        line(format!("{word} {}", join_names(guardrails, markdown_code)));
    }
    if !item.via.is_empty() {
        line(format!("through {}", join_names(&item.via, markdown_code)));
    }
    item.fields
        .iter()
        .for_each(|change| line(field_words(change)));
    if let Some(touches) = item
        .touches
        .and_then(|list| touches_words(list, markdown_code))
    {
        line(format!("touches {touches}"));
    }
    text
}

fn field_words(field: &FieldChange) -> String {
    let path = markdown_code(&field.path);
    match Change::between_sides(field) {
        Change::Names { gone, come } => {
            let gone =
                (!gone.is_empty()).then(|| format!("without {}", join_names(&gone, markdown_code)));
            let come =
                (!come.is_empty()).then(|| format!("with {}", join_names(&come, markdown_code)));
            format!(
                "{path}: {}",
                gone.into_iter().chain(come).collect::<Vec<_>>().join("; ")
            )
        }
        Change::Values { a, b } => format!("{path}: {} → {}", markdown_code(&a), markdown_code(&b)),
    }
}
