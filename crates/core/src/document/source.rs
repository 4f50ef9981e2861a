//! A file's text and the way from byte offsets to lines and columns.

use std::sync::{Arc, OnceLock};

use super::work::note_steps;
use super::{Location, Span};

/// The text of one file of the set. Cheap to clone and to share.
#[derive(Debug, Clone)]
pub struct SourceFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: Arc<str>,
    text: String,
    lines: OnceLock<LineStarts>,
}

impl SourceFile {
    /// A file by its path relative to the root, with `/`, and its text.
    pub fn new(path: impl Into<Arc<str>>, text: String) -> Self {
        Self(Arc::new(Inner {
            path: path.into(),
            text,
            lines: OnceLock::new(),
        }))
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
    pub fn locate_span(&self, span: Span) -> Location {
        let (line, column) = self.line_and_column(span.start as usize);
        let (end_line, end_column) = self.line_and_column(span.end as usize);
        Location {
            file: self.path().clone(),
            line,
            column,
            end_line,
            end_column,
            span,
        }
    }

    fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let text = self.text();
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let lines = self.0.lines.get_or_init(|| LineStarts::new(text));
        let line = lines
            .starts
            .partition_point(|&start| start <= offset)
            .saturating_sub(1);
        let start = lines.starts.get(line).copied().unwrap_or(0);

        let characters = lines.count_characters(text, offset) - lines.count_characters(text, start);
        let has_mark = start == 0 && offset > 0 && text.starts_with('\u{feff}');
        let before = characters - usize::from(has_mark);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);

        (count(line + 1), count(before + 1))
    }
}

/// Where the lines of a text begin, and how many characters stand before some of its bytes.
///
/// The second makes a column cost the same wherever it stands: a line may be as long as a file, and
/// counting from its start for each of its places took time by the square of its length.
#[derive(Debug)]
struct LineStarts {
    starts: Vec<usize>,
    /// Characters before each multiple of [`STRIDE`] bytes.
    characters: Vec<u32>,
}

/// Bytes between two counts: a column costs at most a walk over so many.
const STRIDE: usize = 256;

impl LineStarts {
    fn new(text: &str) -> Self {
        let mut characters = vec![0];
        let mut total = 0;
        for chunk in text.as_bytes().chunks(STRIDE) {
            total += count_starts(chunk);
            characters.push(u32::try_from(total).unwrap_or(u32::MAX));
        }

        Self {
            starts: line_starts(text),
            characters,
        }
    }

    /// Characters that begin before a byte.
    fn count_characters(&self, text: &str, offset: usize) -> usize {
        let chunk = offset / STRIDE;
        let counted = self
            .characters
            .get(chunk)
            .map_or(0, |&before| before as usize);
        let rest = text
            .as_bytes()
            .get(chunk * STRIDE..offset)
            .unwrap_or_default();

        counted + count_starts(rest)
    }
}

/// Characters that begin in some bytes of UTF-8.
fn count_starts(bytes: &[u8]) -> usize {
    note_steps(bytes.len());
    bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
}

/// YAML's line breaks: LF, CRLF, and a CR alone.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let breaks = bytes
        .iter()
        .enumerate()
        .filter_map(|(i, &byte)| match byte {
            b'\n' => Some(i + 1),
            b'\r' if bytes.get(i + 1) != Some(&b'\n') => Some(i + 1),
            _ => None,
        });
    std::iter::once(0).chain(breaks).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str, offset: usize) -> (u32, u32) {
        let place =
            SourceFile::new("f.yaml", text.to_owned()).locate_span(Span::new(offset, offset));
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

    proptest! {
        #[test]
        fn columns_are_counted_as_by_a_walk(text in "[aé🦀\\n]{0,900}", at_char in 0usize..900) {
            let offset = text.char_indices().nth(at_char).map_or(text.len(), |(offset, _)| offset);
            let before = text.get(..offset).unwrap_or("");
            let line = before.rsplit('\n').next().unwrap_or("");
            let walked = (before.matches('\n').count() + 1, line.chars().count() + 1);
            let (row, column) = at(&text, offset);

            prop_assert_eq!((row as usize, column as usize), walked);
        }
    }
}
