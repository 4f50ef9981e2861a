//! The work tree as a set: read whole when it has been quiet for a moment, and judged like any
//! other.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::document::Release;
use refguard_core::resolve::Engine;
use rustc_hash::FxHasher;

use super::background::{self, Way};
use super::load::{Outcome, judge_load, reject_set};
use super::slot::Slot;
use super::snapshot::{Snapshot, Source};
use super::status::Failing;
use super::watch::Hint;
use super::{Config, Hub};
use crate::ops::{read_worktree, worktree_files};
use crate::repo::{GitEnv, Root};

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
    pub fn note_hint(&mut self, now: Instant) {
        self.hints = Some((self.hints.map_or(now, |(first, _)| first), now));
    }

    pub fn due_at(&self) -> Option<Instant> {
        self.hints
            .map(|(first, last)| (last + QUIET).min(first + PATIENCE))
    }

    /// Whether it is time; the hints are over then.
    pub fn take_due(&mut self, now: Instant) -> bool {
        let due = self.due_at().is_some_and(|due| due <= now);
        if due {
            self.hints = None;
        }
        due
    }
}

/// The work tree, where it is served: read on a thread of its own, published by the follower.
pub(super) struct Drafts {
    pub quiet: Quiet,
    pub slot: Arc<Slot>,
    reader: Option<Reader>,
    /// A reading that was asked for while another one was under way.
    waiting: Option<Order>,
}

/// A reading that is due.
#[derive(Debug, Clone, Copy, Default)]
struct Order {
    /// Also where no file looks changed.
    hinted: bool,
}

/// What a reading came to; none where no file had changed.
type Report = Option<(Outcome<Engine>, Duration)>;

struct Reader {
    orders: Sender<Order>,
    reports: Receiver<Report>,
    busy: bool,
}

impl Drafts {
    pub fn new() -> Self {
        let slot = Slot::new("worktree", None);
        Self {
            quiet: Quiet::default(),
            slot,
            reader: None,
            waiting: None,
        }
    }

    /// Whether the work tree is being read.
    pub fn is_busy(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.busy)
    }

    /// Takes in what was read, and has the work tree read where a hint says so, or where a poll
    /// finds other files than before.
    pub fn follow_drafts(
        &mut self,
        config: &Config,
        hub: &Hub,
        hints: &Sender<Hint>,
        look: DraftsLook,
    ) {
        self.take_report(hub);
        if look.hinted || look.polled {
            let hinted = look.hinted || self.waiting.is_some_and(|waiting| waiting.hinted);
            self.waiting = Some(Order { hinted });
        }
        if self.is_busy() {
            return;
        }
        let Some(order) = self.waiting.take() else {
            return;
        };
        if self.reader.is_none() {
            match Reader::start_reader(config, hints.clone()) {
                Ok(reader) => self.reader = Some(reader),
                Err(error) => {
                    return self.note_failure(format!("the system gives no thread: {error}"));
                }
            }
        }
        if let Some(reader) = &mut self.reader {
            reader.busy = reader.orders.send(order).is_ok();
        }
    }

    fn take_report(&mut self, hub: &Hub) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        let report = match reader.reports.try_recv() {
            Ok(report) => report,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                self.reader = None;
                return self
                    .note_failure("reading the work tree met a bug of the daemon".to_owned());
            }
        };
        reader.busy = false;
        self.slot.mark_checked();

        let Some((outcome, took)) = report else {
            return;
        };
        let result = match outcome {
            Outcome::Good(engine, _) => {
                self.serve_drafts(hub, engine);
                "ok"
            }
            Outcome::Rejected(message, findings) => {
                tracing::warn!(set = "worktree", "rejected: {message}");
                self.slot.facts().rejected = Some(reject_set(None, message, &findings));
                "rejected"
            }
            Outcome::Failed(message) => {
                self.note_failure(message);
                "failed"
            }
        };
        hub.metrics().count_reload("worktree", result, took);
    }

    fn serve_drafts(&self, hub: &Hub, engine: Engine) {
        self.slot.clear_trouble();
        let now = self.slot.instant(Timestamp::now());
        let (name, engine) = (self.slot.name.clone(), Arc::new(engine));
        let snapshot = Snapshot::new(name, engine, now, Source::Worktree);
        // An author's daemon: nothing waits for the old one to be taken apart.
        drop(hub.publish_snapshot(&self.slot, Arc::new(snapshot)));
        tracing::info!(set = "worktree", "serving");
    }

    fn note_failure(&self, message: String) {
        tracing::warn!(set = "worktree", "cannot load: {message}");
        let failing = Failing {
            commit: None,
            since: Timestamp::now(),
            message,
            retry_seconds: 0,
        };
        self.slot.facts().failing = Some(failing);
    }
}

/// Why the follower looks at the work tree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DraftsLook {
    /// Something happened there.
    pub hinted: bool,
    /// The poll is due.
    pub polled: bool,
}

impl Reader {
    fn start_reader(config: &Config, done: Sender<Hint>) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let (report, reports) = channel();
        let mut worker = DraftWorker {
            dir: config.dir.clone(),
            env: config.env.clone(),
            fingerprint: None,
        };
        background::spawn_thread("refguard-drafts", Way::Little, move || {
            while let Ok(order) = inbox.recv() {
                if report.send(worker.read_drafts(order)).is_err()
                    || done.send(Hint::Loaded).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self {
            orders,
            reports,
            busy: false,
        })
    }
}

struct DraftWorker {
    dir: PathBuf,
    env: GitEnv,
    fingerprint: Option<u64>,
}

impl DraftWorker {
    fn read_drafts(&mut self, order: Order) -> Report {
        let started = Instant::now();
        let root = match Root::find(&self.dir, &self.env) {
            Ok(root) => root,
            Err(error) => return Some((Outcome::Failed(error.to_string()), started.elapsed())),
        };
        let print = fingerprint_files(&root);
        let unchanged = print
            .as_ref()
            .is_ok_and(|print| self.fingerprint == Some(*print));
        if unchanged && !order.hinted {
            return None;
        }

        let loaded = print.and_then(|print| {
            self.fingerprint = Some(print);
            read_worktree(&root)
        });
        let outcome = judge_load(loaded, Release::CURRENT).map_value(|set| {
            set.compile_conditions();
            Engine::new(Arc::new(set))
        });
        if matches!(outcome, Outcome::Failed(_)) {
            // The next poll finds "other files" again.
            self.fingerprint = None;
        }
        Some((outcome, started.elapsed()))
    }
}

/// What tells one state of the work tree from another without reading its files.
fn fingerprint_files(root: &Root) -> Result<u64> {
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
        quiet.note_hint(start);
        quiet.note_hint(at(30));
        assert!(!quiet.take_due(at(60)));
        assert!(quiet.take_due(at(80)));
        assert!(!quiet.take_due(at(900)));
        (0..30).for_each(|n| quiet.note_hint(at(1000 + n * 20)));
        assert!(quiet.take_due(at(1500)));
    }
}
