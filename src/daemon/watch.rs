//! Hints from the file system that something may have changed. The follower reads the refs itself:
//! a hint is never taken for a fact.
//!
//! Folders are watched, never single files: a watch on a file dies when something is renamed over
//! it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use notify::event::EventKind;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::notes::lock_unpoisoned;

/// What wakes the follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// Something in the git directory.
    Refs,
    /// Something in the work tree.
    Worktree,
    /// SIGHUP.
    Urged,
    /// A fetch has ended.
    Fetched,
    /// A loader has something to report.
    Loaded,
    /// The daemon ends.
    Stop,
}

/// A folder that is to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    pub path: PathBuf,
    pub recursive: bool,
}

/// Watches folders, and follows them when another takes their place.
pub(super) struct Watcher {
    hints: Sender<Hint>,
    native: Option<RecommendedWatcher>,
    /// What is watched, and which folder it was.
    watched: BTreeMap<PathBuf, Identity>,
    /// Folders of git within the work tree: what happens there is no change of the work tree.
    git: Arc<Mutex<Vec<PathBuf>>>,
    worktree: Arc<Mutex<Option<PathBuf>>>,
}

type Identity = (u64, u64);

impl Watcher {
    pub fn new(hints: Sender<Hint>) -> Self {
        let (git, worktree) = (Arc::default(), Arc::default());
        Self {
            hints,
            native: None,
            watched: BTreeMap::new(),
            git,
            worktree,
        }
    }

    /// Says which folders are git's, and which is the work tree.
    pub fn watched_places(&self, git: Vec<PathBuf>, worktree: Option<PathBuf>) {
        *lock_unpoisoned(&self.git) = git;
        *lock_unpoisoned(&self.worktree) = worktree;
    }

    /// Watches these folders and no others.
    ///
    /// # Errors
    /// Where the system does not let it, in words for people; polling must do then.
    pub fn watch_path(&mut self, folders: &[Folder]) -> Result<(), String> {
        let mut native = match self.native.take() {
            Some(native) => native,
            None => self.native_watcher().map_err(describe_error)?,
        };
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, identity)| {
                !folders.iter().any(|folder| folder.path == **path)
                    || self::file_identity(path) != Some(**identity)
            })
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.watched.remove(&path);
            // It may be gone already.
            let _ = native.unwatch(&path);
        }
        let result = folders
            .iter()
            .try_for_each(|folder| self.add_watch(&mut native, folder));
        self.native = Some(native);
        result
    }

    fn add_watch(
        &mut self,
        native: &mut RecommendedWatcher,
        folder: &Folder,
    ) -> Result<(), String> {
        let Some(identity) =
            file_identity(&folder.path).filter(|_| !self.watched.contains_key(&folder.path))
        else {
            return Ok(());
        };
        let mode = if folder.recursive {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        native.watch(&folder.path, mode).map_err(describe_error)?;
        self.watched.insert(folder.path.clone(), identity);
        Ok(())
    }

    fn native_watcher(&self) -> notify::Result<RecommendedWatcher> {
        let (hints, git, worktree) = (self.hints.clone(), self.git.clone(), self.worktree.clone());
        notify::recommended_watcher(move |event: notify::Result<Event>| {
            let hint = match &event {
                Ok(event) => classify_event(
                    event,
                    &lock_unpoisoned(&git),
                    lock_unpoisoned(&worktree).as_deref(),
                ),
                Err(_) => Some(Hint::Refs),
            };
            if let Some(hint) = hint {
                // Without a follower the daemon is about to end.
                let _ = hints.send(hint);
            }
        })
    }
}

/// What an event is a hint of. Reading is none: the follower's own look at a ref would wake it
/// again.
fn classify_event(event: &Event, git: &[PathBuf], worktree: Option<&Path>) -> Option<Hint> {
    if matches!(event.kind, EventKind::Access(_)) {
        return None;
    }
    if event.need_rescan() || event.paths.is_empty() {
        return Some(if worktree.is_some() {
            Hint::Worktree
        } else {
            Hint::Refs
        });
    }
    let in_git = |path: &PathBuf| git.iter().any(|git| path.starts_with(git));
    let in_worktree = |path: &PathBuf| {
        !in_git(path) && worktree.is_some_and(|worktree| path.starts_with(worktree))
    };
    Some(if event.paths.iter().any(in_worktree) {
        Hint::Worktree
    } else {
        Hint::Refs
    })
}

#[cfg(unix)]
fn file_identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path)
        .ok()
        .filter(fs::Metadata::is_dir)
        .map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn file_identity(path: &Path) -> Option<Identity> {
    fs::metadata(path)
        .ok()
        .filter(fs::Metadata::is_dir)
        .map(|_| (0, 0))
}

fn describe_error(error: notify::Error) -> String {
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => "the system's limit of watches is reached".to_owned(),
        _ => error.to_string(),
    }
}

/// The folders that tell of a ref: the git directory (packed refs, the folder itself), and the
/// loose ref's own with those above it, as far as they exist.
pub(super) fn ref_folders(common_dir: &Path, references: &[&str]) -> Vec<Folder> {
    let mut folders = vec![common_dir.to_owned(), common_dir.join("refs")];
    for reference in references {
        let file = common_dir.join(reference);
        let above = file
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != common_dir);
        folders.extend(above.map(Path::to_owned));
    }
    folders.sort();
    folders.dedup();
    folders.retain(|folder| folder.is_dir());
    folders
        .into_iter()
        .map(|path| Folder {
            path,
            recursive: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag, ModifyKind};

    use super::*;

    fn hint(kind: EventKind, path: &str) -> Option<Hint> {
        let event = Event::new(kind).add_path(PathBuf::from(path));
        classify_event(&event, &[PathBuf::from("/r/.git")], Some(Path::new("/r")))
    }

    #[test]
    fn reading_wakes_nobody_and_gits_own_files_are_no_work_tree() {
        assert_eq!(
            hint(EventKind::Access(AccessKind::Any), "/r/policies/a.yaml"),
            None
        );
        assert_eq!(
            hint(EventKind::Modify(ModifyKind::Any), "/r/policies/a.yaml"),
            Some(Hint::Worktree)
        );
        assert_eq!(
            hint(
                EventKind::Create(CreateKind::File),
                "/r/.git/refs/heads/x.lock"
            ),
            Some(Hint::Refs)
        );
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(
            classify_event(&lost, &[], Some(Path::new("/r"))),
            Some(Hint::Worktree)
        );
        assert_eq!(classify_event(&lost, &[], None), Some(Hint::Refs));
    }
}
