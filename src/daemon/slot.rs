//! One set's place in the daemon: the snapshot that is served, and what is known of its ref.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};

use super::Snapshot;
use super::floor::Floor;
use super::notes::lock_unpoisoned;
use super::status::{Failing, Hold, Outdated, Rejected, SetStatus};
use crate::repo::CommitId;

/// How long before an instant the follower makes what is served from then on: a few of its sleeps.
const PREPARED_BEFORE: SignedDuration = SignedDuration::from_secs(3);

/// A set's snapshot behind an atomic pointer.
///
/// INVARIANT (one writer): only the follower's thread swaps the snapshot and writes the facts. A
/// reader takes the `Arc` once and answers wholly from it. Shortly before an instant at which
/// something ends, the follower puts what is left then into `ahead`, for readers that come between
/// the instant and its swap; after a jump of the clock the first such reader does.
pub(super) struct Slot {
    /// An environment's name, or `worktree`.
    pub name: Arc<str>,
    snapshot: ArcSwapOption<Snapshot>,
    /// What is left of `snapshot` after an instant at which something of it ends.
    ahead: ArcSwapOption<Ahead>,
    /// Held by the thread that makes it, so that many make one.
    making: Mutex<()>,
    started: Instant,
    /// Milliseconds from `started` to the last successful reading of the ref, plus one; 0: never
    /// read.
    checked: AtomicU64,
    facts: Mutex<Facts>,
}

/// A snapshot as it is after an instant at which something of it ended.
struct Ahead {
    /// The snapshot that it was made of; weak, so that it is dropped when it is replaced.
    of: Weak<Snapshot>,
    snapshot: Arc<Snapshot>,
}

/// What the follower knows of a set's ref.
#[derive(Default)]
pub(super) struct Facts {
    /// The ref that is followed; none of the work tree.
    pub reference: Option<String>,
    /// What it holds.
    pub ref_commit: Option<CommitId>,
    /// Since when it holds something that is not served.
    pub unserved_since: Option<Instant>,
    pub commits_behind: Option<u64>,
    pub rejected: Option<Rejected>,
    pub outdated: Option<Outdated>,
    pub failing: Option<Failing>,
    pub hold: Option<Hold>,
    pub checked_at: Option<Timestamp>,
    pub floor: Floor,
}

impl Slot {
    pub fn new(name: &str, reference: Option<String>) -> Arc<Self> {
        let facts = Facts {
            reference,
            ..Facts::default()
        };
        Arc::new(Self {
            name: name.into(),
            snapshot: ArcSwapOption::empty(),
            ahead: ArcSwapOption::empty(),
            making: Mutex::default(),
            started: Instant::now(),
            checked: AtomicU64::new(0),
            facts: Mutex::new(facts),
        })
    }

    /// What the follower has put here.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// What answers a request by a clock: the snapshot, without what has ended of it since. The
    /// follower may be a moment late; no answer is.
    pub fn snapshot_at(&self, clock: Timestamp) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot()?;
        if snapshot.engine.valid_until().is_none() {
            return Some(snapshot);
        }
        // A clock that runs back revives nothing.
        let clock = self.instant(clock);
        if lasts_at(&snapshot, clock) {
            return Some(snapshot);
        }

