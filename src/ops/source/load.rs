//! From a listing to documents: what is of interest, what passes a limit, and reading in parallel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use rayon::prelude::*;
use refguard_core::document::rules::empty_set;
use refguard_core::document::{
    Body, Document, Finding, Limits, Loaded, SourceFile, is_read_name, load_file, our_folder,
};

use crate::ops::source::filter::{Filter, SETTINGS};
use crate::repo::{BlobId, CommitId, Entry, EntryKind, Listing, Repo, Root};

/// Hears how far reading has come.
pub trait Progress: Sync {
    /// So many of so many files are read.
    fn step(&self, done: usize, total: usize);
}

/// Nobody listens.
pub struct NoProgress;

impl Progress for NoProgress {
    fn step(&self, _done: usize, _total: usize) {}
}

/// The limits of every set that is read.
pub(in crate::ops) const LIMITS: Limits = Limits::DEFAULT;

/// Files handed to another thread at once when they come one by one from git.
const BATCH: usize = 64;

/// What of a tree is of interest: YAML files everywhere, and everything under our folders.
pub(in crate::ops) fn wanted(path: &str, kind: EntryKind) -> bool {
    let ours = our_folder(path).is_some() || refguard_core::document::OUR_FOLDERS.contains(&path);
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    match kind {
        EntryKind::File => is_read_name(name) || (ours && !name.starts_with('.')),
        EntryKind::Submodule => ours,
        EntryKind::Unreadable | EntryKind::NotUtf8 => true,
        _ => is_read_name(name) || ours,
    }
}

/// Reads every entry of a listing into documents and findings, in the order of the paths.
pub(in crate::ops) fn read(mut listing: Listing<'_>, progress: &dyn Progress) -> Result<Loaded> {
    let settings = settings_documents(&listing)?;
    let faults = Filter::faults(&settings);
    // A glob that cannot be read is passed over: its fault keeps what is read from being a set.
    let filter = match faults.as_slice() {
        [] => Filter::of_documents(&settings)?,
        _ => Filter::of_readable(&settings)?,
    };
    let idle = filter.idle_globs(listing.entries.iter().map(|entry| &*entry.path));
    let mut loaded = Loaded::default();
    read_parts(&mut listing, &filter, progress)?
        .into_iter()
        .for_each(|part| loaded.append_loaded(part));
    if faults.is_empty() {
        loaded.findings.extend(idle.findings(&loaded.documents));
    }
    loaded.findings.extend(faults);
    Ok(loaded)
}

