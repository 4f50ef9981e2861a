//! What happens to the sets and their followers, for those who are told: found by comparing what
//! the daemon says of itself with what it said before.
//!
//! Between two looks a set can be swapped twice; what was never served when somebody looked is not
//! told. Must not know who is told, or how.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::hub::Hub;
use super::status::SetStatus;

/// Findings of a rejected commit that are told.
const MAX_FINDINGS: usize = 10;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A set is served from another commit; once at the start, too.
    Served,
    /// A commit was rejected, and the last good set goes on being served.
    Rejected,
    /// What was rejected, or could not be read, is over.
    Recovered,
    /// Promotions are on hold, or no more.
    Hold,
    /// A follower cannot enforce what is served.
    ClientRejected,
}

impl EventKind {
    /// Its name, as types of events have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Rejected => "rejected",
            Self::Recovered => "recovered",
            Self::Hold => "hold",
            Self::ClientRejected => "client-rejected",
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// To which set.
    pub set: String,
    /// In a sentence.
    pub sentence: String,
    /// For programs.
    pub data: Value,
}

/// What was known of a set when somebody looked last.
#[derive(Debug, Clone, Default, PartialEq)]
struct KnownSet {
    commit: Option<String>,
    promotion: Option<u64>,
    digest: Option<String>,
    rejected: Option<Option<String>>,
    is_failing: bool,
    hold: Option<super::status::Hold>,
}

/// Compares what is with what was.
#[derive(Debug, Default)]
pub struct EventWatch {
    sets: BTreeMap<String, KnownSet>,
    clients: BTreeSet<(String, Option<String>, Option<String>)>,
}

impl EventWatch {
    /// What has happened since the last look.
    pub fn look_for_changes(&mut self, hub: &Hub) -> Vec<Event> {
        let sets = hub.sets();
        let mut events: Vec<Event> = Vec::new();
        for set in &sets {
            let known = self.sets.entry(set.name.clone()).or_default();
            events.extend(compare_states(known, set));
        }
        let present = |name: &String| sets.iter().any(|set| set.name == *name);
        self.sets.retain(|name, _| present(name));

        let mut rejecting = BTreeSet::new();
        for client in hub.clients().clients_rejecting() {
            let report = &client.report;
            let key = (
                client.id.to_string(),
                report.commit.clone(),
                report.reason.clone(),
            );
            if !self.clients.contains(&key) {
                events.push(client_rejected(
                    &key,
                    report.set.clone().unwrap_or_default(),
                ));
            }
            rejecting.insert(key);
        }
        self.clients = rejecting;
        events
    }
}

fn compare_states(known: &mut KnownSet, set: &SetStatus) -> Vec<Event> {
    let now = KnownSet {
        commit: set.commit.clone(),
        promotion: set.promotion,
        digest: set.digest.clone(),
        rejected: set
            .rejected
            .as_ref()
            .map(|rejected| rejected.commit.clone()),
        is_failing: set.failing.is_some(),
        hold: set.hold.clone(),
    };
    let event = |kind, sentence: String, data: Value| Event {
        kind,
        set: set.name.clone(),
        sentence,
        data,
    };
    let mut events = Vec::new();
    let name = &set.name;

    let is_other = (&now.commit, now.promotion, &now.digest)
        != (&known.commit, known.promotion, &known.digest);
    if now.digest.is_some() && is_other {
        let what = now.commit.as_deref().unwrap_or("the work tree");
        let number = now
            .promotion
            .map(|number| format!(", promotion {number}"))
            .unwrap_or_default();
        events.push(event(
            EventKind::Served,
            format!("`{name}` is served from {what}{number}"),
            json!({
                "set": name, "commit": now.commit, "promotion": now.promotion, "digest": now.digest,
                "previous": known.commit,
            }),
        ));
    }
    if let Some(rejected) = &set.rejected
        && now.rejected != known.rejected
    {
        let what = rejected.commit.as_deref().unwrap_or("the work tree");
        let findings: Vec<&Value> = rejected.findings.iter().take(MAX_FINDINGS).collect();
        events.push(event(
            EventKind::Rejected,
            format!("`{name}`: {what} is rejected: {}", rejected.message),
            json!({
                "set": name, "commit": rejected.commit, "message": rejected.message,
                "errors": rejected.errors, "findings": findings, "serves": now.commit,
            }),
        ));
    }
    let was_wrong = known.rejected.is_some() || known.is_failing;
    if was_wrong && now.rejected.is_none() && !now.is_failing {
        events.push(event(
            EventKind::Recovered,
            format!("`{name}`: what its ref holds is served again"),
            json!({ "set": name, "commit": now.commit }),
        ));
    }
    if now.hold != known.hold {
        let (sentence, data) = match &now.hold {
            Some(hold) => (
                format!("`{name}` is on hold: {}", hold.reason),
                json!({ "set": name, "held": true, "reason": hold.reason, "since": hold.since }),
            ),
            None => (
                format!("`{name}` is no more on hold"),
                json!({ "set": name, "held": false, "reason": null, "since": null }),
            ),
        };
        events.push(event(EventKind::Hold, sentence, data));
    }
    *known = now;
    events
}

fn client_rejected(
    (id, commit, reason): &(String, Option<String>, Option<String>),
    set: String,
) -> Event {
    let why = reason.as_deref().unwrap_or("it does not say why");
    Event {
        kind: EventKind::ClientRejected,
        sentence: format!("client `{id}` cannot enforce what is served as `{set}`: {why}"),
        data: json!({ "set": set, "client": id, "commit": commit, "reason": reason }),
        set,
    }
}
