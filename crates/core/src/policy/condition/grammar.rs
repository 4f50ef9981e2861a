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
pub(super) fn parse(text: &str) -> Result<Hir, ConditionFault> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        ignore_case: false,
        depth: 0,
    };

    parser.ignore_case = parser.cursor.eat("(?i)");
    parser.cursor.eat("^");
    let tree = parser.alternation()?;
    let start = parser.cursor.at();

    match parser.cursor.next() {
        None => Ok(tree),
        Some(_) => Err(ConditionFault::broken(
            parser.cursor.since(start),
            "`)` closes no group",
            "write `\\)` for the character itself",
        )),
    }
}

impl Parser<'_> {
    fn alternation(&mut self) -> Result<Hir, ConditionFault> {
        let mut branches = vec![self.sequence()?];
        while self.cursor.eat("|") {
            branches.push(self.sequence()?);
        }

        Ok(Hir::alternation(branches))
    }

    /// Ends before `|`, `)`, or the end of the text, where `$` may stand.
    fn sequence(&mut self) -> Result<Hir, ConditionFault> {
        let mut items = Vec::new();
        loop {
            match self.cursor.peek() {
                None | Some('|' | ')') => break,
                Some('$') if self.depth == 0 && self.cursor.rest() == "$" => {
                    self.cursor.next();
                    break;
                }
                Some(c) => {
                    let atom = self.atom(c)?;
                    items.push(self.repeated(atom)?);
                }
            }
        }

        Ok(Hir::concat(items))
    }

    fn atom(&mut self, c: char) -> Result<Hir, ConditionFault> {
        let start = self.cursor.at();
        match c {
            '(' => self.group(),
            '[' => set::parse(self),
            '\\' => self.escape(),
            '*' | '+' | '?' => {
                self.cursor.next();
                Err(nothing_to_repeat(&self.cursor, start))
            }
            '{' => match self.bounds()? {
                Some(_) => Err(nothing_to_repeat(&self.cursor, start)),
                None => Err(plain_brace(start)),
            },
            '^' | '$' => {
                self.cursor.next();
                Err(misplaced_anchor(&self.cursor, start))
            }
            '.' => {
                self.cursor.next();
                let mut class = tables::single('\n');
                class.negate();
                Ok(Hir::class(Class::Unicode(class)))
            }
            _ => {
                self.cursor.next();
                Ok(self.literal(c))
            }
        }
    }

    fn literal(&self, c: char) -> Hir {
        if self.ignore_case {
            // The tree makes a literal again of a class of one.
            Hir::class(Class::Unicode(tables::fold(&tables::single(c))))
        } else {
            Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes())
        }
    }

    fn group(&mut self) -> Result<Hir, ConditionFault> {
        let start = self.cursor.at();
        if self.cursor.starts_with("(?") && !self.cursor.starts_with("(?:") {
            return Err(refusal::group(&self.cursor));
        }

        if !self.cursor.eat("(?:") {
            self.cursor.next();
        }

        let open = self.cursor.since(start);
        if self.depth == MAX_DEPTH {
            let message =
                format!("groups are nested too deeply: the limit `regex-depth` is {MAX_DEPTH}");
            return Err(ConditionFault {
                limit: true,
                ..ConditionFault::broken(open, message, "write it flatter")
            });
        }

        self.depth += 1;
        let tree = self.alternation()?;
        self.depth -= 1;

        if self.cursor.eat(")") {
            Ok(tree)
        } else {
            Err(ConditionFault::broken(
                open,
                "the group is not closed",
                "add `)`, or write `\\(` for the character itself",
            ))
        }
    }

    fn escape(&mut self) -> Result<Hir, ConditionFault> {
        match self.escaped()? {
            Escaped::Literal(c) => Ok(self.literal(c)),
            Escaped::Set(perl) => Ok(Hir::class(Class::Unicode(perl.set().clone()))),
        }
    }

    /// Reads a backslash and what it escapes.
    pub(super) fn escaped(&mut self) -> Result<Escaped, ConditionFault> {
        let start = self.cursor.at();
        self.cursor.next();
        let Some(c) = self.cursor.next() else {
            let help = "write `\\\\` for the character itself";
            return Err(ConditionFault::broken(
                self.cursor.since(start),
                "`\\` escapes nothing",
                help,
            ));
        };

        if let Some(perl) = Perl::of(c) {
            return Ok(Escaped::Set(perl));
        }

        if (c.is_ascii_punctuation() || c == ' ') && !matches!(c, '<' | '>') {
            return Ok(Escaped::Literal(c));
        }

        Err(refusal::escape(c, self.cursor.since(start)))
    }

    /// Reads the quantifier that may follow an atom.
    fn repeated(&mut self, atom: Hir) -> Result<Hir, ConditionFault> {
        let start = self.cursor.at();
        let Some((min, max)) = self.quantifier()? else {
            return Ok(atom);
        };
        let lazy = self.cursor.eat("?");
        let first_end = self.cursor.at();
        if self.cursor.starts_with("{") && self.bounds()?.is_none() {
            return Err(plain_brace(first_end));
        }

        if self.cursor.at() > first_end || matches!(self.cursor.peek(), Some('*' | '+' | '?')) {
            return Err(self.stacked(start, first_end, lazy));
        }

        Ok(Hir::repetition(Repetition {
            min,
            max,
            greedy: true,
            sub: Box::new(atom),
        }))
    }

    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, ConditionFault> {
        let simple = match self.cursor.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                let start = self.cursor.at();
                return self.bounds()?.map(Some).ok_or_else(|| plain_brace(start));
            }
            _ => return Ok(None),
        };

        self.cursor.next();
        Ok(Some(simple))
    }

    /// Reads `{m}`, `{m,}` or `{m,n}`; nothing if the brace opens none of them.
    fn bounds(&mut self) -> Result<Option<(u32, Option<u32>)>, ConditionFault> {
        let start = self.cursor.at();
        let mut ahead = self.cursor.clone();
        ahead.next();
        let min = ahead.digits();
        let comma = ahead.eat(",");
        let max = ahead.digits();
        if !ahead.eat("}") || (min.is_empty() && max.is_empty()) {
            return Ok(None);
        }

        self.cursor = ahead;
        let range = self.cursor.since(start);
        if min.is_empty() {
            let help = format!("write `{{0,{max}}}`");
            return Err(ConditionFault::outside(
                range,
                "a repeat without a lower bound",
                &help,
            ));
        }

        let (min, max) = match (count(min), comma, max) {
            (min, false, _) => (min, min),
            (min, true, "") => (min, Some(MAX_REPEAT)),
            (min, true, max) => (min, count(max)),
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

        let open = self.cursor.slice(&range).ends_with(",}");
        Ok(Some((low, (!open).then_some(high))))
    }

    fn stacked(&mut self, start: usize, first_end: usize, lazy: bool) -> ConditionFault {
        let possessive = !lazy && self.cursor.at() == first_end && self.cursor.peek() == Some('+');
        if self.cursor.at() == first_end {
            self.cursor.next();
        }

        let range = self.cursor.since(start);
        let text = self.cursor.slice(&range);
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
fn count(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|&count| count <= MAX_REPEAT)
}

fn nothing_to_repeat(cursor: &Cursor<'_>, start: usize) -> ConditionFault {
    let range = cursor.since(start);
    let text = cursor.slice(&range);
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
    let range = cursor.since(start);
    let text = cursor.slice(&range);
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
