//! A workspace's versions: which commit they are read from, and which one a person means.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use refguard_core::document::{Body, Document, RawPolicy, load_file, suggest_name};
use refguard_core::policy::raw_policy_digest;

use crate::ops::Workspace;
use crate::ops::change::environment::read_followed;
use crate::ops::history::address::{Address, Which};
use crate::ops::history::versions::{Effort, PublishedTip, Version, VersionDocument, VersionIndex};
use crate::ops::source::load::{LIMITS, NoProgress, Progress};
use crate::repo::{CommitId, Remote, Repo};

/// How far an answer that is about something else goes for a number.
const CHEAP_COMMITS: usize = 256;

/// A set of which the whole history is read for such an answer.
const CHEAP_POLICIES: usize = 1_000;

impl Workspace {
    /// What the publish branch holds: the branch here, or where a clone has none, the remote's copy
    /// of it.
    ///
    /// # Errors
    /// Where nothing says which branch it is, or there is neither.
    pub fn published(&self) -> Result<CommitId> {
        let repo = self.repo()?;
        let Some(branch) = repo.publish_branch()? else {
            bail!(
                "there is no publish branch yet: make a commit, or name one with `git config \
                 refguard.publishBranch NAME`"
            )
        };
        if let Some(tip) = read_followed(repo, &branch)? {
            return Ok(tip);
        }
        if let Remote::Named(remote) = repo.chosen_remote()?
            && let Some(tip) = read_followed(repo, &branch.tracking_copy(&remote)?)?
        {
            return Ok(tip);
        }
        bail!(
            "the publish branch `{}` does not exist yet: commit to it, or name another with `git \
             config refguard.publishBranch NAME`",
            branch.short()
        )
    }

    /// The publish branch's name, for people.
    pub(in crate::ops) fn publish_branch_name(&self) -> Result<String> {
        let branch = self.repo()?.publish_branch()?;
        Ok(branch.map_or_else(|| "main".to_owned(), |branch| branch.short().to_owned()))
    }
}

/// The versions of a workspace's policies: git's history is read when they are first asked for,
/// once.
#[derive(Debug)]
pub struct VersionHistory<'w> {
    workspace: &'w Workspace,
    index: Option<Arc<VersionIndex>>,
    /// Whether history was looked at before and was too long to be worth reading for a number.
    skipped_costly: bool,
}

impl<'w> VersionHistory<'w> {
    /// Of a workspace; nothing is read yet.
    pub fn new(workspace: &'w Workspace) -> Self {
        Self {
            workspace,
            index: None,
            skipped_costly: false,
        }
    }

    /// Of a workspace whose history was read before.
    pub fn with_index(workspace: &'w Workspace, index: Arc<VersionIndex>) -> Self {
        Self {
            index: Some(index),
            ..Self::new(workspace)
        }
    }

