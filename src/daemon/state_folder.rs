//! Which folder keeps the state of one repository and root.
//!
//! A folder belongs to the first that writes into it, and says so in `owner.json`; any other
//! repository or root that is given the same `--state-dir` gets a folder of its own below it:
//!
//! ```text
//! STATE/owner.json                {"repository": "/srv/a.git", "root": ".", …}
//! STATE/served-production.json    of /srv/a.git
//! STATE/5f0c…/owner.json          {"repository": "/srv/b.git", "root": "eu", …}
//! STATE/5f0c…/served-production.json
//! ```

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::private_file::read_private_file;
use crate::repo::{Repo, Root};

/// The file that names the owner of a folder.
const OWNER: &str = "owner.json";
/// The longest `owner.json` that is read.
const MAX_OWNER_BYTES: u64 = 64 << 10;
/// Hex digits of the name of a folder below another one's.
const KEY_DIGITS: usize = 16;

/// The repository and root that a daemon serves, as its state files name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// The git directory, without symbolic links; none where the repository cannot be opened.
    pub repository: Option<String>,
    /// The inode of that folder: another repository under the same path has another one.
    pub inode: Option<u64>,
    /// The root, `.` at the top.
    pub root: String,
    /// The folder that `-C` names, without symbolic links.
    pub folder: String,
}

impl Owner {
    /// Of a root that was found.
    pub fn of_root(root: &Root, folder: &Path) -> Self {
        let common_dir = root.maybe_repo().map(Repo::common_dir);
        let inode = common_dir
            .and_then(|dir| fs::metadata(dir).ok())
            .map(|found| found.ino());
        let prefix = if root.prefix().is_empty() {
            "."
        } else {
            root.prefix()
        };
        Self {
            repository: common_dir.map(|dir| dir.to_string_lossy().into_owned()),
            inode,
            root: prefix.to_owned(),
            folder: canonical_path(folder),
        }
    }

    /// Where no repository can be opened: the folder is all that is known.
    pub fn of_folder(folder: &Path) -> Self {
        Self {
            repository: None,
            inode: None,
            root: String::new(),
            folder: canonical_path(folder),
        }
    }

    /// Whether two name the same place and root. Without a repository, the folder decides.
    fn is_same_place(&self, other: &Self) -> bool {
        match (&self.repository, &other.repository) {
            (Some(_), Some(_)) => {
                (&self.repository, &self.root) == (&other.repository, &other.root)
            }
            _ => self.folder == other.folder,
        }
    }

    fn key(&self) -> String {
        let repository = self.repository.as_deref().unwrap_or(&self.folder);
        let mut key =
            data_encoding::HEXLOWER.encode(&Sha256::digest(format!("{repository}\0{}", self.root)));
        key.truncate(KEY_DIGITS);
        key
    }
}

fn canonical_path(folder: &Path) -> String {
    fs::canonicalize(folder)
        .unwrap_or_else(|_| folder.to_owned())
        .to_string_lossy()
        .into_owned()
}

/// The folder that keeps an owner's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateFolder {
    pub path: PathBuf,
    pub owner: Owner,
    /// The folder lies in the git directory: whatever is in it is this repository's.
    pub in_repository: bool,
    /// The folder that was named, where another owner has it: files of before `owner.json` are
    /// there.
    pub named: PathBuf,
}

impl StateFolder {
    /// The owner's folder at or below the one that was named. Only looks: nothing is written.
    pub fn find_state(named: &Path, owner: Owner, in_repository: bool) -> Self {
        let mut folder = Self {
            path: named.to_owned(),
            owner,
            in_repository,
            named: named.to_owned(),
        };
        if folder.is_taken(named) {
            folder.path = folder
                .below_named()
                .unwrap_or_else(|| named.join(folder.owner.key()));
        }
        folder
    }

    /// Whether another owner has a folder. One that nobody has, or whose `owner.json` is no
    /// owner's, is free.
    fn is_taken(&self, path: &Path) -> bool {
        read_owner(path).is_some_and(|owner| !self.belongs_to(&owner))
    }

    /// Whether a folder's owner is this daemon's repository and root. One that replaced another
    /// under the same path takes its folder over.
    fn belongs_to(&self, owner: &Owner) -> bool {
        let is_unknown = self.owner.repository.is_none() || owner.repository.is_none();
        match self.in_repository && !is_unknown {
            true => self.owner.root == owner.root,
            false => self.owner.is_same_place(owner),
        }
    }

