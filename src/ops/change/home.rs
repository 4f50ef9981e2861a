//! Where an environment lives: here, or at the remote of a clone.
//!
//! An environment lives in one repository. Reading verbs tell by the copies that the last fetch
//! left; verbs that move it ask the remote first, and then read the same copies. Nothing here moves
//! an environment.

use anyhow::{Result, bail};

use super::declared::PRODUCTION;
use crate::ops::{Refused, Workspace};
use crate::repo::{CommitId, Expected, Ledger, Listed, RefName, Remote, Repo, RepoError, Retreat};

/// The repository where an environment lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// This one.
    Here,
    /// The remote of that name.
    At(String),
}

impl Home {
    /// An environment's name with its home, for people: `production@origin`.
    pub fn address(&self, environment: &str) -> String {
        match self {
            Self::Here => environment.to_owned(),
            Self::At(remote) => format!("{environment}@{remote}"),
        }
    }

    /// The remote, if it is one.
    pub fn remote(&self) -> Option<&str> {
        match self {
            Self::Here => None,
            Self::At(remote) => Some(remote),
        }
    }
}

/// What is known here of an environment's two refs where it lives.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Place {
    pub home: Home,
    /// The ref of this repository that says what the environment's branch holds.
    pub read_from: RefName,
    /// What that holds.
    pub tip: Option<CommitId>,
    /// What its ledger holds.
    pub recorded: Option<CommitId>,
    /// What its refs must hold when they are moved.
    pub expected: RefsExpected,
    /// The remote that the environment may live at, where nothing is known of it here.
    maybe_at: Option<String>,
    /// What a person should know of where it is moved.
    pub notes: Vec<String>,
}

/// What an environment's two refs must hold where it lives for a move to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct RefsExpected {
    pub branch: Expected,
    pub ledger: Expected,
}

impl RefsExpected {
    fn new(branch: Option<CommitId>, ledger: Option<CommitId>) -> Self {
        Self {
            branch: branch.into(),
            ledger: ledger.into(),
        }
    }
}

impl Place {
    /// The remote at which it may live, where it was never fetched from there.
    pub fn not_fetched_from(&self) -> Option<&str> {
        self.maybe_at.as_deref().filter(|_| self.tip.is_none())
    }
}

/// How a verb that moves an environment is to find it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HomeRequest {
    /// `--push REMOTE`
    pub push: Option<String>,
    /// `--local`: move what is here, without asking any remote.
    pub local: bool,
}

impl Workspace {
    /// Where an environment lives, as far as the last fetch tells.
    pub(in crate::ops) fn place(&self, name: &str) -> Result<Place> {
        match self.repo()?.chosen_remote()? {
            Remote::None => self.place_here(name, None),
            Remote::Named(remote) => match self.place_at(name, &remote)? {
                place if place.tip.is_some() => Ok(place),
                _ => self.place_here(name, Some(remote)),
            },
            Remote::Ambiguous(names) => bail!(report_ambiguous(&names)),
        }
    }

    /// What another environment holds, where one lives.
    pub(in crate::ops) fn tip_at(&self, name: &str, home: &Home) -> Result<Option<CommitId>> {
        Ok(match home {
            Home::Here => self.place_here(name, None)?.tip,
            Home::At(remote) => self.place_at(name, remote)?.tip,
        })
    }

    /// The promotions of another environment, where one lives.
    pub(in crate::ops) fn ledger_of(&self, name: &str, home: &Home) -> Result<Ledger> {
        let place = match home {
            Home::Here => self.place_here(name, None)?,
            Home::At(remote) => self.place_at(name, remote)?,
        };
        self.ledger_at(name, &place)
    }

    /// What this repository's own refs say.
    fn place_here(&self, name: &str, maybe_at: Option<String>) -> Result<Place> {
        let repo = self.repo()?;
        let branch = RefName::of_branch(name)?;
        let recorded = repo.read_ref(&RefName::of_ledger(name)?)?;
        let tip = repo.read_ref(&branch)?;
        let (home, expected) = (Home::Here, RefsExpected::new(tip, recorded));
        Ok(Place {
            home,
            read_from: branch,
            tip,
            recorded,
            expected,
            maybe_at,
            notes: Vec::new(),
        })
    }

