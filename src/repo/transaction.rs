//! Moving refs: one compare-and-swap for all of them, by `git update-ref`, so that hooks, reflogs
//! and locks are git's own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::git::{Running, describe_failure};
use super::{CommitId, Expected, RefName, Repo, RepoError};

/// How long a lock of somebody else is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Git's way to say "must not exist".
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// What git says where a ref does not hold what was expected.
pub(super) const OTHER_VALUE: [&str; 3] = [
    "but expected",
    "reference already exists",
    "unable to resolve reference",
];

/// Refs that are to move together, each from an expected value. Nothing has happened yet.
#[derive(Debug)]
#[must_use = "no ref moves before `commit`"]
pub struct Transaction<'r> {
    repo: &'r Repo,
    why: String,
    moves: Vec<Move>,
}

/// One ref of a transaction or of a push.
#[derive(Debug)]
pub(super) struct Move {
    pub name: RefName,
    pub expected: Expected,
    pub new: CommitId,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a lost race is no error of its own"]
pub enum Outcome {
    /// All refs hold their new values.
    Moved,
    /// Somebody else was first; no ref was moved by us.
    Lost(Lost),
    /// Somebody holds a lock, or died with it; no ref was moved.
    Locked(Locked),
}

/// A race that was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The ref.
    pub name: RefName,
    /// What it was to hold.
    pub expected: Expected,
    /// What it holds.
    pub actual: Option<CommitId>,
}

/// A lock that did not go away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The lock file: if no git command runs, a dead one left it, and it is to be removed by hand.
    pub path: PathBuf,
    /// Its age, if it can be told.
    pub age: Option<Duration>,
}

/// The refs are locked and hold what was expected. Dropped, it lets go of them unchanged.
#[must_use = "no ref moves before `commit`"]
struct Prepared<'r> {
    transaction: Transaction<'r>,
    git: Running,
}

/// What came of one attempt to lock.
enum Attempt<'r> {
    Prepared(Prepared<'r>),
    Over(Outcome),
    /// To be tried again, because of a lock or of a ref that moved there and back.
    Busy(Transaction<'r>, Option<Locked>),
}

impl Repo {
    /// A transaction that moves nothing yet; `why` goes into the reflog.
    pub fn begin_transaction(&self, why: impl Into<String>) -> Transaction<'_> {
        Transaction {
            repo: self,
            why: why.into(),
            moves: Vec::new(),
        }
    }

    /// Drops a copy of a remote's ref.
    pub(super) fn drop_ref(&self, name: &RefName) -> Result<(), RepoError> {
        self.git_command(["update-ref", "--no-deref", "-d", name.as_str()])
            .run()
            .map(drop)
    }

    /// The work tree, of any that the repository has, in which a branch is checked out.
    pub fn checked_out_in(&self, name: &RefName) -> Result<Option<PathBuf>, RepoError> {
        let listed = self
            .git_command(["worktree", "list", "--porcelain"])
            .run()?
            .text();
        let branch = format!("branch {name}");
        let holds = |block: &&str| block.lines().any(|line| line == branch);
        let block = listed.split("\n\n").find(holds);
        Ok(block
            .and_then(|block| block.lines().next()?.strip_prefix("worktree "))
            .map(PathBuf::from))
    }
}

impl<'r> Transaction<'r> {
    /// Adds a ref. The first is the one that counts; the others follow it.
    pub fn set_ref(mut self, name: &RefName, expected: Expected, new: CommitId) -> Self {
        self.moves.push(Move {
            name: name.clone(),
            expected,
            new,
        });
        self
    }

