//! Where git takes hooks from, and who said so.

use std::path::PathBuf;

use super::{Repo, RepoError};

/// A `core.hooksPath` that holds for more than this repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedHooks {
    /// The folder that it names.
    pub dir: PathBuf,
    /// Which configuration says so: `global`, `system` or `command`.
    pub scope: String,
    /// Its place, such as `file:/home/ada/.gitconfig`.
    pub origin: String,
}

impl Repo {
    /// The folder that git takes hooks from: `core.hooksPath`, or the repository's own.
    pub fn hooks_dir(&self) -> Result<PathBuf, RepoError> {
        let named = self
            .git_command(["rev-parse", "--git-path", "hooks"])
            .run()?
            .text();
        Ok(self.working_folder().join(named))
    }

    /// The folder of hooks where it is not this repository's configuration that names it.
    pub fn shared_hooks(&self) -> Result<Option<SharedHooks>, RepoError> {
        let args = [
            "config",
            "-z",
            "--show-scope",
            "--show-origin",
            "--get",
            "core.hooksPath",
        ];
        let answer = self.git_command(args).finish_call()?;
        if !answer.success {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let mut words = text.split('\0');
        let (scope, origin) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if matches!(scope, "local" | "worktree") {
            return Ok(None);
        }
        let (scope, origin) = (scope.to_owned(), origin.to_owned());
        Ok(Some(SharedHooks {
            dir: self.hooks_dir()?,
            scope,
            origin,
        }))
    }

    /// Makes git take the hooks of this repository from its own folder, whatever other
    /// configuration says; gives the folder. It is written as an absolute path, so that it holds in
    /// linked work trees too.
    pub fn use_own_hooks(&self) -> Result<PathBuf, RepoError> {
        let dir = self.common_dir().join("hooks");
        let named = dir.to_string_lossy().into_owned();
        self.git_command(["config", "--local", "core.hooksPath", &named])
            .run()?;
        Ok(dir)
    }
}
