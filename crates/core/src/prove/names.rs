//! Values for witnesses: what a person would expect where there is such a value.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::cone::{Point, Zone};
use super::world::World;
use crate::document::PerDimension;
use crate::effect::catalog_values;
use crate::policy::{Context, Pattern};

/// How many values of a catalog are tried.
const CATALOG_TRIES: usize = 3;
/// Endings that make a value of a prefix; tried in this order, then numbers.
const ENDINGS: [&str; 8] = ["", "x", "1", "new", "other", "x1", "x2", "zz"];

/// The values and patterns that are known of one dimension.
#[derive(Debug, Default)]
pub(super) struct KnownValues {
    /// Sorted.
    catalog: Vec<Arc<str>>,
    exact: FxHashSet<Arc<str>>,
    prefixes: FxHashSet<Arc<str>>,
}

/// The values and patterns that are known.
#[derive(Debug, Default)]
pub(super) struct ExampleNames {
    dimensions: PerDimension<KnownValues>,
}

impl ExampleNames {
    /// Names of the sets of a world and of some zones.
    pub(super) fn new<'z>(world: &'z World<'_>, zones: impl Iterator<Item = &'z Zone>) -> Self {
        let mut names = Self::default();
        for (dimension, known) in names.dimensions.iter_mut() {
            let catalogs = world.sides.iter().rev().map(|side| &side.set.catalog);
            let lists = catalogs.filter_map(|catalog| catalog.values[dimension].as_deref());
            known.learn_catalog(lists);
        }

        let attached = world
            .sides
            .iter()
            .flat_map(|side| side.givens.iter().map(|given| &given.zone));
        for (dimension, list) in attached.chain(zones).flat_map(Zone::narrowed_lists) {
            names.dimensions[dimension].learn_values(list);
        }

        names
    }

    /// Requests of a point's cone, the most natural first and the generic one last, without models.
    pub(super) fn example_requests(&self, point: &Point) -> Vec<Context> {
        let mut requests: Vec<Context> = Vec::new();
        for attempt in 0..=CATALOG_TRIES {
            let mut request = Context::default();
            for (dimension, known) in self.dimensions.iter() {
                if dimension.is_set() {
                    request.set_values(
                        dimension,
                        point.tags.iter().map(|tag| known.example_tag(tag, attempt)),
                    );
                } else {
                    request.set_values(
                        dimension,
                        known.example_value(&point.values[dimension], attempt),
                    );
                }
            }

            if !requests.contains(&request) {
                requests.push(request);
            }
        }

        requests
    }
}

impl KnownValues {
    pub(super) fn learn_values<'p>(&mut self, patterns: impl IntoIterator<Item = &'p Pattern>) {
        for pattern in patterns {
            match pattern {
                Pattern::Exact(text) => self.exact.insert(text.clone()),
                Pattern::Prefix(text) => self.prefixes.insert(text.clone()),
            };
        }
    }

    fn example_value(&self, pattern: &Pattern, attempt: usize) -> Option<String> {
        (!pattern.is_any()).then(|| self.example_tag(pattern, attempt))
    }

    fn example_tag(&self, pattern: &Pattern, attempt: usize) -> String {
        match pattern {
            Pattern::Exact(text) => text.to_string(),
            Pattern::Prefix(prefix) if attempt < CATALOG_TRIES => {
                let start = self.catalog.partition_point(|value| **value < **prefix);
                let known = self
                    .catalog
                    .get(start + attempt)
                    .filter(|value| value.starts_with(&**prefix));
                known.map_or_else(|| self.generic_value(prefix), |value| value.to_string())
            }
            Pattern::Prefix(prefix) => self.generic_value(prefix),
        }
    }

    /// Takes the names that a catalog has.
    pub(super) fn learn_catalog<'p>(&mut self, lists: impl Iterator<Item = &'p [Arc<str>]>) {
        self.catalog = catalog_values(lists);
        self.catalog.sort_unstable();
    }

    /// A name of the catalog that a prefix matches, and no longer pattern does.
    pub(super) fn catalog_name(&self, pattern: &Pattern) -> Option<&str> {
        let Pattern::Prefix(prefix) = pattern else {
            return None;
        };
        let start = self.catalog.partition_point(|value| **value < **prefix);
        let names = self.catalog.iter().skip(start).map(|value| &**value);
        names
            .take_while(|name| name.starts_with(&**prefix))
            .find(|name| !self.is_told_apart(name, prefix))
    }

    /// A value that the pattern matches, and no longer pattern does: of the catalog, if there is
    /// one.
    pub(super) fn natural_of(&self, pattern: &Pattern) -> String {
        let named = self.catalog_name(pattern).map(str::to_owned);
        named.unwrap_or_else(|| self.generic_of(pattern))
    }

    /// A value that the pattern matches, and no longer pattern does.
    pub(super) fn generic_of(&self, pattern: &Pattern) -> String {
        match pattern {
            Pattern::Exact(text) => text.to_string(),
            Pattern::Prefix(prefix) => self.generic_value(prefix),
        }
    }

    /// A value that starts with the prefix and that no longer pattern matches.
    fn generic_value(&self, prefix: &str) -> String {
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
            value
                .char_indices()
                .map(|(at, c)| at + c.len_utf8())
                .filter(|end| *end > prefix.len())
        };

        self.exact.contains(value)
            || longer().any(|end| {
                value
                    .get(..end)
                    .is_some_and(|start| self.prefixes.contains(start))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generic_value_is_matched_by_no_longer_pattern() {
        let mut known = KnownValues::default();
        let list: Vec<Pattern> = ["a*", "ax*", "a1", "anew*", "a", "a~0", "~*"]
            .map(Pattern::parse)
            .to_vec();
        known.learn_values(&list);
        assert_eq!(known.generic_value("a"), "aother");
        assert_eq!(known.generic_value(""), "x");
        known.learn_values(&[Pattern::parse("ao*"), Pattern::parse("az*")]);

        assert_eq!(known.generic_value("a"), "a~1");
    }
}
