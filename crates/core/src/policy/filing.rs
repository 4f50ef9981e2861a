//! Attachments filed under their narrowest dimension, so that those of a request are found without
//! looking at the others.
//!
//! Each is filed once: under the dimension whose patterns it shares with the fewest others, or
//! under none if it takes any value of every dimension. Of these three, with their patterns
//! counted,
//!
//! ```text
//! a  teams: [eu], models: [gpt-4]     eu 1, gpt-4 3    filed under the team `eu`
//! b  teams: [us], models: [gpt-4]     us 2, gpt-4 3    filed under the team `us`
//! c  teams: [us], models: [gpt-4]     us 2, gpt-4 3    filed under the team `us`
//! ```
//!
//! a request of the team `eu` for `gpt-4` meets only `a`, though all three ask for its model. What
//! is found matches in the dimension it is filed under and not yet in the others: those the caller
//! checks. Exact values are found by hash; prefixes too, in one table for each length.
//!
//! The engine and the proof use it: the engine asks what matches a value, the proof what covers a
//! pattern. The rules ask another question, which areas overlap one, also through patterns below
//! its own and for one policy or guardrail at a time: they have an index of ranges in
//! `policy::reach`.
//!
//! Must not know what is filed.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Pattern;
use crate::document::{Dimension, PerDimension};

/// Things filed by their patterns.
#[derive(Debug)]
pub struct Filing<T> {
    /// Those that no dimension narrows.
    always: Vec<T>,
    shelves: PerDimension<Shelf<T>>,
}

impl<T> Default for Filing<T> {
    fn default() -> Self {
        let shelves = PerDimension::from_fn(|_| Shelf {
            exact: FxHashMap::default(),
            prefixes: Vec::new(),
        });
        Self {
            always: Vec::new(),
            shelves,
        }
    }
}

/// What is filed under one dimension.
#[derive(Debug)]
pub struct Shelf<T> {
    exact: Table<T>,
    /// One table for each length of prefix, in bytes; the shortest first.
    prefixes: Vec<(usize, Table<T>)>,
}

/// What is filed under each text.
type Table<T> = FxHashMap<Arc<str>, Vec<T>>;

/// How many things ask for each pattern: what the narrowest dimension is chosen by.
#[derive(Debug, Default)]
pub struct Crowd<'a>(FxHashMap<(Dimension, &'a Pattern), u32>);

