//! A folder of policies and the places a set can be read from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use refguard_core::document::Release;
use refguard_core::policy::{Checked, Levels, check_documents};
use refguard_core::resolve::Origin;

use crate::ops::source::judged::release_of;
use crate::ops::source::load::{self, Progress};
use crate::ops::{Judged, Keep, TrackedSet};
use crate::repo::{CommitId, GitEnv, Listing, Record, RefName, Repo, Root};

/// Where a set is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The work tree: tracked and untracked files, not ignored ones. Needs no git.
    Worktree,
    /// The index that git names.
    Staged,
    /// A commit, by a revision.
    At(String),
}

impl Source {
    /// The set after a change: a revision, the index, or else the work tree.
    pub fn of_head(revision: Option<&str>, is_staged: bool) -> Self {
        match revision {
            Some(revision) => Self::At(revision.to_owned()),
            None if is_staged => Self::Staged,
            None => Self::Worktree,
        }
    }
}

/// Whose rules a set is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Those of this release.
    OfNow,
    /// Those of the release that promoted it; of another commit those of the first release, so that
    /// history can be read. What is not committed is judged by those of now.
    OfThen,
}

/// A set that was read and judged, and where it comes from.
#[derive(Debug)]
pub struct LoadedSet {
    /// The set, or why there is none.
    pub checked: Checked,
    /// Where it comes from.
    pub origin: SetOrigin,
}

/// Where a set comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOrigin {
    /// `worktree`, `staged`, an environment, or a revision.
    pub name: String,
    /// The commit; `None` of a work tree or index.
    pub commit: Option<String>,
    /// The promotion's number, where it is one.
    pub promotion: Option<u64>,
}

impl SetOrigin {
    /// As the engine's answers have it.
    pub fn borrow(&self) -> Origin<'_> {
        Origin {
            set: &self.name,
            commit: self.commit.as_deref(),
            promotion: self.promotion,
        }
    }
}

/// A folder of policies, in git or not, as it was when a verb began. It does not change: what a
/// verb reads besides is a value of its own, and passed on
/// ([`VersionHistory`](crate::ops::VersionHistory), [`TrackedSet`]).
#[derive(Debug)]
pub struct Workspace {
    root: Root,
    keep: Keep,
}

