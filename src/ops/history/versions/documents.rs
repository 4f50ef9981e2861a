//! What files of the past say of policies: one thread reads them from git, the others parse.

use std::sync::Arc;
use std::sync::mpsc;

use anyhow::Result;
use refguard_core::document::{Body, Finding, is_yaml_name, load_file, our_folder};
use refguard_core::policy::raw_policy_digest;
use rustc_hash::{FxHashMap, FxHashSet};

use super::digest::Digest;
use crate::ops::source::filter::{Filter, SETTINGS};
use crate::ops::source::load::{LIMITS, far_too_large};
use crate::repo::{BlobId, Change, CommitId, Repo, Side};

/// Files handed to another thread at once.
const BATCH: usize = 64;

/// What one file says of policies.
#[derive(Debug, Default)]
pub(super) struct FileDocs {
    /// The policies among its documents.
    pub policies: Vec<(Arc<str>, Digest)>,
    /// Whether any of it is at fault, so that a policy could be hidden in it.
    pub broken: bool,
    /// Of the settings, which files they say count.
    pub filter: Option<Arc<Filter>>,
}

/// What a file's documents depend on: its content, and whether its place is one of ours, where
/// everything has to be a document of ours.
type Key = (BlobId, DocumentPlace);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum DocumentPlace {
    Settings,
    Ours,
    Other,
}

impl DocumentPlace {
    fn of(path: &str) -> Self {
        match our_folder(path) {
            _ if path == SETTINGS => Self::Settings,
            Some(_) => Self::Ours,
            None => Self::Other,
        }
    }
}

/// The files that were read so far, in the order of history.
#[derive(Debug, Default)]
pub(super) struct Documents {
    known: FxHashMap<Key, Arc<FileDocs>>,
    /// Paths that may have held a policy: whatever stands there now has to be looked at.
    suspects: FxHashSet<String>,
}

/// A commit, and the files that it changed.
pub(super) type Changed = (CommitId, Vec<Change>);

/// A file's content on its way to be parsed.
struct Job {
    key: Key,
    path: String,
    bytes: Vec<u8>,
}

impl Documents {
    /// Nothing read yet, where these paths are known to hold policies.
    pub fn after<'a>(held: impl Iterator<Item = &'a str>) -> Self {
        Self {
            known: FxHashMap::default(),
            suspects: held.map(str::to_owned).collect(),
        }
    }

    /// Reads what commits changed, oldest first, and those of the files that are not known yet.
    pub fn read(
        &mut self,
        repo: &Repo,
        commits: impl Iterator<Item = Result<Changed>>,
        changed: &mut Vec<Changed>,
    ) -> Result<()> {
        let (sender, receiver) = mpsc::channel::<(Key, FileDocs)>();
        rayon::in_place_scope(|scope| -> Result<()> {
            let mut batch = Vec::with_capacity(BATCH);
            let hand_over = |jobs: Vec<Job>| {
                let sender = sender.clone();
                scope.spawn(move |_| {
                    for Job { key, path, bytes } in jobs {
                        // The receiver outlives the scope.
                        let _ = sender.send((key, parse_documents(&path, bytes)));
                    }
                });
            };
            for commit in commits {
                let commit = commit?;
                for change in &commit.1 {
                    let Some(side) = change.new else { continue };
                    batch.extend(self.fetch(repo, &change.path, side)?);
                    if batch.len() == BATCH {
                        hand_over(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)));
                    }
                }
                changed.push(commit);
            }
            hand_over(batch);
            Ok(())
        })?;
        drop(sender);
        self.known
            .extend(receiver.iter().map(|(key, docs)| (key, Arc::new(docs))));
        Ok(())
    }

    /// A file's content, if it has to be parsed.
    fn fetch(&mut self, repo: &Repo, path: &str, side: Side) -> Result<Option<Job>> {
        let Some(blob) = side.blob.filter(|_| is_yaml_name(path)) else {
            return Ok(None);
        };
        let key = (blob, DocumentPlace::of(path));
        if self.known.contains_key(&key) {
            self.suspects.insert(path.to_owned());
            return Ok(None);
        }
        if far_too_large(repo.blob_size(blob)?) {
            self.known.insert(
                key,
                Arc::new(FileDocs {
                    broken: true,
                    ..FileDocs::default()
                }),
            );
            return Ok(None);
        }
        let bytes = repo.read_blob(blob)?;
        if may_hold_a_policy(&bytes) {
            self.suspects.insert(path.to_owned());
        } else if key.1 != DocumentPlace::Settings && !self.suspects.contains(path) {
            return Ok(None);
        }
        // The place is taken now, so that the same content is not read twice.
        self.known.insert(key, Arc::default());
        Ok(Some(Job {
            key,
            path: path.to_owned(),
            bytes,
        }))
    }

    /// What a file that was read says.
    pub fn get(&self, path: &str, side: Side) -> Arc<FileDocs> {
        match side.blob {
            Some(_) if !is_yaml_name(path) => Arc::default(),
            Some(blob) => self
                .known
                .get(&(blob, DocumentPlace::of(path)))
                .cloned()
                .unwrap_or_default(),
            // A link or the like hides what was there.
            None => Arc::new(FileDocs {
                broken: true,
                ..FileDocs::default()
            }),
        }
    }
}

/// Which files count by settings of the past.
pub(super) fn read_settings(repo: &Repo, blob: BlobId) -> Option<Arc<Filter>> {
    parse_documents(SETTINGS, repo.read_blob(blob).ok()?).filter
}

/// A cheap no: the text of a policy has its version and its kind in it, but for escapes.
fn may_hold_a_policy(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return true;
    };
    let other_kind = |rest: &str| rest.starts_with("Attachment") || rest.starts_with("Test");
    let names_the_kind = || text.split("Policy").skip(1).any(|rest| !other_kind(rest));
    text.contains('\\') || (text.contains("refguard/v1") && names_the_kind())
}

/// What the content of a file says.
fn parse_documents(path: &str, bytes: Vec<u8>) -> FileDocs {
    let loaded = load_file(path, bytes, &LIMITS);
    let broken = loaded.findings.iter().any(Finding::is_error);
    let mut docs = FileDocs {
        broken,
        ..FileDocs::default()
    };
    let is_settings = path == SETTINGS;
    for document in &loaded.documents {
        if let Body::Policy(raw) = &document.body {
            let digest = Digest::from_hex(&raw_policy_digest(raw));
            docs.policies
                .extend(digest.map(|digest| (raw.name.as_str().into(), digest)));
        }
    }
    if is_settings && !broken {
        docs.filter = Filter::of_documents(&loaded.documents).ok().map(Arc::new);
    }
    docs
}
