//! How often each request was seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::row::{Row, Seen, Unclear};

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    /// The log's name.
    pub log: Arc<str>,
    /// From 1.
    pub line: u64,
}

/// The requests of a log.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Rows that were looked at, unclear ones too.
    pub rows: u64,
    /// Rows that the selection passes over: older ones, or those of another set.
    pub passed: u64,
    /// How often each request was seen.
    pub requests: FxHashMap<Seen, u64>,
    /// How many rows do not tell their request, and the first of them.
    pub unclear: BTreeMap<Unclear, (u64, LogPlace)>,
}

impl Tally {
    /// Takes a row.
    pub fn add_row(&mut self, row: Row, place: impl FnOnce() -> LogPlace) {
        match row {
            Row::Passed => {
                self.passed += 1;
                return;
            }
            Row::Seen(seen) => *self.requests.entry(seen).or_default() += 1,
            Row::Unclear(why) => self.add_unclear(why, 1, place()),
        }

        self.rows += 1;
    }

    fn add_unclear(&mut self, why: Unclear, rows: u64, place: LogPlace) {
        let known = self
            .unclear
            .entry(why)
            .or_insert_with(|| (0, place.clone()));
        known.0 += rows;
        if place < known.1 {
            known.1 = place;
        }
    }

    /// The rows of both.
    #[must_use]
    pub fn merge_with(self, other: Self) -> Self {
        let (mut large, small) = match self.requests.len() < other.requests.len() {
            true => (other, self),
            false => (self, other),
        };

        large.rows += small.rows;
        large.passed += small.passed;
        for (seen, rows) in small.requests {
            *large.requests.entry(seen).or_default() += rows;
        }

        for (why, (rows, place)) in small.unclear {
            large.add_unclear(why, rows, place);
        }

        large
    }
}
