//! What differs between two trees: only folders whose id changed are looked into.
//!
//! A walk through history asks for thousands of these, of folders with thousands of files of which
//! one has changed. So folders are compared as the bytes that git keeps, and only what differs
//! becomes paths.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use git2::ObjectType;
use memchr::memmem;
use rustc_hash::{FxHashMap, FxHashSet};

use super::listing::{MAX_ENTRIES, is_dot, last_name};
use super::tree::{TreeItem, entry_path, two_entries};
use super::{BlobId, EntryKind, Repo, RepoError, TreeId, Wanted};

/// More entries of a folder than this are looked through at once.
const FEW_ENTRIES: usize = 16;

/// A path that two trees hold differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the root, with `/`.
    pub path: Arc<str>,
    /// What the old tree has there.
    pub old: Option<Side>,
    /// What the new tree has there.
    pub new: Option<Side>,
}

/// One side of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// What stands there.
    pub kind: EntryKind,
    /// Its content's id, if it is a file.
    pub blob: Option<BlobId>,
}

/// A folder on both sides: its path with a final `/`, and what it holds there.
type Pair = (String, Option<TreeId>, Option<TreeId>);

impl Repo {
    /// The wanted paths below `prefix` whose content or kind differs, sorted by path. A tree that
    /// is not there counts as empty; permissions do not count.
    pub fn diff_trees(
        &self,
        old: Option<TreeId>,
        new: Option<TreeId>,
        prefix: &str,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Change>, RepoError> {
        self.tree_diffs()?.diff_trees(old, new, prefix, wanted)
    }

    /// For many diffs one after the other, of which each begins where the last ended.
    pub fn tree_diffs(&self) -> Result<TreeDiffs<'_>, RepoError> {
        Ok(TreeDiffs {
            repo: self,
            odb: self.object_database()?,
            kept: FxHashMap::default(),
        })
    }
}

/// See [`Repo::tree_diffs`].
pub struct TreeDiffs<'r> {
    repo: &'r Repo,
    odb: git2::Odb<'r>,
    /// The folders of the last diff's new side: most likely the old side of the next.
    kept: FxHashMap<TreeId, Rc<[u8]>>,
}

impl TreeDiffs<'_> {
    /// As [`Repo::diff_trees`].
    pub fn diff_trees(
        &mut self,
        old: Option<TreeId>,
        new: Option<TreeId>,
        prefix: &str,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Change>, RepoError> {
        let folder =
            |tree: Option<TreeId>| tree.map_or(Ok(None), |tree| self.repo.folder_at(tree, prefix));
        let mut pending: Vec<Pair> = vec![(String::new(), folder(old)?, folder(new)?)];
        let (mut found, mut kept, mut seen) = (Vec::new(), FxHashMap::default(), 0);
        while let Some((at, old, new)) = pending.pop() {
            let (before, after) = (self.read_folder(old)?, self.read_folder(new)?);
            let entries = differing_entries(&before, &after)?;
            refuse_two_entries(&at, &after, &entries)?;
            seen += entries.len();
            if seen > MAX_ENTRIES {
                return Err(RepoError::TooManyEntries { limit: MAX_ENTRIES });
            }
            for (old, new) in entries {
                let (folders, change) = compare_entries(&at, old, new, wanted);
                pending.extend(folders);
                found.extend(change);
            }
            kept.extend(new.map(|id| (id, after)));
        }
        self.kept = kept;
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn read_folder(&self, id: Option<TreeId>) -> Result<Rc<[u8]>, RepoError> {
        let Some(id) = id else {
            return Ok(Rc::default());
        };
        if let Some(kept) = self.kept.get(&id) {
            return Ok(kept.clone());
        }
        let object = self
            .odb
            .read(id.oid())
            .map_err(RepoError::object_error(id.oid()))?;
        if object.kind() == ObjectType::Tree {
            Ok(object.data().into())
        } else {
            Err(report_malformed())
        }
    }
}

/// What an entry that is not the same on both sides comes to: folders to look into, or a change.
fn compare_entries(
    at: &str,
    old: Option<RawEntry<'_>>,
    new: Option<RawEntry<'_>>,
    wanted: Wanted<'_>,
) -> (Option<Pair>, Option<Change>) {
    let (old, new) = (
        old.map(|entry| tree_item(at, entry)),
        new.map(|entry| tree_item(at, entry)),
    );
    let Some(path) = old.as_ref().or(new.as_ref()).map(|item| item.path.clone()) else {
        return (None, None);
    };
    let folder = |item: &Option<Item>| item.as_ref().and_then(|item| item.folder);
    let side = |item: &Option<Item>| {
        item.as_ref()
            .and_then(|it| it.side)
            .filter(|side| wanted(&path, side.kind))
    };
    let (old_folder, new_folder) = (folder(&old), folder(&new));
    let enter = old_folder != new_folder && !is_dot(last_name(&path));
    let (old, new) = (side(&old), side(&new));
    let change = (old != new).then(|| Change {
        path: path.as_str().into(),
        old,
        new,
    });
    (
        enter.then(|| (format!("{path}/"), old_folder, new_folder)),
        change,
    )
}

fn report_malformed() -> RepoError {
    RepoError::Objects {
        what: "read a tree".to_owned(),
        message: "it is malformed".to_owned(),
    }
}

/// An entry of a folder as git writes it: `MODE NAME`, a zero byte, the id.
#[derive(Debug, Clone, Copy)]
struct RawEntry<'a> {
    mode: i32,
    name: &'a [u8],
    id: &'a [u8],
}

