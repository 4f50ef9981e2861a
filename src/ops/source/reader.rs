//! One commit after another: what did not change from one tree to the next is not read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use refguard_core::document::{Body, Document, Limits, Loaded, SourceFile, load_file};
use refguard_core::policy::{FileChange, PolicySet, Settings, named_policies};
use refguard_core::resolve::Engine;

use crate::ops::change::environment;
use crate::ops::source::filter::{Filter, SETTINGS};
use crate::ops::source::load::{self, NoProgress, Progress};
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
    /// Files with documents that are neither policies nor attachments.
    others: BTreeSet<Arc<str>>,
    bytes: u64,
}

/// What one file came to.
struct Part {
    size: u64,
    loaded: Loaded,
}

/// What differs from the tree that was read before.
#[derive(Debug)]
pub struct Delta {
    /// The tree that was read before.
    pub from: TreeId,
    before: Vec<Document>,
    after: Vec<Document>,
    faultless: bool,
}

impl SetReader {
    /// Reads a commit's tree below a prefix: only what differs from the tree that was read before, which
    /// is given; `None` where all was read anew. A failure leaves what is known as it was.
    ///
    /// # Errors
    /// Where the tree or a file of it cannot be read, or it passes a limit.
    pub fn advance(
        &mut self,
        repo: &Repo,
        commit: CommitId,
        prefix: &str,
    ) -> Result<Option<Delta>> {
        self.advance_to(repo, repo.tree_of(commit)?, prefix, &NoProgress)
    }

    /// As [`SetReader::advance`], of a tree. `progress` hears of a tree that is read whole.
    ///
    /// # Errors
    /// As there.
    pub(in crate::ops) fn advance_to(
        &mut self,
        repo: &Repo,
        tree: TreeId,
        prefix: &str,
        progress: &dyn Progress,
    ) -> Result<Option<Delta>> {
        match (self.changes(repo, tree, prefix), &mut self.known) {
            (Some(changes), Some(known)) => known.advance(repo, tree, &changes).map(Some),
            _ => {
                self.known = Some(whole(repo, tree, prefix, progress)?);
                Ok(None)
            }
        }
    }

    /// The tree that was read last.
    pub fn tree(&self) -> Option<TreeId> {
        self.known.as_ref().map(|known| known.tree)
    }

    /// All documents of the tree that was read last.
    pub fn loaded(&self) -> Loaded {
        let mut loaded = Loaded::default();
        for part in self.parts() {
            loaded.append(part.loaded.clone());
        }
        loaded
    }

    /// The files of those documents.
    pub fn sources(&self) -> Vec<SourceFile> {
        self.parts().flat_map(|part| part.loaded.sources.iter().cloned()).collect()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.known.iter().flat_map(|known| known.files.values())
    }

    /// What answers for the tree that was read last, made from what answers for the one before; `None`
    /// where the whole must be judged.
    pub fn patch(&self, delta: &Delta, engine: &Engine) -> Option<Engine> {
        let known = self.known.as_ref().filter(|_| delta.faultless)?;
        let set = engine.set();
        let around = known.company(set, &delta.after)?;
        let change = FileChange { before: &delta.before, after: &delta.after, around: &around };
        Some(engine.patched(set.patched(change)?))
    }

    /// What differs from the tree that is known; `None` where all must be read: at first, where the
    /// settings that say what is read have changed, and where the known tree is no longer there (another
    /// repository, or `git gc` after a forced move).
    fn changes(&self, repo: &Repo, tree: TreeId, prefix: &str) -> Option<Vec<Change>> {
        let known = self.known.as_ref().filter(|known| known.prefix == prefix)?;
        let changes = repo.diff_trees(Some(known.tree), Some(tree), prefix, &load::wanted).ok()?;
        (!changes.iter().any(|change| &*change.path == SETTINGS)).then_some(changes)
    }
}

impl Known {
    fn advance(&mut self, repo: &Repo, tree: TreeId, changes: &[Change]) -> Result<Delta> {
        let mut parts: Vec<(Arc<str>, Option<Part>)> = Vec::with_capacity(changes.len());
        for change in changes.iter().filter(|change| self.filter.admits(&change.path)) {
            let part = change
                .new
                .map(|side| part(repo, change.path.clone(), side.kind, side.blob))
                .transpose()?;
            parts.push((change.path.clone(), part));
        }
        let from = std::mem::replace(&mut self.tree, tree);
        let mut delta = Delta { from, before: Vec::new(), after: Vec::new(), faultless: true };
        for (path, part) in parts {
            if let Some(part) = &part {
                delta.after.extend(part.loaded.documents.iter().cloned());
                delta.faultless &= part.loaded.findings.is_empty();
            }
            let old = self.put(path, part);
            delta.before.extend(old.into_iter().flat_map(|old| old.loaded.documents));
        }
        load::within_limits(self.files.len(), self.bytes)?;
        Ok(delta)
    }

