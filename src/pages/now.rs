//! Now: what is in force in each environment, since when, by whom and why; what stands in the way;
//! who enforces it.

use std::sync::Arc;

use jiff::Timestamp;
use maud::{Markup, html};
use refguard_core::policy::{Attachment, Place, PolicySet};
use serde_json::Value;

use super::frame::Frame;
use super::parts::{
    chip_list, commit_mark, count_things, group_digits, isolated_name, query_of, sentence_markup,
    time_mark, visible_text,
};
use crate::daemon::{ClientState, ListedClient, Rejected, SetStatus, Standing};
use crate::ops::{LogEntry, PolicyChanges};

/// Findings of a rejected commit that are shown.
const MAX_FINDINGS: usize = 10;
/// Clients of a set that are listed; those with trouble go first.
const MAX_CLIENTS: usize = 50;
/// Attachments that end next.
const MAX_ENDINGS: usize = 5;
/// Promotions that are listed beside what is in force.
const MAX_RECENT: usize = 5;

/// One set, from all that is known of it.
#[derive(Debug)]
pub struct NowSet<'a> {
    /// What the daemon says of it.
    pub status: &'a SetStatus,
    /// Where requests are not answered from it: why.
    pub unserved: Option<String>,
    /// What its repository says, or why that cannot be told; `None` of the work tree.
    pub standing: Option<&'a Result<Standing, String>>,
    /// The attachments that end next, with the names of their policies.
    pub endings: Vec<Ending>,
    /// Its followers.
    pub clients: Vec<ListedClient>,
}

/// An attachment that ends.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Its policy.
    pub policy: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// Why it is there at all.
    pub reason: Option<Arc<str>>,
    /// Where it stands.
    pub place: Place,
}

/// The attachments of a set that end next, at most so many as a page shows.
pub fn next_endings(set: &PolicySet, now: Timestamp) -> Vec<Ending> {
    let ending = |attachment: &Arc<Attachment>| {
        Some(Ending {
            policy: set.policy(attachment.policy)?.name.clone(),
            at: attachment.expires.filter(|at| *at > now)?,
            reason: attachment.reason.clone(),
            place: attachment.place.clone(),
        })
    };
    let mut endings: Vec<Ending> = set.attachments.iter().filter_map(ending).collect();
    endings.sort_by_key(|ending| ending.at);
    endings.truncate(MAX_ENDINGS);
    endings
}

/// How it stands with a set, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Warn,
    Bad,
}

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Warn => "badge warn",
            Self::Bad => "badge bad",
        }
    }
}

