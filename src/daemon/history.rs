//! What git's history says: version numbers, promotions, pinned versions. Read beside serving,
//! which never waits for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Result;
use arc_swap::ArcSwapOption;
use refguard_core::resolve::Requested;
use serde_json::Value;

use super::background::{self, Way};
use super::listeners::Listeners;
use super::notes::{Notes, Subject, lock_unpoisoned};
use super::past::{Change, Difference, DifferenceKey, PageKey, PastSet};
use super::private_file::read_private_file;
use super::state_folder::StateFolder;
use crate::ops::{
    Address, Compared, LogPage, NoProgress, Publication, PublishedTip, VersionHistory,
    VersionIndex, VersionList, Which, Workspace,
};
use crate::repo::{Ledger, Repo, unseal_bytes, write_sealed};

/// The file that keeps the index of versions.
const KEPT: &str = "versions";
/// The longest such file that is read.
const MAX_KEPT_BYTES: u64 = 1 << 30;
/// Pinned versions that are remembered.
const MAX_PINS: usize = 1_000;

/// The way to git's history.
pub struct History {
    dir: PathBuf,
    index: ArcSwapOption<VersionIndex>,
    /// Why the last try to read it failed, if it did.
    failure: Mutex<Option<String>>,
    pins: Mutex<Pins>,
    /// Sets of the past that were asked for lately, the last one first.
    pub(super) past: Mutex<Vec<Arc<PastSet>>>,
    /// What would come into environments, as it was asked for lately.
    pub(super) changes: Mutex<Vec<Arc<Change>>>,
    /// What lies between sets that were compared lately.
    pub(super) differences: Mutex<Vec<(DifferenceKey, Arc<Difference>)>>,
    /// Pages of histories that were asked for lately.
    pub(super) pages: Mutex<Vec<(PageKey, Arc<LogPage>)>>,
    /// What was read last of each environment's promotions.
    ledgers: Mutex<HashMap<String, Arc<Ledger>>>,
    nudge: Mutex<Option<SyncSender<()>>>,
    /// Where the index is kept for the next start.
    folder: Mutex<Option<StateFolder>>,
    notes: Arc<Notes>,
    listeners: Arc<Listeners>,
}

/// Versions that requests have named, as of the sets and the history of now.
#[derive(Default)]
struct Pins {
    /// Rises with each change of a set or of history.
    generation: u64,
    known: HashMap<String, Requested>,
}

impl Pins {
    /// Keeps what was read in a generation, unless another has begun since.
    fn remember_pin(&mut self, generation: u64, name: &str, requested: Requested) {
        if self.generation != generation {
            return;
        }
        if self.known.len() >= MAX_PINS {
            self.known.clear();
        }
        self.known.insert(name.to_owned(), requested);
    }
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
    /// Reading took longer than a request may take.
    #[error("reading the versions that the request names took too long")]
    Late,
    /// The page that a cursor belongs to is gone.
    #[error("the history has changed since that page: begin again")]
    Changed,
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
    pub(super) fn new(dir: PathBuf, notes: Arc<Notes>, listeners: Arc<Listeners>) -> Self {
        Self {
            dir,
            index: ArcSwapOption::empty(),
            failure: Mutex::default(),
            pins: Mutex::default(),
            past: Mutex::default(),
            pages: Mutex::default(),
            changes: Mutex::default(),
            differences: Mutex::default(),
            ledgers: Mutex::default(),
            nudge: Mutex::default(),
            folder: Mutex::default(),
            notes,
            listeners,
        }
    }

    /// What was read of it; `None` while that is being done.
    pub(super) fn loaded_index(&self) -> Option<Arc<VersionIndex>> {
        self.index.load_full()
    }

    /// What requests mean by `NAME@N`, in the order of the names. A name that was asked for since
    /// the last change of a set or of history is known; others are read from git: not for a thread
    /// that answers others.
    ///
    /// # Errors
    /// Where history is not read yet, or cannot be: a version must not be taken for unknown then.
    /// Where the time is over.
    pub fn find_pinned(
        &self,
        names: &[String],
        deadline: Instant,
    ) -> Result<Vec<Requested>, NoHistory> {
        let (generation, mut known) = {
            let pins = lock_unpoisoned(&self.pins);
            let known = names
                .iter()
                .filter_map(|name| pins.known.get_key_value(name));
            let known = known.map(|(name, pin)| (name.clone(), pin.clone()));
            (pins.generation, known.collect::<HashMap<_, _>>())
        };
        let missing = names.iter().any(|name| !known.contains_key(name));
        let workspace = missing.then(|| Workspace::open(&self.dir)).transpose()?;
        let mut history = workspace
            .as_ref()
            .map(|open| self.read_history(open))
            .transpose()?;
        for name in names {
            if known.contains_key(name) {
                continue;
            }
            if Instant::now() > deadline {
                return Err(NoHistory::Late);
            }
            let Some(history) = &mut history else {
                continue;
            };
            let requested = history.requested(name)?;
            known.insert(name.clone(), requested.clone());
            lock_unpoisoned(&self.pins).remember_pin(generation, name, requested);
        }
        Ok(names
            .iter()
            .filter_map(|name| known.get(name).cloned())
            .collect())
    }

