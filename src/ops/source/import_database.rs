//! `import litellm --policies --attachments`: the versions of a LiteLLM database as commits, and what was in
//! production promoted.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use refguard_core::document::Finding;
use refguard_core::interop::{self, Commit as DatabaseCommit, DatabaseImport};

use crate::ops::source::import::{self, ImportReport};
use crate::ops::source::init;
use crate::ops::{PromoteRequest, Workspace};
use crate::repo::{CommitId, GitEnv, NewHistory, Person, RefName, Repo, Time};

/// What an import of a database came to.
#[derive(Debug)]
pub struct DatabaseReport {
    /// The findings, as of a config's import.
    pub report: ImportReport,
    /// The commits made.
    pub commits: usize,
    /// The promotion's number, where something was in production and the gates let it through.
    pub promotion: Option<u64>,
    /// What the gates have to say of it.
    pub refused: Vec<String>,
    /// Drafts, written to the work tree and not committed.
    pub drafts: Vec<String>,
}

/// Imports the saved answers of `/policies/list` and `/policies/attachments/list` into a new or empty folder:
/// one commit a version, in order. Nothing is written where a finding is an error.
///
/// # Errors
/// Where the files cannot be read, or the folder holds something or cannot be written.
pub fn import_litellm_database(
    policies: &Path,
    attachments: &Path,
    out: &Path,
) -> Result<DatabaseReport> {
    let imported =
        interop::import_database(named(policies)?.borrow(), named(attachments)?.borrow());
    let DatabaseImport { commits, production, drafts, findings, sources, counts } = imported;
    let mut report = ImportReport { findings, sources, files: 0, counts };
    if report.findings.iter().any(Finding::is_error) {
        return Ok(DatabaseReport {
            report,
            commits: 0,
            promotion: None,
            refused: Vec::new(),
            drafts: Vec::new(),
        });
    }
    init::refuse_nested(out, "the import makes one of its own")?;
    import::write_new(out, &[])?;
    let repo = Repo::init(out, &GitEnv::from_process())?;
    let history: Vec<NewHistory> = commits.iter().map(new_history).collect();
    let ids = repo.import_history(&RefName::branch("main")?, &history)?;
    for draft in &drafts {
        let target = out.join(&draft.path);
        fs::create_dir_all(target.parent().unwrap_or(out))?;
        fs::write(&target, &draft.text)
            .with_context(|| format!("cannot write `{}`", target.display()))?;
    }
    let (promotion, refused) = match production.and_then(|index| ids.get(index)) {
        Some(commit) => promote(out, *commit)?,
        None => (None, Vec::new()),
    };
    let listing =
        repo.list_commit(repo.resolve("HEAD", &[])?, "", &crate::ops::source::load::wanted)?;
    report.files = listing.entries.len();
    let drafts = drafts
        .into_iter()
        .map(|draft| format!("{} version {}: {}", draft.policy, draft.version, draft.path));
    Ok(DatabaseReport { report, commits: ids.len(), promotion, refused, drafts: drafts.collect() })
}

fn promote(out: &Path, commit: CommitId) -> Result<(Option<u64>, Vec<String>)> {
    let workspace = Workspace::open(out)?;
    let plan = workspace.plan_promotion(PromoteRequest {
        to: "production".to_owned(),
        revision: Some(commit.to_string()),
        reason: Some("what was in production in LiteLLM's database".to_owned()),
        ..PromoteRequest::default()
    })?;
    if plan.verdict.refuses() {
        let words =
            plan.verdict.words.iter().map(|word| format!("gate `{}`: {}", word.gate, word.message));
        return Ok((None, words.collect()));
    }
    Ok((Some(workspace.promote(&plan)?.promotion), Vec::new()))
}

fn new_history(commit: &DatabaseCommit) -> NewHistory {
    let who = commit.author.clone().unwrap_or_else(|| "litellm".to_owned());
    // LiteLLM knows users by ids; only some are mail addresses.
    let email = if who.contains('@') { who.clone() } else { String::new() };
    let seconds = commit.time.map_or(0, |time| time.as_second());
    NewHistory {
        author: Person { name: who, email, time: Time { seconds, offset_minutes: 0 } },
        message: commit.message.clone(),
        files: commit.files.clone(),
    }
}

/// A file's name for findings, and its text.
struct Named(String, String);

impl Named {
    fn borrow(&self) -> (&str, String) {
        (&self.0, self.1.clone())
    }
}

fn named(path: &Path) -> Result<Named> {
    let label = path
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(Named(label, text))
}
