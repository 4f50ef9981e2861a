//! The merged catalog as rules ask it: what exists, by name or by a pattern.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::catalogued;
use super::draft::Item;
use super::{Conflict, KnownGuardrail, Pattern};
use crate::document::{Dimension, PerDimension, RawCatalog};

/// One dimension of the merged catalog: exact names and patterns, in order so that a question costs
/// a search.
#[derive(Debug, Default)]
pub struct KnownNames<'a> {
    exact: FxHashSet<&'a str>,
    /// The exact names, sorted.
    names: Vec<&'a str>,
    /// What stands before the final star of each pattern, sorted; none begins with another.
    prefixes: Vec<&'a str>,
}

impl<'a> KnownNames<'a> {
    pub(super) fn new(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut known = Self::default();
        for text in texts {
            match text.strip_suffix('*') {
                Some(prefix) => known.prefixes.push(prefix),
                None => known.names.push(text),
            }
        }

        known.names.sort_unstable();
        known.names.dedup();
        known.exact = known.names.iter().copied().collect();
        known.prefixes.sort_unstable();
        // Sorted, so what a shorter one covers follows it at once.
        known
            .prefixes
            .dedup_by(|later, kept| later.starts_with(*kept));

        known
    }

    /// The exact names, sorted.
    pub fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// What stands before the final star of each pattern.
    pub fn prefixes(&self) -> &[&'a str] {
        &self.prefixes
    }

    /// Whether the catalog has this very value, by name or by a pattern.
    pub fn has_value(&self, value: &str) -> bool {
        self.exact.contains(value) || self.has_prefix_of(value)
    }

    /// Whether a pattern matches anything that the catalog has.
    pub fn touches_pattern(&self, pattern: &Pattern) -> bool {
        match pattern {
            Pattern::Exact(text) => self.has_value(text),
            Pattern::Prefix(prefix) => {
                any_begins_with(&self.names, prefix)
                    || any_begins_with(&self.prefixes, prefix)
                    || self.has_prefix_of(prefix)
            }
        }
    }

    /// Whether one of the names or patterns matches every value that a pattern matches.
    pub fn covers_pattern(&self, pattern: &Pattern) -> bool {
        match pattern {
            Pattern::Exact(text) => self.has_value(text),
            Pattern::Prefix(prefix) => self.has_prefix_of(prefix),
        }
    }

    fn has_prefix_of(&self, value: &str) -> bool {
        let after = self.prefixes.partition_point(|prefix| *prefix <= value);
        after
            .checked_sub(1)
            .and_then(|at| self.prefixes.get(at))
            .is_some_and(|prefix| value.starts_with(prefix))
    }
}

/// Whether one of the sorted texts begins with `prefix`.
fn any_begins_with(sorted: &[&str], prefix: &str) -> bool {
    let at = sorted.partition_point(|text| *text < prefix);
    sorted.get(at).is_some_and(|text| text.starts_with(prefix))
}

/// The merged catalog; a list that no document gives is `None`.
#[derive(Debug, Default)]
pub struct DraftCatalog<'a> {
    /// Guardrails by name; never patterns.
    pub guardrails: Option<BTreeMap<&'a str, KnownGuardrail>>,
    /// What catalogs disagree in.
    pub conflicts: Vec<Conflict<'a>>,
    /// What is known of each dimension; `None`: not checked.
    pub values: PerDimension<Option<KnownNames<'a>>>,
}

impl<'a> DraftCatalog<'a> {
    /// Merges the catalogs of a set.
    pub(super) fn new(catalogs: &[Item<'a, RawCatalog>]) -> Self {
        let (guardrails, conflicts) = catalogued::merge_catalogs(catalogs);
        let mut values: PerDimension<Option<Vec<&'a str>>> = PerDimension::default();
        for catalog in catalogs.iter().map(|item| item.raw) {
            for (dimension, merged) in values.iter_mut() {
                if let Some(texts) = catalog.values(dimension) {
                    let texts = texts.iter().map(|text| text.as_str());
                    merged.get_or_insert_default().extend(texts);
                }
            }
        }

        let known = |_, texts: Option<Vec<&'a str>>| Some(KnownNames::new(texts?.into_iter()));
        Self {
            guardrails,
            conflicts,
            values: values.map(known),
        }
    }

    /// What is known of a guardrail, if a catalog lists it.
    pub fn guardrail(&self, name: &str) -> Option<&KnownGuardrail> {
        self.guardrails.as_ref()?.get(name)
    }

    /// What is known of a dimension; `None`: not checked.
    pub fn values_of(&self, dimension: Dimension) -> Option<&KnownNames<'a>> {
        self.values[dimension].as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_answer_by_search_as_by_scan() {
        let texts = ["gpt-4", "openai/*", "openai/gpt-*", "a*", "ab", "b", "é*"];
        let known = KnownNames::new(texts.into_iter());
        assert_eq!(known.prefixes(), ["a", "openai/", "é"]);

        for value in [
            "gpt-4", "gpt-4o", "openai/x", "openai", "ab", "abc", "a", "b", "bc", "", "é", "ê",
        ] {
            let scan = texts
                .iter()
                .any(|text| Pattern::parse(text).matches(Some(value)));
            assert_eq!(known.has_value(value), scan, "{value}");
            let wild = Pattern::parse(&format!("{value}*"));
            let scan = texts
                .iter()
                .any(|text| Pattern::parse(text).overlaps(&wild));
            assert_eq!(known.touches_pattern(&wild), scan, "{value}*");
            let scan = texts.iter().any(|text| Pattern::parse(text).covers(&wild));
            assert_eq!(known.covers_pattern(&wild), scan, "{value}*");
        }
    }
}
