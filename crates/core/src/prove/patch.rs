//! A box of differences as a region: what has to be left out, and what it is because of.
//!
//! ```text
//! BASE   attachment 1: teams [a, b]  gives g        HEAD   attachment 2: keys [k]  gives g
//!
//! seen    g is lost at (team a, key *) and at (team b, key *)
//! patch   teams {a, b}, keys {*} without {k}        there attachment 2 matches too, and gives it
//! ```
//!
//! An attachment that would undo a part of the change is left out by a dimension in which it covers
//! no point of the box. At a single point there is always one, or it would match the point. In a
//! box of several points there may be none: then the box is taken apart.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::boxes::PointBox;
use super::changes::{BASE, Changes, HEAD};
use super::cone::{PatternList, Point, Zone, any_value};
use super::eval;
use super::index::Rank;
use super::report::{Cause, Models, is_plain};
use super::search::{Difference, Element, OutcomeChange};
use super::world::{Given, GuardId, ModelItem, PipeId, Side, World};
use crate::document::{Dimension, PerDimension};
use crate::effect::Budget;
use crate::policy::{Context, Pattern};

/// A box of requests that lose and gain the same.
#[derive(Debug, Clone)]
pub(super) struct RegionPatch {
    pub change: OutcomeChange,
    pub requested: Option<std::sync::Arc<str>>,
    /// Of dimensions with one value.
    pub values: PerDimension<PatternList>,
    /// One tag of each list.
    pub tags: Vec<PatternList>,
    pub models: Models,
    /// What the requests do not have: values, or tags.
    pub without: PerDimension<PatternList>,
}

impl RegionPatch {
    /// Whether a request, its model aside, is described by the patch.
    pub(super) fn has_request(&self, witness: &Context) -> bool {
        let is_within = |dimension: Dimension| {
            let value = witness.value(dimension);
            let matches = |pattern: &Pattern| pattern.matches(value);
            self.values[dimension].iter().any(matches)
                && (value.is_none() || !self.without[dimension].iter().any(matches))
        };

        let tags = witness.values(Dimension::Tag);
        let has_tag = |pattern: &Pattern| tags.iter().any(|tag| pattern.matches(Some(tag)));
        Dimension::ALL
            .into_iter()
            .filter(|dimension| is_plain(*dimension))
            .all(is_within)
            && self.tags.iter().all(|list| list.iter().any(has_tag))
            && !self.without[Dimension::Tag].iter().any(has_tag)
    }

    /// How many patterns a request is held against to tell whether it is one of it.
    pub(super) fn count_patterns(&self) -> u64 {
        let lists = self
            .values
            .values()
            .chain(&self.tags)
            .chain(self.without.values());
        lists.map(|list| list.len() as u64).sum()
    }

    /// One of the points that it was made of.
    pub(super) fn to_point(&self) -> Point {
        let first = |list: &PatternList| list.first().cloned().unwrap_or_else(any_value);
        let mut tags: Vec<Pattern> = self.tags.iter().map(first).collect();
        tags.sort_unstable();

        Point {
            values: self.values.as_ref().map(|_, list| first(list)),
            tags,
        }
    }

    /// Whether every request of another patch of the same change is one of this.
    pub(super) fn holds_patch(&self, other: &Self) -> bool {
        let is_within = |list: &PatternList, own: &PatternList| {
            list.iter().all(|pattern| own.covers_pattern(pattern))
        };
        let models = &self.models;
        let every_model = models.any == ["*"]
            && models.none.is_empty()
            && models.matches.is_empty()
            && models.not_matches.is_empty()
            && (models.absent || !other.models.absent);
        let is_clear = |dimension: Dimension| {
            let is_out = |pattern: &Pattern| other.without[dimension].covers_pattern(pattern);
            let own = &self.without[dimension];
            match dimension.is_set() {
                true => own.iter().all(is_out),
                false => own
                    .iter()
                    .all(|p| !other.values[dimension].overlaps_pattern(p) || is_out(p)),
            }
        };

        Dimension::ALL.into_iter().all(is_clear)
            && self
                .values
                .iter()
                .all(|(of, list)| is_within(&other.values[of], list))
            && self
                .tags
                .iter()
                .all(|list| other.tags.iter().any(|own| is_within(own, list)))
            && (every_model || *models == other.models)
    }

