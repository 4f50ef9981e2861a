//! Commits as data, and the ways through history.

use std::collections::HashSet;

use super::git::describe_failure;
use super::{CommitId, Repo, RepoError, TreeId, commit_text};

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// Its parents, the first first.
    pub parents: Vec<CommitId>,
    /// Who made the change.
    pub author: Person,
    /// Who made the commit.
    pub committer: Person,
    /// The whole message; what is not UTF-8 has replacement characters.
    pub message: String,
}

impl Commit {
    /// The first line of the message.
    pub fn summary(&self) -> &str {
        self.message.trim_start().lines().next().unwrap_or("")
    }
}

/// A commit as a link of the first-parent chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its tree.
    pub tree: TreeId,
    /// The first parent; none of the first commit.
    pub parent: Option<CommitId>,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// When.
    pub time: Time,
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.email.as_str() {
            "" => f.write_str(&self.name),
            email => write!(f, "{} <{email}>", self.name),
        }
    }
}

/// A time as git keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Minutes that the author's clock was ahead of UTC.
    pub offset_minutes: i32,
}

impl Time {
    /// As git writes it.
    pub(super) fn raw(self) -> String {
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let minutes = self.offset_minutes.unsigned_abs();
        format!(
            "@{} {sign}{:02}{:02}",
            self.seconds,
            minutes / 60,
            minutes % 60
        )
    }
}

impl std::fmt::Display for Time {
    /// RFC 3339, in the author's own offset.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let zone = jiff::tz::Offset::from_seconds(self.offset_minutes.saturating_mul(60))
            .unwrap_or(jiff::tz::Offset::UTC);
        let timestamp = jiff::Timestamp::from_second(self.seconds).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{}", timestamp.display_with_offset(zone))
    }
}

impl Repo {
    /// Reads a commit, however odd its author and committer lines are: old history cannot be
    /// mended.
    pub fn find_commit(&self, id: CommitId) -> Result<Commit, RepoError> {
        let odb = self.object_database()?;
        let object = odb
            .read(id.oid())
            .map_err(RepoError::object_error(id.oid()))?;
        if object.kind() != git2::ObjectType::Commit {
            let kind = object.kind().to_string();
            return Err(RepoError::NotACommit {
                name: id.to_string(),
                kind,
            });
        }
        let mut commit = commit_text::parse_commit(id, object.data())
            .ok_or(RepoError::MalformedCommit { commit: id })?;
        // Where a shallow clone was cut, the parents that the commit names are not there.
        if self.shallow_commits().contains(&id) {
            commit.parents.clear();
        }
        Ok(commit)
    }

