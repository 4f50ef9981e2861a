//! The review for programs, version 1, in the order of all forms.

use jiff::Timestamp;
use refguard_core::diff::DiffReport;
use refguard_core::prove::Impact;
use refguard_core::questions::ShiftRow;
use refguard_core::resolve::CoverageItem;
use refguard_core::safeguards::SafeguardDiff;
use refguard_core::traffic::Replay;
use serde::Serialize;

use crate::ops::{
    CaseReport, ComingVersion, ComingVersions, Foreseen, Owner, Review, ReviewedTests,
};
use crate::output::json::{JsonFinding, finding_object};

/// The JSON object of `review`.
#[derive(Serialize)]
pub struct ReviewObject<'r> {
    version: u32,
    /// The verdict in one line.
    verdict: String,
    base: &'r str,
    base_commit: String,
    head: &'r str,
    /// Whether the set after has an error or a failed test.
    faulty: bool,
    /// Who loses and gains what; null where one of the sets is not valid.
    names: Option<Names<'r>>,
    safeguards: Option<&'r SafeguardDiff>,
    findings: Findings<'r>,
    tests: Option<Tests<'r>>,
    environments: &'r [Foreseen],
    owners: &'r [Owner],
    versions: Option<&'r [ComingVersion]>,
    coverage: Option<Coverage<'r>>,
    diff: Option<DiffReport<'r>>,
    impact: Option<&'r Impact>,
    /// What the change would have done to the requests of logs; null: none were given.
    replay: Option<&'r Replay>,
}

#[derive(Serialize)]
struct Names<'r> {
    /// How many teams and models the catalogs name.
    teams: usize,
    models: usize,
    rows: Vec<NamesRow<'r>>,
    /// Why not every name was asked; null: each was.
    left_out: Option<&'r str>,
}

#[derive(Serialize)]
struct NamesRow<'r> {
    /// From when on; absent: from the instant that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    /// Until when; absent: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Names of the catalog; empty: as the region says.
    teams: &'r [String],
    models: &'r [String],
    /// Indexes of `impact.regions`: what says teams or models that no catalog names, and what the
    /// requests have besides.
    region: Option<usize>,
    rest: Option<usize>,
    lost: &'r [String],
    gained: &'r [String],
}

#[derive(Serialize)]
struct Findings<'r> {
    new: Vec<JsonFinding<'r>>,
    gone: usize,
    errors: usize,
    warnings: usize,
    errors_in_head: usize,
}

#[derive(Serialize)]
struct Tests<'r> {
    passed: usize,
    failed: usize,
    cases: Vec<&'r CaseReport>,
    base: Option<Counted>,
}

#[derive(Serialize)]
struct Counted {
    passed: usize,
    failed: usize,
}

#[derive(Serialize)]
struct Coverage<'r> {
    base: Option<f64>,
    head: f64,
    uncovered: &'r [CoverageItem],
}

/// The review for programs.
pub fn review_object(review: &Review) -> ReviewObject<'_> {
    let (errors, warnings) = super::new_findings(review);
    let names = review.shift.as_ref().map(|shift| Names {
        teams: shift.teams,
        models: shift.models,
        rows: shift.rows.iter().map(names_row).collect(),
        left_out: shift.left_out.as_deref(),
    });
    ReviewObject {
        version: 1,
        verdict: super::verdict_line(review),
        base: &review.base,
        base_commit: review.base_commit.to_string(),
        head: &review.head,
        faulty: review.is_faulty(),
        names,
        safeguards: review.safeguards.as_ref(),
        findings: Findings {
            new: review.new.iter().map(finding_object).collect(),
            gone: review.gone,
            errors,
            warnings,
            errors_in_head: review.errors,
        },
        tests: review.tests.as_ref().map(tests_object),
        environments: &review.environments,
        owners: &review.owners,
        versions: match &review.versions {
            ComingVersions::Known(versions) => Some(versions),
            ComingVersions::Unknown(_) => None,
        },
        coverage: review.tests.as_ref().and_then(coverage_object),
        diff: review
            .diff
            .as_ref()
            .map(|diff| DiffReport::new(&review.base, &review.head, diff)),
        impact: review.impact.as_ref(),
        replay: review.replay.as_ref(),
    }
}

fn names_row(row: &ShiftRow) -> NamesRow<'_> {
    let ShiftRow {
        at,
        until,
        teams,
        models,
        region,
        rest,
        lost,
        gained,
    } = row;
    let (at, until, region, rest) = (*at, *until, *region, *rest);
    NamesRow {
        at,
        until,
        teams,
        models,
        region,
        rest,
        lost,
        gained,
    }
}

fn tests_object(tests: &ReviewedTests) -> Tests<'_> {
    let report = &tests.report;
    Tests {
        passed: report.passed,
        failed: report.failed,
        cases: report.cases.iter().filter(|case| !case.ok).collect(),
        base: tests
            .base
            .map(|(passed, failed)| Counted { passed, failed }),
    }
}

fn coverage_object(tests: &ReviewedTests) -> Option<Coverage<'_>> {
    let head = tests.report.coverage.as_ref()?;
    Some(Coverage {
        base: tests.base_coverage,
        head: head.percent,
        uncovered: &tests.uncovered,
    })
}
