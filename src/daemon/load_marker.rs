//! A file that is there while a commit is loaded. It is found again only where the load ended the
//! process: by memory that ran out, say. Such a commit must not be the first thing that the next
//! start tries.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::private_file::read_private_file;
use super::state;
use super::state_folder::StateFolder;
use crate::repo::CommitId;

/// The longest marker that is read.
const MAX_BYTES: u64 = 256;

/// A load that ended the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Death {
    pub commit: CommitId,
    /// How often in a row.
    pub times: u32,
}

/// The marker of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadMarker {
    path: PathBuf,
}

impl LoadMarker {
    pub fn new(folder: &StateFolder, environment: &str) -> Self {
        Self {
            path: folder
                .path
                .join(state::file_name("loading", environment, "")),
        }
    }

    /// The load that ended the process before this one, if one did.
    pub fn read_marker(&self) -> Option<Death> {
        let bytes = read_private_file(&self.path, MAX_BYTES).ok()??;
        let text = std::str::from_utf8(&bytes).ok()?;
        let (commit, times) = text.trim_end().split_once(' ')?;
        Some(Death {
            commit: commit.parse().ok()?,
            times: times.parse().ok()?,
        })
    }

    /// Says that a commit is being loaded, after so many loads of it that ended the process. Where
    /// it cannot be written a death goes unnoticed, which the note on the state folder says.
    pub fn set_marker(&self, commit: CommitId, deaths: u32) {
        let text = format!("{commit} {}\n", deaths.saturating_add(1));
        if let Err(error) = self.write_marker(&text) {
            tracing::debug!("cannot mark that {commit} is being loaded: {error}");
        }
    }

    /// Whole or not at all: the process may end in the middle of it.
    fn write_marker(&self, text: &str) -> io::Result<()> {
        let folder = self.path.parent().ok_or(io::ErrorKind::NotFound)?;
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".loading-")
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// The load is over, or the daemon ends by itself.
    pub fn clear_marker(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::state_folder::Owner;
    use super::*;

    #[test]
    fn deaths_are_counted_until_a_load_ends() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Owner::of_folder(dir.path());
        let folder = StateFolder::find_state(&dir.path().join("state"), owner, false);
        let marker = LoadMarker::new(&folder, "us/production");
        let commit: CommitId = "a".repeat(40).parse().unwrap();
        assert_eq!(marker.read_marker(), None);
        for times in 1..4 {
            marker.set_marker(commit, marker.read_marker().map_or(0, |death| death.times));
            assert_eq!(marker.read_marker(), Some(Death { commit, times }));
        }
        marker.clear_marker();
        assert_eq!(marker.read_marker(), None);
    }
}