/// The page.
pub fn now_page(frame: &Frame, notes: &[String], sets: &[NowSet<'_>]) -> String {
    frame.wrap_page(html! {
        h1 { "In force now" }
        @if !notes.is_empty() {
            div.card.warn {
                h2 { "The daemon says" }
                ul { @for note in notes { li { (sentence_markup(note)) } } }
            }
        }
        @if sets.is_empty() {
            div.card { p { "No set is served yet: the daemon still reads the repository." } }
        }
        @for set in sets { (set_card(frame, set)) }
    })
}

fn set_card(frame: &Frame, set: &NowSet<'_>) -> Markup {
    let (mark, word) = judge_state(set);
    let status = set.status;
    let standing = set.standing.and_then(|standing| standing.as_ref().ok());
    let entry = served_entry(status, standing);
    html! {
        section.card.set data-set=(status.name) aria-label={ "Environment " (visible_text(&status.name)) } {
            div.head {
                h2 { (isolated_name(&status.name)) }
                span class=(mark.class()) { (word) }
            }
            @match (&status.commit, &set.unserved) {
                (None, _) if is_unused(status, standing) => {
                    p.lead { "Nothing was promoted to it yet: requests for it are refused." }
                },
                (_, Some(why)) => p.lead { "Requests are refused: " (sentence_markup(why)) },
                (None, None) if status.digest.is_none() => p.lead { "Nothing is in force." },
                _ => (in_force(status, entry)),
            }
            (trouble_list(frame, set))
            (ending_list(frame, set))
            @if let Some(standing) = standing.filter(|it| it.environment.commit == status.commit) {
                (beside_source(&standing.environment.policies, standing))
            }
            @if let Some(Err(why)) = set.standing {
                p.muted { "What the repository says cannot be told: " (sentence_markup(why)) }
            }
            (client_table(set))
            @if let Some(standing) = standing { (recent_promotions(status, &standing.recent)) }
        }
    }
}

/// The worst thing that is known of a set, in a word.
fn judge_state(set: &NowSet<'_>) -> (Mark, &'static str) {
    let status = set.status;
    let is_served = status.digest.is_some() && set.unserved.is_none();
    let standing = set.standing.and_then(|standing| standing.as_ref().ok());
    match () {
        () if !is_served && is_unused(status, standing) => (Mark::Warn, "not in use"),
        () if !is_served && status.rejected.is_none() && status.failing.is_none() => {
            (Mark::Bad, "not ready")
        }
        () if !is_served => (Mark::Bad, "nothing good to serve"),
        () if status.rejected.is_some() => (Mark::Bad, "serving the last good set"),
        () if is_ref_gone(status) => (Mark::Warn, "serving the last good set"),
        () if status.failing.is_some() => (Mark::Warn, "serving, the newest cannot be read"),
        () if status.stale => (Mark::Warn, "stale"),
        () if status.hold.is_some() => (Mark::Warn, "on hold"),
        () if status.behind => (Mark::Warn, "loading"),
        () if status.outdated.is_some() => (Mark::Warn, "serving, with errors of today"),
        () => (Mark::Good, "in force"),
    }
}

/// Whether nothing was ever promoted to it.
fn is_unused(status: &SetStatus, standing: Option<&Standing>) -> bool {
    let is_empty = |it: &Standing| it.environment.commit.is_none() && it.recent.is_empty();
    status.commit.is_none()
        && status.rejected.is_none()
        && status.failing.is_none()
        && standing.is_some_and(is_empty)
}

/// Whether a ref that is followed holds nothing.
fn is_ref_gone(status: &SetStatus) -> bool {
    status.reference.is_some() && status.ref_commit.is_none() && status.commit.is_some()
}

/// What the repository's history says of the commit that is served.
fn served_entry<'s>(status: &SetStatus, standing: Option<&'s Standing>) -> Option<&'s LogEntry> {
    let served = status.commit.as_deref()?;
    standing?.recent.iter().find(|entry| entry.commit == served)
}

fn in_force(status: &SetStatus, entry: Option<&LogEntry>) -> Markup {
    html! {
        p.lead {
            @match status.promotion {
                Some(number) => {
                    a href=(format!("/ui/history{}", query_of(&[("set", &status.name)]))) { "Promotion " (number) }
                },
                None if status.reference.is_none() => "The work tree, as it is on disk",
                None => "A commit that is no promotion",
            }
            @if let Some(entry) = entry {
                @if let Some(reason) = &entry.reason { ": " q { (isolated_name(reason)) } }
            }
        }
        dl.facts {
            @if let Some(hash) = &status.commit { div { dt { "Commit" } dd { (commit_mark(hash)) } } }
            @if let Some(entry) = entry {
                div { dt { "By" } dd { (isolated_name(&entry.author)) } }
                div { dt { "Since" } dd { (time_mark(&entry.time)) } }
                @if !entry.allowed.is_empty() {
                    div { dt { "Passed by a flag" } dd {
                        @for gate in &entry.allowed { code { (gate.gate) } " " (isolated_name(&gate.reason)) " " }
                    } }
                }
            }
            div { dt { "Holds" } dd {
                (count_things(status.policies, "policy", "policies")) ", "
                (count_things(status.attachments, "attachment", "attachments"))
            } }
            @if status.source == Some("state-file") {
                div { dt { "Read from" } dd { "the file that keeps what was served last" } }
            }
        }
    }
}

