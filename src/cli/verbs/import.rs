//! `refguard import`

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use refguard_core::document::Finding;
use serde::Serialize;
use serde_json::Value;

use crate::cli::args::findings_format;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{self, Committed, DatabaseReport, ImportReport};
use crate::output::{self, Checked, Format, Report};

/// Make a policy repository from another system's policies
///
/// Example: refguard import litellm config.yaml -o my-policies
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    Litellm(LitellmArgs),
}

/// From a LiteLLM proxy config, or from its database
///
/// Of a config, reads `policies`, `policy_attachments`, `guardrails` and `model_list`; the rest is
/// left alone. Of a database, reads the saved answers of `/policies/list` and
/// `/policies/attachments/list`, makes one commit a version in order, and promotes what was in
/// production. Says where LiteLLM does something else than its input seems to say. Nothing is
/// written where a finding is an error.
///
/// Example: refguard import litellm config.yaml -o my-policies
///
/// Example: refguard import litellm --policies policies.json --attachments attachments.json -o
/// my-policies
#[derive(Debug, Args)]
struct LitellmArgs {
    /// The proxy's config
    #[arg(required_unless_present = "policies", conflicts_with_all = ["policies", "attachments"])]
    config: Option<PathBuf>,

    /// The saved answer of `/policies/list`
    #[arg(long, value_name = "FILE", requires = "attachments")]
    policies: Option<PathBuf>,

    /// The saved answer of `/policies/attachments/list`
    #[arg(long, value_name = "FILE", requires = "policies")]
    attachments: Option<PathBuf>,

    /// A new or empty folder
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,

    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = findings_format())]
    format: Format,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ImportArgs) -> Result<Exit> {
    let From::Litellm(args) = &args.from;
    let out = shell.dir.join(&args.out);
    let done = match (&args.config, &args.policies, &args.attachments) {
        (Some(config), ..) => {
            let report = ops::import_litellm(&shell.dir.join(config), &out)?;
            print_commit(&report, args);
            DatabaseReport {
                report,
                ..DatabaseReport::default()
            }
        }
        (None, Some(policies), Some(attachments)) => {
            let done = ops::import_litellm_database(
                &shell.dir.join(policies),
                &shell.dir.join(attachments),
                &out,
            )?;
            print_database(&done);
            done
        }
        (None, ..) => bail!("a config, or `--policies` and `--attachments`, is needed"),
    };
    if args.format == Format::Json {
        print::write_json(&ImportObject::of(&done))?;
        return Ok(Exit::fault_if(
            done.report.findings.iter().any(Finding::is_error),
        ));
    }
    let imported = &done.report;
    let report = Report {
        findings: &imported.findings,
        sources: &imported.sources,
        checked: Checked {
            // Those that were written; where none was, those that were read.
            files: if imported.files > 0 {
                imported.files
            } else {
                imported.sources.len()
            },
            policies: imported.counts.policies,
            attachments: imported.counts.attachments,
            tests: 0,
        },
        prefix: "",
    };
    let mut text = Vec::new();
    output::render(
        &report,
        args.format,
        print::choose_style(shell.color),
        &mut text,
    )?;
    print::write_results(&String::from_utf8_lossy(&text))?;
    Ok(Exit::fault_if(
        imported.findings.iter().any(Finding::is_error),
    ))
}

/// What came of an import, for programs.
#[derive(Serialize)]
struct ImportObject<'a> {
    version: u32,
    findings: Vec<Value>,
    errors: usize,
    warnings: usize,
    /// Files that were written; none where a finding is an error.
    files: usize,
    /// The commit of a config's policies.
    commit: Option<String>,
    /// Why what was written is in no commit.
    not_committed: Option<&'a str>,
    /// Commits of a database's versions.
    commits: usize,
    promotion: Option<u64>,
    refused: &'a [String],
    drafts: &'a [String],
    older_drafts: &'a [String],
}

impl<'a> ImportObject<'a> {
    fn of(done: &'a DatabaseReport) -> Self {
        let report = &done.report;
        let errors = report
            .findings
            .iter()
            .filter(|finding| finding.is_error())
            .count();
        let (commit, not_committed) = match &report.committed {
            None => (None, None),
            Some(Committed::InNew { commit, .. } | Committed::InEnclosing(commit)) => {
                (Some(commit.to_string()), None)
            }
            Some(Committed::Not(reason)) => (None, Some(reason.as_str())),
        };
        Self {
            version: 1,
            findings: report.findings.iter().map(output::finding_json).collect(),
            errors,
            warnings: report.findings.len() - errors,
            files: report.files,
            commit,
            not_committed,
            commits: done.commits,
            promotion: done.promotion,
            refused: &done.refused,
            drafts: &done.drafts,
            older_drafts: &done.older_drafts,
        }
    }
}

/// What came of a config, on stderr, and what to do next.
fn print_commit(done: &ImportReport, args: &LitellmArgs) {
    let Some(committed) = &done.committed else {
        return;
    };
    let folder = args.out.display();
    let said = match committed {
        Committed::InNew { commit, .. } => {
            format!("made the repository `{folder}`, committed as {commit}")
        }
        Committed::InEnclosing(commit) => format!("committed `{folder}` as {commit}"),
        Committed::Not(reason) => format!("wrote `{folder}`, not committed: {reason}"),
    };
    print::write_message(&said);
    if matches!(
        committed,
        Committed::InNew {
            anonymous: true,
            ..
        }
    ) {
        print::write_message(
            "git does not know who you are: the commit is by `refguard`; set user.name and \
             user.email",
        );
    }
    print::write_message(&format!("next: refguard -C {folder} test"));
    print::write_message(&format!(
        "next: refguard -C {folder} promote --reason \"as LiteLLM has it\""
    ));
}

/// What was made of a database, on stderr: findings are the result.
fn print_database(done: &DatabaseReport) {
    if done.commits > 0 {
        print::write_message(&format!("made {} commits", done.commits));
    }
    if let Some(number) = done.promotion {
        print::write_message(&format!("production: promotion {number}"));
    }
    for refused in &done.refused {
        print::write_message(&format!("not promoted: {refused}"));
    }
    for draft in &done.drafts {
        print::write_message(&format!("draft: {draft}"));
    }
    for draft in &done.older_drafts {
        print::write_message(&format!("draft older than production, left out: {draft}"));
    }
}
