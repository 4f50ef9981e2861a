//! What differs between two trees: only folders whose id changed are looked into.

use std::cmp::Ordering;
use std::sync::Arc;

use super::listing::{MAX_ENTRIES, is_dot, last_name};
use super::tree::{TreeItem, named};
use super::{BlobId, EntryKind, Repo, RepoError, TreeId, Wanted};

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
    /// The wanted paths below `prefix` whose content or kind differs, sorted by path. A tree that is
    /// not there counts as empty; permissions do not count.
    pub fn diff_trees(
        &self,
        old: Option<TreeId>,
        new: Option<TreeId>,
        prefix: &str,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Change>, RepoError> {
        let folder = |tree: Option<TreeId>| tree.map_or(Ok(None), |tree| self.folder_at(tree, prefix));
        let mut pending: Vec<Pair> = vec![(String::new(), folder(old)?, folder(new)?)];
        let mut found = Vec::new();
        let mut seen = 0;
        while let Some((at, old, new)) = pending.pop() {
            if old == new {
                continue;
            }
            let (old, new) = (self.items(&at, old)?, self.items(&at, new)?);
            seen += old.len() + new.len();
            if seen > MAX_ENTRIES {
                return Err(RepoError::TooManyEntries { limit: MAX_ENTRIES });
            }
            for (path, old, new) in merged(old, new) {
                let (old_folder, new_folder) = (old.and_then(|it| it.folder), new.and_then(|it| it.folder));
                let (old, new) = (old.and_then(|it| it.side), new.and_then(|it| it.side));
                if old_folder != new_folder && !is_dot(last_name(&path)) {
                    pending.push((format!("{path}/"), old_folder, new_folder));
                }
                let (old, new) = (of_interest(&path, old, wanted), of_interest(&path, new, wanted));
                if old != new {
                    found.push(Change { path: path.into(), old, new });
                }
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// What a folder holds, sorted by path.
    fn items(&self, at: &str, folder: Option<TreeId>) -> Result<Vec<(String, Item)>, RepoError> {
        let Some(folder) = folder else { return Ok(Vec::new()) };
        let tree = self.find_tree(folder)?;
        let mut items: Vec<(String, Item)> = tree.iter().map(|entry| item(at, &entry)).collect();
        // Git sorts a folder as if its name ended in a slash.
        items.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(items)
    }
}

/// An entry of a folder: a folder itself, or something with a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    folder: Option<TreeId>,
    side: Option<Side>,
}

fn item(at: &str, entry: &git2::TreeEntry<'_>) -> (String, Item) {
    let item = TreeItem::of(entry);
    let (path, kind) = named(at, entry, item.kind());
    let side = kind.map(|kind| Side { kind, blob: item.blob().filter(|_| kind == EntryKind::File) });
    (path, Item { folder: side.is_none().then(|| entry.id().into()), side })
}

fn of_interest(path: &str, side: Option<Side>, wanted: Wanted<'_>) -> Option<Side> {
    side.filter(|side| wanted(path, side.kind))
}

/// Two sorted lists side by side; what is the same on both is left out.
fn merged(old: Vec<(String, Item)>, new: Vec<(String, Item)>) -> Vec<(String, Option<Item>, Option<Item>)> {
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    let mut both = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return both,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(&b.0),
        };
        let left = (order != Ordering::Greater).then(|| old.next()).flatten();
        let right = (order != Ordering::Less).then(|| new.next()).flatten();
        let (left_item, right_item) = (left.as_ref().map(|it| it.1), right.as_ref().map(|it| it.1));
        if left_item != right_item
            && let Some((path, _)) = left.or(right)
        {
            both.push((path, left_item, right_item));
        }
    }
}
