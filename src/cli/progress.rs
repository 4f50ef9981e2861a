//! A progress bar on a terminal, once something has taken over half a second.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ops::Progress;

/// How long a run may take before a person wants to see that it goes on.
const PATIENCE: Duration = Duration::from_millis(500);

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
        Self { started: Instant::now(), bar: OnceLock::new(), template }
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
