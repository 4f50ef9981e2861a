//! YAML with its parts told apart by colour, line by line. It need not understand a document, only
//! never lose a character of it.

use std::collections::HashSet;

use maud::{Markup, html};

use crate::output::escape::make_visible;

/// Characters of a document that are shown.
const MAX_SHOWN: usize = 100_000;

/// What a piece of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Plain,
    Key,
    Text,
    Number,
    Comment,
}

impl Part {
    fn class(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Key => Some("y-k"),
            Self::Text => Some("y-s"),
            Self::Number => Some("y-n"),
            Self::Comment => Some("y-c"),
        }
    }
}

/// A document in colour.
pub(super) fn highlight_yaml(document: &str, label: &str) -> Markup {
    yaml_beside(document, document, label)
}

/// The same, with those lines marked that another document does not have.
pub(super) fn yaml_beside(document: &str, other: &str, label: &str) -> Markup {
    let shown = crate::output::escape::clip_text(document, MAX_SHOWN);
    let (visible, other) = (make_visible(&shown), make_visible(other));
    let known: HashSet<&str> = other.lines().collect();
    html! {
        pre tabindex="0" role="region" aria-label=(label) {
            code {
                @for line in visible.lines() {
                    @if known.contains(line) { (line_in_colour(line)) } @else { mark { (line_in_colour(line)) } }
                    "\n"
                }
            }
        }
    }
}

fn line_in_colour(line: &str) -> Markup {
    html! {
        @for (part, piece) in split_line(line) {
            @match part.class() {
                Some(class) => span class=(class) { (piece) },
                None => (piece),
            }
        }
    }
}

/// A line in its pieces, which together are the line.
fn split_line(line: &str) -> Vec<(Part, &str)> {
    let mut pieces = Vec::new();
    let indent = line.len() - line.trim_start_matches([' ', '-']).len();
    let (before, rest) = line.split_at_checked(indent).unwrap_or(("", line));
    push_part(&mut pieces, Part::Plain, before);
    match key_end(rest).and_then(|end| rest.split_at_checked(end)) {
        Some((key, value)) => {
            push_part(&mut pieces, Part::Key, key);
            split_value(&mut pieces, value);
        }
        None => split_value(&mut pieces, rest),
    }
    pieces
}

/// Where a key ends, with a colon after it.
fn key_end(text: &str) -> Option<usize> {
    let end = text.find(':')?;
    let (key, rest) = text.split_at_checked(end)?;
    let is_key =
        !key.is_empty() && !key.starts_with(['"', '\'', '#', '[', '{', '&', '*', '!', '|', '>']);
    let ends = rest.len() == 1 || rest.starts_with(": ");
    (is_key && ends && !key.contains(" #")).then_some(end)
}

fn split_value<'t>(pieces: &mut Vec<(Part, &'t str)>, text: &'t str) {
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let (part, length) = match first {
            '#' if before.is_whitespace() => (Part::Comment, rest.len()),
            '"' | '\'' => (Part::Text, quoted_end(rest, first)),
            c if is_mark(c) || c.is_whitespace() => (Part::Plain, c.len_utf8()),
            _ => {
                let ends = |c: char| is_mark(c) || c.is_whitespace();
                let length = rest.find(ends).unwrap_or(rest.len());
                let word = rest.get(..length).unwrap_or(rest);
                (word_part(word), length)
            }
        };
        let Some((piece, after)) = rest.split_at_checked(length) else {
            break;
        };
        before = piece.chars().last().unwrap_or(before);
        push_part(pieces, part, piece);
        rest = after;
    }
    push_part(pieces, Part::Plain, rest);
}

fn word_part(word: &str) -> Part {
    let is_number = word.parse::<f64>().is_ok() || ["true", "false", "null", "~"].contains(&word);
    if is_number { Part::Number } else { Part::Text }
}

fn is_mark(c: char) -> bool {
    matches!(c, '[' | ']' | '{' | '}' | ',' | ':' | '|' | '>')
}

/// The length of a quoted text at the beginning, its quotes included.
fn quoted_end(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => {
                chars.next();
            }
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Adds a piece; neighbours of one kind become one.
fn push_part<'t>(pieces: &mut Vec<(Part, &'t str)>, part: Part, piece: &'t str) {
    if !piece.is_empty() {
        pieces.push((part, piece));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_of_a_line_are_told_apart() {
        let parts = |line| {
            split_line(line)
                .into_iter()
                .filter(|(part, _)| *part != Part::Plain)
        };
        let parts = |line| parts(line).collect::<Vec<_>>();
        assert_eq!(
            parts("  priority: 10  # why"),
            [
                (Part::Key, "priority"),
                (Part::Number, "10"),
                (Part::Comment, "# why")
            ]
        );
        assert_eq!(parts("- \"a: b\""), [(Part::Text, "\"a: b\"")]);
        assert_eq!(parts("x: ['it''s', y#z]").len(), 4);
        assert_eq!(parts("# whole"), [(Part::Comment, "# whole")]);
    }

    proptest! {
        #[test]
        fn no_character_is_lost(line in "[^\\n\\r]{0,60}") {
            let together: String = split_line(&line).into_iter().map(|(_, piece)| piece).collect();
            prop_assert_eq!(together, line);
        }
    }
}
