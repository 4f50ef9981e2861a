//! Which invariants of BASE those of HEAD, taken together, no longer promise.
//!
//! An invariant makes *promises* about the requests of its box: each required guardrail is one, `any_of` is
//! one, each forbidden guardrail is one. A promise of BASE is kept where, for every request of its box, every
//! set of guardrails that all of HEAD's invariants accept for that request keeps it too. For one request that
//! is a small question of logic:
//!
//! - "gets one of C" follows if some HEAD invariant that speaks of the request promises one of A, and every
//!   guardrail of A is in C or forbidden there;
//! - "lacks g" follows if some HEAD invariant forbids g there;
//! - everything follows where HEAD contradicts itself: all of some A is forbidden.
//!
//! More invariants that speak of a request can only make more follow. So a counterexample is a request that
//! *escapes* the invariants that would make the promise follow, and the search cuts their boxes out of the
//! promise's box, one after another:
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
//! Dimensions are sets of *classes*: the values that match a pattern and no deeper one. A region of requests
//! holds a set of classes for each dimension with one value; for tags it holds lists of which the request has
//! one each, and a list of which it has none.
//!
//! This module must not know policies, attachments or what requests really get.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use rustc_hash::{FxHashMap, FxHashSet};

use super::cone::{any, text_order};
use super::names::KnownValues;
use crate::document::{Dimension, PerDimension};
use crate::effect::Budget;
use crate::policy::{Context, Invariant, Pattern, Targets};

/// Bits that the rooms of one question may take; a question that needs more is not answered.
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

/// The invariants of `base` that those of `head` together do not imply, in the order of `base`: over all
/// requests, and over all assignments of guardrails to them. What the budget does not allow to be shown
/// counts as lost.
pub fn lost_invariants(
    base: &[Invariant],
    head: &[Invariant],
    budget: &Budget,
) -> Vec<LostInvariant> {
    let kept: FxHashSet<_> = head.iter().map(identity).collect();
    let demands = Demands::of(head);

    let open =
        base.iter().enumerate().filter(|(_, invariant)| !kept.contains(&identity(invariant)));
    open.filter_map(|(index, invariant)| {
        let (promise, witness) = first_lost(invariant, &demands, budget)?;
        Some(LostInvariant { index, promise: promise.into(), witness })
    })
    .collect()
}

/// What two invariants have in common that promise the same of the same requests, whatever their names.
fn identity(invariant: &Invariant) -> impl Eq + std::hash::Hash + '_ {
    let Invariant { name: _, place: _, applies, except, require, any_of, forbid } = invariant;
    (applies, except, require, any_of, forbid)
}

/// The first promise of an invariant that is lost, and a request that shows it.
fn first_lost<'a>(
    invariant: &'a Invariant,
    demands: &Demands<'a>,
    budget: &Budget,
) -> Option<(Promise<'a>, Option<Context>)> {
    promises(invariant).find_map(|promise| {
        let escape = || {
            let question = Question::new(invariant, promise, demands, budget)?;
            let region = question.find_escape(budget)?;
            Ok(region.map(|region| question.witness(&region)))
        };
        match escape() {
            Ok(None) => None,
            Ok(Some(witness)) => Some((promise, witness)),
            Err(BudgetSpent) => Some((promise, None)),
        }
    })
}

/// One thing that an invariant says of every request of its box.
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

fn promises(invariant: &Invariant) -> impl Iterator<Item = Promise<'_>> {
    clauses(invariant).map(Promise::Gets).chain(invariant.forbid.iter().map(Promise::Lacks))
}

