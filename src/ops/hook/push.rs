//! A push as it is judged: which refs move from where to where, and which of them are under guard.
//!
//! Two views of the repository, before and after the push; nothing is written. A ref is guarded by what the
//! settings *before* the push say too, so that no push can lift the guard from what it then moves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use refguard_core::policy::{Environment, Settings};

use super::environment;
use crate::ops::change::environment::settings_at;
use crate::ops::{GateWord, Judged, NoProgress, TrackedSet, Workspace};
use crate::repo::{CommitId, Record, RefName};

/// Where the ledgers of environments are.
const LEDGERS: &str = "refs/refguard/ledger/";

/// Git's way to say that a ref is not there.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// A ref that is to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Its full name.
    pub name: String,
    /// What it holds; `None`: it is not there.
    pub old: Option<CommitId>,
    /// What it is to hold; `None`: it is to go.
    pub new: Option<CommitId>,
}

/// Why a ref may not move so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRefusal {
    /// The ref.
    pub name: String,
    /// Why.
    pub message: String,
    /// What the gates say, or what is wrong with the set.
    pub words: Vec<GateWord>,
}

impl PushRefusal {
    pub(super) fn new(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), message: message.into(), words: Vec::new() }
    }
}

impl RefUpdate {
    /// A line as git gives it to a receiving hook: `OLD NEW NAME`.
    ///
    /// # Errors
    /// Where it is no such line.
    pub fn from_received(line: &str) -> Result<Self> {
        let mut words = line.splitn(3, ' ');
        let parts = (words.next(), words.next(), words.next());
        let (Some(old), Some(new), Some(name)) = parts else {
            anyhow::bail!("`{}` is no line of git", line.escape_debug())
        };
        Ok(Self { name: name.to_owned(), old: value(old)?, new: value(new)? })
    }

    /// A line as git gives it to a sending hook: `LOCAL NEW NAME OLD`.
    ///
    /// # Errors
    /// Where it is no such line.
    pub fn from_sent(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, new, name, old] = words[..] else {
            anyhow::bail!("`{}` is no line of git", line.escape_debug())
        };
        Ok(Self { name: name.to_owned(), old: value(old)?, new: value(new)? })
    }
}

fn value(text: &str) -> Result<Option<CommitId>> {
    if text == NOTHING { Ok(None) } else { Ok(Some(text.parse().context("a value of a ref")?)) }
}

/// The repository before and after a push.
pub(super) struct PushViews {
    pub before: Workspace,
    pub after: Workspace,
    pub pusher: Option<String>,
}

/// Refs that only move by rules.
#[derive(Debug, Default)]
struct Guarded {
    publish: BTreeSet<RefName>,
    /// By ref, also one that an environment had before.
    environments: BTreeMap<RefName, (Environment, String)>,
}

impl PushViews {
    /// `known` are refs that are taken to hold something before the push, whatever is found here.
    pub fn new(
        dir: &Path,
        prefix: Option<&str>,
        known: BTreeMap<RefName, Option<CommitId>>,
        updates: &[RefUpdate],
        pusher: Option<String>,
    ) -> Result<Self> {
        let mut then = known.clone();
        for update in updates {
            then.insert(RefName::new(update.name.as_str())?, update.new);
        }
        let (before, after) =
            (Workspace::imagined(dir, prefix, known)?, Workspace::imagined(dir, prefix, then)?);
        Ok(Self { before, after, pusher })
    }

    /// Everything that stands in the way of the push.
    pub fn judge(&self, updates: &[RefUpdate]) -> Result<Vec<PushRefusal>> {
        let guarded = self.guarded()?;
        let mut sets = TrackedSet::default();
        let mut refusals = Vec::new();
        for update in updates {
            let name = RefName::new(update.name.as_str())?;
            if guarded.publish.contains(&name) {
                refusals.extend(self.publish(&mut sets, update, &name)?);
            }
            if let Some((settings, publish_branch)) = guarded.environments.get(&name) {
                let judged = environment::judge(self, &mut sets, update, settings, publish_branch)?;
                refusals.extend(judged);
            }
            refusals.extend(self.ledger(update, &guarded)?);
            refusals.extend(lookalike(update, &guarded));
        }
        Ok(refusals)
    }

