//! `refguard export`

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use refguard_core::interop;
use serde_json::json;

use crate::cli::args::{NowArgs, SourceArgs};
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;

/// Write a set in another system's form
///
/// Example: refguard export litellm --at production > policies.yaml
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(subcommand)]
    to: To,
}

#[derive(Debug, Subcommand)]
enum To {
    Litellm(LitellmArgs),
}

/// As `policies` and `policy_attachments` of a LiteLLM proxy config
///
/// Example: refguard export litellm --at HEAD >> config.yaml
#[derive(Debug, Args)]
struct LitellmArgs {
    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    now: NowArgs,

    /// How the set is written
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    format: ExportFormat,
}

/// Formats of an exported set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// As it stands in a config
    #[value(alias = "human")]
    Yaml,
    /// For programs: versioned and stable, the warnings beside the config
    Json,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ExportArgs) -> Result<Exit> {
    let To::Litellm(args) = &args.to;
    let valid = shell.load_valid_set(&args.source)?;
    let now = args.now.instant(&valid.workspace, args.source.revision());
    let valid = valid.at(now);
    let exported = interop::export_litellm(valid.engine.set())?;
    exported
        .warnings
        .iter()
        .for_each(|warning| print::write_message(&format!("warning: {warning}")));
    match args.format {
        ExportFormat::Yaml => print::write_results(&exported.text)?,
        ExportFormat::Json => print::write_json(&json!({
            "version": 1,
            "config": interop::export_json(valid.engine.set())?,
            "warnings": exported.warnings,
        }))?,
    }
    Ok(Exit::Fine)
}
