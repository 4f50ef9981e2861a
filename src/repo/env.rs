//! The environment as it was when the program began: the only place where git's variables are
//! looked up.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variables that say where a repository is. A child gets our own answer instead, since we may
/// have been asked about another folder than the one they speak of.
const LOCATION: [&str; 17] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// The environment variables that git and its children see.
#[derive(Debug, Clone, Default)]
pub struct GitEnv {
    vars: BTreeMap<OsString, OsString>,
}

impl GitEnv {
    /// The variables of this process.
    pub fn from_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.vars
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// A path, relative to the folder that the user named, as git itself takes it.
    pub(super) fn read_path(&self, name: &str, dir: &Path) -> Option<PathBuf> {
        self.get(name).map(|value| dir.join(value))
    }

    /// A list of paths, split as the platform does.
    pub(super) fn read_paths(&self, name: &str, dir: &Path) -> Vec<PathBuf> {
        let list = self.get(name).unwrap_or_default();
        std::env::split_paths(list)
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| dir.join(path))
            .collect()
    }

    /// The same with every path absolute, taken from a folder: git tells its hooks paths from where
    /// it runs them, whatever folder they look at then.
    #[must_use]
    pub fn anchor_path(&self, dir: &Path) -> Self {
        let mut anchored = self.clone();
        for name in [
            "GIT_DIR",
            "GIT_COMMON_DIR",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_WORK_TREE",
        ] {
            if let Some(path) = self.read_path(name, dir) {
                anchored.vars.insert(name.into(), path.into());
            }
        }
        let alternates = self.read_paths("GIT_ALTERNATE_OBJECT_DIRECTORIES", dir);
        if let (false, Ok(joined)) = (alternates.is_empty(), std::env::join_paths(alternates)) {
            anchored
                .vars
                .insert("GIT_ALTERNATE_OBJECT_DIRECTORIES".into(), joined);
        }
        anchored
    }

    /// The same without some variables.
    pub(super) fn without_variable(&self, names: &[&str]) -> Self {
        let kept = self
            .vars
            .iter()
            .filter(|(known, _)| !names.iter().any(|name| known.as_os_str() == *name));
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// What a child inherits: everything but where the repository is.
    pub(super) fn without_location(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.vars
            .iter()
            .filter(|(name, _)| !LOCATION.iter().any(|known| name.as_os_str() == *known))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for GitEnv {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(vars: I) -> Self {
        Self {
            vars: vars
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}