    /// Forgets what names meant: a set or history has changed.
    pub(super) fn forget_pins(&self) {
        let mut pins = lock_unpoisoned(&self.pins);
        pins.known.clear();
        pins.generation += 1;
    }

    /// The versions of a policy, as `refguard versions --format json` writes them: all, or those
    /// before the number `before`.
    ///
    /// # Errors
    /// Where there is no such policy, or history is not read yet or cannot be.
    pub fn versions_json(&self, policy: &str, before: Option<u64>) -> Result<Value, NoHistory> {
        let mut list = self.version_list(policy)?;
        list.versions
            .retain(|row| before.is_none_or(|before| row.number < before));
        Ok(to_value(&list)?)
    }

    /// The same, to be shown.
    ///
    /// # Errors
    /// As there.
    pub fn version_list(&self, policy: &str) -> Result<VersionList, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        Ok(self
            .history_knowing(&workspace, policy)?
            .version_list(policy, &NoProgress)?)
    }

    /// A page of them with their documents, the newest first: those before the number `before`.
    ///
    /// # Errors
    /// As there.
    pub fn version_page(&self, policy: &str, before: Option<u64>) -> Result<Value, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        let mut history = self.history_knowing(&workspace, policy)?;
        Ok(to_value(&history.version_page(
            policy,
            before,
            &NoProgress,
        )?)?)
    }

    /// One version of a policy with its document.
    ///
    /// # Errors
    /// As of [`Self::versions_json`], and where there is no such version.
    pub fn version_json(&self, policy: &str, number: u64) -> Result<Value, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        let mut history = self.history_knowing(&workspace, policy)?;
        let which = Which::Number(number);
        if history.find_version(policy, which, &NoProgress)?.is_none() {
            return Err(NoHistory::NotFound(format!(
                "there is no version {number} of `{policy}`"
            )));
        }
        let shown = history.show_version(
            Address {
                policy,
                which: Some(which),
            },
            &NoProgress,
        )?;
        Ok(to_value(&shown)?)
    }

    /// Who made each of these versions of policies, and when; `None` of one that history does not
    /// know.
    ///
    /// # Errors
    /// Where history is not read yet, or cannot be.
    pub fn publications(
        &self,
        versions: &[(String, u64)],
    ) -> Result<Vec<Option<Publication>>, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        Ok(self
            .read_history(&workspace)?
            .publications(versions, &NoProgress)?)
    }

    /// Two versions of a policy field by field, as `refguard compare --format json` writes them.
    /// Each is a number, `latest`, or an environment for the version that it holds.
    ///
    /// # Errors
    /// As of [`Self::version_json`].
    pub fn comparison_json(&self, policy: &str, from: &str, to: &str) -> Result<Value, NoHistory> {
        Ok(to_value(
            &self.compare_versions(policy, from, to)?.comparison(),
        )?)
    }

    /// The same, to be shown.
    ///
    /// # Errors
    /// As there.
    pub fn compare_versions(
        &self,
        policy: &str,
        from: &str,
        to: &str,
    ) -> Result<Compared, NoHistory> {
        let workspace = Workspace::open(&self.dir)?;
        let mut history = self.history_knowing(&workspace, policy)?;
        let mut side = |word| -> Result<Address<'_>, NoHistory> {
            let which = Which::parse(word);
            // Any other revision could name what was never published.
            let known = match which {
                Which::Number(_) | Which::Latest => true,
                Which::At(word) => workspace
                    .environment_refs()?
                    .iter()
                    .any(|(name, _)| name == word),
            };
            if !known || history.find_version(policy, which, &NoProgress)?.is_none() {
                return Err(NoHistory::NotFound(format!(
                    "there is no version `{word}` of `{policy}`"
                )));
            }
            Ok(Address {
                policy,
                which: Some(which),
            })
        };
        let (from, to) = (side(from)?, side(to)?);
        Ok(history.compare(from, to, &NoProgress)?)
    }

    /// A page of an environment's promotions, as `refguard log --format json` writes them, with
    /// `next`.
    ///
    /// # Errors
    /// Where git cannot be read, or no longer has the cursor of that page.
    pub fn promotions_json(
        &self,
        environment: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Value, NoHistory> {
        Ok(to_value(&*self.promotion_page(
            environment,
            cursor,
            limit,
        )?)?)
    }

    /// The folder of the policies.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was read last of an environment's promotions.
    pub(super) fn known_ledger(&self, environment: &str) -> Option<Arc<Ledger>> {
        lock_unpoisoned(&self.ledgers).get(environment).cloned()
    }

    /// Keeps what was read of an environment's promotions for the next time.
    pub(super) fn remember_ledger(&self, environment: &str, ledger: Arc<Ledger>) {
        lock_unpoisoned(&self.ledgers).insert(environment.to_owned(), ledger);
    }

    /// The history that was read, of a workspace.
    fn read_history<'w>(&self, workspace: &'w Workspace) -> Result<VersionHistory<'w>, NoHistory> {
        match self.index.load_full() {
            Some(index) => Ok(VersionHistory::with_index(workspace, index)),
            None => Err(match lock_unpoisoned(&self.failure).clone() {
                Some(failure) => NoHistory::Unreadable(failure),
                None => NoHistory::NotYet,
            }),
        }
    }

    /// The same, where it knows a policy.
    pub(super) fn history_knowing<'w>(
        &self,
        workspace: &'w Workspace,
        policy: &str,
    ) -> Result<VersionHistory<'w>, NoHistory> {
        let mut history = self.read_history(workspace)?;
        if history.index(&NoProgress)?.versions(policy).is_empty() {
            return Err(NoHistory::NotFound(format!(
                "the publish branch has never had a policy `{policy}`"
            )));
        }
        Ok(history)
    }

    /// Says that the publish branch may have moved; the first time starts the thread that reads it.
    /// What it reads is kept in a folder, if there is one.
    pub(super) fn nudge_reader(self: &Arc<Self>, folder: Option<&StateFolder>) {
        *lock_unpoisoned(&self.folder) = folder.cloned();
        let mut nudge = lock_unpoisoned(&self.nudge);
        let is_told = nudge.as_ref().is_some_and(|nudge| {
            !matches!(nudge.try_send(()), Err(TrySendError::Disconnected(())))
        });
        if is_told {
            return;
        }

        let (sender, inbox) = sync_channel(1);
        let history = Arc::downgrade(self);
        let thread = background::spawn_thread("refguard-history", Way::Far, move || {
            while let Some(history) = history.upgrade() {
                history.catch_up();
                drop(history);
                if inbox.recv().is_err() {
                    return;
                }
            }
        });
        *nudge = thread.is_ok().then_some(sender);
    }

    fn catch_up(&self) {
        let read = self.read_until_stopped();
        *lock_unpoisoned(&self.failure) = read.as_ref().err().map(|error| format!("{error:#}"));
        match read {
            Ok(is_new) => {
                self.notes.clear_note(Subject::History, "");
                if is_new {
                    self.forget_pins();
                    // Who waits for a change of the set learns its version numbers.
                    self.listeners.tell_all();
                }
            }
            Err(error) => {
                let sentence = format!("version numbers are not known: {error:#}");
                self.notes
                    .report_trouble(Subject::History, "", Some(sentence));
            }
        }
    }

    /// Reads what is new; returns whether anything was.
    fn read_until_stopped(&self) -> Result<bool> {
        let workspace = Workspace::open(&self.dir)?;
        let (repo, tip) = (workspace.repo()?, workspace.published()?);
        let known = self.index.load_full();
        if known.as_ref().is_some_and(|index| index.tip() == tip) {
            return Ok(false);
        }

        let index = match known {
            Some(index) => index.follow(repo, tip, &NoProgress)?,
            None => {
                let published = PublishedTip {
                    prefix: workspace.root().prefix(),
                    tip,
                };
                let kept = self.read_kept();
                let index = VersionIndex::read_from(repo, published, kept.as_deref(), &NoProgress)?;
                self.keep_index(repo, &index);
                index
            }
        };
        self.index.store(Some(Arc::new(index)));
        Ok(true)
    }

    /// The index that an earlier daemon has kept.
    fn read_kept(&self) -> Option<Vec<u8>> {
        let folder = lock_unpoisoned(&self.folder).clone()?;
        unseal_bytes(read_private_file(&folder.path.join(KEPT), MAX_KEPT_BYTES).ok()??)
    }

    /// Keeps what the first walk came to, so that the next start need not walk again: it goes on
    /// from there. Where it cannot be written, the next start takes longer, and the note on the
    /// state folder says why.
    fn keep_index(&self, repo: &Repo, index: &VersionIndex) {
        let Some(folder) = lock_unpoisoned(&self.folder).clone() else {
            return;
        };
        let Some(bytes) = index.to_bytes(repo) else {
            return;
        };
        let written = folder
            .claim_folder()
            .and_then(|()| Ok(write_sealed(&folder.path, KEPT, &bytes)?));
        if let Err(error) = written {
            tracing::debug!("the versions are not kept: {error:#}");
        }
    }
}

fn to_value(value: &impl serde::Serialize) -> Result<Value> {
    Ok(serde_json::to_value(value)?)
}
