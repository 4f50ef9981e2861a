//! An index as a file in the git directory, so that the next run need not walk again.
//!
//! Never trusted over history: it says of which commit it is, and is only continued from there; a
//! file of another program, of another folder, or with any fault is as good as none. So is one that
//! was written while git took other parents for some commits (`info/grafts`, a shallow clone).

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::documents;
use super::holding::{Content, Held, Holding, Texts};
use super::{VersionChange, VersionIndex};
use crate::ops::source::filter::Filter;
use crate::ops::source::program::Program;
use crate::repo::{AsideName, BlobId, CommitId, Repo};

/// Raised where the same bytes would mean something else.
const FORMAT: u32 = 2;

/// Larger histories are walked again.
const MOST_BYTES: u64 = 512 << 20;

/// What the file is of. It comes first, so that a file of another program is not read further.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    format: u32,
    program: Program,
    prefix: String,
    history_overrides: [u8; 32],
}

impl Key {
    fn new(repo: &Repo, prefix: &str) -> Option<Self> {
        Some(Self {
            format: FORMAT,
            program: Program::this()?,
            prefix: prefix.to_owned(),
            history_overrides: repo.history_overrides(),
        })
    }
}

/// The rest of the file.
#[derive(Debug, Serialize, Deserialize)]
struct KeptIndex {
    tip: [u8; 20],
    settings: Option<[u8; 20]>,
    names: Vec<Arc<str>>,
    paths: Vec<Arc<str>>,
    files: Vec<(u32, Vec<KeptDocument>)>,
    changes: Vec<Vec<KeptChange>>,
}

/// A document in a file.
#[derive(Debug, Serialize, Deserialize)]
struct KeptDocument {
    name: u32,
    digest: [u8; 32],
    blob: [u8; 20],
}

/// A version, with its document's digest, content and path.
#[derive(Debug, Serialize, Deserialize)]
struct KeptChange {
    commit: [u8; 20],
    content: Option<([u8; 32], [u8; 20], u32)>,
}

/// What was kept for a folder.
pub(super) fn read_index(repo: &Repo, prefix: &str) -> Option<VersionIndex> {
    let bytes = repo.read_aside(&AsideName::of_folder("versions", prefix), MOST_BYTES)?;
    decode_for(repo, prefix, &bytes)
}

/// The index that [`encode_index`] has written for a folder.
pub(super) fn decode_for(repo: &Repo, prefix: &str, bytes: &[u8]) -> Option<VersionIndex> {
    let (key, rest) = postcard::take_from_bytes::<Key>(bytes).ok()?;
    if key != Key::new(repo, prefix)? {
        return None;
    }
    let kept: KeptIndex = postcard::from_bytes(rest).ok()?;
    kept.restore(key.prefix, &|settings| {
        documents::read_settings(repo, settings)
    })
}

/// Keeps an index. That it cannot be written costs the next run time, and nothing else.
pub(super) fn write_index(repo: &Repo, index: &VersionIndex) {
    let Some(bytes) = encode_index(repo, index) else {
        return;
    };
    // One file a folder: two publish branches of one folder share it, and the one read last is
    // kept.
    let name = AsideName::of_folder("versions", &index.prefix);
    let _ = repo.write_aside(&name, MOST_BYTES, |out| out.write_all(&bytes));
}

/// An index as bytes; `None` where this program cannot tell itself from others.
pub(super) fn encode_index(repo: &Repo, index: &VersionIndex) -> Option<Vec<u8>> {
    let key = postcard::to_stdvec(&Key::new(repo, &index.prefix)?).ok()?;
    postcard::to_extend(&KeptIndex::of(index), key).ok()
}

impl KeptIndex {
    fn of(index: &VersionIndex) -> Self {
        let VersionIndex {
            tip,
            prefix: _,
            holding,
            changes,
        } = index;
        let documents = |held: &Vec<Held>| held.iter().map(KeptDocument::of).collect();
        let versions = |changes: &Vec<VersionChange>| changes.iter().map(KeptChange::of).collect();
        Self {
            tip: tip.to_bytes(),
            settings: holding.settings.map(BlobId::to_bytes),
            names: holding.names.all().to_vec(),
            paths: holding.paths.all().to_vec(),
            files: holding
                .files
                .iter()
                .map(|(path, held)| (*path, documents(held)))
                .collect(),
            changes: changes.iter().map(versions).collect(),
        }
    }

    /// `filter_of` reads the settings that say which files count.
    fn restore(
        self,
        prefix: String,
        filter_of: &dyn Fn(BlobId) -> Option<Arc<Filter>>,
    ) -> Option<VersionIndex> {
        let settings = match self.settings.map(BlobId::from_bytes) {
            Some(settings) => Some((settings, filter_of(settings)?)),
            None => None,
        };
        let documents = |held: Vec<KeptDocument>| held.into_iter().map(KeptDocument::restore);
        let files: FxHashMap<u32, Vec<Held>> = self
            .files
            .into_iter()
            .map(|(path, held)| (path, documents(held).collect()))
            .collect();
        let versions =
            |changes: Vec<KeptChange>| changes.into_iter().map(KeptChange::restore).collect();
        Some(VersionIndex {
            tip: CommitId::from_bytes(self.tip),
            prefix,
            holding: Holding::kept(
                number_texts(&self.names),
                number_texts(&self.paths),
                files,
                settings,
            ),
            changes: self.changes.into_iter().map(versions).collect(),
        })
    }
}

impl KeptDocument {
    fn of(held: &Held) -> Self {
        Self {
            name: held.name,
            digest: held.digest.0,
            blob: held.blob.to_bytes(),
        }
    }

    fn restore(self) -> Held {
        let Self { name, digest, blob } = self;
        Held {
            name,
            digest: Digest(digest),
            blob: BlobId::from_bytes(blob),
        }
    }
}

impl KeptChange {
    fn of(change: &VersionChange) -> Self {
        let content = change
            .content
            .map(|Content { digest, blob, path }| (digest.0, blob.to_bytes(), path));
        Self {
            commit: change.commit.to_bytes(),
            content,
        }
    }

    fn restore(self) -> VersionChange {
        let content = self.content.map(|(digest, blob, path)| Content {
            digest: Digest(digest),
            blob: BlobId::from_bytes(blob),
            path,
        });
        VersionChange {
            commit: CommitId::from_bytes(self.commit),
            content,
        }
    }
}

/// Texts by the numbers that they had.
fn number_texts(kept: &[Arc<str>]) -> Texts {
    let mut texts = Texts::default();
    for text in kept {
        texts.number(text);
    }
    texts
}
