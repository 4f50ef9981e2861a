//! What a source holds: the entries that somebody wants, and the way to read them.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::BlobId;

/// More entries than this, wanted or not, are refused: crossed trees can name any number.
pub(super) const MAX_ENTRIES: usize = 5_000_000;

/// What stands at a path. All but [`EntryKind::File`] have no content to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// A file with content.
    File,
    /// A symbolic link in a commit or in the index.
    Symlink,
    /// A repository of its own; it is not entered.
    Submodule,
    /// A file of the index that a merge has left open.
    Unmerged,
    /// A pipe, socket or device.
    Special,
    /// A path that is not UTF-8; the entry's path has replacement characters.
    NotUtf8,
    /// A symbolic link of the work tree that leads out of the root.
    LinkOutside,
    /// A symbolic link of the work tree that leads nowhere.
    LinkBroken,
    /// A symbolic link of the work tree to a folder that holds it or was already followed.
    LinkLoop,
    /// A file or folder that may not be read.
    Unreadable,
}

impl EntryKind {
    /// What it is, for a message: `… is a symbolic link`.
    pub fn describe(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Symlink => "a symbolic link",
            Self::Submodule => "a repository of its own",
            Self::Unmerged => "left open by a merge",
            Self::Special => "not a plain file",
            Self::NotUtf8 => "a path that is not UTF-8",
            Self::LinkOutside => "a symbolic link that leads out of the root",
            Self::LinkBroken => "a symbolic link that leads nowhere",
            Self::LinkLoop => "a symbolic link to a folder that is read already",
            Self::Unreadable => "not readable",
        }
    }
}

/// One path of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root, with `/`.
    pub path: Arc<str>,
    /// What stands there.
    pub kind: EntryKind,
    /// Bytes of its content; of anything but a file, 0.
    pub size: u64,
    /// Its content's id; the work tree knows none.
    pub blob: Option<BlobId>,
}

impl Entry {
    pub(super) fn new(path: impl Into<Arc<str>>, kind: EntryKind) -> Self {
        Self {
            path: path.into(),
            kind,
            size: 0,
            blob: None,
        }
    }
}

/// Whether an entry is of interest. Asked for every path but those in dot-folders; what it declines
/// is neither measured nor read. A folder that cannot be read or entered is asked about by its own
/// path.
pub type Wanted<'a> = &'a dyn Fn(&str, EntryKind) -> bool;

/// The wanted entries of one source, sorted by path bytewise. May be read from many threads.
pub struct Listing<'r> {
    /// The entries.
    pub entries: Vec<Entry>,
    reader: Reader<'r>,
}

/// Where contents come from.
pub(super) enum Reader<'r> {
    Files(PathBuf),
    Blobs(git2::Odb<'r>),
    /// What has a blob comes from git, the rest from the folder.
    FilesAndBlobs(PathBuf, git2::Odb<'r>),
}

impl<'r> Listing<'r> {
    pub(super) fn new(mut entries: Vec<Entry>, reader: Reader<'r>) -> Self {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { entries, reader }
    }

    /// The content of one entry, which must be of this listing and a file. Check its size first.
    pub fn read_entry(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        match (&self.reader, entry.blob) {
            (Reader::Files(root), _) | (Reader::FilesAndBlobs(root, _), None) => {
                read_file(&root.join(&*entry.path), entry.size)
            }
            (Reader::Blobs(odb) | Reader::FilesAndBlobs(_, odb), Some(blob)) => {
                let object = odb
                    .read(blob.oid())
                    .map_err(|error| read_error(blob, &error))?;
                Ok(object.data().to_owned())
            }
            (Reader::Blobs(_), None) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                entry.kind.describe(),
            )),
        }
    }
}

impl std::fmt::Debug for Listing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// Reads a file whose size is known from the listing, so it need not be asked for again. It may
/// have changed since.
fn read_file(path: &Path, size: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    fs::File::open(path)?
        .take(u64::MAX)
        .read_to_end(&mut content)?;
    Ok(content)
}

fn read_error(blob: BlobId, error: &git2::Error) -> io::Error {
    let kind = match error.code() {
        git2::ErrorCode::NotFound => io::ErrorKind::NotFound,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(
        kind,
        format!("cannot read object {blob}: {}", error.message()),
    )
}

/// Whether a name of a folder says that it is not searched.
pub(super) fn is_dot(name: &str) -> bool {
    name.starts_with('.')
}

/// The last part of a path.
pub(super) fn last_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether any folder on the way to a file is not searched.
pub(super) fn in_dot_folder(path: &str) -> bool {
    path.rsplit_once('/')
        .is_some_and(|(folders, _)| folders.split('/').any(is_dot))
}
