//! What is kept of questions about environments' sets, for the next one. Must not know where it was
//! read.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use refguard_core::diff::SetDiff;
use refguard_core::prove::Impact;
use refguard_core::questions::Shift;
use refguard_core::resolve::Engine;
use refguard_core::safeguards::SafeguardDiff;

use crate::ops::Review;
use crate::repo::CommitId;

/// A set that was in an environment once.
pub struct PastSet {
    /// The environment.
    pub environment: String,
    /// The tip that it was read from.
    pub commit: String,
    /// The promotion's number, where that was one.
    pub promotion: Option<u64>,
    /// Its index.
    pub engine: Arc<Engine>,
}

impl fmt::Debug for PastSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PastSet")
            .field("environment", &self.environment)
            .field("commit", &self.commit)
            .finish_non_exhaustive()
    }
}

/// What becomes of a set that another takes the place of.
#[derive(Debug)]
pub struct Difference {
    /// By meaning.
    pub diff: SetDiff,
    /// What that does to requests.
    pub impact: Impact,
    /// The same in names of the catalog.
    pub shift: Shift,
    /// What it does to invariants, tests and settings.
    pub safeguards: SafeguardDiff,
}

/// Which difference: of two commits, as of what has ended in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DifferenceKey {
    commits: (String, String),
    ended: (Option<Timestamp>, Option<Timestamp>),
}

impl DifferenceKey {
    /// Of two sets, at an instant.
    pub fn new(before: &PastSet, after: &PastSet, now: Timestamp) -> Self {
        let ended = |past: &PastSet| {
            let ends = past
                .engine
                .set()
                .attachments
                .iter()
                .filter_map(|it| it.expires);
            ends.filter(|end| *end <= now).max()
        };
        Self {
            commits: (before.commit.clone(), after.commit.clone()),
            ended: (ended(before), ended(after)),
        }
    }
}

/// What an environment's source has and the environment lacks.
#[derive(Debug)]
pub struct Change {
    /// The environment.
    pub environment: String,
    /// Where its sets come from: the publish branch, or another environment.
    pub source: String,
    /// What that holds.
    pub head: String,
    /// What the environment holds; `None`: nothing was promoted to it.
    pub tip: Option<String>,
    /// Whether it once held something, and its branch is gone.
    pub is_gone: bool,
    /// What a reviewer needs to know; `None` where there is nothing to hold against each other.
    pub review: Option<Review>,
    /// When it was worked out.
    pub(super) made: Instant,
}

/// Which page of which history, as the refs have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageKey {
    /// The environment.
    pub environment: String,
    /// Its branch and its ledger.
    pub tips: (Option<CommitId>, Option<CommitId>),
    /// Where the page begins.
    pub cursor: Option<String>,
    /// Entries at most.
    pub limit: usize,
}
