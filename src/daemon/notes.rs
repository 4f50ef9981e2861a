//! Sentences for people about what is wrong beside the sets: the `notes` of `/v1/status`.
//!
//! Knows nothing of what the sentences are about: whoever finds a trouble sets its note, and clears
//! it once it is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a note is about. One note is kept for each subject and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The decision log.
    Decisions,
    /// Which environments there are.
    Environments,
    /// Fetching from the remote.
    Fetch,
    /// The history of the publish branch.
    History,
    /// The instant that a set is served as of.
    Instant,
    /// What the promotions of an environment say.
    Promotions,
    /// A reload of tokens or TLS files.
    Reload,
    /// The repository as a whole.
    Repository,
    /// What another revision would say.
    Shadow,
    /// The state file of a set.
    State,
    /// File system events.
    Watch,
}

/// The notes that stand.
#[derive(Debug, Default)]
pub struct Notes(Mutex<BTreeMap<(Subject, String), String>>);

impl Notes {
    /// Sets the note of a subject and a name (a set's, or empty); returns whether it says something
    /// new.
    pub fn set_note(&self, subject: Subject, name: &str, sentence: String) -> bool {
        let mut notes = lock_unpoisoned(&self.0);
        notes.insert((subject, name.to_owned()), sentence.clone()) != Some(sentence)
    }

    /// Removes the note of a subject and a name, and logs that it is over; returns whether there
    /// was one.
    pub fn clear_note(&self, subject: Subject, name: &str) -> bool {
        let removed = lock_unpoisoned(&self.0).remove(&(subject, name.to_owned()));
        if let Some(sentence) = &removed {
            tracing::info!("over: {sentence}");
        }
        removed.is_some()
    }

    /// Sets a note and logs it where it is new; clears the note where there is no trouble.
    pub fn report_trouble(&self, subject: Subject, name: &str, trouble: Option<String>) {
        match trouble {
            Some(sentence) => {
                if self.set_note(subject, name, sentence.clone()) {
                    tracing::warn!("{sentence}");
                }
            }
            None => {
                self.clear_note(subject, name);
            }
        }
    }

    /// The note of a subject and a name, where one stands.
    pub fn sentence(&self, subject: Subject, name: &str) -> Option<String> {
        lock_unpoisoned(&self.0)
            .get(&(subject, name.to_owned()))
            .cloned()
    }

    /// Every note, by subject and name.
    pub fn sentences(&self) -> Vec<String> {
        lock_unpoisoned(&self.0).values().cloned().collect()
    }
}

/// Locks a mutex whose content stays sound when a holder panics.
pub fn lock_unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trouble_of_one_set_is_not_ended_by_another_set() {
        let notes = Notes::default();
        assert!(notes.set_note(Subject::State, "staging", "cannot write".to_owned()));
        assert!(!notes.set_note(Subject::State, "staging", "cannot write".to_owned()));
        notes.report_trouble(Subject::State, "production", None);
        assert_eq!(notes.sentences(), ["cannot write"]);
        notes.report_trouble(Subject::State, "staging", None);
        assert!(notes.sentences().is_empty());
    }
}
