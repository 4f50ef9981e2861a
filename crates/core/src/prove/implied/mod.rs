//! Which invariants of BASE those of HEAD, taken together, no longer promise.
//!
//! An invariant makes *promises* about the requests of its box: each required guardrail is one,
//! `any_of` is one, each forbidden guardrail is one. A promise of BASE is kept where, for every
//! request of its box, every set of guardrails that all of HEAD's invariants accept for that
//! request keeps it too. For one request that is a small question of logic:
//!
//! - "gets one of C" follows if some HEAD invariant that speaks of the request promises one of A,
//!   and every guardrail of A is in C or forbidden there;
//! - "lacks g" follows if some HEAD invariant forbids g there;
//! - everything follows where HEAD contradicts itself: all of some A is forbidden.
//!
//! More invariants that speak of a request can only make more follow. So a counterexample is a
//! request that *escapes* the invariants that would make the promise follow, and the search cuts
//! their boxes out of the promise's box, one after another:
//!
//! ```text
//! BASE   for teams [health*]                        require [audit]
//! HEAD 1 for teams [health-eu*]                     require [audit]
//! HEAD 2 for teams [health*] except keys [ci-*]     require [audit]
//!
//! start       teams {health*, health-eu*}  keys {*, ci-*}
//! escape 1    teams {health*}              keys {*, ci-*}
//! escape 2    teams {health*}              keys {ci-*}      not empty: the promise is lost there
//! ```
//!
//! Dimensions are sets of *classes*: the values that match a pattern and no deeper one. A region of
//! requests holds a set of classes for each dimension with one value; for tags it holds lists of
//! which the request has one each, and a list of which it has none.
//!
//! This module must not know policies, attachments or what requests really get.

mod requests;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use self::requests::{Classes, InvariantScope, Region, Relation};
use crate::document::{Dimension, PerDimension};
use crate::effect::Budget;
use crate::policy::{Catalog, Context, Invariant, Targets};

/// Bits that the requests of one question may take; a question that needs more is not answered.
const MAX_BITS: usize = 1 << 30;

/// An invariant of BASE that makes a promise which HEAD's invariants do not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostInvariant {
    /// Its place in BASE's list.
    pub index: usize,
    /// The first of its promises that is lost.
    pub promise: LostPromise,
    /// A request of which HEAD does not demand it; `None` where the budget ended the search first.
    pub witness: Option<Context>,
}

/// What an invariant of BASE promises and HEAD's together do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostPromise {
    /// That requests get this guardrail.
    Require(Arc<str>),
    /// That requests get at least one of these guardrails.
    AnyOf(Vec<Arc<str>>),
    /// That requests do not get this guardrail.
    Forbid(Arc<str>),
}

/// The invariants of `base` that those of `head` together do not imply, in the order of `base`:
/// over all requests, and over all assignments of guardrails to them. What the budget does not
/// allow to be shown counts as lost. Requests that show a loss have names of the catalogs where
/// these fit.
pub fn lost_invariants(
    base: &[Invariant],
    head: &[Invariant],
    catalogs: &[&Catalog],
    budget: &Budget,
) -> Vec<LostInvariant> {
    let kept: FxHashSet<_> = head.iter().map(invariant_identity).collect();
    let demands = Demands::from_invariants(head);

    let open = base
        .iter()
        .enumerate()
        .filter(|(_, invariant)| !kept.contains(&invariant_identity(invariant)));
    open.filter_map(|(index, invariant)| {
        let (promise, witness) = first_lost(invariant, &demands, catalogs, budget)?;
        Some(LostInvariant {
            index,
            promise: promise.into(),
            witness,
        })
    })
    .collect()
}

/// What two invariants have in common that promise the same of the same requests, whatever their
/// names.
fn invariant_identity(invariant: &Invariant) -> impl Eq + std::hash::Hash + '_ {
    let Invariant {
        name: _,
        place: _,
        applies,
        except,
        require,
        any_of,
        forbid,
    } = invariant;

    (applies, except, require, any_of, forbid)
}

