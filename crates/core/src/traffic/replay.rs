//! The requests of a log answered by two sets.
//!
//! ```text
//! 1,000,000 rows ── tallied ──> 8,000 distinct requests ── both engines ──> 120 that differ
//!                                                                             │
//!        regions of the impact: each lies in one <────────────────────────────┘
//! ```
//!
//! The regions of an impact are no partition, and not every combination is among them: a request
//! that lies in none gets a region of its own, behind the others.
//!
//! Rows are answered as of one instant. What expires later cuts the time behind it into spans, and
//! the same requests are asked of both sets in each of them too, so that a region of a later span
//! is quiet only where no row lies in it then.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::report::{Group, GroupContext, LaterRows, RegionTraffic, Replay, UnclearRows};
use super::row::{Seen, Unclear};
use super::tally::Tally;
use crate::document::{Action, Dimension, PipelineMode};
use crate::effect::Budget;
use crate::policy::Context;
use crate::prove::{Detail, Impact, Region, RegionBox, regions_around, span_starts};
use crate::resolve::{Engine, Request, Requested, Resolution, ResolvedPipeline};

/// The most groups that are reported.
const MAX_GROUPS: usize = 10_000;
/// The most requests that get a region of their own.
const MAX_AROUND: usize = 2_000;
/// How many times a request is held against a region at most to see which regions are quiet.
const MAX_LOOKS: usize = 400_000_000;
/// How many requests are asked of both sets at most as of later instants, and the most of these.
const MAX_LATER_REQUESTS: usize = 40_000_000;
const MAX_LATER_SPANS: usize = 256;

/// What a request loses and gains.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Delta {
    lost: Vec<String>,
    gained: Vec<String>,
    pipelines: bool,
}

/// A request of a log, with the policies that it names.
struct ReplayQuestion<'a> {
    context: &'a Context,
    named: Vec<String>,
    rows: u64,
}

/// A request that differs.
struct Differing<'a> {
    context: &'a Context,
    /// The policies that it names.
    named: &'a [String],
    rows: u64,
    delta: Delta,
}

/// Says what HEAD would have done to requests that were seen, as of `now` and from later instants
/// on. The engines have every attachment, expired or not; `impact` is what HEAD does to every
/// request from `now` on, in all detail.
pub fn replay_traffic(
    base: &Arc<Engine>,
    head: &Arc<Engine>,
    now: Timestamp,
    impact: &Impact,
    tally: &Tally,
) -> Replay {
    let (asking, versions) = find_named(base, tally);
    let present = [base.as_of(now), head.as_of(now)];
    let engines = [&*present[0], &*present[1]];
    let differing = find_differing(engines, &asking);

    let mut finder = RegionFinder::new(&impact.regions, engines, now);
    let mut places = finder.find_all(&differing);
    finder.add_around(engines, &differing, &places);
    if finder.regions.len() > impact.regions.len() {
        places = finder.find_all(&differing);
    }

    let mut not_analysed = impact.not_analysed.clone();
    let outside = places.iter().filter(|place| place.is_none()).count();
    if outside > 0 {
        not_analysed.push(format!(
            "the regions of {outside} requests that lie in no other"
        ));
    }

    let met = finder.note_unmet(&differing, &places, &mut not_analysed);

    let (groups, groups_left_out) = group_unplaced(&differing, &places);
    let traffic = finder.traffic_by_region(&differing, &places);
    let (changed, lost, gained) = count_rows(&differing);
    let starts = span_starts(&[base, head], now);
    let later = Later {
        base,
        head,
        impact,
        asking: &asking,
    };

    let told = later.tell_later(
        &mut finder,
        &starts,
        (changed, lost, gained),
        &mut not_analysed,
    );
    let (regions, mut quiet_regions): (Vec<_>, Vec<_>) = traffic
        .into_iter()
        .partition(|traffic| met.contains(&traffic.region));
    // Of what begins behind the last instant that was asked about it is not known whether it is
    // quiet.
    quiet_regions.retain(|traffic| {
        let is_known = told
            .end
            .is_none_or(|end| traffic.told.at.is_none_or(|at| at < end));
        is_known && !told.met.contains(&traffic.region)
    });

    not_analysed.sort_unstable();
    not_analysed.dedup();
    let unclear_because = unclear_rows(tally, versions);

    Replay {
        version: 1,
        base: impact.base.clone(),
        head: impact.head.clone(),
        now,
        rows: tally.rows,
        distinct: asking.len() as u64,
        changed,
        lost,
        gained,
        unclear: unclear_because.iter().map(|unclear| unclear.rows).sum(),
        unclear_because,
        groups,
        groups_left_out,
        regions,
        quiet_regions,
        later: told.rows,
        exact: not_analysed.is_empty(),
        not_analysed,
    }
}

