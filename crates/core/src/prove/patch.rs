//! Differences put together to as few descriptions as may be.
//!
//! A difference is seen at points; a patch is a box around some of them, less the boxes in which an
//! attachment that the points do not match could undo it. So all requests of a patch lose what it says.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::changes::{BASE, Changes, HEAD};
use super::cone::{Point, Zone};
use super::eval;
use super::index::Rank;
use super::models::Class;
use super::report::{Cause, Models, Witness};
use super::search::{Change, Element, Found};
use super::terms;
use super::world::{Given, Item, World};
use crate::policy::Pattern;

/// A box of requests that lose and gain the same.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    pub change: Change,
    pub requested: Option<Arc<str>>,
    pub teams: BTreeSet<Pattern>,
    pub keys: BTreeSet<Pattern>,
    /// One tag of each list.
    pub tags: Vec<BTreeSet<Pattern>>,
    pub models: Models,
    pub without: Without,
    /// Models of the patch, the best for a witness first.
    pub witnesses: Vec<ModelWitness>,
    pub because: BTreeSet<Cause>,
}

/// A model of a patch: of the catalog, or else made up, or else the absent one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ModelWitness {
    Known(String),
    MadeUp(String),
    Absent,
}

impl ModelWitness {
    pub(super) fn model(&self) -> Option<String> {
        match self {
            Self::Known(model) | Self::MadeUp(model) => Some(model.clone()),
            Self::Absent => None,
        }
    }
}

/// What the requests of a patch do not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Without {
    pub teams: BTreeSet<Pattern>,
    pub keys: BTreeSet<Pattern>,
    pub tags: BTreeSet<Pattern>,
}

/// Who gives what, looked up once.
struct Givers<'w, 'a> {
    world: &'w World<'a>,
    known: FxHashMap<(usize, bool, u32), Vec<Rank>>,
}

/// The patches of what was found, before they are put together.
pub(super) fn patches(world: &World<'_>, changes: &Changes<'_, '_>, found: &[Found]) -> Vec<Patch> {
    let mut givers = Givers { world, known: FxHashMap::default() };
    let mut patches = Vec::new();
    for found in found {
        let because = because(world, changes, found);
        for term in terms::terms(world, &found.space, &found.classes) {
            let mut witnesses: Vec<ModelWitness> = term
                .classes
                .iter()
                .filter_map(|class| found.space.classes.get(*class))
                .map(model_witness)
                .collect();
            witnesses.sort_unstable();
            witnesses.truncate(2);
            patches.push(Patch {
                change: found.change.clone(),
                requested: found.requested.clone(),
                teams: [found.point.team.clone()].into(),
                keys: [found.point.key.clone()].into(),
                tags: found.point.tags.iter().map(|tag| [tag.clone()].into()).collect(),
                without: givers.without(found, term.any.as_ref()),
                models: term.models,
                witnesses,
                because: because.clone(),
            });
        }
    }
    patches
}

/// A model of a class.
pub(super) fn model_witness(class: &Class) -> ModelWitness {
    match &class.witness {
        Some(model) if class.known => ModelWitness::Known(model.clone()),
        Some(model) => ModelWitness::MadeUp(model.clone()),
        None => ModelWitness::Absent,
    }
}

impl Patch {
    /// Whether a request, its model aside, is described by the patch.
    pub(super) fn has(&self, witness: &Witness) -> bool {
        let value = |any: &BTreeSet<Pattern>, none: &BTreeSet<Pattern>, value: Option<&str>| {
            let out = value.is_some() && none.iter().any(|pattern| pattern.matches(value));
            any.iter().any(|pattern| pattern.matches(value)) && !out
        };
        let tag = |pattern: &Pattern| witness.tags.iter().any(|tag| pattern.matches(Some(tag)));
        value(&self.teams, &self.without.teams, witness.team.as_deref())
            && value(&self.keys, &self.without.keys, witness.key.as_deref())
            && self.tags.iter().all(|list| list.iter().any(tag))
            && !self.without.tags.iter().any(tag)
    }

    /// One of the points that it was made of, or one between them.
    pub(super) fn point(&self) -> Point {
        let first =
            |list: &BTreeSet<Pattern>| list.first().cloned().unwrap_or_else(super::cone::any);
        let mut tags: Vec<Pattern> = self.tags.iter().map(first).collect();
        tags.sort_unstable();
        Point { team: first(&self.teams), key: first(&self.keys), tags }
    }
}

impl Givers<'_, '_> {
    /// Of one side, the attachments that may give something.
    fn of(&mut self, side: usize, element: Element) -> &[Rank] {
        let (is_pipe, number) = match element {
            Element::Guardrail(guardrail) => (false, guardrail),
            Element::Pipeline(pipe) => (true, pipe),
        };
        let world = self.world;
        self.known.entry((side, is_pipe, number)).or_insert_with(|| {
            let gives = |given: &Given| {
                if is_pipe {
                    world.pipe_of(given.profile) == Some(number)
                } else {
                    world.may_give(given.profile, number)
                }
            };
            let givens = world.side_at(side).map_or(&[][..], |side| &side.givens);
            (0..).zip(givens).filter(|(_, given)| gives(given)).map(|(rank, _)| rank).collect()
        })
    }

