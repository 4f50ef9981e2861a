//! The command line: one verb a file, thin over `ops`.
//!
//! Only this folder writes to the terminal and knows exit codes. Must not name git2 or a YAML
//! library. `command` knows the verbs; verbs know `shell`, `args` and `print`, and those know no
//! verb.

mod args;
#[cfg(feature = "daemon")]
mod asker;
mod command;
mod completion;
mod exit;
#[cfg(feature = "daemon")]
mod fleet;
mod pager;
mod print;
mod progress;
mod shell;
mod verbs;

use clap::Command;

pub use exit::Exit;

/// Parses the command line, runs the verb, and says how the process is to end.
pub fn main() -> Exit {
    completion::answer_shell(command);
    let parsed = match command::Parsed::from_process() {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version are answers, not errors.
            let answer = !error.use_stderr();
            let _ = error.print();
            if answer {
                return Exit::Fine;
            }
            let line = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
            if command::wants_json(line) {
                exit::print_usage_error(&error);
            }
            return Exit::Trouble;
        }
    };
    let (color, json) = (parsed.color(), parsed.json);
    parsed
        .run()
        .unwrap_or_else(|error| exit::report_error(&error, color, json))
}

/// The command as clap sees it: for tests of the help texts.
pub fn command() -> Command {
    command::build_command()
}
