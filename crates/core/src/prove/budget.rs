//! How much work an analysis may do. Counted in units, so that the same sets give the same answer on
//! every machine; a caller that has a clock can end it earlier, and is asked rarely.

use std::cell::Cell;
use std::fmt;

/// Units that a normal analysis never needs: some ten seconds of work.
const DEFAULT_UNITS: u64 = 2_000_000_000;
/// How many units pass between two questions to the caller.
const ASKED_EVERY: u64 = 200_000;

/// A bound on work. A unit is about one comparison of patterns.
pub struct Budget {
    left: Cell<u64>,
    until_asked: Cell<u64>,
    is_over: Option<Box<dyn Fn() -> bool>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("left", &self.left.get()).finish_non_exhaustive()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::units(DEFAULT_UNITS)
    }
}

impl Budget {
    /// So many units of work.
    pub fn units(units: u64) -> Self {
        Self { left: Cell::new(units), until_asked: Cell::new(ASKED_EVERY), is_over: None }
    }

    /// The default units, and no longer than until `is_over` says so.
    pub fn until(is_over: impl Fn() -> bool + 'static) -> Self {
        Self { is_over: Some(Box::new(is_over)), ..Self::default() }
    }

    /// Takes units; false once there are none left, or the caller's time is over.
    pub(super) fn spend(&self, units: u64) -> bool {
        let left = self.left.get().saturating_sub(units);
        self.left.set(left);
        let until = self.until_asked.get();
        if units < until {
            self.until_asked.set(until - units);
        } else {
            self.until_asked.set(ASKED_EVERY);
            if self.is_over.as_ref().is_some_and(|is_over| is_over()) {
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
    fn the_end_is_seen_after_enough_units() {
        let budget = Budget::until(|| true);
        assert!(budget.spend(1));
        assert!(!budget.spend(ASKED_EVERY));
    }
}
