//! What verbs are run with, and how they come to a set. Must not know any verb.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::document::{Finding, did_you_mean_name};
use refguard_core::policy::{Checked, Levels};
use refguard_core::questions::unlisted_values;
use refguard_core::resolve::{Context, Engine};

use super::args::{Color, FetchArgs, SourceArgs};
use super::exit::FaultySet;
use super::{pager, print, progress};
use crate::ops::{FetchedCopy, Judged, LoadedSet, Rules, SetOrigin, Source, TrackedSet, Workspace};
use crate::output::{self, Report};

/// What every verb is run with.
pub(super) struct Shell {
    /// `-C DIR`
    pub dir: PathBuf,
    /// `--color WHEN`
    pub color: Color,
    /// Whether a long answer may go through a pager.
    pages: bool,
    /// What was said already of how sets are read: each thing is said once a run.
    told: RefCell<BTreeSet<String>>,
}

/// A valid set to answer from, and where it comes from.
pub(super) struct ValidSet {
    pub engine: Arc<Engine>,
    pub origin: SetOrigin,
    pub workspace: Workspace,
}

impl ValidSet {
    /// The same set as it is at an instant.
    pub(super) fn at(self, now: Timestamp) -> Self {
        Self {
            engine: self.engine.as_of(now),
            ..self
        }
    }
}

impl Shell {
    /// What a verb is run with, in a folder.
    pub(super) fn new(dir: PathBuf, color: Color, pages: bool) -> Self {
        Self {
            dir,
            color,
            pages,
            told: RefCell::default(),
        }
    }

    /// Writes an answer for people to stdout: on a terminal as wide as it, and through a pager
    /// where it is long.
    ///
    /// # Errors
    /// As stdout reports.
    pub(super) fn write_page(&self, text: &str) -> io::Result<()> {
        let text = output::fit_text(text, print::choose_style(self.color).columns);
        match self.pages && pager::show_text(&text) {
            true => Ok(()),
            false => print::write_results(&text),
        }
    }

    /// Opens the folder to read an environment of it.
    ///
    /// # Errors
    /// Where it is not there, or where its remote was to be looked at and cannot be reached.
    pub(super) fn open_environment(
        &self,
        environment: &str,
        fetch: &FetchArgs,
    ) -> Result<Workspace> {
        let workspace = self.open_to_read(fetch)?;
        self.say_age(&workspace, environment)?;
        Ok(workspace)
    }

    /// Opens the folder, after a look at its remote where that was asked for.
    ///
    /// # Errors
    /// As there.
    pub(super) fn open_to_read(&self, fetch: &FetchArgs) -> Result<Workspace> {
        let workspace = Workspace::open(&self.dir)?;
        if fetch.is_wanted() {
            for note in workspace.fetch_environments()? {
                self.say_once(format!("note: {note}"));
            }
        }
        Ok(workspace)
    }

    /// Says what a person should know of how a revision that they typed is read: which of two names
    /// it is, and how old a copy.
    pub(super) fn say_how_read(&self, workspace: &Workspace, revision: &str) -> Result<()> {
        let beside_tag = workspace.repo()?.branch_beside_tag(revision)?;
        if beside_tag.is_none() && !workspace.may_read_copies()? {
            return Ok(());
        }
        match (workspace.environment_in(revision)?, beside_tag) {
            (Some(environment), _) => self.say_age(workspace, &environment)?,
            (None, Some(branch)) => {
                let name = branch.short();
                self.say_once(format!(
                    "warning: `{name}` is a branch and a tag: the branch is read; the tag is \
                     `refs/tags/{name}`"
                ));
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn say_age(&self, workspace: &Workspace, environment: &str) -> Result<()> {
        if let Some(FetchedCopy { remote, fetched }) = workspace.fetched_copy(environment)? {
            let age = output::age_words(fetched.elapsed().unwrap_or_default());
            self.say_once(format!(
                "note: `{remote}` was last asked {age} ago: `--fetch` asks it first"
            ));
        }
        Ok(())
    }

    fn say_once(&self, text: String) {
        if !self.told.borrow().contains(&text) {
            print::write_message(&text);
            self.told.borrow_mut().insert(text);
        }
    }

    /// Reads and judges a set, sound or not.
    pub(super) fn load_set(
        &self,
        from: &SourceArgs,
        levels: &Levels,
        allow_empty: bool,
    ) -> Result<(Workspace, LoadedSet)> {
        let (source, workspace) = (&from.source(), self.open_to_read(&from.fetch)?);
        if let Source::At(revision) = source {
            self.say_how_read(&workspace, revision)?;
        }
        let loaded = workspace.load(source, levels, allow_empty, &progress::Bar::new())?;
        Ok((workspace, loaded))
    }

    /// Reads a set that must be valid, or have been when it was promoted.
    ///
    /// # Errors
    /// [`FaultySet`] where it is not.
    pub(super) fn load_valid_set(&self, from: &SourceArgs) -> Result<ValidSet> {
        self.load_set_by(from, Rules::OfThen)
    }

    /// Reads a set that must be valid by some rules.
    ///
    /// # Errors
    /// As there.
    pub(super) fn load_set_by(&self, from: &SourceArgs, rules: Rules) -> Result<ValidSet> {
        let workspace = self.open_to_read(&from.fetch)?;
        let (source, mut sets) = (from.source(), TrackedSet::default());
        let (engine, origin) = self.judge_set(&workspace, &mut sets, &source, rules)?;
        Ok(ValidSet {
            engine,
            origin,
            workspace,
        })
    }

    /// As [`Shell::load_valid_set`], with `sets` that may have read another tree before.
    pub(super) fn judge_set(
        &self,
        workspace: &Workspace,
        sets: &mut TrackedSet,
        source: &Source,
        rules: Rules,
    ) -> Result<(Arc<Engine>, SetOrigin)> {
        if let Source::At(revision) = source {
            self.say_how_read(workspace, revision)?;
        }
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

/// Says on stderr which values of a request no catalog lists, with the names that are near: such a
/// request gets an answer, but perhaps not that of the one that was meant.
pub(super) fn warn_of_unlisted(engine: &Engine, context: &Context) {
    for unlisted in unlisted_values(&engine.set().catalog, context) {
        print::write_message(&format!("warning: {unlisted}"));
    }
}

/// Says on stderr which policies that a request asks for by name the set does not have, where one
/// is near: such a request gets an answer too.
pub(super) fn warn_of_unknown(engine: &Engine, policies: &[String]) {
    let set = engine.set();
    let is_unknown = |name: &&String| !name.contains('@') && set.find_policy(name).is_none();
    for name in policies.iter().filter(is_unknown) {
        let known = set.policies.iter().map(|policy| &*policy.name);
        if let Some(near) = did_you_mean_name(name, known) {
            print::write_message(&format!(
                "warning: there is no policy `{name}`; did you mean `{near}`?"
            ));
        }
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
        "warning: {first}{more}: an error since {}; `{}` is still read, a promotion of it would \
         be refused",
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
