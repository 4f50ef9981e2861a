//! `refguard export`

use anyhow::Result;
use clap::{Args, Subcommand};
use refguard_core::interop;

use super::Shell;
use crate::cli::args::SourceArgs;
use crate::cli::exit::Exit;
use crate::cli::print;

/// Write a set in another system's form
///
/// Example: refguard export litellm --at production > policies.yaml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
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
#[command(verbatim_doc_comment)]
struct LitellmArgs {
    #[command(flatten)]
    source: SourceArgs,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ExportArgs) -> Result<Exit> {
    let To::Litellm(args) = &args.to;
    let ready = match shell.ready(&args.source.source())? {
        Ok(ready) => ready,
        Err(exit) => return Ok(exit),
    };
    let exported = interop::export_litellm(ready.engine.set());
    exported.warnings.iter().for_each(|warning| print::message(&format!("warning: {warning}")));
    print::results(&exported.text)?;
    Ok(Exit::Fine)
}
