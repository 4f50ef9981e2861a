//! The distinct patterns of one dimension, numbered so that what a prefix covers is a range of
//! numbers.
//!
//! Sorted by their texts, a prefix comes right before all that it covers:
//!
//! ```text
//! number    pattern      covers     nearest prefix above
//!      0    *            1..6       none
//!      1    finance      nothing    0
//!      2    health*      3..5       0
//!      3    health-eu    nothing    2
//!      4    health-us*   nothing    2
//!      5    legal        nothing    0
//! ```
//!
//! So whether `[2]` covers `[3, 4]` is two steps upwards, and whether `[2]` overlaps `[4, 5]` is
//! one search for a number of 3..5 in the list.

use rustc_hash::FxHashMap;

/// A pattern's number.
pub(super) type PatternNo = u32;

/// A pattern as written, without its final star: `(text, exact)`. In this order a prefix comes
/// before all that it covers, and what it covers follows it without a gap.
type PatternKey<'a> = (&'a str, bool);

/// The patterns of one dimension.
#[derive(Debug, Default)]
pub(super) struct PatternOrder<'a> {
    keys: Vec<PatternKey<'a>>,
    numbers: FxHashMap<PatternKey<'a>, PatternNo>,
    /// One past the last pattern that each covers.
    ends: Vec<PatternNo>,
    /// The nearest prefix that covers each.
    above: Vec<Option<PatternNo>>,
}

fn sort_key(text: &str) -> PatternKey<'_> {
    match text.strip_suffix('*') {
        Some(prefix) => (prefix, false),
        None => (text, true),
    }
}

impl<'a> PatternOrder<'a> {
    pub(super) fn new(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut numbers: FxHashMap<PatternKey<'a>, PatternNo> =
            texts.map(|text| (sort_key(text), 0)).collect();
        let mut keys: Vec<PatternKey<'a>> = numbers.keys().copied().collect();
        keys.sort_unstable();
        let mut order = Self {
            ends: Vec::with_capacity(keys.len()),
            above: Vec::with_capacity(keys.len()),
            ..Self::default()
        };

        let mut open: Vec<(PatternNo, &str)> = Vec::new();
        for (number, (text, exact)) in (0..).zip(&keys) {
            while open
                .last()
                .is_some_and(|(_, prefix)| !text.starts_with(prefix))
            {
                order.close_prefixes(open.pop(), number);
            }

            order.above.push(open.last().map(|(prefix, _)| *prefix));
            order.ends.push(number + 1);
            if !exact {
                open.push((number, text));
            }

            numbers.insert((text, *exact), number);
        }

        let end = PatternNo::try_from(keys.len()).unwrap_or(PatternNo::MAX);
        while let Some(prefix) = open.pop() {
            order.close_prefixes(Some(prefix), end);
        }

        Self {
            keys,
            numbers,
            ..order
        }
    }

    fn close_prefixes(&mut self, prefix: Option<(PatternNo, &str)>, end: PatternNo) {
        if let Some(slot) = prefix.and_then(|(number, _)| self.ends.get_mut(number as usize)) {
            *slot = end;
        }
    }

    /// The number of a pattern that was given to [`new`](Self::new).
    pub(super) fn number_of(&self, text: &str) -> Option<PatternNo> {
        self.numbers.get(&sort_key(text)).copied()
    }

    /// Every pattern, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'a str, bool)> + '_ {
        self.keys.iter().copied()
    }

    /// The text before the star, and whether there is none.
    pub(super) fn pattern_of(&self, pattern: PatternNo) -> Option<(&'a str, bool)> {
        self.keys.get(pattern as usize).copied()
    }

    /// The pattern itself and those that cover it, nearest first.
    pub(super) fn covering_patterns(
        &self,
        pattern: PatternNo,
    ) -> impl Iterator<Item = PatternNo> + '_ {
        std::iter::successors(Some(pattern), |at| {
            self.above.get(*at as usize).copied().flatten()
        })
    }

    /// The patterns that it covers, itself left out.
    pub(super) fn covered_range(&self, pattern: PatternNo) -> std::ops::Range<PatternNo> {
        pattern + 1
            ..self
                .ends
                .get(pattern as usize)
                .copied()
                .unwrap_or(pattern + 1)
    }

    /// Whether every pattern of `all` is covered by one of `by`; both sorted.
    pub(super) fn list_covers(&self, by: &[PatternNo], all: &[PatternNo]) -> bool {
        all.iter().all(|pattern| {
            self.covering_patterns(*pattern)
                .any(|above| by.binary_search(&above).is_ok())
        })
    }

    /// Whether some value is matched by a pattern of each; both sorted.
    pub(super) fn lists_overlap(&self, a: &[PatternNo], b: &[PatternNo]) -> bool {
        let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
        few.iter().any(|pattern| {
            let below = self.covered_range(*pattern);
            let next = many.partition_point(|other| *other < below.start);
            many.get(next).is_some_and(|other| *other < below.end)
                || self
                    .covering_patterns(*pattern)
                    .any(|above| many.binary_search(&above).is_ok())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::Pattern;

    proptest! {
        #[test]
        fn numbers_answer_as_patterns_do(texts in proptest::collection::vec("[ab]{0,3}\\*?", 1..12)) {
            let order = PatternOrder::new(texts.iter().map(String::as_str));
            for a in &texts {
                for b in &texts {
                    let (x, y) = (order.number_of(a).unwrap(), order.number_of(b).unwrap());
                    let (p, q) = (Pattern::parse(a), Pattern::parse(b));
                    prop_assert_eq!(order.list_covers(&[x], &[y]), p.covers(&q), "{} covers {}", a, b);
                    prop_assert_eq!(order.lists_overlap(&[x], &[y]), p.overlaps(&q), "{} overlaps \
                        {}", a, b);
                }
            }
        }
    }
}
