//! The names of what is refused: constructs that Python or Rust have and a condition has not.

use std::ops::Range;

use super::ConditionFault;
use super::cursor::Cursor;

const NAMES_OUT: &str = "write the names that you mean as alternatives: `gpt-4o|gpt-4o-mini`";

/// What opens a group, what it is, and what to do instead; a longer token before its prefix.
const GROUPS: &[(&str, &str, &str)] = &[
    ("(?=", "look-ahead", NAMES_OUT),
    ("(?!", "negative look-ahead", NAMES_OUT),
    ("(?<=", "look-behind", NAMES_OUT),
    ("(?<!", "negative look-behind", NAMES_OUT),
    ("(?>", "an atomic group", "write `(?:`"),
    ("(?|", "a branch reset", "write `(?:`"),
    ("(?#", "a comment", "move it to a comment of the file"),
    ("(?(", "a conditional", NAMES_OUT),
    ("(?P=", "a named back-reference", NAMES_OUT),
    ("(?P>", "a call of a group", NAMES_OUT),
    (
        "(?P<",
        "a named group",
        "write `(`: a condition only asks whether the model matches",
    ),
    (
        "(?<",
        "a named group",
        "write `(`: a condition only asks whether the model matches",
    ),
];

/// The fault of the group that opens here, which is not `(` or `(?:`.
pub(super) fn refuse_group(cursor: &Cursor<'_>) -> ConditionFault {
    let at = cursor.offset();
    if let Some((token, name, help)) = GROUPS.iter().find(|(token, ..)| cursor.starts_with(token)) {
        return ConditionFault::outside(at..at + token.len(), &format!("{name} `{token}`"), help);
    }

    let mut end = cursor.clone();
    end.eat_token("(?");
    while end
        .peek_char()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '-' || c == '^')
    {
        end.next_char();
    }

    let flags = cursor.text_at(&(at + 2..end.offset()));
    let scoped = end.starts_with(":");
    if flags.is_empty() || !(scoped || end.starts_with(")")) {
        let help = "write `(?:` for a group, or `\\(\\?` for the characters themselves";
        return ConditionFault::outside(at..end.offset(), "an unknown kind of group", help);
    }

    end.next_char();
    let range = at..end.offset();
    let token = cursor.text_at(&range);
    let help = "only `(?i)` is allowed, and only at the very start, for the whole pattern";

    match (scoped, flags) {
        (true, _) => ConditionFault::outside(range, &format!("the scoped flag `{token}`"), help),
        (false, "i") => ConditionFault::outside(range, "`(?i)` after the start", help),
        (false, _) => ConditionFault::outside(range, &format!("the flag `{token}`"), help),
    }
}

/// The fault of an escape.
pub(super) fn refuse_escape(c: char, range: Range<usize>) -> ConditionFault {
    let (name, help) = match c {
        '0' => ("the octal escape", "write the character itself"),
        '1'..='9' => ("the back-reference", NAMES_OUT),
        'b' | 'B' | '<' | '>' => (
            "the word boundary",
            "write what stands there, as `-`; `<` and `>` need no `\\`",
        ),
        'A' | 'Z' | 'z' | 'G' => (
            "the anchor",
            "leave it away: the whole model must match anyway",
        ),
        'D' => ("the negated set", "write `[^\\d]`"),
        'W' => ("the negated set", "write `[^\\w]`"),
        'S' => ("the negated set", "write `[^\\s]`"),
        'p' | 'P' => (
            "the Unicode property",
            "write the characters out, as `[a-z]`",
        ),
        'x' | 'u' | 'U' | 'N' => ("the character code", "write the character itself"),
        'a' | 'e' | 'f' | 'n' | 'r' | 't' | 'v' => {
            ("the control character", "`\\s` matches white space")
        }
        'k' | 'g' => ("the back-reference", NAMES_OUT),
        'Q' | 'E' => ("the quotation", "escape each character with `\\`"),
        _ => ("the escape", "leave the `\\` away"),
    };

    ConditionFault::outside(range, &format!("{name} `\\{}`", c.escape_debug()), help)
}
