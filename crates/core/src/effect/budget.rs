//! How much work an analysis may do. Counted in units, so that the same sets give the same answer
//! on every machine; a caller that has a clock can end it earlier, and is asked rarely.
//!
//! An analysis with several phases gives each a share, so that a long search leaves something for
//! telling what was found:
//!
//! ```text
//! 0 %            45 %          75 %             100 %
//! | search        | weakening   | describing     |
//! ```
//!
//! What one phase does not use is there for those after it.

use std::cell::Cell;
use std::fmt;

/// Units that a normal analysis never needs: some ten seconds of work.
const DEFAULT_UNITS: u64 = 2_000_000_000;
/// How many units pass between two questions to the caller.
const ASKED_EVERY: u64 = 20_000;

/// A bound on work. A unit is about one comparison of patterns.
pub struct Budget {
    units: u64,
    used: Cell<u64>,
    until_asked: Cell<u64>,
    /// The share that may be used by the end of the phase under way.
    phase_end: Cell<f64>,
    /// Where the part under way begins and ends: phases are shares of it.
    part: Cell<(f64, f64)>,
    is_spent: Cell<bool>,
    /// Whether some work was refused.
    has_run_out: Cell<bool>,
    /// The share of the caller's time that has passed.
    time_passed: Option<Box<dyn Fn() -> f64>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("used", &self.used.get())
            .finish_non_exhaustive()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::with_units(DEFAULT_UNITS)
    }
}

impl Budget {
    /// So many units of work.
    pub fn with_units(units: u64) -> Self {
        Self {
            units,
            used: Cell::new(0),
            until_asked: Cell::new(ASKED_EVERY),
            phase_end: Cell::new(1.0),
            part: Cell::new((0.0, 1.0)),
            is_spent: Cell::new(units == 0),
            has_run_out: Cell::new(false),
            time_passed: None,
        }
    }

    /// As long as the caller's time lasts: `time_passed` tells which share of it is over, 1 at its
    /// end.
    pub fn with_clock(time_passed: impl Fn() -> f64 + 'static) -> Self {
        Self {
            time_passed: Some(Box::new(time_passed)),
            ..Self::with_units(u64::MAX)
        }
    }

    /// Takes units; false once there are none left, or the phase is over.
    pub(crate) fn spend(&self, units: u64) -> bool {
        self.used.set(self.used.get().saturating_add(units));
        let until = self.until_asked.get();
        if units < until {
            self.until_asked.set(until - units);
        } else {
            self.until_asked.set(ASKED_EVERY);
            self.look_at_the_clock();
        }

        if self.used.get() >= self.phase_units() {
            self.is_spent.set(true);
        }

        !self.is_spent()
    }

    /// Whether nothing is left for the phase under way.
    pub(crate) fn is_spent(&self) -> bool {
        let is_spent = self.is_spent.get();
        if is_spent {
            self.has_run_out.set(true);
        }
        is_spent
    }

    /// Whether some phase ended before its work was done: a larger budget may find more.
    pub fn has_run_out(&self) -> bool {
        self.has_run_out.get()
    }

    /// Begins one of several analyses of the same kind: each has an equal part of the budget, and
    /// what those before it left.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a bound need not be exact"
    )]
    pub(crate) fn begin_part(&self, number: usize, of: usize) {
        let of = of.max(1) as f64;
        self.part
            .set((number as f64 / of, (number as f64 + 1.0) / of));
        self.begin_phase(1.0);
    }

    /// Begins a phase that ends when `share` of the part under way is used.
    pub(crate) fn begin_phase(&self, share: f64) {
        let (from, to) = self.part.get();
        self.phase_end.set(from + (to - from) * share);
        self.is_spent.set(self.used.get() >= self.phase_units());

        self.look_at_the_clock();
    }

    /// The units that were taken so far.
    #[cfg(test)]
    pub(crate) fn units_used(&self) -> u64 {
        self.used.get()
    }

    fn look_at_the_clock(&self) {
        if self
            .time_passed
            .as_ref()
            .is_some_and(|passed| passed() >= self.phase_end.get())
        {
            self.is_spent.set(true);
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a bound need not be exact"
    )]
    fn phase_units(&self) -> u64 {
        let share = self.phase_end.get();
        if share >= 1.0 {
            self.units
        } else {
            (self.units as f64 * share) as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_run_out_and_stay_out() {
        let budget = Budget::with_units(3);
        assert!(budget.spend(2) && !budget.is_spent());
        assert!(!budget.spend(1) && budget.is_spent());
        assert!(!budget.spend(0));

        assert!(Budget::with_units(0).is_spent());
    }

    #[test]
    fn the_end_is_seen_after_enough_units() {
        let budget = Budget::with_clock(|| 1.0);
        assert!(budget.spend(1));
        assert!(!budget.spend(ASKED_EVERY));
    }

    #[test]
    fn a_phase_leaves_the_rest_to_those_after_it() {
        let budget = Budget::with_units(100);
        budget.begin_phase(0.4);
        assert!(budget.spend(30) && !budget.spend(20));
        budget.begin_phase(1.0);
        assert!(budget.spend(40) && !budget.spend(20));
        let parts = Budget::with_units(100);
        parts.begin_part(0, 2);
        assert!(parts.spend(30) && !parts.spend(25));
        parts.begin_part(1, 2);
        parts.begin_phase(0.5);
        assert!(parts.spend(10) && !parts.spend(15));
        let late = Budget::with_clock(|| 0.5);
        late.begin_phase(0.4);
        assert!(late.is_spent());
        late.begin_phase(1.0);

        assert!(!late.is_spent());
        assert!(late.has_run_out() && !Budget::with_units(3).has_run_out());
    }
}