    /// Whether a state file that names this owner is of the repository and root that are served
    /// now.
    pub fn was_written_by(&self, owner: &Owner) -> bool {
        let is_other = self.owner.inode.is_some() && self.owner.inode != owner.inode;
        self.belongs_to(owner) && (self.in_repository || !is_other)
    }

    /// A repository that cannot be opened has no name to make the key of: its folder is found by
    /// its owner.
    fn below_named(&self) -> Option<PathBuf> {
        if self.owner.repository.is_some() {
            return None;
        }
        let mut folders = fs::read_dir(&self.named)
            .ok()?
            .flatten()
            .map(|entry| entry.path());
        folders.find(|path| read_owner(path).is_some_and(|owner| self.belongs_to(&owner)))
    }

    /// Makes the folder and puts the owner's name on it.
    ///
    /// # Errors
    /// Where it cannot be written, or another daemon has taken it in the meantime.
    pub fn claim_folder(&self) -> Result<()> {
        let shown = self.path.display();
        fs::create_dir_all(&self.path).with_context(|| format!("cannot make `{shown}`"))?;
        match read_owner(&self.path) {
            Some(owner) if owner == self.owner => return Ok(()),
            Some(owner) if !self.belongs_to(&owner) => bail!(
                "`{shown}` is the state of root `{}` of `{}`",
                owner.root,
                owner.repository.unwrap_or(owner.folder)
            ),
            _ => {}
        }

        let refused = || format!("cannot write `{}`", self.path.join(OWNER).display());
        let mut file = tempfile::Builder::new()
            .prefix(".owner-")
            .tempfile_in(&self.path)?;
        file.write_all(&serde_json::to_vec(&self.owner)?)
            .with_context(refused)?;
        file.persist(self.path.join(OWNER)).with_context(refused)?;
        Ok(())
    }
}

fn read_owner(folder: &Path) -> Option<Owner> {
    let bytes = read_private_file(&folder.join(OWNER), MAX_OWNER_BYTES).ok()??;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(repository: &str, inode: u64, root: &str) -> Owner {
        Owner {
            repository: Some(repository.to_owned()),
            inode: Some(inode),
            root: root.to_owned(),
            folder: repository.to_owned(),
        }
    }

    #[test]
    fn two_repositories_and_two_roots_never_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let find = |owner| StateFolder::find_state(dir.path(), owner, false);
        let first = find(owner("/a", 1, "."));
        assert_eq!(first.path, dir.path());
        first.claim_folder().unwrap();

        let others = [owner("/b", 2, "."), owner("/a", 1, "eu")].map(|owner| {
            let folder = find(owner);
            folder.claim_folder().unwrap();
            folder.path
        });
        assert!(others.iter().all(|path| path != dir.path()), "{others:?}");
        assert_ne!(others[0], others[1]);
        // The one that came first still has the folder itself, and each finds its own again.
        assert_eq!(find(owner("/a", 1, ".")).path, dir.path());
        assert_eq!(find(owner("/b", 2, ".")).path, others[0]);
        // Another repository under the same path takes the folder over, not what the one before
        // wrote.
        let replaced = find(owner("/a", 3, "."));
        assert_eq!(replaced.path, dir.path());
        assert!(!replaced.was_written_by(&owner("/a", 1, ".")));
        assert!(first.was_written_by(&owner("/a", 1, ".")));
        // Without its repository, a daemon finds its folder by the one that it serves.
        let gone = Owner {
            repository: None,
            inode: None,
            root: String::new(),
            folder: "/b".into(),
        };
        assert_eq!(find(gone).path, others[0]);
    }

    #[test]
    fn in_the_git_directory_only_the_root_decides() {
        let dir = tempfile::tempdir().unwrap();
        StateFolder::find_state(dir.path(), owner("/a", 1, "eu"), true)
            .claim_folder()
            .unwrap();
        let moved = StateFolder::find_state(dir.path(), owner("/moved", 2, "eu"), true);
        assert_eq!(moved.path, dir.path());
        assert_ne!(
            StateFolder::find_state(dir.path(), owner("/a", 1, "us"), true).path,
            dir.path()
        );
    }

    #[test]
    fn of_two_that_claim_a_folder_at_once_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = ["/a", "/b"]
            .map(|name| StateFolder::find_state(dir.path(), owner(name, 1, "."), false));
        one.claim_folder().unwrap();
        let refused = other.claim_folder().unwrap_err().to_string();
        assert!(
            refused.contains("is the state of root `.` of `/a`"),
            "{refused}"
        );
    }
}
