//! History: what happened to an environment, the newest first.

use maud::{Markup, html};

use super::difference::pair_form;
use super::frame::Frame;
use super::parts::{
    commit_mark, count_things, isolated_name, sentence_markup, time_mark, visible_text,
};
use crate::ops::{LogEntry, LogPage};

/// Policies of an entry that are named.
const MAX_POLICIES: usize = 12;

/// The page; `is_first` where it has the newest entries.
pub fn history_page(frame: &Frame, page: &LogPage, is_first: bool) -> String {
    let entries = &page.log.promotions;
    let numbers: Vec<u64> = entries.iter().filter_map(|entry| entry.number).collect();
    let newest = numbers.first().copied().unwrap_or_default();
    frame.wrap_page(html! {
        h1 { "What happened to " (isolated_name(&page.log.environment)) }
        @if entries.is_empty() {
            div.card { p { "Nothing was promoted to it yet." } }
        } @else {
            @if newest > 1 { (pair_form(frame, &(newest - 1).to_string(), &newest.to_string())) }
            section.card aria-label="Promotions" {
                ol.timeline {
                    @for (index, entry) in entries.iter().enumerate() {
                        (entry_item(frame, entry, entries.get(index + 1), is_first && index == 0))
                    }
                }
            }
            nav.pager aria-label="Pages of the history" {
                @if !is_first { a.button.quiet href=(frame.address("/ui/history", &[])) { "Newest" } }
                @if let Some(next) = &page.next {
                    a.button.quiet href=(frame.address("/ui/history", &[("before", next)])) rel="next" { "Older" }
                }
            }
        }
    })
}

fn entry_item(frame: &Frame, entry: &LogEntry, before: Option<&LogEntry>, is_now: bool) -> Markup {
    let (class, word) = match entry.kind {
        "promote" => ("badge good", "promoted"),
        "rollback" => ("badge warn", "rolled back"),
        "hold" => ("badge warn", "put on hold"),
        "release" => ("badge good", "hold released"),
        "external" => ("badge bad", "moved by something else"),
        other => ("badge", other),
    };
    html! {
        li.now[is_now] {
            div.head {
                h2 { @match entry.number { Some(number) => { "Promotion " (number) }, None => (commit_mark(&entry.commit)) } }
                span class=(class) { (word) }
                @if is_now { span.badge { "newest" } }
                span.end { (time_mark(&entry.time)) }
            }
            @if let Some(reason) = entry.reason.as_ref().or(entry.message.as_ref()) { p { q { (isolated_name(reason)) } } }
            p.muted { (isolated_name(&entry.author)) " · " (commit_mark(&entry.commit)) }
            @if let Some(doubt) = &entry.doubt { p.loss { "Doubtful: " (sentence_markup(doubt)) } }
            @if let Some(hold) = &entry.hold { p { "On hold from here: " q { (isolated_name(hold)) } } }
            @for gate in &entry.allowed {
                p { span.badge.warn { "passed by a flag" } " gate " code { (visible_text(&gate.gate)) }
                    @if !gate.reason.is_empty() { ": " q { (isolated_name(&gate.reason)) } } }
            }
            @if !entry.policies.is_empty() {
                p.links {
                    span.muted { "Touches " (count_things(entry.policies.len(), "policy", "policies")) ": " }
                    @for policy in entry.policies.iter().take(MAX_POLICIES) {
                        a href=(frame.address("/ui/policy", &[("name", policy)])) { (isolated_name(policy)) } " "
                    }
                    @if entry.policies.len() > MAX_POLICIES { span.muted { "and " (entry.policies.len() - MAX_POLICIES) " more" } }
                }
            }
            p.links {
                @if let Some(before) = before {
                    a href=(frame.address("/ui/difference", &[("from", &before.commit), ("to", &entry.commit)])) { "What it changed" }
                }
                @let set = frame.set.as_deref().unwrap_or_default();
                a href=(format!("/ui/policies{}", super::query_of(&[("set", set), ("at", &entry.commit)]))) { "The set of then" }
            }
        }
    }
}
