//! Fetching from a remote, on a thread of its own: the network must not keep the refs from being
//! read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::background::{self, Way};
use super::config::Fetch;
use super::metrics::FetchGauges;
use super::notes::{Notes, Subject, lock_unpoisoned};
use super::watch::Hint;
use super::{Config, Hub};
use crate::repo::{Cancel, Fetched, GitEnv, RefName, Repo, RepoError};

/// Fetches at intervals until it is dropped.
pub(super) struct Fetcher {
    branches: Arc<Mutex<Vec<RefName>>>,
    urge: Option<Sender<()>>,
    cancel: Cancel,
    thread: Option<JoinHandle<()>>,
}

struct FetchWorker {
    fetch: Fetch,
    dir: PathBuf,
    env: GitEnv,
    branches: Arc<Mutex<Vec<RefName>>>,
    cancel: Cancel,
    notes: Arc<Notes>,
    gauges: FetchGauges,
    done: Sender<Hint>,
}

impl Fetcher {
    pub fn start_fetching(config: &Config, fetch: &Fetch, hub: &Hub, done: Sender<Hint>) -> Self {
        let (urge, urged) = channel();
        let branches: Arc<Mutex<Vec<RefName>>> = Arc::default();
        let cancel = Cancel::default();
        let worker = FetchWorker {
            fetch: fetch.clone(),
            dir: config.dir.clone(),
            env: config.env.clone(),
            branches: branches.clone(),
            cancel: cancel.clone(),
            notes: hub.notes().clone(),
            gauges: hub.metrics().fetch_gauges(),
            done,
        };
        let thread = background::spawn_thread("refguard-fetch", Way::Far, move || {
            worker.fetch_until_stopped(&urged)
        });
        Self {
            branches,
            urge: Some(urge),
            cancel,
            thread: thread.ok(),
        }
    }

    /// Says which branches to fetch from now on. Where they are others than before, as at the
    /// start, they are fetched at once.
    pub fn set_branches(&self, branches: Vec<RefName>) {
        let before = std::mem::replace(&mut *lock_unpoisoned(&self.branches), branches.clone());
        if before != branches {
            self.urge_fetch();
        }
    }

    /// Fetches now.
    pub fn urge_fetch(&self) {
        if let Some(urge) = &self.urge {
            let _ = urge.send(());
        }
    }
}

impl Drop for Fetcher {
    /// A fetch under way is ended, with all processes that git has started for it.
    fn drop(&mut self) {
        self.urge = None;
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl FetchWorker {
    fn fetch_until_stopped(self, urged: &Receiver<()>) {
        // Environments whose ledgers the remote had once.
        let mut lost = BTreeSet::new();
        loop {
            if let Err(RecvTimeoutError::Disconnected) = urged.recv_timeout(self.fetch.interval) {
                return;
            }
            while urged.try_recv().is_ok() {}

            let fetched = self.fetch_once(&mut lost);
            if self.cancel.is_cancelled() {
                return;
            }
            self.report_fetch(&fetched, &lost);
            if fetched.is_ok() && self.done.send(Hint::Fetched).is_err() {
                return;
            }
        }
    }

    /// Fetches the environments' branches; returns those that the remote does not have. Keeps book
    /// of the ledgers that it has no longer.
    fn fetch_once(&self, lost: &mut BTreeSet<String>) -> Result<Vec<RefName>, RepoError> {
        let mut branches = lock_unpoisoned(&self.branches).clone();
        let remote = self.fetch.remote.as_str();
        let repo = Repo::open_at(&self.dir, &self.env)?.with_remote(Some(remote));
        if matches!(
            repo.publish_branch(),
            Err(RepoError::UnnamedPublishBranch { .. })
        ) && let Some(head) = repo.list_remote(remote, Some(&self.cancel))?.head
        {
            repo.follow_remote_head(remote, &head)?;
        }

        // Version numbers are counted on it, and it declares environments that nothing was promoted
        // to yet.
        let publish = repo.publish_branch().ok().flatten();
        branches.extend(
            publish
                .clone()
                .filter(|publish| !branches.contains(publish)),
        );
        let Fetched {
            mut missing,
            lost_ledgers,
        } = repo.fetch_branches(remote, &branches, &self.cancel)?;
        if !repo.takes_branches_only(remote)? {
            lost.extend(lost_ledgers);
        }
        let copied = repo.copied_ledgers(remote)?;
        lost.retain(|name| !copied.contains(name));
        missing.retain(|branch| Some(branch) != publish.as_ref());
        Ok(missing)
    }

    fn report_fetch(&self, fetched: &Result<Vec<RefName>, RepoError>, lost: &BTreeSet<String>) {
        let remote = &self.fetch.remote;
        let trouble = match fetched {
            Ok(missing) if missing.is_empty() => None,
            Ok(missing) => {
                let names: Vec<&str> = missing.iter().map(RefName::short).collect();
                Some(format!("`{remote}` has no branch `{}`", names.join("`, `")))
            }
            Err(error) => Some(format!("cannot fetch from `{remote}`: {error}")),
        };
        self.gauges.note_fetch(fetched.is_ok());
        self.notes.report_trouble(Subject::Fetch, "", trouble);

        let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
        let note = (!lost.is_empty()).then(|| {
            format!(
                "`{remote}` no longer has the ledger of `{}`: what the branch itself records \
                 counts, and holds that only \
                 the ledger recorded are over",
                lost.join("`, `")
            )
        });
        self.notes.report_trouble(Subject::Fetch, "ledgers", note);
    }
}