/// The requests with the policies that they name, each once; and how many rows name a version.
///
/// Of what BASE decided, what it did not give unasked was named. What it gave is asked as of the
/// time of the decision: an attachment that has expired since gave its policy unasked.
fn find_named<'a>(base: &Arc<Engine>, tally: &'a Tally) -> (Vec<ReplayQuestion<'a>>, u64) {
    let mut asking = Vec::with_capacity(tally.requests.len());
    let mut decided: BTreeMap<Option<Timestamp>, Vec<(&'a Seen, u64)>> = BTreeMap::new();
    for (seen, rows) in &tally.requests {
        match seen.got.is_empty() {
            true => asking.push(make_asking(seen, seen.named.clone(), *rows)),
            false => decided.entry(seen.decided).or_default().push((seen, *rows)),
        }
    }

    if decided.is_empty() {
        return without_versions(asking);
    }

    for (instant, requests) in decided {
        // One instant after the other, so that one set at a time is held.
        let engine = base.as_of(instant.unwrap_or(Timestamp::MIN));
        let found = requests.par_iter().map(|(seen, rows)| {
            let request = Request {
                context: seen.context.clone(),
                policies: Vec::new(),
            };

            let unasked = engine.resolve(&request);
            let given: Vec<&str> = unasked
                .policies
                .iter()
                .map(|policy| policy.name())
                .collect();
            let more = seen
                .got
                .iter()
                .filter(|name| !given.contains(&name.as_str()));
            make_asking(
                seen,
                seen.named.iter().chain(more).cloned().collect(),
                *rows,
            )
        });

        asking.extend(found.collect::<Vec<_>>());
    }

    let mut rows: FxHashMap<(&Context, Vec<String>), u64> = FxHashMap::default();
    for one in asking {
        *rows.entry((one.context, one.named)).or_default() += one.rows;
    }

    let once = rows
        .into_iter()
        .map(|((context, named), rows)| ReplayQuestion {
            context,
            named,
            rows,
        });

    without_versions(once.collect())
}

fn make_asking(seen: &Seen, mut named: Vec<String>, rows: u64) -> ReplayQuestion<'_> {
    named.sort_unstable();
    named.dedup();
    ReplayQuestion {
        context: &seen.context,
        named,
        rows,
    }
}

fn without_versions(mut asking: Vec<ReplayQuestion<'_>>) -> (Vec<ReplayQuestion<'_>>, u64) {
    let mut versions = 0;
    asking.retain(|one| {
        let has_version = one.named.iter().any(|name| name.contains('@'));
        versions += if has_version { one.rows } else { 0 };
        !has_version
    });
    (asking, versions)
}

/// The requests that two sets answer differently, those of most rows first.
fn find_differing<'a>(
    engines: [&Engine; 2],
    asking: &'a [ReplayQuestion<'_>],
) -> Vec<Differing<'a>> {
    let [base, head] = engines;
    let differ = |one: &'a ReplayQuestion<'_>| {
        let delta = compare_answers(base, head, one.context, &one.named)?;
        Some(Differing {
            context: one.context,
            named: &one.named,
            rows: one.rows,
            delta,
        })
    };

    let mut differing: Vec<Differing<'_>> = asking.par_iter().filter_map(differ).collect();
    // What stands first is an example: the same for the same log, in whatever order it was read.
    differing.sort_by_cached_key(|one| {
        (
            std::cmp::Reverse(one.rows),
            one.context.describe_values(),
            one.named.to_vec(),
        )
    });

    differing
}

/// Whether a region and a request have a part of their changes in common.
fn shares_change(region: &Region, delta: &Delta) -> bool {
    let lost = region.lost.iter().any(|name| delta.lost.contains(name));
    let gained = region.gained.iter().any(|name| delta.gained.contains(name));

    lost || gained || (region.pipelines.is_some() && delta.pipelines)
}

