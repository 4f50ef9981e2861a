//! Real repositories for tests, built by the real `git` in folders that vanish; nothing of the
//! tester's own configuration is seen.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::{CommitId, EntryKind, GitEnv, Listing, RefName, Repo, Root};

/// A repository, or a plain folder.
pub(crate) struct TestRepo {
    _dir: TempDir,
    path: PathBuf,
    vars: Vec<(String, String)>,
}

impl TestRepo {
    /// An empty repository on branch `main`.
    pub fn new() -> Self {
        let repo = Self::plain();
        repo.git(["init", "-q", "-b", "main"]);
        repo
    }

    /// A clone of this one, which it knows as `origin`.
    pub fn cloned(&self, options: &[&str]) -> Self {
        let clone = Self::plain();
        let url = format!("file://{}", self.path.display());
        clone.git(
            ["clone", "-q"]
                .into_iter()
                .chain(options.iter().copied())
                .chain([url.as_str(), "."]),
        );
        clone
    }

    /// A folder in no repository.
    pub fn plain() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap().join("repo");
        let home = path.with_file_name("home");
        fs::create_dir(&path).unwrap();
        fs::create_dir(&home).unwrap();
        let home = home.to_str().unwrap().to_owned();
        let mut vars: Vec<(String, String)> = [
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", home.as_str()),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.org"),
            ("GIT_AUTHOR_DATE", "1700000000 +0100"),
            ("GIT_COMMITTER_NAME", "Bob"),
            ("GIT_COMMITTER_EMAIL", "bob@example.org"),
            ("GIT_COMMITTER_DATE", "1700000060 +0000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        vars.extend(std::env::var("PATH").map(|path| ("PATH".to_owned(), path)));
        Self {
            _dir: dir,
            path,
            vars,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn vars(&self) -> Vec<(String, String)> {
        self.vars.clone()
    }

    pub fn env(&self) -> GitEnv {
        self.vars.iter().cloned().collect()
    }

    /// The environment with more in it.
    pub fn env_with(&self, more: &[(&str, &str)]) -> GitEnv {
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.vars.iter().cloned().chain(more).collect()
    }

    /// The environment with another `git`: a few lines of shell that can call the real one.
    pub fn env_with_git(&self, script: &str) -> GitEnv {
        let bin = self.path.with_file_name("bin");
        let path = std::env::var("PATH").unwrap();
        fs::create_dir_all(&bin).unwrap();
        write_script(&bin.join("git"), &format!("PATH='{path}'\n{script}"));
        self.env_with(&[("PATH", &format!("{}:{path}", bin.display()))])
    }

    /// The environment without some of it.
    pub fn env_without(&self, names: &[&str]) -> GitEnv {
        self.vars
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()))
            .cloned()
            .collect()
    }

    /// Runs git here; it must succeed.
    pub fn git<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        let args: Vec<&str> = args.into_iter().collect();
        let out = self.try_git(&args);
        assert!(
            out.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs git here, whatever comes of it.
    pub fn try_git(&self, args: &[&str]) -> Output {
        let mut command = Command::new("git");
        command
            .args(args)
            .current_dir(&self.path)
            .env_clear()
            .envs(self.vars.clone())
            .output()
            .unwrap()
    }

    /// Feeds `git fast-import`, for long histories.
    pub fn fast_import(&self, stream: &str) {
        let mut command = Command::new("git");
        command
            .args(["fast-import", "--quiet", "--force"])
            .current_dir(&self.path)
            .env_clear()
            .envs(self.vars.clone());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stream.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Installs a hook of a few lines of shell.
    pub fn hook(&self, name: &str, script: &str) {
        let dir = self
            .path
            .join(self.git(["rev-parse", "--git-path", "hooks"]));
        fs::create_dir_all(&dir).unwrap();
        write_script(&dir.join(name), script);
    }

    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Commits everything that is not ignored.
    pub fn commit(&self, message: &str) -> CommitId {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
        self.id("HEAD")
    }

    /// Writes one file and commits.
    pub fn commit_file(&self, path: &str, text: &str) -> CommitId {
        self.write(path, text).commit(&format!("{path}: {text}"))
    }

    pub fn id(&self, revision: &str) -> CommitId {
        self.git(["rev-parse", "--verify", revision])
            .parse()
            .unwrap()
    }

    pub fn open(&self) -> Repo {
        Repo::open_at(&self.path, &self.env()).unwrap()
    }

    pub fn root(&self) -> Root {
        Root::find(&self.path, &self.env()).unwrap()
    }
}

/// Writes an executable file of a few lines of shell.
pub(crate) fn write_script(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn branch(name: &str) -> RefName {
    RefName::of_branch(name).unwrap()
}

pub(crate) fn everything(_: &str, _: EntryKind) -> bool {
    true
}

/// The paths of a listing; what is no file with a word for its kind.
pub(crate) fn paths(listing: &Listing<'_>) -> Vec<String> {
    let show = |entry: &super::Entry| match entry.kind {
        EntryKind::File => entry.path.to_string(),
        kind => format!("{} {kind:?}", entry.path),
    };
    listing.entries.iter().map(show).collect()
}

/// The contents of a listing's files.
pub(crate) fn texts(listing: &Listing<'_>) -> Vec<String> {
    let files = listing
        .entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::File);
    files
        .map(|entry| String::from_utf8(listing.read_entry(entry).unwrap()).unwrap())
        .collect()
}
