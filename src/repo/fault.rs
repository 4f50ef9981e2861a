//! Places where a test can stop the process or make a write fail. Outside tests nothing is set and
//! nothing happens.

use std::io;

use super::{GitEnv, RepoError};

/// The places, in the order in which a promotion passes them.
pub const FAULT_POINTS: [&str; 9] = [
    "before-tree",
    "after-tree",
    "before-commit-object",
    "after-commit-object",
    "before-push",
    "after-push",
    "before-ref",
    "ref-prepared",
    "after-ref",
];

/// Names the place at which the process aborts.
const CRASH: &str = "REFGUARD_TEST_CRASH_AT";
/// Names the place at which a write fails as on a full disk.
const FAIL: &str = "REFGUARD_TEST_FAIL_AT";

impl GitEnv {
    /// Passes a place where the next step may fail.
    pub(super) fn may_fail_before(&self, point: &'static str) -> Result<(), RepoError> {
        self.may_fail_after(point);
        if self.names_point(FAIL, point) {
            return Err(RepoError::io_error("write", point)(
                io::ErrorKind::StorageFull.into(),
            ));
        }
        Ok(())
    }

    /// Passes a place where a step has just succeeded.
    pub(super) fn may_fail_after(&self, point: &'static str) {
        debug_assert!(FAULT_POINTS.contains(&point));
        if self.names_point(CRASH, point) {
            std::process::abort();
        }
    }

    fn names_point(&self, variable: &str, point: &str) -> bool {
        self.get(variable).is_some_and(|value| value == point)
    }
}