    /// Puts a file in the place of another, or takes it away; gives what was there.
    fn put(&mut self, path: Arc<str>, part: Option<Part>) -> Option<Part> {
        let is_other =
            |document: &Document| !matches!(document.body, Body::Policy(_) | Body::Attachment(_));
        match &part {
            Some(part) if part.loaded.documents.iter().any(is_other) => {
                self.others.insert(path.clone())
            }
            _ => self.others.remove(&path),
        };
        self.bytes += part.as_ref().map_or(0, |part| part.size);
        let old = match part {
            Some(part) => self.files.insert(path, part),
            None => self.files.remove(&path),
        };
        self.bytes -= old.as_ref().map_or(0, |old| old.size);
        old
    }

    /// The documents in whose company a change can be judged: catalogs and settings, the policies that it
    /// names, and all above them.
    fn company(&self, set: &PolicySet, after: &[Document]) -> Option<Vec<Document>> {
        let others = self.others.iter().filter_map(|path| self.files.get(path));
        let judges =
            |document: &&Document| matches!(document.body, Body::Catalog(_) | Body::Repository(_));
        let mut company: Vec<Document> =
            others.flat_map(|part| &part.loaded.documents).filter(judges).cloned().collect();
        let mut here: BTreeSet<String> =
            after.iter().filter_map(policy_name).map(str::to_owned).collect();
        let mut wanted: Vec<String> = named_policies(after).map(str::to_owned).collect();
        while let Some(name) = wanted.pop() {
            if here.insert(name.clone()) {
                let document = self.policy(set, &name)?.clone();
                wanted.extend(named_policies(std::slice::from_ref(&document)).map(str::to_owned));
                company.push(document);
            }
        }
        Some(company)
    }

    /// The document of a policy of a set that was made from what is known, or from the tree before.
    fn policy(&self, set: &PolicySet, name: &str) -> Option<&Document> {
        let (_, policy) = set.find(name)?;
        let part = self.files.get(&policy.place.file)?;
        part.loaded.documents.iter().find(|document| policy_name(document) == Some(name))
    }
}

fn policy_name(document: &Document) -> Option<&str> {
    match &document.body {
        Body::Policy(raw) => Some(raw.name.as_str()),
        _ => None,
    }
}

fn whole(repo: &Repo, tree: TreeId, prefix: &str, progress: &dyn Progress) -> Result<Known> {
    let mut listing = repo.list_tree(tree, prefix, &load::wanted)?;
    let filter = load::filter(&listing)?;
    let parts = load::read_parts(&mut listing, &filter, progress)?;
    let (files, others) = (BTreeMap::new(), BTreeSet::new());
    let mut known = Known { tree, prefix: prefix.to_owned(), filter, files, others, bytes: 0 };
    for (entry, loaded) in listing.entries.iter().zip(parts) {
        known.put(entry.path.clone(), Some(Part { size: entry.size, loaded }));
    }
    Ok(known)
}

fn part(repo: &Repo, path: Arc<str>, kind: EntryKind, blob: Option<BlobId>) -> Result<Part> {
    let size = blob.map_or(Ok(0), |blob| repo.blob_size(blob))?;
    let entry = Entry { path, kind, size, blob };
    let loaded = match (load::skipped(&entry), blob) {
        (Some(loaded), _) => loaded,
        (None, Some(blob)) => {
            let bytes =
                repo.read_blob(blob).with_context(|| format!("cannot read `{}`", entry.path))?;
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

/// Whether a commit holds exactly these texts at these paths below a prefix; `None` where the repository does not have
/// the commit or its trees. Nothing is parsed: contents are compared by their ids.
pub fn holds_files<'a>(
    repo: &Repo,
    commit: CommitId,
    prefix: &str,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Option<bool> {
    let sides = repo.tree_sides(repo.tree_of(commit).ok()?, prefix, &load::wanted).ok()?;
    let held: BTreeMap<Arc<str>, Option<BlobId>> =
        sides.into_iter().map(|(path, side)| (path, side.blob)).collect();
    let is_held = |(path, text): (&str, &[u8])| {
        held.get(path).is_some_and(|blob| *blob == Some(BlobId::of(text)))
    };
    Some(files.into_iter().all(is_held))
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
    let changed =
        |path: &str| std::fs::metadata(dir.join(path)).and_then(|found| found.modified()).ok();
    let listing = root.list_work_tree(&load::wanted)?;
    Ok(listing
        .entries
        .into_iter()
        .map(|entry| (entry.path.clone(), entry.size, changed(&entry.path)))
        .collect())
}

/// The settings before any set is served: those that people work on.
pub fn first_settings(root: &Root) -> Settings {
    environment::worked_on(root).unwrap_or_default()
}
