//! Functions that are called when what is served has changed: a snapshot, or the version numbers of
//! its policies.

use std::sync::Mutex;

use super::notes::lock_unpoisoned;

/// The functions to call.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<Box<dyn Fn() + Send + Sync>>>);

impl Listeners {
    pub fn add_listener(&self, listener: impl Fn() + Send + Sync + 'static) {
        lock_unpoisoned(&self.0).push(Box::new(listener));
    }

    /// Calls them all.
    pub fn tell_all(&self) {
        lock_unpoisoned(&self.0)
            .iter()
            .for_each(|listener| listener());
    }
}