    /// The workspace.
    pub fn workspace(&self) -> &'w Workspace {
        self.workspace
    }

    /// Every version of every policy.
    ///
    /// # Errors
    /// Where history cannot be read to its beginning.
    pub fn index(&mut self, progress: &dyn Progress) -> Result<Arc<VersionIndex>> {
        if self.index.is_none() {
            self.read(Effort::Whole, progress)?;
        }
        self.index
            .clone()
            .context("the history of the publish branch was not read")
    }

    /// The same where it costs next to nothing, since what is asked for is something else.
    /// `policies` is the size of the set.
    pub fn index_if_cheap(&mut self, policies: usize) -> Option<&VersionIndex> {
        if self.index.is_none() && !std::mem::replace(&mut self.skipped_costly, true) {
            let small = policies <= CHEAP_POLICIES;
            let effort = if small {
                Effort::AtMost(CHEAP_COMMITS)
            } else {
                Effort::Continue(CHEAP_COMMITS)
            };
            self.read(effort, &NoProgress).ok()?;
        }
        self.index.as_deref()
    }

    fn read(&mut self, effort: Effort, progress: &dyn Progress) -> Result<()> {
        let workspace = self.workspace;
        let published = PublishedTip {
            prefix: workspace.root().prefix(),
            tip: workspace.published()?,
        };
        let read = VersionIndex::read(
            workspace.repo()?,
            published,
            workspace.keep(),
            effort,
            progress,
        )?;
        self.index = read.map(Arc::new);
        Ok(())
    }

    /// The versions of a policy, the oldest first.
    ///
    /// # Errors
    /// Where there is none, or history cannot be read.
    pub fn versions_of(&mut self, policy: &str, progress: &dyn Progress) -> Result<Vec<Version>> {
        let index = self.index(progress)?;
        let versions = index.versions(policy);
        if versions.is_empty() {
            let near = suggest_name(policy, index.names());
            bail!("the publish branch has never had a policy `{policy}`{near}");
        }
        Ok(versions)
    }

    /// One version of a policy; `Ok(None)` where the policy exists but not that version of it.
    ///
    /// # Errors
    /// Where the policy or the revision is unknown, or history cannot be read.
    pub fn find_version(
        &mut self,
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
        Ok(index
            .filter(|index| *index < versions.len())
            .map(|index| versions.swap_remove(index)))
    }

    /// As [`Self::find_version`], where there must be one.
    ///
    /// # Errors
    /// As there, and where there is none.
    pub fn require_version(
        &mut self,
        address: Address<'_>,
        progress: &dyn Progress,
    ) -> Result<Version> {
        let policy = address.policy;
        let which = address.which.unwrap_or(Which::Latest);
        let found = self.find_version(policy, which, progress)?;
        found.with_context(|| match which {
            Which::Number(number) => {
                let newest = self.newest_of(policy);
                format!("there is no version {number} of `{policy}`; the newest is {newest}")
            }
            Which::Latest => format!("there is no version of `{policy}`"),
            Which::At(text) => {
                format!("what `{text}` holds as `{policy}`, if anything, is none of its versions")
            }
        })
    }

    /// How many versions a policy has, as far as history was read.
    fn newest_of(&self, policy: &str) -> usize {
        self.index
            .as_ref()
            .map_or(0, |index| index.versions(policy).len())
    }

    /// Of an environment: the newest version with the content that it holds. Of a commit of the
    /// publish branch: the version that was current there. Of any other: as of an environment.
    fn number_at(
        &mut self,
        policy: &str,
        text: &str,
        versions: &[Version],
        progress: &dyn Progress,
    ) -> Result<Option<u64>> {
        let (repo, index) = (self.workspace.repo()?, self.index(progress)?);
        let is_environment = self
            .workspace
            .environment_refs()?
            .iter()
            .any(|(name, _)| name == text);
        let (commit, _) = self.workspace.revision(text)?;
        if !is_environment && repo.on_first_parents(commit, index.tip())? {
            return self.number_on_chain(commit, versions);
        }
        let digest = index.elsewhere(repo, commit)?.digest(policy);
        Ok(digest.and_then(|digest| index.number(policy, &digest)))
    }

    fn number_on_chain(&self, commit: CommitId, versions: &[Version]) -> Result<Option<u64>> {
        let repo = self.workspace.repo()?;
        let mut here = Some(commit);
        while let Some(id) = here {
            if let Some(made) = versions.iter().find(|version| version.commit == id) {
                return Ok(Some(made.number));
            }
            here = repo.read_link(id)?.parent;
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
        PolicyDocument::of_version(self.workspace.repo()?, policy, version)
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
        let loaded = load_file(
            version.path.as_str(),
            repo.read_blob(version.blob)?,
            &LIMITS,
        );
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
        documents
            .into_iter()
            .filter_map(move |document| match &document.body {
                Body::Policy(raw) if raw.name.as_str() == policy => Some(Self {
                    raw: raw.clone(),
                    document,
                }),
                _ => None,
            })
    }
}
