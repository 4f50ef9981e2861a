//! The work tree as a source: its tracked and untracked files but not the ignored ones; outside
//! git, all files. Dot-folders are not searched, submodules not entered.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::ignored::Ignored;
use super::index::{IndexEntry, entry_of};
use super::listing::{MAX_ENTRIES, Reader, in_dot_folder, is_dot};
use super::{Entry, EntryKind, Listing, Repo, RepoError, Root, Wanted};

impl Root {
    /// The wanted entries of the folder on disk.
    pub fn list_work_tree(&self, wanted: Wanted<'_>) -> Result<Listing<'_>, RepoError> {
        let root = self.dir()?;
        let mut walk = Walk {
            root,
            wanted,
            git: None,
            entries: Vec::new(),
            skipped: Vec::new(),
            seen: 0,
            followed: HashSet::new(),
        };
        if let Some((repo, top)) = self
            .maybe_repo()
            .and_then(|repo| Some((repo, repo.work_tree()?)))
        {
            let tracked = repo.index_entries(self.prefix(), true)?;
            walk.git = Ignored::at_root(repo, top, root).map(|ignored| Git { ignored, tracked });
        }
        let listed = fs::read_dir(root).map_err(RepoError::io_error("read the folder", root))?;
        walk.walk_folder("", root, listed, false)?;
        let left_out = walk.take_left_out();
        walk.add_tracked_in_ignored_folders();
        let mut entries = measure_entry(root, walk.entries);
        let Some((repo, false)) = self.maybe_repo().zip(Some(left_out.is_empty())) else {
            return Ok(Listing::new(entries, Reader::Files(root.to_owned())));
        };

        let odb = repo.object_database()?;
        for (path, found) in &left_out {
            entries.push(entry_of(&odb, path.clone(), found)?);
        }
        Ok(Listing::new(
            entries,
            Reader::FilesAndBlobs(root.to_owned(), odb),
        ))
    }
}

impl Repo {
    /// Whether the work tree has something at a path, relative to its top, that no commit holds.
    pub fn has_uncommitted(&self, path: &str) -> Result<bool, RepoError> {
        let mut command = self.git_command([
            "status",
            "--porcelain",
            "--untracked-files=all",
            "--no-renames",
            "--",
            path,
        ]);
        // Only a look: no lock is taken to refresh the index, and the path is no pattern.
        command
            .with_env("GIT_OPTIONAL_LOCKS", "0")
            .with_env("GIT_LITERAL_PATHSPECS", "1");
        Ok(!command.run()?.stdout.is_empty())
    }
}

struct Walk<'a> {
    root: &'a Path,
    wanted: Wanted<'a>,
    /// What git knows; `None` where all files count.
    git: Option<Git>,
    entries: Vec<Entry>,
    /// Ignored folders, each with a final `/`.
    skipped: Vec<String>,
    seen: usize,
    /// Folders that a symbolic link has led to: each is read once, so that crossed links end.
    followed: HashSet<PathBuf>,
}

struct Git {
    ignored: Ignored,
    tracked: BTreeMap<String, IndexEntry>,
}

