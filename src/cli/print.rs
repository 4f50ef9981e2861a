//! Where text leaves the program: results on stdout, messages on stderr.

use std::io::{self, Write};

use anstream::ColorChoice;

use super::args::Color;
use crate::output::Style;

/// Writes a message for a person to stderr. Nobody can be told where that fails.
pub(super) fn message(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// How human output is dressed on stdout.
pub(super) fn style(color: Color) -> Style {
    dress(color, &io::stdout())
}

/// How human output is dressed on stderr.
pub(super) fn error_style(color: Color) -> Style {
    dress(color, &io::stderr())
}

fn dress<S: anstream::stream::RawStream>(color: Color, stream: &S) -> Style {
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        // Honours NO_COLOR, CLICOLOR and TERM.
        Color::Auto => {
            anstream::AutoStream::choice(stream) != ColorChoice::Never && stream.is_terminal()
        }
    };
    Style { color, ..Style::default() }
}

/// Writes results to stdout in one piece.
///
/// # Errors
/// As stdout reports.
pub(super) fn results(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes one JSON value and a line break to stdout.
///
/// # Errors
/// As stdout reports.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    results(&text)?;
    Ok(())
}

/// Writes one JSON value that is written already, laid out for a person, and a line break to
/// stdout.
///
/// # Errors
/// As stdout reports.
pub(super) fn json_bytes(compact: &[u8]) -> anyhow::Result<()> {
    let mut text = Vec::with_capacity(compact.len() * 2);
    let mut pretty = serde_json::Serializer::pretty(&mut text);
    serde_transcode::transcode(&mut serde_json::Deserializer::from_slice(compact), &mut pretty)?;
    text.push(b'\n');
    results(&String::from_utf8(text)?)?;
    Ok(())
}
