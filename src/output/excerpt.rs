//! One line of a source, or a window of it, made safe to print, with the way from its bytes to
//! ours.
//!
//! Works from a byte offset and looks only as far as the window reaches, so that a line of a
//! megabyte costs no more than a short one.

use super::escape::push_escaped;

/// A line as it is shown.
#[derive(Debug)]
pub(super) struct Excerpt {
    /// What is shown, on one line.
    pub(super) text: String,
    /// Where each character of the source stands in the text: (byte in the source, byte in the
    /// text).
    places: Vec<(usize, usize)>,
}

impl Excerpt {
    /// The line around a byte of a text, at most `width` characters of it.
    pub(super) fn new(text: &str, at: usize, width: usize) -> Self {
        let (start, end) = find_window(text, at, width);
        let mut excerpt = Self {
            text: String::new(),
            places: Vec::new(),
        };
        if text
            .get(..start)
            .and_then(|before| before.chars().next_back())
            .is_some_and(|c| !is_break(c))
        {
            excerpt.text.push('…');
        }
        let shown = text.get(start..end).unwrap_or("");
        for (offset, c) in shown.char_indices() {
            // A byte-order mark is no part of the first line.
            if start + offset == 0 && c == '\u{feff}' {
                continue;
            }
            excerpt.places.push((start + offset, excerpt.text.len()));
            match c {
                '\t' => excerpt.text.push_str("    "),
                c => push_escaped(&mut excerpt.text, c, shown.get(offset..).unwrap_or("")),
            }
        }
        excerpt.places.push((end, excerpt.text.len()));
        if text
            .get(end..)
            .and_then(|after| after.chars().next())
            .is_some_and(|c| !is_break(c))
        {
            excerpt.text.push('…');
        }
        excerpt
    }

    /// Whether a byte of the source is shown, or is the end of what is shown.
    pub(super) fn shows_byte(&self, at: usize) -> bool {
        let (first, last) = (self.places.first(), self.places.last());
        first.is_some_and(|first| first.0 <= at) && last.is_some_and(|last| at <= last.0)
    }

    /// The bytes of the text that show a span of the source; what lies outside is cut off.
    pub(super) fn shown_range(&self, start: usize, end: usize) -> std::ops::Range<usize> {
        let (start, end) = (self.shown_place(start), self.shown_place(end));
        start..end.max(start)
    }

    fn shown_place(&self, at: usize) -> usize {
        let next = self.places.partition_point(|(source, _)| *source <= at);
        self.places
            .get(next.saturating_sub(1))
            .map_or(0, |(_, shown)| *shown)
    }
}

/// The bytes of the line around a byte, at most `width` characters: all of a line that fits.
fn find_window(text: &str, at: usize, width: usize) -> (usize, usize) {
    let at = text.floor_char_boundary(at);
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let starts: Vec<usize> = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| !is_break(*c))
        .take(width)
        .map(|(start, _)| start)
        .collect();
    let ends: Vec<usize> = after
        .char_indices()
        .take_while(|(_, c)| !is_break(*c))
        .take(width)
        .map(|(start, c)| at + start + c.len_utf8())
        .collect();
    let left = starts
        .len()
        .min((width / 2).max(width.saturating_sub(ends.len())));
    let right = ends.len().min(width - left.min(width));
    let nth = |list: &[usize], count: usize| {
        count
            .checked_sub(1)
            .and_then(|i| list.get(i))
            .copied()
            .unwrap_or(at)
    };
    (nth(&starts, left), nth(&ends, right))
}

/// The first byte of the line after the one that holds a byte.
pub(super) fn next_line(text: &str, at: usize) -> Option<usize> {
    let at = text.floor_char_boundary(at);
    let rest = text.get(at..)?;
    let end = rest.find(is_break)?;
    let length = if rest.get(end..)?.starts_with("\r\n") {
        2
    } else {
        1
    };
    Some(at + end + length)
}

/// YAML's line breaks, as in `SourceFile`.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_is_shown_whole() {
        let excerpt = Excerpt::new("a: 1\nteam: [x]\nb: 2\n", 7, 80);
        assert_eq!(excerpt.text, "team: [x]");
        assert_eq!(excerpt.shown_range(5, 9), 0..4);
        assert!(excerpt.shows_byte(5) && excerpt.shows_byte(14) && !excerpt.shows_byte(15));
    }

    #[test]
    fn a_long_line_is_cut_on_both_sides() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let excerpt = Excerpt::new(&text, 500, 20);
        assert_eq!(excerpt.text, "…aaaaaaaaaaHEREbbbbbb…");
        assert_eq!(
            excerpt.text.get(excerpt.shown_range(500, 504)),
            Some("HERE")
        );
    }

    #[test]
    fn a_window_uses_its_width_near_either_end() {
        let text = "0123456789";
        assert_eq!(Excerpt::new(text, 0, 4).text, "0123…");
        assert_eq!(Excerpt::new(text, 10, 4).text, "…6789");
        assert_eq!(Excerpt::new(text, 9, 10).text, text);
    }

    #[test]
    fn what_is_hidden_shows_and_keeps_its_place() {
        let excerpt = Excerpt::new("\u{feff}a\u{202e}b\t: é", 4, 80);
        assert_eq!(excerpt.text, "a\\u{202e}b    : é");
        assert_eq!(
            excerpt.text.get(excerpt.shown_range(4, 7)),
            Some("\\u{202e}")
        );
    }
}
