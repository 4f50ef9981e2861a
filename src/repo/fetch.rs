//! Fetching branches from a remote, by `git` itself.

use super::git::NETWORK;
use super::{RefName, Repo, RepoError};

impl Repo {
    /// Fetches these branches of a remote into its tracking refs, whatever they held before.
    pub fn fetch_branches(&self, remote: &str, branches: &[RefName]) -> Result<(), RepoError> {
        let refspec = |branch: &RefName| Ok(format!("+{branch}:{}", branch.tracking(remote)?));
        let refspecs: Vec<String> =
            branches.iter().map(refspec).collect::<Result<_, RepoError>>()?;
        let options = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--",
            remote,
        ];
        let words = options.into_iter().chain(refspecs.iter().map(String::as_str));
        self.command(words).limit(NETWORK).run().map(drop)
    }
}
