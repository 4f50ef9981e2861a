//! The pattern grammar of a policy's condition: what of Python's `re` a `condition.model` may use,
//! and what it matches.
//!
//! A gateway written in Python reads the same patterns with `re.fullmatch`, so only what Python's
//! `re` and Rust's `regex` read alike is accepted; the rest is refused by name. What the two would
//! still answer differently in silence (`\s` on U+001C, `\w` on a combining mark, `(?i)` on `İ`) is
//! read as Python 3.11 reads it: a pattern is parsed here into the engine's own syntax tree, and no
//! text is handed to another parser.
//!
//! Must not know documents, spans or findings: a fault says which bytes of the pattern are wrong.

mod cursor;
mod grammar;
mod refusal;
mod set;
mod tables;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input, meta};
use regex_syntax::hir::{Hir, HirKind, Look};

/// Bytes that the compiled form of one pattern may have: the limit `regex-size`.
pub const REGEX_SIZE: usize = 1 << 20;

/// Bytes that the text of a pattern with metacharacters may have: the limit `regex-length`.
pub const REGEX_LENGTH: usize = 1 << 14;

/// Bytes of the machine that an expression is read into, up to which its compiled form cannot pass
/// `REGEX_SIZE`. It is compiled at its first question then: compiling takes ten times as long as
/// reading, and most expressions of a set that is only judged are never asked.
const SURELY_SMALL: usize = 1 << 15;

/// Bytes of an engine beside its machines.
const ENGINE_BYTES: usize = 1 << 10;

/// Bytes of lazily built states that one pattern may keep a thread.
const CACHE_SIZE: usize = 1 << 17;

/// One pattern of a condition.
///
/// It holds for a model that is the pattern's own text, or that the pattern wholly matches.
/// Patterns are equal when their texts are. Cheap to clone.
#[derive(Clone)]
pub struct ModelPattern {
    text: Arc<str>,
    matcher: Matcher,
}

/// What a pattern matches beside its own text.
#[derive(Clone)]
enum Matcher {
    /// Nothing more.
    Text,
    /// One other string: `gpt-4\.1` matches `gpt-4.1`.
    Literal(Arc<str>),
    /// What an expression wholly matches.
    Regex(Arc<Compiled>),
}

struct Compiled {
    body: Hir,
    engine: OnceLock<Option<meta::Regex>>,
    /// Bytes of the engine, about.
    size: usize,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionFault {
    /// Bytes of the pattern that are at fault.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether a limit is passed, rather than the grammar left.
    pub limit: bool,
}

impl ModelPattern {
    /// Reads a pattern; the fault names the first construct outside the grammar, or the limit that
    /// is passed.
    pub fn parse(text: &str) -> Result<Self, ConditionFault> {
        let matcher = if text.contains(grammar::is_meta) {
            Matcher::parse(text)?
        } else {
            Matcher::Text
        };

        Ok(Self {
            text: text.into(),
            matcher,
        })
    }

    /// Whether a model is the text itself or wholly matched by it.
    pub fn matches(&self, model: &str) -> bool {
        *self.text == *model
            || match &self.matcher {
                Matcher::Text => false,
                Matcher::Literal(literal) => **literal == *model,
                Matcher::Regex(regex) => regex.matches(model),
            }
    }

    /// Compiles it, where that is not done yet: else its first question does.
    pub fn compile(&self) {
        if let Matcher::Regex(regex) = &self.matcher {
            regex.engine();
        }
    }