    /// A commit and the first parents before it, the newest first. Where a shallow clone was cut
    /// the last item is [`RepoError::Shallow`].
    pub fn first_parents(&self, from: CommitId) -> FirstParents<'_> {
        FirstParents {
            repo: self,
            next: Some(Ok(from)),
        }
    }

    /// What a walk needs of a commit. Where a shallow clone was cut the parent is not known: an
    /// error.
    pub fn read_link(&self, id: CommitId) -> Result<Link, RepoError> {
        let found = self.find_commit(id)?;
        let parent = match found.parents.first() {
            Some(parent) => Some(*parent),
            None => self.ends_at(id)?,
        };
        Ok(Link {
            tree: found.tree,
            parent,
        })
    }

    /// The commit whose hash begins so; `None` where there is none, or another object's hash begins
    /// so too.
    pub fn commit_by_prefix(&self, start: &str) -> Option<CommitId> {
        let commit = self.git.find_commit_by_prefix(start).ok()?;
        Some(commit.id().into())
    }

    /// Whether `old` is a commit before `new`, or `new` itself.
    pub fn is_ancestor(&self, old: CommitId, new: CommitId) -> Result<bool, RepoError> {
        if old == new {
            return Ok(true);
        }
        if self.shallow_commits().is_empty() {
            let found = self.git.graph_descendant_of(new.oid(), old.oid());
            return found.or_else(|_| self.ask_is_ancestor(old, new));
        }
        self.is_ancestor_in_shallow(old, new)
    }

    /// How many commits `a` has that `b` lacks, and the other way round; `None` in a shallow clone,
    /// which cannot tell.
    pub fn ahead_behind(
        &self,
        a: CommitId,
        b: CommitId,
    ) -> Result<Option<(usize, usize)>, RepoError> {
        if !self.shallow_commits().is_empty() {
            return Ok(None);
        }
        match self.git.graph_ahead_behind(a.oid(), b.oid()) {
            Ok(counts) => Ok(Some(counts)),
            Err(_) => self.ask_ahead_behind(a, b).map(Some),
        }
    }

    /// Whether a commit is on the first-parent chain that ends at `tip`.
    pub fn on_first_parents(&self, commit: CommitId, tip: CommitId) -> Result<bool, RepoError> {
        let mut here = Some(tip);
        while let Some(id) = here {
            if id == commit {
                return Ok(true);
            }
            here = self.read_link(id)?.parent;
        }
        Ok(false)
    }

    /// The newest commit that is before both, or one of the two.
    pub fn merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>, RepoError> {
        match self.git.merge_base(a.oid(), b.oid()) {
            Ok(base) => Ok(Some(base.into())),
            Err(error) if error.code() == git2::ErrorCode::NotFound => {
                match self.shallow_commits().first() {
                    Some(&at) => Err(RepoError::Shallow { at }),
                    None => Ok(None),
                }
            }
            Err(_) => self.ask_merge_base(a, b),
        }
    }

    /// As git tells it: libgit2 gives up where a commit on the way has a malformed author.
    fn ask_is_ancestor(&self, old: CommitId, new: CommitId) -> Result<bool, RepoError> {
        Ok(self.ask_merge_base(old, new)? == Some(old))
    }

    fn ask_merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>, RepoError> {
        let (a, b) = (a.to_string(), b.to_string());
        let ending = self.git_command(["merge-base", &a, &b]).finish_call()?;
        let text = String::from_utf8_lossy(&ending.stdout);
        match text.trim() {
            "" if ending.stderr.is_empty() => Ok(None),
            found if ending.success => {
                let message = || format!("its answer `{found}` is no object id");
                found
                    .parse()
                    .map(Some)
                    .map_err(|_| describe_failure("merge-base", &message()))
            }
            _ => Err(describe_failure("merge-base", &ending.stderr)),
        }
    }

    fn ask_ahead_behind(&self, a: CommitId, b: CommitId) -> Result<(usize, usize), RepoError> {
        let range = format!("{a}...{b}");
        let text = self
            .git_command(["rev-list", "--left-right", "--count", &range])
            .run()?
            .text();
        let mut counts = text.split_ascii_whitespace().map(str::parse);
        match (counts.next(), counts.next()) {
            (Some(Ok(ahead)), Some(Ok(behind))) => Ok((ahead, behind)),
            _ => Err(describe_failure(
                "rev-list",
                &format!("its answer `{text}` is no pair of numbers"),
            )),
        }
    }

    /// A commit without parents is the first one, unless the clone was cut there.
    fn ends_at(&self, id: CommitId) -> Result<Option<CommitId>, RepoError> {
        if self.shallow_commits().contains(&id) && self.has_parents_elsewhere(id)? {
            return Err(RepoError::Shallow { at: id });
        }
        Ok(None)
    }

    /// Whether a commit that is shown without parents has some by its own words: a clone can be cut
    /// right behind the first commit, and then it is whole.
    fn has_parents_elsewhere(&self, id: CommitId) -> Result<bool, RepoError> {
        let odb = self.object_database()?;
        let object = odb
            .read(id.oid())
            .map_err(RepoError::object_error(id.oid()))?;
        let header = object
            .data()
            .split(|byte| *byte == b'\n')
            .take_while(|line| !line.is_empty());
        Ok(header.into_iter().any(|line| line.starts_with(b"parent ")))
    }

    /// "No" is only an answer where no boundary was met on the way.
    fn is_ancestor_in_shallow(&self, old: CommitId, new: CommitId) -> Result<bool, RepoError> {
        let mut boundary = None;
        let mut seen = HashSet::from([new]);
        let mut pending = vec![new];
        while let Some(id) = pending.pop() {
            if id == old {
                return Ok(true);
            }
            if self.shallow_commits().contains(&id) {
                boundary = Some(id);
            }
            pending.extend(
                self.find_commit(id)?
                    .parents
                    .into_iter()
                    .filter(|parent| seen.insert(*parent)),
            );
        }
        boundary.map_or(Ok(false), |at| Err(RepoError::Shallow { at }))
    }
}

/// See [`Repo::first_parents`].
#[derive(Debug)]
pub struct FirstParents<'r> {
    repo: &'r Repo,
    next: Option<Result<CommitId, RepoError>>,
}

impl Iterator for FirstParents<'_> {
    type Item = Result<Commit, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let commit = self.next.take()?.and_then(|id| self.repo.find_commit(id));
        if let Ok(commit) = &commit {
            self.next = match commit.parents.first() {
                Some(parent) => Some(Ok(*parent)),
                None => self.repo.ends_at(commit.id).transpose(),
            };
        }
        Some(commit)
    }
}