/// Everything that stands in the way of a set, the worst first.
fn trouble_list(frame: &Frame, set: &NowSet<'_>) -> Markup {
    let status = set.status;
    html! {
        @if let Some(rejected) = &status.rejected { (rejection_section(frame, rejected)) }
        @if let Some(failing) = &status.failing {
            div.trouble.warn {
                h3 { "The newest commit cannot be read" }
                p { (sentence_markup(&failing.message)) }
                p.muted { "Since " (time_mark(&failing.since.to_string())) "; tried again every "
                    (failing.retry_seconds) " s." }
            }
        }
        @if is_ref_gone(status) {
            div.trouble.warn {
                h3 { "Its branch is gone" }
                p { "The ref " code { (visible_text(status.reference.as_deref().unwrap_or_default())) }
                    " holds nothing. What was good last stays in force until it is back." }
            }
        }
        @if let Some(hold) = &status.hold {
            div.trouble.warn {
                h3 { "On hold" }
                p { "No promotion may follow: " q { (isolated_name(&hold.reason)) } }
                p.muted { "Since " (time_mark(&hold.since)) }
            }
        }
        @if status.stale {
            div.trouble.warn {
                h3 { "Stale" }
                p {
                    "Its ref was not read for longer than the daemon was told to bear"
                    @if let Some(checked) = &status.checked_at { "; last " (time_mark(&checked.to_string())) }
                    "."
                }
            }
        }
        @if let Some(outdated) = &status.outdated {
            details.trouble.warn {
                summary { "This release would refuse to promote it: "
                    (count_things(outdated.errors, "error", "errors")) }
                (finding_list(frame, status.commit.as_deref(), &outdated.findings, outdated.errors))
            }
        }
    }
}

/// What ends by itself, the next first.
fn ending_list(frame: &Frame, set: &NowSet<'_>) -> Markup {
    if set.endings.is_empty() {
        return html! {};
    }
    let commit = set.status.commit.as_deref();
    html! {
        h3 { "Ends by itself" }
        ul.plain.near {
            @for ending in &set.endings {
                li {
                    (time_mark(&ending.at.to_string())) " attachment of " strong { (isolated_name(&ending.policy)) } " "
                    (frame.place_in(commit, &ending.place.file, ending.place.line))
                    @if let Some(reason) = &ending.reason { div.muted { q { (isolated_name(reason)) } } }
                }
            }
        }
    }
}

fn rejection_section(frame: &Frame, rejected: &Rejected) -> Markup {
    html! {
        div.trouble.bad {
            h3 {
                @match &rejected.commit {
                    Some(hash) => { "Rejected: " (commit_mark(hash)) },
                    None => "The work tree is rejected",
                }
            }
            @if rejected.findings.is_empty() { p { (sentence_markup(&rejected.message)) } }
            (finding_list(frame, rejected.commit.as_deref(), &rejected.findings, rejected.errors))
            p.muted { "Rejected " (time_mark(&rejected.at.to_string())) "; it is not tried again until \
                the ref moves." }
        }
    }
}

/// Findings as `validate` writes them, each with its place.
fn finding_list(frame: &Frame, commit: Option<&str>, findings: &[Value], all: usize) -> Markup {
    let shown = findings.iter().take(MAX_FINDINGS);
    let left_out = all.saturating_sub(findings.len().min(MAX_FINDINGS));
    html! {
        ul.findings {
            @for finding in shown {
                @let word = |field: &str| finding.get(field).and_then(Value::as_str).unwrap_or_default();
                @let line = finding.get("line").and_then(Value::as_u64).unwrap_or_default();
                li {
                    (frame.place_in(commit, word("file"), u32::try_from(line).unwrap_or_default())) " "
                    span.rule { (visible_text(word("code"))) } " " (sentence_markup(word("message")))
                }
            }
        }
        @if left_out > 0 { p.muted { "and " (group_digits(left_out)) " more" } }
    }
}

/// What the publish branch has that the environment lacks.
fn beside_source(changes: &PolicyChanges, standing: &Standing) -> Markup {
    let behind = standing.environment.behind.unwrap_or_default();
    if standing.environment.commit.is_none() && changes.is_empty() {
        return html! {};
    }
    if behind == 0 && changes.is_empty() {
        return html! { p.aside { "It holds all that is published." } };
    }
    let address = format!(
        "/ui/change{}",
        query_of(&[("set", &standing.environment.name)])
    );
    html! {
        div.aside {
            p {
                @if behind > 0 {
                    "Behind what is published by " (count_things(behind, "commit", "commits")) ". "
                }
                @if changes.is_empty() { "Nothing differs. " }
                a href=(address) { "What would come" }
            }
            dl.changes {
                @for (word, names) in [("added", &changes.added), ("changed", &changes.changed),
                    ("removed", &changes.removed), ("cannot be read", &changes.faulty)] {
                    @if !names.is_empty() { div { dt { (word) } dd { (chip_list(names)) } } }
                }
                @if !changes.documents.is_empty() {
                    div { dt { "other documents" } dd { (count_things(changes.documents.len(), "differs", "differ")) } }
                }
            }
        }
    }
}

