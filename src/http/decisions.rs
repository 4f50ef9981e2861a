//! The decision log: one JSON line for each answer, or a sample of them.
//!
//! Lines are written by a thread of its own; where it is behind, lines are dropped and counted, so that
//! the log never holds up an answer.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use refguard_core::document::Dimension;
use refguard_core::resolve::{Context, Resolution};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::app::App;
use super::resolve::policy_names;
use crate::daemon::Snapshot;

/// Lines that may wait to be written.
const WAITING: usize = 10_000;

/// Where decisions are written, and which.
pub struct DecisionLog {
    lines: SyncSender<String>,
    /// One of so many is written.
    one_of: u64,
    hash_keys: bool,
    seen: AtomicU64,
}

impl DecisionLog {
    /// Writes one of `one_of` decisions; keys as hashes if asked.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        mut out: impl Write + Send + 'static,
        one_of: u64,
        hash_keys: bool,
    ) -> std::io::Result<Self> {
        let (lines, inbox) = sync_channel::<String>(WAITING);
        thread::Builder::new().name("refguard-decisions".to_owned()).spawn(move || {
            while let Ok(line) = inbox.recv() {
                let written =
                    inbox.try_iter().try_fold(out.write_all(line.as_bytes()), |before, line| {
                        before.is_ok().then(|| out.write_all(line.as_bytes()))
                    });
                if !matches!(written.map(|last| last.and_then(|()| out.flush())), Some(Ok(()))) {
                    tracing::warn!("the decision log cannot be written");
                }
            }
        })?;
        Ok(Self { lines, one_of: one_of.max(1), hash_keys, seen: AtomicU64::new(0) })
    }

    fn takes(&self) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_of)
    }

    fn key<'a>(&self, key: &'a str) -> std::borrow::Cow<'a, str> {
        if !self.hash_keys {
            return key.into();
        }
        let hash = Sha256::digest(key.as_bytes());
        format!("sha256:{}", HEXLOWER.encode(&hash)).into()
    }
}

impl App {
    /// The line that says what a request got, where it is one of those that are logged.
    pub(super) fn decision(
        &self,
        by: &str,
        snapshot: &Snapshot,
        context: &Context,
        resolution: &Resolution<'_>,
    ) -> Option<String> {
        let log = self.options.decisions.as_ref().filter(|log| log.takes())?;
        let mut line = json!({
            "time": Timestamp::now(), "by": by, "set": &*snapshot.name,
            "commit": snapshot.commit.as_deref(), "policies": policy_names(resolution),
            "guardrails": resolution.guardrails, "unknown": resolution.unknown,
        });
        for dimension in Dimension::ALL {
            line[dimension.context_field()] = match dimension {
                Dimension::Key => json!(context.value(dimension).map(|key| log.key(key))),
                set if set.is_set() => json!(context.values(set)),
                single => json!(context.value(single)),
            };
        }
        Some(format!("{line}\n"))
    }

    /// Hands a line to the thread that writes the log; counts it where that is behind.
    pub(super) fn write_decision(&self, line: String) {
        let Some(log) = &self.options.decisions else { return };
        if let Err(TrySendError::Full(_)) = log.lines.try_send(line) {
            self.measures.undecided.inc();
        }
    }
}
