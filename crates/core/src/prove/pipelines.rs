//! Where two pipelines change places.
//!
//! What runs is found with the guardrails; here are the requests that have both of two pipelines
//! before and after, in another order. Two attachments that both sets have, in the same order,
//! cannot do that.

use std::collections::BTreeMap;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use super::changes::{BASE, HEAD, OrderKey, order_key};
use super::cone::Point;
use super::index::Rank;
use super::search::Search;

/// Looks where an attachment of BASE and one of HEAD give pipelines that could have changed places.
pub(super) fn look_at_order(search: &mut Search<'_, '_>) {
    let (Some(base), Some(head)) = (search.side_at(BASE), search.side_at(HEAD)) else {
        return;
    };
    let world = search.eval.world;
    let keys = |side: &'_ super::world::Side<'_>| -> Vec<Rank> {
        (0..)
            .zip(&side.givens)
            .filter(|(_, g)| world.pipe_of(g.profile).is_some())
            .map(|(rank, _)| rank)
            .collect()
    };

    let (old, new) = (keys(base), keys(head));
    let first = |side, ranks: &[Rank]| {
        let mut first: FxHashMap<OrderKey<'_>, Rank> = FxHashMap::default();
        for rank in ranks {
            if let Some(key) = order_key(world, side, *rank) {
                first.entry(key).or_insert(*rank);
            }
        }

        first
    };

    let (in_base, in_head) = (first(base, &old), first(head, &new));
    let mut gone: Vec<Rank> = in_base
        .iter()
        .filter(|(key, _)| !in_head.contains_key(*key))
        .map(|(_, r)| *r)
        .collect();
    let mut added: Vec<Rank> = in_head
        .iter()
        .filter(|(key, _)| !in_base.contains_key(*key))
        .map(|(_, r)| *r)
        .collect();

    gone.sort_unstable();
    added.sort_unstable();

    // There can be many more pairs than fit in memory.
    for rank in gone {
        if new
            .iter()
            .try_for_each(|other| look_at_pair(search, rank, *other))
            .is_none()
        {
            return;
        }
    }

    for rank in added {
        if old
            .iter()
            .try_for_each(|other| look_at_pair(search, *other, rank))
            .is_none()
        {
            return;
        }
    }

    let both = in_base
        .iter()
        .filter_map(|(key, before)| Some((*before, *in_head.get(key)?)))
        .collect();
    for_each_swapped(both, |old, new| look_at_pair(search, old, new));
}

/// Calls `visit` for pairs of ranks before and after that changed places: with the rank before of
/// the one that stood first, and the rank after of the one that does now; until it says that it is
/// enough.
fn for_each_swapped(
    mut both: Vec<(Rank, Rank)>,
    mut visit: impl FnMut(Rank, Rank) -> Option<()>,
) -> Option<()> {
    both.sort_unstable();
    let mut passed: BTreeMap<Rank, Rank> = BTreeMap::new();
    for (before, after) in both {
        for (_, first) in passed.range((Bound::Excluded(after), Bound::Unbounded)) {
            visit(*first, after)?;
        }

        passed.insert(after, before);
    }

    Some(())
}

/// Looks where an attachment of BASE and one of HEAD meet; `None` once the budget is spent.
fn look_at_pair(search: &mut Search<'_, '_>, old: Rank, new: Rank) -> Option<()> {
    if !search.eval.budget.spend(4) {
        search.note_skipped("the order of pipelines".to_owned());
        return None;
    }

    let world = search.eval.world;
    let (a, b) = (
        search.side_at(BASE)?.givens.get(old as usize)?,
        search.side_at(HEAD)?.givens.get(new as usize)?,
    );
    let pipe = |profile| {
        world
            .pipe_of(profile)
            .and_then(|pipe| Some((pipe, world.pipes.value_of(pipe)?)))
    };

    let (Some((x, one)), Some((y, two))) = (pipe(a.profile), pipe(b.profile)) else {
        return Some(());
    };

    search
        .eval
        .budget
        .spend(a.zone.count_points().min(b.zone.count_points()));
    if x == y || one.mode != two.mode || !a.zone.meets_zone(&b.zone) {
        return Some(());
    }

    for point in search.points_within(BASE, old, &Point::every_request()) {
        for both in search.points_within(HEAD, new, &point) {
            if search.look_at(&both, None).is_none() {
                let label = search.attachment_label(HEAD, new);
                search.note_skipped(label);
                if search.is_full() {
                    return None;
                }
            }
        }
    }

    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_places_is_a_pair() {
        let swapped = |both| {
            let mut pairs = Vec::new();
            for_each_swapped(both, |old, new| {
                pairs.push((old, new));
                Some(())
            });
            pairs
        };

        assert_eq!(swapped(vec![(0, 0), (1, 1), (2, 2)]), []);
        // Ranks 0, 1, 2 before are 2, 0, 1 after: the first fell behind both others.
        assert_eq!(swapped(vec![(0, 2), (1, 0), (2, 1)]), [(0, 0), (0, 1)]);
    }
}