        let next = self.make_ahead(&snapshot, clock);
        self.raise_floor(next.engine.instant());
        Some(next)
    }

    /// What was made for after the next instant.
    #[cfg(test)]
    pub fn made_ahead(&self) -> Option<Arc<Snapshot>> {
        self.ahead
            .load()
            .as_ref()
            .map(|ahead| ahead.snapshot.clone())
    }

    /// Makes what will be served after the next instant at which something ends, if that is near:
    /// whoever asks then need not wait for it.
    pub fn prepare_next(&self, clock: Timestamp) {
        let Some(snapshot) = self.snapshot() else {
            return;
        };
        let until = snapshot.engine.valid_until();
        if let Some(until) = until.filter(|until| until.duration_since(clock) <= PREPARED_BEFORE) {
            self.make_ahead(&snapshot, until);
        }
    }

    /// What is left of a snapshot at an instant, made once.
    fn make_ahead(&self, snapshot: &Arc<Snapshot>, instant: Timestamp) -> Arc<Snapshot> {
        if let Some(ahead) = self.ahead_of(snapshot, instant) {
            return ahead;
        }
        let _making = lock_unpoisoned(&self.making);
        self.ahead_of(snapshot, instant).unwrap_or_else(|| {
            let made = Arc::new(snapshot.as_of(instant));
            self.ahead.store(Some(Arc::new(Ahead {
                of: Arc::downgrade(snapshot),
                snapshot: made.clone(),
            })));
            made
        })
    }

    /// What was made of a snapshot, where that is what is left of it at an instant.
    fn ahead_of(&self, snapshot: &Arc<Snapshot>, instant: Timestamp) -> Option<Arc<Snapshot>> {
        let ahead = self.ahead.load();
        let ahead = ahead.as_ref()?;
        let is_of_it = std::ptr::eq(ahead.of.as_ptr(), Arc::as_ptr(snapshot));
        let is_begun = ahead
            .snapshot
            .engine
            .instant()
            .is_some_and(|begin| begin <= instant);
        (is_of_it && is_begun && lasts_at(&ahead.snapshot, instant)).then(|| ahead.snapshot.clone())
    }

    /// Puts a snapshot in the place of the one that is served, which is returned.
    pub fn swap_snapshot(&self, snapshot: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        // What has ended in what is served never comes back.
        self.raise_floor(snapshot.engine.instant());
        self.snapshot.swap(Some(snapshot))
    }

    /// Nothing is wrong with what is served any more. What was is logged as over: the other half of
    /// its warning.
    pub fn clear_trouble(&self) {
        let trouble = {
            let mut facts = self.facts();
            let failing = facts
                .failing
                .take()
                .map(|it| format!("cannot load: {}", it.message));
            let rejected = facts
                .rejected
                .take()
                .map(|it| format!("rejected: {}", it.message));
            rejected.or(failing)
        };
        if let Some(trouble) = trouble {
            tracing::info!(set = %self.name, "over: {trouble}");
        }
    }

    /// The instant to serve as of, by a clock.
    pub fn instant(&self, clock: Timestamp) -> Timestamp {
        self.facts().floor.instant(clock)
    }

    /// From now on the set is never served as of an earlier instant.
    pub fn raise_floor(&self, to: Option<Timestamp>) {
        self.facts().floor.raise_to(to);
    }

    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        lock_unpoisoned(&self.facts)
    }

    /// Whether the set follows a ref, as all but the work tree do.
    pub fn follows_a_ref(&self) -> bool {
        self.facts().reference.is_some()
    }

    /// The ref was read (fetched) successfully just now.
    pub fn mark_checked(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.checked.store(since + 1, Ordering::Relaxed);
        self.facts().checked_at = Some(Timestamp::now());
    }

    /// How long ago the ref was read; since the slot was made, where it never was.
    pub fn unchecked_for(&self) -> Duration {
        let checked = self.checked.load(Ordering::Relaxed).saturating_sub(1);
        self.started
            .elapsed()
            .saturating_sub(Duration::from_millis(checked))
    }

    /// Why nothing is served, as far as it is known.
    pub fn trouble(&self) -> Option<String> {
        let facts = self.facts();
        let rejected = facts
            .rejected
            .as_ref()
            .map(|rejected| rejected.message.clone());
        rejected.or_else(|| {
            facts
                .failing
                .as_ref()
                .map(|failing| failing.message.clone())
        })
    }

    /// The set's object in `/v1/status`.
    pub fn status(&self, stale: bool) -> SetStatus {
        let snapshot = self.snapshot_at(Timestamp::now());
        let served = snapshot.as_deref();
        let facts = self.facts();
        let ref_commit = facts.ref_commit.map(|commit| commit.to_string());
        let commit = served.and_then(|served| served.commit.as_deref().map(str::to_owned));

        SetStatus {
            name: self.name.to_string(),
            reference: facts.reference.clone(),
            promotion: served.and_then(|served| served.promotion),
            digest: served.map(|served| served.set().digest.to_string()),
            policies: served.map_or(0, |served| served.set().policies.len()),
            attachments: served.map_or(0, |served| served.set().attachments.len()),
            instant: served.and_then(|served| served.engine.instant()),
            valid_until: served.and_then(|served| served.engine.valid_until()),
            loaded_at: served.map(|served| served.loaded_at),
            source: served.map(|served| served.source.as_str()),
            behind: facts.reference.is_some() && ref_commit != commit,
            ref_commit,
            commit,
            commits_behind: facts.commits_behind,
            lag_seconds: facts
                .unserved_since
                .map_or(0.0, |since| since.elapsed().as_secs_f64()),
            rejected: facts.rejected.clone(),
            outdated: facts.outdated.clone(),
            failing: facts.failing.clone(),
            hold: facts.hold.clone(),
            checked_at: facts.checked_at,
            stale,
        }
    }
}

/// Whether nothing of a snapshot has ended by a clock.
fn lasts_at(snapshot: &Snapshot, clock: Timestamp) -> bool {
    snapshot
        .engine
        .valid_until()
        .is_none_or(|until| clock < until)
}