/// How many rows differ, lose and gain.
fn count_rows(differing: &[Differing<'_>]) -> (u64, u64, u64) {
    let rows_of = |is_counted: fn(&Delta) -> bool| {
        differing
            .iter()
            .filter(|one| is_counted(&one.delta))
            .map(|one| one.rows)
            .sum()
    };

    (
        rows_of(|_| true),
        rows_of(|delta| !delta.lost.is_empty()),
        rows_of(|delta| !delta.gained.is_empty()),
    )
}

/// What a request loses and gains; `None`: nothing.
fn compare_answers(
    base: &Engine,
    head: &Engine,
    context: &Context,
    named: &[String],
) -> Option<Delta> {
    let policies = named.iter().cloned().map(Requested::Named).collect();
    let request = Request {
        context: context.clone(),
        policies,
    };

    let (before, after) = (base.resolve(&request), head.resolve(&request));
    let pipelines = do_pipelines_differ(&before, &after);
    // Nearly all requests get the same from both.
    if before.guardrails == after.guardrails && !pipelines {
        return None;
    }

    Some(Delta {
        lost: missing_guardrails(&before, &after),
        gained: missing_guardrails(&after, &before),
        pipelines,
    })
}

/// The same requests, asked as of later instants.
struct Later<'a> {
    base: &'a Arc<Engine>,
    head: &'a Arc<Engine>,
    impact: &'a Impact,
    asking: &'a [ReplayQuestion<'a>],
}

/// What becomes of rows later.
#[derive(Default)]
struct ToldLater {
    rows: Vec<LaterRows>,
    /// The later regions that some row lies in.
    met: FxHashSet<usize>,
    /// From when on nothing was asked; `None`: all was.
    end: Option<Timestamp>,
}

impl Later<'_> {
    /// `starts` are the instants of all spans; `before` is how many rows change, lose and gain in
    /// the first.
    fn tell_later(
        &self,
        finder: &mut RegionFinder<'_>,
        starts: &[Timestamp],
        mut before: (u64, u64, u64),
        not_analysed: &mut Vec<String>,
    ) -> ToldLater {
        let is_whole = self.impact.is_whole();
        let most = MAX_LATER_REQUESTS
            .checked_div(self.asking.len())
            .unwrap_or(usize::MAX);
        let mut told = ToldLater::default();
        let mut asked = 0;
        // Those behind were found for the first span.
        finder.split_off(self.impact.regions.len());
        for start in starts.iter().skip(1) {
            let may_differ = !is_whole
                || self
                    .impact
                    .regions
                    .iter()
                    .any(|region| region.holds_at(*start));
            if may_differ && asked >= most.min(MAX_LATER_SPANS) {
                not_analysed.push(format!(
                    "what the rows lose and gain from {start} on: there are too many instants or \
                        rows"
                ));
                told.end = Some(*start);
                break;
            }

            let mut regions = Vec::new();
            let mut counted = (0, 0, 0);
            if may_differ {
                asked += 1;
                let engines = [self.base.as_of(*start), self.head.as_of(*start)];
                let differing = find_differing([&engines[0], &engines[1]], self.asking);
                counted = count_rows(&differing);
                finder.instant = Some(*start);
                let places = finder.find_all(&differing);
                let met = finder.note_unmet(&differing, &places, not_analysed);
                regions = finder.traffic_by_region(&differing, &places);
                regions.retain(|traffic| {
                    traffic.told.at == Some(*start) && met.contains(&traffic.region)
                });
            }

            told.met
                .extend(regions.iter().map(|traffic| traffic.region));
            if counted != before || !regions.is_empty() {
                let (changed, lost, gained) = counted;
                told.rows.push(LaterRows {
                    at: *start,
                    changed,
                    lost,
                    gained,
                    regions,
                });
            }

            before = counted;
        }

        told
    }
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
        let mut finder = RegionFinder::default();
        for region in regions {
            finder.add_region(Cow::Owned(region), [base, head]);
        }

        Self { finder }
    }

    /// What becomes of a request that names policies of these names, and no version of one; `None`:
    /// it gets the same.
    pub fn compare_answers(
        &self,
        base: &Engine,
        head: &Engine,
        context: &Context,
        named: &[String],
    ) -> Option<Compared> {
        let delta = compare_answers(base, head, context, named)?;
        let differing = Differing {
            context,
            named,
            rows: 1,
            delta,
        };

        let region = self.finder.find_region(&differing);
        let Delta {
            lost,
            gained,
            pipelines,
        } = differing.delta;

        Some(Compared {
            lost,
            gained,
            pipelines,
            region,
        })
    }
}

/// The guardrails of one answer that another lacks.
fn missing_guardrails(of: &Resolution<'_>, other: &Resolution<'_>) -> Vec<String> {
    let lacks = |name: &&&str| other.guardrails.binary_search(name).is_err();
    of.guardrails
        .iter()
        .filter(lacks)
        .map(|name| (*name).to_owned())
        .collect()
}

