//! `import litellm --policies --attachments`: the versions of a LiteLLM database as commits, and
//! what was in production promoted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use refguard_core::document::Finding;
use refguard_core::interop::{self, Commit as DatabaseCommit, DatabaseImport, Draft};

use crate::ops::source::import::{self, ImportReport, schema_files, with_schema_line};
use crate::ops::source::init;
use crate::ops::{PromoteRequest, Workspace};
use crate::repo::{CommitId, GitEnv, NewHistory, Person, RefName, Repo, Time};

/// What an import of a database came to.
#[derive(Debug, Default)]
pub struct DatabaseReport {
    /// The findings, as of a config's import.
    pub report: ImportReport,
    /// The commits made.
    pub commits: usize,
    /// The promotion's number, where something was in production and the gates let it through.
    pub promotion: Option<u64>,
    /// What the gates have to say of it.
    pub refused: Vec<String>,
    /// Drafts, each with the branch that holds it.
    pub drafts: Vec<String>,
    /// Drafts that are older than what is in production, left out.
    pub older_drafts: Vec<String>,
}

/// Imports the saved answers of `/policies/list` and `/policies/attachments/list` into a new or
/// empty folder: one commit a version, in order. Nothing is written where a finding is an error.
///
/// # Errors
/// Where the files cannot be read, or the folder holds something or cannot be written.
pub fn import_litellm_database(
    policies: &Path,
    attachments: &Path,
    out: &Path,
) -> Result<DatabaseReport> {
    let imported = interop::import_database(
        read_named(policies)?.borrow(),
        read_named(attachments)?.borrow(),
    );
    let DatabaseImport {
        commits,
        production,
        drafts,
        older_drafts,
        findings,
        sources,
        counts,
    } = imported;
    let mut report = ImportReport {
        findings,
        sources,
        files: 0,
        counts,
        committed: None,
    };
    if report.findings.iter().any(Finding::is_error) {
        return Ok(DatabaseReport {
            report,
            commits: 0,
            promotion: None,
            refused: Vec::new(),
            drafts: Vec::new(),
            older_drafts: Vec::new(),
        });
    }
    init::refuse_nested(out, "the import makes one of its own")?;
    import::write_new(out, &[])?;
    let repo = Repo::create_repository(out, &GitEnv::from_process())?;
    repo.name_publish_branch("main")?;
    let mut history = dated_history(&commits, Timestamp::now().as_second());
    add_editor_files(&mut history)?;
    let ids = repo.import_history(&RefName::of_branch("main")?, &history)?;
    let drafts = match ids.last().zip(history.last()) {
        Some((tip, last)) => branch_drafts(&repo, *tip, last.author.time.seconds, drafts)?,
        None => Vec::new(),
    };
    let (promotion, refused) = match production.and_then(|index| ids.get(index)) {
        Some(commit) => promote_import(out, *commit)?,
        None => (None, Vec::new()),
    };
    let listing = repo.list_commit(
        repo.resolve_revision("HEAD", &[])?,
        "",
        &crate::ops::source::load::wanted,
    )?;
    report.files = listing.entries.len();
    let older_drafts = older_drafts.into_iter();
    Ok(DatabaseReport {
        report,
        commits: ids.len(),
        promotion,
        refused,
        drafts,
        older_drafts: older_drafts
            .map(|(name, number)| format!("{name} version {number}"))
            .collect(),
    })
}

/// Makes a branch of each draft, on what the import published, whose time in seconds a draft has
/// that tells none of its own; what they are called.
fn branch_drafts(
    repo: &Repo,
    tip: CommitId,
    tip_seconds: i64,
    drafts: Vec<Draft>,
) -> Result<Vec<String>> {
    let mut taken = BTreeSet::new();
    let mut made = Vec::new();
    for draft in drafts {
        let stem = draft
            .path
            .strip_prefix("policies/")
            .and_then(|path| path.strip_suffix(".yaml"));
        let first = format!("draft/{}-{}", stem.unwrap_or(&draft.path), draft.version);
        // Two rows may have one number: both are kept.
        let mut again = (2..).map(|n: usize| format!("{first}-{n}"));
        let mut name = first.clone();
        while !taken.insert(name.clone()) {
            let Some(next) = again.next() else { break };
            name = next;
        }

        let text = with_schema_line(&draft.path, draft.text);
        let commit = DatabaseCommit {
            author: draft.author,
            time: draft.time,
            message: format!(
                "{}: version {} of LiteLLM's database, a draft",
                draft.policy, draft.version
            ),
            files: vec![(draft.path, Some(text))],
        };
        let draft_history = new_history(&commit, tip_seconds);
        repo.import_branch(&RefName::of_branch(&name)?, tip, &draft_history)?;
        made.push(format!(
            "{} version {}: branch `{name}`",
            draft.policy, draft.version
        ));
    }
    Ok(made)
}

fn promote_import(out: &Path, commit: CommitId) -> Result<(Option<u64>, Vec<String>)> {
    let workspace = Workspace::open(out)?;
    let plan = workspace.plan_promotion(PromoteRequest {
        to: "production".to_owned(),
        revision: Some(commit.to_string()),
        reason: Some("what was in production in LiteLLM's database".to_owned()),
        ..PromoteRequest::default()
    })?;
    if plan.verdict.refuses() {
        let words = plan
            .verdict
            .words
            .iter()
            .map(|word| format!("gate `{}`: {}", word.gate, word.message));
        return Ok((None, words.collect()));
    }
    Ok((Some(workspace.promote(&plan)?.promotion), Vec::new()))
}

/// The commits in git's words; one without a time has that of the one before it, the first ones
/// that of the first that has any, and all of them `now`, in seconds, where none has one.
fn dated_history(commits: &[DatabaseCommit], now: i64) -> Vec<NewHistory> {
    let seconds_of = |commit: &DatabaseCommit| commit.time.map(|time| time.as_second());
    let mut seconds = commits.iter().find_map(seconds_of).unwrap_or(now);
    let dated = commits.iter().map(|commit| {
        seconds = seconds_of(commit).unwrap_or(seconds);
        new_history(commit, seconds)
    });
    dated.collect()
}

/// Puts the schemas into the first commit, and the line that names them into every document.
fn add_editor_files(history: &mut [NewHistory]) -> Result<()> {
    for (path, text) in history.iter_mut().flat_map(|commit| &mut commit.files) {
        *text = text.take().map(|text| with_schema_line(path, text));
    }
    if let Some(first) = history.first_mut() {
        first.files.extend(
            schema_files()?
                .into_iter()
                .map(|(path, text)| (path, Some(text))),
        );
    }
    Ok(())
}

/// One commit in git's words; `otherwise` are the seconds of one that has no time.
fn new_history(commit: &DatabaseCommit, otherwise: i64) -> NewHistory {
    let who = commit
        .author
        .clone()
        .unwrap_or_else(|| "litellm".to_owned());
    // LiteLLM knows users by ids; only some are mail addresses.
    let email = if who.contains('@') {
        who.clone()
    } else {
        String::new()
    };
    let seconds = commit.time.map_or(otherwise, |time| time.as_second());
    NewHistory {
        author: Person {
            name: who,
            email,
            time: Time {
                seconds,
                offset_minutes: 0,
            },
        },
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

fn read_named(path: &Path) -> Result<Named> {
    let label = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(Named(label, text))
}
