//! `log`: what happened to an environment, the newest first.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use refguard_core::document::{Body, Limits, is_yaml_name, load_file};
use refguard_core::policy::{raw_attachment_json, raw_policy_json};
use serde::Serialize;

use crate::ops::Workspace;
use crate::ops::source::load;
use crate::repo::{BlobId, Change, Commit, HistoryEntry, Ledger, Promotion, RefName, Repo, TreeId};

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
    /// `promote`, `rollback` or `external`.
    pub kind: &'static str,
    /// The policies that it changed, by their documents or attachments.
    pub policies: Vec<String>,
    /// Of a rollback: the promotion it goes back to.
    pub rollback: Option<u64>,
    /// Why no promotion may follow.
    pub hold: Option<String>,
}

impl Workspace {
    /// The history of an environment; with `policy`, only what changed that one.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn log(&self, environment: &str, policy: Option<&str>) -> Result<PromotionLog> {
        let ledger = self.environment(environment)?.ledger;
        let entries: Vec<HistoryEntry<'_>> = ledger.entries().collect();
        let mut promotions = self.describe_entries(&entries, entries.len())?;
        if let Some(policy) = policy {
            promotions.retain(|entry| entry.policies.iter().any(|changed| changed == policy));
        }
        Ok(PromotionLog { version: 1, environment: environment.to_owned(), promotions })
    }

    /// One page of the history of an environment, and the cursor of the page after it. The cursor of a page is the commit
    /// of the last entry of the page before. Costs what the page holds, where `known` is the ledger of the last call and
    /// the refs have not moved; gives the ledger for the next call. `None` where the history has no such cursor.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn log_page(
        &self,
        environment: &str,
        known: Option<Arc<Ledger>>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Arc<Ledger>, Option<LogPage>)> {
        let ledger = self.ledger_now(environment, known)?;
        let mut entries = ledger.entries();
        if let Some(cursor) = cursor
            && !entries.any(|entry| entry.commit().to_string() == cursor)
        {
            drop(entries);
            return Ok((ledger, None));
        }

        // One more than the page: the tree that its last entry is compared with.
        let page: Vec<HistoryEntry<'_>> = entries.take(limit.saturating_add(1)).collect();
        let promotions = self.describe_entries(&page, limit)?;
        let next = page.get(limit).and_then(|_| promotions.last());
        let next = next.map(|last| last.commit.clone());
        let log = PromotionLog { version: 1, environment: environment.to_owned(), promotions };
        Ok((ledger, Some(LogPage { log, next })))
    }

    /// The ledger as the refs have it now.
    fn ledger_now(&self, environment: &str, known: Option<Arc<Ledger>>) -> Result<Arc<Ledger>> {
        let (_, _, ref_name) = self.environment_settings(environment)?;
        let repo = self.repo()?;
        let tip = repo.read_ref(&ref_name)?;
        let recorded = repo.read_ref(&RefName::ledger(environment)?)?;
        let known = known.filter(|known| {
            known.ref_name == ref_name && (known.tip, known.recorded) == (tip, recorded)
        });
        match known {
            Some(known) => Ok(known),
            None => Ok(Arc::new(repo.ledger_from(environment, &ref_name, tip, recorded)?)),
        }
    }

    /// Describes the first `count` entries, each with what it changed since the one that follows in the list.
    fn describe_entries(
        &self,
        entries: &[HistoryEntry<'_>],
        count: usize,
    ) -> Result<Vec<LogEntry>> {
        let repo = self.repo()?;
        let commits: Vec<Commit> =
            entries.iter().map(|entry| commit_of(repo, entry)).collect::<Result<_>>()?;
        let describe = |(index, (entry, commit)): (usize, (&HistoryEntry<'_>, &Commit))| {
            let before = commits.get(index + 1).map(|commit| commit.tree);
            let policies = changed_policies(self, before, commit.tree)?;
            Ok(log_entry(entry, commit, policies.into_iter().collect()))
        };
        entries.iter().zip(&commits).take(count).enumerate().map(describe).collect()
    }
}

fn commit_of(repo: &Repo, entry: &HistoryEntry<'_>) -> Result<Commit> {
    match entry {
        HistoryEntry::Promotion(promotion) => Ok(promotion.commit.clone()),
        HistoryEntry::External(commit) => Ok(repo.commit(*commit)?),
    }
}

fn log_entry(entry: &HistoryEntry<'_>, commit: &Commit, policies: Vec<String>) -> LogEntry {
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
        kind: match record {
            None => "external",
            Some(record) if record.rollback.is_some() => "rollback",
            Some(_) => "promote",
        },
        policies,
        rollback: record.and_then(|record| record.rollback),
        hold: record.and_then(|record| record.hold.clone()),
    }
}

/// The policies whose documents or attachments differ between two trees. Only files that changed are read.
pub(in crate::ops) fn changed_policies(
    workspace: &Workspace,
    old: Option<TreeId>,
    new: TreeId,
) -> Result<BTreeSet<String>> {
    let repo = workspace.repo()?;
    let changes = repo.diff_trees(old, Some(new), workspace.root().prefix(), &load::wanted)?;
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for Change { path, old, new } in &changes {
        for (side, said) in [(old, &mut before), (new, &mut after)] {
            if let Some(blob) =
                side.as_ref().and_then(|side| side.blob).filter(|_| is_yaml_name(path))
            {
                said.extend(sayings(repo, path, blob)?);
            }
        }
    }
    Ok(before.symmetric_difference(&after).map(|(policy, _)| policy.clone()).collect())
}

/// What a file says, as pairs of a policy's name and a canonical text.
fn sayings(repo: &Repo, path: &str, blob: BlobId) -> Result<Vec<(String, String)>> {
    let loaded = load_file(path, repo.read_blob(blob)?, &Limits::DEFAULT);
    let said = loaded.documents.iter().filter_map(|document| match &document.body {
        Body::Policy(raw) => Some((raw.name.as_str().to_owned(), raw_policy_json(raw).to_string())),
        Body::Attachment(raw) => {
            Some((raw.policy.value.clone(), raw_attachment_json(raw).to_string()))
        }
        _ => None,
    });
    Ok(said.collect())
}