impl<'a> Crowd<'a> {
    /// Counts the patterns of one more thing.
    pub fn count_patterns(&mut self, patterns: impl Iterator<Item = (Dimension, &'a [Pattern])>) {
        for (dimension, patterns) in patterns {
            for pattern in patterns {
                *self.0.entry((dimension, pattern)).or_insert(0) += 1;
            }
        }
    }

    /// The dimension whose patterns the fewest others ask for, of equal ones first one without a
    /// prefix; `None` where there is none.
    pub fn narrowest_dimension(
        &self,
        patterns: impl Iterator<Item = (Dimension, &'a [Pattern])>,
    ) -> Option<(Dimension, &'a [Pattern])> {
        patterns.min_by_key(|(dimension, patterns)| {
            let sharers = |pattern| self.0.get(&(*dimension, pattern)).copied().unwrap_or(0);
            let crowd: u32 = patterns.iter().map(sharers).sum();
            let is_wide = patterns
                .iter()
                .any(|pattern| matches!(pattern, Pattern::Prefix(_)));
            (crowd, is_wide)
        })
    }
}

impl<T: Clone + PartialEq> Filing<T> {
    /// Files a thing under patterns of a dimension, those that [`Crowd::narrowest_dimension`] gave;
    /// `None`: it is always found. Things must come in the order in which they are to be found
    /// under one pattern.
    pub fn file_under(&mut self, under: Option<(Dimension, &[Pattern])>, thing: T) {
        let Some((dimension, patterns)) = under else {
            return self.always.push(thing);
        };
        let shelf = &mut self.shelves[dimension];
        for pattern in patterns {
            let list = shelf.list_for(pattern);
            // A pattern may be given twice.
            if list.last() != Some(&thing) {
                list.push(thing.clone());
            }
        }
    }
}

impl<T> Filing<T> {
    /// Things that no dimension narrows.
    pub fn always_found(&self) -> &[T] {
        &self.always
    }

    /// What is filed under a dimension.
    pub fn shelf_of(&self, dimension: Dimension) -> &Shelf<T> {
        &self.shelves[dimension]
    }
}

impl<T> Shelf<T> {
    fn list_for(&mut self, pattern: &Pattern) -> &mut Vec<T> {
        let (table, text) = match pattern {
            Pattern::Exact(text) => (&mut self.exact, text),
            Pattern::Prefix(text) => (self.prefixes_of(text.len()), text),
        };

        table.entry(text.clone()).or_default()
    }

    /// The table of the prefixes of a length, made where there is none yet.
    fn prefixes_of(&mut self, length: usize) -> &mut Table<T> {
        let at = match self
            .prefixes
            .binary_search_by_key(&length, |(length, _)| *length)
        {
            Ok(at) => at,
            Err(at) => {
                self.prefixes.insert(at, (length, FxHashMap::default()));
                at
            }
        };

        // `at` was found or made just now; the exact table is never reached.
        self.prefixes
            .get_mut(at)
            .map_or(&mut self.exact, |(_, table)| table)
    }

    /// Calls `visit` with each list filed under a pattern that matches a value.
    pub fn find_matching<'a>(&'a self, value: &str, mut visit: impl FnMut(&'a [T])) {
        if let Some(list) = self.exact.get(value) {
            visit(list);
        }

        self.find_prefixes(value, visit);
    }

    /// Calls `visit` with each list filed under a pattern that covers another.
    pub fn find_covering<'a>(&'a self, pattern: &Pattern, mut visit: impl FnMut(&'a [T])) {
        match pattern {
            Pattern::Exact(value) => self.find_matching(value, visit),
            Pattern::Prefix(prefix) => self.find_prefixes(prefix, &mut visit),
        }
    }

    /// Calls `visit` with each list filed under a prefix of a text.
    fn find_prefixes<'a>(&'a self, text: &str, mut visit: impl FnMut(&'a [T])) {
        for (length, table) in &self.prefixes {
            // Not a boundary of characters: no prefix of that length is a prefix of the text.
            match text.get(..*length) {
                Some(prefix) => table.get(prefix).into_iter().for_each(|list| visit(list)),
                None if *length > text.len() => break,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text)).collect()
    }

    #[test]
    fn the_narrowest_dimension_is_the_one_with_the_fewest_sharers() {
        let model = patterns(&["gpt-4"]);
        let teams = [patterns(&["eu"]), patterns(&["us"]), patterns(&["us"])];
        let lists =
            |at: usize| [(Dimension::Model, &*model), (Dimension::Team, &*teams[at])].into_iter();
        let mut crowd = Crowd::default();
        (0..3).for_each(|at| crowd.count_patterns(lists(at)));

        let mut filing = Filing::default();
        (0..3).for_each(|at| filing.file_under(crowd.narrowest_dimension(lists(at)), at));
        filing.file_under(crowd.narrowest_dimension(std::iter::empty()), 3);

        let found = |dimension, value| {
            let mut found = Vec::new();
            filing
                .shelf_of(dimension)
                .find_matching(value, |list| found.extend_from_slice(list));
            found
        };

        assert_eq!(found(Dimension::Team, "eu"), [0]);
        assert_eq!(found(Dimension::Team, "us"), [1, 2]);
        assert_eq!(found(Dimension::Model, "gpt-4"), [0; 0]);

        assert_eq!(filing.always_found(), [3]);
    }

    #[test]
    fn values_find_what_matches_them_and_patterns_what_covers_them() {
        let texts = ["é*", "a", "*", "abc*", "ab", "a*", "a*"];
        let mut filing = Filing::default();
        for text in texts {
            filing.file_under(Some((Dimension::Tag, &patterns(&[text, text]))), text);
        }

        let shelf = filing.shelf_of(Dimension::Tag);
        for text in ["", "a", "ab", "abcd", "b", "è", "é", "éa"] {
            let mut found = Vec::new();
            shelf.find_matching(text, |list| found.extend_from_slice(list));
            let matches = |given: &&str| Pattern::parse(given).matches(Some(text));
            let mut scan: Vec<&str> = texts.into_iter().filter(matches).collect();
            scan.dedup();
            assert_eq!(sorted(found), sorted(scan), "{text}");

            let wild = Pattern::parse(&format!("{text}*"));
            let mut found = Vec::new();
            shelf.find_covering(&wild, |list| found.extend_from_slice(list));
            let covers = |given: &&str| Pattern::parse(given).covers(&wild);
            let mut scan: Vec<&str> = texts.into_iter().filter(covers).collect();
            scan.dedup();
            assert_eq!(sorted(found), sorted(scan), "{text}*");
        }
    }

    fn sorted(mut texts: Vec<&str>) -> Vec<&str> {
        texts.sort_unstable();
        texts
    }
}