    /// The same with fewer names in what is left out: many that begin alike become one prefix,
    /// where that leaves every pattern of the patch as it is. The patch says less then, and still
    /// the truth.
    pub(super) fn shorten_lists(&self, most: usize) -> Self {
        let mut shorter = self.clone();
        for (dimension, list) in shorter.without.iter_mut() {
            let own = if dimension.is_set() {
                self.tags.as_slice()
            } else {
                std::slice::from_ref(&self.values[dimension])
            };

            if list.len() > most {
                *list = common_prefixes(list, own, most);
            }
        }

        shorter
    }
}

/// The patterns, put together by their first characters to about `most`. A prefix that would cover
/// one of `own` is not used.
fn common_prefixes(list: &PatternList, own: &[PatternList], most: usize) -> PatternList {
    let start = |pattern: &Pattern, length: usize| -> String {
        let (Pattern::Exact(text) | Pattern::Prefix(text)) = pattern;
        text.chars().take(length).collect()
    };

    let groups = |length: usize| -> Vec<&[Pattern]> {
        let patterns = list.as_slice();
        patterns
            .chunk_by(|a, b| start(a, length) == start(b, length))
            .collect()
    };

    // Shorter starts make fewer groups.
    let longest = list
        .iter()
        .map(|pattern| pattern.to_string().chars().count())
        .max()
        .unwrap_or(0);
    let (mut fits, mut too_many) = (1, longest + 1);
    while fits + 1 < too_many {
        let middle = fits.midpoint(too_many);
        if groups(middle).len() <= most {
            fits = middle
        } else {
            too_many = middle
        }
    }

    let mut shorter: Vec<Pattern> = Vec::new();
    for group in groups(fits) {
        let Some(first) = group.first() else { continue };
        let prefix = Pattern::Prefix(start(first, fits).into());
        let is_used =
            group.len() > 1 && !own.iter().any(|list| !list.covered_by(&prefix).is_empty());
        if is_used {
            shorter.push(prefix)
        } else {
            shorter.extend_from_slice(group)
        }
    }

    PatternList::from_patterns(shorter)
}

/// For one side, the attachments that may give a guardrail, and those whose policy has a pipeline.
#[derive(Debug, Default)]
pub(super) struct ElementGivers {
    guardrails: FxHashMap<GuardId, Vec<Rank>>,
    pipes: FxHashMap<PipeId, Vec<Rank>>,
}

/// Makes patches of boxes.
pub(super) struct Patcher<'w, 'a> {
    world: &'w World<'a>,
    changes: &'w Changes<'w, 'a>,
    found: &'w [Difference],
    givers: [ElementGivers; 2],
    /// Every attachment of each side.
    all: [Vec<Rank>; 2],
    budget: &'w Budget,
}

/// Why a box is no patch: some attachment would undo the change at some of its points only.
#[derive(Debug)]
pub(super) struct Uneven;

impl<'w, 'a> Patcher<'w, 'a> {
    pub(super) fn new(
        world: &'w World<'a>,
        changes: &'w Changes<'w, 'a>,
        found: &'w [Difference],
        budget: &'w Budget,
    ) -> Self {
        let all = [BASE, HEAD].map(|side| {
            let givens = world.side_at(side).map_or(0, |side| side.givens.len());
            (0..Rank::try_from(givens).unwrap_or(Rank::MAX)).collect()
        });
        let givers = [BASE, HEAD].map(|side| ElementGivers::of_side(world, side, budget));
        Self {
            world,
            changes,
            found,
            givers,
            all,
            budget,
        }
    }

