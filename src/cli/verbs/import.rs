//! `refguard import`

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::Shell;
use crate::cli::args::FindingsFormat;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::document::Finding;
use crate::ops;
use crate::output::{self, Checked, Report};

/// Make a policy repository from another system's policies
///
/// Example: refguard import litellm config.yaml -o my-policies
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    Litellm(LitellmArgs),
}

/// From a LiteLLM proxy config
///
/// Reads `policies`, `policy_attachments`, `guardrails` and `model_list`; the rest is left alone. Says where LiteLLM
/// does something else than the config seems to say. Nothing is written where a finding is an error.
///
/// Example: refguard import litellm config.yaml -o my-policies
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct LitellmArgs {
    /// The proxy's config
    config: PathBuf,

    /// A new or empty folder
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,

    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: FindingsFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ImportArgs) -> Result<Exit> {
    let From::Litellm(args) = &args.from;
    let imported = ops::import_litellm(&shell.dir.join(&args.config), &shell.dir.join(&args.out))?;
    let report = Report {
        findings: &imported.findings,
        sources: &imported.sources,
        checked: Checked {
            files: imported.files,
            policies: imported.counts.policies,
            attachments: imported.counts.attachments,
            tests: 0,
        },
    };
    let mut text = Vec::new();
    output::render(&report, args.format.output(), print::style(shell.color), &mut text)?;
    print::results(&String::from_utf8_lossy(&text))?;
    Ok(Exit::fault_if(imported.findings.iter().any(Finding::is_error)))
}
