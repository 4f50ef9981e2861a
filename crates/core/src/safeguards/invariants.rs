//! Invariants: what BASE's invariants promise and HEAD's together do not.
//!
//! They are compared by what they promise for every request, so that renaming, splitting and
//! merging them is no loss.

use std::sync::Arc;

use super::model::{SafeguardChange, SafeguardDiff, SafeguardKind};
use crate::policy::{Invariant, PolicySet};
use crate::prove::{Budget, LostInvariant, LostPromise, lost_invariants};

/// Compares the invariants of two sets. What the budget does not allow to be shown to be kept
/// counts as lost.
pub(super) fn compare_invariants(
    base: &PolicySet,
    head: &PolicySet,
    budget: &Budget,
    diff: &mut SafeguardDiff,
) {
    let catalogs = [&base.catalog, &head.catalog];
    for lost in lost_invariants(&base.invariants, &head.invariants, &catalogs, budget) {
        if let Some(invariant) = base.invariants.get(lost.index) {
            let change = SafeguardChange {
                is_open: lost.witness.is_none(),
                ..invariant_change(invariant, lost_words(&lost))
            };
            diff.note_change(true, change);
        }
    }

    // Only a request that shows it makes a gain: what the budget left open may be no gain at all.
    let gained = lost_invariants(&head.invariants, &base.invariants, &catalogs, budget);
    for gained in gained.iter().filter(|gained| gained.witness.is_some()) {
        if let Some(invariant) = head.invariants.get(gained.index) {
            diff.note_change(
                false,
                invariant_change(invariant, "promises more".to_owned()),
            );
        }
    }
}

fn lost_words(lost: &LostInvariant) -> String {
    let promise = match &lost.promise {
        LostPromise::Require(guardrail) => format!("`{guardrail}` is no longer required"),
        LostPromise::AnyOf(guardrails) => {
            format!("one of {} is no longer required", quoted_list(guardrails))
        }
        LostPromise::Forbid(guardrail) => format!("`{guardrail}` is no longer forbidden"),
    };

    match &lost.witness {
        Some(request) => format!(
            "is lost: {promise}, for example of {}",
            request.describe_values()
        ),
        None => format!("cannot be shown to be kept: {promise}, as far as the search went"),
    }
}

fn quoted_list(names: &[Arc<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn invariant_change(invariant: &Invariant, message: String) -> SafeguardChange {
    let place = Some(&invariant.place);
    SafeguardChange::new(SafeguardKind::Invariant, &*invariant.name, message, place)
}