/// What a step does: its guardrail, what follows a pass, a fail and an error, what it hands on, and
/// its answer.
type StepView<'r> = (&'r str, Action, Action, Action, bool, Option<&'r str>);

/// Whether the pipelines of two answers do something else.
fn do_pipelines_differ(before: &Resolution<'_>, after: &Resolution<'_>) -> bool {
    let (one, other) = (&before.pipelines, &after.pipelines);
    let are_alike = one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            is_late(one) == is_late(other) && steps_of(one).eq(steps_of(other))
        });
    !are_alike && pipeline_views(before) != pipeline_views(after)
}

/// What the pipelines of an answer do, in the order in which they run, each once.
fn pipeline_views<'r>(of: &'r Resolution<'_>) -> Vec<(bool, Vec<StepView<'r>>)> {
    let mut views: Vec<(bool, Vec<StepView<'_>>)> = Vec::new();
    for resolved in &of.pipelines {
        let view = (is_late(resolved), steps_of(resolved).collect());
        if !views.contains(&view) {
            views.push(view);
        }
    }

    views.sort_by_key(|(is_late, _)| *is_late);
    views
}

/// Whether a pipeline runs once the model has been called.
fn is_late(resolved: &ResolvedPipeline<'_>) -> bool {
    resolved.pipeline.mode != PipelineMode::PreCall
}

fn steps_of<'r>(resolved: &'r ResolvedPipeline<'_>) -> impl Iterator<Item = StepView<'r>> {
    resolved.pipeline.steps.iter().map(|step| {
        let on_error = step.on_error.unwrap_or(step.on_fail);
        let message = step.modify_response_message.as_deref();
        let guardrail = resolved.set.guardrail(step.guardrail);
        (
            guardrail,
            step.on_pass,
            step.on_fail,
            on_error,
            step.pass_data,
            message,
        )
    })
}

/// A region, and the requests that lie in it.
#[derive(Debug)]
struct KnownRegion<'r> {
    told: Cow<'r, Region>,
    requests: RegionBox,
}

/// Finds the regions that requests lie in.
#[derive(Debug, Default)]
struct RegionFinder<'r> {
    /// Regions that do not hold then are left aside; `None`: all hold.
    instant: Option<Timestamp>,
    regions: Vec<KnownRegion<'r>>,
    /// By what they lose and gain.
    alike: FxHashMap<(Vec<String>, Vec<String>), Vec<usize>>,
}

impl<'r> RegionFinder<'r> {
    fn new(regions: &'r [Region], engines: [&Engine; 2], now: Timestamp) -> Self {
        let mut finder = Self {
            instant: Some(now),
            ..Self::default()
        };

        for region in regions {
            finder.add_region(Cow::Borrowed(region), engines);
        }

        finder
    }

    fn add_region(&mut self, told: Cow<'r, Region>, engines: [&Engine; 2]) {
        let requests = RegionBox::new(&told, engines.map(|engine| &**engine.set()));
        self.take_region(KnownRegion { told, requests });
    }

    fn take_region(&mut self, region: KnownRegion<'r>) {
        let alike = (region.told.lost.clone(), region.told.gained.clone());
        self.alike
            .entry(alike)
            .or_default()
            .push(self.regions.len());
        self.regions.push(region);
    }

    /// Forgets the regions behind the first `known`, and gives them back.
    fn split_off(&mut self, known: usize) -> Vec<KnownRegion<'r>> {
        for alike in self.alike.values_mut() {
            alike.retain(|at| *at < known);
        }