    /// Moves all refs, or none. A lock is waited for, for a short while.
    pub fn commit_all(mut self) -> Result<Outcome, RepoError> {
        self.refuse_unfit()?;
        self.repo.env.may_fail_before("before-ref")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.prepare_refs()? {
                Attempt::Prepared(prepared) => return prepared.commit_prepared(),
                Attempt::Over(outcome) => return Ok(outcome),
                Attempt::Busy(_, Some(lock)) if Instant::now() > deadline => {
                    return Ok(Outcome::Locked(lock));
                }
                Attempt::Busy(..) if Instant::now() > deadline => {
                    return Err(describe_failure(
                        "update-ref",
                        "the refs do not come to rest",
                    ));
                }
                Attempt::Busy(again, _) => self = again,
            }
            thread::sleep(jittered_wait());
        }
    }

    /// Refs that must not be moved, and values that no branch may have.
    fn refuse_unfit(&self) -> Result<(), RepoError> {
        for Move { name, new, .. } in &self.moves {
            self.repo.read_ref(name)?;
            self.repo.find_commit(*new)?;
            if name.is_branch()
                && let Some(work_tree) = self.repo.checked_out_in(name)?
            {
                return Err(RepoError::CheckedOut {
                    name: name.clone(),
                    work_tree,
                });
            }
        }
        Ok(())
    }

    /// Locks the refs and compares.
    fn prepare_refs(self) -> Result<Attempt<'r>, RepoError> {
        let mut git = self
            .repo
            .make_durable(["update-ref", "-m", &self.why, "--stdin"])
            .start_process()?;
        git.send_input("start\n");
        for Move {
            name,
            expected,
            new,
        } in &self.moves
        {
            let old = expected
                .commit()
                .map_or(NOTHING.to_owned(), |old| old.to_string());
            git.send_input(&format!("option no-deref\nupdate {name} {new} {old}\n"));
        }
        git.send_input("prepare\n");
        if git.await_line("prepare: ok")? {
            return Ok(Attempt::Prepared(Prepared {
                transaction: self,
                git,
            }));
        }
        let ending = git.wait_for_end(Vec::new())?;
        if let Some(lost) = self.find_lost()? {
            return Ok(Attempt::Over(Outcome::Lost(lost)));
        }
        let lock = lock_in_the_way(&ending.stderr);
        // Git saw another value, and now it is the expected one again.
        let moved_back = OTHER_VALUE
            .iter()
            .any(|words| ending.stderr.contains(words));
        if lock.is_some() || moved_back {
            return Ok(Attempt::Busy(self, lock));
        }
        Err(describe_failure("update-ref", &ending.stderr))
    }

    /// The first ref that does not hold what was expected.
    fn find_lost(&self) -> Result<Option<Lost>, RepoError> {
        for Move { name, expected, .. } in &self.moves {
            let actual = self.repo.read_ref(name)?;
            if actual != expected.commit() {
                return Ok(Some(Lost {
                    name: name.clone(),
                    expected: *expected,
                    actual,
                }));
            }
        }
        Ok(None)
    }

    /// Whether the ref that counts holds its new value.
    fn has_moved(&self) -> Result<bool, RepoError> {
        match self.moves.first() {
            Some(first) => Ok(self.repo.read_ref(&first.name)? == Some(first.new)),
            None => Ok(true),
        }
    }
}

impl Prepared<'_> {
    fn commit_prepared(mut self) -> Result<Outcome, RepoError> {
        self.transaction.repo.env.may_fail_before("ref-prepared")?;
        self.git.send_input("commit\n");
        let ending = self.git.wait_for_end(Vec::new())?;
        // While the refs were locked nobody else could have put the new value there: where it
        // stands, git died after the move, and a ref that it left behind is healed by whoever comes
        // next.
        if !ending.success && !self.transaction.has_moved()? {
            return Err(describe_failure("update-ref", &ending.stderr));
        }
        self.transaction.repo.env.may_fail_after("after-ref");
        Ok(Outcome::Moved)
    }
}

impl Locked {
    fn at(path: &Path) -> Self {
        let changed = path.metadata().and_then(|found| found.modified()).ok();
        Self {
            path: path.to_owned(),
            age: changed.and_then(|time| time.elapsed().ok()),
        }
    }
}

/// The lock file that git names when it cannot lock.
fn lock_in_the_way(stderr: &str) -> Option<Locked> {
    let (_, rest) = stderr.split_once("Unable to create '")?;
    let (path, _) = rest.split_once("': File exists")?;
    Some(Locked::at(Path::new(path)))
}

/// A short while, of another length each time, so that those who wait do not meet again.
fn jittered_wait() -> Duration {
    Duration::from_millis(5 + RandomState::new().build_hasher().finish() % 45)
}
