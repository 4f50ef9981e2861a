//! Work that takes longer than a few milliseconds, away from the threads that answer everybody: a
//! few at a time, and a bounded number that waits. What is made for people runs on threads of lower
//! priority: proxies must not feel it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::daemon::{Way, give_way};

/// A runtime whose threads give way to those that answer proxies. It runs no tasks, only work that
/// blocks.
///
/// # Errors
/// Where the system gives no runtime.
pub(super) fn build_quiet_threads() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .thread_name("refguard-pages")
        .on_thread_start(|| give_way(Way::Far))
        .build()
}

/// Threads for one kind of work.
pub(super) struct Workers {
    threads: Handle,
    places: Semaphore,
    waiting: AtomicUsize,
    max_waiting: usize,
    patience: Duration,
}

impl Workers {
    /// So many at a time, on threads of that runtime; more wait for a place, but no longer than
    /// `patience`.
    pub fn new(threads: &Handle, places: usize, max_waiting: usize, patience: Duration) -> Self {
        let (places, waiting) = (Semaphore::new(places), AtomicUsize::new(0));
        Self {
            threads: threads.clone(),
            places,
            waiting,
            max_waiting,
            patience,
        }
    }

    /// Runs work on a thread of its own.
    ///
    /// # Errors
    /// That of the work; 503 where too many wait or a place is not free in time; 500 where it
    /// panics.
    pub async fn run_work<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, Problem> + Send + 'static,
    {
        let queued = Queued::enter_queue(&self.waiting);
        if queued.before >= self.max_waiting {
            return Err(Problem::busy("too many requests of this kind wait"));
        }
        let place = tokio::time::timeout(self.patience, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(Problem::busy(
                "requests of this kind take too long to be answered",
            ));
        };
        drop(queued);

        self.threads.spawn_blocking(work).await.unwrap_or_else(|_| {
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "this request met a bug of the daemon",
            ))
        })
    }
}

/// One that waits; counted until it is dropped, however its request ends.
struct Queued<'a> {
    waiting: &'a AtomicUsize,
    /// How many waited before it.
    before: usize,
}

impl<'a> Queued<'a> {
    fn enter_queue(waiting: &'a AtomicUsize) -> Self {
        Self {
            waiting,
            before: waiting.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_finds_no_place_is_refused() {
        let patience = Duration::from_millis(20);
        let workers = std::sync::Arc::new(Workers::new(&Handle::current(), 1, 1, patience));
        let (end, ending) = mpsc::channel::<()>();
        let (begun, beginning) = mpsc::channel();
        let busy = workers.clone();
        let first = tokio::spawn(async move {
            busy.run_work(move || {
                begun.send(()).unwrap();
                ending.recv().unwrap();
                Ok(1)
            })
            .await
        });
        tokio::task::spawn_blocking(move || beginning.recv().unwrap())
            .await
            .unwrap();
        let refused = workers.run_work(|| Ok(2)).await.unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.is_busy), (503, true));
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(workers.run_work(|| Ok(3)).await.unwrap(), 3);
    }
    #[cfg(target_os = "linux")]
    #[test]
    fn work_for_people_gives_way() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let quiet = build_quiet_threads().unwrap();
        let workers = Workers::new(quiet.handle(), 1, 1, Duration::from_secs(60));
        let serving = Builder::new_current_thread().enable_time().build().unwrap();
        let found = serving
            .block_on(workers.run_work(move || Ok(niceness())))
            .unwrap();
        assert_eq!(found, (niceness() + Way::Far as i32).min(19));
    }
}