        self.regions.split_off(known.min(self.regions.len()))
    }

    /// Whether a request lies in a region.
    fn has_request(&self, region: usize, one: &Differing<'_>) -> bool {
        let Some(KnownRegion { told, requests }) = self.regions.get(region) else {
            return false;
        };

        if self.instant.is_some_and(|instant| !told.holds_at(instant)) {
            return false;
        }

        let is_named = |policy: &String| one.named.contains(policy);
        told.requested.as_ref().is_none_or(is_named) && requests.has_request(one.context)
    }

    fn find_all(&self, differing: &[Differing<'_>]) -> Vec<Option<usize>> {
        differing
            .par_iter()
            .map(|one| self.find_region(one))
            .collect()
    }

    /// The region that describes what happens to a request; else the first that describes part of
    /// it.
    fn find_region(&self, one: &Differing<'_>) -> Option<usize> {
        let says_pipelines = |at: usize| {
            self.regions
                .get(at)
                .is_some_and(|region| region.told.pipelines.is_some())
        };

        let key = (one.delta.lost.clone(), one.delta.gained.clone());
        let alike = self
            .alike
            .get(&key)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .copied();
        let mut within = alike.filter(|at| self.has_request(*at, one)).peekable();
        let first = within.peek().copied();
        let exact = within
            .find(|at| says_pipelines(*at) == one.delta.pipelines)
            .or(first);

        exact.or_else(|| {
            let describes_part = |at: &usize| {
                let known = self.regions.get(*at);
                known.is_some_and(|known| shares_change(&known.told, &one.delta))
            };

            (0..self.regions.len())
                .filter(describes_part)
                .find(|at| self.has_request(*at, one))
        })
    }

    /// Gives requests that lie in no region one of their own, as far as that can be done.
    fn add_around(
        &mut self,
        engines: [&Engine; 2],
        differing: &[Differing<'_>],
        places: &[Option<usize>],
    ) {
        let outside = differing
            .iter()
            .zip(places)
            .filter(|(_, place)| place.is_none());
        let outside: Vec<&Differing<'_>> = outside.map(|(one, _)| one).collect();
        let around: Vec<(&Context, &[String])> = outside
            .iter()
            .take(MAX_AROUND)
            .map(|one| (one.context, one.named))
            .collect();

        if around.is_empty() {
            return;
        }

        let [base, head] = engines;
        let detail = Detail {
            regions: MAX_AROUND,
            ..Detail::READABLE
        };

        let known = self.regions.len();
        for region in regions_around(base, head, &Budget::default(), detail, &around) {
            self.add_region(Cow::Owned(region), engines);
        }

        let used: FxHashSet<usize> = outside
            .par_iter()
            .filter_map(|one| self.find_region(one))
            .collect();
        let fresh = self.split_off(known);
        let used = (known..).zip(fresh).filter(|(at, _)| used.contains(at));

        used.for_each(|(_, region)| self.take_region(region));
    }

    /// The regions that some request lies in.
    fn note_unmet(
        &self,
        differing: &[Differing<'_>],
        places: &[Option<usize>],
        not_analysed: &mut Vec<String>,
    ) -> FxHashSet<usize> {
        let mut met: FxHashSet<usize> = places.iter().flatten().copied().collect();
        let unmet: Vec<usize> = (0..self.regions.len())
            .filter(|at| !met.contains(at))
            .collect();
        if unmet.len().saturating_mul(differing.len()) > MAX_LOOKS {
            not_analysed
                .push("which regions are quiet: there are too many, and too many rows".to_owned());
            return met;
        }

        let is_met = |at: &usize| differing.iter().any(|one| self.has_request(*at, one));
        met.extend(unmet.into_par_iter().filter(is_met).collect::<Vec<usize>>());
        met
    }

    /// The regions, each with its rows.
    fn traffic_by_region(
        &self,
        differing: &[Differing<'_>],
        places: &[Option<usize>],
    ) -> Vec<RegionTraffic> {
        let mut rows: FxHashMap<usize, u64> = FxHashMap::default();
        for (one, place) in differing.iter().zip(places) {
            if let Some(place) = place {
                *rows.entry(*place).or_default() += one.rows;
            }
        }

        let traffic = |(at, region): (usize, &KnownRegion<'_>)| RegionTraffic {
            region: at,
            rows: rows.get(&at).copied().unwrap_or_default(),
            told: region.told.clone().into_owned(),
        };

        self.regions.iter().enumerate().map(traffic).collect()
    }
}

/// The requests that differ, by team, model and what becomes of them; and how many groups are left
/// out.
fn group_unplaced(differing: &[Differing<'_>], places: &[Option<usize>]) -> (Vec<Group>, usize) {
    let mut groups: BTreeMap<(GroupContext, &Delta, Option<usize>), Group> = BTreeMap::new();
    for (one, place) in differing.iter().zip(places) {
        let value = |dimension| one.context.value(dimension).map(str::to_owned);
        let whose = GroupContext {
            team: value(Dimension::Team),
            model: value(Dimension::Model),
        };

        let group = groups
            .entry((whose.clone(), &one.delta, *place))
            .or_insert_with(|| Group {
                context: whose,
                rows: 0,
                distinct: 0,
                lost: one.delta.lost.clone(),
                gained: one.delta.gained.clone(),
                pipelines: one.delta.pipelines,
                region: *place,
                example: one.context.clone(),
                requested: one.named.to_vec(),
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
    let read = tally
        .unclear
        .iter()
        .map(|(why, (rows, first))| UnclearRows {
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
