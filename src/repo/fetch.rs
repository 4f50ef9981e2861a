//! Fetching branches and ledgers from a remote, by `git` itself.

use super::git::Cancel;
use super::{RefName, Repo, RepoError};

/// How git says that a branch is not there. It stops the fetch of all branches.
const NO_SUCH_BRANCH: &str = "couldn't find remote ref";

impl Repo {
    /// Fetches these branches of a remote into its tracking refs, and all ledgers, whatever they held before. Returns those that the
    /// remote does not have: they do not keep the others from being fetched.
    pub fn fetch_branches(
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
        let (there, missing): (Vec<RefName>, Vec<RefName>) =
            branches.iter().cloned().partition(|branch| listed.contains(branch));
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
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--",
            remote,
        ];
        let words = options.into_iter().chain(refspecs.iter().map(String::as_str));
        self.command(words).over_network().cancelled_by(cancel).run()?;
        self.remember_fetch(remote);
        Ok(())
    }

    fn fetch_all(
        &self,
        remote: &str,
        branches: &[RefName],
        cancel: &Cancel,
    ) -> Result<(), RepoError> {
        let refspec = |branch: &RefName| Ok(format!("+{branch}:{}", branch.tracking(remote)?));
        // A hold is told by the ledger where something else has moved the branch. What matches nothing is no error. Git
        // writes refs one after the other, in this order: who sees the new branch must find its ledger there.
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
        let words = options.into_iter().chain(branches.iter().map(RefName::as_str));
        let text = self.command(words).over_network().cancelled_by(cancel).run()?.text();
        let names = text.lines().filter_map(|line| line.split_once('\t')).map(|(_, name)| name);
        Ok(names.filter_map(|name| RefName::new(name).ok()).collect())
    }
}
