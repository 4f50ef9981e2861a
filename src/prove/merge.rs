//! Fewer patches that say the same.

use rustc_hash::FxHashMap;

use super::patch::{Patch, Without};
use crate::policy::Pattern;

/// A dimension along which two patches can be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Along {
    Tags,
    Teams,
    Keys,
    Models,
}

/// Leaves out patches that lie within another of the same change, and joins those that differ in one
/// dimension only.
pub(super) fn merge(mut patches: Vec<Patch>) -> Vec<Patch> {
    patches.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut patches = absorb(patches);
    for along in [Along::Models, Along::Tags, Along::Teams, Along::Keys] {
        patches = join(patches, along);
    }
    patches.sort_by(|a, b| order(a).cmp(&order(b)));
    patches
}

/// Losses first, then changes of pipelines, then gains; requests that name policies last; wide ones first.
fn order(patch: &Patch) -> impl Ord + use<> {
    let change = &patch.change;
    let kind = if !change.lost.is_empty() {
        0u8
    } else if change.pipes.is_some() && change.gained.is_empty() {
        1
    } else {
        2
    };
    let length = |list: &[Pattern]| list.iter().map(|p| p.to_string().len()).min();
    (
        patch.requested.is_some(),
        kind,
        patch.tags.len(),
        (length(&patch.teams), length(&patch.keys)),
        (patch.teams.clone(), patch.keys.clone(), patch.tags.clone()),
        (change.clone(), patch.requested.clone(), patch.models.clone()),
    )
}

fn absorb(patches: Vec<Patch>) -> Vec<Patch> {
    let mut kept: Vec<Patch> = Vec::new();
    let mut same: FxHashMap<_, Vec<usize>> = FxHashMap::default();
    for patch in patches {
        let key = (patch.change.clone(), patch.requested.clone());
        let known = same.entry(key).or_default();
        let wider = known.iter().copied().find(|at| kept.get(*at).is_some_and(|wide| holds(wide, &patch)));
        match wider.and_then(|at| kept.get_mut(at)) {
            Some(wide) => wide.because.extend(patch.because),
            None => {
                known.push(kept.len());
                kept.push(patch);
            }
        }
    }
    kept
}

/// Whether every request of a patch is one of a wider one.
fn holds(wide: &Patch, patch: &Patch) -> bool {
    let within = |wide: &[Pattern], list: &[Pattern]| list.iter().all(|p| wide.iter().any(|w| w.covers(p)));
    let models = &wide.models;
    let every_model = models.any == ["*"]
        && models.none.is_empty()
        && models.matches.is_empty()
        && models.not_matches.is_empty()
        && (models.absent || !patch.models.absent);
    let clear =
        |out: &std::collections::BTreeSet<Pattern>, list: &[Pattern], own: &std::collections::BTreeSet<Pattern>| {
            out.iter().all(|o| !list.iter().any(|p| p.overlaps(o)) || own.iter().any(|w| w.covers(o)))
        };
    within(&wide.teams, &patch.teams)
        && within(&wide.keys, &patch.keys)
        && wide.tags.iter().all(|list| patch.tags.iter().any(|own| within(list, own)))
        && (every_model || *models == patch.models)
        && clear(&wide.without.teams, &patch.teams, &patch.without.teams)
        && clear(&wide.without.keys, &patch.keys, &patch.without.keys)
        && wide.without.tags.iter().all(|out| patch.without.tags.iter().any(|own| own.covers(out)))
}

fn join(patches: Vec<Patch>, along: Along) -> Vec<Patch> {
    let mut joined: Vec<Patch> = Vec::new();
    let mut same: FxHashMap<_, Vec<usize>> = FxHashMap::default();
    for patch in patches {
        let known = same.entry(key(&patch, along)).or_default();
        let fits = |at: &usize| joined.get(*at).and_then(|other| both(other, &patch, along));
        match known.iter().find_map(|at| fits(at).map(|both| (*at, both))) {
            Some((at, both)) => {
                if let Some(slot) = joined.get_mut(at) {
                    *slot = both;
                }
            }
            None => {
                known.push(joined.len());
                joined.push(patch);
            }
        }
    }
    joined
}

/// What two patches must have in common to be joined along a dimension.
fn key(patch: &Patch, along: Along) -> impl Eq + std::hash::Hash + use<> {
    let unless = |dimension, list: &Vec<Pattern>| (along != dimension).then(|| list.clone());
    let mut models = patch.models.clone();
    if along == Along::Models {
        models.any = Vec::new();
    }
    (
        (patch.change.clone(), patch.requested.clone()),
        (unless(Along::Teams, &patch.teams), unless(Along::Keys, &patch.keys)),
        if along == Along::Tags && patch.tags.len() == 1 { None } else { Some(patch.tags.clone()) },
        models,
    )
}

/// Both patches as one; nothing where a value of one is left out by the other.
fn both(a: &Patch, b: &Patch, along: Along) -> Option<Patch> {
    let union = |a: &[Pattern], b: &[Pattern]| {
        let mut list = [a, b].concat();
        list.sort_unstable();
        list.dedup();
        list
    };
    let mut patch = a.clone();
    match along {
        Along::Teams => patch.teams = union(&a.teams, &b.teams),
        Along::Keys => patch.keys = union(&a.keys, &b.keys),
        Along::Tags => patch.tags = vec![union(a.tags.first()?, b.tags.first()?)],
        Along::Models => {
            patch.models.any.extend(b.models.any.iter().cloned());
            patch.models.any.sort_unstable();
            patch.models.any.dedup();
        }
    }
    patch.without = Without {
        teams: a.without.teams.union(&b.without.teams).cloned().collect(),
        keys: a.without.keys.union(&b.without.keys).cloned().collect(),
        tags: a.without.tags.union(&b.without.tags).cloned().collect(),
    };
    let out = |out: &std::collections::BTreeSet<Pattern>, list: &[Pattern]| {
        out.iter().any(|out| list.iter().any(|pattern| out.covers(pattern)))
    };
    let lost = out(&patch.without.teams, &patch.teams)
        || out(&patch.without.keys, &patch.keys)
        || patch.tags.iter().any(|list| out(&patch.without.tags, list));
    patch.witnesses.extend(b.witnesses.iter().cloned());
    patch.witnesses.sort_unstable();
    patch.witnesses.dedup();
    patch.witnesses.truncate(4);
    patch.because.extend(b.because.iter().cloned());
    (!lost).then_some(patch)
}
