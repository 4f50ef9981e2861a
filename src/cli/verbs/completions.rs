//! `refguard completions`

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::Shell as CompletionShell;
use clap_complete::env::Shells;

use crate::cli::exit::Exit;
use crate::cli::{completion, print};

/// Print the completion script of a shell
///
/// The script asks `refguard` on the PATH, so that names are completed too: policies, guardrails,
/// teams and models of the set at hand, environments, promotions, branches, rules.
///
/// Example: refguard completions bash > ~/.local/share/bash-completion/completions/refguard
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    shell: CompletionShell,
}

pub(in crate::cli) fn run(args: &CompletionsArgs) -> Result<Exit> {
    let (name, mut script) = (args.shell.to_string(), Vec::new());
    let shells = Shells::builtins();
    let shell = shells
        .completer(&name)
        .with_context(|| format!("there is no shell `{name}`"))?;
    let program = completion::PROGRAM;
    shell.write_registration(completion::VARIABLE, program, program, program, &mut script)?;
    print::write_results(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
