//! What the repository itself says of its surroundings: which remote counts, which branch is
//! published.
//!
//! All of it is read from git's configuration, variables and refs; never from a committed file, so
//! that no commit can choose its judge.

use super::config::GitConfig;
use super::{RefName, Repo, RepoError};

/// The setting that names the publish branch.
const PUBLISH_BRANCH: &str = "refguard.publishBranch";
/// The variable that does the same for one process.
const PUBLISH_BRANCH_VARIABLE: &str = "REFGUARD_PUBLISH_BRANCH";
/// The setting that names the remote that counts, where there are several.
const REMOTE: &str = "refguard.remote";

/// What is looked for where nothing names the publish branch and there is no remote.
const USUAL_BRANCHES: [&str; 3] = ["main", "master", "trunk"];

/// The other repositories that this one knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// None: what is here counts.
    None,
    /// The one that counts.
    Named(String),
    /// Several, and nothing says which counts.
    Ambiguous(Vec<String>),
}

impl Repo {
    /// The remote that counts: `refguard.remote`, else the only one. A bare repository has none: it
    /// is the one that others push to.
    pub fn chosen_remote(&self) -> Result<Remote, RepoError> {
        if let Some(remote) = &self.followed_remote {
            return Ok(Remote::Named(remote.clone()));
        }
        if self.work_tree().is_none() || self.is_imagined {
            return Ok(Remote::None);
        }
        Ok(choose_remote(self.read_config()?))
    }

    /// Whether `git fetch REMOTE` brings a branch. A clone of a single branch fetches no other.
    pub fn fetches_branch(&self, remote: &str, branch: &RefName) -> Result<bool, RepoError> {
        let config = self.read_config()?;
        let key = format!("remote.{remote}.fetch");
        Ok(config.get_all(&key).any(|spec| {
            let from = spec.trim_start_matches('+');
            let from = from.split_once(':').map_or(from, |(from, _)| from);
            match from.split_once('*') {
                Some((before, after)) => {
                    let name = branch.as_str();
                    name.starts_with(before) && name.ends_with(after)
                }
                None => from == branch.as_str(),
            }
        }))
    }

    /// What this repository copies all its refs from, if it is a mirror.
    pub fn mirrored_from(&self) -> Result<Option<String>, RepoError> {
        let config = self.read_config()?;
        let names = config.names_in("remote", "url");
        let source = names.into_iter().find(|name| is_mirror(config, name));
        Ok(source.map(|name| {
            let url = config
                .get(&format!("remote.{name}.url"))
                .unwrap_or_default();
            format!("{name} ({url})")
        }))
    }

    /// The publish branch, as the repository names it: a variable or setting, what `HEAD` of a bare
    /// repository names, what the remote's `HEAD` named when it was cloned. Only without any remote
    /// one of the usual names is taken. `None`: no such branch is there yet.
    pub fn publish_branch(&self) -> Result<Option<RefName>, RepoError> {
        // A server's hook may inherit the variables of the one who pushes: there only the
        // repository's own word counts.
        let variable = self
            .env
            .get(PUBLISH_BRANCH_VARIABLE)
            .filter(|_| !self.is_imagined);
        let variable = variable.map(|name| name.to_string_lossy());
        let config = self.read_config()?;
        let setting = config
            .get("refguard.publishbranch")
            .map(std::borrow::Cow::from);
        if let Some(name) = variable.or(setting) {
            return RefName::of_branch(&name).map(Some);
        }
        if self.work_tree().is_none() {
            return Ok(self.symbolic_target("HEAD"));
        }
        let chosen = match &self.followed_remote {
            Some(remote) => Remote::Named(remote.clone()),
            None => choose_remote(config),
        };
        match chosen {
            Remote::Named(remote) => {
                let copies = format!("refs/remotes/{remote}/");
                let head = self.symbolic_target(&format!("{copies}HEAD"));
                let branch =
                    head.and_then(|head| head.as_str().strip_prefix(&copies).map(str::to_owned));
                match branch {
                    Some(branch) => RefName::of_branch(&branch).map(Some),
                    None => Err(RepoError::UnnamedPublishBranch {
                        remote: Some(remote),
                    }),
                }
            }
            Remote::Ambiguous(_) => Err(RepoError::UnnamedPublishBranch { remote: None }),
            Remote::None => self.usual_branch(),
        }
    }

