//! The conditions' automata: which models a pattern holds for, as a deterministic automaton over
//! bytes.
//!
//! [`build_automaton`] is the only place that knows how a pattern of a condition becomes an
//! automaton.

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::{Hir, Look};

use crate::policy::condition::ModelPattern;

/// Bytes of an automaton that are made in a unit of work.
const BYTES_A_UNIT: usize = 2;

/// Bytes that one automaton may have, and twice as many while it is built.
const SIZE_LIMIT: usize = 1 << 21;

/// An automaton that would be larger than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// A deterministic automaton that reads a whole string.
#[derive(Debug)]
pub(crate) struct Dfa {
    dense: dense::DFA<Vec<u32>>,
    start: StateID,
}

/// The automaton that accepts exactly the models that the pattern holds for.
pub(crate) fn build_automaton(pattern: &ModelPattern) -> Result<Dfa, TooLarge> {
    Dfa::from_language(pattern.language())
}

/// The automaton that accepts exactly valid UTF-8.
pub(crate) fn utf8_automaton() -> Result<Dfa, TooLarge> {
    let any = regex_syntax::parse("(?s:.)*").map_err(|_| TooLarge)?;
    Dfa::from_language(Hir::concat(vec![
        Hir::look(Look::Start),
        any,
        Hir::look(Look::End),
    ]))
}

/// The units of work that building an automaton takes that is too large in the end.
pub(crate) const WORK_OF_TOO_LARGE: u64 = (SIZE_LIMIT / BYTES_A_UNIT) as u64;

impl Dfa {
    fn from_language(language: Hir) -> Result<Self, TooLarge> {
        let config = thompson::Config::new()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(SIZE_LIMIT));
        let nfa = thompson::Compiler::new()
            .configure(config)
            .build_from_hir(&language)
            .map_err(|_| TooLarge)?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(SIZE_LIMIT))
            .determinize_size_limit(Some(2 * SIZE_LIMIT));
        let dense = dense::Builder::new()
            .configure(config)
            .build_from_nfa(&nfa)
            .map_err(|_| TooLarge)?;
        let start = dense
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|_| TooLarge)?;

        Ok(Self { dense, start })
    }

    /// The units of work that building it took.
    pub(crate) fn work_of_building(&self) -> u64 {
        (self.dense.memory_usage() / BYTES_A_UNIT) as u64
    }

    /// The state before the first byte.
    pub(crate) fn start(&self) -> StateID {
        self.start
    }

    /// The state after one byte more.
    pub(crate) fn next(&self, state: StateID, byte: u8) -> StateID {
        self.dense.next_state(state, byte)
    }

    /// Whether the string read so far is accepted.
    pub(crate) fn accepts(&self, state: StateID) -> bool {
        self.dense.is_match_state(self.dense.next_eoi_state(state))
    }

    /// Whether nothing that follows can be accepted.
    pub(crate) fn is_dead(&self, state: StateID) -> bool {
        self.dense.is_dead_state(state)
    }

    /// Which bytes it never tells apart: bytes of one number go the same way everywhere.
    pub(crate) fn byte_class(&self, byte: u8) -> u8 {
        self.dense.byte_classes().get(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(pattern: &str, text: &str) -> bool {
        let dfa = build_automaton(&ModelPattern::parse(pattern).unwrap()).unwrap();
        dfa.accepts(
            text.bytes()
                .fold(dfa.start(), |state, byte| dfa.next(state, byte)),
        )
    }

    #[test]
    fn it_accepts_what_the_engine_matches() {
        let patterns = [
            "gpt-4.*",
            "a|ab",
            "o1+",
            "(a|ab)(c|bcd)*",
            "gpt-4",
            "a.c",
            "x?",
            "(?i)ab",
            "[^a]b",
        ];
        let texts = [
            "gpt-4", "gpt-4o", "gpt-", "a", "ab", "abc", "abcd", "o1+", "o11", "a.c", "aéc", "x",
            "AB", "éb",
        ];
        for pattern in patterns {
            let engine = ModelPattern::parse(pattern).unwrap();
            for text in texts {
                assert_eq!(
                    accepts(pattern, text),
                    engine.matches(text),
                    "{pattern} on {text}"
                );
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_not_valid() {
        let dfa = utf8_automaton().unwrap();
        let read = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(dfa.start(), |state, byte| dfa.next(state, *byte))
        };

        assert!(dfa.accepts(read("aé😀".as_bytes())) && dfa.accepts(read(b"\n")));
        assert!(!dfa.accepts(read(b"\xc3")) && dfa.is_dead(read(b"\xff")));
    }
}
