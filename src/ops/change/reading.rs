//! What a person should know of how a verb reads an environment: how old the copy is, and which of
//! two names was taken. Must not know how it is said.

use std::time::SystemTime;

use anyhow::{Result, bail};

use crate::ops::{Home, Workspace};
use crate::repo::{RefName, Remote, first_name};

/// An environment that is read as the last fetch left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedCopy {
    /// Where it lives.
    pub remote: String,
    /// When it was fetched last.
    pub fetched: SystemTime,
}

impl Workspace {
    /// Brings the copies of all environments up to date with the remote that they live at. Returns
    /// what a person should know of it.
    ///
    /// # Errors
    /// Where there is no remote, or it cannot be reached.
    pub fn fetch_environments(&self) -> Result<Vec<String>> {
        match self.repo()?.chosen_remote()? {
            Remote::Named(remote) => self.fetch_home(&remote),
            Remote::None => bail!("there is no remote to fetch from: what is here is all there is"),
            Remote::Ambiguous(names) => bail!(super::home::report_ambiguous(&names)),
        }
    }

    /// Whether an environment may be read as the last fetch from a remote left it: nothing is to be
    /// said of others.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn may_read_copies(&self) -> Result<bool> {
        Ok(!matches!(self.repo()?.chosen_remote()?, Remote::None))
    }

    /// The copy that is read where an environment is asked for; `None` where it lives here, and
    /// where nothing tells when it was fetched.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn fetched_copy(&self, environment: &str) -> Result<Option<FetchedCopy>> {
        let Home::At(remote) = self.place(environment)?.home else {
            return Ok(None);
        };
        let fetched = self
            .repo()?
            .last_fetch(&remote, &RefName::of_branch(environment)?);
        Ok(fetched.map(|fetched| FetchedCopy { remote, fetched }))
    }

    /// The environment that a revision speaks of, if it is one.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn environment_in(&self, revision: &str) -> Result<Option<String>> {
        if revision.starts_with('#') || self.time_of(revision).is_some() {
            return self.anchor().map(Some);
        }
        let name = first_name(revision);
        let name = name.split_once('#').map_or(name, |(name, _)| name);
        let known = self.environments_spoken_of(revision)?;
        let found = known
            .into_iter()
            .find(|(known, full)| known == name || full.as_str() == name);
        Ok(found.map(|(name, _)| name))
    }
}
