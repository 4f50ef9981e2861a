//! How the models that a condition holds for begin: a rough answer that is cheap to compare.
//!
//! ```text
//! condition            leads
//! gpt-4|claude-.*      "gpt-4" exactly, or what begins with "claude-"
//! .*-mini              what begins with "": every model
//! ```

use regex_syntax::hir::literal::Extractor;

use crate::policy::condition::ModelPattern;

/// Models that are this text, or begin with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lead<'a> {
    pub text: &'a [u8],
    pub exact: bool,
}

impl Lead<'_> {
    /// Whether a model may be of both.
    pub(super) fn meets_lead(&self, other: &Lead<'_>) -> bool {
        match (self.exact, other.exact) {
            (true, true) => self.text == other.text,
            (true, false) => self.text.starts_with(other.text),
            (false, true) => other.text.starts_with(self.text),
            (false, false) => {
                self.text.starts_with(other.text) || other.text.starts_with(self.text)
            }
        }
    }
}

/// The leads of a condition's pattern: every model that it holds for has one of them.
#[derive(Debug)]
pub struct Leads(Vec<(Box<[u8]>, bool)>);

impl Leads {
    /// Reads them off a pattern.
    pub fn from_condition(pattern: &ModelPattern) -> Self {
        if pattern.is_literal() {
            return Self(vec![(pattern.text().as_bytes().into(), true)]);
        }

        let prefixes = Extractor::new().extract(&pattern.language());
        Self(match prefixes.literals() {
            Some(literals) => literals
                .iter()
                .map(|l| (l.as_bytes().into(), l.is_exact()))
                .collect(),
            None => vec![(Box::default(), false)],
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Lead<'_>> {
        self.0.iter().map(|(text, exact)| Lead {
            text,
            exact: *exact,
        })
    }

    /// Whether a model that begins with `prefix` may be let through.
    pub fn may_begin_with(&self, prefix: &str) -> bool {
        let prefix = Lead {
            text: prefix.as_bytes(),
            exact: false,
        };

        self.iter().any(|lead| lead.meets_lead(&prefix))
    }

    /// Whether this very model may be let through.
    pub fn may_be(&self, model: &str) -> bool {
        let model = Lead {
            text: model.as_bytes(),
            exact: true,
        };

        self.iter().any(|lead| lead.meets_lead(&model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_tell_families_of_models_apart() {
        let leads = |text: &str| Leads::from_condition(&ModelPattern::parse(text).unwrap());
        let meet = |a: &str, b: &str| {
            let (a, b) = (leads(a), leads(b));
            a.iter().any(|x| b.iter().any(|y| x.meets_lead(&y)))
        };

        assert!(!meet("gpt-4.*", "claude-.*"));
        assert!(!meet("(gpt|o1)-.*", "claude-opus"));
        assert!(meet("(gpt|claude)-.*", "claude-opus"));
        assert!(meet(".*", "x"));
        assert!(!meet("gpt-4", "gpt-4o"));
        assert!(
            leads("gpt-4.*").may_begin_with("gpt-") && leads("gpt-4.*").may_begin_with("gpt-4o-")
        );

        assert!(!leads("gpt-4.*").may_begin_with("openai/"));
    }
}
