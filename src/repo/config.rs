//! Git's configuration, as git itself reads it: from all files, variables and `-c` options that are
//! in force.

use super::git::QUICK;
use super::{Repo, RepoError};

/// Every setting in force, in git's order: of one key the last one counts.
#[derive(Debug, Default)]
pub(super) struct GitConfig {
    entries: Vec<(String, Option<String>)>,
}

impl GitConfig {
    /// From the output of `git config --list -z`: `KEY\nVALUE\0`, or `KEY\0` for a bare key.
    pub fn parse(listed: &[u8]) -> Self {
        let text = String::from_utf8_lossy(listed);
        let entries = text
            .split('\0')
            .filter(|entry| !entry.is_empty())
            .map(|entry| match entry.split_once('\n') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (entry.to_owned(), None),
            });
        Self {
            entries: entries.collect(),
        }
    }

    /// The value of a key, which is given as git lists it: section and name in lower case.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut found = self.entries.iter().rev();
        found
            .find(|(known, _)| known == key)
            .and_then(|(_, value)| value.as_deref())
    }

    /// Every value of a key, the oldest first.
    pub fn get_all<'c>(&'c self, key: &'c str) -> impl Iterator<Item = &'c str> {
        let named = self.entries.iter().filter(move |(known, _)| known == key);
        named.filter_map(|(_, value)| value.as_deref())
    }

    /// Whether a key is switched on; a bare key is.
    pub fn is_on(&self, key: &str) -> bool {
        let last = self.entries.iter().rev().find(|(known, _)| known == key);
        match last {
            None => false,
            Some((_, None)) => true,
            Some((_, Some(value))) => {
                matches!(value.to_lowercase().as_str(), "true" | "yes" | "on" | "1")
            }
        }
    }

    /// The names in keys such as `remote.NAME.url`, in order, each once.
    pub fn names_in(&self, section: &str, variable: &str) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (key, _) in &self.entries {
            let inner = key
                .strip_prefix(section)
                .and_then(|rest| rest.strip_prefix('.'));
            let name = inner.and_then(|rest| rest.strip_suffix(variable)?.strip_suffix('.'));
            names.extend(name.filter(|name| !names.contains(name)));
        }
        names
    }
}

impl Repo {
    /// Git's configuration, asked of git once for each opened repository.
    pub(super) fn read_config(&self) -> Result<&GitConfig, RepoError> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let answer = self
            .git_command(["config", "--list", "-z"])
            .with_limit(QUICK)
            .run()?;
        Ok(self.config.get_or_init(|| GitConfig::parse(&answer.stdout)))
    }

    /// Writes a setting into the repository's own configuration.
    pub fn set_config(&self, key: &str, value: &str) -> Result<(), RepoError> {
        self.git_command(["config", "--local", key, value])
            .run()
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_a_bare_key_is_on() {
        let listed = b"user.name\nAda\0core.bare\0user.name\nBob\0remote.a.b.url\nx\n\
            y\0remote.a.b.fetch\nz\0";
        let config = GitConfig::parse(listed);
        assert_eq!(config.get("user.name"), Some("Bob"));
        assert_eq!(
            config.get_all("user.name").collect::<Vec<_>>(),
            ["Ada", "Bob"]
        );
        assert!(config.is_on("core.bare") && !config.is_on("core.other"));
        assert_eq!(config.names_in("remote", "url"), ["a.b"]);
        assert_eq!(config.get("remote.a.b.url"), Some("x\ny"));
    }
}
