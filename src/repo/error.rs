//! What can go wrong with git and files, said for people; what to do stands apart in
//! [`RepoError::help`].

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{CommitId, RefName};

/// Trouble with git or with files. None of it is a fault of the policies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// No repository at or above the folder.
    #[error("`{}` is in no git repository", dir.display())]
    NotARepository {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// The repository has no files to read beside its objects.
    #[error("`{}` is a git repository without a work tree", dir.display())]
    NoWorkTree {
        /// The repository.
        dir: PathBuf,
    },
    /// A repository of a kind that cannot be read.
    #[error("the repository `{}` {what}, which refguard cannot read", dir.display())]
    UnsupportedRepository {
        /// The repository.
        dir: PathBuf,
        /// What it does, as a verb phrase.
        what: String,
        /// What to do.
        help: &'static str,
    },
    /// Something that is no file in the place of one: reading it would wait without end.
    #[error("`{}` is a FIFO, a socket or a device, and git needs a file there", path.display())]
    SpecialFile {
        /// What it is.
        path: PathBuf,
    },
    /// Two answers to where the refs of a repository are.
    #[error(
        "`GIT_COMMON_DIR` names `{}`, and the repository `{}` shares that of `{}`",
        named.display(), dir.display(), own.display()
    )]
    OtherCommonDir {
        /// The repository.
        dir: PathBuf,
        /// What the variable names.
        named: PathBuf,
        /// What the repository itself says.
        own: PathBuf,
    },
    /// Git's ownership check.
    #[error("the repository `{}` belongs to another user", dir.display())]
    ForeignOwner {
        /// The repository.
        dir: PathBuf,
    },
    /// The `git` program is missing.
    #[error("the program `git` was not found")]
    NoGit,
    /// A text that names no commit.
    #[error("no commit is named by `{revision}`")]
    NoSuchRevision {
        /// As it was given.
        revision: String,
        /// A name that is near.
        near: Option<String>,
    },
    /// A ref that must exist does not.
    #[error("the ref `{name}` does not exist")]
    NoSuchRef {
        /// Its full name.
        name: RefName,
    },
    /// A text that is no full ref name.
    #[error("`{name}` is no full name of a ref")]
    BadRefName {
        /// As it was given.
        name: String,
    },
    /// An environment's ref must be a ref of its own.
    #[error("the ref `{name}` is symbolic: it stands for `{target}`")]
    SymbolicRef {
        /// Its full name.
        name: RefName,
        /// What it points at.
        target: String,
    },
    /// A value that is an object, but no commit.
    #[error("`{name}` is a {kind}, not a commit")]
    NotACommit {
        /// A ref or a revision.
        name: String,
        /// What kind of object it is.
        kind: String,
    },
    /// Nothing in the repository says which branch is published.
    #[error("nothing says which branch is published")]
    UnnamedPublishBranch {
        /// The remote whose `HEAD` is not known here; `None`: there are several remotes.
        remote: Option<String>,
    },
    /// A commit object without a tree line: git itself cannot read it either.
    #[error("the commit {commit} is damaged: it names no tree")]
    MalformedCommit {
        /// Its id.
        commit: CommitId,
    },
    /// A branch that somebody has checked out must not be moved under them.
    #[error("the branch `{}` is checked out in `{}`", name.short(), work_tree.display())]
    CheckedOut {
        /// The branch.
        name: RefName,
        /// Where.
        work_tree: PathBuf,
    },
    /// The history ends where a shallow clone was cut.
    #[error("the history before commit {} is missing: this is a shallow clone", at.short())]
    Shallow {
        /// The last commit that is there.
        at: CommitId,
    },
    /// An object that should be there is not.
    #[error("the object {id} is missing from the repository")]
    MissingObject {
        /// Its id.
        id: String,
    },
    /// An object that is there and cannot be read.
    #[error("the object {id} is damaged: {message}")]
    DamagedObject {
        /// Its id.
        id: String,
        /// What libgit2 said.
        message: String,
    },
    /// More entries than any repository of policies has; crossed trees can be endless.
    #[error("the tree has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// A tree with two entries of one name: which of them counts, each reader of git decides for
    /// itself.
    #[error("the tree holds `{path}` twice")]
    TwoEntries {
        /// The path, relative to the root.
        path: String,
    },
    /// A path of ours that git could hold and we cannot.
    #[error("the path `{path}` is not UTF-8")]
    NotUtf8 {
        /// With replacement characters.
        path: String,
    },
    /// A path that no tree can hold.
    #[error("`{path}` is no path that git could hold")]
    BadPath {
        /// As it was given.
        path: String,
    },
    /// Git does not know who writes.
    #[error("git does not know who you are")]
    NoIdentity,
    /// A push to a remote that does not contain what the remote has.
    #[error("{new} does not follow {old}", new = new.short(), old = old.short())]
    NotAFastForward {
        /// What the ref is to become.
        new: CommitId,
        /// What it is taken to be.
        old: CommitId,
    },
    /// `git` ran and failed.
    #[error("git {verb} failed: {message}")]
    Git {
        /// The git command.
        verb: String,
        /// What git said.
        message: String,
    },
    /// `git` ran for too long.
    #[error("git {verb} gave no answer within {} s", limit.as_secs())]
    Timeout {
        /// The git command.
        verb: String,
        /// The limit.
        limit: Duration,
    },
    /// `git` was ended, because the program ends.
    #[error("git {verb} was ended before it was done")]
    Cancelled {
        /// The git command.
        verb: String,
    },
    /// Reading objects, refs or the index failed.
    #[error("cannot {what}: {message}")]
    Objects {
        /// What was tried.
        what: String,
        /// What libgit2 said.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// The verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl RepoError {
    /// What to do about it, where that can be said.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotARepository { .. } => {
                "name a folder of a git repository with `-C DIR`, or make one with `refguard init \
                 DIR`"
                    .into()
            }
            Self::NoSuchRevision {
                near: Some(near), ..
            } => format!("did you mean `{near}`?"),
            Self::NoWorkTree { .. } => "read a commit with `--at REV`".into(),
            Self::UnsupportedRepository { help, .. } => (*help).into(),
            Self::ForeignOwner { dir } => {
                format!(
                    "if you trust it, run `git config --global --add safe.directory '{}'`",
                    dir.display()
                )
            }
            Self::SpecialFile { .. } => "remove it; `git fsck` says what is missing then".into(),
            Self::OtherCommonDir { .. } => {
                "unset `GIT_COMMON_DIR`, or name the repository that it belongs to with `GIT_DIR`"
                    .into()
            }
            Self::NoGit => "install git, or put it on the PATH".into(),
            Self::BadRefName { .. } => "a full name begins with `refs/`, such as \
                `refs/heads/production`"
                .into(),
            Self::SymbolicRef { name, .. } => {
                format!(
                    "an environment needs a ref of its own: remove it with `git symbolic-ref \
                    --delete {name}`"
                )
            }
            Self::CheckedOut { .. } => {
                "check out another branch there; a work tree that is gone is forgotten with `git \
                 worktree prune`"
                    .into()
            }
            Self::Shallow { .. } => "fetch the rest with `git fetch --unshallow`".into(),
            Self::MissingObject { .. } => {
                "`git fsck` lists what is missing; `git fetch --refetch --no-filter` brings back \
                 what a remote has, \
                 also to a partial clone"
                    .into()
            }
            Self::DamagedObject { .. } => {
                "`git fsck` lists what is damaged; move its file aside, then `git fetch \
                 --refetch` brings it back from a remote"
                    .into()
            }
            Self::TwoEntries { .. } => {
                "no git command makes such a tree: `git fsck` names it; commit the folder anew \
                 from a checkout"
                    .into()
            }
            Self::UnnamedPublishBranch {
                remote: Some(remote),
            } => format!(
                "run `git config refguard.publishBranch NAME`, or `git remote set-head {remote} \
                 --auto`"
            ),
            Self::UnnamedPublishBranch { remote: None } => {
                "run `git config refguard.publishBranch NAME`; of several remotes \
                 `git config refguard.remote NAME` says which counts"
                    .into()
            }
            Self::NoIdentity => {
                "run `git config --global user.name NAME` and `git config --global user.email \
                 ADDRESS`"
                    .into()
            }
            _ => return None,
        })
    }

    pub(super) fn io_error(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// Turns libgit2's words into ours; `what` completes "cannot …".
    pub(super) fn objects_error(what: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        let what = what.into();
        move |error| Self::Objects {
            what,
            message: error.message().to_owned(),
        }
    }

    /// As [`Self::objects_error`], where a missing object is what to expect of a damaged or partial
    /// clone.
    pub(super) fn object_error(id: git2::Oid) -> impl FnOnce(git2::Error) -> Self {
        move |error| match error.code() {
            git2::ErrorCode::NotFound => Self::MissingObject { id: id.to_string() },
            _ => Self::DamagedObject {
                id: id.to_string(),
                message: error.message().to_owned(),
            },
        }
    }
}
