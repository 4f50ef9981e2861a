//! New repositories, and plain commits of files, as a person would make them.

use std::path::Path;

use super::git::GitCommand;
use super::{CommitId, GitEnv, Repo, RepoError};

/// The variables that name a repository instead of the folder.
const LOCATION: [&str; 4] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
];

impl Repo {
    /// Makes a repository with an unborn branch `main`, of the one format that can be read here.
    pub fn create_repository(dir: &Path, env: &GitEnv) -> Result<Self, RepoError> {
        std::fs::create_dir_all(dir).map_err(RepoError::io_error("create the folder", dir))?;
        let mut command = GitCommand::new(dir, env, ["init", "--quiet", "--initial-branch=main"]);
        command
            .with_env("GIT_DEFAULT_HASH", "sha1")
            .with_env("GIT_DEFAULT_REF_FORMAT", "files");
        command.run()?;
        Self::open_at(dir, &env.without_variable(&LOCATION))
    }

    /// The repository that a folder lies in, whatever git's variables name.
    pub fn find_enclosing(dir: &Path, env: &GitEnv) -> Result<Option<Self>, RepoError> {
        Self::discover(dir, &env.without_variable(&LOCATION))
    }

    /// The branch that the first commit will be on, where there is no commit yet on what is checked
    /// out.
    pub fn unborn_branch(&self) -> Result<Option<String>, RepoError> {
        if self.head_commit()?.is_some() {
            return Ok(None);
        }
        let name = self
            .git_command(["symbolic-ref", "--quiet", "--short", "HEAD"])
            .run()?
            .text();
        Ok(Some(name).filter(|name| !name.is_empty()))
    }

    /// Whether it knows another repository.
    pub fn has_remotes(&self) -> Result<bool, RepoError> {
        Ok(!self.git_command(["remote"]).run()?.text().is_empty())
    }

    /// Tells this repository, and no other, who commits.
    pub fn set_identity(&self, name: &str, email: &str) -> Result<(), RepoError> {
        self.git_command(["config", "user.name", name]).run()?;
        self.git_command(["config", "user.email", email])
            .run()
            .map(drop)
    }

    /// Commits some paths of the work tree, relative to its top, on the branch that is checked out,
    /// and nothing else that may be staged. Hooks and signing are git's.
    pub fn commit_files<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p str>,
        message: &str,
    ) -> Result<CommitId, RepoError> {
        let paths: Vec<&str> = paths.into_iter().collect();
        let literal = ["--literal-pathspecs"];
        let named = || ["--"].into_iter().chain(paths.iter().copied());
        self.git_command(literal.into_iter().chain(["add"]).chain(named()))
            .run()?;
        let commit = ["commit", "--quiet", "--only", "-F", "-"];
        self.make_durable(literal.into_iter().chain(commit).chain(named()))
            .with_input(message)
            .run()?;
        self.resolve_revision("HEAD", &[])
    }
}
