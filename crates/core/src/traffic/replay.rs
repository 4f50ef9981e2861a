//! The requests of a log answered by two sets.
//!
//! ```text
//! 1,000,000 rows ── tallied ──> 8,000 distinct requests ── both engines ──> 120 that differ
//!                                                                             │
//!        regions of the impact: each lies in one <────────────────────────────┘
//! ```
//!
//! The regions of an impact are no partition, and not every combination is among them: a request that lies in none gets
//! a region of its own, behind the others.

use std::collections::BTreeMap;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::report::{Group, GroupContext, RegionTraffic, Replay, UnclearRows};
use super::row::{Seen, Unclear};
use super::tally::Tally;
use crate::document::{Action, Dimension, PipelineMode};
use crate::effect::Budget;
use crate::policy::Context;
use crate::prove::{Detail, Impact, Region, RegionBox, regions_around};
use crate::resolve::{Engine, Request, Requested, Resolution};

/// The most groups that are told.
const MAX_GROUPS: usize = 10_000;
/// The most requests that get a region of their own.
const MAX_AROUND: usize = 2_000;
/// How many times a request is held against a region at most to see which regions are quiet.
const MAX_LOOKS: usize = 400_000_000;

/// What a request loses and gains.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Delta {
    lost: Vec<String>,
    gained: Vec<String>,
    pipelines: bool,
}

/// A request that differs.
struct Differing<'a> {
    seen: &'a Seen,
    /// The policies that it names.
    named: Vec<String>,
    rows: u64,
    delta: Delta,
}

/// Says what HEAD would have done to requests that were seen. `impact` is what it does to every request, in all detail.
pub fn replay(base: &Engine, head: &Engine, impact: &Impact, tally: &Tally) -> Replay {
    let answered: Vec<Result<Differing<'_>, u64>> = tally
        .requests
        .par_iter()
        .filter_map(|(seen, rows)| answer(base, head, seen, *rows).transpose())
        .collect();
    let mut differing = Vec::new();
    let mut versions = 0;
    for answered in answered {
        match answered {
            Ok(one) => differing.push(one),
            Err(rows) => versions += rows,
        }
    }
    // What stands first is an example: the same for the same log, in whatever order it was read.
    differing.sort_by_cached_key(|one| {
        (std::cmp::Reverse(one.rows), one.seen.context.describe(), one.named.clone())
    });

    let mut finder = RegionFinder::new(&impact.regions, [base, head]);
    let mut places = finder.find_all(&differing);
    let outside = finder.add_around([base, head], &differing, &places);
    if finder.regions.len() > impact.regions.len() {
        places = finder.find_all(&differing);
    }
    let mut not_analysed = impact.not_analysed.clone();
    not_analysed.extend(outside);
    let met = finder.met(&differing, &places, &mut not_analysed);

    let rows_of = |kept: fn(&Delta) -> bool| {
        differing.iter().filter(|one| kept(&one.delta)).map(|one| one.rows).sum()
    };
    let (groups, groups_left_out) = group(&differing, &places);
    let (regions, quiet_regions) = finder.traffic(&differing, &places, &met);
    let unclear_because = unclear_rows(tally, versions);
    Replay {
        version: 1,
        base: impact.base.clone(),
        head: impact.head.clone(),
        rows: tally.rows,
        distinct: tally.requests.len() as u64,
        changed: differing.iter().map(|one| one.rows).sum(),
        lost: rows_of(|delta| !delta.lost.is_empty()),
        gained: rows_of(|delta| !delta.gained.is_empty()),
        unclear: unclear_because.iter().map(|unclear| unclear.rows).sum(),
        unclear_because,
        groups,
        groups_left_out,
        regions,
        quiet_regions,
        exact: not_analysed.is_empty(),
        not_analysed,
    }
}