    /// The patch of a box.
    pub(super) fn patch_box(&self, boxed: &PointBox) -> Result<RegionPatch, Uneven> {
        let twins = &self.world.twins;
        let without = self.find_exclusions(boxed)?;
        let tags = boxed
            .tags
            .iter()
            .map(|list| twins.expand_list(Dimension::Tag, list));

        Ok(RegionPatch {
            change: boxed.change.clone(),
            requested: boxed.requested.clone(),
            values: boxed
                .values
                .as_ref()
                .map(|dimension, list| twins.expand_list(dimension, list)),
            tags: tags.collect(),
            models: boxed.models.clone(),
            without: without.map(|_, patterns| PatternList::from_patterns(patterns)),
        })
    }

    /// What would undo a part of the change, were it met as well.
    fn find_exclusions(&self, boxed: &PointBox) -> Result<PerDimension<Vec<Pattern>>, Uneven> {
        let change = &boxed.change;
        let pipes = change.pipes.clone().unwrap_or_default();
        let sides = [
            (
                BASE,
                HEAD,
                differing_elements(&change.lost, &pipes.0, &pipes.1),
            ),
            (
                HEAD,
                BASE,
                differing_elements(&change.gained, &pipes.1, &pipes.0),
            ),
        ];

        let mut without = Without {
            boxed,
            out: PerDimension::default(),
            known: Default::default(),
        };

        for (this, other, elements) in sides {
            let is_default = |side: usize| boxed.by_default.get(side) == Some(&true);
            for element in &elements {
                let ranks = self
                    .givers
                    .get(other)
                    .map_or(&[][..], |givers| givers.givers_of(*element));
                self.exclude_attachments(other, ranks, is_default(other), &mut without)?;
            }

            // What comes by default goes where any other attachment matches.
            if !elements.is_empty() && is_default(this) {
                let all = self.all.get(this).map_or(&[][..], Vec::as_slice);
                self.exclude_attachments(this, all, false, &mut without)?;
            }
        }

        Ok(without.out)
    }

    fn exclude_attachments(
        &self,
        side: usize,
        ranks: &[Rank],
        defaults_too: bool,
        without: &mut Without<'_>,
    ) -> Result<(), Uneven> {
        let Some(side) = self.world.side_at(side) else {
            return Ok(());
        };

        for given in ranks
            .iter()
            .filter_map(|rank| side.givens.get(*rank as usize))
        {
            let models = given.models.as_ref().map_or(0, Vec::len) * without.boxed.any.len();
            self.budget
                .spend(2 + given.zone.count_points() / 4 + models as u64);
            let counts = defaults_too || !given.default;
            if counts && self.may_match(given, &without.boxed.any) {
                without.leave_out(&given.zone)?;
            }
        }

        Ok(())
    }

    /// Whether an attachment's models and those of some patterns have any in common.
    fn may_match(&self, given: &Given, models: &[Pattern]) -> bool {
        let Some(items) = &given.models else {
            return true;
        };
        let overlaps = |item: &u32, model: &Pattern| match self.world.items.item_at(*item) {
            Some(ModelItem::Pattern(pattern)) => pattern.overlaps(model),
            _ => true,
        };

        models
            .iter()
            .any(|model| items.iter().any(|item| overlaps(item, model)))
    }

    /// The documents whose change a box comes from.
    pub(super) fn causes(&self, boxed: &PointBox) -> BTreeSet<&Cause> {
        let mut causes: BTreeSet<&Cause> = BTreeSet::new();
        for found in boxed
            .sources
            .iter()
            .filter_map(|source| self.found.get(*source))
        {
            if !self.budget.spend(8) && !causes.is_empty() {
                break;
            }

            causes.extend(self.causes_of(found));
        }

        causes
    }

