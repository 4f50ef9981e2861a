//! What is served, for many readers at once: a slot a set, each an atomic pointer to a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::clients::{ClientTally, Clients};
use super::history::History;
use super::listeners::Listeners;
use super::metrics::Metrics;
use super::notes::Notes;
use super::slot::Slot;
use super::status::{ClientCounts, SetStatus, Status};
use super::{Config, Snapshot};

/// The set that is meant where a request names none.
const DEFAULT_SET: &str = "production";

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

/// Everything that is served, and what the daemon says of itself.
pub struct Hub {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    polling: AtomicBool,
    notes: Arc<Notes>,
    listeners: Arc<Listeners>,
    max_staleness: Option<Duration>,
    refuse_stale: bool,
    metrics: Metrics,
    history: Arc<History>,
    clients: Clients,
}

impl Hub {
    pub(super) fn new(config: &Config) -> Self {
        let (notes, listeners) = (Arc::<Notes>::default(), Arc::<Listeners>::default());
        Self {
            history: Arc::new(History::new(
                config.dir.clone(),
                notes.clone(),
                listeners.clone(),
            )),
            slots: ArcSwap::from_pointee(Vec::new()),
            polling: AtomicBool::new(false),
            notes,
            listeners,
            max_staleness: config.max_staleness,
            refuse_stale: config.refuse_stale,
            metrics: Metrics::new(),
            clients: Clients::default(),
        }
    }

    /// What is served under a name; without one, as `production` or else the first set.
    ///
    /// # Errors
    /// Where there is no such set, nothing good was loaded yet, or it is stale and that is refused.
    pub fn snapshot_of(&self, name: Option<&str>) -> Result<Arc<Snapshot>, Unserved> {
        let slot = self.find_slot(name)?;
        if self.refuse_stale && self.is_stale(&slot) {
            return Err(Unserved::Stale(slot.name.to_string()));
        }
        slot.snapshot_at(Timestamp::now())
            .ok_or_else(|| not_ready(&slot.name, Some(&slot)))
    }

    /// Whether requests of a set are answered, and from a ref that was read lately; without a name,
    /// requests that name none.
    ///
    /// # Errors
    /// Why the set is not ready.
    pub fn ready_snapshot(&self, name: Option<&str>) -> Result<Arc<Snapshot>, Unserved> {
        let slot = self.find_slot(name)?;
        if self.is_stale(&slot) {
            return Err(Unserved::Stale(slot.name.to_string()));
        }
        self.snapshot_of(name)
    }

    fn find_slot(&self, name: Option<&str>) -> Result<Arc<Slot>, Unserved> {
        let slots = self.slots.load();
        match name {
            // Before the first look nothing is known of any set: that is no reason to deny one.
            Some(name) if slots.is_empty() => Err(not_ready(name, None)),
            Some(name) => {
                let named = slots.iter().find(|slot| &*slot.name == name);
                named
                    .cloned()
                    .ok_or_else(|| Unserved::Unknown(name.to_owned()))
            }
            None => find_primary(&slots)
                .cloned()
                .ok_or_else(|| not_ready(DEFAULT_SET, None)),
        }
    }

    fn is_stale(&self, slot: &Slot) -> bool {
        self.max_staleness
            .is_some_and(|limit| slot.follows_a_ref() && slot.unchecked_for() > limit)
    }

    /// Calls a function after each swap of a snapshot.
    pub fn on_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listeners.add_listener(listener);
    }

    /// The daemon's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The history of the publish branch and of promotions.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The followers of the sets, and what each enforces.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The name of a set, by that name; without one, of the set that requests without a set are
    /// answered from.
    ///
    /// # Errors
    /// Where there is no such set, or nothing is known of any yet.
    pub fn set_name(&self, name: Option<&str>) -> Result<Arc<str>, Unserved> {
        Ok(self.find_slot(name)?.name.clone())
    }

    /// What the daemon says of one set.
    ///
    /// # Errors
    /// Where there is no such set, or nothing is known of any yet.
    pub fn set_status(&self, name: Option<&str>) -> Result<SetStatus, Unserved> {
        let slot = self.find_slot(name)?;
        Ok(slot.status(self.is_stale(&slot)))
    }

    /// The same, for a thread of its own.
    pub(super) fn shared_history(&self) -> Arc<History> {
        self.history.clone()
    }

    /// Sentences for people about what is wrong beside the sets.
    pub fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// Everything that the daemon says of itself.
    pub fn status(&self) -> Status {
        self.status_beside(&self.clients.tally_clients())
    }

    /// The same, with the followers as they were counted.
    pub fn status_beside(&self, tally: &ClientTally) -> Status {
        Status {
            version: 1,
            ready: self.ready_snapshot(None).is_ok(),
            notes: [self.notes.sentences(), tally.notes()].concat(),
            watch: if self.polling.load(Ordering::Relaxed) {
                "polling"
            } else {
                "notify"
            },
            sets: self.sets(),
            clients: ClientCounts::of(tally),
        }
    }

    /// What the daemon says of its sets.
    pub fn sets(&self) -> Vec<SetStatus> {
        self.slots
            .load()
            .iter()
            .map(|slot| slot.status(self.is_stale(slot)))
            .collect()
    }

    pub(super) fn set_slots(&self, slots: Vec<Arc<Slot>>) {
        self.slots.store(Arc::new(slots));
    }

    /// Whether a slot is the one that requests without a set are answered from.
    pub(super) fn is_primary(&self, slot: &Slot) -> bool {
        find_primary(&self.slots.load()).is_some_and(|primary| primary.name == slot.name)
    }

    /// Serves a snapshot from now on and tells the listeners. Returns the one before: taking a
    /// large one apart takes milliseconds, so the caller lets a background thread drop it.
    #[must_use = "the old snapshot is dropped in the background"]
    pub(super) fn publish_snapshot(
        &self,
        slot: &Slot,
        snapshot: Arc<Snapshot>,
    ) -> Option<Arc<Snapshot>> {
        let before = slot.swap_snapshot(snapshot);
        self.history.forget_pins();
        self.listeners.tell_all();
        before
    }

    pub(super) fn set_polling(&self, polling: bool) {
        self.polling.store(polling, Ordering::Relaxed);
    }
}

fn not_ready(name: &str, slot: Option<&Slot>) -> Unserved {
    let why = slot.and_then(Slot::trouble);
    Unserved::NotReady {
        name: name.to_owned(),
        why: why.unwrap_or_else(|| "it is still being loaded".to_owned()),
    }
}

fn find_primary(slots: &[Arc<Slot>]) -> Option<&Arc<Slot>> {
    slots
        .iter()
        .find(|slot| &*slot.name == DEFAULT_SET)
        .or_else(|| slots.first())
}