impl<'a> RawEntry<'a> {
    /// The first entry of a folder's bytes.
    fn first_entry(bytes: &'a [u8]) -> Result<Option<Self>, RepoError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let parse = || {
            let (head, id) = bytes
                .get(..length_of_first(bytes)?)?
                .split_last_chunk::<20>()?;
            let space = head.iter().position(|byte| *byte == b' ')?;
            let mode = std::str::from_utf8(head.get(..space)?).ok()?;
            let name = head.get(space + 1..)?.strip_suffix(&[0])?;
            Some(Self {
                mode: i32::from_str_radix(mode, 8).ok()?,
                name,
                id,
            })
        };
        parse().map(Some).ok_or_else(report_malformed)
    }

    fn is_folder(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Git sorts a folder as if its name ended in a slash.
    fn git_order(&self, other: &Self) -> Ordering {
        let key = |entry: &Self| {
            entry
                .name
                .iter()
                .copied()
                .chain(entry.is_folder().then_some(b'/'))
                .collect::<Vec<_>>()
        };
        key(self).cmp(&key(other))
    }
}

fn length_of_first(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == 0).map(|end| end + 21)
}

type Entries<'a> = (Option<RawEntry<'a>>, Option<RawEntry<'a>>);

/// The entries of two folders that are not on both sides alike.
fn differing_entries<'a>(
    mut old: &'a [u8],
    mut new: &'a [u8],
) -> Result<Vec<Entries<'a>>, RepoError> {
    let mut found = Vec::new();
    while old != new {
        let alike = common_entries(old, new);
        (old, new) = (
            old.get(alike..).unwrap_or_default(),
            new.get(alike..).unwrap_or_default(),
        );
        let (left, right) = (RawEntry::first_entry(old)?, RawEntry::first_entry(new)?);
        let order = match (&left, &right) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.git_order(right),
        };
        let rest = |bytes: &'a [u8]| {
            bytes
                .get(length_of_first(bytes).unwrap_or(bytes.len())..)
                .unwrap_or_default()
        };
        let (left, right) = (
            left.filter(|_| order.is_le()),
            right.filter(|_| order.is_ge()),
        );
        old = if left.is_some() { rest(old) } else { old };
        new = if right.is_some() { rest(new) } else { new };
        found.push((left, right));
    }
    Ok(found)
}

/// Refuses a folder in which an entry that differs has the name of another one. Those that do not
/// differ were looked at when they came.
fn refuse_two_entries(at: &str, folder: &[u8], entries: &[Entries<'_>]) -> Result<(), RepoError> {
    let new: Vec<&[u8]> = entries
        .iter()
        .filter_map(|(_, new)| Some(new.as_ref()?.name))
        .collect();
    let is_suspect = |name: &&[u8]| {
        let written = [&b" "[..], name, &b"\0"[..]].concat();
        memmem::find_iter(folder, &written).nth(1).is_some()
    };
    // A few names are looked for in the bytes; of many, every entry is read.
    if new.len() <= FEW_ENTRIES && !new.iter().any(is_suspect) {
        return Ok(());
    }

    let mut names: FxHashSet<&[u8]> = FxHashSet::default();
    let mut rest = folder;
    while let Some(entry) = RawEntry::first_entry(rest)? {
        if !names.insert(entry.name) {
            return Err(two_entries(at, entry.name));
        }
        rest = rest
            .get(length_of_first(rest).unwrap_or(rest.len())..)
            .unwrap_or_default();
    }
    Ok(())
}

/// How many bytes of whole entries two folders begin with alike.
fn common_entries(old: &[u8], new: &[u8]) -> usize {
    let alike = common_prefix(old, new);
    let mut whole = 0;
    while let Some(length) = old.get(whole..).and_then(length_of_first) {
        if whole + length > alike {
            break;
        }
        whole += length;
    }
    whole
}

fn common_prefix(old: &[u8], new: &[u8]) -> usize {
    // Whole blocks first: slices are compared much faster than bytes one by one.
    const BLOCK: usize = 256;
    let blocks = old
        .chunks_exact(BLOCK)
        .zip(new.chunks_exact(BLOCK))
        .take_while(|(a, b)| a == b)
        .count()
        * BLOCK;
    let rest = old
        .iter()
        .zip(new)
        .skip(blocks)
        .take_while(|(a, b)| a == b)
        .count();
    blocks + rest
}

/// An entry of a folder with its path: a folder itself, or something with a kind.
struct Item {
    path: String,
    folder: Option<TreeId>,
    side: Option<Side>,
}

fn tree_item(at: &str, entry: RawEntry<'_>) -> Item {
    let id = git2::Oid::from_bytes(entry.id).unwrap_or(git2::Oid::ZERO_SHA1);
    let item = TreeItem {
        mode: entry.mode,
        id,
    };
    let (path, kind) = entry_path(at, entry.name, item.kind());
    let side = kind.map(|kind| Side {
        kind,
        blob: item.blob_id().filter(|_| kind == EntryKind::File),
    });
    Item {
        path,
        folder: side.is_none().then(|| id.into()),
        side,
    }
}
