//! The requests that an invariant speaks of, in classes, and the algebra of regions of requests.
//!
//! A dimension's *classes* are the values that match one pattern and no deeper one, so that a set
//! of values is a set of bits. A [`Region`] can be cut by what an invariant speaks of, into what
//! lies inside and what lies outside:
//!
//! ```text
//! patterns    health*  health-eu*              classes of teams   *  health*  health-eu*
//! region      teams {*, health*, health-eu*}
//! invariant   teams [health*]                  inside {health*, health-eu*}   outside {*}
//! ```
//!
//! This module must not know promises or guardrails.

use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::super::cone::{any_value, text_order};
use super::super::names::KnownValues;
use crate::document::{Dimension, PerDimension};
use crate::policy::{Invariant, Pattern, Targets};

/// The requests of an invariant, in classes.
pub(super) struct InvariantScope {
    applies: ClassBox,
    except: Option<ClassBox>,
}

/// A box in classes. `None`: the dimension is not looked at.
pub(super) type ClassBox = PerDimension<Option<FixedBitSet>>;

/// The classes of one dimension: one for each pattern, in the order of their texts, so that all
/// that a prefix covers stands together. `*` is always one: the values that nothing else matches,
/// absence included.
#[derive(Debug)]
pub(super) struct Classes {
    patterns: Vec<Pattern>,
}

impl Classes {
    pub(super) fn of_patterns<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let mut patterns: Vec<Pattern> = patterns.cloned().chain([any_value()]).collect();
        patterns.sort_by(|a, b| text_order(a).cmp(&text_order(b)));
        patterns.dedup();

        Self { patterns }
    }

    /// The classes whose values one of the patterns matches.
    fn matched_by(&self, patterns: &[Pattern]) -> FixedBitSet {
        let mut matched = FixedBitSet::with_capacity(self.patterns.len());
        for pattern in patterns {
            let from = self
                .patterns
                .partition_point(|p| text_order(p) < text_order(pattern));
            let below = self.patterns.iter().skip(from);
            let covered = below.take_while(|other| pattern.covers(other)).count();
            matched.insert_range(from..from + covered);
        }

        matched
    }

    /// The class whose values say most to a person: a name, then a prefix of a catalogued one.
    pub(super) fn most_natural(
        &self,
        classes: &FixedBitSet,
        known: &KnownValues,
    ) -> Option<&Pattern> {
        let members = || classes.ones().filter_map(|class| self.patterns.get(class));
        members()
            .find(|pattern| matches!(pattern, Pattern::Exact(_)))
            .or_else(|| members().find(|pattern| known.catalog_name(pattern).is_some()))
            .or_else(|| members().next())
    }

    /// Its patterns, and the names that catalogs have.
    pub(super) fn known_values<'c>(
        &self,
        lists: impl Iterator<Item = &'c [Arc<str>]>,
    ) -> KnownValues {
        let mut known = KnownValues::default();
        known.learn_values(&self.patterns);
        known.learn_catalog(lists);
        known
    }
}

impl InvariantScope {
    pub(super) fn of_invariant(invariant: &Invariant, classes: &PerDimension<Classes>) -> Self {
        let class_box = |targets: &Targets| -> ClassBox {
            PerDimension::from_fn(|dimension| {
                let patterns = targets[dimension].as_deref()?;
                // Of a dimension with one value, `*` matches everything; a request may lack tags.
                let is_free = !dimension.is_set() && patterns.iter().any(Pattern::is_any);
                (!is_free).then(|| classes[dimension].matched_by(patterns))
            })
        };

        Self {
            applies: class_box(&invariant.applies),
            except: invariant.except.as_ref().map(class_box),
        }
    }

    /// Into how many regions a region falls at most that escapes it.
    pub(super) fn count_pieces(&self) -> usize {
        self.applies.values().flatten().count() + usize::from(self.except.is_some())
    }
}

/// How a region lies to the requests that an invariant speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Inside,
    Outside,
    Partly,
}

/// Requests, never none.
#[derive(Debug, Clone)]
pub(super) struct Region {
    /// The classes that the value is of; `None` for tags.
    pub(super) values: PerDimension<Option<FixedBitSet>>,
    /// The request has one tag of each list.
    pub(super) some_tags: Vec<FixedBitSet>,
    /// It has none of these.
    no_tags: FixedBitSet,
}

impl Region {
    pub(super) fn all_requests(classes: &PerDimension<Classes>) -> Self {
        let all = |dimension: Dimension| {
            let mut all = FixedBitSet::with_capacity(classes[dimension].patterns.len());
            all.insert_range(..);
            (!dimension.is_set()).then_some(all)
        };

        Self {
            values: PerDimension::from_fn(all),
            some_tags: Vec::new(),
            no_tags: FixedBitSet::with_capacity(classes[Dimension::Tag].patterns.len()),
        }
    }

