//! From a point to the attachments whose zone it lies in, without looking at the others.
//!
//! As in `resolve`, each attachment is filed under the one dimension whose patterns it shares with the
//! fewest others; here what is looked up is a pattern, not a value.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cone::{Point, Zone};
use super::world::Given;
use crate::policy::Pattern;

/// The position of an attachment in the order of evaluation.
pub(super) type Rank = u32;

/// The index of a set's attachments.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Attachments that no dimension narrows.
    always: Vec<Rank>,
    teams: Dimension,
    keys: Dimension,
    tags: Dimension,
}

#[derive(Debug, Default)]
struct Dimension {
    exact: FxHashMap<Arc<str>, Vec<Rank>>,
    prefixes: FxHashMap<Arc<str>, Vec<Rank>>,
    /// The lengths of the prefixes, in bytes.
    lengths: Vec<usize>,
}

impl Index {
    pub(super) fn new(givens: &[Given]) -> Self {
        let mut crowd: FxHashMap<(u8, &Pattern), u32> = FxHashMap::default();
        for given in givens {
            for (name, patterns) in lists(&given.zone) {
                for pattern in patterns {
                    *crowd.entry((name, pattern)).or_insert(0) += 1;
                }
            }
        }
        let mut index = Self::default();
        for (rank, given) in (0..).zip(givens) {
            let shared = |(name, patterns): &(u8, &[Pattern])| -> u32 {
                patterns.iter().map(|p| crowd.get(&(*name, p)).copied().unwrap_or(0)).sum()
            };
            match lists(&given.zone).min_by_key(shared) {
                None => index.always.push(rank),
                Some((0, patterns)) => index.keys.file(patterns, rank),
                Some((1, patterns)) => index.teams.file(patterns, rank),
                Some((_, patterns)) => index.tags.file(patterns, rank),
            }
        }
        index
    }

    /// The attachments whose zone the point lies in, in the order of evaluation, each once.
    pub(super) fn matching(&self, givens: &[Given], point: &Point) -> Vec<Rank> {
        let mut found = self.always.clone();
        self.teams.find(&point.team, &mut found);
        self.keys.find(&point.key, &mut found);
        for tag in &point.tags {
            self.tags.find(tag, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|rank| {
            givens.get(*rank as usize).is_some_and(|given| given.zone.covers(point))
        });
        found
    }
}

impl Dimension {
    fn file(&mut self, patterns: &[Pattern], rank: Rank) {
        for pattern in patterns {
            let ranks = match pattern {
                Pattern::Exact(text) => self.exact.entry(text.clone()).or_default(),
                Pattern::Prefix(text) => {
                    if let Err(at) = self.lengths.binary_search(&text.len()) {
                        self.lengths.insert(at, text.len());
                    }
                    self.prefixes.entry(text.clone()).or_default()
                }
            };
            if ranks.last() != Some(&rank) {
                ranks.push(rank);
            }
        }
    }

    /// What has a pattern that covers this one.
    fn find(&self, pattern: &Pattern, found: &mut Vec<Rank>) {
        let text = match pattern {
            Pattern::Exact(text) => {
                found.extend(self.exact.get(text).into_iter().flatten());
                text
            }
            Pattern::Prefix(text) => text,
        };
        for prefix in self
            .lengths
            .iter()
            .map_while(|length| (*length <= text.len()).then(|| text.get(..*length)))
        {
            found.extend(prefix.and_then(|prefix| self.prefixes.get(prefix)).into_iter().flatten());
        }
    }
}

/// The dimensions that narrow a zone.
fn lists(zone: &Zone) -> impl Iterator<Item = (u8, &[Pattern])> {
    [(0, &zone.keys), (1, &zone.teams), (2, &zone.tags)]
        .into_iter()
        .filter_map(|(name, patterns)| Some((name, patterns.as_deref()?)))
}