/// Reads every entry that a filter admits, each for itself; the others leave the listing.
pub(in crate::ops) fn read_parts(
    listing: &mut Listing<'_>,
    filter: &Filter,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>> {
    listing.entries.retain(|entry| filter.admits(&entry.path));
    let files = listing.entries.len();
    within_limits(files, listing.entries.iter().map(|entry| entry.size).sum())?;
    let done = AtomicUsize::new(0);
    let tick = || progress.step(done.fetch_add(1, Ordering::Relaxed) + 1, files);
    let in_git = listing.entries.iter().any(|entry| entry.blob.is_some());
    if in_git {
        read_git(listing, &tick)
    } else {
        read_disk(listing, &tick)
    }
}

/// Refuses a set that is too large as a whole.
pub(in crate::ops) fn within_limits(files: usize, bytes: u64) -> Result<()> {
    if files > LIMITS.files {
        bail!(
            "the set has {files} files: the limit `files` is {}",
            LIMITS.files
        );
    }
    if bytes > LIMITS.total_bytes {
        bail!(
            "the set has {bytes} bytes: the limit `total-bytes` is {}",
            LIMITS.total_bytes
        );
    }
    Ok(())
}

/// From disk: each thread reads and parses its own files.
fn read_disk(listing: &Listing<'_>, tick: &(dyn Fn() + Sync)) -> Result<Vec<Loaded>> {
    let read = |entry: &Entry| {
        let loaded = match skipped(entry) {
            Some(loaded) => loaded,
            None => parse(entry, content(listing, entry)?),
        };
        tick();
        Ok(loaded)
    };
    listing.entries.par_iter().map(read).collect()
}

/// From git: one thread reads (more do not make libgit2 faster), the others parse.
fn read_git(listing: &Listing<'_>, tick: &(dyn Fn() + Sync)) -> Result<Vec<Loaded>> {
    let (sender, receiver) = mpsc::channel::<(usize, Vec<Loaded>)>();
    rayon::in_place_scope(|scope| -> Result<()> {
        for (number, batch) in listing.entries.chunks(BATCH).enumerate() {
            let mut contents = Vec::with_capacity(batch.len());
            for entry in batch {
                contents.push(match skipped(entry) {
                    Some(loaded) => Err(loaded),
                    None => Ok(content(listing, entry)?),
                });
                tick();
            }
            let sender = sender.clone();
            scope.spawn(move |_| {
                let parse = |(entry, content)| match content {
                    Ok(bytes) => parse(entry, bytes),
                    Err(loaded) => loaded,
                };
                // The receiver outlives the scope.
                let _ = sender.send((number, batch.iter().zip(contents).map(parse).collect()));
            });
        }
        Ok(())
    })?;
    drop(sender);
    let mut parts: Vec<(usize, Vec<Loaded>)> = receiver.iter().collect();
    parts.sort_by_key(|(number, _)| *number);
    Ok(parts.into_iter().flat_map(|(_, part)| part).collect())
}

/// The content of an entry that is a file.
pub(in crate::ops) fn content(listing: &Listing<'_>, entry: &Entry) -> Result<Vec<u8>> {
    listing
        .read_entry(entry)
        .with_context(|| format!("cannot read `{}`", entry.path))
}

pub(in crate::ops) fn parse(entry: &Entry, bytes: Vec<u8>) -> Loaded {
    load_file(entry.path.clone(), bytes, &LIMITS)
}

/// Whether a file is refused by its size wherever it stands, unread.
pub(in crate::ops) fn far_too_large(bytes: u64) -> bool {
    bytes > 64 * LIMITS.file_bytes as u64
}

/// What an entry comes to without being read, if it is not to be.
pub(in crate::ops) fn skipped(entry: &Entry) -> Option<Loaded> {
    if entry.kind != EntryKind::File {
        return Some(Loaded::not_a_file(
            entry.path.clone(),
            entry.kind.describe(),
        ));
    }
    if !is_read_name(&entry.path) {
        return Some(Loaded::stray_file(
            entry.path.clone(),
            our_folder(&entry.path).unwrap_or(""),
        ));
    }
    is_oversized(entry).then(|| Loaded::oversized_file(entry.path.clone(), entry.size, &LIMITS))
}

/// Whether a file is too large to be read where it stands. A large file elsewhere may be another
/// program's.
pub(in crate::ops) fn is_oversized(entry: &Entry) -> bool {
    let is_large = entry.size > LIMITS.file_bytes as u64 && our_folder(&entry.path).is_some();
    far_too_large(entry.size) || is_large
}

/// Which files count, by the settings that are among them.
pub(in crate::ops) fn filter(listing: &Listing<'_>) -> Result<Filter> {
    // What is wrong with the settings is found when the whole set is read.
    Filter::of_documents(&settings_documents(listing)?)
}

fn settings_documents(listing: &Listing<'_>) -> Result<Vec<Document>> {
    let is_settings = |entry: &&Entry| &*entry.path == SETTINGS && entry.kind == EntryKind::File;
    match listing.entries.iter().find(is_settings) {
        Some(entry) => Ok(parse(entry, content(listing, entry)?).documents),
        None => Ok(Vec::new()),
    }
}

/// Documents of texts that somebody kept, by their paths: judged as if they came from git.
pub fn read_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Loaded {
    let mut loaded = Loaded::default();
    for (path, text) in files {
        loaded.append_loaded(load_file(path, text.as_bytes().to_owned(), &LIMITS));
    }
    loaded
}

/// Whether a commit holds exactly these texts at these paths below a prefix; `None` where the
/// repository does not have the commit or its trees. Nothing is parsed: contents are compared by
/// their ids.
pub fn holds_files<'a>(
    repo: &Repo,
    commit: CommitId,
    prefix: &str,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Option<bool> {
    let sides = repo
        .tree_sides(repo.tree_of(commit).ok()?, prefix, &wanted)
        .ok()?;
    let held: BTreeMap<Arc<str>, Option<BlobId>> = sides
        .into_iter()
        .map(|(path, side)| (path, side.blob))
        .collect();
    let is_held = |(path, text): (&str, &[u8])| {
        held.get(path)
            .is_some_and(|blob| *blob == Some(BlobId::of(text)))
    };
    Some(files.into_iter().all(is_held))
}

/// The documents of the work tree.
///
/// # Errors
/// Where the folder cannot be read.
pub fn read_worktree(root: &Root) -> Result<Loaded> {
    read(root.list_work_tree(&wanted)?, &NoProgress)
}

/// A file as a look at its folder shows it: path, size and time of change.
pub type FileStamp = (Arc<str>, u64, Option<SystemTime>);

/// The files of the work tree that would be read.
///
/// # Errors
/// Where the folder cannot be read.
pub fn worktree_files(root: &Root) -> Result<Vec<FileStamp>> {
    let dir = root.dir()?;
    let changed = |path: &str| {
        std::fs::metadata(dir.join(path))
            .and_then(|found| found.modified())
            .ok()
    };
    let listing = root.list_work_tree(&wanted)?;
    Ok(listing
        .entries
        .into_iter()
        .map(|entry| (entry.path.clone(), entry.size, changed(&entry.path)))
        .collect())
}

/// The root, where no file of it can be named.
const FOLDER: &str = ".";

/// The finding that a tree holds nothing of ours besides its settings, if that is so.
pub(in crate::ops) fn empty_set(loaded: &Loaded) -> Option<Finding> {
    let is_settings = |document: &Document| matches!(document.body, Body::Repository(_));
    let holds_nothing = loaded.documents.iter().all(is_settings) && loaded.lost.is_empty();
    holds_nothing.then(|| {
        let settings = loaded
            .sources
            .iter()
            .find(|file| &**file.path() == SETTINGS);
        // Without them it is said of the folder: a file that is not there is no place.
        let missing = SourceFile::new(FOLDER, String::new());
        empty_set::report_empty(settings.unwrap_or(&missing))
    })
}