    /// The branch that a symbolic ref stands for, whether it exists or not.
    pub fn symbolic_target(&self, name: &str) -> Option<RefName> {
        let found = self.git.find_reference(name).ok()?;
        let target = std::str::from_utf8(found.symbolic_target_bytes()?).ok()?;
        RefName::new(target).ok()
    }

    fn usual_branch(&self) -> Result<Option<RefName>, RepoError> {
        for name in USUAL_BRANCHES {
            let branch = RefName::of_branch(name)?;
            match self.read_ref(&branch) {
                Ok(None) => {}
                // A symbolic branch is fine here: it is only read.
                Ok(Some(_)) | Err(RepoError::SymbolicRef { .. }) => return Ok(Some(branch)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether a remote is known to take no refs but branches and tags.
    pub fn takes_branches_only(&self, remote: &str) -> Result<bool, RepoError> {
        let key = format!("remote.{remote}.refguardledger");
        Ok(self.read_config()?.get(&key) == Some("false"))
    }

    /// Remembers that a remote takes no refs but branches and tags.
    pub fn remember_branches_only(&self, remote: &str) -> Result<(), RepoError> {
        self.set_config(&format!("remote.{remote}.refguardLedger"), "false")
    }

    /// Writes down in the repository's configuration which branch is published.
    pub fn name_publish_branch(&self, branch: &str) -> Result<(), RepoError> {
        self.set_config(PUBLISH_BRANCH, branch)
    }
}

fn choose_remote(config: &GitConfig) -> Remote {
    if let Some(named) = config.get(REMOTE) {
        return Remote::Named(named.to_owned());
    }
    let names = config.names_in("remote", "url");
    match names.as_slice() {
        [] => Remote::None,
        [one] => Remote::Named((*one).to_owned()),
        several => Remote::Ambiguous(several.iter().map(|name| (*name).to_owned()).collect()),
    }
}

/// A remote that every ref is copied from. One that is only pushed to (`--mirror=push`) has no
/// `fetch`: this repository is then the source, not the copy.
fn is_mirror(config: &GitConfig, name: &str) -> bool {
    let fetch = format!("remote.{name}.fetch");
    let mut fetched = config.get_all(&fetch).peekable();
    let copies_anything = fetched.peek().is_some();
    let copies_all = fetched.any(|refspec| refspec.trim_start_matches('+') == "refs/*:refs/*");
    copies_all || copies_anything && config.is_on(&format!("remote.{name}.mirror"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(entries: &[(&str, &str)]) -> GitConfig {
        let listed: String = entries
            .iter()
            .map(|(key, value)| format!("{key}\n{value}\0"))
            .collect();
        GitConfig::parse(listed.as_bytes())
    }

    #[test]
    fn one_remote_counts_and_of_several_the_named_one() {
        assert_eq!(choose_remote(&config(&[])), Remote::None);
        let one = ("remote.origin.url", "a");
        assert_eq!(
            choose_remote(&config(&[one])),
            Remote::Named("origin".into())
        );
        let two = ("remote.fork.url", "b");
        let both = Remote::Ambiguous(vec!["origin".into(), "fork".into()]);
        assert_eq!(choose_remote(&config(&[one, two])), both);
        let named = ("refguard.remote", "fork");
        assert_eq!(
            choose_remote(&config(&[one, two, named])),
            Remote::Named("fork".into())
        );
    }

    #[test]
    fn a_mirror_copies_every_ref_and_a_push_mirror_is_none() {
        let url = ("remote.o.url", "a");
        let plain = ("remote.o.fetch", "+refs/heads/*:refs/remotes/o/*");
        let all = ("remote.o.fetch", "+refs/*:refs/*");
        let flag = ("remote.o.mirror", "true");
        assert!(!is_mirror(&config(&[url, plain]), "o"));
        assert!(is_mirror(&config(&[url, all]), "o"));
        assert!(is_mirror(&config(&[url, plain, flag]), "o"));
        assert!(!is_mirror(&config(&[url, flag]), "o"));
    }
}
