//! `init`: a new policy repository from the embedded example.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use include_dir::{Dir, DirEntry, include_dir};

use crate::ops::source::import::{is_new_folder, schema_files, write_new};
use crate::ops::{PromoteRequest, Published, Workspace};
use crate::repo::{CommitId, GitEnv, Repo, RepoError};

/// The example, as it stands in the source tree.
static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies-example");

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// The files written, relative to the folder, sorted.
    pub files: Vec<String>,
    /// The first commit.
    pub commit: CommitId,
    /// The branch it is on.
    pub branch: String,
    /// Its promotion: production is this set from the start. `None`: the repository knows another
    /// one, where production is to live.
    pub production: Option<Published>,
    /// Git did not know who commits; the repository was told a name that stands for nobody.
    pub anonymous: bool,
}

/// Makes a policy repository in a new or empty folder, or in a git repository that holds nothing
/// yet: the example, the schemas for editors, one commit, promoted.
///
/// # Errors
/// Where the folder holds something or lies in another git repository, or git cannot commit.
pub fn init_repository(dir: &Path) -> Result<Initialised> {
    let unborn = unborn_repo(dir)?;
    if unborn.is_none() {
        refuse_nested(
            dir,
            "`--here` adds a new folder of policies to that repository, such as \
             `refguard init --here policies`, and commits nothing",
        )?;
    }
    let files = write_example(dir)?;
    let (repo, branch) = match unborn {
        Some(unborn) => unborn,
        None => (
            Repo::create_repository(dir, &GitEnv::from_process())?,
            "main".to_owned(),
        ),
    };
    repo.name_publish_branch(&branch)?;
    let first = || repo.commit_files(files.iter().map(String::as_str), "policies: first set");
    let (commit, anonymous) = match first() {
        Ok(commit) => (commit, false),
        // A machine that nobody has told git their name on can still look at the example.
        Err(RepoError::NoIdentity) => {
            repo.set_identity("refguard", "refguard@localhost")?;
            (first()?, true)
        }
        Err(error) => return Err(error.into()),
    };
    if repo.has_remotes()? {
        return Ok(Initialised {
            files,
            commit,
            branch,
            production: None,
            anonymous,
        });
    }
    let workspace = Workspace::open(dir)?;
    let plan = workspace.plan_promotion(PromoteRequest {
        to: "production".to_owned(),
        reason: Some("first set".to_owned()),
        ..PromoteRequest::default()
    })?;
    let production = workspace.promote(&plan)?;
    Ok(Initialised {
        files,
        commit,
        branch,
        production: Some(production),
        anonymous,
    })
}

/// The repository whose top a folder is, and the branch that its first commit will be on, where it
/// has none yet.
fn unborn_repo(dir: &Path) -> Result<Option<(Repo, String)>> {
    let Some(repo) = enclosing_repo(dir)? else {
        return Ok(None);
    };
    let is_top = match (repo.work_tree(), dir.canonicalize()) {
        (Some(top), Ok(dir)) => top.canonicalize().is_ok_and(|top| top == dir),
        _ => false,
    };
    if !is_top {
        return Ok(None);
    }
    let branch = repo.unborn_branch()?;
    Ok(branch.map(|branch| (repo, branch)))
}

/// Writes the example into a new or empty folder of the git repository that is there, for its owner
/// to commit and promote; the files, relative to the folder, sorted.
///
/// # Errors
/// Where the folder holds something, or lies in no git repository.
pub fn init_here(dir: &Path) -> Result<Vec<String>> {
    if enclosing_repo(dir)?.is_none() {
        bail!(
            "`{}` is in no git repository: leave out `--here` to make one",
            dir.display()
        );
    }
    if !is_new_folder(dir) {
        bail!(
            "`{}` is not empty: name a folder of the repository that is new or empty, such as \
             `refguard init --here {}`",
            dir.display(),
            dir.join("policies")
                .strip_prefix(".")
                .map_or(dir, |below| below)
                .display()
        );
    }
    write_example(dir)
}

/// Refuses to make a repository within another: git does not look into it, so that the outer one
/// would neither commit nor clone the policies. Where the outer one ignores the folder, somebody
/// has said that this is meant. `instead`: what to do.
///
/// # Errors
/// Where the folder, or the nearest one above that exists, lies in a git repository.
pub(in crate::ops) fn refuse_nested(dir: &Path, instead: &str) -> Result<()> {
    let Some(repo) = enclosing_repo(dir)? else {
        return Ok(());
    };
    if repo.ignores_folder(&real_path(dir)?) {
        return Ok(());
    }
    let top = repo.work_tree().unwrap_or(repo.git_dir());
    bail!(
        "`{}` lies in the git repository `{}`, and a repository within another is not seen by it: \
         name a folder elsewhere; {instead}",
        dir.display(),
        top.display()
    );
}

fn enclosing_repo(dir: &Path) -> Result<Option<Repo>> {
    let (existing, _) = split_missing(dir)?;
    Ok(Repo::find_enclosing(&existing, &GitEnv::from_process())?)
}

/// The path of a folder that need not exist, without links.
fn real_path(dir: &Path) -> Result<PathBuf> {
    let (existing, missing) = split_missing(dir)?;
    Ok(existing.canonicalize()?.join(missing))
}

/// The nearest folder at or above a path that exists, and what is missing below it.
fn split_missing(dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let dir = std::path::absolute(dir)?;
    let existing = dir.ancestors().find(|above| above.is_dir());
    let existing = existing.with_context(|| format!("`{}` lies nowhere", dir.display()))?;
    let missing = dir.strip_prefix(existing)?;
    Ok((existing.to_owned(), missing.to_owned()))
}

/// Writes the example and the schemas; their paths, sorted.
fn write_example(dir: &Path) -> Result<Vec<String>> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    gather_files(&EXAMPLE, &mut files);
    let schemas = schema_files()?.into_iter();
    files.extend(schemas.map(|(path, text)| (path, text.into_bytes())));
    files.sort();
    let borrowed: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
        .collect();
    write_new(dir, &borrowed)?;
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// The example's files. The schemas beside them are written from the types, not copied.
fn gather_files(folder: &Dir<'_>, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) if inner.path().starts_with(".schema") => {}
            DirEntry::Dir(inner) => gather_files(inner, files),
            DirEntry::File(file) => {
                files.push((
                    file.path().to_string_lossy().replace('\\', "/"),
                    file.contents().to_owned(),
                ));
            }
        }
    }
}