/// The lists of guardrails of which a request gets at least one.
fn clauses(invariant: &Invariant) -> impl Iterator<Item = &[Arc<str>]> {
    let any_of = (!invariant.any_of.is_empty()).then_some(invariant.any_of.as_slice());
    invariant.require.iter().map(std::slice::from_ref).chain(any_of)
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
    fn of(invariants: &'a [Invariant]) -> Self {
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
            for clause in clauses(invariant) {
                for guardrail in clause {
                    demands.clauses.entry(guardrail).or_default().push((index, clause));
                }
            }
        }

        let is_forbidden = |name: &Arc<str>| demands.forbidders.contains_key(&**name);
        let all = invariants.iter().enumerate();
        demands.contradicted = all
            .flat_map(|(index, invariant)| clauses(invariant).map(move |clause| (index, clause)))
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
        let touching = wanted.iter().filter_map(|name| self.clauses.get(&**name)).flatten();

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
fn follows<'i>(promise: Promise<'_>, active: impl Iterator<Item = &'i Invariant> + Clone) -> bool {
    let forbidden: FxHashSet<&str> =
        active.clone().flat_map(|invariant| &invariant.forbid).map(|name| &**name).collect();
    let is_granted = |name: &Arc<str>| match promise {
        Promise::Gets(wanted) => wanted.contains(name) || forbidden.contains(&**name),
        Promise::Lacks(_) => forbidden.contains(&**name),
    };
    let is_lacking = matches!(promise, Promise::Lacks(name) if forbidden.contains(&**name));
    is_lacking || active.flat_map(clauses).any(|clause| clause.iter().all(is_granted))
}

/// The requests of an invariant, in classes.
struct Room {
    applies: Area,
    except: Option<Area>,
}

/// A box in classes. `None`: the dimension is not looked at.
type Area = PerDimension<Option<FixedBitSet>>;

