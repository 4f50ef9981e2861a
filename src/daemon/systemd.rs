//! The service manager's protocol: ready, reloading, stopping, and that the daemon is alive.
//!
//! Words are sent by a thread of their own: a manager that does not listen would stop whoever tells
//! it something, and the follower must not be stopped. Words that it cannot take in time are
//! dropped.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// Words that may wait to be sent.
const WAITING: usize = 16;

/// The way to the service manager, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Systemd {
    watchdog: Option<Duration>,
    words: Option<SyncSender<Word>>,
}

/// What the service manager is told.
#[derive(Debug, Clone, Copy)]
enum Word {
    Ready(&'static str),
    Reloading,
    Stopping,
    Alive,
}

impl Systemd {
    /// As this process's environment variables name it.
    pub fn from_process() -> Self {
        let (words, inbox) = sync_channel(WAITING);
        let named = std::env::var_os("NOTIFY_SOCKET").is_some();
        let thread = thread::Builder::new().name("refguard-notify".to_owned());
        let started = named && thread.spawn(move || send_all(&inbox)).is_ok();
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            words: started.then_some(words),
        }
    }

    /// How often [`Self::tell_alive`] must be called: a third of the watchdog's limit.
    pub fn alive_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 3)
    }

    /// The daemon is ready, with a word for the manager's status line.
    pub fn tell_ready(&self, word: &'static str) {
        self.say_state(Word::Ready(word));
    }

    /// A reload was asked for.
    pub fn tell_reloading(&self) {
        self.say_state(Word::Reloading);
    }

    /// The daemon is about to end.
    pub fn tell_stopping(&self) {
        self.say_state(Word::Stopping);
    }

    /// The daemon is alive.
    pub fn tell_alive(&self) {
        if self.watchdog.is_some() {
            self.say_state(Word::Alive);
        }
    }

    fn say_state(&self, word: Word) {
        if let Some(words) = &self.words {
            let _ = words.try_send(word);
        }
    }
}

fn send_all(inbox: &Receiver<Word>) {
    while let Ok(word) = inbox.recv() {
        // A manager that has gone away is not told.
        let _ = match word {
            Word::Ready(word) => {
                sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(word)])
            }
            Word::Reloading => NotifyState::monotonic_usec_now()
                .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
            Word::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Word::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        };
    }
}
