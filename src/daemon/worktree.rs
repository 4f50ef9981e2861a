//! The work tree as a set: read whole when it has been quiet for a moment, and judged like any other.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::policy::PolicySet;
use refguard_core::resolve::Engine;
use rustc_hash::FxHasher;

use super::Hub;
use super::hub::Slot;
use super::load::{Outcome, judge, rejected};
use super::snapshot::{Snapshot, Source};
use super::status::Failing;
use crate::ops::{read_worktree, worktree_files};
use crate::repo::Root;

/// How long nothing may have happened before the work tree is read.
const QUIET: Duration = Duration::from_millis(50);
/// How long it is waited for that; a checkout of many files is seen a few times, not once a file.
const PATIENCE: Duration = Duration::from_millis(500);

/// When the work tree is to be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quiet {
    /// The first and the last hint that was not acted on yet.
    hints: Option<(Instant, Instant)>,
}

impl Quiet {
    pub fn hint(&mut self, now: Instant) {
        self.hints = Some((self.hints.map_or(now, |(first, _)| first), now));
    }

    pub fn due(&self) -> Option<Instant> {
        self.hints.map(|(first, last)| (last + QUIET).min(first + PATIENCE))
    }

    /// Whether it is time; the hints are over then.
    pub fn take(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.hints = None;
        }
        due
    }
}

/// The work tree, where it is served.
pub(super) struct Drafts {
    pub quiet: Quiet,
    pub slot: Arc<Slot>,
    fingerprint: Option<u64>,
}

impl Drafts {
    pub fn new() -> Self {
        Self { quiet: Quiet::default(), slot: Slot::new("worktree", None), fingerprint: None }
    }

    /// Reads the work tree where a hint says so, or where a poll finds other files than before.
    pub fn follow(&mut self, hub: &Hub, root: &Root, hinted: bool, poll: bool) {
        if !hinted && !poll {
            return;
        }
        let print = fingerprint(root);
        let unchanged = print.as_ref().is_ok_and(|print| self.fingerprint == Some(*print));
        if unchanged && !hinted {
            return;
        }
        let started = Instant::now();
        let result = match judge(print.and_then(|print| {
            self.fingerprint = Some(print);
            read_worktree(root)
        })) {
            Outcome::Good(set) => {
                self.serve(hub, *set);
                "ok"
            }
            Outcome::Rejected(message, findings) => {
                tracing::warn!(set = "worktree", "rejected: {message}");
                self.slot.facts().rejected = Some(rejected(None, message, &findings));
                "rejected"
            }
            Outcome::Failed(message) => {
                // The next poll finds "other files" again.
                self.fingerprint = None;
                self.fail(message);
                "failed"
            }
        };
        hub.checked(&self.slot);
        hub.metrics().reloaded("worktree", result, started.elapsed());
    }

    fn serve(&self, hub: &Hub, set: PolicySet) {
        {
            let mut facts = self.slot.facts();
            (facts.rejected, facts.failing) = (None, None);
        }
        let snapshot =
            Snapshot::new(self.slot.name.clone(), Engine::new(Arc::new(set)), Source::Worktree);
        hub.publish(&self.slot, Arc::new(snapshot));
        tracing::info!(set = "worktree", "serving");
    }

    fn fail(&self, message: String) {
        tracing::warn!(set = "worktree", "cannot load: {message}");
        let failing = Failing { commit: None, since: Timestamp::now(), message, retry_seconds: 0 };
        self.slot.facts().failing = Some(failing);
    }
}

/// What tells one state of the work tree from another without reading its files.
fn fingerprint(root: &Root) -> Result<u64> {
    let mut hasher = FxHasher::default();
    worktree_files(root)?.hash(&mut hasher);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_hints_is_one_reading_and_an_endless_one_a_few() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut quiet = Quiet::default();
        quiet.hint(start);
        quiet.hint(at(30));
        assert!(!quiet.take(at(60)));
        assert!(quiet.take(at(80)));
        assert!(!quiet.take(at(900)));
        (0..30).for_each(|n| quiet.hint(at(1000 + n * 20)));
        assert!(quiet.take(at(1500)));
    }
}
