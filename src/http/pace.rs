//! When each of many long-polls goes on that a change wakes.
//!
//! A promotion concerns every follower in the same moment. Woken all at once they would stand
//! before whoever asks meanwhile, so a few are woken at each beat, those that wait longest first;
//! all within a time that is short for a follower. Must not know what they are answered.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

/// From some being woken to the next.
const BEAT: Duration = Duration::from_millis(1);
/// In so many beats all are woken. A beat takes two milliseconds at most on a machine that is not
/// busy, and a follower is to know of a promotion within a second.
const BEATS: usize = 300;
/// Woken at a beat at least.
const FEW: usize = 4;

/// Long-polls that wait for a change.
#[derive(Debug, Default)]
pub(super) struct Pace {
    woken: Notify,
    waiting: AtomicUsize,
    is_over: AtomicBool,
}

/// One that waits.
pub(super) struct Waiter<'p>(&'p Pace);

impl Pace {
    /// Counts the caller among those that a change from now on wakes.
    pub fn enter_queue(&self) -> Waiter<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiter(self)
    }

    /// Whether nothing changes any more: the daemon ends.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Wakes those that wait after each change, until there are no changes any more.
    pub async fn wake_waiters(&self, mut changes: watch::Receiver<u64>) {
        while changes.changed().await.is_ok() {
            if self.wake_all(&mut changes).await.is_err() {
                break;
            }
        }
        self.is_over.store(true, Ordering::SeqCst);
        self.woken.notify_waiters();
    }

    /// Wakes everyone who waits; a change in between concerns them all once more.
    async fn wake_all(
        &self,
        changes: &mut watch::Receiver<u64>,
    ) -> Result<(), watch::error::RecvError> {
        let mut left = self.waiting.load(Ordering::SeqCst);
        let mut share = share_of(left);
        while left > 0 {
            (0..share.min(left)).for_each(|_| self.woken.notify_one());
            left = left.saturating_sub(share);
            tokio::time::sleep(BEAT).await;
            if changes.has_changed()? {
                changes.borrow_and_update();
                left = self.waiting.load(Ordering::SeqCst);
                share = share_of(left);
            }
        }
        Ok(())
    }
}

/// How many are woken at a beat.
fn share_of(waiting: usize) -> usize {
    waiting.div_ceil(BEATS).max(FEW)
}

impl Waiter<'_> {
    /// Its next turn; to be enabled before that is read which may change, so that no change is
    /// missed.
    pub fn next_turn(&self) -> Notified<'_> {
        self.0.woken.notified()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;

    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::*;

    /// Waits for so many changes, and says whether the last turn was the end.
    async fn wait_for(pace: Arc<Pace>, entered: mpsc::Sender<()>, turns: usize) -> bool {
        let waiter = pace.enter_queue();
        for _ in 0..turns {
            let mut turn = pin!(waiter.next_turn());
            turn.as_mut().enable();
            entered.send(()).await.unwrap();
            turn.await;
        }
        pace.is_over()
    }

    /// So many wait for three changes each, and then for the end.
    async fn change_thrice(many: usize) {
        let (change, changes) = watch::channel(0);
        let pace = Arc::new(Pace::default());
        let waking = tokio::spawn({
            let pace = pace.clone();
            async move { pace.wake_waiters(changes).await }
        });
        let (entered, mut all_entered) = mpsc::channel(many);
        let mut waiting = JoinSet::new();
        for _ in 0..many {
            waiting.spawn(wait_for(pace.clone(), entered.clone(), 4));
        }
        for number in 1..=3 {
            for _ in 0..many {
                all_entered.recv().await.unwrap();
            }
            change.send_replace(number);
        }
        for _ in 0..many {
            all_entered.recv().await.unwrap();
        }

        drop(change);
        waking.await.unwrap();
        while let Some(was_over) = waiting.join_next().await {
            assert!(was_over.unwrap());
        }
    }

    #[test]
    fn each_change_wakes_everyone_once_and_so_does_the_end() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_time()
            .build()
            .unwrap();
        for many in [1, 3, 1_000] {
            runtime.block_on(change_thrice(many));
        }
    }

    #[test]
    fn a_few_are_woken_at_once_and_many_in_so_many_beats() {
        assert_eq!(share_of(3), FEW);
        assert!(share_of(2_000) * BEATS >= 2_000 && share_of(2_000) < 10);
    }
}