    /// What would undo a part of a change, were it met as well.
    fn without(&mut self, found: &Found, model: Option<&Pattern>) -> Without {
        let change = &found.change;
        let pipes = change.pipes.clone().unwrap_or_default();
        let elements = |guards: &[u32], own: &[u32], others: &[u32]| -> Vec<Element> {
            let pipes = own
                .iter()
                .filter(|pipe| !others.contains(pipe))
                .map(|pipe| Element::Pipeline(*pipe));
            guards.iter().map(|guardrail| Element::Guardrail(*guardrail)).chain(pipes).collect()
        };
        let sides = [
            (BASE, elements(&change.lost, &pipes.0, &pipes.1)),
            (HEAD, elements(&change.gained, &pipes.1, &pipes.0)),
        ];
        let mut without = Without::default();
        for (this, elements) in sides {
            let other = 1 - this;
            for element in &elements {
                let ranks = self.of(other, *element).to_vec();
                self.exclude(
                    found,
                    model,
                    other,
                    &ranks,
                    found.by_default.get(other) == Some(&true),
                    &mut without,
                );
            }
            // What comes by default goes where any other attachment matches.
            if !elements.is_empty() && found.by_default.get(this) == Some(&true) {
                let givens = self.world.side_at(this).map_or(0, |side| side.givens.len());
                let ranks: Vec<Rank> = (0..Rank::try_from(givens).unwrap_or(Rank::MAX)).collect();
                self.exclude(found, model, this, &ranks, false, &mut without);
            }
        }
        without
    }

    fn exclude(
        &self,
        found: &Found,
        model: Option<&Pattern>,
        side: usize,
        ranks: &[Rank],
        defaults_too: bool,
        without: &mut Without,
    ) {
        let Some(givens) = self.world.side_at(side).map(|side| &side.givens) else { return };
        for rank in ranks {
            let Some(given) = givens.get(*rank as usize) else { continue };
            let near = (defaults_too || !given.default)
                && self.may_match(given, model)
                && given.zone.overlaps(&found.point)
                && !given.zone.covers(&found.point);
            if near && !without.has(&given.zone) {
                without.add(&given.zone, &found.point);
            }
        }
    }

    /// Whether an attachment's models and those of a term have some in common.
    fn may_match(&self, given: &Given, model: Option<&Pattern>) -> bool {
        let Some(items) = &given.models else { return true };
        let overlaps = |item: &u32, model: &Pattern| match self.world.items.get(*item) {
            Some(Item::Pattern(pattern)) => pattern.overlaps(model),
            _ => true,
        };
        model.is_some_and(|model| items.iter().any(|item| overlaps(item, model)))
    }
}

impl Without {
    /// Whether all of a zone is left out already.
    fn has(&self, zone: &Zone) -> bool {
        let all = |list: &Option<Vec<Pattern>>, out: &BTreeSet<Pattern>| {
            list.as_ref().is_some_and(|list| list.iter().all(|pattern| out.contains(pattern)))
        };
        all(&zone.teams, &self.teams) || all(&zone.keys, &self.keys) || all(&zone.tags, &self.tags)
    }

    /// Leaves a zone out, by the dimension in which the point is not in it and that takes the fewest words.
    fn add(&mut self, zone: &Zone, point: &Point) {
        let value = |list: &Option<Vec<Pattern>>, at: &Pattern| {
            let list =
                list.as_ref().filter(|list| !list.iter().any(|pattern| pattern.covers(at)))?;
            Some(
                list.iter()
                    .filter(|pattern| pattern.overlaps(at))
                    .cloned()
                    .collect::<Vec<Pattern>>(),
            )
        };
        let tags = zone.tags.clone().filter(|_| !zone.covers_tags(&point.tags));
        let mut choices = [
            (&mut self.teams, value(&zone.teams, &point.team)),
            (&mut self.keys, value(&zone.keys, &point.key)),
            (&mut self.tags, tags),
        ];
        let best = choices.iter_mut().filter(|(_, list)| list.is_some());
        if let Some((out, list)) = best.min_by_key(|(_, list)| list.as_ref().map_or(0, Vec::len)) {
            out.extend(list.take().unwrap_or_default());
        }
    }
}

/// The documents whose change a difference comes from.
fn because(world: &World<'_>, changes: &Changes<'_, '_>, found: &Found) -> BTreeSet<Cause> {
    let mut causes: BTreeSet<Cause> = BTreeSet::new();
    if let Some(name) = &found.requested {
        causes.extend(changes.behind_policy(name));
    }
    let flips = found.by_default.first() != found.by_default.last();
    let ordered = found.change.lost.is_empty() && found.change.gained.is_empty();
    let mut rest: BTreeSet<Cause> = BTreeSet::new();
    for (side, ranks) in found.ranks.iter().enumerate() {
        for (rank, given) in active(world, found, side, ranks) {
            let documents = changes.behind_attachment(side, rank);
            let gives = |list: &[u32]| {
                list.iter().any(|guardrail| world.may_give(given.profile, *guardrail))
            };
            let has_part = gives(&found.change.lost)
                || gives(&found.change.gained)
                || (flips && !given.default && changes.is_changed(side, rank))
                || (ordered && world.pipe_of(given.profile).is_some());
            if has_part { causes.extend(documents) } else { rest.extend(documents) }
        }
    }
    if causes.is_empty() { rest } else { causes }
}

/// The attachments of one side that are active for one of the classes.
fn active<'w>(
    world: &'w World<'_>,
    found: &'w Found,
    side: usize,
    ranks: &'w [Rank],
) -> impl Iterator<Item = (Rank, &'w Given)> {
    let givens = world.side_at(side).map_or(&[][..], |side| &side.givens);
    let class = found.classes.first().copied().unwrap_or(0);
    ranks
        .iter()
        .filter_map(|rank| Some((*rank, givens.get(*rank as usize)?)))
        .filter(move |(_, given)| eval::is_active(world, given, &found.space, class))
}
