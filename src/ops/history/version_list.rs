//! `versions` and `show NAME@N`: what history knows of a policy, for people and programs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::Result;
use refguard_core::policy::{raw_policy_digest, raw_policy_json};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ops::VersionHistory;
use crate::ops::history::address::Address;
use crate::ops::history::versions::Version;
use crate::ops::history::workspace_versions::PolicyDocument;
use crate::ops::source::load::Progress;
use crate::repo::CommitId;

/// The most versions of a page that has their documents.
const PAGE_ROWS: usize = 100;
/// A page ends after the document with which the files that were read for it have so many bytes:
/// each is parsed whole.
const PAGE_BYTES: usize = 4 << 20;

/// The versions of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionList {
    /// Version of this format.
    pub version: u32,
    /// The policy's name.
    pub policy: String,
    /// Its versions, the newest first.
    pub versions: Vec<VersionRow>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionRow {
    /// From 1.
    pub number: u64,
    /// The commit that made it.
    pub commit: String,
    /// When that was committed, RFC 3339.
    pub time: String,
    /// Who wrote it.
    pub author: String,
    /// The first line of the commit's message.
    pub summary: String,
    /// `published`, and each environment that holds this content.
    pub states: Vec<String>,
    /// Whether it is the newest.
    pub latest: bool,
    /// Digest of the document; `None`: the policy was removed.
    pub digest: Option<String>,
}

/// Versions of a policy with their documents: not more than one question may cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionPage {
    /// Version of this format.
    pub version: u32,
    /// The policy's name.
    pub policy: String,
    /// Versions, the newest first.
    pub versions: Vec<DocumentRow>,
    /// What older ones are asked for with; `None`: there are none.
    pub next: Option<String>,
}

/// One version with its document, in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentRow {
    /// Which version.
    #[serde(flatten)]
    pub row: VersionRow,
    /// The document's fields; `None`: the policy was removed.
    pub policy: Option<Value>,
}

/// Who made a version, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Publication {
    /// The commit that made it.
    pub commit: String,
    /// When that was committed, RFC 3339.
    pub time: String,
    /// Who wrote it.
    pub author: String,
}

/// One version with its document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownVersion {
    /// Version of this format.
    pub version: u32,
    /// The policy's name.
    pub name: String,
    /// Which version.
    #[serde(flatten)]
    pub row: VersionRow,
    /// The document's fields; `None`: the policy was removed.
    pub policy: Option<Value>,
}

