//! `import`: another system's policies as a new policy repository.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use refguard_core::document::{Finding, SourceFile};
use refguard_core::interop;
use refguard_core::policy::Counts;

/// What an import came to.
#[derive(Debug)]
pub struct ImportReport {
    /// Every finding.
    pub findings: Vec<Finding>,
    /// The files that findings speak of.
    pub sources: Vec<SourceFile>,
    /// How many files were written; none where a finding is an error.
    pub files: usize,
    /// What they hold.
    pub counts: Counts,
}

/// Imports a LiteLLM proxy config into a new or empty folder. Nothing is written where a finding is an error.
///
/// # Errors
/// Where the config cannot be read, or the folder holds something or cannot be written.
pub fn import_litellm(config: &Path, out: &Path) -> Result<ImportReport> {
    let bytes = fs::read(config).with_context(|| format!("cannot read `{}`", config.display()))?;
    let Ok(text) = String::from_utf8(bytes) else {
        bail!("`{}` is not UTF-8 text", config.display())
    };
    let label = config
        .file_name()
        .map_or_else(|| "config.yaml".to_owned(), |name| name.to_string_lossy().into_owned());
    let imported = interop::import_config(&label, text);
    if imported.findings.iter().any(Finding::is_error) {
        return Ok(ImportReport {
            findings: imported.findings,
            sources: imported.sources,
            files: 0,
            counts: imported.counts,
        });
    }
    let files: Vec<(&str, &[u8])> =
        imported.files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
    write_new(out, &files)?;
    Ok(ImportReport {
        files: files.len(),
        findings: imported.findings,
        sources: imported.sources,
        counts: imported.counts,
    })
}

/// Writes files into a folder that must be new or empty.
///
/// # Errors
/// Where it holds something, or cannot be written.
pub(in crate::ops) fn write_new(dir: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    // A repository that was just made, and holds nothing yet, is as good as an empty folder.
    let is_content =
        |entry: std::io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() != ".git");
    let occupied = || fs::read_dir(dir).is_ok_and(|mut entries| entries.any(is_content));
    if dir.is_file() || occupied() {
        bail!("`{}` is not empty: a new or empty folder is needed", dir.display());
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
