//! What is served, for many readers at once: a slot a set, each an atomic pointer to a snapshot.
//!
//! INVARIANT (one writer): only the thread that follows the refs stores into a slot. A reader takes the
//! `Arc` once and answers wholly from it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

use super::history::History;
use super::metrics::Metrics;
use super::status::{Failing, Hold, Rejected, SetStatus, Status};
use super::{Config, Snapshot};
use crate::repo::CommitId;

/// The set that is meant where a request names none.
const DEFAULT_SET: &str = "production";

/// How long a snapshot that is no longer served is kept for those who still answer from it.
const RETIRING: Duration = Duration::from_millis(10);

/// Why a set is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// No set of that name.
    #[error("there is no set `{0}`")]
    Unknown(String),
    /// Nothing good was ever loaded.
    #[error("the set `{name}` is not ready: {why}")]
    NotReady {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The ref was not read for longer than `--max-staleness`.
    #[error("the set `{0}` is stale: its ref was not read for longer than `--max-staleness`")]
    Stale(String),
}

/// Everything that is served, and the daemon's word on it.
pub struct Hub {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    started: Instant,
    polling: AtomicBool,
    notes: Mutex<BTreeMap<&'static str, String>>,
    listeners: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    /// What was served until a moment ago.
    retired: Mutex<Vec<Arc<Snapshot>>>,
    max_staleness: Option<Duration>,
    refuse_stale: bool,
    metrics: Metrics,
    history: History,
}

/// One set: what is served, and what is known of its ref.
pub(super) struct Slot {
    pub name: Arc<str>,
    pub reference: Option<String>,
    cell: ArcSwapOption<Snapshot>,
    /// Milliseconds from the hub's start to the last successful reading of the ref, plus one; 0: never.
    checked: AtomicU64,
    facts: Mutex<Facts>,
}

/// What the following thread knows of a set's ref.
#[derive(Default)]
pub(super) struct Facts {
    pub ref_commit: Option<CommitId>,
    /// Since when the ref holds something that is not served.
    pub unserved_since: Option<Instant>,
    pub commits_behind: Option<u64>,
    pub rejected: Option<Rejected>,
    pub failing: Option<Failing>,
    pub hold: Option<Hold>,
    pub checked_at: Option<Timestamp>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves facts for people, never a torn snapshot.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    pub fn new(name: &str, reference: Option<String>) -> Arc<Self> {
        let (cell, checked) = (ArcSwapOption::empty(), AtomicU64::new(0));
        Arc::new(Self { name: name.into(), reference, cell, checked, facts: Mutex::default() })
    }

    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.cell.load_full()
    }

    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }
}

impl Hub {
    pub(super) fn new(config: &Config) -> Self {
        let (max_staleness, refuse_stale) = (config.max_staleness, config.refuse_stale);
        Self {
            history: History::new(config.dir.clone()),
            slots: ArcSwap::from_pointee(Vec::new()),
            started: Instant::now(),
            polling: AtomicBool::new(false),
            notes: Mutex::default(),
            listeners: Mutex::default(),
            retired: Mutex::default(),
            max_staleness,
            refuse_stale,
            metrics: Metrics::new(),
        }
    }

    /// What is served under a name; without one, as `production` or else the first set.
    ///
    /// # Errors
    /// Where there is no such set, nothing good was loaded yet, or it is stale and that is refused.
    pub fn snapshot(&self, name: Option<&str>) -> Result<Arc<Snapshot>, Unserved> {
        let slots = self.slots.load();
        let slot = match name {
            Some(name) => slots.iter().find(|slot| &*slot.name == name),
            None => primary(&slots),
        };
        let Some(slot) = slot else {
            return Err(match name {
                Some(name) => Unserved::Unknown(name.to_owned()),
                None => self.not_ready(DEFAULT_SET, None),
            });
        };
        if self.refuse_stale && self.is_stale(slot) {
            return Err(Unserved::Stale(slot.name.to_string()));
        }
        slot.cell.load_full().ok_or_else(|| self.not_ready(&slot.name, Some(slot)))
    }

    fn not_ready(&self, name: &str, slot: Option<&Slot>) -> Unserved {
        let why = slot.and_then(|slot| {
            let facts = slot.facts();
            let rejected = facts.rejected.as_ref().map(|rejected| rejected.message.clone());
            rejected.or_else(|| facts.failing.as_ref().map(|failing| failing.message.clone()))
        });
        Unserved::NotReady {
            name: name.to_owned(),
            why: why.unwrap_or_else(|| "it is still being loaded".to_owned()),
        }
    }

