//! One commit after another: what did not change from one tree to the next is not read again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use super::environment;
use super::filter::{Filter, SETTINGS};
use super::load::{self, NoProgress};
use crate::document::{Limits, Loaded, load_file};
use crate::policy::Settings;
use crate::repo::{BlobId, Change, CommitId, Entry, EntryKind, Repo, Root, TreeId};

/// Reads the documents of commits, and keeps those of the last one.
#[derive(Default)]
pub struct SetReader {
    known: Option<Known>,
}

/// What the last tree that was read held.
struct Known {
    tree: TreeId,
    prefix: String,
    filter: Filter,
    files: BTreeMap<Arc<str>, Part>,
}

/// What one file came to.
struct Part {
    size: u64,
    loaded: Loaded,
}

impl SetReader {
    /// The documents of a commit below a prefix. A failure leaves what is known as it was.
    ///
    /// # Errors
    /// Where the tree or a file of it cannot be read, or it passes a limit.
    pub fn read(&mut self, repo: &Repo, commit: CommitId, prefix: &str) -> Result<Loaded> {
        let tree = repo.tree_of(commit)?;
        match self.changes(repo, tree, prefix) {
            Some(changes) => self.advance(repo, tree, &changes)?,
            None => self.known = Some(whole(repo, tree, prefix)?),
        }
        let mut loaded = Loaded::default();
        for part in self.known.iter().flat_map(|known| known.files.values()) {
            loaded.append(part.loaded.clone());
        }
        Ok(loaded)
    }

    /// What differs from the tree that is known; `None` where all must be read: at first, where the
    /// settings that say what is read have changed, and where the known tree is no longer there (another
    /// repository, or `git gc` after a forced move).
    fn changes(&self, repo: &Repo, tree: TreeId, prefix: &str) -> Option<Vec<Change>> {
        let known = self.known.as_ref().filter(|known| known.prefix == prefix)?;
        let changes = repo.diff_trees(Some(known.tree), Some(tree), prefix, &load::wanted).ok()?;
        (!changes.iter().any(|change| &*change.path == SETTINGS)).then_some(changes)
    }

    fn advance(&mut self, repo: &Repo, tree: TreeId, changes: &[Change]) -> Result<()> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let mut parts: Vec<(Arc<str>, Option<Part>)> = Vec::with_capacity(changes.len());
        for change in changes.iter().filter(|change| known.filter.admits(&change.path)) {
            let part = change.new.map(|side| part(repo, change.path.clone(), side.kind, side.blob)).transpose()?;
            parts.push((change.path.clone(), part));
        }
        for (path, part) in parts {
            match part {
                Some(part) => known.files.insert(path, part),
                None => known.files.remove(&path),
            };
        }
        known.tree = tree;
        load::within_limits(known.files.len(), known.files.values().map(|part| part.size).sum())
    }
}

fn whole(repo: &Repo, tree: TreeId, prefix: &str) -> Result<Known> {
    let mut listing = repo.list_tree(tree, prefix, &load::wanted)?;
    let filter = load::filter(&listing)?;
    let parts = load::read_parts(&mut listing, &filter, &NoProgress)?;
    let part = |(entry, loaded): (&Entry, Loaded)| (entry.path.clone(), Part { size: entry.size, loaded });
    let files = listing.entries.iter().zip(parts).map(part).collect();
    Ok(Known { tree, prefix: prefix.to_owned(), filter, files })
}

fn part(repo: &Repo, path: Arc<str>, kind: EntryKind, blob: Option<BlobId>) -> Result<Part> {
    let size = blob.map_or(Ok(0), |blob| repo.blob_size(blob))?;
    let entry = Entry { path, kind, size, blob };
    let loaded = match (load::skipped(&entry), blob) {
        (Some(loaded), _) => loaded,
        (None, Some(blob)) => {
            let bytes = repo.read_blob(blob).with_context(|| format!("cannot read `{}`", entry.path))?;
            load::parse(&entry, bytes)
        }
        // A file of a tree has a blob; what has none is no file.
        (None, None) => Loaded::not_a_file(entry.path.clone(), kind.describe()),
    };
    Ok(Part { size, loaded })
}

/// Documents of texts that somebody kept, by their paths: judged as if they came from git.
pub fn read_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Loaded {
    let mut loaded = Loaded::default();
    for (path, text) in files {
        loaded.append(load_file(path, text.as_bytes().to_owned(), &Limits::DEFAULT));
    }
    loaded
}

/// The documents of the work tree.
///
/// # Errors
/// Where the folder cannot be read.
pub fn read_worktree(root: &Root) -> Result<Loaded> {
    load::read(root.list_work_tree(&load::wanted)?, &NoProgress)
}

/// A file as a look at its folder shows it: path, size and time of change.
pub type FileStamp = (Arc<str>, u64, Option<SystemTime>);

/// The files of the work tree that would be read.
///
/// # Errors
/// Where the folder cannot be read.
pub fn worktree_files(root: &Root) -> Result<Vec<FileStamp>> {
    let dir = root.dir()?;
    let changed = |path: &str| std::fs::metadata(dir.join(path)).and_then(|found| found.modified()).ok();
    let listing = root.list_work_tree(&load::wanted)?;
    Ok(listing.entries.into_iter().map(|entry| (entry.path.clone(), entry.size, changed(&entry.path))).collect())
}

/// The settings before any set is served: those that people work on.
pub fn first_settings(root: &Root) -> Settings {
    environment::worked_on(root).unwrap_or_default()
}
