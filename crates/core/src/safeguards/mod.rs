//! What a change does to the safeguards of a set: to what keeps it honest, rather than to what
//! requests get.
//!
//! A safeguard is an invariant, a test, the setting of a gate or of a rule, or a list of the
//! catalog. Policies that lose protection are found by `prove`; a change that removes the invariant
//! that would have shown the loss is found here. A pure function of two sets. Must not know git,
//! YAML, HTTP or the terminal.

mod cases;
mod invariants;
mod model;
mod settings;

use jiff::Timestamp;

use crate::policy::PolicySet;
use crate::prove::Budget;

pub use model::{SafeguardChange, SafeguardDiff, SafeguardKind};

/// Compares the safeguards of two sets. What cannot be shown to be kept within the budget counts as
/// lost.
///
/// `is_read` tells whether HEAD's `include` and `exclude` let a path be read: globs are the
/// caller's. What is over by `now` is no longer a safeguard.
pub fn compare_safeguards(
    base: &PolicySet,
    head: &PolicySet,
    is_read: &dyn Fn(&str) -> bool,
    now: Timestamp,
    budget: &Budget,
) -> SafeguardDiff {
    let mut diff = SafeguardDiff::default();

    invariants::compare_invariants(base, head, budget, &mut diff);
    cases::compare_cases(&base.tests, &head.tests, &mut diff);
    settings::compare_settings(&base.settings, &head.settings, now, &mut diff);
    settings::compare_files(base, head, is_read, &mut diff);
    settings::compare_catalogs(&base.catalog, &head.catalog, &mut diff);
    settings::compare_guardrails(&base.catalog, &head.catalog, &mut diff);
    settings::compare_requestable(base, head, &mut diff);

    diff.lost.sort();
    diff.gained.sort();
    diff
}

#[cfg(test)]
mod tests;
