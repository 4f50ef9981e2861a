//! The command line: one verb a file, thin over `ops`.
//!
//! Only this folder writes to the terminal and knows exit codes. Must not name git2 or a YAML library.

mod args;
mod exit;
mod print;
mod progress;
mod verbs;

use clap::Parser;

pub use exit::Exit;

/// Parses the command line, runs the verb, and says how the process is to end.
pub fn main() -> Exit {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors.
            let answer = !error.use_stderr();
            let _ = error.print();
            return if answer { Exit::Fine } else { Exit::Trouble };
        }
    };
    match verbs::run(cli) {
        Ok(exit) => exit,
        Err(error) => exit::report(&error),
    }
}

/// The command as clap sees it: for completions, the manual, and tests of the help texts.
pub fn command() -> clap::Command {
    <args::Cli as clap::CommandFactory>::command()
}