    /// What the copies say that the last fetch from a remote left.
    fn place_at(&self, name: &str, remote: &str) -> Result<Place> {
        let repo = self.repo()?;
        let read_from = RefName::of_branch(name)?.tracking_copy(remote)?;
        let recorded = repo.read_ref(&RefName::remote_ledger(remote, name)?)?;
        let tip = repo.read_ref(&read_from)?;
        let (home, expected) = (
            Home::At(remote.to_owned()),
            RefsExpected::new(tip, recorded),
        );
        Ok(Place {
            home,
            read_from,
            tip,
            recorded,
            expected,
            maybe_at: None,
            notes: Vec::new(),
        })
    }

    /// Where an environment lives, for a verb that moves it: the remote is asked, and what it has
    /// is fetched.
    ///
    /// # Errors
    /// Where this is a mirror, the remote cannot be reached, or it must be said where a first
    /// promotion goes.
    pub(in crate::ops) fn place_to_move(&self, name: &str, request: &HomeRequest) -> Result<Place> {
        let repo = self.repo()?;
        if let Some(source) = repo.mirrored_from()? {
            bail!(Refused(format!(
                "this repository is a mirror of {source}: nothing is moved here; promote there"
            )));
        }
        if request.local {
            return self.place_for_local(name);
        }
        let remote = match (&request.push, repo.chosen_remote()?) {
            (Some(push), _) => push.clone(),
            (None, Remote::None) => return self.place_here(name, None),
            (None, Remote::Named(remote)) => remote,
            (None, Remote::Ambiguous(names)) => bail!(report_ambiguous(&names)),
        };
        let listed = repo
            .list_remote(&remote, None)
            .map_err(|error| report_unreachable(&remote, error))?;
        let mut notes = self.fetch_listed(name, &remote, &listed)?;
        let place = self.place_at(name, &remote)?;
        let is_there = place.tip.is_some() || place.recorded.is_some();
        let here = self.place_here(name, Some(remote.clone()))?;
        notes.extend(publish_branch_note(repo, &remote, &listed)?);
        let place = match (is_there, here.tip, &request.push) {
            (true, _, _) => Ok(place),
            // What lives here and is to go to a remote that has none of it takes its whole past
            // along.
            (false, Some(_), Some(_)) => Ok(Place {
                home: place.home,
                tip: here.tip,
                recorded: here.recorded,
                ..place
            }),
            (false, None, Some(_)) => Ok(place),
            (false, Some(_), None) => {
                let note = format!(
                    "`{remote}` has no `{name}`: it lives here and is moved here; `--push \
                     {remote}` takes it there"
                );
                Ok(Place {
                    notes: vec![note],
                    ..here
                })
            }
            (false, None, None) if here.recorded.is_some() => Ok(here),
            (false, None, None) => bail!(
                "`{name}` is nowhere yet: say where it is to live, with `--push {remote}` or \
                 `--local`"
            ),
        };
        place.map(|place| Place {
            notes: place.notes.into_iter().chain(notes).collect(),
            ..place
        })
    }

    /// `--local`: on from what the remote was last known to have, if anything.
    fn place_for_local(&self, name: &str) -> Result<Place> {
        let repo = self.repo()?;
        let Remote::Named(remote) = repo.chosen_remote()? else {
            return self.place_here(name, None);
        };
        let (here, there) = (self.place_here(name, None)?, self.place_at(name, &remote)?);
        let (Some(tracked), local) = (there.tip, here.tip) else {
            let is_first = here.tip.is_none() && here.recorded.is_none();
            let note = format!(
                "nothing of `{name}` was ever fetched from `{remote}`, which was not asked: if it \
                 has that branch, this is a \
                 rival promotion 1, and no push will take it; see `git ls-remote {remote} {name}`"
            );
            return Ok(Place {
                notes: is_first.then_some(note).into_iter().collect(),
                ..here
            });
        };
        let ledger = self.ledger_at(name, &there)?;
        match local {
            Some(local) if repo.on_first_parents(tracked, local)? => Ok(here),
            Some(local) if !is_past(repo, &ledger, local, tracked)? => bail!(Refused(format!(
                "`{name}` here is at {} and has diverged from `{remote}`, which is at {}: nothing \
                 is promoted on top of it",
                local.short(),
                tracked.short()
            ))),
            _ => Ok(Place {
                tip: there.tip,
                recorded: there.recorded,
                ..here
            }),
        }
    }

