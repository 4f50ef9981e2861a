//! From what a person writes to a commit: refs by their full names, then git's own syntax.

use git2::{ErrorCode, ObjectType, ReferenceType};

use super::git::QUICK;
use super::{CommitId, RefName, Repo, RepoError};

/// The name that a revision begins with, before git's operators.
pub fn first_name(revision: &str) -> &str {
    revision
        .split(['^', '~', '@', ':'])
        .next()
        .unwrap_or_default()
}

impl Repo {
    /// What a ref holds. It must be a ref of its own that holds a commit; a ref that cannot be read
    /// is an error, never "absent".
    pub fn read_ref(&self, name: &RefName) -> Result<Option<CommitId>, RepoError> {
        if let Some(taken) = self.refs.get(name) {
            return Ok(*taken);
        }
        let found = match self.git.find_reference(name.as_str()) {
            Ok(found) => found,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => {
                return Err(RepoError::objects_error(format!("read the ref `{name}`"))(
                    error,
                ));
            }
        };
        if found.kind() == Some(ReferenceType::Symbolic) {
            let target = String::from_utf8_lossy(found.symbolic_target_bytes().unwrap_or_default())
                .into_owned();
            return Err(RepoError::SymbolicRef {
                name: name.clone(),
                target,
            });
        }
        let Some(target) = found.target() else {
            return Ok(None);
        };
        match self.kind_of(target)? {
            ObjectType::Commit => Ok(Some(target.into())),
            kind => Err(RepoError::NotACommit {
                name: name.to_string(),
                kind: kind.to_string(),
            }),
        }
    }

    /// The commit that is checked out; none before the first one.
    pub fn head_commit(&self) -> Result<Option<CommitId>, RepoError> {
        match self.git.head() {
            Ok(head) => Ok(head.target().map(CommitId::from)),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                Ok(None)
            }
            Err(error) => Err(RepoError::objects_error("read `HEAD`")(error)),
        }
    }

    /// As [`Self::read_ref`], for a ref that must exist.
    pub fn require_ref(&self, name: &RefName) -> Result<CommitId, RepoError> {
        self.read_ref(name)?
            .ok_or_else(|| RepoError::NoSuchRef { name: name.clone() })
    }

    /// The commit that a revision names. `known` are the environments by their names (and whatever
    /// else must not be confused with a tag): such a name, or the full name of its ref, is looked
    /// up as that ref and as nothing else, also at the head of git's own syntax. The rest is git's.
    pub fn resolve_revision(
        &self,
        revision: &str,
        known: &[(&str, &RefName)],
    ) -> Result<CommitId, RepoError> {
        let base = first_name(revision);
        let rest = revision.strip_prefix(base).unwrap_or_default();
        let named = known
            .iter()
            .find(|(name, full)| *name == base || full.as_str() == base);
        let Some((_, full)) = named else {
            // Git takes the tag of a name; a person means the branch.
            let branch = self.branch_before_tag(base)?;
            let meant = branch.map(|branch| format!("{branch}{rest}"));
            return self.find_commit_of(revision, meant.as_deref().unwrap_or(revision));
        };
        let tip = self.require_ref(full)?;
        if rest.is_empty() {
            Ok(tip)
        } else {
            self.find_commit_of(revision, &format!("{full}{rest}"))
        }
    }

    /// The branch that the first name of a revision means, where there is a tag of that name too.
    pub fn branch_beside_tag(&self, revision: &str) -> Result<Option<RefName>, RepoError> {
        self.branch_before_tag(first_name(revision))
    }

    fn branch_before_tag(&self, name: &str) -> Result<Option<RefName>, RepoError> {
        let is_whole_id = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if name == "HEAD" || is_whole_id {
            return Ok(None);
        }
        // What is no name of a branch is none of a tag either.
        let Ok(branch) = RefName::of_branch(name) else {
            return Ok(None);
        };
        let is_there = |full: &str| match self.git.find_reference(full) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(RepoError::objects_error(format!("read the ref `{full}`"))(
                error,
            )),
        };
        let both = is_there(branch.as_str())? && is_there(&format!("refs/tags/{name}"))?;
        Ok(both.then_some(branch))
    }

    /// Git's own reading of a revision, which is said in messages as the person wrote it.
    fn find_commit_of(&self, written: &str, revision: &str) -> Result<CommitId, RepoError> {
        if let Some(taken) = self.taken_for(revision) {
            return taken.ok_or_else(|| RepoError::NoSuchRevision {
                revision: written.to_owned(),
                near: None,
            });
        }
        match self.git.revparse_single(revision) {
            Ok(object) => self.peel_object(written, &object),
            // Git understands more than libgit2 does; it has the last word.
            Err(_) => self.parse_by_git(written, revision),
        }
    }

    /// What a full name, or `HEAD`, is taken to hold, if it is taken to hold something else than it
    /// does.
    fn taken_for(&self, revision: &str) -> Option<Option<CommitId>> {
        let head = || {
            self.git
                .find_reference("HEAD")
                .ok()?
                .symbolic_target()
                .ok()
                .flatten()
                .map(str::to_owned)
        };
        let name = if revision == "HEAD" && !self.refs.is_empty() {
            head()?
        } else {
            revision.to_owned()
        };
        self.refs.get(&RefName::new(name).ok()?).copied()
    }

    /// The refs whose names begin so, symbolic ones left out, sorted.
    pub fn refs_below(&self, prefix: &str) -> Result<Vec<(RefName, CommitId)>, RepoError> {
        let what = || RepoError::objects_error(format!("list the refs below `{prefix}`"));
        let mut found = Vec::new();
        for reference in self
            .git
            .references_glob(&format!("{prefix}*"))
            .map_err(what())?
        {
            let reference = reference.map_err(what())?;
            if let (Some(target), Ok(name)) = (
                reference.target(),
                std::str::from_utf8(reference.name_bytes()),
            ) {
                found.push((RefName::new(name)?, target.into()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn peel_object(
        &self,
        revision: &str,
        object: &git2::Object<'_>,
    ) -> Result<CommitId, RepoError> {
        match object.peel(ObjectType::Commit) {
            Ok(commit) => Ok(commit.id().into()),
            Err(_) => {
                let kind = object.kind().map_or("thing", |kind| kind.str()).to_owned();
                Err(RepoError::NotACommit {
                    name: revision.to_owned(),
                    kind,
                })
            }
        }
    }

    fn parse_by_git(&self, written: &str, revision: &str) -> Result<CommitId, RepoError> {
        let none = || RepoError::NoSuchRevision {
            revision: written.to_owned(),
            near: None,
        };
        if revision.is_empty() || revision.contains('\0') {
            return Err(none());
        }
        let named = format!("{revision}^{{commit}}");
        let answer = self
            .git_command([
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &named,
            ])
            .with_limit(QUICK)
            .run();
        match answer {
            Ok(answer) => answer.text().parse().map_err(|_| none()),
            Err(RepoError::Git { .. } | RepoError::NoGit) => Err(none()),
            Err(error) => Err(error),
        }
    }

    fn kind_of(&self, id: git2::Oid) -> Result<ObjectType, RepoError> {
        self.object_database()?
            .read_header(id)
            .map(|(_, kind)| kind)
            .map_err(RepoError::object_error(id))
    }
}