/// One promise of BASE, with what HEAD could keep it by.
struct Question<'a> {
    invariant: &'a Invariant,
    promise: Promise<'a>,
    classes: PerDimension<Classes>,
    /// HEAD's invariants that matter, with their rooms; those that cut off the fewest pieces first.
    others: Vec<(&'a Invariant, Room)>,
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

        let boxes = || relevant.iter().copied().chain([invariant]).flat_map(boxes_of);
        let patterns =
            |dimension| boxes().filter_map(move |targets| targets[dimension].as_ref()).flatten();
        let count = Dimension::ALL.into_iter().map(|dimension| patterns(dimension).count()).sum();
        if relevant.len().saturating_mul(count) > MAX_BITS
            || !budget.spend((relevant.len() + count) as u64)
        {
            return Err(BudgetSpent);
        }

        let classes = PerDimension::from_fn(|dimension| Classes::of(patterns(dimension)));
        let mut others: Vec<(&Invariant, Room)> =
            relevant.into_iter().map(|other| (other, Room::of(other, &classes))).collect();
        others.sort_by_key(|(_, room)| room.pieces());
        Ok(Self { invariant, promise, classes, others })
    }

    /// Requests of the promise's box for which it does not follow; `None`: there are none.
    fn find_escape(&self, budget: &Budget) -> Result<Option<Region>, BudgetSpent> {
        let room = Room::of(self.invariant, &self.classes);
        let everything = Region::everything(&self.classes);
        let start = everything.spoken_of(&room);
        let mut tasks: Vec<Task> =
            start.into_iter().map(|region| Task { region, from: 0, active: Vec::new() }).collect();

        while let Some(task) = tasks.pop() {
            if let Some(region) = self.advance(task, &mut tasks, budget)? {
                return Ok(Some(region));
            }
        }
        Ok(None)
    }

    /// Takes one region further: it is kept whole, escapes, or falls into smaller tasks.
    fn advance(
        &self,
        task: Task,
        tasks: &mut Vec<Task>,
        budget: &Budget,
    ) -> Result<Option<Region>, BudgetSpent> {
        let Task { mut region, from, mut active } = task;
        let mut partly: Vec<usize> = Vec::new();

        for (index, (other, room)) in self.others.iter().enumerate().skip(from) {
            if !budget.spend(region.weight()) {
                return Err(BudgetSpent);
            }
            match region.relation_to(room) {
                Relation::Outside => {}
                Relation::Inside if self.keeps_alone(other) => return Ok(None),
                Relation::Inside => active.push(index),
                Relation::Partly if self.keeps_alone(other) => {
                    let mut left = region.not_spoken_of(room);
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
            let all = active.iter().chain(more).filter_map(|index| self.others.get(*index));
            follows(self.promise, all.map(|(other, _)| *other))
        };
        if together(&[]) {
            return Ok(None);
        }
        if !together(&partly) {
            return Ok(Some(region));
        }

        let Some(first) = partly.first().copied() else { return Ok(Some(region)) };
        let Some((other, room)) = self.others.get(first) else { return Ok(Some(region)) };
        // Those behind it are looked at again, against the smaller regions.
        active.retain(|index| *index < first);
        if !self.keeps_alone(other) {
            let mut with = active.clone();
            with.push(first);
            tasks.extend(region.spoken_of(room).into_iter().map(|region| Task {
                region,
                from: first + 1,
                active: with.clone(),
            }));
        }
        // Looked at first: what escapes an invariant is kept by fewer.
        tasks.extend(region.not_spoken_of(room).into_iter().map(|region| Task {
            region,
            from: first + 1,
            active: active.clone(),
        }));
        Ok(None)
    }

    fn keeps_alone(&self, other: &Invariant) -> bool {
        follows(self.promise, std::iter::once(other))
    }

    /// A request of a region.
    fn witness(&self, region: &Region) -> Option<Context> {
        let known = self.classes.as_ref().map(|_, classes| classes.known_values());
        let value = |dimension: Dimension| -> Option<String> {
            let pattern = self.classes[dimension].natural(region.values[dimension].as_ref()?)?;
            (!pattern.is_any()).then(|| known[dimension].generic_of(pattern))
        };
        let tags = region.some_tags.iter().map(|list| {
            let pattern = self.classes[Dimension::Tag].natural(list)?;
            Some(known[Dimension::Tag].generic_of(pattern))
        });
        let mut tags: Vec<String> = tags.collect::<Option<_>>()?;
        tags.sort_unstable();
        tags.dedup();

        let mut request = Context::default();
        for dimension in Dimension::ALL {
            match dimension.is_set() {
                true => request.set(dimension, tags.iter().cloned()),
                false => request.set(dimension, value(dimension)),
            }
        }
        Some(request)
    }
}

fn boxes_of(invariant: &Invariant) -> impl Iterator<Item = &Targets> {
    std::iter::once(&invariant.applies).chain(&invariant.except)
}

/// The classes of one dimension: one for each pattern, in the order of their texts, so that all that a prefix
/// covers stands together. `*` is always one: the values that nothing else matches, absence included.
#[derive(Debug)]
struct Classes {
    patterns: Vec<Pattern>,
}

impl Classes {
    fn of<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let mut patterns: Vec<Pattern> = patterns.cloned().chain([any()]).collect();
        patterns.sort_by(|a, b| text_order(a).cmp(&text_order(b)));
        patterns.dedup();
        Self { patterns }
    }

    /// The classes whose values one of the patterns matches.
    fn matched_by(&self, patterns: &[Pattern]) -> FixedBitSet {
        let mut matched = FixedBitSet::with_capacity(self.patterns.len());
        for pattern in patterns {
            let from = self.patterns.partition_point(|p| text_order(p) < text_order(pattern));
            let below = self.patterns.iter().skip(from);
            let covered = below.take_while(|other| pattern.covers(other)).count();
            matched.insert_range(from..from + covered);
        }
        matched
    }

    /// The class whose values say most to a person: a name before a prefix.
    fn natural(&self, classes: &FixedBitSet) -> Option<&Pattern> {
        let members = || classes.ones().filter_map(|class| self.patterns.get(class));
        members().find(|pattern| matches!(pattern, Pattern::Exact(_))).or_else(|| members().next())
    }

    fn known_values(&self) -> KnownValues {
        let mut known = KnownValues::default();
        known.learn(&self.patterns);
        known
    }
}

