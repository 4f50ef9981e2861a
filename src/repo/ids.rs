//! Names and ids of git things, each its own type, so that one cannot be passed for another.
//!
//! ```compile_fail
//! # use refguard::repo::{BlobId, CommitId};
//! fn promote(_: CommitId) {}
//! let blob: BlobId = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".parse().unwrap();
//! promote(blob);
//! ```

use std::fmt;
use std::str::FromStr;

use super::RepoError;

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 20]);

        impl $name {
            /// The first ten hex digits, for people.
            pub fn short(&self) -> String {
                format!("{self:.10}")
            }

            /// Its twenty bytes.
            pub fn to_bytes(self) -> [u8; 20] {
                self.0
            }

            /// From its twenty bytes.
            pub fn from_bytes(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            pub(super) fn oid(self) -> git2::Oid {
                git2::Oid::from_bytes(&self.0).unwrap_or(git2::Oid::ZERO_SHA1)
            }
        }

        impl From<git2::Oid> for $name {
            fn from(oid: git2::Oid) -> Self {
                let mut bytes = [0; 20];
                for (to, from) in bytes.iter_mut().zip(oid.as_bytes()) {
                    *to = *from;
                }
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let whole = text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let oid = git2::Oid::from_str(text).ok().filter(|_| whole);
                oid.map(Self::from).ok_or_else(|| BadId(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
                f.pad(&hex)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

object_id! {
    /// The id of a commit.
    CommitId
}
object_id! {
    /// The id of a tree.
    TreeId
}
object_id! {
    /// The id of a blob: it names a file's content.
    BlobId
}

impl BlobId {
    /// The id of some content.
    pub fn of(content: &[u8]) -> Self {
        git2::Oid::hash_object(git2::ObjectType::Blob, content).map_or(Self([0; 20]), Self::from)
    }
}

/// A text that is no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no object id: 40 hex digits in lower case are due")]
pub struct BadId(String);

/// The full name of a ref, such as `refs/heads/production`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefName(String);

impl RefName {
    /// A full name under `refs/`, by git's own rules for the form of refs.
    pub fn new(name: impl Into<String>) -> Result<Self, RepoError> {
        let name = name.into();
        if name.starts_with("refs/") && git2::Reference::is_valid_name(&name) {
            return Ok(Self(name));
        }
        Err(RepoError::BadRefName { name })
    }

    /// The branch of that name.
    pub fn of_branch(name: &str) -> Result<Self, RepoError> {
        Self::new(format!("refs/heads/{name}"))
    }

    /// Where an environment's last promotion is kept beside its branch.
    pub fn of_ledger(environment: &str) -> Result<Self, RepoError> {
        Self::new(format!("refs/refguard/ledger/{environment}"))
    }

    /// The copy of an environment's ledger at a remote.
    pub fn remote_ledger(remote: &str, environment: &str) -> Result<Self, RepoError> {
        Self::new(format!(
            "refs/refguard/remotes/{remote}/ledger/{environment}"
        ))
    }

    /// The copy of this branch that `git fetch REMOTE` keeps by default.
    pub fn tracking_copy(&self, remote: &str) -> Result<Self, RepoError> {
        Self::new(format!("refs/remotes/{remote}/{}", self.short()))
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a branch: only those can be checked out.
    pub fn is_branch(&self) -> bool {
        self.0.starts_with("refs/heads/")
    }

    /// Without `refs/heads/`, for people.
    pub fn short(&self) -> &str {
        self.0.strip_prefix("refs/heads/").unwrap_or(&self.0)
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a ref must hold for it to be moved: the lease of a compare-and-swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expected {
    /// The ref does not exist yet.
    Absent,
    /// The ref holds this commit.
    At(CommitId),
}

impl Expected {
    /// The commit, if there is to be one.
    pub fn commit(self) -> Option<CommitId> {
        match self {
            Self::Absent => None,
            Self::At(commit) => Some(commit),
        }
    }
}

impl From<Option<CommitId>> for Expected {
    fn from(value: Option<CommitId>) -> Self {
        value.map_or(Self::Absent, Self::At)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no such ref"),
            Self::At(commit) => f.pad(&commit.short()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_write_and_nothing_shorter() {
        let hex = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        let id: BlobId = hex.parse().unwrap();
        assert_eq!(id.to_string(), hex);
        assert_eq!(id.short(), "e69de29bb2");
        assert_eq!(BlobId::from(id.oid()), id);
        for bad in [
            "",
            "e69de29",
            "E69DE29BB2D1D6434B8B29AE775AD8C2E48C5391",
            "g69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        ] {
            assert!(bad.parse::<BlobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ref_names_are_full_and_of_gits_form() {
        assert_eq!(
            RefName::of_branch("production").unwrap().as_str(),
            "refs/heads/production"
        );
        assert_eq!(RefName::of_branch("eu/prod").unwrap().short(), "eu/prod");
        for bad in [
            "production",
            "HEAD",
            "refs/heads/",
            "refs/heads/a b",
            "refs/heads/a..b",
            "refs/heads/x.lock",
            "refs/heads/a\n",
        ] {
            assert!(RefName::new(bad).is_err(), "{bad:?}");
        }
    }
}
