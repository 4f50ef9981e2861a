//! Long answers on a terminal go through the pager that git would use. Must not know any verb.
//!
//! The pager decides nothing: the exit code stays the verb's, a pager that cannot be started leaves
//! the text on the terminal, and one that ends early has seen enough.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGINT;
use terminal_size::{Height, terminal_size_of};

/// What a shell says of a program that it cannot start.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// Shows a text; false where it is still to be written: it is short, this is no terminal, or there
/// is no pager.
pub(super) fn show_text(text: &str) -> bool {
    if !io::stdout().is_terminal() || is_short(text) {
        return false;
    }
    let Some(pager) = choose_pager() else {
        return false;
    };
    page_text(text, &pager).unwrap_or(false)
}

/// Whether a text fits the terminal, with a line for the next prompt.
fn is_short(text: &str) -> bool {
    let rows = terminal_size_of(io::stdout()).map_or(24, |(_, Height(rows))| usize::from(rows));
    text.lines().count() < rows.max(1)
}

/// The pager: `REFGUARD_PAGER`, else what git says (GIT_PAGER, core.pager, PAGER, less), else
/// `PAGER`, else less. `None`: none is wanted.
fn choose_pager() -> Option<OsString> {
    let own = std::env::var_os("REFGUARD_PAGER");
    let named = own
        .or_else(pager_of_git)
        .or_else(|| std::env::var_os("PAGER"));
    let pager = named.unwrap_or_else(|| "less".into());
    let is_none = pager.is_empty() || pager == "cat";
    (!is_none).then_some(pager)
}

/// Git is asked outside of every repository: a setting in one would have whoever reads it run a
/// program.
fn pager_of_git() -> Option<OsString> {
    let mut git = Command::new("git");
    git.args(["var", "GIT_PAGER"])
        .env("GIT_DIR", "/dev/null")
        .env_remove("GIT_COMMON_DIR");
    let said = git
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|said| said.status.success())?;
    Some(String::from_utf8(said.stdout).ok()?.trim_end().into())
}

/// Gives a text to a pager and waits for its end; false where it could not be started.
fn page_text(text: &str, pager: &OsString) -> io::Result<bool> {
    // The terminal interrupts the pager and this program alike, and the pager may go on.
    let ignored = signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false)))?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A reader that has seen enough ends before it has all.
        let _ = stdin.write_all(text.as_bytes());
    }
    let ended = child.wait()?;
    signal_hook::low_level::unregister(ignored);
    Ok(ended.code().is_none_or(|code| !NO_PROGRAM.contains(&code)))
}