    /// Whether requests of a set are answered, and from a ref that was read lately; without a name,
    /// requests that name none.
    ///
    /// # Errors
    /// Why the daemon is not ready.
    pub fn ready(&self, name: Option<&str>) -> Result<Arc<Snapshot>, Unserved> {
        let slots = self.slots.load();
        let slot = match name {
            Some(name) => slots.iter().find(|slot| &*slot.name == name),
            None => primary(&slots),
        };
        if let Some(slot) = slot.filter(|slot| self.is_stale(slot)) {
            return Err(Unserved::Stale(slot.name.to_string()));
        }
        self.snapshot(name)
    }

    fn is_stale(&self, slot: &Slot) -> bool {
        let (Some(limit), Some(_)) = (self.max_staleness, &slot.reference) else { return false };
        let checked = slot.checked.load(Ordering::Relaxed).saturating_sub(1);
        self.started.elapsed().saturating_sub(Duration::from_millis(checked)) > limit
    }

    /// The set that says which environments there are.
    pub(super) fn snapshot_for_settings(&self) -> Option<Arc<Snapshot>> {
        let slots = self.slots.load();
        primary(&slots).filter(|slot| slot.reference.is_some()).and_then(|slot| slot.snapshot())
    }

    /// Has a function called after each swap of a snapshot.
    pub fn on_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        lock(&self.listeners).push(Box::new(listener));
    }

    /// The daemon's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What git's history says; it is read when somebody asks.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Everything that the daemon says of itself.
    pub fn status(&self) -> Status {
        Status {
            version: 1,
            ready: self.ready(None).is_ok(),
            notes: lock(&self.notes).values().cloned().collect(),
            watch: if self.polling.load(Ordering::Relaxed) { "polling" } else { "notify" },
            sets: self.slots.load().iter().map(|slot| self.set_status(slot)).collect(),
        }
    }

    fn set_status(&self, slot: &Slot) -> SetStatus {
        let snapshot = slot.snapshot();
        let served = snapshot.as_deref();
        let facts = slot.facts();
        let ref_commit = facts.ref_commit.map(|commit| commit.to_string());
        let commit = served.and_then(|s| s.commit.as_deref().map(str::to_owned));
        SetStatus {
            name: slot.name.to_string(),
            reference: slot.reference.clone(),
            promotion: served.and_then(|s| s.promotion),
            digest: served.map(|s| s.set().digest.to_string()),
            policies: served.map_or(0, |s| s.set().policies.len()),
            attachments: served.map_or(0, |s| s.set().attachments.len()),
            loaded_at: served.map(|s| s.loaded_at),
            source: served.map(|s| s.source.as_str()),
            behind: slot.reference.is_some() && ref_commit != commit,
            ref_commit,
            commit,
            commits_behind: facts.commits_behind,
            lag_seconds: facts.unserved_since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            rejected: facts.rejected.clone(),
            failing: facts.failing.clone(),
            hold: facts.hold.clone(),
            checked_at: facts.checked_at,
            stale: self.is_stale(slot),
        }
    }

    pub(super) fn set_slots(&self, slots: Vec<Arc<Slot>>) {
        self.slots.store(Arc::new(slots));
    }

    /// Serves a snapshot from now on, and tells who waits.
    pub(super) fn publish(&self, slot: &Slot, snapshot: Arc<Snapshot>) {
        let before = slot.cell.swap(Some(snapshot));
        self.history.forget_pins();
        self.tell();
        lock(&self.retired).extend(before);
    }

    /// Lets go of what was served once nobody answers from it any more, so that taking it apart holds up no answer.
    /// Who has it for longer takes it apart.
    pub(super) fn let_go(&self) {
        let retired = std::mem::take(&mut *lock(&self.retired));
        let patience = Instant::now() + RETIRING;
        while retired.iter().any(|snapshot| Arc::strong_count(snapshot) > 1)
            && Instant::now() < patience
        {
            std::thread::sleep(RETIRING / 20);
        }
    }

    pub(super) fn tell(&self) {
        lock(&self.listeners).iter().for_each(|listener| listener());
    }

    pub(super) fn checked(&self, slot: &Slot) {
        let since_start = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        slot.checked.store(since_start + 1, Ordering::Relaxed);
        slot.facts().checked_at = Some(Timestamp::now());
    }

    /// Sets or clears a word for people on a subject; says whether that is news.
    pub(super) fn note(&self, subject: &'static str, word: Option<String>) -> bool {
        let mut notes = lock(&self.notes);
        match word {
            Some(word) => notes.insert(subject, word.clone()) != Some(word),
            None => notes.remove(subject).is_some(),
        }
    }

    pub(super) fn set_polling(&self, polling: bool) {
        self.polling.store(polling, Ordering::Relaxed);
    }
}

fn primary(slots: &[Arc<Slot>]) -> Option<&Arc<Slot>> {
    slots.iter().find(|slot| &*slot.name == DEFAULT_SET).or_else(|| slots.first())
}