impl Workspace {
    /// The policy repository that a folder belongs to.
    ///
    /// # Errors
    /// Where the folder is not there, or git's repository cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_in(dir, &GitEnv::from_process(), None)
    }

    /// As [`Workspace::open`], with the variables that are to count, and a remote that does.
    ///
    /// # Errors
    /// As there.
    pub(in crate::ops) fn open_in(dir: &Path, env: &GitEnv, remote: Option<&str>) -> Result<Self> {
        Ok(Self::of_root(
            Root::find(dir, env)?.with_remote(remote),
            Keep::InGitDir,
        ))
    }

    /// As [`Workspace::open`], for a hook: git's variables speak from the folder in which git runs
    /// it.
    ///
    /// # Errors
    /// As there.
    pub fn open_in_hook(dir: &Path) -> Result<Self> {
        Ok(Self::of_root(root_in_hook(dir)?, Keep::InGitDir))
    }

    /// The policies of a folder by its place in commits, in a repository that is only read, as if
    /// some refs held something else.
    pub(in crate::ops) fn imagined(
        dir: &Path,
        prefix: Option<&str>,
        refs: BTreeMap<RefName, Option<CommitId>>,
    ) -> Result<Self> {
        let root = prefix.into_iter().fold(root_in_hook(dir)?, Root::at_prefix);
        Ok(Self::of_root(root.with_refs(refs), Keep::ReadOnly))
    }

    fn of_root(root: Root, keep: Keep) -> Self {
        Self { root, keep }
    }

    /// Whether what is learnt of the repository is kept in its git directory for the next run.
    pub(in crate::ops) fn keep(&self) -> Keep {
        self.keep
    }

    /// The root: its folder, its place in commits, and the repository.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The repository.
    ///
    /// # Errors
    /// Where there is none.
    pub fn repo(&self) -> Result<&Repo> {
        Ok(self.root.repo()?)
    }

    /// Reads and judges a set. Unless `allow_empty`, one without any document is at fault.
    ///
    /// # Errors
    /// Where it cannot be read at all; what is wrong with its documents is among its findings.
    pub fn load(
        &self,
        source: &Source,
        levels: &Levels,
        allow_empty: bool,
        progress: &dyn Progress,
    ) -> Result<LoadedSet> {
        let (listing, origin) = self.list(source)?;
        let mut loaded = load::read(listing, progress)
            .with_context(|| format!("cannot read the set `{}`", origin.name))?;
        if !allow_empty {
            loaded.findings.extend(load::empty_set(&loaded));
        }
        Ok(LoadedSet {
            checked: check_documents(loaded, levels),
            origin,
        })
    }

    /// Files and folders as somebody typed them in `dir`, as paths from the root; empty: the root
    /// itself.
    ///
    /// # Errors
    /// Where one is not below the root.
    pub fn paths_from_root(&self, dir: &Path, typed: &[PathBuf]) -> Result<Vec<String>> {
        // A bare repository has no folder to look in, and needs none.
        if typed.is_empty() {
            return Ok(Vec::new());
        }
        let root = self
            .root
            .dir()?
            .canonicalize()
            .context("cannot find the root")?;
        let relative = |path: &PathBuf| -> Result<String> {
            let path = std::path::absolute(dir.join(path))?;
            // A path that a commit has need not be there.
            let folder = path.parent().and_then(|parent| parent.canonicalize().ok());
            let whole = path.canonicalize().ok();
            let beside = || Some(folder?.join(path.file_name()?));
            // A symbolic link is judged where it stands, not what it leads to.
            let found = match path.is_symlink() {
                true => beside().or(whole),
                false => whole.or_else(beside),
            };
            let found = found.unwrap_or_else(|| path.clone());
            let Ok(inner) = found.strip_prefix(&root) else {
                bail!(
                    "`{}` is not below the root `{}`",
                    path.display(),
                    root.display()
                )
            };
            Ok(inner.to_string_lossy().replace('\\', "/"))
        };
        typed.iter().map(relative).collect()
    }

    fn list(&self, source: &Source) -> Result<(Listing<'_>, SetOrigin)> {
        Ok(match source {
            Source::Worktree => (
                self.root.list_work_tree(&load::wanted)?,
                SetOrigin::named("worktree"),
            ),
            Source::Staged => {
                // Where there is no work tree nothing is staged, whatever lies there as an index.
                self.root.dir()?;
                let listing = self.repo()?.list_index(self.root.prefix(), &load::wanted)?;
                (listing, SetOrigin::named("staged"))
            }
            Source::At(revision) => {
                let (commit, promotion) = self.revision(revision)?;
                let listing =
                    self.repo()?
                        .list_commit(commit, self.root.prefix(), &load::wanted)?;
                (listing, SetOrigin::of_commit(revision, commit, promotion))
            }
        })
    }

    /// Reads a set that is no good unless it is valid: no warning is looked for. Of two sources
    /// that are judged with the same `sets`, what they share is parsed once.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub fn judge(
        &self,
        source: &Source,
        rules: Rules,
        sets: &mut TrackedSet,
        progress: &dyn Progress,
    ) -> Result<(Judged, SetOrigin)> {
        match source {
            Source::Worktree => {
                let listing = self.root.list_work_tree(&load::wanted)?;
                let judged = sets.judge_disk(self, listing, progress)?;
                Ok((judged, SetOrigin::named("worktree")))
            }
            Source::Staged => {
                let staged = self
                    .repo()?
                    .staged_sides(self.root.prefix(), &load::wanted)?;
                let (judged, _) = sets.judge_index(self, &staged, progress)?;
                Ok((judged, SetOrigin::named("staged")))
            }
            Source::At(revision) => {
                let (commit, promotion) = self.revision(revision)?;
                let as_of = match rules {
                    Rules::OfNow => Release::CURRENT,
                    Rules::OfThen => self.release_of_commit(commit)?,
                };
                let tree = self.repo()?.tree_of(commit)?;
                let judged = sets.judge_tree(self, tree, as_of, progress)?;
                Ok((judged, SetOrigin::of_commit(revision, commit, promotion)))
            }
        }
    }
}

impl Workspace {
    /// The release that promoted a commit to whatever environment; of another commit the first one.
    fn release_of_commit(&self, commit: CommitId) -> Result<Release> {
        let commit = self.repo()?.find_commit(commit)?;
        let environment = Record::environment_of(&commit.message);
        let record = environment.and_then(|name| Record::parse(&commit.message, &name).ok()?);
        Ok(record.as_ref().map_or(Release::FIRST, release_of))
    }
}

/// The root of a folder as a hook sees it.
fn root_in_hook(dir: &Path) -> Result<Root> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    Ok(Root::find(dir, &GitEnv::from_process().anchor_path(&here))?)
}

impl SetOrigin {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            commit: None,
            promotion: None,
        }
    }

    fn of_commit(revision: &str, commit: CommitId, promotion: Option<u64>) -> Self {
        Self {
            commit: Some(commit.to_string()),
            promotion,
            ..Self::named(revision)
        }
    }
}
