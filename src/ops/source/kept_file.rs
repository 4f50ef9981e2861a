//! What is worked out of a folder and kept in the git directory for the next run, as a file.
//!
//! It says of which program and folder it is before anything else, so that a file of another is not
//! read further; `aside` gives back only what was written. May be deleted at any time. Must not
//! know what is kept.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ops::source::program::Program;
use crate::repo::{AsideName, Repo};

/// A kind of such files, one a folder.
pub(in crate::ops) struct KeptFile {
    /// What its name begins with.
    pub name: &'static str,
    /// Raised where the same bytes would mean something else.
    pub format: u32,
    /// Larger ones are neither written nor read.
    pub most_bytes: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    format: u32,
    program: Program,
    prefix: String,
}

impl KeptFile {
    /// What was kept for a folder.
    pub fn read<T: DeserializeOwned>(&self, repo: &Repo, prefix: &str) -> Option<T> {
        let bytes = repo.read_aside(&self.file_name(prefix), self.most_bytes)?;
        let (key, rest) = postcard::take_from_bytes::<Key>(&bytes).ok()?;
        (key == self.key(prefix)?)
            .then(|| postcard::from_bytes(rest).ok())
            .flatten()
    }

    /// Keeps something for a folder. That it cannot be written costs the next run time, and nothing
    /// else.
    pub fn write(&self, repo: &Repo, prefix: &str, kept: &impl Serialize) {
        let Some(key) = self.key(prefix) else { return };
        let _ = repo.write_aside(&self.file_name(prefix), self.most_bytes, |out| {
            postcard::to_io(&key, &mut *out).map_err(std::io::Error::other)?;
            postcard::to_io(kept, out)
                .map(drop)
                .map_err(std::io::Error::other)
        });
    }

    fn file_name(&self, prefix: &str) -> AsideName {
        AsideName::of_folder(self.name, prefix)
    }

    /// `None` where this program cannot tell itself from others.
    fn key(&self, prefix: &str) -> Option<Key> {
        let (format, program) = (self.format, Program::this()?);
        Some(Key {
            format,
            program,
            prefix: prefix.to_owned(),
        })
    }
}
