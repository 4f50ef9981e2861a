//! The same questions from an instant on: what expires cuts the time after it into finitely many
//! spans, and within one nothing changes. Each span is analysed by itself.
//!
//! BASE attaches `strict` to the team `eu` until noon, HEAD until evening:
//!
//! ```text
//!            now          noon              evening
//! BASE       | strict      | -               | -
//! HEAD       | strict      | strict          | -
//! told                     | team `eu` gains | (until evening)
//! ```
//!
//! An attachment that is expired already is in no span, so that to delete it changes nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::impact::{find_weakening, impact_in_detail, limit_sentences};
use super::invariants::prove_invariants;
use super::report::{Detail, Impact, Proof, Region};
use super::{ProveOptions, Weakens};
use crate::effect::Budget;
use crate::resolve::Engine;

/// The instants at which what some engines say may change: the first is the one that is asked
/// about.
pub(crate) fn span_starts(engines: &[&Arc<Engine>], now: Timestamp) -> Vec<Timestamp> {
    let mut starts: Vec<Timestamp> = engines
        .iter()
        .flat_map(|engine| engine.set().expiries_after(now))
        .collect();
    starts.sort_unstable();
    starts.dedup();
    starts.insert(0, now);

    starts
}

/// When a span begins, as it is told: not at all of the first.
pub(crate) fn told_start(number: usize, start: Timestamp) -> Option<Timestamp> {
    (number > 0).then_some(start)
}

/// What HEAD does to requests that BASE does not, from an instant on. The engines have every
/// attachment, expired or not.
pub fn impact_from(
    base: &Arc<Engine>,
    head: &Arc<Engine>,
    now: Timestamp,
    budget: &Budget,
    detail: Detail,
) -> Impact {
    let starts = span_starts(&[base, head], now);
    budget.begin_part(0, starts.len());
    let mut whole = impact_in_detail(&base.as_of(now), &head.as_of(now), budget, detail);
    for (number, start) in starts.iter().enumerate().skip(1) {
        budget.begin_part(number, starts.len());
        let found = impact_in_detail(&base.as_of(*start), &head.as_of(*start), budget, detail);
        whole = join_impacts(whole, found, *start, detail);
    }

    budget.begin_part(0, 1);

    whole.not_analysed = limit_sentences(whole.not_analysed);
    whole.weakening_doubts = limit_sentences(whole.weakening_doubts);
    whole.exact = whole.not_analysed.is_empty();
    // Span by span, and losses first within each.
    whole
        .regions
        .sort_by_key(|region| (region.at, region.lost.is_empty()));

    whole
}

fn join_impacts(mut whole: Impact, found: Impact, start: Timestamp, detail: Detail) -> Impact {
    let at = Some(start);
    let mut goes_on = vec![false; found.regions.len()];
    for region in whole
        .regions
        .iter_mut()
        .filter(|region| region.until.is_none())
    {
        match found
            .regions
            .iter()
            .position(|other| is_same(region, other))
        {
            Some(position) => {
                if let Some(goes_on) = goes_on.get_mut(position) {
                    *goes_on = true;
                }
            }
            None => region.until = at,
        }
    }

    let fresh = found
        .regions
        .into_iter()
        .zip(goes_on)
        .filter(|(_, goes_on)| !goes_on);

    for (region, _) in fresh {
        if whole.regions.len() < detail.regions {
            whole.regions.push(Region { at, ..region });
        } else {
            whole.regions_left_out += 1;
        }
    }

    whole.regions_left_out = whole
        .regions_left_out
        .saturating_add(found.regions_left_out);
    if whole.weakening.is_none() {
        whole.weakening = found
            .weakening
            .map(|weakening| super::Weakening { at, ..weakening });
        whole.weakens = whole.weakening.is_some();
    }

    whole.not_analysed.extend(found.not_analysed);
    whole.weakening_doubts.extend(found.weakening_doubts);
    whole
}

/// Whether two regions say the same of the same requests.
fn is_same(one: &Region, other: &Region) -> bool {
    one.values
        .iter()
        .zip(other.values.iter())
        .all(|((_, a), (_, b))| a == b)
        && one.models == other.models
        && one.tags == other.tags
        && one.requested == other.requested
        && one.lost == other.lost
        && one.gained == other.gained
        && one.pipelines == other.pipelines
}

/// Whether HEAD lets through what BASE blocks or modifies, from an instant on.
pub fn weakens_from(
    base: &Arc<Engine>,
    head: &Arc<Engine>,
    now: Timestamp,
    budget: &Budget,
) -> Weakens {
    let starts = span_starts(&[base, head], now);
    let mut whole = Weakens {
        weakening: None,
        not_analysed: Vec::new(),
    };

    for (number, start) in starts.iter().enumerate() {
        budget.begin_part(number, starts.len());
        let found = find_weakening(&base.as_of(*start), &head.as_of(*start), budget);
        let at = told_start(number, *start);
        whole.not_analysed.extend(found.not_analysed);
        whole.weakening = found
            .weakening
            .map(|weakening| super::Weakening { at, ..weakening });
        if whole.weakening.is_some() {
            break;
        }
    }

    budget.begin_part(0, 1);
    whole.not_analysed = limit_sentences(whole.not_analysed);
    whole
}

/// Whether the invariants of a set hold from an instant on.
pub fn prove_from(
    engine: &Arc<Engine>,
    now: Timestamp,
    options: ProveOptions,
    budget: &Budget,
) -> Proof {
    let starts = span_starts(&[engine], now);
    budget.begin_part(0, starts.len());
    let mut whole = prove_invariants(&engine.as_of(now), options, budget);
    for (number, start) in starts.iter().enumerate().skip(1) {
        budget.begin_part(number, starts.len());
        let found = prove_invariants(&engine.as_of(*start), options, budget);
        for (verdict, later) in whole.invariants.iter_mut().zip(found.invariants) {
            if verdict.holds && !later.holds {
                *verdict = super::Verdict {
                    at: Some(*start),
                    ..later
                };
            }
        }

        whole.not_analysed.extend(found.not_analysed);
    }

    budget.begin_part(0, 1);
    whole.not_analysed = limit_sentences(whole.not_analysed);
    whole.exact = whole.not_analysed.is_empty();

    whole
}
