//! `refguard man`

use anyhow::Result;
use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::exit::Exit;
use crate::cli::print;

/// Print the manual page, of refguard or of one verb
///
/// Example: refguard man | man -l -
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The verb
    verb: Option<String>,
}

pub(in crate::cli) fn run(args: &ManArgs, mut command: Command) -> Result<Exit> {
    command.build();
    let page = match &args.verb {
        None => Man::new(command),
        Some(verb) => match command.find_subcommand(verb) {
            Some(found) => Man::new(found.clone()),
            None => anyhow::bail!("there is no verb `{verb}`"),
        },
    };
    let mut text = Vec::new();
    page.render(&mut text)?;
    print::write_results(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Fine)
}
