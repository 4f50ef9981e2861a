//! What a change does, as History and Change show it: who loses and gains what, safeguards,
//! documents.

use maud::{Markup, html};
use refguard_core::diff::{
    AttachmentChange, AttachmentEntry, Because, PolicyChange, PolicyEntry, SetDiff,
};
use refguard_core::prove::Impact;
use refguard_core::questions::Shift;
use refguard_core::safeguards::SafeguardDiff;
use serde_json::Value;

use super::ask::capitalise_word;
use super::frame::Frame;
use super::parts::{
    commit_mark, count_things, isolated_name, place_mark, sentence_markup, visible_text,
};
use super::policy::field_table;
use crate::daemon::Difference;
use crate::output::{
    NamedRow, SafeguardGroup, Style, group_safeguards, impact_human, loss_words, named_rows,
};

/// Rows, documents and safeguards that are shown.
const MAX_ROWS: usize = 100;
const MAX_DOCUMENTS: usize = 60;
const MAX_SAFEGUARDS: usize = 60;

/// One of two sets.
#[derive(Debug, Clone)]
pub struct Side {
    /// The promotion.
    pub promotion: Option<u64>,
    /// The commit.
    pub commit: String,
}

impl Side {
    fn shown(&self) -> Markup {
        html! {
            @if let Some(number) = self.promotion { "promotion " (number) " " }
            (commit_mark(&self.commit))
        }
    }

    fn word(&self) -> String {
        self.promotion
            .map_or_else(|| self.commit.clone(), |number| number.to_string())
    }
}

/// The page of two promotions.
pub fn difference_page(
    frame: &Frame,
    (before, after): (&Side, &Side),
    difference: &Difference,
) -> String {
    let Difference {
        diff,
        impact,
        shift,
        safeguards,
    } = difference;
    let nothing = diff.is_empty() && safeguards.is_empty();
    frame.wrap_page(html! {
        p.crumb { a href=(frame.address("/ui/history", &[])) { "History" } }
        h1 { "From " (before.shown()) " to " (after.shown()) }
        (pair_form(frame, &before.word(), &after.word()))
        @if nothing {
            div.card { p { "Policies, attachments, tests, invariants and settings mean the same." } }
        } @else {
            (impact_card(impact, shift))
            (safeguard_card(safeguards))
            (document_card(diff))
        }
    })
}

