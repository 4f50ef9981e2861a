//! Failed cases put together by what made them fail: a matrix of twenty cases that fail alike is
//! one entry.

use std::collections::{BTreeMap, BTreeSet};

use crate::ops::CaseReport;

/// Cases that failed for one cause.
pub(super) struct Failure<'r> {
    /// The first of them.
    pub first: &'r CaseReport,
    /// How many they are.
    pub count: usize,
    /// Each test that they are of, with how many of its cases failed so and how many it has.
    pub tests: Vec<(&'r str, usize, usize)>,
    /// Whether all of them differ in the same way.
    pub is_alike: bool,
}

/// The failed cases by cause, in the order of the first of each. Cases of one matrix are together,
/// and so are cases that get the same wrong.
pub(super) fn group_failures(cases: &[CaseReport]) -> Vec<Failure<'_>> {
    let mut totals: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut places: BTreeMap<(&str, u32), Vec<&CaseReport>> = BTreeMap::new();
    for case in cases {
        *totals.entry((&case.file, &case.test)).or_default() += 1;
        if !case.ok {
            places
                .entry((&case.file, case.line))
                .or_default()
                .push(case);
        }
    }

    let mut order: Vec<Vec<&CaseReport>> = Vec::new();
    let mut alike: BTreeMap<&[String], usize> = BTreeMap::new();
    for cases in places.into_values() {
        let Some(first) = cases.first() else { continue };
        let is_alike = cases
            .iter()
            .all(|case| case.differences == first.differences);
        let known = alike.get(first.differences.as_slice()).filter(|_| is_alike);
        match known.and_then(|at| order.get_mut(*at)) {
            Some(group) => group.extend(cases),
            None => {
                if is_alike {
                    alike.insert(&first.differences, order.len());
                }
                order.push(cases);
            }
        }
    }
    order
        .into_iter()
        .filter_map(|cases| Failure::of(cases, &totals))
        .collect()
}

impl<'r> Failure<'r> {
    fn of(cases: Vec<&'r CaseReport>, totals: &BTreeMap<(&str, &str), usize>) -> Option<Self> {
        let first = *cases.first()?;
        let is_alike = cases
            .iter()
            .all(|case| case.differences == first.differences);
        let named: BTreeSet<(&str, &str)> = cases
            .iter()
            .map(|case| (&*case.file, &*case.test))
            .collect();
        let tests = named.into_iter().map(|of| {
            let failed = cases
                .iter()
                .filter(|case| (&*case.file, &*case.test) == of)
                .count();
            (of.1, failed, totals.get(&of).copied().unwrap_or(failed))
        });
        let tests = tests.collect();
        Some(Self {
            first,
            count: cases.len(),
            tests,
            is_alike,
        })
    }

    /// ``20 of 20 cases of `matrix-eu` ``; of more than three tests the first are named.
    pub fn whose(&self, code: &dyn Fn(&str) -> String) -> String {
        const SHOWN: usize = 3;
        let tests = self.tests.iter().take(SHOWN);
        let mut words: Vec<String> = tests
            .map(|(test, failed, of)| {
                format!(
                    "{failed} of {} of {}",
                    super::count(*of, "case", "cases"),
                    code(test)
                )
            })
            .collect();
        let more = self.tests.len().saturating_sub(SHOWN);
        if more > 0 {
            words.push(format!("{more} more tests"));
        }
        words.join(", ")
    }
}