impl Walk<'_> {
    /// One folder: `at` is its path with a final `/`, `real` where it truly is. Below a symbolic
    /// link git looks for nothing, so nothing is ignored there.
    fn walk_folder(
        &mut self,
        at: &str,
        real: &Path,
        listed: fs::ReadDir,
        linked: bool,
    ) -> Result<(), RepoError> {
        let rules = !linked
            && self
                .git
                .as_mut()
                .is_some_and(|git| git.ignored.enter_folder(real));
        for item in listed {
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                return Err(RepoError::TooManyEntries { limit: MAX_ENTRIES });
            }
            match item.and_then(|item| Ok((item.file_type()?, item))) {
                Ok((kind, item)) => self.walk_item(at, real, kind, &item, linked)?,
                Err(_) => {
                    self.push_entry(at.trim_end_matches('/').to_owned(), EntryKind::Unreadable)
                }
            }
        }
        if let (true, Some(git)) = (rules, &mut self.git) {
            git.ignored.leave_folder();
        }
        Ok(())
    }

    fn walk_item(
        &mut self,
        at: &str,
        real: &Path,
        kind: FileType,
        item: &DirEntry,
        linked: bool,
    ) -> Result<(), RepoError> {
        let name = item.file_name();
        let Some(name) = name.to_str() else {
            self.push_entry(
                format!("{at}{}", name.to_string_lossy()),
                EntryKind::NotUtf8,
            );
            return Ok(());
        };
        let path = format!("{at}{name}");
        let place = real.join(name);
        if name == ".git" || (kind.is_dir() && is_dot(name)) {
            return Ok(());
        }
        if !linked && self.is_ignored(&path, &place, kind.is_dir()) {
            self.skipped.extend(kind.is_dir().then(|| path + "/"));
            return Ok(());
        }
        if kind.is_dir() {
            return self.enter_folder(path, &place, linked);
        }
        if kind.is_symlink() {
            return self.follow_link(path, real, &place, is_dot(name));
        }
        self.push_entry(
            path,
            if kind.is_file() {
                EntryKind::File
            } else {
                EntryKind::Special
            },
        );
        Ok(())
    }

    fn enter_folder(&mut self, path: String, place: &Path, linked: bool) -> Result<(), RepoError> {
        if self.git.is_some() && place.join(".git").symlink_metadata().is_ok() {
            self.push_entry(path, EntryKind::Submodule);
            return Ok(());
        }
        match fs::read_dir(place) {
            Ok(listed) => self.walk_folder(&(path + "/"), place, listed, linked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) => {
                self.push_entry(path, EntryKind::Unreadable);
                Ok(())
            }
        }
    }

    /// A symbolic link is what it leads to, if that is under the root: a mounted ConfigMap is made
    /// of them.
    fn follow_link(
        &mut self,
        path: String,
        parent: &Path,
        place: &Path,
        dot: bool,
    ) -> Result<(), RepoError> {
        let found = fs::canonicalize(place)
            .and_then(|target| fs::metadata(&target).map(|found| (target, found)));
        let Ok((target, found)) = found else {
            self.push_entry(path, EntryKind::LinkBroken);
            return Ok(());
        };
        if found.is_dir() && dot {
            return Ok(());
        }
        let kind = if !target.starts_with(self.root) {
            EntryKind::LinkOutside
        } else if found.is_dir()
            && (parent.starts_with(&target) || !self.followed.insert(target.clone()))
        {
            EntryKind::LinkLoop
        } else if found.is_dir() {
            return self.enter_folder(path, &target, true);
        } else if found.is_file() {
            EntryKind::File
        } else {
            EntryKind::Special
        };
        self.push_entry(path, kind);
        Ok(())
    }

    fn is_ignored(&self, path: &str, place: &Path, folder: bool) -> bool {
        self.git.as_ref().is_some_and(|git| {
            let tracked = !folder && git.tracked.contains_key(path);
            !tracked && git.ignored.is_ignored(place, folder)
        })
    }

    /// The files that a sparse checkout leaves out of the work tree, and which are not there: for
    /// git they are unchanged, not deleted.
    fn take_left_out(&mut self) -> Vec<(String, IndexEntry)> {
        let Some(git) = &mut self.git else {
            return Vec::new();
        };
        let (root, wanted) = (self.root, self.wanted);
        let is_left_out = |path: &str, found: &IndexEntry| {
            found.is_left_out
                && !in_dot_folder(path)
                && wanted(path, found.kind)
                && root.join(path).symlink_metadata().is_err()
        };
        let tracked = std::mem::take(&mut git.tracked);
        let (left_out, tracked): (BTreeMap<_, _>, BTreeMap<_, _>) = tracked
            .into_iter()
            .partition(|(path, found)| is_left_out(path, found));
        git.tracked = tracked;
        left_out.into_iter().collect()
    }

    /// A folder that is ignored is not searched, but what git tracks in it counts.
    fn add_tracked_in_ignored_folders(&mut self) {
        let Some(git) = self.git.take() else { return };
        for folder in std::mem::take(&mut self.skipped) {
            let below = git
                .tracked
                .range(folder.clone()..)
                .take_while(|(path, _)| path.starts_with(&folder));
            for (path, known) in below.filter(|(path, _)| !in_dot_folder(path)) {
                if let Some(kind) = self.kind_on_disk(path, known.kind) {
                    self.push_entry(path.clone(), kind);
                }
            }
        }
    }

    /// What is on disk for a path of the index; nothing where it was deleted.
    fn kind_on_disk(&self, path: &str, known: EntryKind) -> Option<EntryKind> {
        let place = self.root.join(path);
        let link = place.symlink_metadata().ok()?.is_symlink();
        Some(match fs::canonicalize(&place) {
            Ok(target) if !target.starts_with(self.root) => EntryKind::LinkOutside,
            Ok(target) if target.is_file() => EntryKind::File,
            Ok(_) if link => EntryKind::Symlink,
            Ok(_) if known == EntryKind::Submodule => known,
            Ok(_) => EntryKind::Special,
            Err(_) => EntryKind::LinkBroken,
        })
    }

    fn push_entry(&mut self, path: String, kind: EntryKind) {
        if (self.wanted)(&path, kind) {
            self.entries.push(Entry::new(path, kind));
        }
    }
}

/// Sizes, asked for in parallel; a file that has gone meanwhile is no entry.
fn measure_entry(root: &Path, entries: Vec<Entry>) -> Vec<Entry> {
    let measure = |mut entry: Entry| {
        if entry.kind == EntryKind::File {
            match fs::metadata(root.join(&*entry.path)) {
                Ok(found) => entry.size = found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Err(_) => entry.kind = EntryKind::Unreadable,
            }
        }
        Some(entry)
    };
    entries.into_par_iter().filter_map(measure).collect()
}
