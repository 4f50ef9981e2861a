//! Trees of commits as a source, straight from the object store: nothing is checked out.

use std::sync::Arc;

use git2::ObjectType;
use rustc_hash::FxHashSet;

use super::listing::{MAX_ENTRIES, Reader, is_dot, last_name};
use super::{BlobId, CommitId, Entry, EntryKind, Listing, Repo, RepoError, Side, TreeId, Wanted};

/// Permission bits of git's plain file.
pub(super) const PLAIN_FILE: i32 = 0o100_644;

/// What a tree holds at one path; it can be put into another tree as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeItem {
    pub(super) mode: i32,
    pub(super) id: git2::Oid,
}

impl TreeItem {
    /// A plain file with that content.
    pub fn plain_file(blob: BlobId) -> Self {
        Self {
            mode: PLAIN_FILE,
            id: blob.oid(),
        }
    }

    pub(super) fn of(entry: &git2::TreeEntry<'_>) -> Self {
        Self {
            mode: entry.filemode(),
            id: entry.id(),
        }
    }

    /// What kind of entry it is; `None` for a folder.
    pub fn kind(&self) -> Option<EntryKind> {
        match self.mode & 0o170_000 {
            0o040_000 => None,
            0o120_000 => Some(EntryKind::Symlink),
            0o160_000 => Some(EntryKind::Submodule),
            _ => Some(EntryKind::File),
        }
    }

    /// The content's id, if it is a file.
    pub fn blob_id(&self) -> Option<BlobId> {
        (self.kind() == Some(EntryKind::File)).then(|| self.id.into())
    }

    pub(super) fn of_folder(tree: TreeId) -> Self {
        Self {
            mode: 0o040_000,
            id: tree.oid(),
        }
    }

    /// As `git mktree` reads it: mode, type and id.
    pub(super) fn describe(&self) -> String {
        let word = match self.kind() {
            None => "tree",
            Some(EntryKind::Submodule) => "commit",
            Some(_) => "blob",
        };
        format!("{:06o} {word} {}", self.mode, self.id)
    }

    pub(super) fn folder_id(&self) -> Option<TreeId> {
        self.kind().is_none().then(|| self.id.into())
    }
}