/// The first promise of an invariant that is lost, and a request that shows it.
fn first_lost<'a>(
    invariant: &'a Invariant,
    demands: &Demands<'a>,
    catalogs: &[&Catalog],
    budget: &Budget,
) -> Option<(Promise<'a>, Option<Context>)> {
    promises_of(invariant).find_map(|promise| {
        let escape = || {
            let question = Question::new(invariant, promise, demands, budget)?;
            let region = question.find_escape(budget)?;
            Ok(region.map(|region| question.find_witness(&region, catalogs)))
        };

        match escape() {
            Ok(None) => None,
            Ok(Some(witness)) => Some((promise, witness)),
            Err(BudgetSpent) => Some((promise, None)),
        }
    })
}

/// One thing that an invariant promises for every request of its box.
#[derive(Debug, Clone, Copy)]
enum Promise<'a> {
    /// It gets at least one of these.
    Gets(&'a [Arc<str>]),
    /// It does not get this.
    Lacks(&'a Arc<str>),
}

impl From<Promise<'_>> for LostPromise {
    fn from(promise: Promise<'_>) -> Self {
        match promise {
            Promise::Gets([only]) => Self::Require(only.clone()),
            Promise::Gets(list) => Self::AnyOf(list.to_vec()),
            Promise::Lacks(guardrail) => Self::Forbid(guardrail.clone()),
        }
    }
}

fn promises_of(invariant: &Invariant) -> impl Iterator<Item = Promise<'_>> {
    any_clauses(invariant)
        .map(Promise::Gets)
        .chain(invariant.forbid.iter().map(Promise::Lacks))
}

/// The lists of guardrails of which a request gets at least one.
fn any_clauses(invariant: &Invariant) -> impl Iterator<Item = &[Arc<str>]> {
    let any_of = (!invariant.any_of.is_empty()).then_some(invariant.any_of.as_slice());
    invariant
        .require
        .iter()
        .map(std::slice::from_ref)
        .chain(any_of)
}

/// A clause, with the index of the invariant that makes it.
type OwnedClause<'a> = (usize, &'a [Arc<str>]);

/// HEAD's invariants, by what they demand.
struct Demands<'a> {
    invariants: &'a [Invariant],
    /// The clauses that a guardrail is in, each with the invariant that makes it.
    clauses: FxHashMap<&'a str, Vec<OwnedClause<'a>>>,
    /// The invariants that forbid a guardrail.
    forbidders: FxHashMap<&'a str, Vec<usize>>,
    /// Clauses whose guardrails are all forbidden somewhere: where they meet, everything follows.
    contradicted: Vec<OwnedClause<'a>>,
}

impl<'a> Demands<'a> {
    fn from_invariants(invariants: &'a [Invariant]) -> Self {
        let mut demands = Self {
            invariants,
            clauses: FxHashMap::default(),
            forbidders: FxHashMap::default(),
            contradicted: Vec::new(),
        };

        for (index, invariant) in invariants.iter().enumerate() {
            for guardrail in &invariant.forbid {
                demands.forbidders.entry(guardrail).or_default().push(index);
            }

            for clause in any_clauses(invariant) {
                for guardrail in clause {
                    demands
                        .clauses
                        .entry(guardrail)
                        .or_default()
                        .push((index, clause));
                }
            }
        }

        let is_forbidden = |name: &Arc<str>| demands.forbidders.contains_key(&**name);
        let all = invariants.iter().enumerate();
        demands.contradicted = all
            .flat_map(|(index, invariant)| {
                any_clauses(invariant).map(move |clause| (index, clause))
            })
            .filter(|(_, clause)| clause.iter().all(is_forbidden))
            .collect();

        demands
    }

