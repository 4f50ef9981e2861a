//! Text as wide as a terminal: lines are broken between words, and what follows is indented.
//!
//! Owns where lines end. Must not know what they say. Colours in a text take no columns.

use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, wrap};

/// Columns that the rest of a long line is indented beyond its beginning.
const HANG: usize = 4;

/// A text for people at a terminal, none of whose lines is wider than it, unless one word is. Where
/// there is no terminal, it stays as it is.
pub fn fit_text(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return text.to_owned();
    };
    let mut fitted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (body, end) = line
            .strip_suffix('\n')
            .map_or((line, ""), |body| (body, "\n"));
        if display_width(body) <= columns {
            fitted.push_str(line);
            continue;
        }
        let rest = body.trim_start_matches(' ');
        let own = body.len() - rest.len();
        // An indentation that leaves no room for words is not kept.
        let indent = " ".repeat(if own + HANG + 20 > columns {
            HANG
        } else {
            own + HANG
        });
        let options = words_of(columns).subsequent_indent(&indent);
        fitted.push_str(&wrap(body, options).join("\n"));
        fitted.push_str(end);
    }
    fitted
}

/// The lines that a text takes in so many columns; a word that is longer stays whole.
pub(super) fn wrap_words(text: &str, columns: usize) -> Vec<String> {
    wrap(text, words_of(columns))
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// Writes a text after a lead, and its further lines below its first.
pub(super) fn fit_indented(out: &mut String, lead: &str, text: &str, columns: usize) {
    let indent = " ".repeat(display_width(lead));
    let options = words_of(columns)
        .initial_indent(lead)
        .subsequent_indent(&indent);
    out.push_str(&wrap(text, options).join("\n"));
    out.push('\n');
}

fn words_of(columns: usize) -> Options<'static> {
    Options::new(columns)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words_below_its_beginning() {
        let text = "short\n  - the attachment of `strict` asks for other teams, models and tags\n";
        assert_eq!(fit_text(text, None), text);
        assert_eq!(
            fit_text(text, Some(40)),
            "short\n  - the attachment of `strict` asks for\n      other teams, models and tags\n"
        );
        let word = "x".repeat(90);
        assert_eq!(
            fit_text(&format!("{word}\n"), Some(40)),
            format!("{word}\n")
        );
    }

    #[test]
    fn colours_take_no_columns() {
        let text = format!("\u{1b}[1m{}\u{1b}[0m tail", "a".repeat(35));
        assert_eq!(fit_text(&text, Some(40)), text);
    }
}
