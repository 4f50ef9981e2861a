//! A workspace's versions: which commit they are read from, and which one a person means.

use std::cell::OnceCell;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use refguard_core::document::{Body, Document, RawPolicy, did_you_mean, load_file};
use refguard_core::policy::raw_policy_digest;

use crate::ops::Workspace;
use crate::ops::history::address::{Address, Which};
use crate::ops::history::versions::{Effort, PublishedTip, Version, VersionDocument, VersionIndex};
use crate::ops::source::load::{LIMITS, NoProgress, Progress};
use crate::repo::{CommitId, RefName, Repo, RepoError};

/// How far an answer that is about something else goes for a number.
const CHEAP_COMMITS: usize = 256;

/// A set of which the whole history is read for such an answer.
const CHEAP_POLICIES: usize = 1_000;

impl Workspace {
    /// What the publish branch holds: the branch here, or where a clone has none, `origin`'s copy of it.
    ///
    /// # Errors
    /// Where there is neither.
    pub fn published(&self) -> Result<CommitId> {
        let repo = self.repo()?;
        let branch = RefName::branch(&self.settings()?.publish_branch)?;
        for name in [&branch, &branch.tracking("origin")?] {
            match repo.read_ref(name) {
                Ok(Some(tip)) => return Ok(tip),
                Ok(None) => {}
                // Another name for a branch is fine here: it is only read.
                Err(RepoError::SymbolicRef { .. }) => return Ok(repo.resolve(name.as_str(), &[])?),
                Err(error) => return Err(error.into()),
            }
        }
        bail!(
            "there is no publish branch `{}`: commit to it, or name another as `publish_branch`",
            branch.short()
        )
    }

    /// Every version of every policy.
    ///
    /// # Errors
    /// Where history cannot be read to its beginning.
    pub fn history(&self, progress: &dyn Progress) -> Result<&VersionIndex> {
        if self.versions.get().is_none() {
            self.read_history(Effort::Whole, progress)?;
        }
        self.versions
            .get()
            .map(|index| &**index)
            .context("the history of the publish branch was not read")
    }

    /// The same where it costs next to nothing, since what is asked for is something else. `policies` is
    /// the size of the set.
    pub fn history_if_cheap(&self, policies: usize) -> Option<&VersionIndex> {
        if self.versions.get().is_none() && !self.versions_too_dear.replace(true) {
            let small = policies <= CHEAP_POLICIES;
            let effort =
                if small { Effort::AtMost(CHEAP_COMMITS) } else { Effort::Continue(CHEAP_COMMITS) };
            self.read_history(effort, &NoProgress).ok()?;
        }
        self.versions.get().map(|index| &**index)
    }

    /// With a history that was read already, by somebody who stays.
    #[must_use]
    pub fn with_history(mut self, index: Arc<VersionIndex>) -> Self {
        self.versions = OnceCell::from(index);
        self
    }

    fn read_history(&self, effort: Effort, progress: &dyn Progress) -> Result<()> {
        let published = PublishedTip { prefix: self.root().prefix(), tip: self.published()? };
        if let Some(index) =
            VersionIndex::read(self.repo()?, published, self.keep, effort, progress)?
        {
            // Nobody else can have set it since: the cell is not shared between threads.
            let _ = self.versions.set(Arc::new(index));
        }
        Ok(())
    }

    /// The versions of a policy, the oldest first.
    ///
    /// # Errors
    /// Where there is none, or history cannot be read.
    pub fn versions_of(&self, policy: &str, progress: &dyn Progress) -> Result<Vec<Version>> {
        let index = self.history(progress)?;
        let versions = index.versions(policy);
        if versions.is_empty() {
            let near = did_you_mean(policy, index.names());
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            bail!("the publish branch has never had a policy `{policy}`{near}");
        }
        Ok(versions)
    }

