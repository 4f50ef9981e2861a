//! The rules of a set: what documents must mean together. One file a rule.
//!
//! A rule reads the [`DraftSet`] and adds findings; it never reads another rule's findings, so the order
//! of this list has no meaning.

use super::{DraftSet, Levels};
use crate::document::{Finding, Rule};

/// A rule and the function that looks for breaches of it.
pub struct SetRule {
    /// What it is.
    pub rule: &'static Rule,
    /// Adds a finding for each breach.
    pub check: fn(&DraftSet<'_>, &mut Vec<Finding>),
}

/// Every rule of the set, by code.
pub const ALL: &[SetRule] = &[];

/// Judges a draft by every rule.
pub(super) fn judge(draft: &DraftSet<'_>, findings: &mut Vec<Finding>) {
    for rule in ALL {
        (rule.check)(draft, findings);
    }
}

/// Every rule that a finding of `validate` can have: of form, then of the set.
pub fn all() -> Vec<&'static Rule> {
    crate::document::rules::ALL.iter().copied().chain(ALL.iter().map(|r| r.rule)).collect()
}

/// The levels that refguard.yaml sets; what cannot be set is left to the rule `bad-settings`.
pub(super) fn settings_levels(draft: &DraftSet<'_>) -> Levels {
    let rules = all();
    let mut levels = Levels::default();
    for (name, level) in draft.repository.iter().filter_map(|item| item.raw.rules.as_ref()).flat_map(|rules| &rules.0) {
        let _ = levels.set(&rules, name, level.value);
    }
    levels
}
