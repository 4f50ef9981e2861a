//! What verbs are run with, and how they come to a set. Must not know any verb.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use refguard_core::policy::{Checked, Levels};
use refguard_core::questions::unlisted_values;
use refguard_core::resolve::{Context, Engine};

use super::args::Color;
use super::exit::FaultySet;
use super::{print, progress};
use crate::ops::{Judged, LoadedSet, SetOrigin, Source, TrackedSet, Workspace};
use crate::output::{self, Report};

/// What every verb is run with.
pub(super) struct Shell {
    /// `-C DIR`
    pub dir: PathBuf,
    /// `--color WHEN`
    pub color: Color,
}

/// A valid set to answer from, and where it comes from.
pub(super) struct ValidSet {
    pub engine: Arc<Engine>,
    pub origin: SetOrigin,
    pub workspace: Workspace,
}

impl Shell {
    /// Reads and judges a set, sound or not.
    pub(super) fn load_set(
        &self,
        source: &Source,
        levels: &Levels,
        allow_empty: bool,
    ) -> Result<(Workspace, LoadedSet)> {
        let workspace = Workspace::open(&self.dir)?;
        let loaded = workspace.load(source, levels, allow_empty, &progress::Bar::new())?;
        Ok((workspace, loaded))
    }

    /// Reads a set that must be valid.
    ///
    /// # Errors
    /// [`FaultySet`] where it is not.
    pub(super) fn load_valid_set(&self, source: &Source) -> Result<ValidSet> {
        let workspace = Workspace::open(&self.dir)?;
        let mut sets = TrackedSet::default();
        let (engine, origin) = self.judge_set(&workspace, &mut sets, source)?;
        Ok(ValidSet { engine, origin, workspace })
    }

    /// As [`Shell::load_valid_set`], with `sets` that may have read another tree before.
    pub(super) fn judge_set(
        &self,
        workspace: &Workspace,
        sets: &mut TrackedSet,
        source: &Source,
    ) -> Result<(Arc<Engine>, SetOrigin)> {
        let (judged, origin) = workspace.judge(source, sets, &progress::Bar::new())?;
        match judged {
            Judged::Sound(engine) => Ok((engine, origin)),
            Judged::Faulty(checked) => Err(FaultySet(checked).into()),
        }
    }
}

/// Says on stderr which values of a request no catalog lists, with the names that are near: such a request gets
/// an answer, but perhaps not that of the one that was meant.
pub(super) fn warn_of_unlisted(engine: &Engine, context: &Context) {
    for unlisted in unlisted_values(&engine.set().catalog, context) {
        print::write_message(&format!("warning: {unlisted}"));
    }
}

/// What a renderer needs of a judged tree.
pub(super) fn report_of(checked: &Checked) -> Report<'_> {
    Report {
        findings: &checked.findings,
        sources: &checked.sources,
        checked: output::Checked {
            files: checked.counts.files,
            policies: checked.counts.policies,
            attachments: checked.counts.attachments,
            tests: checked.counts.cases,
        },
        prefix: "",
    }
}
