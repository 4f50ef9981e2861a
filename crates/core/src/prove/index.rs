//! From a point to the attachments whose zone it lies in, without looking at the others.
//!
//! As in `resolve`, each attachment is filed under the one dimension whose patterns it shares with
//! the fewest others; here what is looked up is a pattern, not a value.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cone::{PatternList, Point};
use super::world::Given;
use crate::document::PerDimension;
use crate::policy::Pattern;

/// The position of an attachment in the order of evaluation.
pub(super) type Rank = u32;

/// The index of a set's attachments.
#[derive(Debug, Default)]
pub(super) struct ZoneIndex {
    /// Attachments that no dimension narrows.
    always: Vec<Rank>,
    filed: PerDimension<Files>,
}

/// The attachments that are filed under one dimension, by their patterns there.
#[derive(Debug, Default)]
struct Files {
    exact: FxHashMap<Arc<str>, Vec<Rank>>,
    prefixes: FxHashMap<Arc<str>, Vec<Rank>>,
    /// The lengths of the prefixes, in bytes.
    lengths: Vec<usize>,
}

impl ZoneIndex {
    pub(super) fn new(givens: &[Given]) -> Self {
        let mut crowd: PerDimension<FxHashMap<&Pattern, u32>> = PerDimension::default();
        for (dimension, list) in givens.iter().flat_map(|given| given.zone.narrowed_lists()) {
            for pattern in list {
                *crowd[dimension].entry(pattern).or_insert(0) += 1;
            }
        }

        let mut index = Self::default();
        for (rank, given) in (0..).zip(givens) {
            let narrowest = given
                .zone
                .narrowed_lists()
                .min_by_key(|(dimension, list)| -> u32 {
                    let sharing = |pattern| crowd[*dimension].get(pattern).copied().unwrap_or(0);
                    list.iter().map(sharing).sum()
                });
            match narrowest {
                None => index.always.push(rank),
                Some((dimension, list)) => index.filed[dimension].add(list, rank),
            }
        }

        index
    }

    /// The attachments whose zone the point lies in, in the order of evaluation, each once.
    pub(super) fn matching(&self, givens: &[Given], point: &Point) -> Vec<Rank> {
        let mut found = self.always.clone();
        for (dimension, files) in self.filed.iter() {
            let one = std::slice::from_ref(&point.values[dimension]);
            let patterns = if dimension.is_set() { &point.tags } else { one };
            for pattern in patterns {
                files.find(pattern, &mut found);
            }
        }

        found.sort_unstable();
        found.dedup();
        found.retain(|rank| {
            givens
                .get(*rank as usize)
                .is_some_and(|given| given.zone.covers_point(point))
        });

        found
    }
}

impl Files {
    fn add(&mut self, patterns: &PatternList, rank: Rank) {
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
            found.extend(
                prefix
                    .and_then(|prefix| self.prefixes.get(prefix))
                    .into_iter()
                    .flatten(),
            );
        }
    }
}
