//! Commits as data, and the ways through history.

use std::collections::HashSet;

use super::{CommitId, Repo, RepoError, TreeId};

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
        write!(f, "{} <{}>", self.name, self.email)
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
        format!("@{} {sign}{:02}{:02}", self.seconds, minutes / 60, minutes % 60)
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
    /// Reads a commit.
    pub fn commit(&self, id: CommitId) -> Result<Commit, RepoError> {
        let found = self.git.find_commit(id.oid()).map_err(RepoError::object(id.oid()))?;
        Ok(Commit {
            id,
            tree: found.tree_id().into(),
            parents: found.parent_ids().map(CommitId::from).collect(),
            author: person(&found.author()),
            committer: person(&found.committer()),
            message: String::from_utf8_lossy(found.message_bytes()).into_owned(),
        })
    }

    /// A commit and the first parents before it, the newest first. Where a shallow clone was cut the
    /// last item is [`RepoError::Shallow`].
    pub fn first_parents(&self, from: CommitId) -> FirstParents<'_> {
        FirstParents { repo: self, next: Some(Ok(from)) }
    }

    /// What a walk needs of a commit. Where a shallow clone was cut the parent is not known: an error.
    pub fn link(&self, id: CommitId) -> Result<Link, RepoError> {
        let found = self.git.find_commit(id.oid()).map_err(RepoError::object(id.oid()))?;
        let parent = match found.parent_ids().next() {
            Some(parent) => Some(parent.into()),
            None => self.ends_at(id)?,
        };
        Ok(Link { tree: found.tree_id().into(), parent })
    }

    /// Whether `old` is a commit before `new`, or `new` itself.
    pub fn is_ancestor(&self, old: CommitId, new: CommitId) -> Result<bool, RepoError> {
        if old == new {
            return Ok(true);
        }
        if self.shallow().is_empty() {
            let found = self.git.graph_descendant_of(new.oid(), old.oid());
            return found.map_err(RepoError::object(new.oid()));
        }
        self.is_ancestor_in_shallow(old, new)
    }

    /// How many commits `a` has that `b` lacks, and the other way round; `None` in a shallow clone, which
    /// cannot tell.
    pub fn ahead_behind(
        &self,
        a: CommitId,
        b: CommitId,
    ) -> Result<Option<(usize, usize)>, RepoError> {
        if !self.shallow().is_empty() {
            return Ok(None);
        }
        self.git.graph_ahead_behind(a.oid(), b.oid()).map(Some).map_err(RepoError::object(a.oid()))
    }

    /// Whether a commit is on the first-parent chain that ends at `tip`.
    pub fn on_first_parents(&self, commit: CommitId, tip: CommitId) -> Result<bool, RepoError> {
        let mut here = Some(tip);
        while let Some(id) = here {
            if id == commit {
                return Ok(true);
            }
            here = self.link(id)?.parent;
        }
        Ok(false)
    }

    /// The newest commit that is before both, or one of the two.
    pub fn merge_base(&self, a: CommitId, b: CommitId) -> Result<Option<CommitId>, RepoError> {
        match self.git.merge_base(a.oid(), b.oid()) {
            Ok(base) => Ok(Some(base.into())),
            Err(error) if error.code() == git2::ErrorCode::NotFound => match self.shallow().first()
            {
                Some(&at) => Err(RepoError::Shallow { at }),
                None => Ok(None),
            },
            Err(error) => Err(RepoError::object(a.oid())(error)),
        }
    }

    /// A commit without parents is the first one, unless the clone was cut there.
    fn ends_at(&self, id: CommitId) -> Result<Option<CommitId>, RepoError> {
        if self.shallow().contains(&id) && self.has_parents_elsewhere(id)? {
            return Err(RepoError::Shallow { at: id });
        }
        Ok(None)
    }

    /// Whether a commit that is shown without parents has some by its own words: a clone can be cut right
    /// behind the first commit, and then it is whole.
    fn has_parents_elsewhere(&self, id: CommitId) -> Result<bool, RepoError> {
        let odb = self.odb()?;
        let object = odb.read(id.oid()).map_err(RepoError::object(id.oid()))?;
        let header = object.data().split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
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
            if self.shallow().contains(&id) {
                boundary = Some(id);
            }
            pending
                .extend(self.commit(id)?.parents.into_iter().filter(|parent| seen.insert(*parent)));
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
        let commit = self.next.take()?.and_then(|id| self.repo.commit(id));
        if let Ok(commit) = &commit {
            self.next = match commit.parents.first() {
                Some(parent) => Some(Ok(*parent)),
                None => self.repo.ends_at(commit.id).transpose(),
            };
        }
        Some(commit)
    }
}

fn person(signature: &git2::Signature<'_>) -> Person {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let when = signature.when();
    Person {
        name: text(signature.name_bytes()),
        email: text(signature.email_bytes()),
        time: Time { seconds: when.seconds(), offset_minutes: when.offset_minutes() },
    }
}
