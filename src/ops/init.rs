//! `init`: a new policy repository from the embedded example.

use std::path::Path;

use anyhow::Result;
use include_dir::{Dir, DirEntry, include_dir};

use super::import::write_new;
use crate::document::{Kind, schema};
use crate::repo::CommitId;

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
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    gather(&EXAMPLE, &mut files);
    for kind in Kind::ALL {
        let text = serde_json::to_string_pretty(&schema::of(kind))? + "\n";
        files.push((format!(".schema/{}.json", kind.slug()), text.into_bytes()));
    }
    files.sort();
    let borrowed: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    write_new(dir, &borrowed)?;
    let files: Vec<String> = files.into_iter().map(|(path, _)| path).collect();
    let commit = first_commit(dir)?;
    Ok(Initialised { files, commit })
}

/// The example's files. The schemas beside them are written from the types, not copied.
fn gather(folder: &Dir<'_>, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) if inner.path().starts_with(".schema") => {}
            DirEntry::Dir(inner) => gather(inner, files),
            DirEntry::File(file) => {
                files.push((file.path().to_string_lossy().replace('\\', "/"), file.contents().to_owned()));
            }
        }
    }
}

fn first_commit(dir: &Path) -> Result<CommitId> {
    let git = |args: &[&str]| -> Result<String> {
        let output = std::process::Command::new("git").arg("-C").arg(dir).args(args).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    git(&["init", "-q", "-b", "main"])?;
    git(&["add", "-A"])?;
    git(&["commit", "-q", "-m", "policies: first set"])?;
    Ok(git(&["rev-parse", "HEAD"])?.parse()?)
}
