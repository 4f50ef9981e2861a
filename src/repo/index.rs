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
    /// A sparse checkout leaves its file out of the work tree: what the index has counts there too.
    pub is_left_out: bool,
}

/// Bits of an entry that a merge has left open.
const STAGE: u16 = 0x3000;

/// Bit of an entry whose file a sparse checkout leaves out.
const SKIP_WORKTREE: u16 = 1 << 14;

/// Bit of an entry that `git add --intent-to-add` made: the next commit does not hold it.
const INTENT_TO_ADD: u16 = 1 << 13;

impl Repo {
    /// The wanted entries of the index below `prefix`.
    pub fn list_index(&self, prefix: &str, wanted: Wanted<'_>) -> Result<Listing<'_>, RepoError> {
        let odb = self.object_database()?;
        let mut entries = Vec::new();
        for (path, found) in self.index_entries(prefix, false)? {
            if !in_dot_folder(&path) && wanted(&path, found.kind) {
                entries.push(entry_of(&odb, path, &found)?);
            }
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
        self.each_index_entry(prefix, false, &mut |path, IndexEntry { kind, blob, .. }| {
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
        self.each_index_entry(prefix, intended, &mut |path, entry| {
            found.insert(path.to_owned(), entry);
        })?;
        Ok(found)
    }

    fn each_index_entry(
        &self,
        prefix: &str,
        intended: bool,
        visit: &mut dyn FnMut(&str, IndexEntry),
    ) -> Result<(), RepoError> {
        let file = self.index_file();
        match file.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(RepoError::io_error("read the index", file)(error)),
            Ok(_) => {}
        }
        // A split or a sparse index is beyond libgit2; git itself writes either out in full.
        let Ok(index) = git2::Index::open(file) else {
            return self.each_entry_of_git(prefix, visit);
        };
        let below = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        for entry in index.iter() {
            let Some(rest) = entry.path.strip_prefix(below.as_bytes()) else {
                continue;
            };
            if entry.flags_extended & INTENT_TO_ADD != 0 && !intended {
                continue;
            }
            let is_left_out = entry.flags_extended & SKIP_WORKTREE != 0;
            let kind = kind_of(entry.mode, entry.flags & STAGE != 0);
            visit_path(
                rest,
                IndexEntry {
                    kind,
                    blob: entry.id,
                    is_left_out,
                },
                visit,
            );
        }
        Ok(())
    }

    /// The same as `git ls-files` tells it: `TAG MODE ID STAGE`, a tab, the path, a zero byte.
    fn each_entry_of_git(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(&str, IndexEntry),
    ) -> Result<(), RepoError> {
        let below = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        let words = [
            "-c",
            "core.fsmonitor=false",
            "ls-files",
            "--stage",
            "-t",
            "-z",
        ];
        let mut command = self.git_command(words);
        command
            .with_env("GIT_INDEX_FILE", self.index_file())
            .with_env("GIT_OPTIONAL_LOCKS", "0");
        let answer = command.run()?;

        for line in answer
            .stdout
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty())
        {
            let malformed = || RepoError::Git {
                verb: "ls-files".to_owned(),
                message: format!("its answer `{}` is no entry", String::from_utf8_lossy(line)),
            };
            let (found, path) = parse_entry(line).ok_or_else(malformed)?;
            if let Some(rest) = path.strip_prefix(below.as_bytes()) {
                visit_path(rest, found, visit);
            }
        }
        Ok(())
    }
}

/// An entry of a listing, with its size where it is a file.
pub(super) fn entry_of(
    odb: &git2::Odb<'_>,
    path: String,
    found: &IndexEntry,
) -> Result<Entry, RepoError> {
    let mut entry = Entry::new(path, found.kind);
    if found.kind == EntryKind::File {
        let header = odb
            .read_header(found.blob)
            .map_err(RepoError::object_error(found.blob))?;
        entry.size = header.0 as u64;
        entry.blob = Some(BlobId::from(found.blob));
    }
    Ok(entry)
}

fn visit_path(path: &[u8], found: IndexEntry, visit: &mut dyn FnMut(&str, IndexEntry)) {
    match std::str::from_utf8(path) {
        Ok(path) => visit(path, found),
        Err(_) => {
            let kind = EntryKind::NotUtf8;
            visit(&String::from_utf8_lossy(path), IndexEntry { kind, ..found });
        }
    }
}

/// A line of `git ls-files --stage -t`, without its zero byte, and the path in it.
fn parse_entry(line: &[u8]) -> Option<(IndexEntry, &[u8])> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(line.get(..tab)?).ok()?;
    let mut words = head.split(' ');
    let (tag, mode, id, stage) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let found = IndexEntry {
        kind: kind_of(u32::from_str_radix(mode, 8).ok()?, stage != "0"),
        blob: git2::Oid::from_str(id).ok()?,
        is_left_out: tag == "S",
    };
    Some((found, line.get(tab + 1..)?))
}

fn kind_of(mode: u32, is_unmerged: bool) -> EntryKind {
    match mode & 0o170_000 {
        _ if is_unmerged => EntryKind::Unmerged,
        0o120_000 => EntryKind::Symlink,
        0o160_000 => EntryKind::Submodule,
        _ => EntryKind::File,
    }
}
