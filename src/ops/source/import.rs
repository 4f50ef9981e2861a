//! `import`: another system's policies as a new policy repository.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use refguard_core::document::{Finding, Kind, SourceFile, schema};
use refguard_core::interop;
use refguard_core::policy::Counts;

use crate::ops::source::hold;
use crate::repo::{CommitId, GitEnv, Repo, RepoError};

/// What an import came to.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Every finding.
    pub findings: Vec<Finding>,
    /// The files that findings speak of.
    pub sources: Vec<SourceFile>,
    /// How many files were written; none where a finding is an error.
    pub files: usize,
    /// What they hold.
    pub counts: Counts,
    /// What came of committing them; `None` where none was written.
    pub committed: Option<Committed>,
}

/// Whether what was written is a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// In a repository that the import made; whether git was told a name that stands for nobody.
    InNew {
        /// The commit.
        commit: CommitId,
        /// Git did not know who commits.
        anonymous: bool,
    },
    /// In the repository that the folder lies in.
    InEnclosing(CommitId),
    /// The repository that the folder lies in did not take it, and why.
    Not(String),
}

/// Imports a LiteLLM proxy config into a new or empty folder. Nothing is written where a finding is
/// an error.
///
/// # Errors
/// Where the config cannot be read, or the folder holds something or cannot be written.
pub fn import_litellm(config: &Path, out: &Path) -> Result<ImportReport> {
    let bytes = fs::read(config).with_context(|| format!("cannot read `{}`", config.display()))?;
    let Ok(text) = String::from_utf8(bytes) else {
        bail!("`{}` is not UTF-8 text", config.display())
    };
    let label = config.file_name().map_or_else(
        || "config.yaml".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let imported = interop::import_config(&label, text);
    if imported.findings.iter().any(Finding::is_error) {
        return Ok(ImportReport {
            findings: imported.findings,
            sources: imported.sources,
            files: 0,
            counts: imported.counts,
            committed: None,
        });
    }

    let mut files = imported.files;
    files.extend(imported.set.iter().flat_map(hold::held_files));
    let documents = files.len();
    let mut files: Vec<(String, String)> = files
        .into_iter()
        .map(|(path, text)| (path.clone(), with_schema_line(&path, text)))
        .collect();
    files.extend(schema_files()?);
    files.sort();
    let borrowed: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_bytes()))
        .collect();
    write_new(out, &borrowed)?;
    let committed = commit_import(out, &files)?;
    Ok(ImportReport {
        files: documents,
        committed: Some(committed),
        findings: imported.findings,
        sources: imported.sources,
        counts: imported.counts,
    })
}

/// Commits what was written: in the repository that the folder lies in, else in one that is made of
/// it.
fn commit_import(out: &Path, files: &[(String, String)]) -> Result<Committed> {
    let env = GitEnv::from_process();
    let message = "policies: import from LiteLLM";
    if let Some(repo) = Repo::find_enclosing(out, &env)? {
        let top = repo.work_tree().unwrap_or(repo.git_dir()).to_path_buf();
        let (top, out) = (fs::canonicalize(top)?, fs::canonicalize(out)?);
        let Ok(prefix) = out.strip_prefix(&top) else {
            return Ok(Committed::Not(
                "the folder lies outside of its work tree".to_owned(),
            ));
        };
        let paths: Vec<String> = files
            .iter()
            .map(|(path, _)| prefix.join(path).to_string_lossy().replace('\\', "/"))
            .collect();
        return Ok(
            match repo.commit_files(paths.iter().map(String::as_str), message) {
                Ok(commit) => Committed::InEnclosing(commit),
                Err(error) => Committed::Not(error.to_string()),
            },
        );
    }

    let repo = Repo::create_repository(out, &env)?;
    repo.name_publish_branch("main")?;
    let paths = || files.iter().map(|(path, _)| path.as_str());
    match repo.commit_files(paths(), message) {
        Ok(commit) => Ok(Committed::InNew {
            commit,
            anonymous: false,
        }),
        Err(RepoError::NoIdentity) => {
            repo.set_identity("refguard", "refguard@localhost")?;
            let commit = repo.commit_files(paths(), message)?;
            Ok(Committed::InNew {
                commit,
                anonymous: true,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// The schemas of all kinds, as files for editors.
///
/// # Errors
/// Where a schema of ours cannot be written.
pub(in crate::ops) fn schema_files() -> Result<Vec<(String, String)>> {
    let file = |kind: Kind| {
        let text = serde_json::to_string_pretty(&schema::schema_of(kind))? + "\n";
        Ok((format!(".schema/{}.json", kind.slug()), text))
    };
    Kind::ALL.into_iter().map(file).collect()
}

/// A written document with the line that tells editors its schema.
pub(in crate::ops) fn with_schema_line(path: &str, text: String) -> String {
    let kind = match path.split_once('/').map_or(path, |(folder, _)| folder) {
        "refguard.yaml" => Kind::Repository,
        "catalog.yaml" => Kind::Catalog,
        "policies" => Kind::Policy,
        "attachments" => Kind::PolicyAttachment,
        "tests" => Kind::PolicyTest,
        "invariants" => Kind::Invariant,
        _ => return text,
    };
    let up = "../".repeat(path.matches('/').count());
    format!(
        "# yaml-language-server: $schema={up}.schema/{}.json\n{text}",
        kind.slug()
    )
}

/// Whether a path names nothing yet, or an empty folder.
pub(in crate::ops) fn is_new_folder(dir: &Path) -> bool {
    // A repository that was just made, and holds nothing yet, is as good as an empty folder.
    let is_content =
        |entry: std::io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() != ".git");
    let is_occupied = || fs::read_dir(dir).is_ok_and(|mut entries| entries.any(is_content));
    !dir.is_file() && !is_occupied()
}

/// Writes files into a folder that must be new or empty.
///
/// # Errors
/// Where it holds something, or cannot be written.
pub(in crate::ops) fn write_new(dir: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    if !is_new_folder(dir) {
        bail!(
            "`{}` is not empty: a new or empty folder is needed",
            dir.display()
        );
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    for (path, contents) in files {
        let target = dir.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make `{}`", parent.display()))?;
        }
        fs::write(&target, contents)
            .with_context(|| format!("cannot write `{}`", target.display()))?;
    }
    Ok(())
}