    /// The invariants that can have a part in making a promise follow, each once.
    fn relevant_to(&self, promise: Promise<'_>) -> Vec<usize> {
        let mut relevant: Vec<usize> = Vec::new();

        let wanted = match promise {
            Promise::Gets(list) => list,
            Promise::Lacks(guardrail) => {
                relevant.extend(self.forbidders.get(&**guardrail).into_iter().flatten());
                &[]
            }
        };

        let touching = wanted
            .iter()
            .filter_map(|name| self.clauses.get(&**name))
            .flatten();

        for (index, clause) in touching.chain(&self.contradicted) {
            let others = clause.iter().filter(|name| !wanted.contains(name));
            let forbidders: Option<Vec<&Vec<usize>>> =
                others.map(|name| self.forbidders.get(&**name)).collect();
            // A guardrail that nothing forbids can be the one that the clause is met by.
            if let Some(forbidders) = forbidders {
                relevant.push(*index);
                relevant.extend(forbidders.into_iter().flatten());
            }
        }

        relevant.sort_unstable();
        relevant.dedup();
        relevant
    }
}

/// Whether a promise follows from invariants that all speak of a request.
fn follows_from<'i>(
    promise: Promise<'_>,
    active: impl Iterator<Item = &'i Invariant> + Clone,
) -> bool {
    let forbidden: FxHashSet<&str> = active
        .clone()
        .flat_map(|invariant| &invariant.forbid)
        .map(|name| &**name)
        .collect();
    let is_granted = |name: &Arc<str>| match promise {
        Promise::Gets(wanted) => wanted.contains(name) || forbidden.contains(&**name),
        Promise::Lacks(_) => forbidden.contains(&**name),
    };

    let is_lacking = matches!(promise, Promise::Lacks(name) if forbidden.contains(&**name));
    is_lacking
        || active
            .flat_map(any_clauses)
            .any(|clause| clause.iter().all(is_granted))
}

/// One promise of BASE, with what HEAD could keep it by.
struct Question<'a> {
    invariant: &'a Invariant,
    promise: Promise<'a>,
    classes: PerDimension<Classes>,
    /// HEAD's invariants that matter, with their requests; those that cut off the fewest pieces
    /// first.
    others: Vec<(&'a Invariant, InvariantScope)>,
}

/// The question is too large, or the budget ended before an answer was found.
#[derive(Debug)]
struct BudgetSpent;

/// Requests that are not decided yet.
struct Task {
    region: Region,
    /// The first of the question's invariants that has not been looked at.
    from: usize,
    /// Invariants that speak of all of the region, but do not keep the promise alone.
    active: Vec<usize>,
}

impl<'a> Question<'a> {
    fn new(
        invariant: &'a Invariant,
        promise: Promise<'a>,
        demands: &Demands<'a>,
        budget: &Budget,
    ) -> Result<Self, BudgetSpent> {
        let relevant: Vec<&Invariant> = demands
            .relevant_to(promise)
            .into_iter()
            .filter_map(|index| demands.invariants.get(index))
            .collect();

        let boxes = || {
            relevant
                .iter()
                .copied()
                .chain([invariant])
                .flat_map(boxes_of)
        };

        let patterns = |dimension| {
            boxes()
                .filter_map(move |targets| targets[dimension].as_ref())
                .flatten()
        };

        let count = Dimension::ALL
            .into_iter()
            .map(|dimension| patterns(dimension).count())
            .sum();
        if relevant.len().saturating_mul(count) > MAX_BITS
            || !budget.spend((relevant.len() + count) as u64)
        {
            return Err(BudgetSpent);
        }

        let classes = PerDimension::from_fn(|dimension| Classes::of_patterns(patterns(dimension)));
        let mut others: Vec<(&Invariant, InvariantScope)> = relevant
            .into_iter()
            .map(|other| (other, InvariantScope::of_invariant(other, &classes)))
            .collect();
        others.sort_by_key(|(_, scope)| scope.count_pieces());

        Ok(Self {
            invariant,
            promise,
            classes,
            others,
        })
    }

    /// Requests of the promise's box for which it does not follow; `None`: there are none.
    fn find_escape(&self, budget: &Budget) -> Result<Option<Region>, BudgetSpent> {
        let scope = InvariantScope::of_invariant(self.invariant, &self.classes);
        let all_requests = Region::all_requests(&self.classes);
        let start = all_requests.parts_inside(&scope);
        let mut tasks: Vec<Task> = start
            .into_iter()
            .map(|region| Task {
                region,
                from: 0,
                active: Vec::new(),
            })
            .collect();

        while let Some(task) = tasks.pop() {
            if let Some(region) = self.advance_task(task, &mut tasks, budget)? {
                return Ok(Some(region));
            }
        }

        Ok(None)
    }

