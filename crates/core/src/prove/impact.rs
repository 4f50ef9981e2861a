//! What a change does to every possible request: the search, its findings as regions, each with a
//! witness that the engines confirm.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::boxes::{Boxes, PointBox};
use super::changes::{BASE, ChangedPolicy, Changes, HEAD};
use super::cone::{PatternList, Point, any_value};
use super::eval::Evaluator;
use super::names::ExampleNames;
use super::patch::{Patcher, RegionPatch, Uneven};
use super::replay;
use super::report::{Detail, Impact, PipelineChange, Region, Tags, Values, Weakening, is_plain};
use super::search::{Difference, NamedRequest, OutcomeChange, Search};
use super::weaken;
use super::world::{GuardId, World};
use crate::document::{Dimension, PerDimension};
use crate::effect::Budget;
use crate::policy::{Context, Pattern};
use crate::resolve::Engine;

/// How many sentences `not_analysed` has at most.
const MAX_SENTENCES: usize = 20;
/// How many guardrails one of them names at most.
const MAX_NAMES: usize = 10;
/// The share of the budget that is used when the search for differences has to end.
const SEARCH_ENDS: f64 = 0.45;
/// The same of the search for a weakening.
const WEAKENING_ENDS: f64 = 0.75;
/// The same of joining differences to boxes. The rest is for describing those that are shown.
const JOINING_ENDS: f64 = 0.9;
/// Units of work that running one witness through both engines takes.
const PER_REPLAY: u64 = 400;

/// What HEAD does to requests that BASE does not, as much as a person can read.
///
/// `base` and `head` of the result are the digests of the sets; a caller that knows revisions puts
/// them there.
pub fn impact_of_change(base: &Engine, head: &Engine, budget: &Budget) -> Impact {
    impact_in_detail(base, head, budget, Detail::READABLE)
}

/// The same in as much detail as is asked for.
pub fn impact_in_detail(base: &Engine, head: &Engine, budget: &Budget, detail: Detail) -> Impact {
    let world = World::new(&[base.set(), head.set()]);
    budget.spend(world.work_of_making());
    let mut impact = Impact {
        version: 1,
        base: base.set().digest.to_string(),
        head: head.set().digest.to_string(),
        exact: true,
        not_analysed: Vec::new(),
        weakens: false,
        weakening: None,
        weakening_doubts: Vec::new(),
        regions: Vec::new(),
        regions_left_out: 0,
    };

    let (Some(base_side), Some(head_side)) = (world.side_at(BASE), world.side_at(HEAD)) else {
        return impact;
    };
    let changes = Changes::new(&world, base_side, head_side);
    let names = ExampleNames::new(&world, std::iter::empty());
    let engines = [base, head];

    budget.begin_phase(SEARCH_ENDS);
    let mut search = Search::new(Evaluator::new(&world, budget), &changes);
    search.run_search();

    budget.begin_phase(WEAKENING_ENDS);
    let before = search.skipped.len();
    impact.weakening = weaken::find_weakening(&mut search, &names, engines);
    impact.weakening_doubts = search.skipped.get(before..).unwrap_or_default().to_vec();
    impact.weakens = impact.weakening.is_some();

    budget.begin_phase(JOINING_ENDS);
    let Search {
        found, mut skipped, ..
    } = search;
    let patcher = Patcher::new(&world, &changes, &found, budget);
    let mut describer = Describer::new(&world, &names, engines, &found, patcher, budget, detail);
    describer.describe_all();

    impact.regions = describer.regions;
    impact.regions_left_out = describer.left_out;
    skipped.extend(describer.skipped);
    impact.not_analysed = limit_sentences(skipped);
    impact.exact = impact.not_analysed.is_empty();

    impact
}

/// The regions around requests, each with the policies that it names: of a request that differs and
/// names none at least one that has it; of one that names some, those of each of them that changed.
///
/// The regions of an impact tell every guardrail that is lost or gained, and not every combination
/// of them, of which there can be more than anybody has requests for. What requests were really
/// seen in tells which of the others are worth telling.
pub fn regions_around(
    base: &Engine,
    head: &Engine,
    budget: &Budget,
    detail: Detail,
    requests: &[(&Context, &[String])],
) -> Vec<Region> {
    let world = World::new(&[base.set(), head.set()]);
    let (Some(base_side), Some(head_side)) = (world.side_at(BASE), world.side_at(HEAD)) else {
        return Vec::new();
    };
    let changes = Changes::new(&world, base_side, head_side);
    let names = ExampleNames::new(&world, std::iter::empty());
    let mut search = Search::new(Evaluator::new(&world, budget), &changes);
    let nearest = Nearest::new(&world);
    for (context, named) in requests {
        let point = nearest.nearest_point(context);
        if named.is_empty() {
            search.look_at(&point, None);
        }

        let is_named = |policy: &&ChangedPolicy| named.iter().any(|name| **name == *policy.name);
        for policy in changes.policies.iter().filter(is_named) {
            search.look_at(&point, Some(&NamedRequest::from_policy(policy)));
        }
    }

    let found = search.found;
    let patcher = Patcher::new(&world, &changes, &found, budget);
    let mut describer = Describer::new(
        &world,
        &names,
        [base, head],
        &found,
        patcher,
        budget,
        detail,
    );

    describer.describe_all();
    describer.regions
}

