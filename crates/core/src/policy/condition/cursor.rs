//! A place in a pattern's text. Knows bytes and characters, not the grammar.

use std::ops::Range;

/// What is left to read of a text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The bytes from a place to here.
    pub(super) fn range_since(&self, start: usize) -> Range<usize> {
        start..self.at
    }

    /// The text that a range covers.
    pub(super) fn text_at(&self, range: &Range<usize>) -> &'a str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    pub(super) fn rest_text(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek_char(&self) -> Option<char> {
        self.rest_text().chars().next()
    }

    pub(super) fn next_char(&mut self) -> Option<char> {
        let c = self.peek_char()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn starts_with(&self, token: &str) -> bool {
        self.rest_text().starts_with(token)
    }

    /// Reads a token if it comes next.
    pub(super) fn eat_token(&mut self, token: &str) -> bool {
        let found = self.starts_with(token);
        if found {
            self.at += token.len();
        }

        found
    }

    /// Reads the ASCII digits that come next.
    pub(super) fn eat_digits(&mut self) -> &'a str {
        let rest = self.rest_text();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += end;

        rest.get(..end).unwrap_or_default()
    }
}
