//! The thread that writes state files: a write waits for the disk, which following the refs must
//! not.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use jiff::Timestamp;

use super::Snapshot;
use super::background::{self, Way};
use super::expiry::InstantFile;
use super::notes::{Notes, Subject};
use super::state::{self, Kept};
use super::state_folder::StateFolder;

/// Writes what is served, one file after another; of several that wait for one set only the last.
pub(super) struct StateWriter {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

struct Order {
    /// What to write, where there is a folder for it.
    file: Option<(StateFolder, Kept)>,
    /// The last instant at which something of a set ended.
    instant: Option<(InstantFile, Timestamp)>,
    /// What was served before. Dropped after the write, by when hardly a request still answers from
    /// it: taking a large set apart takes milliseconds, which no request should spend.
    _retired: Option<Arc<Snapshot>>,
}

impl StateWriter {
    pub fn start_writer(notes: Arc<Notes>) -> Self {
        let (orders, inbox) = channel();
        let thread = background::spawn_thread("refguard-state", Way::Far, move || {
            write_all(&inbox, &notes)
        });
        Self {
            orders: Some(orders),
            thread: thread.ok(),
        }
    }

    /// Has a set written, and what was served before dropped.
    pub fn keep_snapshot(
        &self,
        file: Option<(StateFolder, Kept)>,
        instant: Option<(InstantFile, Timestamp)>,
        retired: Option<Arc<Snapshot>>,
    ) {
        if let Some(orders) = &self.orders {
            // The thread lives as long as this does.
            let _ = orders.send(Order {
                file,
                instant,
                _retired: retired,
            });
        }
    }
}

impl Drop for StateWriter {
    /// What waits is still written.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_all(inbox: &Receiver<Order>, notes: &Notes) {
    while let Ok(first) = inbox.recv() {
        let mut waiting = vec![first];
        waiting.extend(inbox.try_iter());

        for at in 0..waiting.len() {
            if let Some((file, instant)) = waiting.get(at).and_then(|order| order.instant.as_ref())
                && let Err(error) = file.write_instant(*instant)
            {
                tracing::warn!("cannot keep the instant {instant} for a restart: {error}");
            }
            let (_, later) = waiting.split_at((at + 1).min(waiting.len()));
            let Some((folder, kept)) = waiting.get(at).and_then(|order| order.file.as_ref()) else {
                continue;
            };
            if later.iter().any(|order| order.is_of(&kept.environment)) {
                continue;
            }
            let failure = state::write_file(folder, kept).err().map(|error| {
                format!(
                    "cannot keep the set `{}` for a restart: {error:#}",
                    kept.environment
                )
            });
            notes.report_trouble(Subject::State, &kept.environment, failure);
        }
    }
}

impl Order {
    fn is_of(&self, environment: &str) -> bool {
        self.file
            .as_ref()
            .is_some_and(|(_, kept)| &*kept.environment == environment)
    }
}
