//! Finding and opening a repository. What cannot be read is refused here, in a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use git2::{ErrorCode, RepositoryOpenFlags};
use sha2::{Digest as _, Sha256};

use super::config::GitConfig;
use super::git::{GitCommand, QUICK};
use super::plain::{read_plain, read_plain_text, refuse_special_files};
use super::{CommitId, GitEnv, RefName, RepoError};

/// An open repository: objects and refs are read through libgit2, written through `git`.
///
/// It may be sent to another thread, not shared; opening another costs a fifth of a millisecond.
pub struct Repo {
    pub(super) git: git2::Repository,
    pub(super) env: GitEnv,
    opened_at: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    work_tree: Option<PathBuf>,
    index_file: PathBuf,
    shallow: OnceLock<BTreeSet<CommitId>>,
    /// Git's configuration, once somebody has asked.
    pub(super) config: OnceLock<GitConfig>,
    /// Refs that are taken to hold something else than they do.
    pub(super) refs: BTreeMap<RefName, Option<CommitId>>,
    /// Whether the refs of this repository alone count, as at the server that takes a push.
    pub(super) is_imagined: bool,
    /// The remote that counts, where it was named for this process.
    pub(super) followed_remote: Option<String>,
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo")
            .field("git_dir", &self.git_dir)
            .field("work_tree", &self.work_tree)
            .finish_non_exhaustive()
    }
}

impl Repo {
    /// The repository at or above a folder, or the one that `GIT_DIR` names; relative paths in
    /// git's variables are taken from the folder, as `git -C` takes them.
    pub fn open_at(dir: &Path, env: &GitEnv) -> Result<Self, RepoError> {
        Self::discover(dir, env)?.ok_or_else(|| RepoError::NotARepository {
            dir: dir.to_owned(),
        })
    }

    /// As [`Self::open_at`]; `None` where there is no repository.
    pub fn discover(dir: &Path, env: &GitEnv) -> Result<Option<Self>, RepoError> {
        let dir = fs::canonicalize(dir).map_err(RepoError::io_error("open the folder", dir))?;
        let git_dir = match env.read_path("GIT_DIR", &dir) {
            Some(named) => resolve_gitlink(&named)?,
            None => match search_upwards(&dir, env)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let git_dir = fs::canonicalize(&git_dir)
            .map_err(RepoError::io_error("open the repository", git_dir))?;
        let common_dir = common_dir(&git_dir, env, &dir)?;
        refuse_special_files(&git_dir, &common_dir)?;
        refuse_unreadable(&common_dir)?;
        let git = open_at(&git_dir, &dir, env)?;
        add_object_directories(&git, &dir, env)?;
        let work_tree = work_tree(&git, &dir, env)?;
        let index_file = env
            .read_path("GIT_INDEX_FILE", &dir)
            .unwrap_or_else(|| git_dir.join("index"));
        let shallow = OnceLock::new();
        let (env, refs) = (env.clone(), BTreeMap::new());
        Ok(Some(Self {
            git,
            env,
            opened_at: dir,
            git_dir,
            common_dir,
            work_tree,
            index_file,
            shallow,
            config: OnceLock::new(),
            refs,
            is_imagined: false,
            followed_remote: None,
        }))
    }

    /// The same repository, opened afresh: for another thread, or to let go of packs that are gone.
    pub fn reopen(&self) -> Result<Self, RepoError> {
        let git = open_at(&self.git_dir, &self.opened_at, &self.env)?;
        add_object_directories(&git, &self.opened_at, &self.env)?;
        Ok(Self {
            git,
            env: self.env.clone(),
            opened_at: self.opened_at.clone(),
            git_dir: self.git_dir.clone(),
            common_dir: self.common_dir.clone(),
            work_tree: self.work_tree.clone(),
            index_file: self.index_file.clone(),
            shallow: OnceLock::new(),
            config: OnceLock::new(),
            refs: self.refs.clone(),
            is_imagined: self.is_imagined,
            followed_remote: self.followed_remote.clone(),
        })
    }

    /// The same repository as if some refs held something else, or nothing: as a push would leave
    /// it.
    #[must_use]
    pub fn with_refs(mut self, refs: BTreeMap<RefName, Option<CommitId>>) -> Self {
        self.refs.extend(refs);
        self.is_imagined = true;
        self
    }

    /// The same repository, in which one remote counts whatever the configuration says.
    #[must_use]
    pub fn with_remote(mut self, remote: Option<&str>) -> Self {
        self.followed_remote = remote.map(str::to_owned);
        self
    }

    /// The git directory; of a linked work tree, its own.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The git directory that all work trees share: refs, packed refs and objects are there.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The top of the work tree; none in a bare repository.
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// The index that git names: in a hook of `git commit FILE` it is not the usual one.
    pub(super) fn index_file(&self) -> &Path {
        &self.index_file
    }

    /// The folder that relative paths in git's variables are taken from.
    pub(super) fn opened_at(&self) -> &Path {
        &self.opened_at
    }

    /// Where git's own commands run.
    pub(super) fn working_folder(&self) -> &Path {
        self.work_tree.as_deref().unwrap_or(&self.git_dir)
    }

    /// What git's own files say about the parents of commits beside the commits themselves
    /// (`info/grafts`, `shallow`), as a checksum: history that was read under another one may have
    /// another shape.
    pub fn history_overrides(&self) -> [u8; 32] {
        let mut sum = Sha256::new();
        for name in ["info/grafts", "shallow"] {
            let content = read_plain(&self.common_dir.join(name)).unwrap_or_default();
            sum.update(content.len().to_le_bytes());
            sum.update(content);
        }
        sum.finalize().into()
    }

    /// The commits at which a shallow clone was cut: libgit2 shows them without parents.
    pub(super) fn shallow_commits(&self) -> &BTreeSet<CommitId> {
        self.shallow.get_or_init(|| {
            let text = read_plain_text(&self.common_dir.join("shallow")).unwrap_or_default();
            text.lines()
                .filter_map(|line| line.trim().parse().ok())
                .collect()
        })
    }
}

/// Upwards from a folder, as git does: not past `GIT_CEILING_DIRECTORIES`, and not into another
/// file system unless told so.
fn search_upwards(dir: &Path, env: &GitEnv) -> Result<Option<PathBuf>, RepoError> {
    let ceilings = env.read_paths("GIT_CEILING_DIRECTORIES", dir);
    match git2::Repository::discover_path(dir, &ceilings) {
        Ok(found) if crosses_file_system(dir, &found, env) => Ok(None),
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(RepoError::objects_error(format!(
            "look for a repository at `{}`",
            dir.display()
        ))(error)),
    }
}

#[cfg(unix)]
fn crosses_file_system(dir: &Path, git_dir: &Path, env: &GitEnv) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let top = dir
        .ancestors()
        .find(|above| above.join(".git").exists() || git_dir.starts_with(above));
    env.get("GIT_DISCOVERY_ACROSS_FILESYSTEM").is_none()
        && top.is_some_and(|top| device(top) != device(dir))
}

