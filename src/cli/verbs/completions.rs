//! `refguard completions`

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell as CompletionShell;

use crate::cli::exit::Exit;
use crate::cli::print;

/// Print the completion script of a shell
///
/// Example: refguard completions bash > ~/.local/share/bash-completion/completions/refguard
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    shell: CompletionShell,
}

pub(in crate::cli) fn run(args: &CompletionsArgs, mut command: Command) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "refguard", &mut script);
    print::write_results(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