/// The patterns of every attachment of both sides.
struct Nearest<'w, 'a> {
    world: &'w World<'a>,
    patterns: PerDimension<FxHashSet<&'w Pattern>>,
}

impl<'w, 'a> Nearest<'w, 'a> {
    fn new(world: &'w World<'a>) -> Self {
        let mut patterns: PerDimension<FxHashSet<&Pattern>> = PerDimension::default();
        for given in world.sides.iter().flat_map(|side| &side.givens) {
            for (dimension, list) in given.zone.narrowed_lists() {
                patterns[dimension].extend(list);
            }
        }

        Self { world, patterns }
    }

    /// The point whose cone a request lies in and that no attachment tells apart from it.
    fn nearest_point(&self, request: &Context) -> Point {
        let values = PerDimension::from_fn(|dimension| match request.value(dimension) {
            Some(value) if is_plain(dimension) => self
                .nearest_pattern(dimension, value)
                .unwrap_or_else(any_value),
            _ => any_value(),
        });
        let tags = request.values(Dimension::Tag).iter();
        let tags: Vec<Pattern> = tags
            .filter_map(|tag| self.nearest_pattern(Dimension::Tag, tag))
            .collect();
        let mut narrowest: Vec<Pattern> = tags
            .iter()
            .filter(|tag| !tags.iter().any(|other| other != *tag && tag.covers(other)))
            .cloned()
            .collect();

        narrowest.sort_unstable();
        narrowest.dedup();
        Point {
            values,
            tags: narrowest,
        }
    }

    /// The narrowest pattern that matches a value.
    fn nearest_pattern(&self, dimension: Dimension, value: &str) -> Option<Pattern> {
        let known = &self.patterns[dimension];
        let starts = value
            .char_indices()
            .map(|(at, _)| at)
            .chain([value.len()])
            .rev();
        let prefixes = starts.filter_map(|end| value.get(..end));
        let mut candidates = [Pattern::Exact(value.into())]
            .into_iter()
            .chain(prefixes.map(|start| Pattern::Prefix(start.into())));
        let pattern = candidates.find(|candidate| known.contains(candidate))?;

        Some(
            self.world
                .twins
                .representative_pattern(dimension, &pattern)
                .clone(),
        )
    }
}

/// Makes regions of differences, as many as are wanted.
///
/// Each guardrail that is lost, and each that is gained, has to be in some region that is shown, so
/// the boxes that name one first have their places kept; the places that are left go to the others
/// in their order.
struct Describer<'d, 'w, 'a> {
    world: &'w World<'a>,
    names: &'d ExampleNames,
    engines: [&'d Engine; 2],
    found: &'w [Difference],
    boxes: Boxes<'w, 'a>,
    patcher: Patcher<'w, 'a>,
    budget: &'w Budget,
    detail: Detail,
    /// The patches that are shown, as boxes within one of them say nothing new.
    shown: Vec<RegionPatch>,
    regions: Vec<Region>,
    left_out: usize,
    /// What the report leaves out, one sentence each.
    skipped: Vec<String>,
}

/// A guardrail, and whether it is lost or gained.
type Told = (bool, GuardId);

fn named_guardrails(change: &OutcomeChange) -> impl Iterator<Item = Told> + '_ {
    let lost = change.lost.iter().map(|guardrail| (true, *guardrail));
    lost.chain(change.gained.iter().map(|guardrail| (false, *guardrail)))
}

