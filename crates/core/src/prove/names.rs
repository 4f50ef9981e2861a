//! Values for witnesses: what a person would expect where there is such a value.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::cone::{Point, Zone};
use super::models;
use super::report::Witness;
use super::world::World;
use crate::document::Dimension;
use crate::policy::{Catalog, Pattern};

/// How many values of a catalog are tried.
const CATALOG_TRIES: usize = 3;
/// Endings that make a value of a prefix; tried in this order, then numbers.
const ENDINGS: [&str; 8] = ["", "x", "1", "new", "other", "x1", "x2", "zz"];

/// The values and patterns that are known of one dimension.
#[derive(Debug, Default)]
struct Known {
    /// Sorted.
    catalog: Vec<Arc<str>>,
    exact: FxHashSet<Arc<str>>,
    prefixes: FxHashSet<Arc<str>>,
}

/// The values and patterns that are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    teams: Known,
    keys: Known,
    tags: Known,
}

impl Names {
    /// Of the sets of a world, and of some zones besides.
    pub(super) fn new<'z>(world: &'z World<'_>, zones: impl Iterator<Item = &'z Zone>) -> Self {
        let catalog = |list: fn(&Catalog) -> Option<&[Arc<str>]>| {
            let mut values =
                models::values(world.sides.iter().rev().filter_map(|side| list(&side.set.catalog)));
            values.sort_unstable();
            values
        };
        let mut names = Self::default();
        names.teams.catalog = catalog(|catalog| catalog.values[Dimension::Team].as_deref());
        names.keys.catalog = catalog(|catalog| catalog.values[Dimension::Key].as_deref());
        names.tags.catalog = catalog(|catalog| catalog.values[Dimension::Tag].as_deref());
        let attached =
            world.sides.iter().flat_map(|side| side.givens.iter().map(|given| &given.zone));
        for zone in attached.chain(zones) {
            names.teams.learn(zone.teams.as_deref());
            names.keys.learn(zone.keys.as_deref());
            names.tags.learn(zone.tags.as_deref());
        }
        names
    }

    /// Requests of a point's cone, the most natural first and the generic one last. `None` for a team, a key
    /// is the absent one.
    pub(super) fn requests(&self, point: &Point) -> Vec<Witness> {
        let mut requests: Vec<Witness> = Vec::new();
        for attempt in 0..=CATALOG_TRIES {
            let witness = Witness {
                team: self.teams.value(&point.team, attempt),
                key: self.keys.value(&point.key, attempt),
                model: None,
                tags: point.tags.iter().map(|tag| self.tags.tag(tag, attempt)).collect(),
            };
            if !requests.contains(&witness) {
                requests.push(witness);
            }
        }
        requests
    }
}

impl Known {
    fn learn(&mut self, patterns: Option<&[Pattern]>) {
        for pattern in patterns.unwrap_or_default() {
            match pattern {
                Pattern::Exact(text) => self.exact.insert(text.clone()),
                Pattern::Prefix(text) => self.prefixes.insert(text.clone()),
            };
        }
    }

    fn value(&self, pattern: &Pattern, attempt: usize) -> Option<String> {
        (!pattern.is_any()).then(|| self.tag(pattern, attempt))
    }

    fn tag(&self, pattern: &Pattern, attempt: usize) -> String {
        match pattern {
            Pattern::Exact(text) => text.to_string(),
            Pattern::Prefix(prefix) if attempt < CATALOG_TRIES => {
                let start = self.catalog.partition_point(|value| **value < **prefix);
                let known =
                    self.catalog.get(start + attempt).filter(|value| value.starts_with(&**prefix));
                known.map_or_else(|| self.generic(prefix), |value| value.to_string())
            }
            Pattern::Prefix(prefix) => self.generic(prefix),
        }
    }

    /// A value that starts with the prefix and that no longer pattern matches.
    fn generic(&self, prefix: &str) -> String {
        let endings = ENDINGS.iter().map(|ending| (*ending).to_owned());
        // Every pattern spoils a bounded number of these, so one of them is left.
        let numbered = (0..).map(|n: u64| format!("~{n}"));
        endings
            .chain(numbered)
            .map(|ending| format!("{prefix}{ending}"))
            .find(|value| !value.is_empty() && !self.is_told_apart(value, prefix))
            .unwrap_or_default()
    }

    fn is_told_apart(&self, value: &str, prefix: &str) -> bool {
        let longer = || {
            value.char_indices().map(|(at, c)| at + c.len_utf8()).filter(|end| *end > prefix.len())
        };
        self.exact.contains(value)
            || longer()
                .any(|end| value.get(..end).is_some_and(|start| self.prefixes.contains(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generic_value_is_matched_by_no_longer_pattern() {
        let mut dimension = Known::default();
        let list: Vec<Pattern> =
            ["a*", "ax*", "a1", "anew*", "a", "a~0", "~*"].map(Pattern::parse).to_vec();
        dimension.learn(Some(&list));
        assert_eq!(dimension.generic("a"), "aother");
        assert_eq!(dimension.generic(""), "x");
        dimension.learn(Some(&[Pattern::parse("ao*"), Pattern::parse("az*")]));
        assert_eq!(dimension.generic("a"), "a~1");
    }
}
