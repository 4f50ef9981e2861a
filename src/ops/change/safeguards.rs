//! The gate *safeguards*: whether a promotion takes away what keeps the set honest.
//!
//! The comparison itself is the core's. Here the globs of the settings meet it, and its losses
//! become words of a gate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::document::GateLevel;
use refguard_core::policy::PolicySet;
use refguard_core::prove::Budget;
use refguard_core::safeguards::{SafeguardChange, SafeguardDiff, compare_safeguards};

use crate::ops::EnvironmentState;
use crate::ops::change::gates::{GateWord, Lowered, Says, Verdict};
use crate::ops::change::weaken::{TimeBox, budget_within};
use crate::ops::source::filter::Filter;
use crate::repo::Allow;

/// The name of the gate, as in settings, flags and trailers.
const GATE: &str = "safeguards";

/// Time for the comparison of invariants. What is not finished by then counts as lost.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The share of an answer's time after which the comparison has to end.
const SAFEGUARDS_END: f64 = 0.9;

/// What a change does to the safeguards of a set.
///
/// # Errors
/// Where a glob of the settings cannot be read; a set that is valid has none.
pub fn safeguards_between(
    before: &PolicySet,
    after: &PolicySet,
    now: Timestamp,
) -> Result<SafeguardDiff> {
    compare_within(before, after, now, &budget_within(TIME_LIMIT))
}

fn compare_within(
    before: &PolicySet,
    after: &PolicySet,
    now: Timestamp,
    budget: &Budget,
) -> Result<SafeguardDiff> {
    let filter = Filter::of_settings(&after.settings)?;
    let is_read = |path: &str| filter.admits(path);
    Ok(compare_safeguards(before, after, &is_read, now, budget))
}

/// The comparisons that were made for one answer. A gate and a report ask for the same two sets;
/// they are compared once.
#[derive(Debug, Default)]
pub struct SafeguardComparisons {
    made: Vec<Comparison>,
    /// The time of the whole answer, where it is bounded.
    time: Option<TimeBox>,
}

#[derive(Debug)]
struct Comparison {
    before: Arc<PolicySet>,
    after: Arc<PolicySet>,
    diff: SafeguardDiff,
}

impl SafeguardComparisons {
    /// Comparisons of an answer that may take so long.
    pub fn within(time: TimeBox) -> Self {
        Self {
            made: Vec::new(),
            time: Some(time),
        }
    }

    /// The budget of what must end when a share of the answer's time is over.
    pub fn budget_until(&self, share: f64) -> Budget {
        match &self.time {
            Some(time) => time.budget_until(share),
            None => budget_within(TIME_LIMIT),
        }
    }

    /// What a change does to the safeguards of a set, worked out at the first call for these two.
    ///
    /// # Errors
    /// As [`safeguards_between`].
    pub fn compare_sides(
        &mut self,
        before: &Arc<PolicySet>,
        after: &Arc<PolicySet>,
        now: Timestamp,
    ) -> Result<SafeguardDiff> {
        if let Some(diff) = self.find_comparison(before, after) {
            return Ok(diff.clone());
        }

        let budget = self.budget_until(SAFEGUARDS_END);
        let diff = compare_within(before, after, now, &budget)?;
        self.made.push(Comparison {
            before: before.clone(),
            after: after.clone(),
            diff: diff.clone(),
        });
        Ok(diff)
    }

    /// The comparison of these two sets, if it was made.
    pub fn find_comparison(
        &self,
        before: &Arc<PolicySet>,
        after: &Arc<PolicySet>,
    ) -> Option<&SafeguardDiff> {
        let is_same =
            |one: &&Comparison| Arc::ptr_eq(&one.before, before) && Arc::ptr_eq(&one.after, after);
        self.made
            .iter()
            .find(is_same)
            .map(|comparison| &comparison.diff)
    }
}

/// Asks the gate: as loud as the settings of the environment say, and recorded where a flag passes
/// it.
pub(in crate::ops) fn ask_gate(
    environment: &EnvironmentState,
    before: Option<&Arc<PolicySet>>,
    after: &Arc<PolicySet>,
    now: Timestamp,
    lowered: &Lowered,
    comparisons: &mut SafeguardComparisons,
    verdict: &mut Verdict,
) -> Result<()> {
    let level = environment.settings.safeguards;
    if level == GateLevel::Off {
        return Ok(());
    }

    let lost = match before {
        Some(before) => comparisons
            .compare_sides(before, after, now)?
            .lost
            .iter()
            .map(loss_of)
            .collect(),
        // Nothing was there, so nothing can be lost.
        None if environment.ledger.tip.is_none() => Vec::new(),
        None => vec![Loss {
            message:
                "what the environment has now is not valid, so a loss of safeguards cannot be \
                      ruled out"
                    .to_owned(),
            file: None,
            line: None,
            is_open: false,
        }],
    };
    if lost.is_empty() {
        return Ok(());
    }

    let says = match (level, &lowered.safeguards) {
        (GateLevel::Refuse, None) => Says::Refused,
        (GateLevel::Refuse, Some(reason)) => {
            verdict.allow.push(Allow {
                gate: GATE.to_owned(),
                reason: reason.clone(),
            });
            Says::Allowed
        }
        (GateLevel::Warn | GateLevel::Off, _) => Says::Warned,
    };
    // An answer that bounds the time of its comparisons is no promotion: that decides.
    let is_preview = comparisons.time.is_some();
    let words = lost.into_iter().map(
        |Loss {
             message,
             file,
             line,
             is_open,
         }| GateWord {
            gate: GATE,
            says: match says {
                Says::Refused if is_open && is_preview => Says::Undecided,
                says => says,
            },
            message,
            file,
            line,
        },
    );
    verdict.words.extend(words);
    Ok(())
}

/// One reason for the gate to speak.
struct Loss {
    message: String,
    file: Option<String>,
    line: Option<u32>,
    is_open: bool,
}

fn loss_of(change: &SafeguardChange) -> Loss {
    Loss {
        message: change.sentence(),
        file: change.file.clone(),
        line: change.line,
        is_open: change.is_open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_are_compared_once() {
        let (before, after) = (
            Arc::new(PolicySet::default()),
            Arc::new(PolicySet::default()),
        );
        let mut comparisons = SafeguardComparisons::default();
        for _ in 0..2 {
            assert!(
                comparisons
                    .compare_sides(&before, &after, Timestamp::UNIX_EPOCH)
                    .unwrap()
                    .is_empty()
            );
        }

        assert_eq!(comparisons.made.len(), 1);
        assert!(comparisons.find_comparison(&before, &after).is_some());
        assert!(comparisons.find_comparison(&after, &before).is_none());
    }
}
