//! Differences seen at points, joined to boxes.
//!
//! A difference at a point holds in the point's cone, less what would undo it. Two boxes of the
//! same difference that are equal in all dimensions but one are one box:
//!
//! ```text
//! team a, key k  loses g        teams {a, b}, key k  loses g
//! team b, key k  loses g   ->                                     ->   teams {a, b}, keys {k, l}  loses g
//! team a, key l  loses g        teams {a, b}, key l  loses g
//! team b, key l  loses g
//! ```
//!
//! So every point of a box is one at which the difference was seen. Patterns that are nested are
//! not joined: what undoes the difference at the inner one would be part of the box around the
//! outer one.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cone::PatternList;
use super::report::Models;
use super::search::{Difference, OutcomeChange};
use super::terms::{self, Term};
use super::world::World;
use crate::document::{Dimension, PerDimension};
use crate::effect::Budget;
use crate::effect::{Class, Space};
use crate::policy::Pattern;

/// Boxes of one bucket that a further one is tried against.
const MAX_LAYERS: usize = 8;
/// Models that are kept as witnesses of a box.
const MAX_WITNESSES: usize = 4;
/// Units of work that making a box takes, and holding it against others of its kind.
const PER_BOX: u64 = 200;
/// Most lists of tags whose boxes are joined.
const MAX_TAG_LISTS: usize = 3;

/// Requests around the points at which the same difference was seen.
#[derive(Debug, Clone)]
pub(super) struct PointBox {
    pub change: OutcomeChange,
    pub requested: Option<Arc<str>>,
    /// For each side, whether what it gives there comes by default for some models.
    pub by_default: [bool; 2],
    pub models: Models,
    /// The patterns of `models.any`; none: only the absent model.
    pub any: Vec<Pattern>,
    /// Of dimensions with one value; `*` of the others.
    pub values: PerDimension<PatternList>,
    /// One tag of each list.
    pub tags: Vec<PatternList>,
    /// Models of the box, the best for a witness first.
    pub witnesses: Vec<ModelWitness>,
    /// The differences that it was made of, by their places in the list of those found.
    pub sources: Vec<usize>,
}

/// A model of a box: of the catalog, or else made up, or else the absent one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ModelWitness {
    Known(String),
    MadeUp(String),
    Absent,
}

impl ModelWitness {
    pub(super) fn find_model(&self) -> Option<String> {
        match self {
            Self::Known(model) | Self::MadeUp(model) => Some(model.clone()),
            Self::Absent => None,
        }
    }
}

/// A model of a class.
pub(super) fn model_witness(class: &Class) -> ModelWitness {
    match &class.witness {
        Some(model) if class.known => ModelWitness::Known(model.clone()),
        Some(model) => ModelWitness::MadeUp(model.clone()),
        None => ModelWitness::Absent,
    }
}

/// A dimension along which boxes are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Along {
    Models,
    /// The list of tags with this place.
    Tags(usize),
    Value(Dimension),
}

/// Makes the boxes of differences, one point each.
pub(super) struct Boxes<'w, 'a> {
    world: &'w World<'a>,
    budget: &'w Budget,
    /// The descriptions of classes of a space, each worked out once.
    terms: FxHashMap<(*const Space, Vec<usize>), Rc<Vec<Term>>>,
    /// How many differences are in no box because the budget was spent.
    left_out: usize,
}

impl<'w, 'a> Boxes<'w, 'a> {
    pub(super) fn new(world: &'w World<'a>, budget: &'w Budget) -> Self {
        Self {
            world,
            budget,
            terms: FxHashMap::default(),
            left_out: 0,
        }
    }

