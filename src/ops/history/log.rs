//! `log`: what happened to an environment, the newest first.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::ops::change::rollback::releases_hold;
use crate::ops::history::changed_policies::policies_by_entry;
use crate::ops::history::doubts::find_doubt;
use crate::ops::{EnvironmentState, Home, Workspace};
use crate::repo::{Commit, HistoryEntry, Ledger, Promotion, Record, Repo, Target, TreeId};

/// The history of an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromotionLog {
    /// Version of this format.
    pub version: u32,
    /// The environment.
    pub environment: String,
    /// Its promotions and what else moved it, the newest first.
    pub promotions: Vec<LogEntry>,
}

/// Some of the history of an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogPage {
    /// The entries of the page.
    #[serde(flatten)]
    pub log: PromotionLog,
    /// The cursor of the page after it; `None` at the end.
    pub next: Option<String>,
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogEntry {
    /// The promotion's number; `None`: something else moved the ref.
    pub number: Option<u64>,
    /// The tip it made.
    pub commit: String,
    /// The commit that was promoted.
    pub promoted: Option<String>,
    /// When, RFC 3339.
    pub time: String,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: Option<String>,
    /// `promote`, `rollback`, `hold`, `release` or `external`.
    pub kind: &'static str,
    /// Gates that were passed by a flag.
    pub allowed: Vec<PassedGate>,
    /// Of an external move: the first line of the commit's message.
    pub message: Option<String>,
    /// The policies that it changed, by their documents or attachments.
    pub policies: Vec<String>,
    /// Of a rollback: the promotion it goes back to, or the commit where that was none.
    #[serde(serialize_with = "write_target")]
    pub rollback: Option<Target>,
    /// Why no promotion may follow.
    pub hold: Option<String>,
    /// What speaks against its being a promotion that refguard made.
    pub doubt: Option<String>,
}

/// A gate that was passed by a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedGate {
    /// The gate's name.
    pub gate: String,
    /// Why; may be empty.
    pub reason: String,
}

impl Workspace {
    /// The history of an environment; with `policy`, only what changed that one.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn log(&self, environment: &str, policy: Option<&str>) -> Result<PromotionLog> {
        let EnvironmentState { ledger, home, .. } = self.environment(environment)?;
        let entries: Vec<HistoryEntry<'_>> = ledger.list_entries().collect();
        let mut promotions = self.describe_entries(&entries, entries.len())?;
        // Of a remote the branch is fetched more often than the ledger.
        let unrecorded = match home {
            Home::Here => self.find_unrecorded(&ledger)?,
            Home::At(_) => Vec::new(),
        };
        for (commit, doubt) in unrecorded {
            let entry = promotions.iter_mut().find(|entry| entry.commit == commit);
            entry.into_iter().for_each(|entry| {
                entry.doubt.get_or_insert(doubt.clone());
            });
        }
        if let Some(policy) = policy {
            promotions.retain(|entry| entry.policies.iter().any(|changed| changed == policy));
        }
        Ok(PromotionLog {
            version: 1,
            environment: environment.to_owned(),
            promotions,
        })
    }

    /// One page of the history of an environment, and the cursor of the page after it. The cursor
    /// of a page is the commit of the last entry of the page before. Costs what the page holds.
    /// `None` where the history has no such cursor.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn log_page(
        &self,
        environment: &str,
        ledger: &Ledger,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<LogPage>> {
        let mut entries = ledger.list_entries();
        if let Some(cursor) = cursor
            && !entries.any(|entry| entry.commit().to_string() == cursor)
        {
            return Ok(None);
        }

        // One more than the page: the tree that its last entry is compared with.
        let page: Vec<HistoryEntry<'_>> = entries.take(limit.saturating_add(1)).collect();
        let promotions = self.describe_entries(&page, limit)?;
        let next = page.get(limit).and_then(|_| promotions.last());
        let next = next.map(|last| last.commit.clone());
        let log = PromotionLog {
            version: 1,
            environment: environment.to_owned(),
            promotions,
        };
        Ok(Some(LogPage { log, next }))
    }

    /// The ledger as the refs have it now, where `known` is the one of the last call.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn ledger_now(&self, environment: &str, known: Option<Arc<Ledger>>) -> Result<Arc<Ledger>> {
        let place = self.place(environment)?;
        let known = known.filter(|it| (it.tip, it.recorded) == (place.tip, place.recorded));
        match known {
            Some(known) => Ok(known),
            None => Ok(Arc::new(self.environment(environment)?.ledger)),
        }
    }

    /// Describes the first `count` entries, each with what it changed since the one that follows in
    /// the list.
    fn describe_entries(
        &self,
        entries: &[HistoryEntry<'_>],
        count: usize,
    ) -> Result<Vec<LogEntry>> {
        let repo = self.repo()?;
        let commits: Vec<Commit> = entries
            .iter()
            .map(|entry| commit_of(repo, entry))
            .collect::<Result<_>>()?;
        let trees: Vec<TreeId> = commits.iter().map(|commit| commit.tree).collect();
        let changed = policies_by_entry(self, &trees, count)?;
        let described = entries.iter().zip(&commits).zip(changed).enumerate();
        let described = described.map(|(index, ((entry, commit), policies))| {
            let before = trees.get(index + 1).copied();
            let is_same = before == Some(commit.tree);
            let doubt = find_doubt(repo, entry, before);
            LogEntry {
                doubt,
                ..log_entry(entry, commit, is_same, policies)
            }
        });
        Ok(described.collect())
    }
}