/// What a request loses and gains; `None`: nothing. A failure: it names a version, in so many rows.
fn answer<'a>(
    base: &Engine,
    head: &Engine,
    seen: &'a Seen,
    rows: u64,
) -> Result<Option<Differing<'a>>, u64> {
    let mut request = Request { context: seen.context.clone(), policies: Vec::new() };
    let mut named = seen.named.clone();
    if !seen.got.is_empty() {
        let unasked = base.resolve(&request);
        let given: Vec<&str> = unasked.policies.iter().map(|policy| policy.name()).collect();
        named.extend(seen.got.iter().filter(|name| !given.contains(&name.as_str())).cloned());
    }
    if named.iter().any(|name| name.contains('@')) {
        return Err(rows);
    }
    named.sort_unstable();
    named.dedup();
    request.policies = named.iter().cloned().map(Requested::Named).collect();
    let (before, after) = (base.resolve(&request), head.resolve(&request));
    let delta = Delta {
        lost: less(&before, &after),
        gained: less(&after, &before),
        pipelines: pipelines(&before) != pipelines(&after),
    };
    let differs = delta.pipelines || !delta.lost.is_empty() || !delta.gained.is_empty();
    Ok(differs.then_some(Differing { seen, named, rows, delta }))
}

/// Compares two sets request by request, for those who see requests one at a time.
#[derive(Debug)]
pub struct Comparer {
    finder: RegionFinder<'static>,
}

/// What becomes of a request that HEAD answers otherwise than BASE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// What it loses.
    pub lost: Vec<String>,
    /// What it gains.
    pub gained: Vec<String>,
    /// Whether its pipelines change.
    pub pipelines: bool,
    /// The region that it lies in, by its place; `None`: in none that is known.
    pub region: Option<usize>,
}

impl Comparer {
    /// For two sets and the regions of the impact between them.
    pub fn new(base: &Engine, head: &Engine, regions: Vec<Region>) -> Self {
        let mut finder =
            RegionFinder { regions: Vec::new(), boxes: Vec::new(), alike: FxHashMap::default() };
        for region in regions {
            finder.add(std::borrow::Cow::Owned(region), [base, head]);
        }
        Self { finder }
    }

    /// The regions.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.finder.regions.iter().map(|region| &**region)
    }

    /// What becomes of a request that names policies of these names; `None`: it gets the same.
    pub fn compare(
        &self,
        base: &Engine,
        head: &Engine,
        context: Context,
        named: Vec<String>,
    ) -> Option<Compared> {
        let seen = Seen { context, named, got: Vec::new() };
        let differing = answer(base, head, &seen, 1).ok().flatten()?;
        let region = self.finder.find(&differing);
        let Delta { lost, gained, pipelines } = differing.delta;
        Some(Compared { lost, gained, pipelines, region })
    }
}

/// The guardrails of one answer that another lacks.
fn less(of: &Resolution<'_>, other: &Resolution<'_>) -> Vec<String> {
    let lacks = |name: &&&str| other.guardrails.binary_search(name).is_err();
    of.guardrails.iter().filter(lacks).map(|name| (*name).to_owned()).collect()
}

/// What a step does: its guardrail, what follows a pass, a fail and an error, what it hands on, and its answer.
type StepView<'r> = (&'r str, Action, Action, Action, bool, Option<&'r str>);

/// What the pipelines of an answer do, in the order in which they run, each once.
fn pipelines<'r>(of: &'r Resolution<'_>) -> Vec<(bool, Vec<StepView<'r>>)> {
    let mut views: Vec<(bool, Vec<StepView<'_>>)> = Vec::new();
    for resolved in &of.pipelines {
        let steps = resolved.pipeline.steps.iter().map(|step| {
            let on_error = step.on_error.unwrap_or(step.on_fail);
            let message = step.modify_response_message.as_deref();
            let guardrail = resolved.set.guardrail(step.guardrail);
            (guardrail, step.on_pass, step.on_fail, on_error, step.pass_data, message)
        });
        let is_late = resolved.pipeline.mode != PipelineMode::PreCall;
        let view = (is_late, steps.collect());
        if !views.contains(&view) {
            views.push(view);
        }
    }
    views.sort_by_key(|(is_late, _)| *is_late);
    views
}

/// Finds the regions that requests lie in.
#[derive(Debug)]
struct RegionFinder<'r> {
    regions: Vec<std::borrow::Cow<'r, Region>>,
    boxes: Vec<RegionBox>,
    /// By what they lose and gain.
    alike: FxHashMap<(Vec<String>, Vec<String>), Vec<usize>>,
}

