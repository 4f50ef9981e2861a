//! The settings of a daemon, fixed at its start.

use std::path::PathBuf;
use std::time::Duration;

use crate::repo::GitEnv;

/// What to serve, and how to keep up with it.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder of the repository.
    pub dir: PathBuf,
    /// The environment variables of git's processes.
    pub env: GitEnv,
    /// Whether the work tree is served too, as the set `worktree`.
    pub worktree: bool,
    /// How often the refs are read where no file system event comes.
    pub poll: Duration,
    /// Where the last good sets are kept; `None`: in the git directory.
    pub state_dir: Option<PathBuf>,
    /// A remote whose copies of the environments' branches are followed.
    pub fetch: Option<Fetch>,
    /// How long the refs may go unread (unfetched) before what is served counts as stale.
    pub max_staleness: Option<Duration>,
    /// Whether a stale set is refused, beside failing readiness.
    pub refuse_stale: bool,
}

/// A remote to follow.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Its name.
    pub remote: String,
    /// How often it is fetched.
    pub interval: Duration,
}
