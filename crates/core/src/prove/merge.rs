//! Fewer patches that say the same.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::patch::Patch;
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
    patches.sort_by_cached_key(order);
    let mut patches = absorb(patches);
    for along in [Along::Models, Along::Tags, Along::Teams, Along::Keys] {
        patches = join(patches, along);
    }
    patches.sort_by_cached_key(order);
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
    let length = |list: &BTreeSet<Pattern>| list.iter().map(|p| p.to_string().len()).min();
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
        let wider =
            known.iter().copied().find(|at| kept.get(*at).is_some_and(|wide| holds(wide, &patch)));
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
    let within = |wide: &BTreeSet<Pattern>, list: &BTreeSet<Pattern>| {
        list.iter().all(|p| wide.iter().any(|w| w.covers(p)))
    };
    let models = &wide.models;
    let every_model = models.any == ["*"]
        && models.none.is_empty()
        && models.matches.is_empty()
        && models.not_matches.is_empty()
        && (models.absent || !patch.models.absent);
    let clear = |out: &BTreeSet<Pattern>, list: &BTreeSet<Pattern>, own: &BTreeSet<Pattern>| {
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
        let at = known
            .iter()
            .copied()
            .find(|at| joined.get(*at).is_some_and(|other| fit(other, &patch)));
        match at.and_then(|at| joined.get_mut(at)) {
            Some(other) => take(other, patch),
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
    let unless = |dimension, list: &BTreeSet<Pattern>| (along != dimension).then(|| list.clone());
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

/// Whether no value of one is left out by the other.
fn fit(a: &Patch, b: &Patch) -> bool {
    let clear = |one: &Patch, other: &Patch| {
        let out = |without: &BTreeSet<Pattern>, list: &BTreeSet<Pattern>| {
            without.iter().any(|w| covers_one(w, list))
        };
        !out(&one.without.teams, &other.teams)
            && !out(&one.without.keys, &other.keys)
            && !other.tags.iter().any(|list| out(&one.without.tags, list))
    };
    clear(a, b) && clear(b, a)
}

/// Whether a pattern covers one of a list. Patterns are in the order of their texts, exact ones first.
fn covers_one(pattern: &Pattern, list: &BTreeSet<Pattern>) -> bool {
    let next = |from: Pattern| list.range(from..).next().is_some_and(|found| pattern.covers(found));
    match pattern {
        Pattern::Exact(_) => list.contains(pattern),
        Pattern::Prefix(text) => next(Pattern::Exact(text.clone())) || next(pattern.clone()),
    }
}

/// Takes another patch in. What differs between them is in one dimension, so joining all joins that one.
fn take(patch: &mut Patch, other: Patch) {
    patch.teams.extend(other.teams);
    patch.keys.extend(other.keys);
    for (list, more) in patch.tags.iter_mut().zip(other.tags) {
        list.extend(more);
    }
    patch.models.any.extend(other.models.any);
    patch.models.any.sort_unstable();
    patch.models.any.dedup();
    patch.without.teams.extend(other.without.teams);
    patch.without.keys.extend(other.without.keys);
    patch.without.tags.extend(other.without.tags);
    patch.witnesses.extend(other.witnesses);
    patch.witnesses.sort_unstable();
    patch.witnesses.dedup();
    patch.witnesses.truncate(4);
    patch.because.extend(other.because);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_one_of_a_list_by_looking_at_two() {
        let list: BTreeSet<Pattern> = ["a", "ab", "b*", "bc*", "z"].map(Pattern::parse).into();
        for text in ["a", "a*", "b", "b*", "bcd*", "bc*", "", "*", "y*", "zz*", "ab*"] {
            let pattern = Pattern::parse(text);
            assert_eq!(
                covers_one(&pattern, &list),
                list.iter().any(|p| pattern.covers(p)),
                "{text}"
            );
        }
    }
}
