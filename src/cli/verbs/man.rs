//! `refguard man`

use anyhow::Result;
use clap::{Args, Command};
use clap_mangen::Man;
use refguard_core::document::did_you_mean;

use crate::cli::exit::Exit;
use crate::cli::print;

/// Print the manual page, of refguard or of one verb
///
/// Example: refguard man hook install | man -l -
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The verb, and the verb below it where there is one: `hook install`
    verbs: Vec<String>,
}

pub(in crate::cli) fn run(args: &ManArgs, mut command: Command) -> Result<Exit> {
    command.build();
    let mut found = &command;
    for verb in &args.verbs {
        let known = || found.get_subcommands().map(Command::get_name);
        found = match found.find_subcommand(verb) {
            Some(below) => below,
            None => {
                let near =
                    did_you_mean(verb, known()).map(|near| format!("; did you mean `{near}`?"));
                anyhow::bail!(
                    "`{}` has no verb `{verb}`{}",
                    found.get_name(),
                    near.unwrap_or_default()
                )
            }
        };
    }
    let page = Man::new(found.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    print::write_results(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Fine)
}