    /// The boxes of all differences, joined and in the order in which they are shown; and how many
    /// differences are in none of them because the budget was spent.
    pub(super) fn join_all(&mut self, found: &[Difference]) -> (Vec<PointBox>, usize) {
        let mut boxes = Vec::new();
        for (source, found) in found.iter().enumerate() {
            if self.budget.is_spent() {
                self.left_out += 1;
            } else {
                boxes.extend(self.cut_boxes(source, found));
            }
        }

        let tags = (0..MAX_TAG_LISTS).map(Along::Tags);
        let values = Dimension::ALL
            .into_iter()
            .filter(|dimension| !dimension.is_set() && *dimension != Dimension::Model);
        for along in [Along::Models]
            .into_iter()
            .chain(tags)
            .chain(values.map(Along::Value))
        {
            boxes = join_boxes(boxes, along, self.budget);
        }

        boxes.sort_by_cached_key(sort_key);
        (boxes, std::mem::take(&mut self.left_out))
    }

    /// How many differences were left out since the last time.
    pub(super) fn take_left_out(&mut self) -> usize {
        std::mem::take(&mut self.left_out)
    }

    /// The boxes of one difference: one for each description of its models. None where the budget
    /// is spent, which is counted.
    pub(super) fn cut_boxes(&mut self, source: usize, found: &Difference) -> Vec<PointBox> {
        let Some(terms) = self.terms_of(&found.space, &found.classes) else {
            self.left_out += 1;
            return Vec::new();
        };
        self.budget.spend(PER_BOX * terms.len() as u64);

        let single = |pattern: &Pattern| PatternList::from_patterns([pattern.clone()]);
        terms
            .iter()
            .map(|term| PointBox {
                change: found.change.clone(),
                requested: found.requested.clone(),
                by_default: found.by_default,
                models: term.models.clone(),
                any: term.any.iter().cloned().collect(),
                values: found
                    .point
                    .values
                    .as_ref()
                    .map(|_, pattern| single(pattern)),
                tags: found.point.tags.iter().map(single).collect(),
                witnesses: model_witnesses(term, &found.space),
                sources: vec![source],
            })
            .collect()
    }

    fn terms_of(&mut self, space: &Rc<Space>, classes: &[usize]) -> Option<Rc<Vec<Term>>> {
        let key = (Rc::as_ptr(space), classes.to_vec());
        if let Some(known) = self.terms.get(&key) {
            return Some(Rc::clone(known));
        }

        let terms = terms::model_terms(self.world, space, classes, self.budget)?;
        let terms = Rc::new(terms);
        self.terms.insert(key, Rc::clone(&terms));

        Some(terms)
    }
}

fn model_witnesses(term: &Term, space: &Space) -> Vec<ModelWitness> {
    let classes = term
        .classes
        .iter()
        .filter_map(|class| space.classes.get(*class));
    let mut witnesses: Vec<ModelWitness> = classes.map(model_witness).collect();
    witnesses.sort_unstable();
    witnesses.truncate(2);

    witnesses
}

/// Losses first, then changes of pipelines, then gains; requests that name policies last; wide ones
/// first.
fn sort_key(boxed: &PointBox) -> impl Ord + use<> {
    let change = &boxed.change;
    let kind = if !change.lost.is_empty() {
        0u8
    } else if change.pipes.is_some() && change.gained.is_empty() {
        1
    } else {
        2
    };

    let length = |list: &PatternList| list.iter().map(|p| p.to_string().len()).min();
    let first = |list: &PatternList| list.first().cloned();
    (
        (boxed.requested.is_some(), kind, boxed.tags.len()),
        boxed.values.as_ref().map(|_, list| length(list)),
        boxed.values.as_ref().map(|_, list| first(list)),
        boxed.tags.iter().map(first).collect::<Vec<_>>(),
        (
            change.clone(),
            boxed.requested.clone(),
            boxed.models.clone(),
        ),
    )
}

/// Joins boxes that differ in one dimension only.
fn join_boxes(boxes: Vec<PointBox>, along: Along, budget: &Budget) -> Vec<PointBox> {
    if budget.is_spent() {
        return boxes;
    }

    let mut numbers: FxHashMap<_, usize> = FxHashMap::default();
    let mut buckets: Vec<Vec<PointBox>> = Vec::new();
    for boxed in boxes {
        budget.spend(PER_BOX + boxed.count_points());
        let number = *numbers
            .entry(boxed.key_without(along))
            .or_insert(buckets.len());
        match buckets.get_mut(number) {
            Some(bucket) => bucket.push(boxed),
            None => buckets.push(vec![boxed]),
        }
    }

    buckets
        .into_iter()
        .flat_map(|bucket| join_bucket(bucket, along, budget))
        .collect()
}

