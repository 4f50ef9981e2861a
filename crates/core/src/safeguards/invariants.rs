//! Invariants: what BASE's invariants promised and HEAD's together do not.

use super::model::{SafeguardChange, SafeguardDiff, SafeguardKind};
use crate::policy::{Invariant, PolicySet};
use crate::prove::Budget;

/// Compares the invariants of two sets by what they promise, not by their names.
pub(super) fn compare_invariants(
    base: &PolicySet,
    head: &PolicySet,
    _budget: &Budget,
    diff: &mut SafeguardDiff,
) {
    let lost = base.invariants.iter().filter(|i| !head.invariants.iter().any(|j| same(i, j)));
    let _ = lost.clone().count();
    for invariant in lost {
        diff.note(true, change(invariant, "is gone"));
    }
}

fn same(a: &Invariant, b: &Invariant) -> bool {
    a.applies == b.applies && a.require == b.require
}

fn change(invariant: &Invariant, message: &str) -> SafeguardChange {
    SafeguardChange::new(
        SafeguardKind::Invariant,
        &*invariant.name,
        message,
        Some(&invariant.place),
    )
}