    /// What a comparison costs, in units of the budget.
    pub(super) fn comparison_cost(&self) -> u64 {
        let values = self.values.values().flatten().map(|set| set.len() / 64);
        let tags = (1 + self.some_tags.len()) * (self.no_tags.len() / 64);
        1 + (values.sum::<usize>() + tags) as u64
    }

    pub(super) fn relation_to(&self, scope: &InvariantScope) -> Relation {
        let in_except = scope
            .except
            .as_ref()
            .map_or(Relation::Outside, |class_box| {
                self.relation_to_box(class_box)
            });
        match (self.relation_to_box(&scope.applies), in_except) {
            (Relation::Outside, _) | (_, Relation::Inside) => Relation::Outside,
            (Relation::Inside, Relation::Outside) => Relation::Inside,
            _ => Relation::Partly,
        }
    }

    fn relation_to_box(&self, class_box: &ClassBox) -> Relation {
        let mut relation = Relation::Inside;
        for (dimension, wanted) in class_box.iter() {
            let Some(wanted) = wanted else { continue };
            match self.relation_along(dimension, wanted) {
                Relation::Outside => return Relation::Outside,
                Relation::Partly => relation = Relation::Partly,
                Relation::Inside => {}
            }
        }

        relation
    }

    fn relation_along(&self, dimension: Dimension, wanted: &FixedBitSet) -> Relation {
        let (is_inside, is_outside) = match &self.values[dimension] {
            Some(values) => (values.is_subset(wanted), values.is_disjoint(wanted)),
            None => {
                let has_one = self.some_tags.iter().any(|list| list.is_subset(wanted));
                (has_one, wanted.is_subset(&self.no_tags))
            }
        };

        match (is_inside, is_outside) {
            (_, true) => Relation::Outside,
            (true, false) => Relation::Inside,
            (false, false) => Relation::Partly,
        }
    }

    /// What an invariant speaks of, in regions that do not overlap.
    pub(super) fn parts_inside(&self, scope: &InvariantScope) -> Vec<Self> {
        let inside = self.intersect_box(&scope.applies);
        match (&scope.except, inside) {
            (_, None) => Vec::new(),
            (None, Some(inside)) => vec![inside],
            (Some(except), Some(inside)) => inside.subtract_box(except),
        }
    }

    /// What an invariant does not speak of, in regions that do not overlap.
    pub(super) fn parts_outside(&self, scope: &InvariantScope) -> Vec<Self> {
        let mut regions = self.subtract_box(&scope.applies);
        let excepted = scope
            .except
            .as_ref()
            .zip(self.intersect_box(&scope.applies));
        regions.extend(excepted.and_then(|(except, inside)| inside.intersect_box(except)));

        regions
    }

    fn intersect_box(&self, class_box: &ClassBox) -> Option<Self> {
        class_box
            .iter()
            .try_fold(self.clone(), |region, (dimension, wanted)| match wanted {
                Some(wanted) => region.with_value_in(dimension, wanted),
                None => Some(region),
            })
    }

    /// The region less a box: what misses it in the first dimension, what misses it in the second
    /// and not in the first, and so on.
    fn subtract_box(&self, class_box: &ClassBox) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut rest = Some(self.clone());
        for (dimension, wanted) in class_box.iter() {
            let (Some(wanted), Some(region)) = (wanted, rest.take_if(|_| wanted.is_some())) else {
                continue;
            };

            pieces.extend(region.without_value_in(dimension, wanted));
            rest = region.with_value_in(dimension, wanted);
        }

        pieces
    }

    /// The requests whose value is of one of these classes, or that have such a tag.
    fn with_value_in(mut self, dimension: Dimension, wanted: &FixedBitSet) -> Option<Self> {
        if let Some(values) = &mut self.values[dimension] {
            values.intersect_with(wanted);
            return (!values.is_clear()).then_some(self);
        }

        let mut list = wanted.clone();
        list.difference_with(&self.no_tags);
        if list.is_clear() {
            return None;
        }

        // A list that the new one lies in is met with it.
        if !self.some_tags.iter().any(|old| old.is_subset(&list)) {
            self.some_tags.retain(|old| !list.is_subset(old));
            self.some_tags.push(list);
        }

        Some(self)
    }

    /// The requests whose value is of none of these classes, or that have no such tag.
    fn without_value_in(&self, dimension: Dimension, unwanted: &FixedBitSet) -> Option<Self> {
        let mut region = self.clone();
        if let Some(values) = &mut region.values[dimension] {
            values.difference_with(unwanted);
            return (!values.is_clear()).then_some(region);
        }

        region.no_tags.union_with(unwanted);
        for list in &mut region.some_tags {
            list.difference_with(unwanted);
            if list.is_clear() {
                return None;
            }
        }

        Some(region)
    }
}