fn client_table(set: &NowSet<'_>) -> Markup {
    let mut clients: Vec<&ListedClient> = set.clients.iter().collect();
    clients.sort_by_key(|client| rank_of(client.report.state));
    let served = set.status.commit.as_deref();
    let enforcing = clients
        .iter()
        .filter(|client| client.report.commit.as_deref() == served && is_alive(client.report.state))
        .count();
    html! {
        @if clients.is_empty() {
            p.aside { "No proxy reports what it enforces." }
        } @else {
            h3 { "Enforced by " (enforcing) " of " (count_things(clients.len(), "proxy", "proxies")) }
            div.scroll tabindex="0" role="region" aria-label={ "Proxies of " (visible_text(&set.status.name)) } {
                table.stack {
                    thead { tr {
                        th scope="col" { "Proxy" } th scope="col" { "State" } th scope="col" { "Enforces" }
                        th scope="col" { "Can run" } th scope="col" { "Last heard" }
                    } }
                    tbody {
                        @for client in clients.iter().take(MAX_CLIENTS) { (client_row(client, served)) }
                    }
                }
            }
            @if clients.len() > MAX_CLIENTS {
                p.muted { "and " (group_digits(clients.len() - MAX_CLIENTS)) " more, all at "
                    code { "/v1/clients" } }
            }
        }
    }
}

fn client_row(client: &ListedClient, served: Option<&str>) -> Markup {
    let report = &client.report;
    let class = match report.state {
        ClientState::Current => Mark::Good,
        ClientState::Behind | ClientState::Away => Mark::Warn,
        ClientState::Rejected | ClientState::Lost => Mark::Bad,
    };
    html! {
        tr {
            th.id scope="row" { (isolated_name(&client.id)) }
            td data-label="State" {
                span class=(class.class()) { (report.state.name()) }
                @if let Some(reason) = &report.reason { div.muted { (sentence_markup(reason)) } }
            }
            td data-label="Enforces" {
                @match &report.commit {
                    Some(hash) => {
                        (commit_mark(hash))
                        @if Some(hash.as_str()) != served { " " span.muted { "something else" } }
                    },
                    None => span.muted { "nothing yet" },
                }
            }
            td data-label="Can run" {
                details {
                    summary { (count_things(report.guardrails.len(), "guardrail", "guardrails")) }
                    ul.plain {
                        @for guardrail in &report.guardrails {
                            li { code { (visible_text(&guardrail.name)) } " " span.muted { (visible_text(&guardrail.modes.join(", "))) } }
                        }
                    }
                }
            }
            td data-label="Last heard" { (time_mark(&client.seen_at.to_string())) }
        }
    }
}

fn is_alive(state: ClientState) -> bool {
    matches!(
        state,
        ClientState::Current | ClientState::Behind | ClientState::Away
    )
}

/// Those with trouble first.
fn rank_of(state: ClientState) -> u8 {
    match state {
        ClientState::Rejected => 0,
        ClientState::Lost => 1,
        ClientState::Away => 2,
        ClientState::Behind => 3,
        ClientState::Current => 4,
    }
}

fn recent_promotions(status: &SetStatus, entries: &[LogEntry]) -> Markup {
    if entries.is_empty() {
        return html! {};
    }
    html! {
        details.recent {
            summary { "What happened last" }
            ol.timeline {
                @for entry in entries.iter().take(MAX_RECENT) { (timeline_entry(status, entry)) }
            }
        }
    }
}

fn timeline_entry(status: &SetStatus, entry: &LogEntry) -> Markup {
    let is_served = status.commit.as_deref() == Some(entry.commit.as_str());
    html! {
        li.now[is_served] {
            strong {
                @match entry.number {
                    Some(number) => { (entry.kind) " " (number) },
                    None => "moved by something else",
                }
            }
            " " (time_mark(&entry.time)) " · " (isolated_name(&entry.author))
            @if let Some(reason) = entry.reason.as_ref().or(entry.message.as_ref()) {
                div { q { (isolated_name(reason)) } }
            }
        }
    }
}