impl<'d, 'w, 'a> Describer<'d, 'w, 'a> {
    fn new(
        world: &'w World<'a>,
        names: &'d ExampleNames,
        engines: [&'d Engine; 2],
        found: &'w [Difference],
        patcher: Patcher<'w, 'a>,
        budget: &'w Budget,
        detail: Detail,
    ) -> Self {
        Self {
            world,
            names,
            engines,
            found,
            boxes: Boxes::new(world, budget),
            patcher,
            budget,
            detail,
            shown: Vec::new(),
            regions: Vec::new(),
            left_out: 0,
            skipped: Vec::new(),
        }
    }

    fn describe_all(&mut self) {
        let (boxes, unboxed) = self.boxes.join_all(self.found);
        self.left_out = unboxed;
        self.budget.begin_phase(1.0);

        // Boxes that name a guardrail that none before them does.
        let mut named: FxHashSet<Told> = FxHashSet::default();
        let mut is_needed: Vec<bool> = Vec::with_capacity(boxes.len());
        for boxed in &boxes {
            let known = named.len();
            named.extend(named_guardrails(&boxed.change));
            is_needed.push(named.len() > known);
        }

        let mut reserved = is_needed.iter().filter(|needed| **needed).count();

        let mut is_cut_short = unboxed > 0;
        for (boxed, is_needed) in boxes.into_iter().zip(is_needed) {
            if is_needed {
                reserved -= 1;
            }

            let reserved = if is_needed { 0 } else { reserved };
            if self.regions.len().saturating_add(reserved) >= self.detail.regions {
                self.left_out += 1;
            } else if self.budget.is_spent() {
                is_cut_short = true;
                self.left_out += 1;
            } else {
                self.describe_box(boxed);
            }
        }

        if is_cut_short {
            self.skipped
                .push("some of the differences: the budget is spent".to_owned());
        }

        for told in self
            .shown
            .iter()
            .flat_map(|patch| named_guardrails(&patch.change))
        {
            named.remove(&told);
        }

        self.skipped.extend(self.unnamed_guardrail(&named));
    }

    /// The guardrails that no region names, in a sentence.
    fn unnamed_guardrail(&self, guardrails: &FxHashSet<Told>) -> Option<String> {
        let names: BTreeSet<String> = guardrails
            .iter()
            .map(|(_, guardrail)| self.world.guardrail_name(*guardrail))
            .collect();
        let first: Vec<String> = names
            .iter()
            .take(MAX_NAMES)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = match names.len().saturating_sub(MAX_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };

        (!names.is_empty()).then(|| {
            format!(
                "regions that lose or gain {}{more}: they are left out",
                first.join(", ")
            )
        })
    }

    /// Makes a region of a box, or several where one would not be true of all its requests.
    fn describe_box(&mut self, boxed: PointBox) {
        match self.patcher.patch_box(&boxed) {
            Ok(patch) => self.show_box(&boxed, patch),
            Err(Uneven) => self.take_apart(&boxed),
        }
    }

    fn take_apart(&mut self, boxed: &PointBox) {
        for source in &boxed.sources {
            let Some(found) = self.found.get(*source) else {
                continue;
            };
            let of_these_models = |single: &PointBox| {
                single.any.iter().all(|pattern| boxed.any.contains(pattern))
                    && single.models.none == boxed.models.none
                    && single.models.matches == boxed.models.matches
                    && single.models.not_matches == boxed.models.not_matches
            };

            let singles = self
                .boxes
                .cut_boxes(*source, found)
                .into_iter()
                .filter(of_these_models);

            self.left_out += self.boxes.take_left_out();
            for single in singles {
                if self.regions.len() >= self.detail.regions || self.budget.is_spent() {
                    self.left_out += 1;
                } else if let Ok(patch) = self.patcher.patch_box(&single) {
                    self.show_box(&single, patch);
                } else {
                    self.skipped.push(internal_bug(self.world, &single));
                }
            }
        }
    }

    fn show_box(&mut self, boxed: &PointBox, patch: RegionPatch) {
        // Names are put together only where the witness stays a request of the region.
        let shortened = patch.shorten_lists(self.detail.names);
        let confirmed = self
            .confirm_change(boxed, &shortened)
            .map(|confirmed| (shortened, confirmed))
            .or_else(|| {
                self.confirm_change(boxed, &patch)
                    .map(|confirmed| (patch, confirmed))
            });
        let Some((patch, (witness, pipelines))) = confirmed else {
            self.skipped.push(internal_bug(self.world, boxed));
            return;
        };

        let same = |shown: &&RegionPatch| {
            shown.change == patch.change && shown.requested == patch.requested
        };
        self.budget
            .spend(self.shown.len() as u64 + boxed.count_points());
        if self
            .shown
            .iter()
            .filter(same)
            .any(|shown| shown.holds_patch(&patch))
        {
            return;
        }

        self.regions
            .push(self.make_region(boxed, &patch, witness, pipelines));
        self.shown.push(patch);
    }

    /// The first request of the region whose answers by the engines confirm it.
    fn confirm_change(
        &self,
        boxed: &PointBox,
        patch: &RegionPatch,
    ) -> Option<(Context, PipelineChange)> {
        let named: Vec<String> = patch.requested.iter().map(ToString::to_string).collect();
        for model in &boxed.witnesses {
            for mut witness in self.names.example_requests(&patch.to_point()) {
                witness.set_values(Dimension::Model, model.find_model());
                self.budget.spend(patch.count_patterns());
                if !patch.has_request(&witness) {
                    continue;
                }

                let of_change = replay::work_of_replay(self.world, &patch.change);
                self.budget.spend(PER_REPLAY + of_change);
                let request = replay::replay_request(&witness, &named);
                let seen = replay::replayed_change(self.world, self.engines, &request);
                if let Some((change, before, after)) = seen
                    && change == patch.change
                {
                    return Some((witness, PipelineChange { before, after }));
                }
            }
        }

        None
    }

    fn make_region(
        &self,
        boxed: &PointBox,
        patch: &RegionPatch,
        witness: Context,
        pipelines: PipelineChange,
    ) -> Region {
        let guardrails = |ids: &[GuardId]| {
            let mut names: Vec<String> = ids
                .iter()
                .map(|id| self.world.guardrail_name(*id))
                .collect();
            names.sort_unstable();
            names
        };

        let causes = self.patcher.causes(boxed);
        Region {
            at: None,
            until: None,
            values: PerDimension::from_fn(|dimension| {
                region_values(&patch.values[dimension], &patch.without[dimension])
            }),
            models: patch.models.clone(),
            tags: region_tags(patch),
            requested: patch.requested.as_ref().map(ToString::to_string),
            witness,
            lost: guardrails(&patch.change.lost),
            gained: guardrails(&patch.change.gained),
            pipelines: patch.change.pipes.as_ref().map(|_| pipelines),
            because_left_out: causes.len().saturating_sub(self.detail.causes),
            because: causes
                .into_iter()
                .take(self.detail.causes)
                .cloned()
                .collect(),
        }
    }
}

/// Whether HEAD lets through what BASE blocks or modifies.
#[derive(Debug, Clone)]
pub struct Weakens {
    /// A request for which it does.
    pub weakening: Option<Weakening>,
    /// What keeps a no from being exact, each in a sentence.
    pub not_analysed: Vec<String>,
}

/// What a gate asks for: the answer of [`impact_of_change`] to this one question, without looking
/// for regions.
pub fn find_weakening(base: &Engine, head: &Engine, budget: &Budget) -> Weakens {
    let world = World::new(&[base.set(), head.set()]);
    budget.spend(world.work_of_making());
    let (Some(base_side), Some(head_side)) = (world.side_at(BASE), world.side_at(HEAD)) else {
        return Weakens {
            weakening: None,
            not_analysed: Vec::new(),
        };
    };
    let changes = Changes::new(&world, base_side, head_side);
    let names = ExampleNames::new(&world, std::iter::empty());
    let mut search = Search::new(Evaluator::new(&world, budget), &changes);
    let weakening = weaken::find_weakening(&mut search, &names, [base, head]);

    Weakens {
        weakening,
        not_analysed: limit_sentences(search.skipped),
    }
}

/// Each sentence once, and not too many.
pub(super) fn limit_sentences(mut skipped: Vec<String>) -> Vec<String> {
    let mut said = rustc_hash::FxHashSet::default();
    skipped.retain(|sentence| said.insert(sentence.clone()));
    if skipped.len() > MAX_SENTENCES {
        let more = skipped.len() - MAX_SENTENCES;
        skipped.truncate(MAX_SENTENCES);
        skipped.push(format!("and {more} more"));
    }

    skipped
}

fn internal_bug(world: &World<'_>, boxed: &PointBox) -> String {
    let names: Vec<String> = named_guardrails(&boxed.change)
        .map(|(_, guardrail)| world.guardrail_name(guardrail))
        .collect();
    format!(
        "the engine does not confirm a change of `{}` for {:?} (this is a bug of refguard, please \
            report it)",
        names.join("`, `"),
        boxed.values
    )
}

fn region_values(any: &PatternList, none: &PatternList) -> Values {
    Values {
        any: pattern_texts(any),
        none: pattern_texts(none),
        absent: any.iter().any(Pattern::is_any),
    }
}

fn region_tags(patch: &RegionPatch) -> Tags {
    let mut lists = patch.tags.iter().map(pattern_texts);
    Tags {
        any: lists.next().unwrap_or_default(),
        none: pattern_texts(&patch.without[Dimension::Tag]),
        absent: patch.tags.is_empty(),
        also: lists.collect(),
    }
}

fn pattern_texts(patterns: &PatternList) -> Vec<String> {
    let mut texts: Vec<String> = patterns.iter().map(Pattern::to_string).collect();
    texts.sort_unstable();
    texts
}