    /// Whether two expressions are one that was compiled once.
    #[cfg(test)]
    pub(in crate::policy) fn shares_engine_with(&self, other: &Self) -> bool {
        match (&self.matcher, &other.matcher) {
            (Matcher::Regex(one), Matcher::Regex(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches its own text and nothing else.
    pub fn is_literal(&self) -> bool {
        matches!(self.matcher, Matcher::Text)
    }

    /// The strings that it matches, where those are one or two and none is empty.
    pub(crate) fn literals(&self) -> Option<impl Iterator<Item = Arc<str>>> {
        let other = match &self.matcher {
            Matcher::Text => None,
            Matcher::Literal(literal) => Some(literal.clone()),
            Matcher::Regex(_) => return None,
        };

        let literals = [Some(self.text.clone()), other].into_iter().flatten();
        literals
            .clone()
            .all(|literal| !literal.is_empty())
            .then_some(literals)
    }

    /// Bytes of its compiled form, without what searches add.
    pub fn compiled_size(&self) -> usize {
        match &self.matcher {
            Matcher::Text => 0,
            Matcher::Literal(literal) => literal.len(),
            Matcher::Regex(regex) => regex.size,
        }
    }

    /// The exact language of [`matches`](Self::matches), its own text included, anchored at both
    /// ends.
    ///
    /// An automaton built from it accepts what `matches` holds for and nothing else: the engine is
    /// built from the same tree.
    pub fn language(&self) -> Hir {
        let text = Hir::literal(self.text.as_bytes());
        anchor_language(match &self.matcher {
            Matcher::Text => text,
            Matcher::Literal(literal) => {
                Hir::alternation(vec![text, Hir::literal(literal.as_bytes())])
            }
            Matcher::Regex(regex) => Hir::alternation(vec![text, regex.body.clone()]),
        })
    }

    /// Whether it reads like a glob: `gpt-4*`, which means "`gpt-` and any number of `4`", where
    /// "what starts with `gpt-4`" was meant.
    pub fn looks_like_glob(&self) -> bool {
        let Some(before) = self.text.strip_suffix('*') else {
            return false;
        };
        let Some(last) = before.chars().next_back() else {
            return false;
        };
        let stem = before.strip_suffix(last).unwrap_or_default();
        let escaped = stem.chars().rev().take_while(|&c| c == '\\').count() % 2 == 1;

        !escaped && !grammar::is_meta(last)
    }
}

impl Matcher {
    fn parse(text: &str) -> Result<Self, ConditionFault> {
        if text.len() > REGEX_LENGTH {
            return Err(ConditionFault {
                range: 0..text.len(),
                message: format!(
                    "this pattern has {} bytes: the limit `regex-length` is {REGEX_LENGTH}",
                    text.len()
                ),
                help: Some(
                    "write several patterns, one a line: the condition holds when any of them does"
                        .to_owned(),
                ),
                limit: true,
            });
        }

        let body = grammar::parse_condition(text)?;
        let literal = match body.kind() {
            HirKind::Empty => Some(""),
            HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
            _ => None,
        };

        match literal {
            Some(literal) if literal == text => Ok(Self::Text),
            Some(literal) => Ok(Self::Literal(literal.into())),
            None => Ok(Self::Regex(Arc::new(Compiled::new(body, text)?))),
        }
    }
}

impl Compiled {
    fn new(body: Hir, text: &str) -> Result<Self, ConditionFault> {
        let config = thompson::Config::new()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(SURELY_SMALL));
        let machine = thompson::Compiler::new()
            .configure(config)
            .build_from_hir(&anchor_language(body.clone()));
        if let Ok(machine) = machine {
            // One machine for each direction.
            let size = 2 * machine.memory_usage() + ENGINE_BYTES;
            let engine = OnceLock::new();
            return Ok(Self { body, engine, size });
        }

        // The tree is well formed, so size is the only thing that the engine can object to;
        // whatever it says, there is no pattern then.
        let engine = build_engine(&body, Some(REGEX_SIZE)).ok_or_else(|| ConditionFault {
            range: 0..text.len(),
            message: format!(
                "the compiled form is too large: the limit `regex-size` is {REGEX_SIZE} bytes"
            ),
            help: Some(
                "lower the repeat counts, or write `[A-Za-z0-9_]` instead of `\\w`".to_owned(),
            ),
            limit: true,
        })?;

        let size = engine.memory_usage();
        let engine = OnceLock::from(Some(engine));
        Ok(Self { body, engine, size })
    }

    fn engine(&self) -> Option<&meta::Regex> {
        self.engine
            .get_or_init(|| build_engine(&self.body, None))
            .as_ref()
    }

    fn matches(&self, model: &str) -> bool {
        // Without a limit nothing keeps an engine from being built; a policy that applies is the
        // safer answer.
        self.engine()
            .is_none_or(|engine| engine.is_match(Input::new(model).anchored(Anchored::Yes)))
    }
}

/// The engine of an expression; `None` where it would be larger than the limit.
fn build_engine(body: &Hir, limit: Option<usize>) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(limit)
        // States built as searches need them: all of them at once would make compiling four times
        // as slow.
        .dfa(false)
        .hybrid_cache_capacity(CACHE_SIZE);
    let engine = meta::Builder::new()
        .configure(config)
        .build_from_hir(&anchor_language(body.clone()));

    engine.ok()
}

fn anchor_language(body: Hir) -> Hir {
    Hir::concat(vec![Hir::look(Look::Start), body, Hir::look(Look::End)])
}

impl PartialEq for ModelPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ModelPattern {}

impl Hash for ModelPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ModelPattern").field(&self.text).finish()
    }
}

impl ConditionFault {
    /// A construct outside the grammar.
    fn outside(range: Range<usize>, construct: &str, help: &str) -> Self {
        Self::broken(
            range,
            format!("{construct} is outside the condition grammar"),
            help,
        )
    }

    /// A text that no reader takes for a pattern.
    fn broken(range: Range<usize>, message: impl Into<String>, help: &str) -> Self {
        Self {
            range,
            message: message.into(),
            help: Some(help.to_owned()),
            limit: false,
        }
    }
}

impl fmt::Display for ConditionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConditionFault {}

#[cfg(test)]
mod tests;