    /// The documents whose change one difference comes from.
    fn causes_of(&self, found: &Difference) -> BTreeSet<&Cause> {
        let (world, changes) = (self.world, self.changes);
        let mut causes: BTreeSet<&Cause> = BTreeSet::new();
        let mut rest: BTreeSet<&Cause> = BTreeSet::new();
        let OutcomeChange {
            lost,
            gained,
            pipes,
        } = &found.change;
        let concerned = [lost.as_slice(), gained.as_slice()].concat();
        let may_cause = |cause: &&Cause| changes.may_cause(cause, &concerned, pipes.is_some());
        if let Some(name) = &found.requested {
            let documents = changes.behind_policy(name);
            rest.extend(documents.iter().copied());
            causes.extend(documents.into_iter().filter(may_cause));
        }

        let flips = found.by_default.first() != found.by_default.last();
        let is_ordered = found.change.lost.is_empty() && found.change.gained.is_empty();

        for side in [BASE, HEAD] {
            for (rank, given) in active_attachments(world, found, side, self.budget) {
                let told = found.change.lost.len() + found.change.gained.len();
                self.budget.spend(1 + told as u64 / 4);
                let gives = |list: &[u32]| {
                    list.iter()
                        .any(|guardrail| world.may_give(given.profile, *guardrail))
                };

                let has_part = gives(&found.change.lost)
                    || gives(&found.change.gained)
                    || (flips && !given.default && changes.is_changed(side, rank))
                    || (is_ordered && world.pipe_of(given.profile).is_some());
                let documents = changes.behind_attachment(side, rank);
                rest.extend(documents.iter().copied());
                if has_part {
                    causes.extend(documents.into_iter().filter(may_cause));
                }
            }
        }

        if causes.is_empty() { rest } else { causes }
    }
}

impl ElementGivers {
    pub(super) fn of_side(world: &World<'_>, side: usize, budget: &Budget) -> Self {
        let mut givers = Self::default();
        let givens = world.side_at(side).map_or(&[][..], |side| &side.givens);
        for (rank, given) in (0..).zip(givens) {
            budget.spend(1 + world.work_of(given.profile));
            givers.add_giver(world, rank, given);
        }

        givers
    }

    fn add_giver(&mut self, world: &World<'_>, rank: Rank, given: &Given) {
        for guardrail in world.chain_of(given.profile).flat_map(|member| &member.add) {
            let ranks = self.guardrails.entry(*guardrail).or_default();
            if ranks.last() != Some(&rank) {
                ranks.push(rank);
            }
        }

        if let Some(pipe) = world.pipe_of(given.profile) {
            self.pipes.entry(pipe).or_default().push(rank);
        }
    }

    pub(super) fn givers_of(&self, element: Element) -> &[Rank] {
        let ranks = match element {
            Element::Guardrail(guardrail) => self.guardrails.get(&guardrail),
            Element::Pipeline(pipe) => self.pipes.get(&pipe),
        };

        ranks.map_or(&[], Vec::as_slice)
    }
}

/// What is given on one side only.
fn differing_elements(guardrails: &[GuardId], own: &[PipeId], others: &[PipeId]) -> Vec<Element> {
    let pipes = own.iter().filter(|pipe| !others.contains(pipe));
    let pipes = pipes.map(|pipe| Element::Pipeline(*pipe));
    guardrails
        .iter()
        .map(|guardrail| Element::Guardrail(*guardrail))
        .chain(pipes)
        .collect()
}

/// What a box is described without, while it is collected.
struct Without<'b> {
    boxed: &'b PointBox,
    out: PerDimension<Vec<Pattern>>,
    known: PerDimension<rustc_hash::FxHashSet<Pattern>>,
}

