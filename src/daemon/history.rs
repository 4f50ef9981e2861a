//! What git's history says: version numbers, promotions, pinned versions. Read beside serving, which never
//! waits for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use arc_swap::ArcSwapOption;
use refguard_core::resolve::Requested;
use serde_json::Value;

use super::Hub;
use super::background::{self, Way};
use super::hub::lock;
use crate::ops::{
    Address, Effort, Keep, NoProgress, PublishedTip, VersionHistory, VersionIndex, Which, Workspace,
};

/// Pinned versions that are remembered.
const MAX_PINS: usize = 1_000;

/// The way to git's history.
pub struct History {
    dir: PathBuf,
    index: ArcSwapOption<VersionIndex>,
    /// Versions that requests have named, as of the index above; emptied when that changes.
    pins: Mutex<HashMap<String, Requested>>,
    nudge: Mutex<Option<SyncSender<()>>>,
}

/// Why history cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHistory {
    /// It is being read.
    #[error("the history is not read yet")]
    NotYet,
    /// There is no such thing in it.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be read.
    #[error("the history cannot be read: {0}")]
    Unreadable(String),
}

impl From<anyhow::Error> for NoHistory {
    fn from(error: anyhow::Error) -> Self {
        Self::Unreadable(format!("{error:#}"))
    }
}

