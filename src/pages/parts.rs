//! Small things that many pages show: names, commits, times, places, lists. Must not know any page.

use jiff::Timestamp;
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::output::escape::{clip_text, make_visible};

/// Characters of one text that are shown.
const MAX_SHOWN: usize = 300;
/// Names of a list that are shown before the rest is folded.
const MAX_NAMES: usize = 12;

/// What a value in a query keeps as it is.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A text from elsewhere, such as a name: what is hidden in it shows, and of a very long one the
/// beginning.
pub fn visible_text(given: &str) -> String {
    clip_text(&make_visible(given), MAX_SHOWN).into_owned()
}

/// The same, on its own: its direction of writing does not reach what is around it.
pub(super) fn isolated_name(given: &str) -> Markup {
    html! { bdi { (visible_text(given)) } }
}

/// `name=value` pairs as the query of an address, `?` included; empty values are left out.
pub fn query_of(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    let pairs = pairs.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, VALUE)));
    let query = pairs.collect::<Vec<_>>().join("&");
    if query.is_empty() {
        query
    } else {
        format!("?{query}")
    }
}

/// The beginning of a commit's hash, with the whole of it for those who point at it.
pub(super) fn commit_mark(hash: &str) -> Markup {
    html! { code.commit title=(visible_text(hash)) { (visible_text(hash.get(..10).unwrap_or(hash))) } }
}

/// A time as RFC 3339 has it, in words; the script adds how long ago that is.
pub(super) fn time_mark(given: &str) -> Markup {
    let shown = given.parse::<Timestamp>().ok().map(|time| {
        let civil = time.to_zoned(jiff::tz::TimeZone::UTC);
        civil.strftime("%Y-%m-%d %H:%M UTC").to_string()
    });
    match shown {
        Some(shown) => html! { time datetime=(given) { (shown) } },
        None => html! { (visible_text(given)) },
    }
}

/// A file and a line of it.
pub(super) fn place_mark(file: &str, line: u32) -> Markup {
    html! { code.place { (visible_text(file)) ":" (line) } }
}

/// Names of guardrails and the like, side by side; many are folded.
pub(super) fn chip_list<N: AsRef<str>>(names: &[N]) -> Markup {
    let (first, rest) = names.split_at(names.len().min(MAX_NAMES));
    html! {
        ul.chips {
            @for name in first { li { code { (visible_text(name.as_ref())) } } }
        }
        @if !rest.is_empty() {
            details {
                summary { "and " (rest.len()) " more" }
                ul.chips { @for name in rest { li { code { (visible_text(name.as_ref())) } } } }
            }
        }
    }
}

/// `1 policy`, `2 policies`.
pub(super) fn count_things(number: usize, one: &str, many: &str) -> String {
    let digits = group_digits(number);
    format!("{digits} {}", if number == 1 { one } else { many })
}

/// `10,000`
pub(super) fn group_digits(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + 4);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A sentence of refguard's own: what it quotes between backticks shows as code.
pub(super) fn sentence_markup(sentence: &str) -> Markup {
    let pieces: Vec<&str> = sentence.split('`').collect();
    let last = pieces.len().saturating_sub(1);
    html! {
        @for (index, piece) in pieces.iter().enumerate() {
            @if index % 2 == 1 && index < last { code { (visible_text(piece)) } }
            @else if index % 2 == 1 { "`" (visible_text(piece)) }
            @else { (visible_text(piece)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_in_a_name_shows_and_markup_is_text() {
        let shown = isolated_name("<script>alert(1)</script>\u{202e}evil\u{7}").into_string();
        assert!(!shown.contains("<script>"), "{shown}");
        assert!(shown.contains("&lt;script&gt;") && shown.contains("\\u{202e}evil\\u{7}"));
        assert!(visible_text(&"x".repeat(10_000)).chars().count() <= MAX_SHOWN + 1);
    }

    #[test]
    fn a_query_holds_any_value() {
        let query = query_of(&[("team", "a&b=c"), ("key", ""), ("model", "gpt 4/ü")]);
        assert_eq!(query, "?team=a%26b%3Dc&model=gpt%204%2F%C3%BC");
        assert_eq!(query_of(&[("team", "")]), "");
    }

    #[test]
    fn quoted_words_are_code_and_a_lone_backtick_stays() {
        assert_eq!(
            sentence_markup("no `a<b` here").into_string(),
            "no <code>a&lt;b</code> here"
        );
        assert_eq!(sentence_markup("a ` b").into_string(), "a ` b");
        assert_eq!(group_digits(1_234_567), "1,234,567");
        assert_eq!(group_digits(123), "123");
    }
}
