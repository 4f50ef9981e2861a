//! Stories on real repositories.

mod crash;
mod history;
mod ledger;
mod opening;
mod remotes;
mod sources;
mod writing;

use super::{CommitId, Ledger, NewCommit, Outcome, Record, Repo, RepoError};
use crate::repo::testing::branch;

/// A record as the next promotion of a ledger would carry.
fn record(ledger: &Ledger, source: CommitId, reason: &str) -> Record {
    Record {
        number: ledger.next_number(),
        environment: "production".into(),
        source,
        digest: "0a".repeat(32),
        reason: Some(reason.into()),
        ..Record::default()
    }
}

fn production(repo: &Repo) -> Ledger {
    repo.read_ledger("production", &branch("production"))
        .unwrap()
}

/// Writes the commit of a promotion; no ref moves.
fn promotion(
    repo: &Repo,
    ledger: &Ledger,
    source: CommitId,
    reason: &str,
) -> Result<CommitId, RepoError> {
    let message = record(ledger, source, reason).message("promote").unwrap();
    let parents = ledger.next_parents(Some(source));
    // A real promotion may build a tree first; asking for the same one passes that way.
    let tree = repo.tree_with(Some(repo.tree_of(source)?), [])?;
    repo.write_commit(&NewCommit {
        tree,
        parents,
        message,
        author: None,
    })
}

/// Moves both refs from what the ledger found.
fn publish(repo: &Repo, ledger: &Ledger, commit: CommitId) -> Result<Outcome, RepoError> {
    let (tip, recorded) = ledger.expected_refs();
    let both = repo
        .begin_transaction("refguard: promote")
        .set_ref(&ledger.ref_name, tip, commit);
    both.set_ref(&ledger.ledger_name, recorded, commit)
        .commit_all()
}

/// A whole promotion.
fn promote(repo: &Repo, source: CommitId, reason: &str) -> Result<Outcome, RepoError> {
    let ledger = production(repo);
    let commit = promotion(repo, &ledger, source, reason)?;
    publish(repo, &ledger, commit)
}

fn must_promote(repo: &Repo, source: CommitId, reason: &str) -> CommitId {
    assert_eq!(promote(repo, source, reason).unwrap(), Outcome::Moved);
    repo.require_ref(&branch("production")).unwrap()
}

/// The numbers and reasons of all promotions, the oldest first.
fn story(repo: &Repo) -> Vec<String> {
    let of = |it: &super::Promotion| {
        format!(
            "{} {}",
            it.record.number,
            it.record.reason.clone().unwrap_or_default()
        )
    };
    production(repo).promotions.iter().rev().map(of).collect()
}
