//! A sign of life on a terminal, once something has taken over half a second: a bar where it is
//! known how much there is, else a word and the seconds.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ops::Progress;

/// How long a run may take before a person wants to see that it goes on.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often the seconds are told anew.
const TICK: Duration = Duration::from_millis(100);

/// Does something that may take long and cannot say how far it is. After half a second the terminal
/// says what it is and for how long, and is clean again afterwards. Nothing else may write to it
/// meanwhile.
pub(super) fn while_working<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        // Going out of scope says that the work is done, also where it panics.
        let (done, is_done) = mpsc::channel();
        // Without a thread there is no sign of life, which is all that it is for.
        let _ = thread::Builder::new().spawn_scoped(scope, move || show_life(what, &is_done));
        let result = work();
        drop(done);
        result
    })
}

/// Tells what is done until the sender is gone.
fn show_life(what: &'static str, is_done: &Receiver<()>) {
    let is_over = |wait| is_done.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
    if is_over(PATIENCE) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let bar = bar.with_elapsed(PATIENCE);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    while !is_over(TICK) {
        bar.tick();
    }
    bar.finish_and_clear();
}

/// A bar that shows itself only when it is needed.
pub(super) struct Bar {
    started: Instant,
    bar: OnceLock<Option<ProgressBar>>,
    template: &'static str,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self::with("{bar:40} {pos}/{len} files")
    }

    /// For a walk through history.
    pub(super) fn of_commits() -> Self {
        Self::with("{bar:40} {pos}/{len} commits")
    }

    fn with(template: &'static str) -> Self {
        Self {
            started: Instant::now(),
            bar: OnceLock::new(),
            template,
        }
    }
}

impl Progress for Bar {
    fn step(&self, done: usize, total: usize) {
        if self.bar.get().is_none() && self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let bar = std::io::stderr()
                .is_terminal()
                .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))?;
            let style = ProgressStyle::with_template(self.template).ok()?;
            Some(bar.with_style(style))
        });
        if let Some(bar) = bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(Some(bar)) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
