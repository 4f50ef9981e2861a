//! What can be said of a condition's patterns without running an automaton over them.
//!
//! A pattern that is a plain name, or a name followed by `.*`, is understood; of any other regular
//! expression only single models can be tried. Left out of account is a model that is called like the
//! text of a pattern with escapes (`gpt-3\.5`), which such a pattern matches too. Must not know chains or
//! guardrails.

use crate::policy::Pattern;
use crate::policy::condition::ModelPattern;

/// A part of a condition; the condition holds where one of its parts does.
#[derive(Debug, Clone)]
pub(super) enum Atom<'a> {
    /// These models, none of which has a line break.
    Known(Pattern),
    /// Whatever it matches.
    Opaque(&'a ModelPattern),
}

impl PartialEq for Atom<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a == b,
            (Self::Opaque(a), Self::Opaque(b)) => a.text() == b.text(),
            _ => false,
        }
    }
}

impl<'a> Atom<'a> {
    /// What a pattern says.
    pub(super) fn of(pattern: &'a ModelPattern) -> Self {
        match understood(pattern.text()) {
            None => Self::Opaque(pattern),
            Some((name, false)) => Self::Known(Pattern::Exact(name.into())),
            Some((name, true)) => Self::Known(Pattern::Prefix(name.into())),
        }
    }

    pub(super) fn matches(&self, model: Option<&str>) -> bool {
        let Some(model) = model else { return false };
        match self {
            Self::Known(pattern) => pattern.matches(Some(model)),
            Self::Opaque(pattern) => pattern.matches(model),
        }
    }

    /// One model that it matches, where that can be told.
    pub(super) fn sample(&self) -> Option<&str> {
        match self {
            Self::Known(Pattern::Exact(text) | Pattern::Prefix(text)) => Some(text),
            Self::Opaque(_) => None,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Known(Pattern::Exact(_)))
    }

    /// Whether every model of the other is one of these, as far as can be told.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a.covers(b),
            // Without classes and escapes nothing in it matches a line break, and `.*` matches all else.
            (Self::Known(a), Self::Opaque(b)) => {
                a.is_any() && !b.text().contains(['[', '\\', '\n'])
            }
            (Self::Opaque(_), Self::Known(_)) => false,
            (Self::Opaque(_), Self::Opaque(_)) => self == other,
        }
    }

    /// Whether no model is matched by both, as far as can be told.
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => !a.overlaps(b),
            _ => false,
        }
    }
}

/// A pattern that is a name, or a name followed by `.*` (then `true`).
fn understood(pattern: &str) -> Option<(String, bool)> {
    let mut name = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    loop {
        if rest.as_str() == ".*" {
            return Some((name, true));
        }
        match rest.next() {
            None => return Some((name, false)),
            Some('\\') => name.push(rest.next().filter(char::is_ascii_punctuation)?),
            Some(c) if c.is_control() || ".+*?()[]{}|^$".contains(c) => return None,
            Some(c) => name.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ModelPattern {
        ModelPattern::parse(text).expect("a pattern")
    }

    #[test]
    fn names_and_prefixes_are_understood() {
        assert_eq!(understood("gpt-4"), Some(("gpt-4".to_owned(), false)));
        assert_eq!(understood(r"gpt-3\.5.*"), Some(("gpt-3.5".to_owned(), true)));
        assert_eq!(understood(".*"), Some((String::new(), true)));
        for opaque in ["gpt-3.5", "a|b", r"a\d", "a.*b", "(?i)a", "a\nb.*", "a\\"] {
            assert_eq!(understood(opaque), None, "{opaque}");
        }
    }

    #[test]
    fn an_atom_matches_what_its_pattern_does() {
        for text in ["gpt-4", r"gpt-3\.5", r"gpt-3\.5.*", "gpt-.*", ".*", "o1+", "a|b"] {
            let pattern = parsed(text);
            let atom = Atom::of(&pattern);
            for model in ["", "gpt-4", "gpt-3.5", "gpt-3.5-turbo", "gpt-375", "o1", "b"]
                .into_iter()
                .chain(atom.sample())
            {
                assert_eq!(atom.matches(Some(model)), pattern.matches(model), "{text} on {model}");
            }
            assert!(!atom.matches(None));
        }
    }

    #[test]
    fn covering_is_told_only_where_it_is_sure() {
        let covers = |a: &str, b: &str| Atom::of(&parsed(a)).covers(&Atom::of(&parsed(b)));
        assert!(
            covers("gpt-.*", "gpt-4.*") && covers("gpt-.*", r"gpt-3\.5") && covers("a|b", "a|b")
        );
        assert!(covers(".*", "gpt-(4|5)") && !covers(".*", "[^a]*"));
        assert!(!covers("gpt-4.*", "gpt-.*") && !covers("a|b", "a"));
    }
}