/// The form that holds any two promotions against each other.
pub(super) fn pair_form(frame: &Frame, from: &str, to: &str) -> Markup {
    html! {
        form.card method="get" action="/ui/difference" {
            @if let Some(set) = &frame.set { input type="hidden" name="set" value=(set); }
            div.fields.compare {
                div { label for="from" { "From" } input #from name="from" value=(from) required autocomplete="off"; }
                div { label for="to" { "To" } input #to name="to" value=(to) required autocomplete="off"; }
                div { button type="submit" { "Compare" } }
            }
            p.muted { "A promotion's number, a time such as 2026-11-28T07:00, or a commit." }
        }
    }
}

/// Who loses and gains what.
pub(super) fn impact_card(impact: &Impact, shift: &Shift) -> Markup {
    let loses = impact.weakens || impact.regions.iter().any(|region| !region.lost.is_empty());
    let class = match (loses, impact.exact) {
        (true, _) => "card bad",
        (false, false) => "card warn",
        (false, true) => "card good",
    };
    let rows = named_rows(shift, impact, &|name| format!("`{name}`"));
    let style = Style::default();
    html! {
        section class=(class) aria-labelledby="impact" {
            h2 #impact { (capitalise_word(&loss_words(impact, shift))) }
            @if impact.weakens { p { span.badge.bad { "weakens" } " Some request that was blocked \
                before is let through." } }
            @if !rows.is_empty() { (name_table(&rows)) }
            @if let Some(why) = &shift.left_out { p.muted { "Not every name was asked: " (sentence_markup(why)) } }
            @for sentence in impact.not_analysed.iter().take(10) { p.muted { "Not analysed: " (sentence_markup(sentence)) } }
            @if !impact.regions.is_empty() {
                details {
                    summary { "Exactly, by patterns" }
                    pre tabindex="0" role="region" aria-label="Regions of requests" { code { (impact_human(impact, style)) } }
                }
            }
        }
    }
}

/// The rows of who loses and gains what, in names of the catalog.
pub(super) fn name_table(rows: &[NamedRow]) -> Markup {
    let with = rows.iter().any(|row| !row.with.is_empty());
    let when = rows.iter().any(|row| !row.when.is_empty());
    let loses = rows.iter().any(|row| !row.loses.is_empty());
    let gains = rows.iter().any(|row| !row.gains.is_empty());
    html! {
        div.scroll tabindex="0" role="region" aria-label="Who loses and gains what" {
            table.stack {
                thead { tr {
                    th scope="col" { "Teams" } th scope="col" { "Models" }
                    @if when { th scope="col" { "When" } }
                    @if with { th scope="col" { "With" } }
                    @if loses { th scope="col" { "Loses" } }
                    @if gains { th scope="col" { "Gains" } }
                } }
                tbody {
                    @for row in rows.iter().take(MAX_ROWS) {
                        tr {
                            td data-label="Teams" { (sentence_markup(&row.teams)) } td data-label="Models" { (sentence_markup(&row.models)) }
                            @if when { td data-label="When" { (row.when) } }
                            @if with { td data-label="With" { (sentence_markup(&row.with)) } }
                            @if loses { td.loss data-label="Loses" { (sentence_markup(&row.loses)) } }
                            @if gains { td.gain data-label="Gains" { (sentence_markup(&row.gains)) } }
                        }
                    }
                }
            }
        }
        @if rows.len() > MAX_ROWS { p.muted { "and " (count_things(rows.len() - MAX_ROWS, "more row", "more rows")) } }
    }
}

/// Invariants, tests and settings that are taken away or come.
pub(super) fn safeguard_card(safeguards: &SafeguardDiff) -> Markup {
    if safeguards.is_empty() {
        return html! {};
    }
    let class = if safeguards.lost.is_empty() {
        "card good"
    } else {
        "card bad"
    };
    let (lost, gained) = (
        group_safeguards(&safeguards.lost),
        group_safeguards(&safeguards.gained),
    );
    html! {
        section class=(class) aria-labelledby="safeguards" {
            h2 #safeguards { "Safeguards" }
            ul.plain.near {
                @for group in lost.iter().take(MAX_SAFEGUARDS) { (safeguard_row("badge bad", "lost", group)) }
                @for group in gained.iter().take(MAX_SAFEGUARDS) { (safeguard_row("badge good", "gained", group)) }
            }
            @let left_out = lost.len().saturating_sub(MAX_SAFEGUARDS) + gained.len().saturating_sub(MAX_SAFEGUARDS);
            @if left_out > 0 { p.muted { "and " (left_out) " more" } }
        }
    }
}

fn safeguard_row(class: &str, word: &str, group: &SafeguardGroup<'_>) -> Markup {
    let change = group.first;
    html! {
        li {
            span class=(class) { (word) } " " (sentence_markup(&change.sentence())) (group.rest_words()) " "
            @if let Some(file) = &change.file { (place_mark(file, change.line.unwrap_or(1))) }
        }
    }
}

/// The documents that differ.
pub(super) fn document_card(diff: &SetDiff) -> Markup {
    let (policies, attachments) = (&diff.policies, &diff.attachments);
    let own: Vec<&PolicyChange> = policies
        .changed
        .iter()
        .filter(|change| change.because == Because::Own)
        .collect();
    let inherited = policies.changed.len() - own.len();
    let all = policies.removed.len()
        + policies.added.len()
        + own.len()
        + attachments.removed.len()
        + attachments.added.len()
        + attachments.changed.len();
    if all + inherited == 0 {
        return html! {};
    }
    html! {
        section.card aria-labelledby="documents" {
            h2 #documents { (count_things(all, "document differs", "documents differ")) }
            @for entry in policies.removed.iter().take(MAX_DOCUMENTS) { (policy_line("badge bad", "removed", entry)) }
            @for entry in policies.added.iter().take(MAX_DOCUMENTS) { (policy_line("badge good", "added", entry)) }
            @for change in own.iter().take(MAX_DOCUMENTS) { (policy_change(change)) }
            @for entry in attachments.removed.iter().take(MAX_DOCUMENTS) { (attachment_line("badge bad", "removed", entry)) }
            @for entry in attachments.added.iter().take(MAX_DOCUMENTS) { (attachment_line("badge good", "added", entry)) }
            @for change in attachments.changed.iter().take(MAX_DOCUMENTS) { (attachment_change(change)) }
            @if inherited > 0 {
                p.muted { (count_things(inherited, "more policy gives", "more policies give")) " something else through what they are built on." }
            }
        }
    }
}

fn policy_line(class: &str, word: &str, entry: &PolicyEntry) -> Markup {
    html! {
        div.part {
            span class=(class) { (word) } " policy " strong { (isolated_name(&entry.name)) } " "
            (place_mark(&entry.place.file, entry.place.line))
        }
    }
}

fn policy_change(change: &PolicyChange) -> Markup {
    html! {
        div.part {
            span.badge.warn { "changed" } " policy " strong { (isolated_name(&change.name)) } " "
            (place_mark(&change.place.file, change.place.line))
            @if !change.fields.is_empty() { (field_table(&change.fields)) }
        }
    }
}

fn attachment_words(entry: &AttachmentEntry) -> Markup {
    let policy = entry
        .document
        .get("policy")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let others = entry
        .document
        .iter()
        .filter(|(field, _)| !["policy", "kind", "apiVersion"].contains(&field.as_str()));
    html! {
        " attachment of " strong { (isolated_name(policy)) } " "
        @for (field, value) in others { span.muted { (visible_text(field)) } " " code { (visible_text(&plain_text(value))) } " " }
        (place_mark(&entry.place.file, entry.place.line))
    }
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        Value::Array(items) => items.iter().map(plain_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn attachment_line(class: &str, word: &str, entry: &AttachmentEntry) -> Markup {
    html! { div.part { span class=(class) { (word) } (attachment_words(entry)) } }
}

fn attachment_change(change: &AttachmentChange) -> Markup {
    html! {
        div.part {
            span.badge.warn { "changed" } (attachment_words(&change.entry))
            @if !change.fields.is_empty() { (field_table(&change.fields)) }
        }
    }
}
