//! Fetching branches and ledgers from a remote, by `git` itself.

use super::git::Cancel;
use super::{Promotion, RefName, Repo, RepoError, Retreat};

/// How git says that a branch is not there. It stops the fetch of all branches.
const NO_SUCH_BRANCH: &str = "couldn't find remote ref";

/// What the ledgers of a remote have no longer that they had at the fetch before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerLosses {
    /// Environments whose ledgers are gone while their branches are there.
    pub gone: Vec<String>,
    /// Those whose promotions went back.
    pub retreats: Vec<Retreat>,
}

impl LedgerLosses {
    /// Takes up those of another fetch.
    pub fn extend(&mut self, other: Self) {
        self.gone.extend(other.gone);
        self.retreats.extend(other.retreats);
    }
}

/// What a remote turned out not to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Branches that were asked for.
    pub missing: Vec<RefName>,
    /// Environments whose ledgers it had at the fetch before: the copies are gone now.
    pub lost_ledgers: Vec<String>,
}

impl Repo {
    /// Fetches these branches of a remote into its tracking refs, and all ledgers, whatever they
    /// held before. What the remote does not have keeps the rest from nothing.
    pub fn fetch_branches(
        &self,
        remote: &str,
        branches: &[RefName],
        cancel: &Cancel,
    ) -> Result<Fetched, RepoError> {
        let before = self.copied_ledgers(remote)?;
        let missing = self.fetch_there(remote, branches, cancel)?;
        let after = self.copied_ledgers(remote)?;
        let lost = before
            .into_iter()
            .filter(|name| !after.contains(name))
            .collect();
        Ok(Fetched {
            missing,
            lost_ledgers: lost,
        })
    }

    /// The environments whose ledgers were copied from a remote.
    pub fn copied_ledgers(&self, remote: &str) -> Result<Vec<String>, RepoError> {
        let folder = format!("refs/refguard/remotes/{remote}/ledger/");
        let copies = self.refs_below(&folder)?;
        let names = copies
            .iter()
            .filter_map(|(name, _)| name.as_str().strip_prefix(&folder));
        Ok(names.map(str::to_owned).collect())
    }

    /// The newest promotion of an environment by the copies of a remote's refs, as far as they can
    /// be read.
    pub(super) fn newest_copied(&self, remote: &str, environment: &str) -> Option<Promotion> {
        let branch = RefName::of_branch(environment)
            .and_then(|branch| branch.tracking_copy(remote))
            .ok()?;
        let tip = self.read_ref(&branch).ok()?;
        let recorded = self
            .read_ref(&RefName::remote_ledger(remote, environment).ok()?)
            .ok()?;
        let Some(tip) = tip else {
            return self.promotion_as_known(environment, recorded?).ok()?;
        };
        let newest = match self.newest_promotions(environment, tip, recorded) {
            Err(RepoError::Shallow { .. }) => self.claimed_promotions(environment, tip, recorded),
            read => read.ok()?,
        };
        newest.last_promotion().cloned()
    }

    /// Which ledgers went back by a fetch, of promotions that were the newest before it.
    pub(super) fn find_retreats(&self, remote: &str, before: Vec<Promotion>) -> Vec<Retreat> {
        let retreats = before.into_iter().filter_map(|promotion| {
            let now = self.newest_copied(remote, &promotion.record.environment);
            self.find_retreat(&promotion, now.as_ref()).ok().flatten()
        });
        retreats.collect()
    }

    /// Fetches the branches that are there; returns the others.
    fn fetch_there(
        &self,
        remote: &str,
        branches: &[RefName],
        cancel: &Cancel,
    ) -> Result<Vec<RefName>, RepoError> {
        match self.fetch_all(remote, branches, cancel) {
            Err(RepoError::Git { message, .. }) if message.contains(NO_SUCH_BRANCH) => {}
            fetched => return fetched.map(|()| Vec::new()),
        }

        let listed = self.list_branches(remote, branches, cancel)?;
        let (there, missing): (Vec<RefName>, Vec<RefName>) = branches
            .iter()
            .cloned()
            .partition(|branch| listed.contains(branch));
        if !there.is_empty() {
            self.fetch_all(remote, &there, cancel)?;
        }
        Ok(missing)
    }

    /// Fetches by refspecs, and nothing else that git's configuration may ask for.
    pub(super) fn fetch_refspecs(
        &self,
        remote: &str,
        refspecs: &[String],
        cancel: &Cancel,
    ) -> Result<(), RepoError> {
        let options = [
            "fetch",
            "--quiet",
            "--no-tags",
            // A copy of a ledger that the remote no longer has must not be taken for one. Only what
            // a refspec brings.
            "--prune",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--",
            remote,
        ];
        let words = options
            .into_iter()
            .chain(refspecs.iter().map(String::as_str));
        self.git_command(words)
            .over_network()
            .cancelled_by(cancel)
            .run()?;
        self.remember_fetch(remote);
        Ok(())
    }

    fn fetch_all(
        &self,
        remote: &str,
        branches: &[RefName],
        cancel: &Cancel,
    ) -> Result<(), RepoError> {
        let refspec = |branch: &RefName| Ok(format!("+{branch}:{}", branch.tracking_copy(remote)?));
        // A hold is told by the ledger where something else has moved the branch. What matches
        // nothing is no error. Git writes refs one after the other, in this order: who sees the new
        // branch must find its ledger there.
        let ledgers = format!("+refs/refguard/ledger/*:refs/refguard/remotes/{remote}/ledger/*");
        let mut refspecs = vec![ledgers];
        for branch in branches {
            refspecs.push(refspec(branch)?);
        }
        self.fetch_refspecs(remote, &refspecs, cancel)
    }

    /// Those of some branches that a remote has.
    fn list_branches(
        &self,
        remote: &str,
        branches: &[RefName],
        cancel: &Cancel,
    ) -> Result<Vec<RefName>, RepoError> {
        let options = ["ls-remote", "--refs", "--quiet", "--", remote];
        let words = options
            .into_iter()
            .chain(branches.iter().map(RefName::as_str));
        let text = self
            .git_command(words)
            .over_network()
            .cancelled_by(cancel)
            .run()?
            .text();
        let names = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(_, name)| name);
        Ok(names.filter_map(|name| RefName::new(name).ok()).collect())
    }
}
