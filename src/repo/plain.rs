//! Files that must be files: what stands in the place of one of git's or refguard's own files, and
//! is a FIFO, a socket or a device, would be waited for without end. Must not know what the files
//! hold.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::RepoError;

/// Files of a git directory that libgit2 or git read by their names.
const NAMED: [&str; 13] = [
    "HEAD",
    "commondir",
    "config",
    "config.worktree",
    "gitdir",
    "index",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "objects/info/alternates",
    "objects/info/commit-graph",
    "packed-refs",
    "shallow",
];

/// Folders of a git directory whose files are read by whatever names they have.
const FOLDERS: [&str; 4] = ["logs", "objects/info", "objects/pack", "refs"];

/// Opens a regular file for reading, without waiting for anything else that stands in its place.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// The content of a regular file.
pub(super) fn read_plain(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open_plain(path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// The text of a regular file.
pub(super) fn read_plain_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_plain(path)?).map_err(io::Error::other)
}

/// Refuses a git directory, and the one that it shares with others, where reading it would wait for
/// something that is no file. Git itself waits there.
///
/// Loose objects are not looked at: there may be very many of them.
pub(super) fn refuse_special_files(git_dir: &Path, common_dir: &Path) -> Result<(), RepoError> {
    let folders = if git_dir == common_dir {
        vec![git_dir]
    } else {
        vec![git_dir, common_dir]
    };
    for folder in folders {
        let named = NAMED
            .iter()
            .map(|name| folder.join(name))
            .find(|path| is_special(path));
        let found = named.or_else(|| {
            FOLDERS
                .iter()
                .find_map(|name| find_below(folder.join(name)))
        });
        if let Some(path) = found {
            return Err(RepoError::SpecialFile { path });
        }
    }
    Ok(())
}

/// Looks through a folder and those below it. What cannot be read is left to who needs it.
fn find_below(folder: PathBuf) -> Option<PathBuf> {
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if !kind.is_file() && (is_kind_special(kind) || is_special(&entry.path())) {
                return Some(entry.path());
            }
        }
    }
    None
}

fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| is_kind_special(found.file_type()))
}

fn is_kind_special(kind: FileType) -> bool {
    kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device()
}