impl Room {
    fn of(invariant: &Invariant, classes: &PerDimension<Classes>) -> Self {
        let area = |targets: &Targets| -> Area {
            PerDimension::from_fn(|dimension| {
                let patterns = targets[dimension].as_deref()?;
                // Of a dimension with one value, `*` matches everything; a request may lack tags.
                let is_free = !dimension.is_set() && patterns.iter().any(Pattern::is_any);
                (!is_free).then(|| classes[dimension].matched_by(patterns))
            })
        };
        Self { applies: area(&invariant.applies), except: invariant.except.as_ref().map(area) }
    }

    /// Into how many regions a region falls at most that escapes it.
    fn pieces(&self) -> usize {
        self.applies.values().flatten().count() + usize::from(self.except.is_some())
    }
}

/// How a region lies to the requests that an invariant speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Inside,
    Outside,
    Partly,
}

/// Requests, never none.
#[derive(Debug, Clone)]
struct Region {
    /// The classes that the value is of; `None` for tags.
    values: PerDimension<Option<FixedBitSet>>,
    /// The request has one tag of each list.
    some_tags: Vec<FixedBitSet>,
    /// It has none of these.
    no_tags: FixedBitSet,
}

impl Region {
    fn everything(classes: &PerDimension<Classes>) -> Self {
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
    fn weight(&self) -> u64 {
        let values = self.values.values().flatten().map(|set| set.len() / 64);
        let tags = (1 + self.some_tags.len()) * (self.no_tags.len() / 64);
        1 + (values.sum::<usize>() + tags) as u64
    }

    fn relation_to(&self, room: &Room) -> Relation {
        let in_except = room.except.as_ref().map_or(Relation::Outside, |area| self.lies(area));
        match (self.lies(&room.applies), in_except) {
            (Relation::Outside, _) | (_, Relation::Inside) => Relation::Outside,
            (Relation::Inside, Relation::Outside) => Relation::Inside,
            _ => Relation::Partly,
        }
    }

    fn lies(&self, area: &Area) -> Relation {
        let mut relation = Relation::Inside;
        for (dimension, wanted) in area.iter() {
            let Some(wanted) = wanted else { continue };
            match self.lies_along(dimension, wanted) {
                Relation::Outside => return Relation::Outside,
                Relation::Partly => relation = Relation::Partly,
                Relation::Inside => {}
            }
        }
        relation
    }

    fn lies_along(&self, dimension: Dimension, wanted: &FixedBitSet) -> Relation {
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
    fn spoken_of(&self, room: &Room) -> Vec<Self> {
        let inside = self.within(&room.applies);
        match (&room.except, inside) {
            (_, None) => Vec::new(),
            (None, Some(inside)) => vec![inside],
            (Some(except), Some(inside)) => inside.without(except),
        }
    }

    /// What an invariant does not speak of, in regions that do not overlap.
    fn not_spoken_of(&self, room: &Room) -> Vec<Self> {
        let mut regions = self.without(&room.applies);
        let excepted = room.except.as_ref().zip(self.within(&room.applies));
        regions.extend(excepted.and_then(|(except, inside)| inside.within(except)));
        regions
    }

    fn within(&self, area: &Area) -> Option<Self> {
        area.iter().try_fold(self.clone(), |region, (dimension, wanted)| match wanted {
            Some(wanted) => region.having(dimension, wanted),
            None => Some(region),
        })
    }

    /// The region less a box: what misses it in the first dimension, what misses it in the second and not
    /// in the first, and so on.
    fn without(&self, area: &Area) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut rest = Some(self.clone());
        for (dimension, wanted) in area.iter() {
            let (Some(wanted), Some(region)) = (wanted, rest.take_if(|_| wanted.is_some())) else {
                continue;
            };
            pieces.extend(region.lacking(dimension, wanted));
            rest = region.having(dimension, wanted);
        }
        pieces
    }

    /// The requests whose value is of one of these classes, or that have such a tag.
    fn having(mut self, dimension: Dimension, wanted: &FixedBitSet) -> Option<Self> {
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
    fn lacking(&self, dimension: Dimension, unwanted: &FixedBitSet) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Place;
    use crate::prove::tests::generate::Random;

    const GUARDRAILS: [&str; 3] = ["g", "h", "i"];
    const VALUES: [(Dimension, &[&str]); 5] = [
        (Dimension::Team, &["a", "ab", "a*", "b", "ab*", "*"]),
        (Dimension::Key, &["k", "k*", "*"]),
        (Dimension::User, &["u", "*"]),
        (Dimension::Tag, &["t", "t*", "tu", "s", "*"]),
        (Dimension::Model, &["m", "m*", "n"]),
    ];
    /// A value of each class that these patterns make.
    const TEAMS: [Option<&str>; 6] =
        [None, Some("a"), Some("ab"), Some("ac"), Some("b"), Some("abc")];
    const KEYS: [Option<&str>; 3] = [None, Some("k"), Some("kk")];
    const USERS: [Option<&str>; 2] = [None, Some("u")];
    const MODELS: [Option<&str>; 4] = [None, Some("m"), Some("mm"), Some("n")];
    const TAGS: [&str; 5] = ["t", "tu", "tz", "s", "z"];

    fn targets<'p>(lists: impl IntoIterator<Item = (Dimension, Vec<&'p str>)>) -> Targets {
        let mut targets = Targets::default();
        for (dimension, list) in lists {
            targets.0[dimension] = Some(list.into_iter().map(Pattern::parse).collect());
        }
        targets
    }