fn join_bucket(mut bucket: Vec<PointBox>, along: Along, budget: &Budget) -> Vec<PointBox> {
    // In the order of texts most patterns are added at the end of the list.
    bucket.sort_by_cached_key(|boxed| {
        let list = boxed
            .list_along(along)
            .and_then(PatternList::first)
            .map(Pattern::to_string);
        (list, boxed.models.any.clone())
    });
    let mut joined: Vec<PointBox> = Vec::new();
    for boxed in bucket {
        let mut layers = joined.iter_mut().rev().take(MAX_LAYERS);
        match layers.find(|other| other.is_apart_from(&boxed, along)) {
            Some(other) => {
                budget.spend(other.work_of_taking(&boxed, along));
                other.take_in(boxed, along);
            }
            None => joined.push(boxed),
        }
    }

    for boxed in &mut joined {
        boxed.models.any.sort_unstable();
        boxed.models.any.dedup();
    }

    joined
}

impl PointBox {
    /// What two boxes must have in common to be joined along a dimension.
    fn key_without(&self, along: Along) -> impl Eq + std::hash::Hash + use<> {
        let mut models = self.models.clone();
        if along == Along::Models {
            models.any = Vec::new();
        }

        let values = self
            .values
            .as_ref()
            .map(|dimension, list| (along != Along::Value(dimension)).then(|| list.clone()));
        let mut tags = self.tags.clone();
        let has_list = matches!(along, Along::Tags(place) if place < tags.len());
        if let (Along::Tags(place), true) = (along, has_list) {
            tags.remove(place);
        }

        let kind = (self.change.clone(), self.requested.clone(), self.by_default);
        (kind, models, values, tags, has_list)
    }

    /// The list of one dimension.
    fn list_along(&self, along: Along) -> Option<&PatternList> {
        match along {
            Along::Models => None,
            Along::Tags(place) => self.tags.get(place),
            Along::Value(dimension) => Some(&self.values[dimension]),
        }
    }

    /// Whether no pattern of one is nested in a pattern of the other along a dimension.
    fn is_apart_from(&self, other: &Self, along: Along) -> bool {
        match (self.list_along(along), other.list_along(along)) {
            (Some(own), Some(others)) => !own.meets_list(others),
            _ => along == Along::Models,
        }
    }

    fn take_in(&mut self, other: Self, along: Along) {
        match along {
            Along::Models => {
                self.models.any.extend(other.models.any);
                self.any.extend(other.any);
            }
            Along::Tags(place) => {
                if let (Some(list), Some(more)) = (self.tags.get_mut(place), other.tags.get(place))
                {
                    list.extend_apart(more);
                }
            }
            Along::Value(dimension) => {
                self.values[dimension].extend_apart(&other.values[dimension]);
            }
        }

        self.witnesses.extend(other.witnesses);
        self.witnesses.sort_unstable();
        self.witnesses.dedup();
        self.witnesses.truncate(MAX_WITNESSES);

        self.sources.extend(other.sources);
    }

    /// The units of work that taking another box in takes: nothing more where its patterns come
    /// after those that are here.
    fn work_of_taking(&self, other: &Self, along: Along) -> u64 {
        let (Some(own), Some(others)) = (self.list_along(along), other.list_along(along)) else {
            return 1;
        };

        match own.ends_before(others) {
            true => others.len() as u64,
            false => (own.len() + others.len()) as u64,
        }
    }

    /// How many patterns it has.
    pub(super) fn count_points(&self) -> u64 {
        let lists = self.values.values().chain(&self.tags);
        lists.map(|list| list.len() as u64).sum()
    }
}
