//! Writing objects, by git's own commands: what they write is on the disk when they answer.

use std::collections::BTreeMap;

use super::git::GitCommand;
use super::{BlobId, CommitId, Person, Repo, RepoError, TreeId, TreeItem};

/// Makes git flush objects and refs before it answers; by default it does for neither.
pub(super) const DURABLE: [&str; 2] = ["-c", "core.fsync=committed"];

/// A commit to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// Its tree.
    pub tree: TreeId,
    /// Its parents, each once.
    pub parents: Vec<CommitId>,
    /// Its whole message.
    pub message: String,
    /// Who made the change, and when, if not the one who runs this now.
    pub author: Option<Person>,
}

/// Changes to a tree, by folder.
#[derive(Default)]
struct Folder {
    items: BTreeMap<Vec<u8>, Option<TreeItem>>,
    folders: BTreeMap<Vec<u8>, Folder>,
}

/// What becomes of the entries of a folder: a tree that is written, or only its id.
type Make<'m> = &'m dyn Fn(&BTreeMap<Vec<u8>, TreeItem>) -> Result<TreeId, RepoError>;

/// The id of the tree that has these entries.
fn name_of_tree(entries: &BTreeMap<Vec<u8>, TreeItem>) -> Result<TreeId, RepoError> {
    let mut sorted: Vec<(&Vec<u8>, &TreeItem)> = entries.iter().collect();
    // Git sorts a folder as if its name ended in a slash.
    sorted.sort_by_cached_key(|(name, item)| {
        name.iter()
            .copied()
            .chain(item.kind().is_none().then_some(b'/'))
            .collect::<Vec<u8>>()
    });
    let mut bytes = Vec::new();
    for (name, item) in sorted {
        bytes.extend_from_slice(format!("{:o} ", item.mode).as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(item.id.as_bytes());
    }
    let named = git2::Oid::hash_object(git2::ObjectType::Tree, &bytes);
    named
        .map(TreeId::from)
        .map_err(RepoError::objects_error("name a tree"))
}

impl Repo {
    /// Writes a file's content.
    pub fn write_blob(&self, content: impl Into<Vec<u8>>) -> Result<BlobId, RepoError> {
        let answer = self
            .make_durable(["hash-object", "-w", "--stdin"])
            .with_input(content)
            .run()?;
        parse_id(&answer.text(), "hash-object")
    }

    /// A tree like `base` (`None`: like an empty one) but for some paths, each with what is to
    /// stand there or nothing. Folders that become empty vanish.
    pub fn tree_with<'p>(
        &self,
        base: Option<TreeId>,
        changes: impl IntoIterator<Item = (&'p str, Option<TreeItem>)>,
    ) -> Result<TreeId, RepoError> {
        self.env.may_fail_before("before-tree")?;
        let tree = self.changed_blobs(base, changes, &|entries| self.make_tree(entries))?;
        self.env.may_fail_after("after-tree");
        Ok(tree)
    }

    /// The id that [`Self::tree_with`] would give. Nothing is written.
    pub fn tree_id_with<'p>(
        &self,
        base: Option<TreeId>,
        changes: impl IntoIterator<Item = (&'p str, Option<TreeItem>)>,
    ) -> Result<TreeId, RepoError> {
        self.changed_blobs(base, changes, &name_of_tree)
    }

    fn changed_blobs<'p>(
        &self,
        base: Option<TreeId>,
        changes: impl IntoIterator<Item = (&'p str, Option<TreeItem>)>,
        make: Make<'_>,
    ) -> Result<TreeId, RepoError> {
        let mut top = Folder::default();
        for (path, item) in changes {
            top.put_item(path, item).ok_or_else(|| RepoError::BadPath {
                path: path.to_owned(),
            })?;
        }
        match self.change_folder(base, top, make)? {
            Some(tree) => Ok(tree),
            None => make(&BTreeMap::new()),
        }
    }

    /// Writes a commit, signed where git's configuration asks for it. No ref knows of it yet.
    pub fn write_commit(&self, new: &NewCommit) -> Result<CommitId, RepoError> {
        self.env.may_fail_before("before-commit-object")?;
        let mut words = vec![
            "-c".to_owned(),
            "i18n.commitEncoding=UTF-8".to_owned(),
            "commit-tree".to_owned(),
        ];
        words.extend(self.signs_commits()?.then(|| "-S".to_owned()));
        words.extend(
            new.parents
                .iter()
                .flat_map(|parent| ["-p".to_owned(), parent.to_string()]),
        );
        words.extend(["-F".to_owned(), "-".to_owned(), new.tree.to_string()]);
        let mut command = self.make_durable(words.iter().map(String::as_str));
        if let Some(author) = &new.author {
            command.with_env("GIT_AUTHOR_NAME", &author.name);
            command.with_env("GIT_AUTHOR_EMAIL", &author.email);
            command.with_env("GIT_AUTHOR_DATE", author.time.raw());
        }
        let answer = command.with_input(new.message.as_str()).run()?;
        let commit = parse_id(&answer.text(), "commit-tree")?;
        self.env.may_fail_after("after-commit-object");
        Ok(commit)
    }

    pub(super) fn make_durable<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> GitCommand {
        self.git_command(DURABLE.into_iter().chain(words))
    }

    /// `commit-tree` itself does not look at `commit.gpgSign`.
    fn signs_commits(&self) -> Result<bool, RepoError> {
        let answer = self
            .git_command([
                "config",
                "--type=bool",
                "--default=false",
                "--get",
                "commit.gpgSign",
            ])
            .run()?;
        Ok(answer.text() == "true")
    }

    /// Makes a folder and those below it; `None` if nothing is left in it.
    fn change_folder(
        &self,
        base: Option<TreeId>,
        changes: Folder,
        make: Make<'_>,
    ) -> Result<Option<TreeId>, RepoError> {
        let mut entries = BTreeMap::new();
        if let Some(base) = base {
            let tree = self.find_tree(base)?;
            entries.extend(
                tree.iter()
                    .map(|entry| (entry.name_bytes().to_owned(), TreeItem::of(&entry))),
            );
        }
        let before = entries.clone();
        entries.retain(|name, _| !matches!(changes.items.get(name), Some(None)));
        for (name, folder) in changes.folders {
            let inner = entries.get(&name).and_then(TreeItem::folder_id);
            let written = self
                .change_folder(inner, folder, make)?
                .map(TreeItem::of_folder);
            // A file that gives way to a folder of its name has gone; one that is only passed by
            // stays.
            match written {
                Some(item) => drop(entries.insert(name, item)),
                None if inner.is_some() => drop(entries.remove(&name)),
                None => {}
            }
        }
        entries.extend(
            changes
                .items
                .into_iter()
                .filter_map(|(name, item)| Some((name, item?))),
        );
        match base {
            _ if entries.is_empty() => Ok(None),
            Some(base) if entries == before => Ok(Some(base)),
            _ => make(&entries).map(Some),
        }
    }

    fn make_tree(&self, entries: &BTreeMap<Vec<u8>, TreeItem>) -> Result<TreeId, RepoError> {
        let mut input = Vec::new();
        for (name, item) in entries {
            input.extend_from_slice(item.describe().as_bytes());
            input.push(b'\t');
            input.extend_from_slice(name);
            input.push(0);
        }
        // The objects are those of trees that were read, or were just written.
        let answer = self
            .make_durable(["mktree", "-z", "--missing"])
            .with_input(input)
            .run()?;
        parse_id(&answer.text(), "mktree")
    }
}

impl Folder {
    /// Notes a change; `None` if git could not hold such a path.
    fn put_item(&mut self, path: &str, item: Option<TreeItem>) -> Option<()> {
        let (folder, rest) = match path.split_once('/') {
            Some((folder, rest)) => (folder, Some(rest)),
            None => (path, None),
        };
        if matches!(folder, "" | "." | "..")
            || folder.eq_ignore_ascii_case(".git")
            || folder.contains('\0')
        {
            return None;
        }
        let name = folder.as_bytes().to_owned();
        match rest {
            Some(rest) => self.folders.entry(name).or_default().put_item(rest, item),
            None => {
                self.items.insert(name, item);
                Some(())
            }
        }
    }
}

fn parse_id<T: std::str::FromStr>(text: &str, verb: &str) -> Result<T, RepoError> {
    let message = || format!("its answer `{text}` is no object id");
    text.parse().map_err(|_| RepoError::Git {
        verb: verb.to_owned(),
        message: message(),
    })
}
