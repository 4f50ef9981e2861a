//! The root: the folder that holds a policy set, and where the same folder is in commits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{CommitId, GitEnv, RefName, Repo, RepoError};

/// The file that marks a root.
const MARK: &str = "refguard.yaml";

/// The folder of a policy set. In git or not: a work tree can be read without.
#[derive(Debug)]
pub struct Root {
    dir: Option<PathBuf>,
    prefix: String,
    repo: Option<Repo>,
}

impl Root {
    /// The nearest folder with a `refguard.yaml` at or above `dir`, not above the top of git's work
    /// tree; else `dir` itself.
    pub fn find(dir: &Path, env: &GitEnv) -> Result<Self, RepoError> {
        let repo = Repo::discover(dir, env)?;
        let dir = fs::canonicalize(dir).map_err(RepoError::io_error("open the folder", dir))?;
        let Some(repo) = repo else {
            let root = nearest_marked(&dir, None).unwrap_or(&dir).to_owned();
            return Ok(Self {
                dir: Some(root),
                prefix: String::new(),
                repo: None,
            });
        };
        let Some(top) = repo
            .work_tree()
            .filter(|_| !dir.starts_with(repo.git_dir()))
            .map(Path::to_owned)
        else {
            return Ok(Self {
                dir: None,
                prefix: String::new(),
                repo: Some(repo),
            });
        };
        let start = if dir.starts_with(&top) {
            dir.as_path()
        } else {
            top.as_path()
        };
        let root = nearest_marked(start, Some(&top)).unwrap_or(start);
        let prefix = with_slashes(root.strip_prefix(&top).unwrap_or(Path::new("")))?;
        Ok(Self {
            dir: Some(root.to_owned()),
            prefix,
            repo: Some(repo),
        })
    }

    /// The folder on disk; none in a bare repository.
    pub fn dir(&self) -> Result<&Path, RepoError> {
        let git_dir = || {
            self.repo
                .as_ref()
                .map(|repo| repo.git_dir().to_owned())
                .unwrap_or_default()
        };
        self.dir
            .as_deref()
            .ok_or_else(|| RepoError::NoWorkTree { dir: git_dir() })
    }

    /// The same folder in commits and in the index: relative to their top, with `/`, empty at the
    /// top.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The same folder as if some refs held something else, or nothing.
    #[must_use]
    pub fn with_refs(self, refs: BTreeMap<RefName, Option<CommitId>>) -> Self {
        Self {
            repo: self.repo.map(|repo| repo.with_refs(refs)),
            ..self
        }
    }

    /// The same folder, of a repository in which one remote counts whatever the configuration says.
    #[must_use]
    pub fn with_remote(self, remote: Option<&str>) -> Self {
        Self {
            repo: self.repo.map(|repo| repo.with_remote(remote)),
            ..self
        }
    }

    /// Another folder of the same repository, by its place in commits: a bare repository cannot be
    /// looked into for it.
    #[must_use]
    pub fn at_prefix(self, prefix: &str) -> Self {
        Self {
            prefix: prefix.trim_matches('/').to_owned(),
            ..self
        }
    }

    /// The repository, which most verbs need.
    pub fn repo(&self) -> Result<&Repo, RepoError> {
        let dir = || self.dir.clone().unwrap_or_default();
        self.repo
            .as_ref()
            .ok_or_else(|| RepoError::NotARepository { dir: dir() })
    }

    /// The repository, if there is one.
    pub fn maybe_repo(&self) -> Option<&Repo> {
        self.repo.as_ref()
    }
}

fn nearest_marked<'a>(dir: &'a Path, top: Option<&Path>) -> Option<&'a Path> {
    let inside = dir
        .ancestors()
        .take_while(|above| top.is_none_or(|top| above.starts_with(top)));
    inside.into_iter().find(|above| above.join(MARK).is_file())
}

/// A relative path as git writes it.
fn with_slashes(path: &Path) -> Result<String, RepoError> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    let not_utf8 = || RepoError::NotUtf8 {
        path: path.to_string_lossy().into_owned(),
    };
    Ok(parts.ok_or_else(not_utf8)?.join("/"))
}
