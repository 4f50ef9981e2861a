//! Where text leaves the program: results on stdout, messages on stderr.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anstream::ColorChoice;
use anstream::stream::RawStream;
use terminal_size::{Width, terminal_size_of};

use super::args::Color;
use crate::output::escape::{escape_terminal, json_text};
use crate::output::{Style, fit_text};

/// Writes a message of one line to stderr. Names in it come from files and other programs: whatever
/// would move the cursor or be taken for a command is escaped. A failure goes unreported: stderr is
/// where it would be.
pub(super) fn write_message(text: &str) {
    write_report(&escape_terminal(text));
}

/// Writes text that a renderer made, of any number of lines, to stderr: on a terminal as wide as
/// it.
pub(super) fn write_report(text: &str) {
    let text = fit_text(text, terminal_columns(&io::stderr()));
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a result of one line to stdout, escaped as [`write_message`] escapes.
///
/// # Errors
/// As stdout reports.
pub(super) fn write_line(text: &str) -> io::Result<()> {
    write_results(&format!("{}\n", escape_terminal(text)))
}

/// How human output is styled on stdout.
pub(super) fn choose_style(color: Color) -> Style {
    style_for(color, &io::stdout())
}

/// How human output is styled on stderr.
pub(super) fn choose_error_style(color: Color) -> Style {
    style_for(color, &io::stderr())
}

fn style_for<S: RawStream + AsFd + IsTerminal>(color: Color, stream: &S) -> Style {
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        // Honours NO_COLOR, CLICOLOR and TERM.
        Color::Auto => {
            anstream::AutoStream::choice(stream) != ColorChoice::Never
                && IsTerminal::is_terminal(stream)
        }
    };
    Style {
        color,
        columns: terminal_columns(stream),
        now: None,
    }
}

/// Columns of the terminal that a stream is, as the environment says or the terminal; `None`: it is
/// none.
fn terminal_columns(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    /// Less is no width to read at; a terminal that says so does not know.
    const LEAST: usize = 20;
    if !stream.is_terminal() {
        return None;
    }
    let named = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let asked = || terminal_size_of(stream).map(|(Width(columns), _)| usize::from(columns));
    let columns = named.filter(|columns| *columns >= LEAST).or_else(asked);
    Some(columns.filter(|columns| *columns >= LEAST).unwrap_or(80))
}

/// Writes results that a renderer made to stdout, in one piece.
///
/// A reader that has seen enough (`| head`) is no trouble, and changes nothing about the exit code:
/// a verb goes on to say by it what it found.
///
/// # Errors
/// As stdout reports.
pub(super) fn write_results(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes one JSON value and a line break to stdout.
///
/// # Errors
/// As stdout reports.
pub(super) fn write_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = json_text(value)?;
    text.push('\n');
    write_results(&text)?;
    Ok(())
}

/// Writes one JSON value that is written already, laid out for a person, and a line break to
/// stdout.
///
/// # Errors
/// As stdout reports.
pub(super) fn write_json_bytes(compact: &[u8]) -> anyhow::Result<()> {
    let mut text = Vec::with_capacity(compact.len() * 2);
    let mut pretty = serde_json::Serializer::pretty(&mut text);
    serde_transcode::transcode(
        &mut serde_json::Deserializer::from_slice(compact),
        &mut pretty,
    )?;
    text.push(b'\n');
    write_results(&String::from_utf8(text)?)?;
    Ok(())
}