impl Repo {
    /// The wanted entries of a commit's tree below `prefix`.
    pub fn list_commit(
        &self,
        commit: CommitId,
        prefix: &str,
        wanted: Wanted<'_>,
    ) -> Result<Listing<'_>, RepoError> {
        self.list_tree(self.tree_of(commit)?, prefix, wanted)
    }

    /// The wanted entries of a tree below `prefix`; none where there is no such folder.
    pub fn list_tree(
        &self,
        tree: TreeId,
        prefix: &str,
        wanted: Wanted<'_>,
    ) -> Result<Listing<'_>, RepoError> {
        let odb = self.object_database()?;
        let mut entries = Vec::new();
        if let Some(root) = self.folder_at(tree, prefix)? {
            self.walk_tree(root, &mut |path, kind, item| {
                if wanted(&path, kind) {
                    entries.push(measure_entry(&odb, Entry::new(path, kind), item)?);
                }
                Ok(())
            })?;
        }
        Ok(Listing::new(entries, Reader::Blobs(odb)))
    }

    /// The wanted paths of a tree below `prefix`, sorted by path. Nothing is measured or read.
    pub fn tree_sides(
        &self,
        tree: TreeId,
        prefix: &str,
        wanted: Wanted<'_>,
    ) -> Result<Vec<(Arc<str>, Side)>, RepoError> {
        let mut sides = Vec::new();
        if let Some(root) = self.folder_at(tree, prefix)? {
            self.walk_tree(root, &mut |path, kind, item| {
                if wanted(&path, kind) {
                    let blob = item.blob_id().filter(|_| kind == EntryKind::File);
                    sides.push((path.into(), Side { kind, blob }));
                }
                Ok(())
            })?;
        }
        sides.sort_unstable_by(|(a, _): &(Arc<str>, Side), (b, _)| a.cmp(b));
        Ok(sides)
    }

    /// A listing of paths whose sides are known already.
    pub fn list_sides(&self, sides: &[(Arc<str>, Side)]) -> Result<Listing<'_>, RepoError> {
        let odb = self.object_database()?;
        let mut entries = Vec::with_capacity(sides.len());
        for (path, side) in sides {
            let mut entry = Entry {
                blob: side.blob,
                ..Entry::new(path.clone(), side.kind)
            };
            if let Some(blob) = side.blob {
                let header = odb
                    .read_header(blob.oid())
                    .map_err(RepoError::object_error(blob.oid()))?;
                entry.size = header.0 as u64;
            }
            entries.push(entry);
        }
        Ok(Listing::new(entries, Reader::Blobs(odb)))
    }

    /// The tree of a commit.
    pub fn tree_of(&self, commit: CommitId) -> Result<TreeId, RepoError> {
        Ok(self.find_commit(commit)?.tree)
    }

    /// What a tree holds at a path, if anything.
    pub fn item_at(&self, tree: TreeId, path: &str) -> Result<Option<TreeItem>, RepoError> {
        let mut here = Some(TreeItem::of_folder(tree));
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(folder) = here.and_then(|item| item.folder_id()) else {
                return Ok(None);
            };
            here = self
                .find_tree(folder)?
                .get_name(name)
                .map(|entry| TreeItem::of(&entry));
        }
        Ok(here)
    }

    /// The folders of a tree that are roots of policy sets, `""` for its top, sorted.
    pub fn roots_in(&self, tree: TreeId) -> Result<Vec<String>, RepoError> {
        let is_mark = |path: &str, kind: EntryKind| {
            kind == EntryKind::File && (path == "refguard.yaml" || path.ends_with("/refguard.yaml"))
        };
        let marks = self.tree_sides(tree, "", &is_mark)?;
        let folder = |path: &str| {
            path.strip_suffix("refguard.yaml")
                .unwrap_or("")
                .trim_end_matches('/')
                .to_owned()
        };
        let mut roots: Vec<String> = marks.iter().map(|(path, _)| folder(path)).collect();
        roots.sort_unstable();
        Ok(roots)
    }

    /// The folder at a prefix of a tree.
    pub fn folder_at(&self, tree: TreeId, prefix: &str) -> Result<Option<TreeId>, RepoError> {
        Ok(self
            .item_at(tree, prefix)?
            .and_then(|item| item.folder_id()))
    }

    /// The bytes of a blob.
    pub fn blob_size(&self, blob: BlobId) -> Result<u64, RepoError> {
        let header = self.object_database()?.read_header(blob.oid());
        Ok(header.map_err(RepoError::object_error(blob.oid()))?.0 as u64)
    }

    /// The content of a blob. Check its size first.
    pub fn read_blob(&self, blob: BlobId) -> Result<Vec<u8>, RepoError> {
        let object = self
            .git
            .find_blob(blob.oid())
            .map_err(RepoError::object_error(blob.oid()))?;
        Ok(object.content().to_owned())
    }

    pub(super) fn object_database(&self) -> Result<git2::Odb<'_>, RepoError> {
        self.git
            .odb()
            .map_err(RepoError::objects_error("open the object store"))
    }

    pub(super) fn find_tree(&self, tree: TreeId) -> Result<git2::Tree<'_>, RepoError> {
        self.git
            .find_tree(tree.oid())
            .map_err(RepoError::object_error(tree.oid()))
    }

    /// Every entry below a folder that is no folder itself; dot-folders are left out.
    fn walk_tree(&self, root: TreeId, visit: Visit<'_>) -> Result<(), RepoError> {
        let mut seen = 0;
        let mut folders = vec![(String::new(), root)];
        while let Some((at, folder)) = folders.pop() {
            let folder = self.find_tree(folder)?;
            let mut names: FxHashSet<Vec<u8>> = FxHashSet::default();
            for entry in &folder {
                seen += 1;
                if seen > MAX_ENTRIES {
                    return Err(RepoError::TooManyEntries { limit: MAX_ENTRIES });
                }
                if !names.insert(entry.name_bytes().to_owned()) {
                    return Err(two_entries(&at, entry.name_bytes()));
                }
                let item = TreeItem::of(&entry);
                let (path, kind) = entry_path(&at, entry.name_bytes(), item.kind());
                match (kind, item.folder_id()) {
                    (Some(kind), _) => visit(path, kind, &item)?,
                    (None, Some(inner)) if !is_dot(last_name(&path)) => {
                        folders.push((path + "/", inner))
                    }
                    (None, _) => {}
                }
            }
        }
        Ok(())
    }
}

type Visit<'a> = &'a mut dyn FnMut(String, EntryKind, &TreeItem) -> Result<(), RepoError>;

/// The path of an entry, and its kind unless it is a folder. A folder whose name is not UTF-8 has
/// one: what is below it must not vanish.
pub(super) fn entry_path(
    at: &str,
    name: &[u8],
    kind: Option<EntryKind>,
) -> (String, Option<EntryKind>) {
    match std::str::from_utf8(name) {
        Ok(name) => (format!("{at}{name}"), kind),
        Err(_) => (
            format!("{at}{}", String::from_utf8_lossy(name)),
            Some(EntryKind::NotUtf8),
        ),
    }
}

pub(super) fn two_entries(at: &str, name: &[u8]) -> RepoError {
    RepoError::TwoEntries {
        path: format!("{at}{}", String::from_utf8_lossy(name)),
    }
}

fn measure_entry(
    odb: &git2::Odb<'_>,
    mut entry: Entry,
    item: &TreeItem,
) -> Result<Entry, RepoError> {
    if entry.kind != EntryKind::File {
        return Ok(entry);
    }
    let (size, kind) = odb
        .read_header(item.id)
        .map_err(RepoError::object_error(item.id))?;
    if kind != ObjectType::Blob {
        return Err(RepoError::MissingObject {
            id: item.id.to_string(),
        });
    }
    entry.size = size as u64;
    entry.blob = item.blob_id();
    Ok(entry)
}
