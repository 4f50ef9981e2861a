//! The grammar, by recursive descent: text in, syntax tree or first fault out.
//!
//! ```text
//! pattern     = ["(?i)"] ["^"] alternation ["$"]
//! alternation = sequence {"|" sequence}
//! sequence    = {atom [quantifier]}
//! atom        = literal | "." | escape | set | "(" alternation ")" | "(?:" alternation ")"
//! quantifier  = ("*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}") ["?"]
//! ```
//!
//! The whole model must match, so the anchors at the ends say nothing, groups capture nothing, and
//! lazy is the same as greedy: none of them leaves a trace in the tree.

use regex_syntax::hir::{Class, Hir, Repetition};

use super::ConditionFault;
use super::cursor::Cursor;
use super::tables::{self, Perl};
use super::{refusal, set};

/// How deep groups may nest.
const MAX_DEPTH: usize = 64;

/// The highest repeat count.
const MAX_REPEAT: u32 = 1_000;

/// The state of reading one pattern.
pub(super) struct Parser<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) ignore_case: bool,
    depth: usize,
}

/// Whether a character can mean something else than itself.
pub(super) fn is_meta(c: char) -> bool {
    matches!(
        c,
        '\\' | '.' | '[' | ']' | '(' | ')' | '{' | '}' | '|' | '*' | '+' | '?' | '^' | '$'
    )
}

/// Reads a whole pattern.
pub(super) fn parse_condition(text: &str) -> Result<Hir, ConditionFault> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        ignore_case: false,
        depth: 0,
    };

    parser.ignore_case = parser.cursor.eat_token("(?i)");
    parser.cursor.eat_token("^");
    let tree = parser.parse_alternation()?;
    let start = parser.cursor.offset();

    match parser.cursor.next_char() {
        None => Ok(tree),
        Some(_) => Err(ConditionFault::broken(
            parser.cursor.range_since(start),
            "`)` closes no group",
            "write `\\)` for the character itself",
        )),
    }
}

