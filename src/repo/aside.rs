//! Files that refguard keeps for itself in the git directory, under `refguard/`: what they hold can
//! be worked out again, so they may be deleted at any time, and nothing depends on their being
//! written.

use std::fs;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::plain::open_plain;
use super::{Repo, RepoError};

/// Bytes of the checksum that a file begins with.
const CHECKSUM: usize = 32;

/// The name of such a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideName(String);

impl AsideName {
    /// What is kept of one kind for the set in a folder of commits. The name only keeps folders
    /// apart: what is in the file says which one it is of.
    pub fn of_folder(kind: &str, prefix: &str) -> Self {
        let digest = HEXLOWER.encode(&Sha256::digest(prefix.as_bytes()));
        Self(format!("{kind}-{}", digest.get(..16).unwrap_or_default()))
    }
}

/// Passes on what is written, as long as there is room, and its checksum.
struct Summing<W> {
    to: W,
    sum: Sha256,
    /// Bytes that may follow.
    room: u64,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.room {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is too large to be kept",
            ));
        }
        let written = self.to.write(bytes)?;
        self.room = self.room.saturating_sub(written as u64);
        self.sum.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Repo {
    /// What was written under this name; `None` where it is not there, is larger than `limit`
    /// bytes, or is not as it was written.
    pub fn read_aside(&self, name: &AsideName, limit: u64) -> Option<Vec<u8>> {
        let file = open_plain(&self.aside_path(name)).ok()?;
        let found = file
            .metadata()
            .ok()
            .filter(|found| found.is_file() && found.len() <= limit)?;
        let mut bytes = Vec::with_capacity(usize::try_from(found.len()).ok()?);
        file.take(limit).read_to_end(&mut bytes).ok()?;

        unseal_bytes(bytes)
    }

    /// Writes a file of at most `limit` bytes, whole or not at all: beside the old one first, then
    /// in its place.
    pub fn write_aside(
        &self,
        name: &AsideName,
        limit: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), RepoError> {
        let folder = self.common_dir().join("refguard");
        seal_bytes(&folder, &name.0, limit, write)
            .map_err(RepoError::io_error("write", self.aside_path(name)))
    }

    /// When a file was written last; `None` where it is not there.
    pub(super) fn aside_written(&self, name: &AsideName) -> Option<SystemTime> {
        fs::metadata(self.aside_path(name)).ok()?.modified().ok()
    }

    fn aside_path(&self, AsideName(name): &AsideName) -> PathBuf {
        self.common_dir().join("refguard").join(name)
    }
}

/// The content of a file that [`write_sealed`] wrote; `None` where it is not as it was written.
pub fn unseal_bytes(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (checksum, content) = bytes.split_at_checked(CHECKSUM)?;
    if *Sha256::digest(content) != *checksum {
        return None;
    }
    bytes.drain(..CHECKSUM);
    Some(bytes)
}

/// Writes a file and its checksum into a folder, whole or not at all.
///
/// # Errors
/// Where the folder cannot be made or written.
pub fn write_sealed(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    seal_bytes(folder, name, u64::MAX, |out| out.write_all(content))
}

fn seal_bytes(
    folder: &Path,
    name: &str,
    limit: u64,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    file.write_all(&[0; CHECKSUM])?;
    let mut out = BufWriter::new(Summing {
        to: &mut file,
        sum: Sha256::new(),
        room: limit.saturating_sub(CHECKSUM as u64),
    });
    write(&mut out)?;
    let summing = out.into_inner().map_err(io::IntoInnerError::into_error)?;

    // Only now is it known what the file begins with.
    let checksum = summing.sum.finalize();
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&checksum)?;
    file.persist(folder.join(name))
        .map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::AsideName;
    use crate::repo::testing::TestRepo;

    const LIMIT: u64 = 1_000;

    #[test]
    fn a_file_is_read_as_it_was_written_or_not_at_all() {
        let repo = TestRepo::new();
        let git = repo.open();
        let name = AsideName::of_folder("x", "");
        assert_eq!(git.read_aside(&name, LIMIT), None);
        git.write_aside(&name, LIMIT, |out| out.write_all(b"one"))
            .unwrap();
        git.write_aside(&name, LIMIT, |out| out.write_all(b"two"))
            .unwrap();
        assert_eq!(git.read_aside(&name, LIMIT), Some(b"two".to_vec()));
        assert_eq!(git.read_aside(&name, 34), None, "larger than the limit");

        let path = git.aside_path(&name);
        let sound = fs::read(&path).unwrap();
        for at in [0, 31, 32, sound.len() - 1] {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(git.read_aside(&name, LIMIT), None, "{at}");
        }
        for length in [0, 31, 32, sound.len() - 1] {
            fs::write(&path, &sound[..length]).unwrap();
            assert_eq!(git.read_aside(&name, LIMIT), None, "{length}");
        }
        assert_eq!(
            fs::read_dir(repo.path().join(".git/refguard"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let repo = TestRepo::new();
        let git = repo.open();
        let name = AsideName::of_folder("x", "a/b");
        git.write_aside(&name, LIMIT, |out| out.write_all(b"one"))
            .unwrap();
        let failed = git.write_aside(&name, LIMIT, |out| {
            out.write_all(b"tw")?;
            Err(std::io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(git.read_aside(&name, LIMIT), Some(b"one".to_vec()));
        assert_ne!(name, AsideName::of_folder("x", "a"));
        let failed = git.write_aside(&name, LIMIT, |out| out.write_all(&[0; 969]));
        assert!(
            failed.is_err(),
            "what would not be read back is not written"
        );
        assert_eq!(git.read_aside(&name, LIMIT), Some(b"one".to_vec()));
    }
}
