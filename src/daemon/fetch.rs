//! Fetching from a remote, on a thread of its own: the network must not keep the refs from being read.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::background::{self, Way};
use super::config::Fetch;
use super::hub::lock;
use super::watch::Hint;
use super::{Config, Hub};
use crate::repo::{GitEnv, RefName, Repo};

/// Fetches at intervals until it is dropped.
pub(super) struct Fetcher {
    branches: Arc<Mutex<Vec<RefName>>>,
    urge: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Worker {
    fetch: Fetch,
    dir: PathBuf,
    env: GitEnv,
    branches: Arc<Mutex<Vec<RefName>>>,
    hub: Arc<Hub>,
    done: Sender<Hint>,
}

impl Fetcher {
    pub fn start(config: &Config, fetch: &Fetch, hub: Arc<Hub>, done: Sender<Hint>) -> Self {
        let (urge, urged) = channel();
        let branches: Arc<Mutex<Vec<RefName>>> = Arc::default();
        let (dir, env) = (config.dir.clone(), config.env.clone());
        let worker =
            Worker { fetch: fetch.clone(), dir, env, branches: branches.clone(), hub, done };
        let thread = background::spawn("refguard-fetch", Way::Far, move || worker.run(&urged));
        Self { branches, urge: Some(urge), thread: thread.ok() }
    }

    /// Says which branches to fetch from now on.
    pub fn branches(&self, branches: Vec<RefName>) {
        *lock(&self.branches) = branches;
    }

    /// Fetches now.
    pub fn urge(&self) {
        if let Some(urge) = &self.urge {
            let _ = urge.send(());
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.urge = None;
        // A fetch under way is not waited for: it has its own time limit, and the process ends.
        self.thread.take();
    }
}

impl Worker {
    fn run(self, urged: &Receiver<()>) {
        loop {
            if let Err(RecvTimeoutError::Disconnected) = urged.recv_timeout(self.fetch.interval) {
                return;
            }
            while urged.try_recv().is_ok() {}
            let branches = lock(&self.branches).clone();
            let result = Repo::open(&self.dir, &self.env)
                .and_then(|repo| repo.fetch_branches(&self.fetch.remote, &branches));
            match result {
                Ok(()) => {
                    self.hub.note("fetch", None);
                    if self.done.send(Hint::Fetched).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let word = format!("cannot fetch from `{}`: {error}", self.fetch.remote);
                    if self.hub.note("fetch", Some(word.clone())) {
                        tracing::warn!("{word}");
                    }
                }
            }
        }
    }
}