impl Parser<'_> {
    fn parse_alternation(&mut self) -> Result<Hir, ConditionFault> {
        let mut branches = vec![self.parse_sequence()?];
        while self.cursor.eat_token("|") {
            branches.push(self.parse_sequence()?);
        }

        Ok(Hir::alternation(branches))
    }

    /// Ends before `|`, `)`, or the end of the text, where `$` may stand.
    fn parse_sequence(&mut self) -> Result<Hir, ConditionFault> {
        let mut items = Vec::new();
        loop {
            match self.cursor.peek_char() {
                None | Some('|' | ')') => break,
                Some('$') if self.depth == 0 && self.cursor.rest_text() == "$" => {
                    self.cursor.next_char();
                    break;
                }
                Some(c) => {
                    let atom = self.parse_atom(c)?;
                    items.push(self.parse_repeated(atom)?);
                }
            }
        }

        Ok(Hir::concat(items))
    }

    fn parse_atom(&mut self, c: char) -> Result<Hir, ConditionFault> {
        let start = self.cursor.offset();
        match c {
            '(' => self.parse_group(),
            '[' => set::parse_set(self),
            '\\' => self.parse_escape(),
            '*' | '+' | '?' => {
                self.cursor.next_char();
                Err(nothing_to_repeat(&self.cursor, start))
            }
            '{' => match self.parse_bounds()? {
                Some(_) => Err(nothing_to_repeat(&self.cursor, start)),
                None => Err(plain_brace(start)),
            },
            '^' | '$' => {
                self.cursor.next_char();
                Err(misplaced_anchor(&self.cursor, start))
            }
            '.' => {
                self.cursor.next_char();
                let mut class = tables::single_char('\n');
                class.negate();
                Ok(Hir::class(Class::Unicode(class)))
            }
            _ => {
                self.cursor.next_char();
                Ok(self.make_literal(c))
            }
        }
    }

    fn make_literal(&self, c: char) -> Hir {
        if self.ignore_case {
            // The tree makes a literal again of a class of one.
            Hir::class(Class::Unicode(tables::fold_case(&tables::single_char(c))))
        } else {
            Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes())
        }
    }

    fn parse_group(&mut self) -> Result<Hir, ConditionFault> {
        let start = self.cursor.offset();
        if self.cursor.starts_with("(?") && !self.cursor.starts_with("(?:") {
            return Err(refusal::refuse_group(&self.cursor));
        }

        if !self.cursor.eat_token("(?:") {
            self.cursor.next_char();
        }

        let open = self.cursor.range_since(start);
        if self.depth == MAX_DEPTH {
            let message =
                format!("groups are nested too deeply: the limit `regex-depth` is {MAX_DEPTH}");
            return Err(ConditionFault {
                limit: true,
                ..ConditionFault::broken(open, message, "write it flatter")
            });
        }

        self.depth += 1;
        let tree = self.parse_alternation()?;
        self.depth -= 1;

        if self.cursor.eat_token(")") {
            Ok(tree)
        } else {
            Err(ConditionFault::broken(
                open,
                "the group is not closed",
                "add `)`, or write `\\(` for the character itself",
            ))
        }
    }

    fn parse_escape(&mut self) -> Result<Hir, ConditionFault> {
        match self.parse_escaped()? {
            Escaped::Literal(c) => Ok(self.make_literal(c)),
            Escaped::Set(perl) => Ok(Hir::class(Class::Unicode(perl.class_set().clone()))),
        }
    }

    /// Reads a backslash and what it escapes.
    pub(super) fn parse_escaped(&mut self) -> Result<Escaped, ConditionFault> {
        let start = self.cursor.offset();
        self.cursor.next_char();
        let Some(c) = self.cursor.next_char() else {
            let help = "write `\\\\` for the character itself";
            return Err(ConditionFault::broken(
                self.cursor.range_since(start),
                "`\\` escapes nothing",
                help,
            ));
        };

        if let Some(perl) = Perl::from_letter(c) {
            return Ok(Escaped::Set(perl));
        }

        if (c.is_ascii_punctuation() || c == ' ') && !matches!(c, '<' | '>') {
            return Ok(Escaped::Literal(c));
        }

        Err(refusal::refuse_escape(c, self.cursor.range_since(start)))
    }

    /// Reads the quantifier that may follow an atom.
    fn parse_repeated(&mut self, atom: Hir) -> Result<Hir, ConditionFault> {
        let start = self.cursor.offset();
        let Some((min, max)) = self.parse_quantifier()? else {
            return Ok(atom);
        };
        let lazy = self.cursor.eat_token("?");
        let first_end = self.cursor.offset();
        if self.cursor.starts_with("{") && self.parse_bounds()?.is_none() {
            return Err(plain_brace(first_end));
        }

        if self.cursor.offset() > first_end
            || matches!(self.cursor.peek_char(), Some('*' | '+' | '?'))
        {
            return Err(self.refuse_stacked(start, first_end, lazy));
        }

        Ok(Hir::repetition(Repetition {
            min,
            max,
            greedy: true,
            sub: Box::new(atom),
        }))
    }

    fn parse_quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, ConditionFault> {
        let simple = match self.cursor.peek_char() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                let start = self.cursor.offset();
                return self
                    .parse_bounds()?
                    .map(Some)
                    .ok_or_else(|| plain_brace(start));
            }
            _ => return Ok(None),
        };

        self.cursor.next_char();
        Ok(Some(simple))
    }

    /// Reads `{m}`, `{m,}` or `{m,n}`; nothing if the brace opens none of them.
    fn parse_bounds(&mut self) -> Result<Option<(u32, Option<u32>)>, ConditionFault> {
        let start = self.cursor.offset();
        let mut ahead = self.cursor.clone();
        ahead.next_char();
        let min = ahead.eat_digits();
        let comma = ahead.eat_token(",");
        let max = ahead.eat_digits();
        if !ahead.eat_token("}") || (min.is_empty() && max.is_empty()) {
            return Ok(None);
        }

        self.cursor = ahead;
        let range = self.cursor.range_since(start);
        if min.is_empty() {
            let help = format!("write `{{0,{max}}}`");
            return Err(ConditionFault::outside(
                range,
                "a repeat without a lower bound",
                &help,
            ));
        }

        let (min, max) = match (parse_count(min), comma, max) {
            (min, false, _) => (min, min),
            (min, true, "") => (min, Some(MAX_REPEAT)),
            (min, true, max) => (min, parse_count(max)),
        };

        let (Some(low), Some(high)) = (min, max) else {
            let message =
                format!("the repeat count is too high: the limit `regex-repeat` is {MAX_REPEAT}");
            return Err(ConditionFault {
                limit: true,
                ..ConditionFault::broken(range, message, "use `*` or `+`")
            });
        };

        if low > high {
            return Err(ConditionFault::broken(
                range,
                "the repeat's lower bound is above its upper one",
                "swap them",
            ));
        }

        let open = self.cursor.text_at(&range).ends_with(",}");
        Ok(Some((low, (!open).then_some(high))))
    }

    fn refuse_stacked(&mut self, start: usize, first_end: usize, lazy: bool) -> ConditionFault {
        let possessive =
            !lazy && self.cursor.offset() == first_end && self.cursor.peek_char() == Some('+');
        if self.cursor.offset() == first_end {
            self.cursor.next_char();
        }

        let range = self.cursor.range_since(start);
        let text = self.cursor.text_at(&range);
        if possessive {
            ConditionFault::outside(
                range,
                &format!("the possessive quantifier `{text}`"),
                "leave the last `+` away",
            )
        } else {
            let help = "one quantifier for each atom: put a group between them, or keep one";
            ConditionFault::outside(range, &format!("the stacked quantifier `{text}`"), help)
        }
    }
}

/// What a backslash makes of the character after it.
pub(super) enum Escaped {
    Literal(char),
    Set(Perl),
}

/// A repeat count within the limit.
fn parse_count(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|&count| count <= MAX_REPEAT)
}

fn nothing_to_repeat(cursor: &Cursor<'_>, start: usize) -> ConditionFault {
    let range = cursor.range_since(start);
    let text = cursor.text_at(&range);
    let message = format!("`{text}` has nothing to repeat");
    let help = if text == "*" {
        "write `.*` for any text, or `\\*` for the character itself"
    } else {
        "escape it with `\\` for the character itself"
    };

    ConditionFault::broken(range, message, help)
}

fn plain_brace(at: usize) -> ConditionFault {
    ConditionFault::outside(
        at..at + 1,
        "a `{` that opens no repeat",
        "write `\\{` for the character itself",
    )
}

fn misplaced_anchor(cursor: &Cursor<'_>, start: usize) -> ConditionFault {
    let range = cursor.range_since(start);
    let text = cursor.text_at(&range);
    let end = if text == "^" { "start" } else { "end" };
    ConditionFault::outside(
        range,
        &format!("`{text}` elsewhere than at the pattern's {end}"),
        &format!(
            "leave it away: the whole model must match anyway; write `\\{text}` for the character \
                itself"
        ),
    )
}