    fn guarded(&self) -> Result<Guarded> {
        let mut guarded = Guarded::default();
        // What comes first counts: the settings before the push.
        guarded.add(self.before.settings()?)?;
        let repo = self.before.repo()?;
        for (ledger, tip) in repo.refs_below(LEDGERS)? {
            let Some(name) = ledger.as_str().strip_prefix(LEDGERS) else { continue };
            let settings = settings_at(self.before.root(), repo, repo.tree_of(tip)?)?;
            let own = settings.environments.iter().find(|environment| environment.name == name);
            guarded.add_environment(
                own.unwrap_or(&Environment::named(name)),
                &settings.publish_branch,
            )?;
        }
        guarded.add(self.after.settings()?)?;
        Ok(guarded)
    }

    /// The publish branch only moves forward on first parents, holds no promotion, and is a valid set.
    fn publish(
        &self,
        sets: &mut TrackedSet,
        update: &RefUpdate,
        name: &RefName,
    ) -> Result<Option<PushRefusal>> {
        let refuse = |message: String| Ok(Some(PushRefusal::new(&update.name, message)));
        let Some(new) = update.new else {
            return refuse("the publish branch must stay".to_owned());
        };
        let repo = self.after.repo()?;
        repo.commit(new)?;
        if let Some(old) = update.old
            && !repo.on_first_parents(old, new)?
        {
            return refuse(format!(
                "the first-parent history of {} does not hold {}: merge into `{}`, not the other way round, and do not \
                 rewrite it",
                new.short(),
                old.short(),
                name.short()
            ));
        }
        for commit in repo.first_parents(new) {
            let commit = commit?;
            if Some(commit.id) == update.old {
                break;
            }
            if let Some(environment) = Record::environment_of(&commit.message) {
                return refuse(format!(
                    "commit {} is a promotion to `{environment}`",
                    commit.id.short()
                ));
            }
        }
        let judged = sets.judge_tree(&self.after, repo.tree_of(new)?, &NoProgress)?;
        let words: Vec<GateWord> = match judged {
            Judged::Sound(_) => return Ok(None),
            Judged::Faulty(checked) => checked.errors().map(GateWord::of).collect(),
        };
        Ok(Some(PushRefusal { words, ..PushRefusal::new(&update.name, "the set is not valid") }))
    }

    /// Below `refs/refguard/` there are ledgers of environments, each at the last promotion of its branch.
    fn ledger(&self, update: &RefUpdate, guarded: &Guarded) -> Result<Option<PushRefusal>> {
        if !update.name.starts_with("refs/refguard/") {
            return Ok(None);
        }
        let refuse = |message: String| Ok(Some(PushRefusal::new(&update.name, message)));
        let environment = update.name.strip_prefix(LEDGERS).unwrap_or("");
        let refs =
            guarded.environments.iter().filter(|(_, (settings, _))| settings.name == environment);
        let refs: Vec<&RefName> = refs.map(|(name, _)| name).collect();
        if refs.is_empty() {
            return refuse(
                "below `refs/refguard/` there are only ledgers of environments".to_owned(),
            );
        }
        let Some(new) = update.new else { return refuse("a ledger must stay".to_owned()) };
        let repo = self.after.repo()?;
        for name in refs {
            let ledger = repo.ledger_from(environment, name, repo.read_ref(name)?, None)?;
            if ledger.last().is_some_and(|last| last.commit.id == new) {
                return Ok(None);
            }
        }
        refuse(format!("{} is not the last promotion to `{environment}`", new.short()))
    }
}

impl Guarded {
    fn add(&mut self, settings: &Settings) -> Result<()> {
        self.publish.insert(RefName::branch(&settings.publish_branch)?);
        settings
            .environments
            .iter()
            .try_for_each(|own| self.add_environment(own, &settings.publish_branch))
    }

    fn add_environment(&mut self, environment: &Environment, publish_branch: &str) -> Result<()> {
        let name = RefName::new(environment.reference.as_str())?;
        self.environments
            .entry(name)
            .or_insert_with(|| (environment.clone(), publish_branch.to_owned()));
        Ok(())
    }
}

/// A tag, or a ref outside of git's folders, that git would take for an environment.
fn lookalike(update: &RefUpdate, guarded: &Guarded) -> Option<PushRefusal> {
    update.new?;
    let short =
        ["refs/tags/", "refs/"].iter().find_map(|folder| update.name.strip_prefix(folder))?;
    let stands_for = |(name, (settings, _)): &(&RefName, &(Environment, String))| {
        name.as_str() != update.name && (settings.name == short || name.short() == short)
    };
    let (_, (settings, _)) = guarded.environments.iter().find(stands_for)?;
    let message = format!("git could take it for the environment `{}`", settings.name);
    Some(PushRefusal::new(&update.name, message))
}
