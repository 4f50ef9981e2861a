//! `init`: a new policy repository from the embedded example.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use include_dir::{Dir, DirEntry, include_dir};

use crate::document::{Kind, schema};
use crate::repo::{CommitId, GitEnv, init_repository};

/// The example, as it stands in the source tree.
static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies-example");

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// The files written, relative to the folder, sorted.
    pub files: Vec<String>,
    /// The first commit.
    pub commit: CommitId,
}

/// Makes a policy repository in a new or empty folder: the example, the schemas for editors, one commit.
///
/// # Errors
/// Where the folder holds something, or git cannot commit.
pub fn init(dir: &Path) -> Result<Initialised> {
    let occupied = || fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if dir.is_file() || occupied() {
        bail!("`{}` is not empty; `init` makes a new repository in a new or empty folder", dir.display());
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    let mut files = Vec::new();
    write_example(dir, &EXAMPLE, &mut files)?;
    for kind in Kind::ALL {
        let text = serde_json::to_string_pretty(&schema::of(kind))? + "\n";
        write(dir, &format!(".schema/{}.json", kind.slug()), text.as_bytes(), &mut files)?;
    }
    files.sort();
    let commit = init_repository(dir, &GitEnv::from_process(), &files, "policies: first set")?;
    Ok(Initialised { files, commit })
}

fn write_example(dir: &Path, folder: &Dir<'_>, files: &mut Vec<String>) -> Result<()> {
    for entry in folder.entries() {
        match entry {
            // The schemas are written from the types, not copied.
            DirEntry::Dir(inner) if inner.path().starts_with(".schema") => {}
            DirEntry::Dir(inner) => write_example(dir, inner, files)?,
            DirEntry::File(file) => {
                let path = file.path().to_string_lossy().replace('\\', "/");
                write(dir, &path, file.contents(), files)?;
            }
        }
    }
    Ok(())
}

fn write(dir: &Path, path: &str, contents: &[u8], files: &mut Vec<String>) -> Result<()> {
    let target = dir.join(path);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
    }
    fs::write(&target, contents).with_context(|| format!("cannot write `{}`", target.display()))?;
    files.push(path.to_owned());
    Ok(())
}
