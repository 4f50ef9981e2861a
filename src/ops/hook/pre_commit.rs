//! `hook pre-commit`: judges the set that a commit would make, as git's index has it.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::document::Finding;
use refguard_core::policy::{Checked, Counts};

use super::staged_set::{Sides, find_new_warnings, holds_set};
use crate::ops::source::load::{self, NoProgress};
use crate::ops::{
    Judged, TestOptions, TestReport, TrackedSet, VersionHistory, Workspace, run_tests,
};
use crate::repo::{Repo, Side};

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
        let mut sets = TrackedSet::default();
        // Without a kept set the judgement reads everything: not for a commit that changes nothing.
        if !sets.begin_from_kept(self)
            && let Some(verdict) = self.dismiss_staged(repo, &staged)?
        {
            return Ok(verdict);
        }

        let mut verdict = self.judge_index(&mut sets, &staged)?;
        if let StagedVerdict::Faulty(faults) = &mut verdict {
            // A fault that is committed already is none of this commit.
            if let Some(dismissed) = self.dismiss_staged(repo, &staged)? {
                return Ok(dismissed);
            }
            faults.warnings = find_new_warnings(repo, prefix)?;
        }
        Ok(verdict)
    }

    /// The verdict where no set needs to be judged: nothing is staged, or there is no set.
    fn dismiss_staged(&self, repo: &Repo, staged: &Sides) -> Result<Option<StagedVerdict>> {
        let committed = self.committed_sides(repo)?;
        if committed == staged {
            return Ok(Some(StagedVerdict::NothingStaged));
        }
        let is_no_set = !holds_set(repo, staged)? && !holds_set(repo, &committed)?;
        Ok(is_no_set.then_some(StagedVerdict::NoSet))
    }

    /// What the commit holds that is checked out; nothing before the first one.
    fn committed_sides(&self, repo: &Repo) -> Result<Vec<(Arc<str>, Side)>> {
        let Some(head) = repo.head_commit()? else {
            return Ok(Vec::new());
        };
        Ok(repo.tree_sides(repo.tree_of(head)?, self.root().prefix(), &load::wanted)?)
    }

    fn judge_index(&self, sets: &mut TrackedSet, staged: &Sides) -> Result<StagedVerdict> {
        let (judged, files_read) = sets.judge_index(self, staged, &NoProgress)?;
        let faults = |checked: Checked, tests: Option<TestReport>| {
            StagedVerdict::Faulty(Box::new(StagedFaults {
                checked,
                tests,
                warnings: Vec::new(),
            }))
        };
        let engine = match judged {
            Judged::Sound(engine) | Judged::Outdated(engine, _) => engine,
            Judged::Faulty(checked) => return Ok(faults(*checked, None)),
        };

        let mut history = VersionHistory::new(self);
        let (now, options) = (Timestamp::now(), TestOptions::default());
        let report = run_tests(&engine, now, &options, &mut |name| history.requested(name))?;
        if report.failed == 0 {
            return Ok(StagedVerdict::Sound(files_read));
        }
        let nothing_found = Checked {
            set: None,
            findings: Vec::new(),
            sources: Vec::new(),
            counts: Counts::default(),
        };
        Ok(faults(nothing_found, Some(report)))
    }
}
