//! Versions without a counter: the number of each version of each policy, derived from history.
//!
//! Version N of a policy is the N-th change of its parsed document along the first-parent history
//! of the publish branch, absence included. `holding` has the rules of what is a change; `walk`
//! goes through history with `documents` as its reader; `cache` keeps what a walk came to in the
//! git directory, where it may be deleted at any time: it is only ever a shorter way to the same
//! answer.

mod cache;
mod digest;
mod documents;
mod holding;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustc_hash::FxHashMap;

use crate::ops::source::load::Progress;
use crate::repo::{BlobId, CommitId, Repo};
use digest::Digest;
use holding::{Content, Holding, Outcome};

/// Every version of every policy, as of one commit of the publish branch. Immutable; share it by
/// `Arc`.
#[derive(Debug, Clone)]
pub struct VersionIndex {
    tip: CommitId,
    /// The folder of the set in commits.
    prefix: String,
    /// The files at `tip`.
    holding: Holding,
    /// By the number of the name in `holding`.
    changes: Vec<Vec<VersionChange>>,
}

/// A change of one policy: a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct VersionChange {
    commit: CommitId,
    /// The document; `None`: the policy is gone.
    content: Option<Content>,
}

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From 1.
    pub number: u64,
    /// The commit that made it.
    pub commit: CommitId,
    /// The document; `None`: the policy was removed.
    pub document: Option<VersionDocument>,
    /// Whether no later version exists.
    pub latest: bool,
}

/// Where the document of a version is found, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionDocument {
    /// SHA-256 of its canonical JSON, lower-case hex.
    pub digest: String,
    /// The content of the file that it stands in.
    pub blob: BlobId,
    /// The path of that file.
    pub path: String,
}

/// Whether what a walk came to is kept in the git directory for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Read what was kept, and keep what is new. Where it cannot be written nothing is lost but
    /// time.
    InGitDir,
    /// Read what was kept, write nothing.
    ReadOnly,
}

/// How long a walk may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// To the first commit.
    Whole,
    /// At most so many commits: all of a short history, or those past what is known already.
    AtMost(usize),
    /// At most so many commits past what is known already; where nothing is, none.
    Continue(usize),
}

/// What a publish branch is to an index: the folder of the set in commits, and the commit it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedTip<'a> {
    /// The folder of the set in commits.
    pub prefix: &'a str,
    /// What the branch holds.
    pub tip: CommitId,
}

impl VersionIndex {
    /// Reads the history of a publish branch; `None` where that takes more effort than it is worth.
    ///
    /// # Errors
    /// Where history cannot be read to its beginning, as in a shallow clone: never a wrong number.
    pub fn read(
        repo: &Repo,
        published: PublishedTip<'_>,
        keep: Keep,
        effort: Effort,
        progress: &dyn Progress,
    ) -> Result<Option<Self>> {
        let earlier = cache::read_index(repo, published.prefix);
        let index = walk::read_history(repo, published, earlier.as_ref(), effort, progress)?;
        if let (Some(index), Keep::InGitDir) = (&index, keep)
            && earlier.is_none_or(|earlier| earlier.tip != index.tip)
        {
            cache::write_index(repo, index);
        }
        Ok(index)
    }

    /// Reads the whole history of a publish branch, from where an index ended that
    /// [`Self::to_bytes`] wrote, or that is kept in the git directory. Writes nothing.
    ///
    /// # Errors
    /// As of [`VersionIndex::read`].
    pub fn read_from(
        repo: &Repo,
        published: PublishedTip<'_>,
        kept: Option<&[u8]>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let kept = kept.and_then(|bytes| cache::decode_for(repo, published.prefix, bytes));
        let earlier = kept.or_else(|| cache::read_index(repo, published.prefix));
        let index = walk::read_history(repo, published, earlier.as_ref(), Effort::Whole, progress)?;
        index.context("the history of the publish branch was not read")
    }

    /// The index as bytes, for [`Self::read_from`]; `None` where this program cannot tell itself
    /// from others.
    pub fn to_bytes(&self, repo: &Repo) -> Option<Vec<u8>> {
        cache::encode_index(repo, self)
    }

