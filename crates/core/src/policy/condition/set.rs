//! Bracketed sets: `[a-z_]`, `[^\d.]`.
//!
//! No nesting and no set operators: Rust has them where Python takes the same text literally.

use std::ops::Range;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir};

use super::ConditionFault;
use super::grammar::{Escaped, Parser};
use super::tables::{self, Perl};

/// What Rust reads as an operator between two sets.
const OPERATORS: [&str; 4] = ["&&", "--", "~~", "||"];

/// The members of a set so far.
struct Members {
    /// The bracket that opens it.
    open: Range<usize>,
    ranges: Vec<ClassUnicodeRange>,
    perl: Vec<Perl>,
}

/// Reads a set, from its `[` to its `]`.
pub(super) fn parse_set(parser: &mut Parser<'_>) -> Result<Hir, ConditionFault> {
    let start = parser.cursor.offset();
    parser.cursor.next_char();
    let open = parser.cursor.range_since(start);
    let negated = parser.cursor.eat_token("^");
    if parser.cursor.starts_with("]") {
        let at = parser.cursor.offset();
        let help = "write `\\]` for the character itself; an empty set would match nothing";
        return Err(ConditionFault::outside(
            at..at + 1,
            "a `]` that comes first in a set",
            help,
        ));
    }

    let mut members = Members {
        open,
        ranges: Vec::new(),
        perl: Vec::new(),
    };

    while !parser.cursor.eat_token("]") {
        parse_member(parser, &mut members)?;
    }

    let mut class = members.into_class(parser.ignore_case);
    if negated {
        class.negate();
    }

    Ok(Hir::class(Class::Unicode(class)))
}

impl Members {
    fn into_class(self, ignore_case: bool) -> ClassUnicode {
        let mut class = ClassUnicode::new(self.ranges);
        if ignore_case {
            class = tables::fold_case(&class);
        }

        // The sets that have escapes hold both cases of what they hold: folding would only add what
        // Python leaves out.
        for perl in self.perl {
            class.union(perl.class_set());
        }

        class
    }
}

/// Reads a character, a range of characters, or an escape.
fn parse_member(parser: &mut Parser<'_>, members: &mut Members) -> Result<(), ConditionFault> {
    let start = parser.cursor.offset();
    let low = parse_item(parser, members)?;
    // `-` before the closing bracket is itself.
    if !parser.cursor.starts_with("-") || parser.cursor.starts_with("-]") {
        match low {
            Escaped::Literal(c) => members.ranges.push(ClassUnicodeRange::new(c, c)),
            Escaped::Set(perl) if !members.perl.contains(&perl) => members.perl.push(perl),
            Escaped::Set(_) => {}
        }

        return Ok(());
    }

    refuse_operator(parser)?;
    parser.cursor.next_char();
    let high = parse_item(parser, members)?;
    let range = parser.cursor.range_since(start);
    let text = parser.cursor.text_at(&range);
    let (Escaped::Literal(low), Escaped::Literal(high)) = (low, high) else {
        let help = "put `-` last in the set, or write `\\-`";
        return Err(ConditionFault::broken(
            range,
            format!("the range `{text}` has a set for an end"),
            help,
        ));
    };

    if low > high {
        return Err(ConditionFault::broken(
            range,
            format!("the range `{text}` runs backwards"),
            "swap its ends",
        ));
    }

    members.ranges.push(ClassUnicodeRange::new(low, high));
    Ok(())
}

/// Reads a character or an escape: a member, or one end of a range.
fn parse_item(parser: &mut Parser<'_>, members: &Members) -> Result<Escaped, ConditionFault> {
    refuse_operator(parser)?;
    let start = parser.cursor.offset();
    if parser.cursor.eat_token("\\b") {
        let help = "no model has a backspace in its name";
        return Err(ConditionFault::outside(
            parser.cursor.range_since(start),
            "the backspace `\\b`",
            help,
        ));
    }

    if parser.cursor.starts_with("\\") {
        return parser.parse_escaped();
    }

    let nested = ["[:", "[.", "[="]
        .iter()
        .any(|token| parser.cursor.starts_with(token));
    match parser.cursor.next_char() {
        Some('[') if nested => Err(ConditionFault::outside(
            parser.cursor.range_since(start),
            "a POSIX name in a set",
            "write the characters out, as `a-z`; `\\[` for the character itself",
        )),
        Some('[') => {
            let help = "write `\\[` for the character itself";
            Err(ConditionFault::outside(
                parser.cursor.range_since(start),
                "a `[` inside a set",
                help,
            ))
        }
        None => {
            let help = "add `]`, or write `\\[` for the character itself";
            Err(ConditionFault::broken(
                members.open.clone(),
                "the set is not closed",
                help,
            ))
        }
        Some(c) if parser.ignore_case && c > '\u{ffff}' => {
            // Python compares such letters without folding them, or a range of them by rules of its
            // own.
            let help = "write it outside the set, as an alternative";
            let construct = format!("`{c}` (beyond U+FFFF) in a set under `(?i)`");
            Err(ConditionFault::outside(
                parser.cursor.range_since(start),
                &construct,
                help,
            ))
        }
        Some(c) => Ok(Escaped::Literal(c)),
    }
}

fn refuse_operator(parser: &Parser<'_>) -> Result<(), ConditionFault> {
    match OPERATORS
        .iter()
        .find(|operator| parser.cursor.starts_with(operator))
    {
        None => Ok(()),
        Some(operator) => {
            let at = parser.cursor.offset();
            let help = "one of the two is enough, or escape it with `\\`";
            Err(ConditionFault::outside(
                at..at + operator.len(),
                &format!("the set operator `{operator}`"),
                help,
            ))
        }
    }
}
