//! Text from policies, made harmless for the place where it is shown: a terminal or log, markdown,
//! a GitHub workflow command, XML.
//!
//! Owns the escapes and nothing else. Must not know findings or formats.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Makes a text safe to print on a terminal or in a CI log, on one line.
///
/// Control characters (line breaks too) and characters that are invisible or turn the direction of
/// writing become visible escapes such as `\n` and `\u{202e}`. What CI runners take for a command
/// is broken: `::` where a line would begin with it, and `##[` or `##vso[` anywhere.
pub fn escape_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) && !text.contains("##") && !text.trim_start().starts_with("::")
    {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    let command = text.len() - text.trim_start().len();
    for (at, c) in text.char_indices() {
        if at == command && text.get(at..).is_some_and(|rest| rest.starts_with("::")) {
            escaped.push_str("\\u{3a}");
        } else {
            push_escaped(&mut escaped, c, text.get(at..).unwrap_or(""));
        }
    }
    Cow::Owned(escaped)
}

/// One character and what follows it, as [`escape_terminal`] has it inside a line.
pub(super) fn push_escaped(out: &mut String, c: char, from_here: &str) {
    match c {
        '#' if opens_command(from_here) => out.push_str("\\u{23}"),
        c => push_char(out, c),
    }
}

/// One character, escaped where it is hidden.
fn push_char(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_hidden(c) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Makes what a reader would not see visible, and nothing else: for a place that is told apart from
/// what is around it, as the text of an element of a page. Line breaks and tabs stay.
pub fn make_visible(text: &str) -> Cow<'_, str> {
    let is_shown = |c: char| !is_hidden(c) || c == '\n' || c == '\t';
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_shown(c) {
            true => visible.push(c),
            false => push_char(&mut visible, c),
        }
    }
    Cow::Owned(visible)
}

/// `##[group]`, `##vso[…]`, `##teamcity[…]`: commands that some runners find anywhere in a line.
fn opens_command(text: &str) -> bool {
    text.strip_prefix("##").is_some_and(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric())
            .starts_with('[')
    })
}