    /// One version of a policy; `Ok(None)` where the policy exists but not that version of it.
    ///
    /// # Errors
    /// Where the policy or the revision is unknown, or history cannot be read.
    pub fn find_version(
        &self,
        policy: &str,
        which: Which<'_>,
        progress: &dyn Progress,
    ) -> Result<Option<Version>> {
        let mut versions = self.versions_of(policy, progress)?;
        let number = match which {
            Which::Number(number) => Some(number),
            Which::Latest => Some(versions.len() as u64),
            Which::At(text) => self.number_at(policy, text, &versions, progress)?,
        };
        let index = number.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
        Ok(index.filter(|index| *index < versions.len()).map(|index| versions.swap_remove(index)))
    }

    /// As [`Self::find_version`], where there must be one.
    ///
    /// # Errors
    /// As there, and where there is none.
    pub fn require_version(
        &self,
        address: Address<'_>,
        progress: &dyn Progress,
    ) -> Result<Version> {
        let policy = address.policy;
        let which = address.which.unwrap_or(Which::Latest);
        let found = self.find_version(policy, which, progress)?;
        found.with_context(|| match which {
            Which::Number(number) => format!("there is no version {number} of `{policy}`"),
            Which::Latest => format!("there is no version of `{policy}`"),
            Which::At(text) => {
                format!("what `{text}` holds as `{policy}`, if anything, is none of its versions")
            }
        })
    }

    /// Of an environment: the newest version with the content that it holds. Of a commit of the publish
    /// branch: the version that was current there. Of any other: as of an environment.
    fn number_at(
        &self,
        policy: &str,
        text: &str,
        versions: &[Version],
        progress: &dyn Progress,
    ) -> Result<Option<u64>> {
        let (repo, index) = (self.repo()?, self.history(progress)?);
        let is_environment = self.environment_refs()?.iter().any(|(name, _)| name == text);
        let (commit, _) = self.revision(text)?;
        if !is_environment && repo.on_first_parents(commit, index.tip())? {
            return self.number_on_chain(commit, versions);
        }
        let digest = index.elsewhere(repo, commit)?.digest(policy);
        Ok(digest.and_then(|digest| index.number(policy, &digest)))
    }

    fn number_on_chain(&self, commit: CommitId, versions: &[Version]) -> Result<Option<u64>> {
        let repo = self.repo()?;
        let mut here = Some(commit);
        while let Some(id) = here {
            if let Some(made) = versions.iter().find(|version| version.commit == id) {
                return Ok(Some(made.number));
            }
            here = repo.link(id)?.parent;
        }
        Ok(None)
    }

    /// The document of a version.
    ///
    /// # Errors
    /// As of [`PolicyDocument::of_version`].
    pub fn version_document(
        &self,
        policy: &str,
        version: &VersionDocument,
    ) -> Result<PolicyDocument> {
        PolicyDocument::of_version(self.repo()?, policy, version)
    }
}

/// A policy's document, with its file around it.
#[derive(Debug, Clone)]
pub struct PolicyDocument {
    /// Where it stands.
    pub document: Document,
    /// What it says.
    pub raw: Arc<RawPolicy>,
}

impl PolicyDocument {
    /// The document of a version.
    ///
    /// # Errors
    /// Where git cannot read it.
    pub fn of_version(repo: &Repo, policy: &str, version: &VersionDocument) -> Result<Self> {
        let loaded = load_file(version.path.as_str(), repo.read_blob(version.blob)?, &LIMITS);
        let found = Self::among(loaded.documents, policy)
            .find(|found| *raw_policy_digest(&found.raw) == *version.digest);
        found.with_context(|| {
            let kept = repo.common_dir().join("refguard");
            format!(
                "the history that was kept is not that of the repository: remove `{}`",
                kept.display()
            )
        })
    }

    /// Those of a policy among some documents.
    pub(in crate::ops) fn among(
        documents: Vec<Document>,
        policy: &str,
    ) -> impl Iterator<Item = Self> {
        documents.into_iter().filter_map(move |document| match &document.body {
            Body::Policy(raw) if raw.name.as_str() == policy => {
                Some(Self { raw: raw.clone(), document })
            }
            _ => None,
        })
    }
}
