//! A file's text and the way from byte offsets to lines and columns.

use std::sync::{Arc, OnceLock};

use super::{Location, Span};

/// The text of one file of the set. Cheap to clone and to share.
#[derive(Debug, Clone)]
pub struct SourceFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: Arc<str>,
    text: String,
    line_starts: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// A file by its path relative to the root, with `/`, and its text.
    pub fn new(path: impl Into<Arc<str>>, text: String) -> Self {
        Self(Arc::new(Inner { path: path.into(), text, line_starts: OnceLock::new() }))
    }

    /// The path relative to the root, with `/`.
    pub fn path(&self) -> &Arc<str> {
        &self.0.path
    }

    /// The whole text. Of a file that is not UTF-8: with replacement characters from the fault on.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The place of a span as lines and columns, both from 1; a column counts characters, as
    /// editors do, and a byte-order mark at the start of the file is no character.
    pub fn locate(&self, span: Span) -> Location {
        let (line, column) = self.position(span.start as usize);
        let (end_line, end_column) = self.position(span.end as usize);
        Location { file: self.path().clone(), line, column, end_line, end_column, span }
    }

    fn position(&self, offset: usize) -> (u32, u32) {
        let text = self.text();
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let starts = self.0.line_starts.get_or_init(|| line_starts(text));
        let line = starts.partition_point(|&start| start <= offset).saturating_sub(1);
        let start = starts.get(line).copied().unwrap_or(0);
        let before = text.get(start..offset).unwrap_or("").trim_start_matches('\u{feff}');
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(line + 1), count(before.chars().count() + 1))
    }
}

/// YAML's line breaks: LF, CRLF, and a CR alone.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let breaks = bytes.iter().enumerate().filter_map(|(i, &byte)| match byte {
        b'\n' => Some(i + 1),
        b'\r' if bytes.get(i + 1) != Some(&b'\n') => Some(i + 1),
        _ => None,
    });
    std::iter::once(0).chain(breaks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, offset: usize) -> (u32, u32) {
        let place = SourceFile::new("f.yaml", text.to_owned()).locate(Span::new(offset, offset));
        (place.line, place.column)
    }

    #[test]
    fn columns_count_characters_and_lines_know_all_three_breaks() {
        assert_eq!(at("é: x", 4), (1, 4));
        assert_eq!(at("a\r\nb\rc\nd", 3), (2, 1));
        assert_eq!(at("a\r\nb\rc\nd", 5), (3, 1));
        assert_eq!(at("a\r\nb\rc\nd", 7), (4, 1));
    }

    #[test]
    fn a_byte_order_mark_is_no_column_and_offsets_past_the_end_are_clamped() {
        assert_eq!(at("\u{feff}name: x", 3), (1, 1));
        assert_eq!(at("ab", 99), (1, 3));
    }
}
