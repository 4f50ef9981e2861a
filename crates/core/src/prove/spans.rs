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
use super::report::{Cause, Detail, How, Impact, Proof, Region};
use super::{ProveOptions, Weakens};
use crate::effect::Budget;
use crate::policy::{Attachment, PolicySet};
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

/// The start of a span as reports show it; the first span has none.
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
    let mut whole = impact_at(base, head, now, budget, detail);
    for (number, start) in starts.iter().enumerate().skip(1) {
        budget.begin_part(number, starts.len());
        if budget.is_spent() {
            whole.not_analysed.push(unlooked_span(*start));
            whole.weakening_doubts.push(unlooked_span(*start));
            // Its end is not known any more.
            whole.weakening.iter_mut().for_each(|it| it.until = None);
            continue;
        }

        let found = impact_at(base, head, *start, budget, detail);
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

/// That a span was not looked at at all: many of them take their time by themselves.
fn unlooked_span(start: Timestamp) -> String {
    format!("the time from {start} on: the budget is spent")
}

/// What HEAD does at one instant, with causes as the documents have them.
fn impact_at(
    base: &Arc<Engine>,
    head: &Arc<Engine>,
    instant: Timestamp,
    budget: &Budget,
    detail: Detail,
) -> Impact {
    let (base, head) = (base.as_of(instant), head.as_of(instant));
    let mut impact = impact_in_detail(&base, &head, budget, detail);
    let regions = impact.regions.iter_mut().map(|region| &mut region.because);
    let weakening = impact.weakening.iter_mut().map(|found| &mut found.because);
    tell_ends(regions.chain(weakening).flatten(), &base, &head);

    impact
}

/// Tells of each cause that is an end, or another end, that it is one.
fn tell_ends<'c>(causes: impl Iterator<Item = &'c mut Cause>, base: &Engine, head: &Engine) {
    if base.expired_attachments().is_empty() && head.expired_attachments().is_empty() {
        return;
    }

    causes.for_each(|cause| tell_end(cause, base, head));
}

/// An attachment that only one side has at an instant because it has ended on the other was
/// neither removed nor added: it has expired in HEAD, or HEAD changes when it does.
fn tell_end(cause: &mut Cause, base: &Engine, head: &Engine) {
    let (own, other, change) = match cause.change {
        How::Removed => (base, head, How::Expired),
        How::Added => (head, base, How::Changed),
        How::Changed | How::Expired => return,
    };

    let is_meant = |attachment: &&Arc<Attachment>| {
        *attachment.place.file == *cause.file && attachment.place.line == cause.line
    };
    let Some(attachment) = own.set().attachments.iter().find(is_meant) else {
        return;
    };
    let Some(ended) = other
        .expired_attachments()
        .iter()
        .find(|ended| is_alike((own.set(), attachment), (other.set(), ended)))
    else {
        return;
    };

    cause.change = change;
    if change == How::Expired {
        cause.file = ended.place.file.to_string();
        cause.line = ended.place.line;
    }
}

/// Whether two attachments give the same policy to the same requests in the same order.
fn is_alike(one: (&PolicySet, &Attachment), other: (&PolicySet, &Attachment)) -> bool {
    let meaning = |(set, attachment): (&PolicySet, &Attachment)| {
        let policy = set
            .policy(attachment.policy)
            .map(|policy| policy.name.clone());
        (
            policy,
            attachment.everywhere,
            attachment.priority,
            attachment.default,
        )
    };

    meaning(one) == meaning(other) && one.1.targets == other.1.targets
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
    match (&mut whole.weakening, found.weakening) {
        (None, weakening) => {
            whole.weakening = weakening.map(|weakening| super::Weakening { at, ..weakening });
            whole.weakens = whole.weakening.is_some();
        }
        // One that is sure not to be there is the end of those before.
        (Some(known), None) if found.weakening_doubts.is_empty() => {
            known.until = known.until.or(at);
        }
        // Another request loses, or may, so what ended before was not the end.
        (Some(known), _) => known.until = None,
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
        if number > 0 && budget.is_spent() {
            whole.not_analysed.push(unlooked_span(*start));
            continue;
        }

        let (base, head) = (base.as_of(*start), head.as_of(*start));
        let found = find_weakening(&base, &head, budget);
        let at = told_start(number, *start);
        whole.not_analysed.extend(found.not_analysed);
        if let Some(weakening) = found.weakening {
            let mut weakening = super::Weakening { at, ..weakening };
            tell_ends(weakening.because.iter_mut(), &base, &head);
            whole.weakening = Some(weakening);
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
        if budget.is_spent() {
            whole.not_analysed.push(unlooked_span(*start));
            continue;
        }

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