    fn names(list: &[&str]) -> Vec<Arc<str>> {
        list.iter().map(|name| Arc::from(*name)).collect()
    }

    fn invariant(applies: Targets, require: &[&str]) -> Invariant {
        Invariant {
            name: "i".into(),
            applies,
            except: None,
            require: names(require),
            any_of: Vec::new(),
            forbid: Vec::new(),
            place: Place { file: "i.yaml".into(), line: 1 },
        }
    }

    fn teams(list: &[&str]) -> Targets {
        targets([(Dimension::Team, list.to_vec())])
    }

    fn tags(list: &[&str]) -> Targets {
        targets([(Dimension::Tag, list.to_vec())])
    }

    fn lost(base: &[Invariant], head: &[Invariant]) -> Vec<LostInvariant> {
        lost_invariants(base, head, &Budget::default())
    }

    fn is_implied(base: &Invariant, head: &[Invariant]) -> bool {
        lost(std::slice::from_ref(base), head).is_empty()
    }

    #[test]
    fn a_rename_a_split_and_a_merge_lose_nothing() {
        let whole =
            Invariant { any_of: names(&["h", "i"]), ..invariant(teams(&["a*", "b"]), &["g"]) };
        let renamed = Invariant { name: "other".into(), ..whole.clone() };
        assert!(is_implied(&whole, &[renamed]));

        let parts = [
            invariant(teams(&["a*"]), &["g"]),
            invariant(teams(&["b"]), &["g", "h"]),
            Invariant { any_of: names(&["h", "i"]), ..invariant(teams(&["a*"]), &[]) },
        ];
        assert!(is_implied(&whole, &parts));
        let merged = invariant(Targets::default(), &["g", "h"]);
        assert!(lost(&parts, &[merged]).is_empty());
        assert!(lost(&[], &parts).is_empty());
    }

