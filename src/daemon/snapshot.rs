//! One set as it is served: immutable, with where it comes from and what it takes to answer from it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::policy::PolicySet;
use crate::resolve::{Engine, Origin};

/// Where a snapshot's documents were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A commit's tree.
    Commit,
    /// The work tree.
    Worktree,
    /// The file that keeps what was served last.
    State,
}

impl Source {
    /// The word in status and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Worktree => "worktree",
            Self::State => "state-file",
        }
    }
}

/// A valid set, indexed, with its origin. Never changed once made.
pub struct Snapshot {
    /// The set's name: an environment or `worktree`.
    pub name: Arc<str>,
    /// The environment's tip that it was built from; `None` of the work tree.
    pub commit: Option<Arc<str>>,
    /// The promotion's number, where the tip is one.
    pub promotion: Option<u64>,
    /// When it was built.
    pub loaded_at: Timestamp,
    /// Where its documents were read.
    pub source: Source,
    /// What answers.
    pub engine: Engine,
}

impl Snapshot {
    /// The set.
    pub fn set(&self) -> &PolicySet {
        self.engine.set()
    }

    /// As answers name it.
    pub fn origin(&self) -> Origin<'_> {
        Origin { set: &self.name, commit: self.commit.as_deref(), promotion: self.promotion }
    }

    /// What tells its content from every other: the commit, or the digest where there is none.
    pub fn identity(&self) -> &str {
        self.commit.as_deref().unwrap_or(&self.set().digest)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("name", &self.name).field("commit", &self.commit).finish_non_exhaustive()
    }
}