impl VersionHistory<'_> {
    /// The versions of a policy, the newest first, with who made them and where they are in force.
    ///
    /// # Errors
    /// Where there is none, or history cannot be read.
    pub fn version_list(&mut self, policy: &str, progress: &dyn Progress) -> Result<VersionList> {
        let versions = self.versions_of(policy, progress)?;
        let in_force = self.in_force(policy, progress)?;
        let rows = versions
            .iter()
            .rev()
            .map(|version| self.make_row(version, &in_force))
            .collect::<Result<_>>()?;
        Ok(VersionList {
            version: 1,
            policy: policy.to_owned(),
            versions: rows,
        })
    }

    /// A page of the versions of a policy, the newest first, with their documents: those before the
    /// number `before`.
    ///
    /// # Errors
    /// Where there is no such policy, or history cannot be read.
    pub fn version_page(
        &mut self,
        policy: &str,
        before: Option<u64>,
        progress: &dyn Progress,
    ) -> Result<VersionPage> {
        let versions = self.versions_of(policy, progress)?;
        let in_force = self.in_force(policy, progress)?;
        let mut rest = versions
            .iter()
            .rev()
            .filter(|version| before.is_none_or(|before| version.number < before))
            .peekable();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(version) = rest.next_if(|_| rows.len() < PAGE_ROWS && bytes < PAGE_BYTES) {
            let found = self.find_document(policy, version)?;
            bytes += found
                .as_ref()
                .map_or(0, |found| found.document.file.text().len());
            let row = self.make_row(version, &in_force)?;
            rows.push(DocumentRow {
                row,
                policy: found.as_ref().map(document_fields),
            });
        }

        let last = rows.last().map(|last| last.row.number.to_string());
        let next = rest.peek().and(last);
        Ok(VersionPage {
            version: 1,
            policy: policy.to_owned(),
            versions: rows,
            next,
        })
    }

    /// Who made each of these versions of policies, and when; `None` of one that history does not
    /// know.
    ///
    /// # Errors
    /// Where history cannot be read.
    pub fn publications(
        &mut self,
        versions: &[(String, u64)],
        progress: &dyn Progress,
    ) -> Result<Vec<Option<Publication>>> {
        let (repo, index) = (self.workspace().repo()?, self.index(progress)?);
        // One commit often makes many of them.
        let mut known: HashMap<CommitId, Publication> = HashMap::new();
        let mut found = Vec::with_capacity(versions.len());
        for (policy, number) in versions {
            let version = index
                .versions(policy)
                .into_iter()
                .find(|found| found.number == *number);
            let Some(version) = version else {
                found.push(None);
                continue;
            };
            if let Entry::Vacant(entry) = known.entry(version.commit) {
                let commit = repo.find_commit(version.commit)?;
                entry.insert(Publication {
                    commit: version.commit.to_string(),
                    time: commit.committer.time.to_string(),
                    author: commit.author.to_string(),
                });
            }
            found.push(known.get(&version.commit).cloned());
        }
        Ok(found)
    }

    /// One version of a policy.
    ///
    /// # Errors
    /// Where there is none, or history cannot be read.
    pub fn show_version(
        &mut self,
        address: Address<'_>,
        progress: &dyn Progress,
    ) -> Result<ShownVersion> {
        let version = self.require_version(address, progress)?;
        let in_force = self.in_force(address.policy, progress)?;
        let row = self.make_row(&version, &in_force)?;
        let policy = self
            .find_document(address.policy, &version)?
            .as_ref()
            .map(document_fields);
        Ok(ShownVersion {
            version: 1,
            name: address.policy.to_owned(),
            row,
            policy,
        })
    }

    /// The document of a version; `None`: the policy was removed.
    fn find_document(&self, policy: &str, version: &Version) -> Result<Option<PolicyDocument>> {
        let document = version.document.as_ref();
        document
            .map(|document| self.version_document(policy, document))
            .transpose()
    }

    /// The environments that hold a policy, and the number of the version that each holds.
    fn in_force(&mut self, policy: &str, progress: &dyn Progress) -> Result<Vec<(String, u64)>> {
        let (repo, index) = (self.workspace().repo()?, self.index(progress)?);
        let mut found = Vec::new();
        for (environment, ref_name) in self.workspace().environment_refs()? {
            let Some(tip) = repo.read_ref(&ref_name)? else {
                continue;
            };
            let digest = index.elsewhere(repo, tip)?.digest(policy);
            let number = digest.and_then(|digest| index.number(policy, &digest));
            found.extend(number.map(|number| (environment, number)));
        }
        Ok(found)
    }

    fn make_row(&self, version: &Version, in_force: &[(String, u64)]) -> Result<VersionRow> {
        let commit = self.workspace().repo()?.find_commit(version.commit)?;
        let held_by = in_force
            .iter()
            .filter(|(_, number)| *number == version.number)
            .map(|(name, _)| name.clone());
        Ok(VersionRow {
            number: version.number,
            commit: version.commit.to_string(),
            time: commit.committer.time.to_string(),
            author: commit.author.to_string(),
            summary: commit.summary().to_owned(),
            states: std::iter::once("published".to_owned())
                .chain(held_by)
                .collect(),
            latest: version.latest,
            digest: version
                .document
                .as_ref()
                .map(|document| document.digest.clone()),
        })
    }
}

/// The fields of a policy's document, with where it stands and its digest.
fn document_fields(found: &PolicyDocument) -> Value {
    let place = found.document.file.locate_span(found.document.span);
    let mut fields = raw_policy_json(&found.raw);
    if let Value::Object(fields) = &mut fields {
        fields.insert("file".to_owned(), json!(place.file));
        fields.insert("line".to_owned(), json!(place.line));
        fields.insert("digest".to_owned(), json!(*raw_policy_digest(&found.raw)));
    }
    fields
}