#[cfg(not(unix))]
fn crosses_file_system(_: &Path, _: &Path, _: &GitEnv) -> bool {
    false
}

/// `GIT_DIR` may name a file that says where the repository is.
fn resolve_gitlink(named: &Path) -> Result<PathBuf, RepoError> {
    if !named.is_file() {
        return Ok(named.to_owned());
    }
    let text = fs::read_to_string(named).map_err(RepoError::io_error("read", named))?;
    let target = text.trim_end().strip_prefix("gitdir: ");
    let target = target.ok_or_else(|| RepoError::NotARepository {
        dir: named.to_owned(),
    })?;
    Ok(named.parent().unwrap_or(Path::new("")).join(target))
}

fn common_dir(git_dir: &Path, env: &GitEnv, dir: &Path) -> Result<PathBuf, RepoError> {
    let own = match read_plain_text(&git_dir.join("commondir")) {
        Ok(text) => git_dir.join(text.trim_end()),
        Err(_) => git_dir.to_owned(),
    };
    let own = fs::canonicalize(&own).map_err(RepoError::io_error("open the repository", own))?;
    let Some(named) = env.read_path("GIT_COMMON_DIR", dir) else {
        return Ok(own);
    };

    // Git lets the variable decide; libgit2, which reads here, does not know it. Where both say the
    // same, it is no matter.
    let named =
        fs::canonicalize(&named).map_err(RepoError::io_error("open the repository", named))?;
    match named == own {
        true => Ok(own),
        false => Err(RepoError::OtherCommonDir {
            dir: git_dir.to_owned(),
            named,
            own,
        }),
    }
}

/// Says what libgit2 would only stumble over.
fn refuse_unreadable(common_dir: &Path) -> Result<(), RepoError> {
    let Ok(config) = git2::Config::open(&common_dir.join("config")) else {
        return Ok(());
    };
    let extension = |name: &str| {
        config
            .get_string(&format!("extensions.{name}"))
            .ok()
            .map(|v| v.to_lowercase())
    };
    let refuse = |what: String, help| {
        Err(RepoError::UnsupportedRepository {
            dir: common_dir.to_owned(),
            what,
            help,
        })
    };
    if let Some(format) = extension("objectformat").filter(|format| format != "sha1") {
        let help = "keep the policies in a repository made with `git init --object-format=sha1`";
        return refuse(format!("names its objects by {format}"), help);
    }
    if let Some(format) = extension("refstorage").filter(|format| format != "files") {
        let help = "convert it with `git refs migrate --ref-format=files`";
        return refuse(format!("keeps its refs as {format}"), help);
    }
    Ok(())
}

/// Opens a repository that git would open. libgit2's ownership check looks for `safe.directory` in
/// other places than git does, so where the owner is another user, git is asked.
fn open_at(git_dir: &Path, dir: &Path, env: &GitEnv) -> Result<git2::Repository, RepoError> {
    let none: [&Path; 0] = [];
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
    match git2::Repository::open_ext(git_dir, flags, none) {
        Ok(git) if is_own(git_dir) => Ok(git),
        Ok(git) if git_trusts(dir, env)? => Ok(git),
        Err(error) if error.code() == ErrorCode::Owner && git_trusts(dir, env)? => {
            open_trusted(git_dir)
        }
        Ok(_) => Err(RepoError::ForeignOwner {
            dir: as_git_names_it(git_dir),
        }),
        Err(error) => Err(refused_open(git_dir, &error)),
    }
}