/// Whether a reader would not see the character, or would see the others in another order.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Makes a text safe as plain words in markdown, also in a table cell: it becomes one line without
/// formatting, HTML, links, code, mentions or references.
pub fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // References, so that no later step (table cells, code spans, autolinks) sees the
            // character.
            '<' | '>' | '&' | '`' | '|' | ':' | '"' | '\'' | '.' | '/' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            // A forge looks for mentions and references in the rendered text: only a break stops
            // it.
            '@' | '#' | '!' | '$' | '%' | '~' | '^' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
                if chars.peek().is_some_and(|next| next.is_alphanumeric()) || c == '@' {
                    escaped.push_str("&#8203;");
                }
            }
            '\\' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '=' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\r' | '\t' => escaped.push(' '),
            c if is_hidden(c) => {
                let _ = write!(escaped, "\\\\u\\{{{:x}\\}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A name from a policy as code in markdown, also in a table cell: it shows as it is, and nothing
/// in it is read as markup, a mention or a reference.
pub fn markdown_code(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    text.chars().for_each(|c| push_char(&mut visible, c));
    // A table splits at a pipe even inside a code span; in HTML it need not stand as a pipe.
    if visible.contains('|') || visible.trim().is_empty() {
        return format!("<code>{}</code>", escape_markdown(text));
    }
    let fence = "`".repeat(longest_run(&visible, '`') + 1);
    let pad = if visible.starts_with([' ', '`']) || visible.ends_with([' ', '`']) {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{visible}{pad}{fence}")
}

/// A sentence of refguard's own in markdown: what it quotes between backticks shows as code, and
/// nothing else in it is markup.
pub fn markdown_words(text: &str) -> String {
    let mut pieces = text.split('`').peekable();
    let mut words = String::with_capacity(text.len() + 16);
    let mut is_code = false;
    while let Some(piece) = pieces.next() {
        // A last one that is not closed is no code.
        let closes = pieces.peek().is_some();
        match (is_code && closes, piece.is_empty()) {
            (true, false) => words.push_str(&markdown_code(piece)),
            (true, true) => words.push_str("&#96;&#96;"),
            // A colon that a space follows begins neither a link nor the name of an emoji.
            (false, _) => words.push_str(&escape_markdown(piece).replace("&#58; ", ": ")),
        }
        is_code = !is_code;
    }
    words
}

/// A fenced block of code whose fence the text cannot close.
pub fn markdown_block(language: &str, text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        line.chars().for_each(|c| push_char(&mut lines, c));
        lines.push('\n');
    }
    let fence = "`".repeat(longest_run(&lines, '`').max(2) + 1);
    format!("{fence}{language}\n{lines}{fence}\n")
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// The message of a GitHub workflow command.
pub fn annotation_message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a GitHub workflow command.
pub fn annotation_property(text: &str) -> String {
    annotation_message(text)
        .replace(':', "%3A")
        .replace(',', "%2C")
}

/// A value as JSON for a person's eyes, without a raw control character: JSON allows those from
/// U+007F on in its strings, and a terminal takes some of them (U+009B) for the begin of a command.
///
/// # Errors
/// As the value's own serialization.
pub fn json_text(value: &impl serde::Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    let is_raw = |c: char| c.is_control() && c >= '\u{7f}';
    if !text.contains(is_raw) {
        return Ok(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_raw(c) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

/// Text or an attribute of XML 1.0, which has no way to write most control characters.
pub fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push('\n'),
            c => push_char(&mut escaped, c),
        }
    }
    escaped
}

/// At most so many characters; what is left out shows as `…`.
pub fn clip_text(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or(""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        for text in [
            "unknown field `team`",
            "Grüße, 漢字 🎉",
            "a::b",
            "# comment",
            "C:\\x",
        ] {
            assert!(matches!(escape_terminal(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn json_holds_no_raw_control_character_and_says_the_same() {
        let value = "a\u{9b}31m\u{7f}\u{85}\n\u{e9}\\";
        let text = json_text(&value).unwrap();
        assert_eq!(text, r#""a\u009b31m\u007f\u0085\né\\""#);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }

    #[test]
    fn a_terminal_sees_what_is_hidden() {
        assert_eq!(escape_terminal("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(
            escape_terminal("pii\u{200b}_\u{202e}x"),
            "pii\\u{200b}_\\u{202e}x"
        );
        assert_eq!(escape_terminal("  ::error::x"), "  \\u{3a}:error::x");
        assert_eq!(
            escape_terminal("x ##vso[task] ###[a]"),
            "x \\u{23}#vso[task] #\\u{23}#[a]"
        );
    }

    #[test]
    fn markdown_sees_no_markup() {
        let escaped = escape_markdown("@bob closes #12 `x` | <b> a_b\n");
        assert_eq!(
            escaped,
            "&#64;&#8203;bob closes &#35;&#8203;12 &#96;x&#96; &#124; &#60;b&#62; a\\_b "
        );
        assert_eq!(
            escape_markdown("[a](http://b)"),
            "\\[a\\]\\(http&#58;&#47;&#47;b\\)"
        );
    }

    #[test]
    fn what_a_sentence_quotes_is_code_and_nothing_else_is_markup() {
        assert_eq!(
            markdown_words("the team `a_b` is not `c*`"),
            "the team `a_b` is not `c*`"
        );
        assert_eq!(
            markdown_words("odd ` @x"),
            "odd &#64;&#8203;x".replace("odd ", "odd  ")
        );
        assert_eq!(
            markdown_words("`a|b`: <c>"),
            "<code>a&#124;b</code>: &#60;c&#62;"
        );
    }

    #[test]
    fn a_code_span_outruns_the_backticks_in_it() {
        assert_eq!(markdown_code("pii_blocker"), "`pii_blocker`");
        assert_eq!(markdown_code("a``b"), "```a``b```");
        assert_eq!(markdown_code("`a"), "`` `a ``");
        assert_eq!(markdown_code("a|b"), "<code>a&#124;b</code>");
        assert_eq!(markdown_code(""), "<code></code>");
    }

    #[test]
    fn a_property_takes_two_more_escapes_than_a_message() {
        assert_eq!(annotation_message("a:b,c 5%\r\n"), "a:b,c 5%25%0D%0A");
        assert_eq!(annotation_property("a:b,c 5%\r\n"), "a%3Ab%2Cc 5%25%0D%0A");
    }

    #[test]
    fn a_clipped_text_says_so() {
        assert_eq!(clip_text("äöü", 3), "äöü");
        assert_eq!(clip_text("äöü!", 3), "äöü…");
    }
}
