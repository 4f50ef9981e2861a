//! Policies that a request names: by name, or one version as `NAME@N`.

use std::sync::Arc;

use anyhow::Result;
use refguard_core::policy::check_alone;
use refguard_core::resolve::{Pinned, Requested};

use crate::ops::history::address::{Address, Which};
use crate::ops::history::versions::Version;
use crate::ops::source::load::NoProgress;
use crate::ops::{PolicyDocument, VersionHistory};
use crate::repo::Repo;

impl VersionHistory<'_> {
    /// What a request means by a name: `NAME`, `NAME@N`, `NAME@latest`, `NAME@production`.
    ///
    /// A version that does not exist, that has no document, or whose document breaks a rule by
    /// itself is missing: it must not be answered as if it gave nothing.
    ///
    /// # Errors
    /// Where history cannot be read.
    pub fn requested(&mut self, name: &str) -> Result<Requested> {
        let Address { policy, which } = Address::parse(name);
        let Some(which) = which else {
            return Ok(Requested::Named(name.to_owned()));
        };
        let missing = || Requested::Missing(name.to_owned());
        let known_word = match which {
            Which::Number(_) | Which::Latest => true,
            Which::At(word) => self
                .workspace()
                .environment_refs()?
                .iter()
                .any(|(name, _)| name == word),
        };
        if !known_word || self.index(&NoProgress)?.versions(policy).is_empty() {
            return Ok(missing());
        }
        let version = self.find_version(policy, which, &NoProgress)?;
        let repo = self.workspace().repo()?;
        let pinned = version
            .map(|version| pin_version(repo, policy, &version))
            .transpose()?
            .flatten();
        Ok(pinned.map_or_else(missing, |pinned| Requested::Pinned(Arc::new(pinned))))
    }
}

/// One version beside the set; `None` where it has no document, or one that breaks a rule by
/// itself.
///
/// # Errors
/// Where git cannot read it.
pub fn pin_version(repo: &Repo, policy: &str, version: &Version) -> Result<Option<Pinned>> {
    let Some(document) = &version.document else {
        return Ok(None);
    };
    let found = PolicyDocument::of_version(repo, policy, document)?;
    let pinned = check_alone(&found.document, &found.raw).map(|set| Pinned {
        label: format!("{policy}@{}", version.number),
        version: Some(version.number),
        digest: document.digest.as_str().into(),
        set: Arc::new(set),
        parent: found
            .raw
            .inherit
            .as_ref()
            .map(|parent| parent.value.clone()),
    });
    Ok(pinned)
}
