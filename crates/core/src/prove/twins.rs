//! Patterns that nothing tells apart, so that one of them stands for all.
//!
//! ```text
//! attachment 1   teams [a, b, c, d]
//! attachment 2   teams [a, b]
//! attachment 3   teams [d*]
//!
//! twins: {a, b} (in 1 and 2), {c} (in 1), {d} (in 1 and below d*), {d*}
//! ```
//!
//! Two patterns of a dimension are twins if they are in the same lists, lie below the same
//! patterns, and have no pattern below them. Exchanging two twins turns every list into itself, so
//! requests that differ in them only get the same, in every set at hand. An attachment that names
//! ten thousand teams of which no other one speaks has one point then, not ten thousand.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cone::{PatternList, Zone, text_order};
use crate::document::{Dimension, PerDimension};
use crate::policy::Pattern;

/// The twins of each dimension. The default: nothing has a twin.
#[derive(Debug, Default)]
pub(super) struct Twins {
    dimensions: PerDimension<Groups>,
}

/// Patterns with twins, by group; the first of a group represents it.
#[derive(Debug, Default)]
struct Groups {
    number: FxHashMap<Pattern, usize>,
    members: Vec<Arc<PatternList>>,
}

/// A pattern in one of the lists.
#[derive(Debug, Clone, Copy)]
struct Occurrence<'z> {
    pattern: &'z Pattern,
    list: usize,
}

impl Twins {
    /// The twins among the patterns of all zones that an analysis looks at.
    pub(super) fn from_zones<'z>(zones: impl Iterator<Item = &'z Zone> + Clone) -> Self {
        Self {
            dimensions: PerDimension::from_fn(|dimension| {
                Groups::from_zones(zones.clone(), dimension)
            }),
        }
    }

    /// The zone with one pattern of each group of twins.
    pub(super) fn representative_zone(&self, zone: &Zone) -> Zone {
        let mut zone = zone.clone();
        for (dimension, list) in zone.lists.iter_mut() {
            let Some(list) = list else { continue };
            list.retain(|pattern| self.dimensions[dimension].is_representative(pattern));
        }

        zone
    }

    /// The pattern that represents a pattern.
    pub(super) fn representative_pattern<'p>(
        &'p self,
        of: Dimension,
        pattern: &'p Pattern,
    ) -> &'p Pattern {
        self.dimensions[of]
            .group_of(pattern)
            .and_then(PatternList::first)
            .unwrap_or(pattern)
    }

    /// All patterns that the given ones, which are representatives, stand for.
    pub(super) fn expand_list(&self, dimension: Dimension, list: &PatternList) -> PatternList {
        let groups = &self.dimensions[dimension];
        PatternList::from_patterns(
            list.iter()
                .flat_map(|pattern| groups.twins_of(pattern))
                .cloned(),
        )
    }
}

impl Groups {
    fn from_zones<'z>(zones: impl Iterator<Item = &'z Zone>, dimension: Dimension) -> Self {
        let mut occurrences: Vec<Occurrence<'z>> = Vec::new();
        for (list, zone) in zones.enumerate() {
            let patterns = zone.lists[dimension].iter().flatten();
            occurrences.extend(patterns.map(|pattern| Occurrence { pattern, list }));
        }

        occurrences.sort_unstable_by(|a, b| {
            (text_order(a.pattern), a.list).cmp(&(text_order(b.pattern), b.list))
        });

        // In the order of texts: what encloses a pattern stands before it, and is still open there.
        let mut enclosing: Vec<&Pattern> = Vec::new();
        let mut leaves: FxHashMap<_, Vec<&Pattern>> = FxHashMap::default();
        let same: Vec<&[Occurrence<'z>]> = occurrences
            .chunk_by(|a, b| a.pattern == b.pattern)
            .collect();
        for (at, chunk) in same.iter().enumerate() {
            let Some(pattern) = chunk.first().map(|occurrence| occurrence.pattern) else {
                continue;
            };

            while enclosing.pop_if(|last| !last.covers(pattern)).is_some() {}

            let next = same.get(at + 1).and_then(|chunk| chunk.first());
            let is_leaf = next.is_none_or(|next| !pattern.covers(next.pattern));
            let is_empty = matches!(pattern, Pattern::Exact(text) if text.is_empty());
            if is_leaf && !is_empty {
                let lists: Vec<usize> = chunk.iter().map(|occurrence| occurrence.list).collect();
                let is_prefix = matches!(pattern, Pattern::Prefix(_));
                let key = (enclosing.last().copied(), is_prefix, lists);
                leaves.entry(key).or_default().push(pattern);
            } else {
                enclosing.push(pattern);
            }
        }

        let mut groups = Self::default();
        for twins in leaves.into_values().filter(|twins| twins.len() > 1) {
            groups.number.extend(
                twins
                    .iter()
                    .map(|twin| ((*twin).clone(), groups.members.len())),
            );
            groups.members.push(Arc::new(PatternList::from_patterns(
                twins.into_iter().cloned(),
            )));
        }

        groups
    }

    fn group_of(&self, pattern: &Pattern) -> Option<&PatternList> {
        self.members
            .get(*self.number.get(pattern)?)
            .map(|group| &**group)
    }

    fn is_representative(&self, pattern: &Pattern) -> bool {
        self.group_of(pattern)
            .is_none_or(|group| group.first() == Some(pattern))
    }

    fn twins_of<'g>(&'g self, pattern: &'g Pattern) -> impl Iterator<Item = &'g Pattern> {
        let group = self.group_of(pattern);
        let alone = group.is_none().then_some(pattern);
        group.into_iter().flatten().chain(alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teams(texts: &[&str]) -> Zone {
        let mut zone = Zone::default();
        zone.lists[Dimension::Team] = Some(PatternList::from_patterns(
            texts.iter().map(|text| Pattern::parse(text)),
        ));
        zone
    }

    fn represented(zones: &[Zone], zone: &Zone) -> Vec<String> {
        let zone = Twins::from_zones(zones.iter()).representative_zone(zone);
        zone.lists[Dimension::Team]
            .iter()
            .flatten()
            .map(Pattern::to_string)
            .collect()
    }

    #[test]
    fn patterns_of_the_same_lists_are_twins() {
        let zones = [
            teams(&["a", "b", "c", "d"]),
            teams(&["a", "b"]),
            teams(&["d*"]),
        ];

        assert_eq!(represented(&zones, &zones[0]), ["a", "c", "d"]);
        assert_eq!(represented(&zones, &zones[1]), ["a"]);
        let twins = Twins::from_zones(zones.iter());
        let first = PatternList::from_patterns([Pattern::parse("a"), Pattern::parse("c")]);
        let all: Vec<String> = twins
            .expand_list(Dimension::Team, &first)
            .iter()
            .map(Pattern::to_string)
            .collect();

        assert_eq!(all, ["a", "b", "c"]);
    }

    #[test]
    fn what_lies_below_or_above_a_pattern_tells_it_apart() {
        // `a*` has a pattern below it; `b*` and `c*` have none, and stand in the same list.
        let zones = [teams(&["a*", "b*", "c*"]), teams(&["ab"])];
        assert_eq!(represented(&zones, &zones[0]), ["a*", "b*"]);
        // `ab` and `bb` lie below different patterns.
        let zones = [teams(&["a*"]), teams(&["ab", "bb", "cb"])];
        assert_eq!(represented(&zones, &zones[1]), ["ab", "bb"]);
        // An exact pattern and a prefix are not alike: the prefix has values without a common end.
        let zones = [teams(&["a", "b*"])];

        assert_eq!(represented(&zones, &zones[0]), ["a", "b*"]);
    }
}
