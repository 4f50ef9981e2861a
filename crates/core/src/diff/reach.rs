//! How many teams, keys and models of the catalog an attachment reaches.
//!
//! The catalogs of both sets together count. An entry of the catalog that is itself a pattern
//! counts as one, if some value of it is reached. A model counts only if the attachment's policy
//! can apply there. Each dimension is counted on its own; a reach is a sorted list of ranges in the
//! sorted catalog, so a prefix costs two searches, however many names it matches.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};

use crate::document::{Dimension, PerDimension};
use crate::policy::{Attachment, Catalog, ConditionId, Pattern, PolicyId, PolicySet};

/// How many names are given as samples.
const SAMPLES: usize = 3;
/// Ranges that may pile up before they are merged.
const LOOSE: usize = 1_024;

/// What of the catalog is touched; `None`: no catalog lists the dimension. Tags are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches(pub PerDimension<Option<TouchedNames>>);

impl Touches {
    /// The dimensions that are counted, in the order of reports.
    pub fn counted_dimensions(&self) -> impl Iterator<Item = (Dimension, Option<&TouchedNames>)> {
        let counted = self
            .0
            .written()
            .filter(|(dimension, _)| !dimension.is_set());
        counted.map(|(dimension, touched)| (dimension, touched.as_ref()))
    }
}

impl Serialize for Touches {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.counted_dimensions();
        serializer.collect_map(fields.map(|(dimension, touched)| (dimension.plural(), touched)))
    }
}

/// How much of one dimension is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TouchedNames {
    /// How many entries of the catalog.
    pub count: usize,
    /// Out of how many.
    pub of: usize,
    /// The first few.
    pub samples: Vec<Arc<str>>,
}

/// The sorted names of one dimension.
#[derive(Debug)]
struct MergedNames<'a> {
    names: Vec<&'a Arc<str>>,
    /// Those that are patterns, with their places.
    patterns: Vec<(usize, Pattern)>,
}

/// The catalogs of both sets.
#[derive(Debug)]
pub(super) struct CatalogNames<'a> {
    names: PerDimension<Option<MergedNames<'a>>>,
}

/// Ranges of places in [`MergedNames`].
type Ranges = Vec<Range<usize>>;

/// What is reached in each dimension.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    ranges: PerDimension<Ranges>,
    /// How many ranges were left when they were last merged.
    merged: usize,
}

impl<'a> MergedNames<'a> {
    fn merge_names(base: Option<&'a [Arc<str>]>, head: Option<&'a [Arc<str>]>) -> Option<Self> {
        if base.is_none() && head.is_none() {
            return None;
        }

        // Mostly the catalog is the same on both sides.
        let base = base.filter(|_| base != head);
        let mut names: Vec<&Arc<str>> = base.into_iter().chain(head).flatten().collect();
        names.sort_unstable();
        names.dedup();
        let patterns = names
            .iter()
            .enumerate()
            .map(|(at, name)| (at, Pattern::parse(name)));
        let patterns = patterns
            .filter(|(_, pattern)| matches!(pattern, Pattern::Prefix(_)))
            .collect();

        Some(Self { names, patterns })
    }

    fn all_names(&self) -> Range<usize> {
        0..self.names.len()
    }

    fn find_matching(&self, pattern: &Pattern, found: &mut Ranges) {
        let (Pattern::Exact(text) | Pattern::Prefix(text)) = pattern;
        let wide = matches!(pattern, Pattern::Prefix(_));
        let within = |name: &str| {
            if wide {
                name.starts_with(&**text)
            } else {
                *name == **text
            }
        };

        let start = self
            .names
            .partition_point(|name| name.as_ref() < text.as_ref());
        let rest = self.names.get(start..).unwrap_or_default();
        let end = start + rest.partition_point(|name| within(name));
        found.push(start..end);

        found.extend(
            self.patterns
                .iter()
                .filter(|(_, known)| known.overlaps(pattern))
                .map(|(at, _)| *at..at + 1),
        );
    }

    fn touched_names(&self, mut ranges: Ranges) -> TouchedNames {
        tidy_ranges(&mut ranges);
        let samples = ranges
            .iter()
            .cloned()
            .flatten()
            .filter_map(|at| self.names.get(at).copied().cloned());

        TouchedNames {
            count: ranges.iter().map(ExactSizeIterator::len).sum(),
            of: self.names.len(),
            samples: samples.take(SAMPLES).collect(),
        }
    }
}

impl<'a> CatalogNames<'a> {
    pub(super) fn new(base: &'a Catalog, head: &'a Catalog) -> Self {
        let merge = |dimension: Dimension| {
            // Tags are free: a catalog lists some of them.
            let values = |of: &'a Catalog| {
                of.values[dimension]
                    .as_deref()
                    .filter(|_| !dimension.is_set())
            };

            MergedNames::merge_names(values(base), values(head))
        };