impl History {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, index: ArcSwapOption::empty(), pins: Mutex::default(), nudge: Mutex::default() }
    }

    /// What was read of it; `None` while that is being done.
    pub(super) fn index(&self) -> Option<Arc<VersionIndex>> {
        self.index.load_full()
    }

    /// What a request means by `NAME@N`. May read git: not for a thread that answers others.
    ///
    /// # Errors
    /// Where history is not read yet, or cannot be: a version must not be taken for unknown then.
    pub fn pinned(&self, name: &str) -> Result<Requested, NoHistory> {
        if let Some(known) = lock(&self.pins).get(name) {
            return Ok(known.clone());
        }
        let requested = self.history(&Workspace::open(&self.dir)?)?.requested(name)?;
        let mut pins = lock(&self.pins);
        // `NAME@production` moves with its ref, so only numbers are remembered.
        let lasting = matches!(Address::parse(name).which, Some(Which::Number(_)));
        if lasting && pins.len() < MAX_PINS {
            pins.insert(name.to_owned(), requested.clone());
        }
        Ok(requested)
    }

    /// The versions of a policy, as `refguard versions --format json` writes them.
    ///
    /// # Errors
    /// Where there is no such policy, or history is not read yet or cannot be.
    pub fn versions(&self, policy: &str) -> Result<Value, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        Ok(to_value(&self.known(&workspace, policy)?.version_list(policy, &NoProgress)?)?)
    }

    /// One version of a policy with its document.
    ///
    /// # Errors
    /// As of [`Self::versions`], and where there is no such version.
    pub fn version(&self, policy: &str, number: u64) -> Result<Value, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        let mut history = self.known(&workspace, policy)?;
        let which = Which::Number(number);
        if history.find_version(policy, which, &NoProgress)?.is_none() {
            return Err(NoHistory::NotFound(format!("there is no version {number} of `{policy}`")));
        }
        let shown = history.show_version(Address { policy, which: Some(which) }, &NoProgress)?;
        Ok(to_value(&shown)?)
    }

    /// Two versions of a policy field by field, as `refguard compare --format json` writes them. Each is a
    /// number, `latest`, or an environment for the version that it holds.
    ///
    /// # Errors
    /// As of [`Self::version`].
    pub fn compare(&self, policy: &str, from: &str, to: &str) -> Result<Value, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        let mut history = self.known(&workspace, policy)?;
        let mut side = |word| -> Result<Address<'_>, NoHistory> {
            let which = Which::parse(word);
            // Any other revision could name what was never published.
            let known = match which {
                Which::Number(_) | Which::Latest => true,
                Which::At(word) => {
                    workspace.environment_refs()?.iter().any(|(name, _)| name == word)
                }
            };
            if !known || history.find_version(policy, which, &NoProgress)?.is_none() {
                return Err(NoHistory::NotFound(format!(
                    "there is no version `{word}` of `{policy}`"
                )));
            }
            Ok(Address { policy, which: Some(which) })
        };
        let (from, to) = (side(from)?, side(to)?);
        let compared = history.compare(from, to, &NoProgress)?;
        Ok(to_value(&compared.comparison())?)
    }

    /// The promotions of an environment, as `refguard log --format json` writes them.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn promotions(&self, environment: &str) -> Result<Value, NoHistory> {
        Ok(to_value(&Workspace::open(&self.dir)?.log(environment, None)?)?)
    }

    /// The history that was read, of a workspace.
    fn history<'w>(&self, workspace: &'w Workspace) -> Result<VersionHistory<'w>, NoHistory> {
        let index = self.index.load_full().ok_or(NoHistory::NotYet)?;
        Ok(VersionHistory::with_index(workspace, index))
    }

    /// The same, where it knows a policy.
    fn known<'w>(
        &self,
        workspace: &'w Workspace,
        policy: &str,
    ) -> Result<VersionHistory<'w>, NoHistory> {
        let mut history = self.history(workspace)?;
        if history.index(&NoProgress)?.versions(policy).is_empty() {
            return Err(NoHistory::NotFound(format!(
                "the publish branch has never had a policy `{policy}`"
            )));
        }
        Ok(history)
    }

    /// Says that the publish branch may have moved; the first time starts reading it.
    pub(super) fn nudge(&self, hub: &Arc<Hub>) {
        let mut nudge = lock(&self.nudge);
        let again = nudge.as_ref().is_some_and(|nudge| {
            !matches!(nudge.try_send(()), Err(TrySendError::Disconnected(())))
        });
        if again {
            return;
        }
        let (sender, inbox) = sync_channel(1);
        let hub = Arc::downgrade(hub);
        let thread = background::spawn("refguard-history", Way::Far, move || {
            while let Some(hub) = hub.upgrade() {
                hub.history().catch_up(&hub);
                drop(hub);
                if wait(&inbox).is_none() {
                    return;
                }
            }
        });
        *nudge = thread.is_ok().then_some(sender);
    }

    fn catch_up(&self, hub: &Hub) {
        match self.read() {
            Ok(false) => {}
            Ok(true) => {
                lock(&self.pins).clear();
                hub.note("history", None);
            }
            Err(error) => {
                let word = format!("version numbers are not known: {error:#}");
                if hub.note("history", Some(word.clone())) {
                    tracing::warn!("{word}");
                }
            }
        }
    }

    /// Reads what is new; says whether anything was.
    fn read(&self) -> Result<bool> {
        let workspace = Workspace::open(&self.dir)?;
        let (repo, tip) = (workspace.repo()?, workspace.published()?);
        let known = self.index.load_full();
        if known.as_ref().is_some_and(|index| index.tip() == tip) {
            return Ok(false);
        }
        let index = match known {
            Some(index) => index.follow(repo, tip, &NoProgress)?,
            None => {
                let published = PublishedTip { prefix: workspace.root().prefix(), tip };
                let read = VersionIndex::read(
                    repo,
                    published,
                    Keep::ReadOnly,
                    Effort::Whole,
                    &NoProgress,
                )?;
                read.context("the history of the publish branch was not read")?
            }
        };
        self.index.store(Some(Arc::new(index)));
        Ok(true)
    }
}

/// Waits for a nudge; `None` at the end.
fn wait(inbox: &Receiver<()>) -> Option<()> {
    inbox.recv().ok()
}

fn to_value(value: &impl serde::Serialize) -> Result<Value> {
    Ok(serde_json::to_value(value)?)
}