    /// The same for a branch that may have moved on since this index was read. A whole walk, if it
    /// has to be.
    ///
    /// # Errors
    /// As of [`VersionIndex::read`].
    pub fn follow(&self, repo: &Repo, tip: CommitId, progress: &dyn Progress) -> Result<Self> {
        let published = PublishedTip {
            prefix: &self.prefix,
            tip,
        };
        let index = walk::read_history(repo, published, Some(self), Effort::Whole, progress)?;
        Ok(index.unwrap_or_else(|| self.clone()))
    }

    /// The commit that it was read from.
    pub fn tip(&self) -> CommitId {
        self.tip
    }

    /// The versions of a policy, the oldest first; none where history knows no such policy.
    pub fn versions(&self, policy: &str) -> Vec<Version> {
        let changes = self.changes_of(policy);
        let document = |content: &Content| VersionDocument {
            digest: content.digest.to_string(),
            blob: content.blob,
            path: self.holding.paths.text(content.path).to_owned(),
        };
        let version = |(number, change): (u64, &VersionChange)| Version {
            number,
            commit: change.commit,
            document: change.content.as_ref().map(document),
            latest: number == changes.len() as u64,
        };
        (1..).zip(changes).map(version).collect()
    }

    /// The newest number of a policy whose document has this digest.
    pub fn number(&self, policy: &str, digest: &str) -> Option<u64> {
        let digest = Digest::from_hex(digest)?;
        let same = |change: &VersionChange| {
            change
                .content
                .is_some_and(|content| content.digest == digest)
        };
        let changes = (1..).zip(self.changes_of(policy));
        changes
            .filter(|(_, change)| same(change))
            .map(|(number, _)| number)
            .last()
    }

    /// Every policy that history knows, also those that are gone.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let known = self.holding.names.all().iter().zip(&self.changes);
        known
            .filter(|(_, changes)| !changes.is_empty())
            .map(|(name, _)| &**name)
    }

    /// The policies of another commit.
    ///
    /// # Errors
    /// Where its tree cannot be read.
    pub fn elsewhere(&self, repo: &Repo, commit: CommitId) -> Result<Elsewhere<'_>> {
        Ok(Elsewhere {
            index: self,
            differing: walk::policies_elsewhere(repo, self, commit)?,
        })
    }

    /// The digest of a policy at the tip; `None` where it is not there, or stands in two places.
    pub fn digest(&self, policy: &str) -> Option<String> {
        match self.holding.outcome(self.holding.names.find(policy)?) {
            Outcome::Is(content) => Some(content.digest.to_string()),
            Outcome::Absent | Outcome::Ambiguous => None,
        }
    }

    fn changes_of(&self, policy: &str) -> &[VersionChange] {
        let number = self.holding.names.find(policy);
        number
            .and_then(|number| self.changes.get(number as usize))
            .map_or(&[], Vec::as_slice)
    }
}

/// The policies of another commit than the tip.
#[derive(Debug, Clone)]
pub struct Elsewhere<'a> {
    index: &'a VersionIndex,
    /// Of policies in files that are not the same there: the digest.
    differing: FxHashMap<Arc<str>, Option<String>>,
}

impl Elsewhere<'_> {
    /// The digest of a policy there; `None` where it is not there, or stands in two places.
    pub fn digest(&self, policy: &str) -> Option<String> {
        match self.differing.get(policy) {
            Some(there) => there.clone(),
            None => self.index.digest(policy),
        }
    }

    /// The policies whose digests are not those of the tip, sorted by name.
    pub fn differing(&self) -> Vec<(&str, Option<&str>)> {
        let all = self
            .differing
            .iter()
            .map(|(name, digest)| (&**name, digest.as_deref()));
        let mut found: Vec<_> = all
            .filter(|(name, digest)| self.index.digest(name).as_deref() != *digest)
            .collect();
        found.sort_unstable();
        found
    }
}

/// Appends what an edit came to as versions.
fn record(changes: &mut Vec<Vec<VersionChange>>, commit: CommitId, outcomes: Vec<(u32, Outcome)>) {
    for (name, outcome) in outcomes {
        let name = name as usize;
        if changes.len() <= name {
            changes.resize_with(name + 1, Vec::new);
        }
        let Some(known) = changes.get_mut(name) else {
            continue;
        };
        let content = match outcome {
            Outcome::Absent => None,
            Outcome::Is(content) => Some(content),
            Outcome::Ambiguous => continue,
        };
        let before = known.last().and_then(|change| change.content);
        if before.map(|content| content.digest) != content.map(|content| content.digest) {
            known.push(VersionChange { commit, content });
        }
    }
}
