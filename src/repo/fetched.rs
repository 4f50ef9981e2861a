//! When a remote was last asked: what says how old the copies are that a clone reads.
//!
//! Git notes a fetch in `FETCH_HEAD`, and a clone in the reflog of the remote's `HEAD`; what
//! refguard fetches itself leaves a file of its own aside. Must not know what the copies are read
//! for.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use super::aside::AsideName;
use super::plain::open_plain;
use super::{RefName, Repo, RepoError};

/// Bytes of a file that are looked at.
const MOST_BYTES: u64 = 1 << 20;

impl Repo {
    /// When a branch of a remote was last fetched, as far as anything here tells. Never later than
    /// it was.
    pub fn last_fetch(&self, remote: &str, branch: &RefName) -> Option<SystemTime> {
        let own = self.aside_written(&AsideName::of_folder("fetched", remote));
        [own, self.noted_fetch(branch), self.cloned_at(remote)]
            .into_iter()
            .flatten()
            .max()
    }

    /// Remembers that the environments of a remote were looked at now. That it cannot be written
    /// costs nothing but an age that is said too high.
    pub(super) fn remember_fetch(&self, remote: &str) {
        let name = AsideName::of_folder("fetched", remote);
        let _: Result<(), RepoError> = self.write_aside(&name, MOST_BYTES, |_| Ok(()));
    }

    /// What `git fetch` wrote of a branch. A fetch of other branches says nothing of it.
    fn noted_fetch(&self, branch: &RefName) -> Option<SystemTime> {
        let file = open_plain(&self.git_dir().join("FETCH_HEAD")).ok()?;
        let written = file.metadata().ok()?.modified().ok()?;
        let mut noted = String::new();
        file.take(MOST_BYTES).read_to_string(&mut noted).ok()?;
        let named = format!("\tbranch '{}' of ", branch.short());
        noted
            .lines()
            .any(|line| line.contains(&named))
            .then_some(written)
    }

    /// When the remote's branches came here at first.
    fn cloned_at(&self, remote: &str) -> Option<SystemTime> {
        let log = self
            .git
            .reflog(&format!("refs/remotes/{remote}/HEAD"))
            .ok()?;
        let seconds = log.iter().next_back()?.committer().when().seconds();
        let since = Duration::from_secs(u64::try_from(seconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
}