        Self {
            names: PerDimension::from_fn(merge),
        }
    }

    pub(super) fn touches_of(&self, reach: Reach) -> Touches {
        let pairs = self.names.as_ref().zip(reach.ranges);
        Touches(pairs.map(|_, (names, ranges)| Some(names.as_ref()?.touched_names(ranges))))
    }
}

impl Reach {
    pub(super) fn add_reach(&mut self, other: &Self) {
        let mut len = 0;
        for (dimension, mine) in self.ranges.iter_mut() {
            mine.extend_from_slice(&other.ranges[dimension]);
            len += mine.len();
        }

        if len > LOOSE + 2 * self.merged {
            self.merged = self
                .ranges
                .iter_mut()
                .map(|(_, ranges)| tidy_ranges(ranges))
                .sum();
        }
    }
}

/// Asks what the attachments of one set reach.
pub(super) struct Survey<'a> {
    known: &'a CatalogNames<'a>,
    set: &'a PolicySet,
    /// The attachments, sorted by policy.
    attached: Vec<&'a Attachment>,
    /// The models for which one of these conditions holds.
    holding: FxHashMap<Vec<ConditionId>, Ranges>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(known: &'a CatalogNames<'a>, set: &'a PolicySet) -> Self {
        let mut attached: Vec<&Attachment> = set
            .attachments
            .iter()
            .map(|attachment| &**attachment)
            .collect();

        attached.sort_by_key(|attachment| attachment.policy);
        Self {
            known,
            set,
            attached,
            holding: FxHashMap::default(),
        }
    }

    /// What all attachments of a policy reach.
    pub(super) fn policy_reach(&mut self, id: PolicyId) -> Reach {
        let start = self
            .attached
            .partition_point(|attachment| attachment.policy < id);
        let mut reach = Reach::default();
        for at in start.. {
            match self.attached.get(at) {
                Some(attachment) if attachment.policy == id => {
                    reach.add_reach(&self.attachment_reach(attachment))
                }
                _ => break,
            }
        }

        reach
    }

    /// What one attachment reaches.
    pub(super) fn attachment_reach(&mut self, attachment: &Attachment) -> Reach {
        let pairs = self.known.names.as_ref().zip(attachment.targets.as_ref());
        let mut ranges = pairs.map(|_, (names, patterns)| {
            let patterns = patterns.as_deref().filter(|_| !attachment.everywhere);
            reached_names(names.as_ref(), patterns)
        });
        if let Some(holding) = self.models_holding(attachment.policy) {
            ranges[Dimension::Model] = intersect_ranges(&ranges[Dimension::Model], holding);
        }

        Reach { ranges, merged: 0 }
    }

    /// The models where a policy applies; `None`: all of them.
    fn models_holding(&mut self, policy: PolicyId) -> Option<&Ranges> {
        let names = self.known.names[Dimension::Model].as_ref()?;
        let set = self.set;
        let mut conditions = Vec::new();
        for member in set
            .policy(policy)?
            .chain
            .iter()
            .filter_map(|id| set.policy(*id))
        {
            conditions.extend_from_slice(member.condition.as_deref()?);
        }

        conditions.sort_unstable();
        conditions.dedup();
        Some(
            self.holding
                .entry(conditions)
                .or_insert_with_key(|conditions| {
                    // Of an entry that is a pattern it is not known which models it stands for.
                    let holds = |name: &str| {
                        name.ends_with('*') || set.condition_holds(conditions, Some(name))
                    };
                    let mut found: Ranges = names
                        .names
                        .iter()
                        .enumerate()
                        .filter(|(_, name)| holds(name))
                        .map(|(at, _)| at..at + 1)
                        .collect();

                    tidy_ranges(&mut found);
                    found
                }),
        )
    }
}

/// The names that some patterns match; without patterns, all of them.
fn reached_names(names: Option<&MergedNames<'_>>, patterns: Option<&[Pattern]>) -> Ranges {
    let mut found = Ranges::new();
    match (names, patterns) {
        (None, _) => {}
        (Some(names), None) => found.push(names.all_names()),
        (Some(names), Some(patterns)) => patterns
            .iter()
            .for_each(|pattern| names.find_matching(pattern, &mut found)),
    }

    tidy_ranges(&mut found);
    found
}

/// Sorts ranges and merges those that touch. How many are left.
fn tidy_ranges(ranges: &mut Ranges) -> usize {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let merged = next.start <= last.end;
        if merged {
            last.end = last.end.max(next.end);
        }

        merged
    });

    ranges.len()
}

/// What is in both; both are tidy.
fn intersect_ranges(a: &[Range<usize>], b: &[Range<usize>]) -> Ranges {
    let mut found = Ranges::new();
    let mut b = b.iter().peekable();
    for range in a {
        while let Some(other) = b.peek() {
            found.push(range.start.max(other.start)..range.end.min(other.end));
            if other.end > range.end {
                break;
            }

            b.next();
        }
    }

    found.retain(|range| !range.is_empty());
    found
}
