//! A push as it is judged: which refs move from where to where, and which of them are under guard.
//!
//! Two views of the repository, before and after the push; nothing is written. A ref is guarded by
//! what the settings *before* the push say too, so that no push can lift the guard from what it
//! then moves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use refguard_core::document::Release;
use refguard_core::policy::Environment;

use super::environment;
use crate::ops::{GateWord, Home, Judged, NoProgress, TrackedSet, Workspace};
use crate::repo::{CommitId, LEDGERS, Ledger, Record, RefName, Repo, RepoError};

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
        Self {
            name: name.to_owned(),
            message: message.into(),
            words: Vec::new(),
        }
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
        Ok(Self {
            name: name.to_owned(),
            old: read_value(old)?,
            new: read_value(new)?,
        })
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
        Ok(Self {
            name: name.to_owned(),
            old: read_value(old)?,
            new: read_value(new)?,
        })
    }
}

fn read_value(text: &str) -> Result<Option<CommitId>> {
    if text == NOTHING {
        Ok(None)
    } else {
        Ok(Some(text.parse().context("a value of a ref")?))
    }
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
    publish: Option<RefName>,
    /// Environments by their branch, also those that are no longer declared.
    environments: BTreeMap<RefName, String>,
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
        let before = Workspace::imagined(dir, prefix, known)?;
        for update in updates {
            then.insert(resolve_symbolic(before.repo()?, &update.name)?, update.new);
        }
        let after = Workspace::imagined(dir, prefix, then)?;
        Ok(Self {
            before,
            after,
            pusher,
        })
    }

    /// Everything that stands in the way of the push.
    pub fn judge(&self, updates: &[RefUpdate]) -> Result<Vec<PushRefusal>> {
        let guarded = self.guarded_refs(updates)?;
        let mut sets = TrackedSet::default();
        let mut refusals = Vec::new();
        for update in updates {
            // A symbolic branch is judged as what it stands for: git moves that one.
            let name = resolve_symbolic(self.before.repo()?, &update.name)?;
            if guarded.publish.as_ref() == Some(&name) {
                refusals.extend(self.judge_publish(&mut sets, update, &name)?);
            }
            if let Some(environment) = guarded.environments.get(&name) {
                refusals.extend(self.without_publish_branch(update)?);
                refusals.extend(environment::judge_environment(
                    self,
                    &mut sets,
                    update,
                    environment,
                )?);
            }
            refusals.extend(self.judge_ledger(update, &guarded)?);
            refusals.extend(find_lookalike(update, &guarded));
        }
        Ok(refusals)
    }

    /// The settings by which the next promotion is judged: those of before the push, or where there
    /// was no publish branch before it, those that the push brings.
    pub fn judges(&self, name: &str, ledger: &Ledger) -> Result<Vec<Environment>> {
        let had_settings =
            ledger.last_promotion().is_some() || self.before.publish_tip(&Home::Here)?.is_some();
        let view = if had_settings {
            &self.before
        } else {
            &self.after
        };
        view.judges_for(name, ledger)
    }

    /// What was an environment before the push, what has a ledger or a promotion at its tip
    /// although nothing declares it any more, and what the push declares.
    fn guarded_refs(&self, updates: &[RefUpdate]) -> Result<Guarded> {
        let repo = self.before.repo()?;
        let mut names: BTreeSet<String> = BTreeSet::new();
        for view in [&self.before, &self.after] {
            names.extend(view.environment_refs()?.into_iter().map(|(name, _)| name));
        }
        for (ledger, _) in repo.refs_below(LEDGERS)? {
            names.extend(ledger.as_str().strip_prefix(LEDGERS).map(str::to_owned));
        }
        for update in updates {
            let branch = resolve_symbolic(repo, &update.name)?;
            if let Some(tip) = repo.read_ref(&branch)?
                && let Some(environment) = Record::environment_of(&repo.find_commit(tip)?.message)
                && branch == RefName::of_branch(&environment)?
            {
                names.insert(environment);
            }
        }
        let publish = match named_publish_branch(repo)? {
            Some(branch) => Some(branch),
            None => named_publish_branch(self.after.repo()?)?,
        };
        let environments = names
            .into_iter()
            .map(|name| Ok((RefName::of_branch(&name)?, name)))
            .collect::<Result<_>>()?;
        Ok(Guarded {
            publish,
            environments,
        })
    }

    /// A bare repository whose `HEAD` names no branch cannot tell what is published.
    fn without_publish_branch(&self, update: &RefUpdate) -> Result<Option<PushRefusal>> {
        let after = self.after.repo()?;
        let Some(branch) = named_publish_branch(after)? else {
            return Ok(None);
        };
        let is_bare = after.work_tree().is_none();
        if !is_bare || update.new.is_none() || after.read_ref(&branch)?.is_some() {
            return Ok(None);
        }
        let message = format!(
            "`HEAD` of this repository names `{branch}`, which does not exist: push it first, or \
             name the publish \
             branch here with `git symbolic-ref HEAD refs/heads/NAME`"
        );
        Ok(Some(PushRefusal::new(&update.name, message)))
    }

    /// The publish branch only moves forward on first parents, holds no promotion, and is a valid
    /// set.
    fn judge_publish(
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
        repo.find_commit(new)?;
        if let Some(old) = update.old
            && !repo.on_first_parents(old, new)?
        {
            return refuse(format!(
                "the first-parent history of {} does not hold {}: merge into `{}`, not the other \
                 way round, and do not \
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
        let judged = sets.judge_tree(
            &self.after,
            repo.tree_of(new)?,
            Release::CURRENT,
            &NoProgress,
        )?;
        let words: Vec<GateWord> = match judged {
            Judged::Sound(_) | Judged::Outdated(..) => return Ok(None),
            Judged::Faulty(checked) => checked.errors().map(GateWord::of).collect(),
        };
        Ok(Some(PushRefusal {
            words,
            ..PushRefusal::new(&update.name, "the set is not valid")
        }))
    }

    /// Below `refs/refguard/` there are ledgers of environments, each at the last promotion of its
    /// branch.
    fn judge_ledger(&self, update: &RefUpdate, guarded: &Guarded) -> Result<Option<PushRefusal>> {
        if !update.name.starts_with("refs/refguard/") {
            return Ok(None);
        }
        let refuse = |message: String| Ok(Some(PushRefusal::new(&update.name, message)));
        let environment = update.name.strip_prefix(LEDGERS).unwrap_or("");
        let Some((name, _)) = guarded
            .environments
            .iter()
            .find(|(_, name)| *name == environment)
        else {
            return refuse(
                "below `refs/refguard/` there are only ledgers of environments".to_owned(),
            );
        };
        let Some(new) = update.new else {
            return refuse("a ledger must stay".to_owned());
        };
        let repo = self.after.repo()?;
        let ledger = repo.ledger_from(environment, name, repo.read_ref(name)?, None)?;
        if ledger
            .last_promotion()
            .is_some_and(|last| last.commit.id == new)
        {
            return Ok(None);
        }
        refuse(format!(
            "{} is not the last promotion to `{environment}`",
            new.short()
        ))
    }
}

/// The ref that git moves where a symbolic one is pushed to.
fn resolve_symbolic(repo: &Repo, name: &str) -> Result<RefName> {
    const DEEPEST: usize = 5;
    let mut name = RefName::new(name)?;
    for _ in 0..DEEPEST {
        match repo.symbolic_target(name.as_str()) {
            Some(target) => name = target,
            None => return Ok(name),
        }
    }
    anyhow::bail!("the symbolic ref `{name}` leads to no ref")
}

/// The publish branch, where the repository names it: what is not named is not guarded.
fn named_publish_branch(repo: &Repo) -> Result<Option<RefName>> {
    match repo.publish_branch() {
        Ok(branch) => Ok(branch),
        Err(RepoError::UnnamedPublishBranch { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A tag, or a ref outside of git's folders, that git would take for an environment, or a
/// replacement of an object.
fn find_lookalike(update: &RefUpdate, guarded: &Guarded) -> Option<PushRefusal> {
    update.new?;
    if update.name.starts_with("refs/replace/") {
        let message =
            "git would show other content in the place of a commit: no replacement is taken";
        return Some(PushRefusal::new(&update.name, message.to_owned()));
    }
    let folders = ["refs/heads/", "refs/tags/", "refs/"];
    let short = folders
        .iter()
        .find_map(|folder| update.name.strip_prefix(folder))?;
    if short.starts_with("refs/") {
        let message =
            format!("git could take it for `{short}`: no branch or tag is named like a ref");
        return Some(PushRefusal::new(&update.name, message));
    }
    if update.name.starts_with("refs/heads/") {
        return case_twin(update, guarded);
    }
    if let Some(tracking) = short.strip_prefix("remotes/") {
        return fetched_copy(update, tracking, guarded);
    }
    let environment = guarded
        .environments
        .values()
        .find(|environment| *environment == short)?;
    let message = format!("git could take it for the environment `{environment}`");
    Some(PushRefusal::new(&update.name, message))
}

/// What this repository has fetched of a guarded branch: a daemon or a verb that runs here may
/// follow it.
fn fetched_copy(update: &RefUpdate, tracking: &str, guarded: &Guarded) -> Option<PushRefusal> {
    let mut guarded = guarded
        .environments
        .keys()
        .chain(&guarded.publish)
        .map(RefName::short);
    let is_copy = |branch: &&str| {
        tracking
            .strip_suffix(*branch)
            .is_some_and(|remote| remote.ends_with('/'))
    };
    let branch = guarded.find(is_copy)?;
    let message =
        format!("it is where a fetch keeps what a remote has as `{branch}`, and is taken for that");
    Some(PushRefusal::new(&update.name, message))
}

/// A new branch that differs from a guarded one only in case: where a file system does not tell
/// them apart, a clone that fetched both would read one for the other.
fn case_twin(update: &RefUpdate, guarded: &Guarded) -> Option<PushRefusal> {
    let known = || {
        guarded
            .environments
            .keys()
            .chain(&guarded.publish)
            .map(RefName::as_str)
    };
    if update.old.is_some() || known().any(|known| known == update.name) {
        return None;
    }
    let folded = update.name.to_lowercase();
    let twin = known().find(|known| known.to_lowercase() == folded)?;
    let message =
        format!("it is one with `{twin}` on systems that do not tell upper from lower case");
    Some(PushRefusal::new(&update.name, message))
}