    #[test]
    fn what_is_lost_is_named_with_a_request() {
        let audited = invariant(teams(&["health*"]), &["g"]);
        let except = targets([(Dimension::Key, vec!["ci-*"])]);
        let head = [
            invariant(teams(&["health-eu*"]), &["g"]),
            Invariant { except: Some(except), ..audited.clone() },
        ];
        let found = lost(std::slice::from_ref(&audited), &head);
        let witness = found[0].witness.as_ref().expect("a request");
        assert_eq!((found[0].index, &found[0].promise), (0, &LostPromise::Require("g".into())));
        assert_eq!(witness.value(Dimension::Team), Some("health"));
        assert_eq!(witness.value(Dimension::Key), Some("ci-"));

        let gone = lost(&[audited], &[]);
        assert_eq!(gone[0].witness.as_ref().and_then(|w| w.value(Dimension::Team)), Some("health"));
    }

    #[test]
    fn a_request_with_two_tags_is_in_two_boxes() {
        // Tagged `s` and `t` together, a request is excepted by the first and not spoken of by the second.
        let base = invariant(tags(&["t"]), &["g"]);
        let not_s = Invariant { except: Some(tags(&["s"])), ..base.clone() };
        assert!(!is_implied(&base, std::slice::from_ref(&not_s)));
        assert!(is_implied(&base, &[not_s.clone(), invariant(tags(&["s", "u"]), &["g"])]));
        // No tag at all is not what `tags: ["*"]` speaks of.
        assert!(!is_implied(
            &invariant(Targets::default(), &["g"]),
            &[invariant(tags(&["*"]), &["g"])]
        ));
    }

    #[test]
    fn what_is_forbidden_narrows_what_is_left_to_choose() {
        let base = invariant(teams(&["a"]), &["g"]);
        let choice = Invariant { any_of: names(&["g", "h"]), ..invariant(teams(&["a*"]), &[]) };
        let forbids = Invariant { forbid: names(&["h"]), ..invariant(Targets::default(), &[]) };
        assert!(!is_implied(&base, std::slice::from_ref(&choice)));
        assert!(is_implied(&base, &[choice.clone(), forbids.clone()]));
        let elsewhere = Invariant { applies: teams(&["b"]), ..forbids };
        assert!(!is_implied(&base, &[choice, elsewhere]));
    }

    #[test]
    fn what_the_budget_does_not_show_counts_as_lost() {
        let base = invariant(teams(&["a*"]), &["g"]);
        let head = [invariant(teams(&["*"]), &["g"])];
        assert!(is_implied(&base, &head));
        let found = lost_invariants(std::slice::from_ref(&base), &head, &Budget::units(1));
        assert_eq!((found.len(), &found[0].witness), (1, &None));
        // The same invariant under another name takes no search.
        assert!(lost_invariants(&head, &head, &Budget::units(0)).is_empty());
    }

    fn random_targets(random: &mut Random) -> Targets {
        let mut lists = Vec::new();
        for (dimension, values) in VALUES {
            if random.chance(45) {
                lists.push((dimension, random.some(values, 3)));
            }
        }
        targets(lists)
    }

    fn random_invariant(random: &mut Random) -> Invariant {
        let list = |random: &mut Random, percent, most| {
            let chosen = random.chance(percent).then(|| random.some(&GUARDRAILS, most));
            names(&chosen.unwrap_or_default())
        };
        Invariant {
            except: random.chance(30).then(|| random_targets(random)),
            any_of: list(random, 40, 3),
            forbid: list(random, 35, 2),
            require: list(random, 50, 2),
            ..invariant(random_targets(random), &[])
        }
    }

    fn speaks_of(invariant: &Invariant, request: &Context) -> bool {
        let is_in = |targets: &Targets| targets.matches(request);
        is_in(&invariant.applies) && !invariant.except.as_ref().is_some_and(is_in)
    }

