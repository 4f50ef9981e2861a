//! `hook pre-commit`: judges the set that a commit would make, as git's index has it.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use refguard_core::document::Finding;
use refguard_core::policy::{Checked, check_errors};
use refguard_core::resolve::Engine;

use super::facts::{self, Facts};
use super::look::{self, Contents};
use super::staged_set::{find_new_warnings, holds_set};
use crate::ops::source::filter::Filter;
use crate::ops::source::load::{self, NoProgress};
use crate::ops::{TestOptions, TestReport, VersionHistory, Workspace, run_tests};
use crate::repo::{BlobId, Repo, Side};

/// What the index came to.
#[derive(Debug)]
pub enum StagedVerdict {
    /// The commit would change nothing of the set.
    NothingStaged,
    /// Neither what is checked out nor what is staged holds a policy set: the YAML here is another
    /// program's.
    NoSet,
    /// The set that the commit would make is sound, and its tests pass. With the number of files
    /// that were looked at, if not all of them.
    Sound(Option<usize>),
    /// It is not, or they do not.
    Faulty(Box<StagedFaults>),
}

/// What is wrong with the set that the commit would make.
#[derive(Debug)]
pub struct StagedFaults {
    /// What was found.
    pub checked: Checked,
    /// What the tests came to, where the set is sound.
    pub tests: Option<TestReport>,
    /// The warnings that the commit would bring: one may hold the cause.
    pub warnings: Vec<Finding>,
}

impl Workspace {
    /// Judges the index that git names. Warnings are no reason to refuse a commit.
    ///
    /// # Errors
    /// Where there is no repository, or its index or objects cannot be read.
    pub fn judge_staged(&self) -> Result<StagedVerdict> {
        let (repo, prefix) = (self.repo()?, self.root().prefix());
        let staged = repo.staged_sides(prefix, &load::wanted)?;
        let kept = facts::kept(repo, prefix);
        if let Some(known) = kept.as_deref().and_then(|bytes| Facts::decode(bytes, prefix)) {
            let changes = look::changes(&known, &staged);
            // What stands in the way of a fast look is met again, and reported, by the judgement of
            // the whole.
            if changes.is_empty() || look::is_sound(&known, &changes, repo).unwrap_or(false) {
                return Ok(StagedVerdict::Sound(Some(changes.len())));
            }
        }
        let committed = self.committed_sides(repo)?;
        if committed == staged {
            return Ok(StagedVerdict::NothingStaged);
        }
        if !holds_set(repo, &staged)? && !holds_set(repo, &committed)? {
            return Ok(StagedVerdict::NoSet);
        }

        let mut verdict = self.judge_whole(repo)?;
        if let StagedVerdict::Faulty(faults) = &mut verdict {
            faults.warnings = find_new_warnings(repo, prefix)?;
        }
        Ok(verdict)
    }

    /// What the commit holds that is checked out; nothing before the first one.
    fn committed_sides(&self, repo: &Repo) -> Result<Vec<(Arc<str>, Side)>> {
        let Some(head) = repo.head()? else { return Ok(Vec::new()) };
        Ok(repo.tree_sides(repo.tree_of(head)?, self.root().prefix(), &load::wanted)?)
    }

    fn judge_whole(&self, repo: &Repo) -> Result<StagedVerdict> {
        let prefix = self.root().prefix();
        let listing = repo.list_index(prefix, &load::wanted)?;
        let entries = listing.entries.clone();
        let loaded = load::read(listing, &NoProgress).context("cannot read the set `staged`")?;
        let filter = Filter::of_documents(&loaded.documents)?;
        let gathered = facts::gather(prefix, &entries, &|path| filter.admits(path), &loaded);
        let mut checked = check_errors(loaded);
        let Some(set) = checked.set.take() else {
            return Ok(StagedVerdict::Faulty(Box::new(StagedFaults {
                checked,
                tests: None,
                warnings: Vec::new(),
            })));
        };
        let regex = set.conditions.iter().map(|condition| condition.compiled_size() as u64).sum();
        let engine = Engine::new(Arc::new(set));
        let mut history = VersionHistory::new(self);
        let report =
            run_tests(&engine, &TestOptions::default(), &mut |name| history.requested(name))?;
        if report.failed > 0 {
            checked.findings.retain(Finding::is_error);
            return Ok(StagedVerdict::Faulty(Box::new(StagedFaults {
                checked,
                tests: Some(report),
                warnings: Vec::new(),
            })));
        }
        if let Some(gathered) = gathered {
            facts::keep(repo, prefix, gathered, regex);
        }
        Ok(StagedVerdict::Sound(None))
    }
}

impl Contents for Repo {
    fn size(&self, blob: BlobId) -> Result<u64> {
        Ok(self.blob_size(blob)?)
    }

    fn read(&self, blob: BlobId) -> Result<Vec<u8>> {
        Ok(self.read_blob(blob)?)
    }
}
