//! Wildcard patterns: an exact string, or a prefix with a final `*`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::document::work::note_steps;

/// A pattern of an attachment, an invariant or a catalog.
///
/// A pattern that ends in `*` matches a value that starts with what stands before that last star;
/// any other pattern matches only the same string. Case-sensitive, by code points. An absent value
/// matches only `*`. (The rules of LiteLLM's `PolicyMatcher`.)
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pattern {
    /// Only this string.
    Exact(Arc<str>),
    /// Every string that starts with this; of `*`: every value, also an absent one.
    Prefix(Arc<str>),
}

impl Pattern {
    /// Reads a pattern; every string is one.
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Exact(text.into()),
        }
    }

    /// Whether a value, perhaps an absent one, matches.
    pub fn matches(&self, value: Option<&str>) -> bool {
        note_steps(1);
        match (self, value) {
            (Self::Exact(text), Some(value)) => **text == *value,
            (Self::Exact(_), None) => false,
            (Self::Prefix(prefix), Some(value)) => value.starts_with(&**prefix),
            (Self::Prefix(prefix), None) => prefix.is_empty(),
        }
    }

    /// Whether it is `*`.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Prefix(prefix) if prefix.is_empty())
    }

    /// Whether every value that `other` matches is matched by this one too.
    pub fn covers(&self, other: &Self) -> bool {
        note_steps(1);
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Exact(_), Self::Prefix(_)) => false,
            (Self::Prefix(a), Self::Exact(b) | Self::Prefix(b)) => b.starts_with(&**a),
        }
    }

    /// Whether some value is matched by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        note_steps(1);
        match (self, other) {
            (Self::Prefix(a), Self::Prefix(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            _ => self.covers(other) || other.covers(self),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_star_is_a_wildcard() {
        assert!(Pattern::parse("a*b").matches(Some("a*b")));
        assert!(!Pattern::parse("a*b").matches(Some("axb")));
        assert!(Pattern::parse("a**").matches(Some("a*x")));
        assert!(!Pattern::parse("a**").matches(Some("ax")));

        assert!(Pattern::parse("é*").matches(Some("école")));
    }

    #[test]
    fn an_absent_value_matches_only_the_bare_star() {
        assert!(Pattern::parse("*").matches(None));
        assert!(!Pattern::parse("**").matches(None));
        assert!(!Pattern::parse("").matches(None));

        assert!(Pattern::parse("").matches(Some("")));
    }

    #[test]
    fn covering_and_overlapping() {
        let p = Pattern::parse;
        assert!(p("a*").covers(&p("ab*")) && !p("ab*").covers(&p("a*")));
        assert!(p("a*").covers(&p("a")) && p("*").covers(&p("")));
        assert!(p("a*").overlaps(&p("ab*")) && p("ab*").overlaps(&p("a*")));

        assert!(!p("ab*").overlaps(&p("ac*")) && !p("ab").overlaps(&p("abc*")));
    }
}
