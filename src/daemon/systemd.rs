//! The service manager's protocol: ready, reloading, stopping, and that the daemon is alive.

use std::time::Duration;

use sd_notify::NotifyState;

/// Says things to systemd, where it listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Systemd {
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the variables of this process say.
    pub fn from_process() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// How often life must be shown.
    pub fn beat(self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 3)
    }

    /// The daemon answers.
    pub fn ready(self, word: &str) {
        say(&[NotifyState::Ready, NotifyState::Status(word)]);
    }

    /// A reload was asked for.
    pub fn reloading(self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            say(&[NotifyState::Reloading, now]);
        }
    }

    /// The daemon ends.
    pub fn stopping(self) {
        say(&[NotifyState::Stopping]);
    }

    /// The daemon is alive.
    pub fn alive(self) {
        if self.watchdog.is_some() {
            say(&[NotifyState::Watchdog]);
        }
    }
}

fn say(words: &[NotifyState<'_>]) {
    // Nobody listens where there is no systemd.
    let _ = sd_notify::notify(words);
}
