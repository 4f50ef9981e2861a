//! The index as a source: what the next commit will hold.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::listing::{Reader, in_dot_folder};
use super::{BlobId, Entry, EntryKind, Listing, Repo, RepoError, Side, Wanted};

/// A path of the index below the prefix.
pub(super) struct IndexEntry {
    pub kind: EntryKind,
    pub blob: git2::Oid,
}

/// Bit of an entry that `git add --intent-to-add` made: the next commit does not hold it.
const INTENT_TO_ADD: u16 = 1 << 13;

impl Repo {
    /// The wanted entries of the index below `prefix`.
    pub fn list_index(&self, prefix: &str, wanted: Wanted<'_>) -> Result<Listing<'_>, RepoError> {
        let odb = self.odb()?;
        let mut entries = Vec::new();
        for (path, found) in self.index_entries(prefix, false)? {
            if in_dot_folder(&path) || !wanted(&path, found.kind) {
                continue;
            }
            let mut entry = Entry::new(path, found.kind);
            if found.kind == EntryKind::File {
                let header = odb.read_header(found.blob).map_err(RepoError::object(found.blob))?;
                entry.size = header.0 as u64;
                entry.blob = Some(BlobId::from(found.blob));
            }
            entries.push(entry);
        }
        Ok(Listing::new(entries, Reader::Blobs(odb)))
    }

    /// What the next commit would hold below a prefix, sorted by path. Nothing is measured or read.
    pub fn staged_sides(
        &self,
        prefix: &str,
        wanted: Wanted<'_>,
    ) -> Result<Vec<(Arc<str>, Side)>, RepoError> {
        let mut sides: Vec<(Arc<str>, Side)> = Vec::new();
        self.each_index_entry(prefix, false, &mut |path, kind, blob| {
            if !in_dot_folder(path) && wanted(path, kind) {
                let blob = (kind == EntryKind::File).then(|| blob.into());
                sides.push((path.into(), Side { kind, blob }));
            }
        })?;
        // Git's own order is the same, but nothing makes another writer of an index keep to it.
        sides.sort_by(|(a, _), (b, _)| a.cmp(b));
        sides.dedup_by(|(later, _), (kept, _)| later == kept);
        Ok(sides)
    }

    /// Everything below a prefix, by path; an index that is not there is empty. Paths that are only
    /// to be added some day are in the work tree, but not in the next commit.
    pub(super) fn index_entries(
        &self,
        prefix: &str,
        intended: bool,
    ) -> Result<BTreeMap<String, IndexEntry>, RepoError> {
        let mut found = BTreeMap::new();
        self.each_index_entry(prefix, intended, &mut |path, kind, blob| {
            found.insert(path.to_owned(), IndexEntry { kind, blob });
        })?;
        Ok(found)
    }

    fn each_index_entry(
        &self,
        prefix: &str,
        intended: bool,
        visit: &mut dyn FnMut(&str, EntryKind, git2::Oid),
    ) -> Result<(), RepoError> {
        let file = self.index_file();
        match file.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(RepoError::io("read the index", file)(error)),
            Ok(_) => {}
        }
        let what = || format!("read the index `{}`", file.display());
        let index = git2::Index::open(file).map_err(|error| RepoError::objects(what())(error))?;
        let below = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        for entry in index.iter() {
            let Some(rest) = entry.path.strip_prefix(below.as_bytes()) else { continue };
            if entry.flags_extended & INTENT_TO_ADD != 0 && !intended {
                continue;
            }
            match std::str::from_utf8(rest) {
                Ok(path) => visit(path, kind_of(&entry), entry.id),
                Err(_) => visit(&String::from_utf8_lossy(rest), EntryKind::NotUtf8, entry.id),
            }
        }
        Ok(())
    }
}

fn kind_of(entry: &git2::IndexEntry) -> EntryKind {
    const STAGE: u16 = 0x3000;
    match entry.mode & 0o170_000 {
        _ if entry.flags & STAGE != 0 => EntryKind::Unmerged,
        0o120_000 => EntryKind::Symlink,
        0o160_000 => EntryKind::Submodule,
        _ => EntryKind::File,
    }
}
