//! The last good set of an environment as a file: what a restart serves until the repository was
//! read, and for as long as the repository has nothing good.
//!
//! `served-ENVIRONMENT.json` holds the texts of the set's files, so that it is rebuilt and judged
//! by the same loader as a commit. It names the repository, the root and the environment that it is
//! of, and is taken only by a daemon that serves these.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use refguard_core::document::{Finding, Release, SourceFile};
use refguard_core::policy::PolicySet;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use super::load::{Outcome, judge_load};
use super::private_file::read_private_file;
use super::state_folder::{Owner, StateFolder};
use crate::ops::{holds_files, read_files};
use crate::repo::{CommitId, Repo};

/// The format that is written. Version 1 named no repository and no root.
const VERSION: u32 = 2;
/// The longest state file that is read: the largest set that is accepted, with room for JSON's
/// escapes.
const MAX_BYTES: u64 = 1 << 30;

/// What is kept of a served set.
pub(super) struct Kept {
    pub environment: Arc<str>,
    pub reference: String,
    pub commit: Arc<str>,
    pub promotion: Option<u64>,
    pub digest: Arc<str>,
    /// The release whose rules the set keeps.
    pub release: Release,
    pub files: Vec<SourceFile>,
}

/// A kept set, judged again.
pub(super) struct Restored {
    pub commit: CommitId,
    pub promotion: Option<u64>,
    pub set: PolicySet,
    /// What the rules of now say against it.
    pub newer: Vec<Finding>,
}

/// The file as it is written.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    owner: &'a Owner,
    set: &'a str,
    #[serde(rename = "ref")]
    reference: &'a str,
    commit: &'a str,
    promotion: Option<u64>,
    digest: &'a str,
    release: String,
    #[serde(serialize_with = "write_files")]
    files: &'a [SourceFile],
}

/// The file as it is read.
#[derive(Deserialize)]
struct StateFile {
    version: u32,
    /// None in version 1.
    owner: Option<Owner>,
    set: String,
    #[serde(rename = "ref")]
    reference: String,
    commit: String,
    promotion: Option<u64>,
    digest: String,
    /// Absent where 0.1 wrote it.
    release: Option<String>,
    files: Vec<(String, String)>,
}

impl StateFile {
    /// The release whose rules the set keeps.
    fn release(&self) -> Release {
        let named = self.release.as_deref();
        named.map_or(Release::FIRST, |text| {
            Release::parse(text).unwrap_or(Release::CURRENT)
        })
    }
}

fn write_files<S: Serializer>(files: &[SourceFile], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(files.len()))?;
    for file in files {
        list.serialize_element(&(&**file.path(), file.text()))?;
    }
    list.end()
}

/// The name of an environment's state file, or of another file that is kept for it.
pub(super) fn file_name(kind: &str, environment: &str, ending: &str) -> String {
    format!(
        "{kind}-{}{ending}",
        utf8_percent_encode(environment, NON_ALPHANUMERIC)
    )
}

/// The set that was served last, judged again; `None` where nothing was kept. Where the repository
/// can be opened, what is kept of a commit that is there must be what the commit holds.
///
/// # Errors
/// Where a file was kept that is not this repository's, root's and environment's, or is not as it
/// was written.
pub(super) fn restore_snapshot(
    folder: &StateFolder,
    environment: &str,
    reference: &str,
    repo: Option<&Repo>,
) -> Result<Option<Restored>> {
    let name = file_name("served", environment, ".json");
    let wanted = WantedState {
        folder,
        environment,
        reference,
        repo,
    };
    // The folder that was named may hold what a version without `owner.json` wrote, or the
    // repository's before it moved.
    match wanted.read_file(&folder.path.join(&name)) {
        Ok(None) if folder.path != folder.named => wanted.read_file(&folder.named.join(&name)),
        found => found,
    }
}

/// What a state file must be of.
struct WantedState<'a> {
    folder: &'a StateFolder,
    environment: &'a str,
    reference: &'a str,
    repo: Option<&'a Repo>,
}

