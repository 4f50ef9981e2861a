//! A set that was found sound, as a file in the git directory: the next run begins from it instead
//! of reading the whole tree.
//!
//! What makes it safe to use: `aside` gives back only what was written (a checksum); the file names
//! the program that wrote it and the folder it is of; and it names every file of the set by the id
//! of its content, so it is as right in another repository that holds the same contents. What is at
//! fault in any way is as good as not there. It may be deleted at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use refguard_core::policy::PolicySet;
use serde::{Deserialize, Serialize};

use crate::ops::source::filter::{Filter, SETTINGS};
use crate::ops::source::kept_file::KeptFile;
use crate::ops::source::load;
use crate::ops::source::tracked::{Known, TrackedFile};
use crate::repo::{BlobId, Entry, EntryKind, Repo, Side, TreeId};

/// Larger sets are not kept: reading them back would take as much memory again.
const FILE: KeptFile = KeptFile {
    name: "set",
    format: 2,
    most_bytes: 512 << 20,
};

/// What is kept; `S` is the set, owned or borrowed.
#[derive(Serialize, Deserialize)]
struct Kept<S> {
    tree: Option<[u8; 20]>,
    files: Vec<KeptEntry>,
    set: S,
}

/// One file of the set.
#[derive(Serialize, Deserialize)]
struct KeptEntry {
    path: Arc<str>,
    kind: EntryKind,
    blob: Option<[u8; 20]>,
    size: u64,
    /// Whether it has documents that are neither policies nor attachments.
    is_other: bool,
}

/// The set that was kept for a folder, and the files that it is of.
pub(super) fn read_kept(repo: &Repo, prefix: &str) -> Option<(Known, PolicySet)> {
    let kept: Kept<PolicySet> = FILE.read(repo, prefix)?;
    let known = known_set(repo, prefix, kept.tree, kept.files)?;
    Some((known, kept.set))
}

fn known_set(
    repo: &Repo,
    prefix: &str,
    tree: Option<[u8; 20]>,
    kept: Vec<KeptEntry>,
) -> Option<Known> {
    let mut files = BTreeMap::new();
    let mut others = BTreeSet::new();
    let mut bytes: u64 = 0;
    for KeptEntry {
        path,
        kind,
        blob,
        size,
        is_other,
    } in kept
    {
        if is_other {
            others.insert(path.clone());
        }
        bytes = bytes.checked_add(size)?;
        let side = Side {
            kind,
            blob: blob.map(BlobId::from_bytes),
        };
        files.insert(
            path,
            TrackedFile {
                side,
                size,
                loaded: None,
            },
        );
    }
    let filter = match files.get(SETTINGS) {
        None => Filter::default(),
        Some(file) => settings_filter(repo, file)?,
    };
    let tree = tree.map(TreeId::from_bytes);
    Some(Known {
        tree,
        prefix: prefix.to_owned(),
        filter,
        files,
        others,
        bytes,
    })
}

/// Which files count, by the settings that the set was read with.
fn settings_filter(repo: &Repo, file: &TrackedFile) -> Option<Filter> {
    let TrackedFile { side, size, .. } = file;
    let content = repo.read_blob(side.blob?).ok()?;
    let entry = Entry {
        path: SETTINGS.into(),
        kind: side.kind,
        size: *size,
        blob: side.blob,
    };
    Filter::of_documents(&load::parse(&entry, content).documents).ok()
}

/// Keeps a sound set. That it cannot be written costs the next run time, and nothing else.
pub(super) fn write_kept(repo: &Repo, known: &Known, set: &PolicySet) {
    let files = known.files.iter().map(|(path, file)| KeptEntry {
        path: path.clone(),
        kind: file.side.kind,
        blob: file.side.blob.map(BlobId::to_bytes),
        size: file.size,
        is_other: known.others.contains(path),
    });
    let tree = known.tree.map(TreeId::to_bytes);
    let kept = Kept {
        tree,
        files: files.collect(),
        set,
    };
    FILE.write(repo, &known.prefix, &kept);
}
