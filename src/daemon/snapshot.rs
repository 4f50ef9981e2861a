//! One set as it is served: immutable, with its origin and the indexes to answer from it.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use refguard_core::policy::{PolicyId, PolicySet};
use refguard_core::resolve::{Engine, Origin};
use sha2::{Digest, Sha256};

use super::{Answers, History};
use crate::ops::VersionIndex;
use crate::repo::CommitId;

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
    /// The index of all its attachments, expired or not.
    pub full: Arc<Engine>,
    /// The index that answers: of what is in force at the instant that it is served as of.
    pub engine: Arc<Engine>,
    /// The cache of answers that list no policies, and so no versions.
    pub answers: Answers,
    /// The version numbers of its policies, once history is read.
    numbers: ArcSwapOption<Numbers>,
}

/// The version numbers of a set's policies, as of one reading of history. Looked up once for each
/// policy: asking the index for each policy of each answer costs a quarter more for the whole
/// answer.
pub struct Numbers {
    history: Arc<VersionIndex>,
    /// By [`PolicyId`]: empty until it is asked for; `None` where history does not know the policy
    /// as it is.
    known: Box<[OnceLock<Option<u64>>]>,
    /// The cache of answers that list policies with these numbers.
    pub answers: Answers,
    revision: OnceLock<String>,
}

impl Numbers {
    fn new(history: Arc<VersionIndex>, policies: usize) -> Self {
        let known = (0..policies).map(|_| OnceLock::new()).collect();
        let (answers, revision) = (Answers::default(), OnceLock::new());
        Self {
            history,
            known,
            answers,
            revision,
        }
    }

    /// The numbers of the set `now`, where these are of the set `before`: unchanged policies keep
    /// theirs.
    fn carried_over(&self, before: &PolicySet, now: &PolicySet) -> Self {
        let numbers = Self::new(self.history.clone(), now.policies.len());
        let policies = before.policies.iter().zip(&now.policies);
        let slots = self.known.iter().zip(&numbers.known);
        for ((before, now), (known, slot)) in policies.zip(slots) {
            if let Some(number) = known.get().filter(|_| Arc::ptr_eq(before, now)) {
                let _ = slot.set(*number);
            }
        }
        numbers
    }

    /// Tells these numbers from every other numbers of the same set: 16 hex digits of their
    /// SHA-256.
    pub fn revision_of(&self, set: &PolicySet) -> &str {
        self.revision.get_or_init(|| {
            let mut hash = Sha256::new();
            for (id, policy) in (0..).zip(&set.policies) {
                let number = self.number_of(PolicyId(id), || (&policy.name, &policy.digest));
                hash.update(number.unwrap_or(0).to_be_bytes());
            }
            let mut text = HEXLOWER.encode(&hash.finalize());
            text.truncate(16);
            text
        })
    }

    /// The version of a policy of that set, by its name and its digest.
    pub fn number_of<'p>(
        &self,
        id: PolicyId,
        policy: impl FnOnce() -> (&'p str, &'p str),
    ) -> Option<u64> {
        let slot = self.known.get(id.0 as usize)?;
        *slot.get_or_init(|| {
            let (name, digest) = policy();
            self.history.number(name, digest)
        })
    }
}

impl Snapshot {
    /// A snapshot of an indexed set, under the name of the set that it is served as.
    pub(super) fn new(name: Arc<str>, full: Arc<Engine>, now: Timestamp, source: Source) -> Self {
        let engine = full.as_of(now);
        Self {
            name,
            commit: None,
            promotion: None,
            loaded_at: Timestamp::now(),
            source,
            full,
            engine,
            answers: Answers::default(),
            numbers: ArcSwapOption::empty(),
        }
    }

    /// The same set as it is at a later instant.
    pub(super) fn as_of(&self, now: Timestamp) -> Self {
        let next = Self {
            commit: self.commit.clone(),
            promotion: self.promotion,
            loaded_at: self.loaded_at,
            ..Self::new(self.name.clone(), self.full.clone(), now, self.source)
        };
        next.carry_numbers(self)
    }

    /// The same, as an environment's tip.
    pub(super) fn of_commit(self, commit: CommitId, promotion: Option<u64>) -> Self {
        Self {
            commit: Some(commit.to_string().into()),
            promotion,
            ..self
        }
    }

    /// The same snapshot with the version numbers of policies that it shares with the one before.
    pub(super) fn carry_numbers(self, before: &Self) -> Self {
        let known = before.numbers.load();
        let numbers = known
            .as_ref()
            .map(|known| Arc::new(known.carried_over(before.set(), self.set())));
        Self {
            numbers: ArcSwapOption::new(numbers),
            ..self
        }
    }

    /// The set, with every attachment, expired or not.
    pub fn set(&self) -> &PolicySet {
        self.full.set()
    }

    /// As answers name it.
    pub fn origin(&self) -> Origin<'_> {
        Origin {
            set: &self.name,
            commit: self.commit.as_deref(),
            promotion: self.promotion,
        }
    }

    /// The version of one of its policies.
    pub fn number_of(&self, history: &History, name: &str) -> Option<u64> {
        let (id, policy) = self.set().find_policy(name)?;
        self.numbers(history)?
            .number_of(id, || (&policy.name, &policy.digest))
    }

    /// The versions of its policies; `None` while history is being read.
    pub fn numbers(&self, history: &History) -> Option<Arc<Numbers>> {
        let read = history.loaded_index()?;
        if let Some(known) = self
            .numbers
            .load_full()
            .filter(|known| Arc::ptr_eq(&known.history, &read))
        {
            return Some(known);
        }
        let numbers = Arc::new(Numbers::new(read, self.set().policies.len()));
        self.numbers.store(Some(numbers.clone()));
        Some(numbers)
    }

    /// What identifies its content: the commit, or the digest where there is none.
    pub fn identity(&self) -> &str {
        self.commit.as_deref().unwrap_or(&self.set().digest)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("name", &self.name)
            .field("commit", &self.commit)
            .finish_non_exhaustive()
    }
}
