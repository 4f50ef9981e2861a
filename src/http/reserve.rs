//! Connections beyond the limit: each is heard for a moment, so that a probe is answered also in a
//! flood. The newest push out the oldest. Must not know what is answered on them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::daemon::lock_unpoisoned;

/// How many of them there may be at once.
pub(super) const PLACES: usize = 32;

/// How long each may take, from its first byte to the last of its answer.
pub(super) const TIME: Duration = Duration::from_secs(2);

/// Marks a request that came over such a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnReserve;

/// The connections of the reserve, the oldest first.
#[derive(Default)]
pub(super) struct Reserve(Mutex<VecDeque<AbortHandle>>);

impl Reserve {
    /// Takes up a connection by the task that serves it, and ends the oldest where there are too
    /// many.
    pub fn admit_task(&self, task: AbortHandle) {
        let mut tasks = lock_unpoisoned(&self.0);
        tasks.retain(|task| !task.is_finished());
        if tasks.len() >= PLACES
            && let Some(oldest) = tasks.pop_front()
        {
            oldest.abort();
        }
        tasks.push_back(task);
    }
}