impl<'r> RegionFinder<'r> {
    fn new(regions: &'r [Region], engines: [&Engine; 2]) -> Self {
        let mut finder =
            Self { regions: Vec::new(), boxes: Vec::new(), alike: FxHashMap::default() };
        for region in regions {
            finder.add(std::borrow::Cow::Borrowed(region), engines);
        }
        finder
    }

    fn add(&mut self, region: std::borrow::Cow<'r, Region>, engines: [&Engine; 2]) {
        let alike = (region.lost.clone(), region.gained.clone());
        self.alike.entry(alike).or_default().push(self.regions.len());
        self.boxes.push(RegionBox::new(&region, engines.map(|engine| &**engine.set())));
        self.regions.push(region);
    }

    /// Whether a request lies in a region.
    fn has(&self, region: usize, one: &Differing<'_>) -> bool {
        let (Some(told), Some(own)) = (self.regions.get(region), self.boxes.get(region)) else {
            return false;
        };
        let is_named = |policy: &String| one.named.contains(policy);
        told.requested.as_ref().is_none_or(is_named) && own.has(&one.seen.context)
    }

    fn find_all(&self, differing: &[Differing<'_>]) -> Vec<Option<usize>> {
        differing.par_iter().map(|one| self.find(one)).collect()
    }

    /// The region that says what becomes of a request; else the first that says some of it.
    fn find(&self, one: &Differing<'_>) -> Option<usize> {
        let says_pipelines =
            |at: usize| self.regions.get(at).is_some_and(|region| region.pipelines.is_some());
        let key = (one.delta.lost.clone(), one.delta.gained.clone());
        let alike = self.alike.get(&key).map_or(&[][..], Vec::as_slice).iter().copied();
        let mut within = alike.filter(|at| self.has(*at, one)).peekable();
        let first = within.peek().copied();
        let exact = within.find(|at| says_pipelines(*at) == one.delta.pipelines).or(first);
        exact.or_else(|| {
            let says_some = |at: &usize| {
                let Some(region) = self.regions.get(*at) else { return false };
                region.lost.iter().any(|name| one.delta.lost.contains(name))
                    || region.gained.iter().any(|name| one.delta.gained.contains(name))
                    || (region.pipelines.is_some() && one.delta.pipelines)
            };
            (0..self.regions.len()).filter(says_some).find(|at| self.has(*at, one))
        })
    }

    /// Gives requests that lie in no region one of their own. What that cannot do is said.
    fn add_around(
        &mut self,
        engines: [&Engine; 2],
        differing: &[Differing<'_>],
        places: &[Option<usize>],
    ) -> Option<String> {
        let outside = differing.iter().zip(places).filter(|(_, place)| place.is_none());
        let outside: Vec<&Differing<'_>> = outside.map(|(one, _)| one).collect();
        let around: Vec<(&Context, &[String])> = outside
            .iter()
            .take(MAX_AROUND)
            .map(|one| (&one.seen.context, one.named.as_slice()))
            .collect();
        if around.is_empty() {
            return None;
        }

        let [base, head] = engines;
        let detail = Detail { regions: MAX_AROUND, ..Detail::READABLE };
        let known = self.regions.len();
        for region in regions_around(base, head, &Budget::default(), detail, &around) {
            self.add(std::borrow::Cow::Owned(region), engines);
        }
        let is_used = |at: usize| outside.iter().any(|one| self.find(one) == Some(at));
        let used: Vec<bool> = (known..self.regions.len()).map(is_used).collect();
        self.keep(known, &used);
        (outside.len() > MAX_AROUND).then(|| {
            format!("the regions of {} requests that lie in no other", outside.len() - MAX_AROUND)
        })
    }

    /// Forgets the regions behind the first `known` that are not used.
    fn keep(&mut self, known: usize, used: &[bool]) {
        let mut at = 0;
        let mut is_kept = || {
            at += 1;
            at <= known || used.get(at - known - 1).copied().unwrap_or(false)
        };
        let kept: Vec<bool> = self.regions.iter().map(|_| is_kept()).collect();
        let mut flags = kept.iter().copied();
        self.regions.retain(|_| flags.next().unwrap_or(false));
        let mut flags = kept.iter().copied();
        self.boxes.retain(|_| flags.next().unwrap_or(false));
        self.alike.clear();
        for (at, region) in self.regions.iter().enumerate() {
            let alike = (region.lost.clone(), region.gained.clone());
            self.alike.entry(alike).or_default().push(at);
        }
    }

    /// The regions that some request lies in.
    fn met(
        &self,
        differing: &[Differing<'_>],
        places: &[Option<usize>],
        not_analysed: &mut Vec<String>,
    ) -> FxHashSet<usize> {
        let mut met: FxHashSet<usize> = places.iter().flatten().copied().collect();
        let unmet: Vec<usize> = (0..self.regions.len()).filter(|at| !met.contains(at)).collect();
        if unmet.len().saturating_mul(differing.len()) > MAX_LOOKS {
            not_analysed
                .push("which regions are quiet: there are too many, and too many rows".to_owned());
            return met;
        }
        let is_met = |at: &usize| differing.iter().any(|one| self.has(*at, one));
        met.extend(unmet.into_par_iter().filter(is_met).collect::<Vec<usize>>());
        met
    }

    /// The regions with their rows, and those without any.
    fn traffic(
        &self,
        differing: &[Differing<'_>],
        places: &[Option<usize>],
        met: &FxHashSet<usize>,
    ) -> (Vec<RegionTraffic>, Vec<RegionTraffic>) {
        let mut rows: FxHashMap<usize, u64> = FxHashMap::default();
        for (one, place) in differing.iter().zip(places) {
            if let Some(place) = place {
                *rows.entry(*place).or_default() += one.rows;
            }
        }
        let all = self.regions.iter().enumerate().map(|(at, region)| RegionTraffic {
            region: at,
            rows: rows.get(&at).copied().unwrap_or_default(),
            told: region.clone().into_owned(),
        });
        all.partition(|traffic| met.contains(&traffic.region))
    }
}

/// The requests that differ, by team, model and what becomes of them; and how many groups are left out.
fn group(differing: &[Differing<'_>], places: &[Option<usize>]) -> (Vec<Group>, usize) {
    let mut groups: BTreeMap<(GroupContext, &Delta, Option<usize>), Group> = BTreeMap::new();
    for (one, place) in differing.iter().zip(places) {
        let value = |dimension| one.seen.context.value(dimension).map(str::to_owned);
        let whose = GroupContext { team: value(Dimension::Team), model: value(Dimension::Model) };
        let group = groups.entry((whose.clone(), &one.delta, *place)).or_insert_with(|| Group {
            context: whose,
            rows: 0,
            distinct: 0,
            lost: one.delta.lost.clone(),
            gained: one.delta.gained.clone(),
            pipelines: one.delta.pipelines,
            region: *place,
            example: one.seen.context.clone(),
            requested: one.named.clone(),
        });
        group.rows += one.rows;
        group.distinct += 1;
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| (group.lost.is_empty(), std::cmp::Reverse(group.rows)));
    let left_out = groups.len().saturating_sub(MAX_GROUPS);
    groups.truncate(MAX_GROUPS);
    (groups, left_out)
}

fn unclear_rows(tally: &Tally, versions: u64) -> Vec<UnclearRows> {
    let read = tally.unclear.iter().map(|(why, (rows, first))| UnclearRows {
        reason: why.to_string(),
        rows: *rows,
        first: Some(format!("{}:{}", first.log, first.line)),
    });
    let asked = (versions > 0).then(|| UnclearRows {
        reason: Unclear::Version.to_string(),
        rows: versions,
        first: None,
    });
    read.chain(asked).collect()
}
