//! `init`: a new policy repository from the embedded example.

use std::path::Path;

use anyhow::Result;
use include_dir::{Dir, DirEntry, include_dir};
use refguard_core::document::{Kind, schema};

use crate::ops::source::import::write_new;
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
    /// Its promotion: production is this set from the start.
    pub production: Published,
    /// Git did not know who commits; the repository was told a name that stands for nobody.
    pub anonymous: bool,
}

/// Makes a policy repository in a new or empty folder: the example, the schemas for editors, one commit, promoted.
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
    let borrowed: Vec<(&str, &[u8])> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    write_new(dir, &borrowed)?;
    let files: Vec<String> = files.into_iter().map(|(path, _)| path).collect();
    let repo = Repo::init(dir, &GitEnv::from_process())?;
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
    let workspace = Workspace::open(dir)?;
    let plan = workspace.plan_promotion(PromoteRequest {
        to: "production".to_owned(),
        reason: Some("first set".to_owned()),
        ..PromoteRequest::default()
    })?;
    let production = workspace.promote(&plan)?;
    Ok(Initialised { files, commit, production, anonymous })
}

/// The example's files. The schemas beside them are written from the types, not copied.
fn gather(folder: &Dir<'_>, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) if inner.path().starts_with(".schema") => {}
            DirEntry::Dir(inner) => gather(inner, files),
            DirEntry::File(file) => {
                files.push((
                    file.path().to_string_lossy().replace('\\', "/"),
                    file.contents().to_owned(),
                ));
            }
        }
    }
}
