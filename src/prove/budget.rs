//! How much work an analysis may do. Counted in units, so that the same sets give the same answer on
//! every machine; a deadline, where one is set, is looked at rarely.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Units that a normal analysis never needs: some ten seconds of work.
const DEFAULT_UNITS: u64 = 2_000_000_000;
/// How many units pass between two looks at the clock.
const CLOCK_EVERY: u64 = 200_000;

/// A bound on work. A unit is about one comparison of patterns.
#[derive(Debug)]
pub struct Budget {
    left: Cell<u64>,
    until_clock: Cell<u64>,
    deadline: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::units(DEFAULT_UNITS)
    }
}

impl Budget {
    /// So many units of work.
    pub fn units(units: u64) -> Self {
        Self { left: Cell::new(units), until_clock: Cell::new(CLOCK_EVERY), deadline: None }
    }

    /// The default units, and no longer than `limit` from now.
    pub fn within(limit: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(limit), ..Self::default() }
    }

    /// Takes units; false once there are none left, or the deadline is past.
    pub(super) fn spend(&self, units: u64) -> bool {
        let left = self.left.get().saturating_sub(units);
        self.left.set(left);
        let until = self.until_clock.get();
        if units < until {
            self.until_clock.set(until - units);
        } else {
            self.until_clock.set(CLOCK_EVERY);
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.left.set(0);
            }
        }
        self.left.get() > 0
    }

    /// Whether nothing is left.
    pub(super) fn spent(&self) -> bool {
        self.left.get() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_run_out_and_stay_out() {
        let budget = Budget::units(3);
        assert!(budget.spend(2) && !budget.spent());
        assert!(!budget.spend(1) && budget.spent());
        assert!(!budget.spend(0));
    }

    #[test]
    fn a_deadline_is_seen_after_enough_units() {
        let budget = Budget::within(Duration::ZERO);
        assert!(budget.spend(1));
        assert!(!budget.spend(CLOCK_EVERY));
    }
}