/// A promotion as a number, a commit as a text.
fn write_target<S: serde::Serializer>(
    target: &Option<Target>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match target {
        None => serializer.serialize_none(),
        Some(Target::Promotion(number)) => serializer.serialize_some(number),
        Some(Target::Commit(commit)) => serializer.serialize_some(&commit.to_string()),
    }
}

pub(super) fn commit_of(repo: &Repo, entry: &HistoryEntry<'_>) -> Result<Commit> {
    match entry {
        HistoryEntry::Promotion(promotion) => Ok(promotion.commit.clone()),
        HistoryEntry::External(commit) => Ok(repo.find_commit(*commit)?),
    }
}

pub(super) fn log_entry(
    entry: &HistoryEntry<'_>,
    commit: &Commit,
    is_same: bool,
    policies: Vec<String>,
) -> LogEntry {
    let record = match entry {
        HistoryEntry::Promotion(Promotion { record, .. }) => Some(record),
        HistoryEntry::External(_) => None,
    };
    LogEntry {
        number: record.map(|record| record.number),
        commit: commit.id.to_string(),
        promoted: record.map(|record| record.source.to_string()),
        time: commit.committer.time.to_string(),
        author: commit.author.to_string(),
        reason: record.and_then(|record| record.reason.clone()),
        kind: record.map_or("external", |record| kind_of(record, is_same)),
        allowed: record.map(passed_gates).unwrap_or_default(),
        message: match record {
            None => Some(commit.summary().to_owned()),
            Some(_) => None,
        },
        policies,
        rollback: record.and_then(|record| record.rollback),
        hold: record.and_then(|record| record.hold.clone()),
        doubt: None,
    }
}

/// What a promotion does. `is_same`: its set is that of the entry before.
fn kind_of(record: &Record, is_same: bool) -> &'static str {
    match record {
        Record {
            rollback: Some(_), ..
        } => "rollback",
        Record { hold: Some(_), .. } => "hold",
        _ if is_same && releases_hold(record) => "release",
        _ => "promote",
    }
}

fn passed_gates(record: &Record) -> Vec<PassedGate> {
    let passed = record.allow.iter();
    passed
        .map(|it| PassedGate {
            gate: it.gate.clone(),
            reason: it.reason.clone(),
        })
        .collect()
}