/// Opens without libgit2's ownership check, which `open_bare` does not make. The work tree is set
/// afterwards, for a repository that has one.
fn open_trusted(git_dir: &Path) -> Result<git2::Repository, RepoError> {
    let refused = |error: git2::Error| refused_open(git_dir, &error);
    let git = git2::Repository::open_bare(git_dir).map_err(refused)?;
    let is_bare = git
        .config()
        .and_then(|config| config.get_bool("core.bare"))
        .unwrap_or(false);
    let gitlink = read_plain_text(&git_dir.join("gitdir")).ok();
    let top = match &gitlink {
        // A linked work tree: its git directory names the `.git` file in it.
        Some(text) => Path::new(text.trim_end()).parent(),
        None => git_dir.parent().filter(|_| git_dir.ends_with(".git")),
    };
    if let Some(top) = top.filter(|_| gitlink.is_some() || !is_bare) {
        git.set_workdir(top, false).map_err(refused)?;
    }
    Ok(git)
}

fn refused_open(git_dir: &Path, error: &git2::Error) -> RepoError {
    match error.code() {
        ErrorCode::Owner => RepoError::ForeignOwner {
            dir: as_git_names_it(git_dir),
        },
        ErrorCode::NotFound => RepoError::NotARepository {
            dir: git_dir.to_owned(),
        },
        _ if error.message().contains("unsupported extension") => {
            RepoError::UnsupportedRepository {
                dir: git_dir.to_owned(),
                what: format!("uses a format extension ({})", error.message()),
                help: "keep the policies in a repository of git's plain format",
            }
        }
        _ => RepoError::Objects {
            what: format!("open the repository `{}`", git_dir.display()),
            message: error.message().to_owned(),
        },
    }
}

/// Whether git itself would work in the folder: it checks the owner unless `GIT_DIR` names the
/// repository.
fn git_trusts(dir: &Path, env: &GitEnv) -> Result<bool, RepoError> {
    if env.get("GIT_DIR").is_some() {
        return Ok(true);
    }
    let asked = GitCommand::new(dir, env, ["rev-parse", "--git-dir"])
        .with_limit(QUICK)
        .finish_call()?;
    Ok(asked.success)
}

/// Whether the repository belongs to the user who runs this process.
#[cfg(unix)]
fn is_own(git_dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| fs::metadata(path).map(|found| found.uid()).ok();
    // Where the system does not say who we are, git is asked.
    let me = owner(Path::new("/proc/self"));
    me.is_some() && owner(git_dir) == me
}

#[cfg(not(unix))]
fn is_own(_: &Path) -> bool {
    true
}

/// The folder that `safe.directory` is about: the work tree, unless the repository is bare.
fn as_git_names_it(git_dir: &Path) -> PathBuf {
    let top = git_dir.parent().filter(|_| git_dir.ends_with(".git"));
    top.unwrap_or(git_dir).to_owned()
}

/// In a receiving hook the new objects are still in quarantine, which only these variables name.
fn add_object_directories(
    git: &git2::Repository,
    dir: &Path,
    env: &GitEnv,
) -> Result<(), RepoError> {
    let own = env.read_path("GIT_OBJECT_DIRECTORY", dir);
    for path in own
        .into_iter()
        .chain(env.read_paths("GIT_ALTERNATE_OBJECT_DIRECTORIES", dir))
    {
        let Some(text) = path.to_str() else { continue };
        let what = || format!("read the object directory `{text}`");
        let odb = git
            .odb()
            .map_err(|error| RepoError::objects_error(what())(error))?;
        odb.add_disk_alternate(text)
            .map_err(|error| RepoError::objects_error(what())(error))?;
    }
    Ok(())
}

/// As git decides it, but for one thing: with `GIT_DIR` alone git takes the current folder for the
/// top even below the true top; we keep the true one.
fn work_tree(
    git: &git2::Repository,
    dir: &Path,
    env: &GitEnv,
) -> Result<Option<PathBuf>, RepoError> {
    let named = env.read_path("GIT_WORK_TREE", dir);
    let own = git.workdir().map(Path::to_owned);
    let path = match (named, own) {
        (Some(named), _) => named,
        (None, None) => return Ok(None),
        (None, Some(own)) => {
            let own = fs::canonicalize(&own).unwrap_or(own);
            let elsewhere = env.get("GIT_DIR").is_some()
                && !git.is_worktree()
                && !dir.starts_with(&own)
                && !has_configured_work_tree(git);
            if elsewhere { dir.to_owned() } else { own }
        }
    };
    Ok(Some(fs::canonicalize(&path).map_err(
        RepoError::io_error("open the work tree", path),
    )?))
}

fn has_configured_work_tree(git: &git2::Repository) -> bool {
    git.config()
        .is_ok_and(|config| config.get_entry("core.worktree").is_ok())
}
