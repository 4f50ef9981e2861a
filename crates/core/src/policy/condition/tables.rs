//! Sets of characters as Python's `re` reads them on text: `\d \w \s`, and what `(?i)` takes for
//! the same letter.
//!
//! The reference is Python 3.11, whose tables are Unicode 14. The engine's tables are newer and
//! draw some lines elsewhere, so each set is composed of properties on which both agree and cut to
//! the characters that Unicode 14 has.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// A set that has an escape of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Perl {
    /// `\d`: decimal digits of any script.
    Digit,
    /// `\w`: letters, numbers (also `²`) and `_`; no combining marks.
    Word,
    /// `\s`: white space, U+001C to U+001F among it.
    Space,
}

static DIGIT: LazyLock<ClassUnicode> = LazyLock::new(|| parse_class(r"[\p{Nd}&&\p{Age:14.0}]"));
static WORD: LazyLock<ClassUnicode> =
    LazyLock::new(|| parse_class(r"[[\p{L}\p{N}_]&&\p{Age:14.0}]"));
static SPACE: LazyLock<ClassUnicode> = LazyLock::new(|| parse_class(r"[\p{White_Space}\x1c-\x1f]"));
static KNOWN: LazyLock<ClassUnicode> = LazyLock::new(|| parse_class(r"\p{Age:14.0}"));
static CASED: LazyLock<ClassUnicode> =
    LazyLock::new(|| parse_class(r"[\p{Changes_When_Casemapped}&&\p{Age:14.0}]"));
/// The dotted and dotless letters, which are one letter to Python.
static LETTER_I: LazyLock<ClassUnicode> = LazyLock::new(|| parse_class("[iIİı]"));

impl Perl {
    /// The set of an escape `\c`.
    pub(super) fn from_letter(c: char) -> Option<Self> {
        match c {
            'd' => Some(Self::Digit),
            'w' => Some(Self::Word),
            's' => Some(Self::Space),
            _ => None,
        }
    }

    pub(super) fn class_set(self) -> &'static ClassUnicode {
        match self {
            Self::Digit => &DIGIT,
            Self::Word => &WORD,
            Self::Space => &SPACE,
        }
    }
}

/// The set of one character.
pub(super) fn single_char(c: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(c, c)])
}

/// A set with every character that `(?i)` takes for one of its members.
pub(super) fn fold_case(set: &ClassUnicode) -> ClassUnicode {
    let mut folded = set.clone();
    // First only what has a case: folding walks a range character by character.
    folded.intersect(&CASED);
    folded.case_fold_simple();
    folded.intersect(&KNOWN);
    let mut letter_i = folded.clone();
    letter_i.intersect(&LETTER_I);
    if !letter_i.ranges().is_empty() {
        folded.union(&LETTER_I);
    }

    folded.union(set);
    folded
}

#[expect(
    clippy::expect_used,
    reason = "the patterns are the constants above, and a test reads each set"
)]
fn parse_class(pattern: &str) -> ClassUnicode {
    match regex_syntax::parse(pattern)
        .expect("a constant")
        .into_kind()
    {
        HirKind::Class(Class::Unicode(class)) => class,
        _ => ClassUnicode::empty(),
    }
}