    /// Takes one region further: it is kept whole, escapes, or falls into smaller tasks.
    fn advance_task(
        &self,
        task: Task,
        tasks: &mut Vec<Task>,
        budget: &Budget,
    ) -> Result<Option<Region>, BudgetSpent> {
        let Task {
            mut region,
            from,
            mut active,
        } = task;
        let mut partly: Vec<usize> = Vec::new();

        for (index, (other, scope)) in self.others.iter().enumerate().skip(from) {
            if !budget.spend(region.comparison_cost()) {
                return Err(BudgetSpent);
            }

            match region.relation_to(scope) {
                Relation::Outside => {}
                Relation::Inside if self.keeps_alone(other) => return Ok(None),
                Relation::Inside => active.push(index),
                Relation::Partly if self.keeps_alone(other) => {
                    let mut left = region.parts_outside(scope);
                    match (left.pop(), left.is_empty()) {
                        (None, _) => return Ok(None),
                        // The rest is one region: go on with it, without a task of its own.
                        (Some(only), true) => region = only,
                        (Some(_), false) => partly.push(index),
                    }
                }
                Relation::Partly => partly.push(index),
            }
        }

        let together = |more: &[usize]| -> bool {
            let all = active
                .iter()
                .chain(more)
                .filter_map(|index| self.others.get(*index));
            follows_from(self.promise, all.map(|(other, _)| *other))
        };

        if together(&[]) {
            return Ok(None);
        }

        if !together(&partly) {
            return Ok(Some(region));
        }

        let Some(first) = partly.first().copied() else {
            return Ok(Some(region));
        };
        let Some((other, scope)) = self.others.get(first) else {
            return Ok(Some(region));
        };

        // Those behind it are looked at again, against the smaller regions.
        active.retain(|index| *index < first);
        if !self.keeps_alone(other) {
            let mut with = active.clone();
            with.push(first);
            tasks.extend(region.parts_inside(scope).into_iter().map(|region| Task {
                region,
                from: first + 1,
                active: with.clone(),
            }));
        }

        // Looked at first: what escapes an invariant is kept by fewer.
        tasks.extend(region.parts_outside(scope).into_iter().map(|region| Task {
            region,
            from: first + 1,
            active: active.clone(),
        }));
        Ok(None)
    }

    fn keeps_alone(&self, other: &Invariant) -> bool {
        follows_from(self.promise, std::iter::once(other))
    }

    /// A request of a region.
    fn find_witness(&self, region: &Region, catalogs: &[&Catalog]) -> Option<Context> {
        let known = self.classes.as_ref().map(|dimension, classes| {
            let lists = catalogs.iter().rev();
            classes.known_values(lists.filter_map(|it| it.values[dimension].as_deref()))
        });
        let value = |dimension: Dimension| -> Option<String> {
            let (classes, known) = (&self.classes[dimension], &known[dimension]);
            let pattern = classes.most_natural(region.values[dimension].as_ref()?, known)?;
            (!pattern.is_any()).then(|| known.natural_of(pattern))
        };

        let (tag_classes, known_tags) = (&self.classes[Dimension::Tag], &known[Dimension::Tag]);
        let tags = region.some_tags.iter().map(|list| {
            let pattern = tag_classes.most_natural(list, known_tags)?;
            Some(known_tags.natural_of(pattern))
        });
        let mut tags: Vec<String> = tags.collect::<Option<_>>()?;
        tags.sort_unstable();
        tags.dedup();

        let mut request = Context::default();
        for dimension in Dimension::ALL {
            match dimension.is_set() {
                true => request.set_values(dimension, tags.iter().cloned()),
                false => request.set_values(dimension, value(dimension)),
            }
        }

        Some(request)
    }
}

fn boxes_of(invariant: &Invariant) -> impl Iterator<Item = &Targets> {
    std::iter::once(&invariant.applies).chain(&invariant.except)
}

#[cfg(test)]
mod tests;