impl WantedState<'_> {
    fn read_file(&self, path: &Path) -> Result<Option<Restored>> {
        let shown = path.display();
        let Some(bytes) =
            read_private_file(path, MAX_BYTES).with_context(|| format!("cannot read `{shown}`"))?
        else {
            return Ok(None);
        };
        let refused = || format!("`{shown}` is not what was written there");
        let mut state: StateFile = serde_json::from_slice(&bytes).with_context(refused)?;
        // 0.1 also named files that it did not read, without their texts. An empty file says
        // nothing.
        state.files.retain(|(_, text)| !text.is_empty());
        drop(bytes);
        let commit = self
            .check_origin(&state)
            .with_context(|| format!("`{shown}` is not taken"))?;

        let files = state
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        match judge_load(Ok(read_files(files)), state.release()) {
            Outcome::Good(set, newer) if *set.digest == *state.digest => Ok(Some(Restored {
                commit,
                promotion: state.promotion,
                set,
                newer,
            })),
            Outcome::Good(..) => bail!("{}: its digest differs", refused()),
            Outcome::Rejected(message, _) | Outcome::Failed(message) => {
                bail!("{}: {message}", refused())
            }
        }
    }

    /// Whether a file is of this repository, root and environment; returns its commit.
    fn check_origin(&self, state: &StateFile) -> Result<CommitId> {
        if !(1..=VERSION).contains(&state.version) {
            bail!(
                "its format {} is not known to this version of refguard",
                state.version
            );
        }
        if state.set != self.environment || state.reference != self.reference {
            bail!(
                "it is of the environment `{}` at `{}`",
                state.set,
                state.reference
            );
        }
        let commit: CommitId = state.commit.parse().context("its commit is no commit id")?;

        let files = state
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_bytes()));
        let prefix = match self.folder.owner.root.as_str() {
            "." => "",
            root => root,
        };
        if let Some(repo) = self.repo
            && let Some(same) = holds_files(repo, commit, prefix, files)
        {
            if !same {
                bail!("the commit {commit} of this repository holds other files at this root");
            }
            return Ok(commit);
        }

        // The commit is gone, or all of the repository is: only the name is left.
        match &state.owner {
            Some(owner) if self.folder.was_written_by(owner) => Ok(commit),
            Some(owner) => {
                let repository = owner.repository.as_deref().unwrap_or(&owner.folder);
                bail!(
                    "it is of root `{}` of `{repository}`, another repository or root",
                    owner.root
                )
            }
            // Version 1 kept one file for all roots of a repository.
            None if self.folder.in_repository && self.folder.owner.root == "." => Ok(commit),
            None => bail!("it names no repository, and this one does not have its commit {commit}"),
        }
    }
}

/// Writes a set whole or not at all: temporary file, fsync, rename.
///
/// # Errors
/// Where the folder cannot be written, or is another repository's or root's.
pub(super) fn write_file(folder: &StateFolder, kept: &Kept) -> Result<()> {
    folder.claim_folder()?;
    let path = folder
        .path
        .join(file_name("served", &kept.environment, ".json"));
    let refused = || format!("cannot write `{}`", path.display());
    let temporary = tempfile::Builder::new()
        .prefix(".served-")
        .tempfile_in(&folder.path)
        .with_context(refused)?;

    let mut out = BufWriter::with_capacity(1 << 18, temporary.as_file());
    let written = Written {
        version: VERSION,
        owner: &folder.owner,
        set: &kept.environment,
        reference: &kept.reference,
        commit: &kept.commit,
        promotion: kept.promotion,
        digest: &kept.digest,
        release: kept.release.to_string(),
        files: &kept.files,
    };
    serde_json::to_writer(&mut out, &written)?;
    out.flush().with_context(refused)?;
    drop(out);

    temporary.as_file().sync_all().with_context(refused)?;
    temporary.persist(&path).with_context(refused)?;
    // The name must survive a power cut too; where a folder cannot be synced, the file still can be
    // read.
    if let Ok(opened) = File::open(&folder.path) {
        let _ = opened.sync_all();
    }
    Ok(())
}
