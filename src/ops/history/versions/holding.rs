//! Which file holds which policy, from commit to commit: the rules of what counts as a change.
//!
//! Pure: what files say comes in, what became of policies goes out. Must not know git.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::digest::Digest;
use super::documents::FileDocs;
use crate::ops::source::filter::{Filter, SETTINGS};
use crate::repo::BlobId;

/// Texts by number: names and paths are many and long.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    list: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
}

impl Texts {
    pub fn number(&mut self, text: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(text.clone());
        self.numbers.insert(text.clone(), number);
        number
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub fn text(&self, number: u32) -> &str {
        self.list.get(number as usize).map_or("", |text| text)
    }

    pub fn all(&self) -> &[Arc<str>] {
        &self.list
    }
}

/// A policy's document, by what it says and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub digest: Digest,
    /// The file's content that the document was read from.
    pub blob: BlobId,
    /// The file's path.
    pub path: u32,
}

/// One document in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub name: u32,
    pub digest: Digest,
    pub blob: BlobId,
}

/// A file that a commit changed.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub path: Arc<str>,
    /// What it says now; `None`: it is gone.
    pub now: Option<Now>,
}

/// What a file says.
#[derive(Debug, Clone)]
pub(super) struct Now {
    pub docs: Arc<FileDocs>,
    /// Its content; none of what is no plain file.
    pub blob: Option<BlobId>,
}

/// What became of a policy that an edit touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// No file holds it.
    Absent,
    /// This is its document.
    Is(Content),
    /// It stands in two places at once: which one counts cannot be said.
    Ambiguous,
}

/// The files that hold policies, as of one commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Holding {
    pub names: Texts,
    pub paths: Texts,
    /// Of every file that holds policies, counted or not, its documents.
    pub files: FxHashMap<u32, Vec<Held>>,
    /// Where each policy stands, among the files that count.
    holders: FxHashMap<u32, Vec<Content>>,
    filter: Arc<Filter>,
    /// The settings that `filter` was read from.
    pub settings: Option<BlobId>,
}

impl Holding {
    /// As it was kept.
    pub fn kept(
        names: Texts,
        paths: Texts,
        files: FxHashMap<u32, Vec<Held>>,
        settings: Option<(BlobId, Arc<Filter>)>,
    ) -> Self {
        let (settings, filter) = settings.unzip();
        let mut holding = Self {
            names,
            paths,
            files,
            holders: FxHashMap::default(),
            filter: filter.unwrap_or_default(),
            settings,
        };
        holding.count_again();
        holding
    }

    /// Takes in what a commit changed; says what became of each policy that this touched, by name.
    ///
    /// With `lenient`, a policy that a faulty file held before and does not show now keeps its
    /// document: the fault made no version. Otherwise it is gone.
    pub fn edit(&mut self, edits: &[Edit], lenient: bool) -> Vec<(u32, Outcome)> {
        let mut touched = FxHashSet::default();
        for edit in edits {
            if &*edit.path == SETTINGS {
                self.follow_settings(edit, &mut touched);
            }
            self.edit_file(edit, lenient, &mut touched);
        }
        let mut touched: Vec<u32> = touched.into_iter().collect();
        touched.sort_unstable();
        touched
            .into_iter()
            .map(|name| (name, self.outcome(name)))
            .collect()
    }

    /// Where a policy stands now.
    pub fn outcome(&self, name: u32) -> Outcome {
        match self.holders.get(&name).map_or(&[][..], Vec::as_slice) {
            [] => Outcome::Absent,
            [content] => Outcome::Is(*content),
            _ => Outcome::Ambiguous,
        }
    }

    /// The paths of the files that hold policies.
    pub fn held_paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(|path| self.paths.text(*path))
    }

    fn edit_file(&mut self, edit: &Edit, lenient: bool, touched: &mut FxHashSet<u32>) {
        let path = self.paths.number(&edit.path);
        let before = self.files.remove(&path).unwrap_or_default();
        let mut after = Vec::new();
        if let Some(now) = &edit.now {
            for (name, digest) in &now.docs.policies {
                let name = self.names.number(name);
                after.extend(now.blob.map(|blob| Held {
                    name,
                    digest: *digest,
                    blob,
                }));
            }
            if now.docs.broken && lenient {
                let lost = |held: &&Held| !after.iter().any(|found| found.name == held.name);
                let lost: Vec<Held> = before.iter().filter(lost).copied().collect();
                after.extend(lost);
            }
        }
        for held in before.iter().chain(&after) {
            touched.insert(held.name);
            if let Some(contents) = self.holders.get_mut(&held.name) {
                contents.retain(|content| content.path != path);
            }
        }
        if self.filter.admits(&edit.path) {
            self.count(path, &after);
        }
        if !after.is_empty() {
            self.files.insert(path, after);
        }
    }

    fn count(&mut self, path: u32, held: &[Held]) {
        for Held { name, digest, blob } in held {
            self.holders.entry(*name).or_default().push(Content {
                digest: *digest,
                blob: *blob,
                path,
            });
        }
    }

    /// Settings that cannot be read change nothing; without any, every file counts.
    fn follow_settings(&mut self, edit: &Edit, touched: &mut FxHashSet<u32>) {
        let (settings, filter) = match &edit.now {
            None => (None, Arc::default()),
            Some(now) => match (&now.docs.filter, now.blob) {
                (Some(filter), Some(blob)) => (Some(blob), filter.clone()),
                _ => return,
            },
        };
        let same = *self.filter == *filter;
        (self.settings, self.filter) = (settings, filter);
        if !same {
            touched.extend(self.files.values().flatten().map(|held| held.name));
            self.count_again();
        }
    }

    fn count_again(&mut self) {
        self.holders.clear();
        let files = std::mem::take(&mut self.files);
        for (path, held) in &files {
            if self.filter.admits(self.paths.text(*path)) {
                self.count(*path, held);
            }
        }
        self.files = files;
    }
}
