//! Files that refguard keeps for itself in the git directory, under `refguard/`: what they hold can be
//! worked out again, so they may be deleted at any time, and nothing depends on their being written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Repo, RepoError};

/// Bytes of the checksum that a file begins with.
const CHECKSUM: usize = 32;

impl Repo {
    /// What was written under this name; `None` where it is not there, or not as it was written.
    pub fn read_aside(&self, name: &str) -> Option<Vec<u8>> {
        unseal(fs::read(self.aside(name)).ok()?)
    }

    /// Writes a file whole or not at all.
    pub fn write_aside(&self, name: &str, content: &[u8]) -> Result<(), RepoError> {
        let path = self.aside(name);
        write_sealed(&self.aside(""), name, content).map_err(RepoError::io("write", path))
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.common_dir().join("refguard").join(name)
    }
}

/// The content of a file that [`write_sealed`] wrote; `None` where it is not as it was written.
pub fn unseal(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
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
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(&Sha256::digest(content))?;
    file.write_all(content)?;
    file.persist(folder.join(name)).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::repo::testing::TestRepo;

    #[test]
    fn a_file_is_read_as_it_was_written_or_not_at_all() {
        let repo = TestRepo::new();
        let git = repo.open();
        assert_eq!(git.read_aside("x"), None);
        git.write_aside("x", b"one").unwrap();
        git.write_aside("x", b"two").unwrap();
        assert_eq!(git.read_aside("x"), Some(b"two".to_vec()));
        let path = repo.path().join(".git/refguard/x");
        let sound = fs::read(&path).unwrap();
        for at in [0, 31, 32, sound.len() - 1] {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(git.read_aside("x"), None, "{at}");
        }
        for length in [0, 31, 32, sound.len() - 1] {
            fs::write(&path, &sound[..length]).unwrap();
            assert_eq!(git.read_aside("x"), None, "{length}");
        }
        assert_eq!(fs::read_dir(repo.path().join(".git/refguard")).unwrap().count(), 1);
    }
}