    fn accepts(invariant: &Invariant, guardrails: usize) -> bool {
        let has = |name: &Arc<str>| {
            GUARDRAILS
                .iter()
                .position(|g| **g == **name)
                .is_some_and(|at| guardrails & (1 << at) != 0)
        };
        invariant.require.iter().all(has)
            && (invariant.any_of.is_empty() || invariant.any_of.iter().any(has))
            && !invariant.forbid.iter().any(has)
    }

    /// Whether an invariant of BASE is broken for a request by guardrails that all of HEAD's accept.
    fn is_broken(base: &Invariant, head: &[&Invariant]) -> bool {
        (0..1 << GUARDRAILS.len()).any(|guardrails| {
            head.iter().all(|other| accepts(other, guardrails)) && !accepts(base, guardrails)
        })
    }

    fn requests() -> Vec<Context> {
        let tag_sets = (0..1usize << TAGS.len()).map(|chosen| {
            let tags = TAGS.iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0);
            tags.map(|(_, tag)| (*tag).to_owned()).collect::<Vec<String>>()
        });
        let mut requests = Vec::new();
        for tags in tag_sets {
            let mut tagged = Context::default();
            tagged.set(Dimension::Tag, tags);
            requests.push(tagged);
        }
        for (dimension, values) in [
            (Dimension::Team, &TEAMS[..]),
            (Dimension::Key, &KEYS),
            (Dimension::User, &USERS),
            (Dimension::Model, &MODELS),
        ] {
            let spread = |request: &Context| {
                let with = |value: &Option<&str>| {
                    let mut request = request.clone();
                    request.set(dimension, value.map(str::to_owned));
                    request
                };
                values.iter().map(with).collect::<Vec<_>>()
            };
            requests = requests.iter().flat_map(spread).collect();
        }
        requests
    }

    #[test]
    fn every_answer_is_that_of_trying_all_requests_and_all_guardrails() {
        let requests = requests();
        let (mut kept, mut gone) = (0, 0);
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let mut base: Vec<Invariant> = (0..2).map(|_| random_invariant(&mut random)).collect();
            let mut head: Vec<Invariant> =
                (0..1 + random.below(5)).map(|_| random_invariant(&mut random)).collect();
            // Parts of one another, so that not all is lost.
            for part in base.clone() {
                let narrower = random_targets(&mut random);
                if random.chance(80) {
                    head.push(Invariant { except: Some(narrower.clone()), ..part.clone() });
                }
                if random.chance(60) {
                    head.push(Invariant { applies: narrower, ..part });
                }
            }
            base.extend(head.first().cloned().map(|i| Invariant { require: Vec::new(), ..i }));

            let found = lost(&base, &head);
            for (index, invariant) in base.iter().enumerate() {
                let mut spoken_of: FxHashSet<Vec<bool>> = FxHashSet::default();
                let is_lost = requests.iter().filter(|request| speaks_of(invariant, request)).any(
                    |request| {
                        let active: Vec<bool> =
                            head.iter().map(|i| speaks_of(i, request)).collect();
                        let of_head: Vec<&Invariant> = head
                            .iter()
                            .zip(&active)
                            .filter(|(_, on)| **on)
                            .map(|(i, _)| i)
                            .collect();
                        spoken_of.insert(active) && is_broken(invariant, &of_head)
                    },
                );
                let answer = found.iter().find(|lost| lost.index == index);
                assert_eq!(answer.is_some(), is_lost, "seed {seed}, {invariant:?} of {head:?}");
                *if is_lost { &mut gone } else { &mut kept } += 1;

                // The request that is shown proves the loss.
                let Some(lost) = answer else { continue };
                let witness = lost.witness.as_ref().expect("a request");
                let active: Vec<&Invariant> =
                    head.iter().filter(|i| speaks_of(i, witness)).collect();
                assert!(speaks_of(invariant, witness), "seed {seed}: {witness:?}");
                assert!(is_broken(invariant, &active), "seed {seed}: {witness:?}");
            }
        }
        assert!(kept > 150 && gone > 150, "{kept} kept, {gone} lost");
    }
}