    /// Asks a remote what it has of all environments, and fetches it. Returns what a person should
    /// know of it.
    pub(super) fn fetch_home(&self, remote: &str) -> Result<Vec<String>> {
        let listed = self.repo()?.list_remote(remote, None)?;
        self.fetch_listed(PRODUCTION, remote, &listed)
    }

    /// Fetches what a move of an environment is judged by: the publish branch, the environment, and
    /// the others. Returns what a person should know of it.
    fn fetch_listed(&self, name: &str, remote: &str, listed: &Listed) -> Result<Vec<String>> {
        let repo = self.repo()?;
        if let Some(head) = &listed.head
            && matches!(
                repo.publish_branch(),
                Err(RepoError::UnnamedPublishBranch { .. })
            )
        {
            // What the remote's `HEAD` names counts from now on, as in a clone.
            repo.follow_remote_head(remote, head)?;
        }
        let mut names: Vec<String> = vec![name.to_owned(), PRODUCTION.to_owned()];
        names.extend(
            repo.publish_branch()?
                .map(|branch| branch.short().to_owned()),
        );
        names.extend(listed.list_ledgers().map(str::to_owned));
        let mut losses = repo.fetch_environments(remote, listed, &names)?;
        // What is declared is only known once production and the publish branch are here.
        let declared = self
            .environment_refs()?
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>();
        if declared.iter().any(|name| !names.contains(name)) {
            losses.extend(repo.fetch_environments(remote, listed, &declared)?);
        }
        if repo.takes_branches_only(remote)? {
            // It never had any: what was here was written beside a push.
            losses.gone.clear();
        }
        let note = |name: String| {
            format!(
                "`{remote}` no longer has the ledger of `{name}`: what the branch itself records \
                 counts, and a hold that \
                 only the ledger recorded is over"
            )
        };
        let retreats = losses
            .retreats
            .iter()
            .map(|retreat| tell_retreat(remote, retreat));
        let retreats: Vec<String> = retreats.collect();
        Ok(losses.gone.into_iter().map(note).chain(retreats).collect())
    }
}

/// That a remote's ledger went back, and where what was cut off can still be looked at.
fn tell_retreat(remote: &str, retreat: &Retreat) -> String {
    format!("{retreat} (at `{remote}`, since the last fetch)")
}

/// Whether an environment's branch once stood at a commit: on the way to its tip, or at one of its
/// promotions.
pub(in crate::ops) fn is_past(
    repo: &Repo,
    ledger: &Ledger,
    commit: CommitId,
    tip: CommitId,
) -> Result<bool> {
    let is_promotion = ledger
        .all_promotions()
        .any(|promotion| promotion.commit.id == commit);
    Ok(is_promotion || repo.on_first_parents(commit, tip)?)
}

/// What a setting of this clone says of the publish branch, where the remote says something else:
/// the gate *published* is judged by it.
fn publish_branch_note(repo: &Repo, remote: &str, listed: &Listed) -> Result<Option<String>> {
    let (Some(named), Some(head)) = (repo.publish_branch()?, &listed.head) else {
        return Ok(None);
    };
    Ok((named != *head).then(|| {
        format!(
            "`{}` is the publish branch by a setting of this repository; `HEAD` of `{remote}` \
             names `{}`",
            named.short(),
            head.short()
        )
    }))
}

pub(super) fn report_ambiguous(names: &[String]) -> anyhow::Error {
    anyhow::anyhow!(
        "there are several remotes ({}): say which one environments live at, with `git config \
         refguard.remote NAME`",
        names.join(", ")
    )
}

fn report_unreachable(remote: &str, error: RepoError) -> anyhow::Error {
    anyhow::Error::new(error).context(format!(
        "cannot ask `{remote}` where the environment stands (`--local` moves what is here)"
    ))
}