impl Without<'_> {
    /// Leaves a zone out, by the dimension that takes the fewest words.
    fn leave_out(&mut self, zone: &Zone) -> Result<(), Uneven> {
        let mut best: Option<(Dimension, Vec<&Pattern>)> = None;
        let mut covers_all = true;
        for (dimension, list) in zone.narrowed_lists() {
            if self.is_left_out(dimension, list) {
                return Ok(());
            }

            let cover = self.cover_of(dimension, list);
            covers_all &= cover == Cover::All;
            let patterns = match (dimension.is_set(), cover) {
                (false, Cover::None) => self.overlapping_patterns(dimension, list),
                (true, Cover::None) => list.iter().collect(),
                _ => continue,
            };

            // Nothing of the box is in the zone.
            if patterns.is_empty() {
                return Ok(());
            }

            if best
                .as_ref()
                .is_none_or(|(_, known)| patterns.len() < known.len())
            {
                best = Some((dimension, patterns));
            }
        }

        match best {
            Some((dimension, patterns)) => {
                for pattern in patterns {
                    if self.known[dimension].insert(pattern.clone()) {
                        self.out[dimension].push(pattern.clone());
                    }
                }

                Ok(())
            }
            // It matches every point, so it does not undo the change.
            None if covers_all => Ok(()),
            None => Err(Uneven),
        }
    }

    fn is_left_out(&self, dimension: Dimension, list: &PatternList) -> bool {
        !self.out[dimension].is_empty()
            && list
                .iter()
                .all(|pattern| self.known[dimension].contains(pattern))
    }

    /// At how many points of the box a list covers the value, or one of the tags.
    fn cover_of(&self, dimension: Dimension, list: &PatternList) -> Cover {
        if !dimension.is_set() {
            let values = &self.boxed.values[dimension];
            return Cover::split_by(values, list);
        }

        let covers = self
            .boxed
            .tags
            .iter()
            .map(|tags| Cover::split_by(tags, list));
        covers.max().unwrap_or(Cover::None)
    }

    /// The patterns of a list that have values in common with the box.
    fn overlapping_patterns<'z>(
        &self,
        dimension: Dimension,
        list: &'z PatternList,
    ) -> Vec<&'z Pattern> {
        let values = &self.boxed.values[dimension];
        if values.len() < list.len() {
            return values
                .iter()
                .flat_map(|value| list.covered_by(value))
                .collect();
        }

        list.iter()
            .filter(|pattern| values.covers_pattern(pattern))
            .collect()
    }
}

/// How many patterns of a list another list covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cover {
    None,
    Some,
    All,
}

impl Cover {
    fn split_by(patterns: &PatternList, by: &PatternList) -> Self {
        let covered = if by.len() < patterns.len() {
            by.iter()
                .map(|pattern| patterns.covered_by(pattern).len())
                .sum()
        } else {
            patterns
                .iter()
                .filter(|pattern| by.covers_pattern(pattern))
                .count()
        };

        match covered {
            0 => Self::None,
            all if all == patterns.len() => Self::All,
            _ => Self::Some,
        }
    }
}

/// The attachments of one side that are active at a difference, for the first of its classes.
fn active_attachments<'w>(
    world: &'w World<'_>,
    found: &'w Difference,
    side: usize,
    budget: &Budget,
) -> impl Iterator<Item = (Rank, &'w Given)> + use<'w> {
    let side = world.side_at(side);
    let matching = |side: &Side<'_>| {
        side.index
            .matching_attachments(&side.givens, &found.point, budget)
    };
    let ranks = side.map(matching);
    let givens = side.map_or(&[][..], |side| &side.givens);
    let class = found.classes.first().copied().unwrap_or(0);

    ranks
        .unwrap_or_default()
        .into_iter()
        .filter_map(|rank| Some((rank, givens.get(rank as usize)?)))
        .filter(move |(_, given)| eval::is_active(world, given, &found.space, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[String]) -> PatternList {
        PatternList::from_patterns(texts.iter().map(|text| Pattern::parse(text)))
    }

    #[test]
    fn many_names_become_few_prefixes_that_spare_the_patchs_own() {
        let names: Vec<String> = (0..90)
            .map(|n| format!("{}-{n:02}", if n % 2 == 0 { "eu" } else { "us" }))
            .collect();
        let long = list(&names);
        let short = common_prefixes(&long, &[list(&["asia*".to_owned()])], 5);
        assert!(short.len() <= 5, "{short:?}");
        assert!(long.iter().all(|name| short.covers_pattern(name)));

        let own = [list(&["eu-44x".to_owned()])];
        let spared = common_prefixes(&long, &own, 5);
        assert!(long.iter().all(|name| spared.covers_pattern(name)));
        assert!(
            own[0]
                .iter()
                .all(|pattern| !spared.overlaps_pattern(pattern)),
            "{spared:?}"
        );
        // Where all begin differently there is nothing to put together.
        let few = list(&["a".to_owned(), "b".to_owned(), "c".to_owned()]);

        assert_eq!(common_prefixes(&few, &[list(&["*".to_owned()])], 1), few);
    }
}
