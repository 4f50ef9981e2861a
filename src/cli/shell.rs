//! What verbs are run with, and how they come to a set. Must not know any verb.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use refguard_core::document::Finding;
use refguard_core::policy::{Checked, Levels};
use refguard_core::questions::unlisted_values;
use refguard_core::resolve::{Context, Engine};

use super::args::Color;
use super::exit::FaultySet;
use super::{print, progress};
use crate::ops::{Judged, LoadedSet, Rules, SetOrigin, Source, TrackedSet, Workspace};
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

    /// Reads a set that must be valid, or have been when it was promoted.
    ///
    /// # Errors
    /// [`FaultySet`] where it is not.
    pub(super) fn load_valid_set(&self, source: &Source) -> Result<ValidSet> {
        self.load_set_by(source, Rules::OfThen)
    }

    /// Reads a set that must be valid by some rules.
    ///
    /// # Errors
    /// As there.
    pub(super) fn load_set_by(&self, source: &Source, rules: Rules) -> Result<ValidSet> {
        let workspace = Workspace::open(&self.dir)?;
        let mut sets = TrackedSet::default();
        let (engine, origin) = self.judge_set(&workspace, &mut sets, source, rules)?;
        Ok(ValidSet { engine, origin, workspace })
    }

    /// As [`Shell::load_valid_set`], with `sets` that may have read another tree before.
    pub(super) fn judge_set(
        &self,
        workspace: &Workspace,
        sets: &mut TrackedSet,
        source: &Source,
        rules: Rules,
    ) -> Result<(Arc<Engine>, SetOrigin)> {
        let (judged, origin) = workspace.judge(source, rules, sets, &progress::Bar::new())?;
        match judged {
            Judged::Sound(engine) => Ok((engine, origin)),
            Judged::Outdated(engine, newer) => {
                warn_of_newer_errors(&origin, &newer);
                Ok((engine, origin))
            }
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

/// Says that a promotion of this set would be refused.
fn warn_of_newer_errors(origin: &SetOrigin, newer: &[Finding]) {
    let Some(first) = newer.first() else { return };
    let more = match newer.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    print::write_message(&format!(
        "warning: {first}{more}: an error since {}; `{}` is still read, a promotion of it would be refused",
        first.since, origin.name
    ));
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
