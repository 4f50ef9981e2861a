//! Results of policy tests: for a person, as JUnit, as GitHub annotations.

use std::collections::BTreeMap;

use refguard_core::document::Severity;
use refguard_core::resolve::{CoverageItem, CoverageKind, CoverageReport};

use super::distinct::DistinctNames;
use super::escape::{escape_terminal, escape_xml};
use super::failures::{Failure, group_failures};
use super::github::{Annotation, escape_clipped, write_annotations};
use super::resolution::{Paint, format_explanation};
use super::table::format_table;
use super::{Style, from_the_top};
use crate::ops::{CaseReport, TestReport};

/// Failures with their differences and what came near; a line for the rest.
pub fn tests_human(report: &TestReport, style: Style) -> String {
    let paint = Paint(style);
    let mut text = String::new();
    for failure in group_failures(&report.cases) {
        text.push_str(&format_failure(&failure, &paint));
        text.push('\n');
    }
    if let Some(coverage) = &report.coverage {
        text.push_str(&coverage_human(coverage, style));
    }
    let word = if report.failed > 0 {
        paint.bad("failed")
    } else {
        paint.good("ok")
    };
    text.push_str(&format!(
        "{word}: {} passed, {} failed\n",
        report.passed, report.failed
    ));
    text
}

/// One cause: whose cases it fails, the first of them with its difference and what came near.
fn format_failure(failure: &Failure<'_>, paint: &Paint) -> String {
    let case = failure.first;
    let name = format!(
        "{}: {}",
        escape_terminal(&case.test),
        escape_terminal(&case.case)
    );
    let place = format!("{}:{}", escape_terminal(&case.file), case.line);
    let mut text = format!("{} {name}\n  --> {place}\n", paint.bad("failed"));
    for difference in &case.differences {
        text.push_str(&format!("  {}\n", escape_terminal(difference)));
    }
    if failure.count > 1 {
        let whose = failure.whose(&|name| format!("`{}`", escape_terminal(name)));
        let alike = if failure.is_alike {
            "fail alike"
        } else {
            "fail, not all of them alike"
        };
        text.push_str(&format!("  {whose} {alike} (--format json has each)\n"));
    }
    for line in format_explanation(&case.near, paint).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// What no case exercises, as a table, then the sum.
fn coverage_human(coverage: &CoverageReport, style: Style) -> String {
    let row = |item: &CoverageItem| {
        let kind = match item.kind {
            CoverageKind::Attachment => "attachment",
            CoverageKind::Condition => "condition",
            CoverageKind::Remove => "remove",
            CoverageKind::Pipeline => "pipeline",
        };
        vec![
            kind.to_owned(),
            item.policy.clone(),
            item.detail.clone(),
            format!("{}:{}", item.file, item.line),
        ]
    };
    let missing: Vec<Vec<String>> = coverage
        .items
        .iter()
        .filter(|item| !item.covered)
        .map(row)
        .collect();
    let mut text = String::new();
    if !missing.is_empty() {
        text.push_str("no case exercises:\n");
        text.push_str(&format_table(
            &["what", "policy", "which", "place"],
            &missing,
            style,
        ));
    }
    text.push_str(&format!(
        "coverage: {} of {} ({}%)\n",
        coverage.covered, coverage.total, coverage.percent
    ));
    text
}

/// JUnit XML in the dialect that Jenkins publishes a schema for: one suite a test document, one
/// case a case. Names that are equal are told apart by a number: readers keep one case a name.
pub fn tests_junit(report: &TestReport) -> String {
    let mut suites: BTreeMap<(&str, &str), Vec<&CaseReport>> = BTreeMap::new();
    for case in &report.cases {
        suites
            .entry((&case.file, &case.test))
            .or_default()
            .push(case);
    }

    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str(&format!(
        "<testsuites name=\"refguard test\" {}>\n",
        junit_counts(report.cases.len(), report.failed)
    ));
    let mut suite_names = DistinctNames::default();
    let mut case_names: BTreeMap<&str, DistinctNames> = BTreeMap::new();
    for ((file, test), cases) in suites {
        let failed = cases.iter().filter(|case| !case.ok).count();
        text.push_str(&format!(
            "  <testsuite name=\"{}\" {} skipped=\"0\">\n",
            suite_names.distinguish(plain_xml(test)),
            junit_counts(cases.len(), failed)
        ));
        let names = case_names.entry(file).or_default();
        for case in cases {
            push_junit_case(&mut text, case, names);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn push_junit_case(out: &mut String, case: &CaseReport, names: &mut DistinctNames) {
    let (name, file) = (
        names.distinguish(plain_xml(&case.case)),
        plain_xml(&case.file),
    );
    out.push_str(&format!(
        "    <testcase name=\"{name}\" classname=\"{file}\""
    ));
    if case.ok {
        out.push_str("/>\n");
        return;
    }
    let message = plain_xml(&case.differences.join("; "));
    let place = format!("{file}:{}", case.line);
    out.push_str(&format!(
        ">\n      <failure message=\"{message}\" type=\"policy test\">{place}</failure>\n"
    ));
    out.push_str("    </testcase>\n");
}

fn junit_counts(tests: usize, failures: usize) -> String {
    format!(r#"tests="{tests}" failures="{failures}" errors="0""#)
}

fn plain_xml(text: &str) -> String {
    escape_xml(&escape_terminal(text))
}

/// An annotation for each cause that cases fail by, and a line for each failed case; `prefix`: the
/// folder of the policies within its git repository.
pub fn tests_github(report: &TestReport, prefix: &str) -> String {
    let failed = report.cases.iter().filter(|case| !case.ok);
    let lines: Vec<Annotation<'_>> = failed.map(|case| annotate_case(case, prefix)).collect();
    let failures = group_failures(&report.cases);
    let annotations = failures.iter().map(|failure| {
        let mut annotation = annotate_case(failure.first, prefix);
        if failure.count > 1 {
            let whose = failure.whose(&|name| format!("`{name}`"));
            let alike = if failure.is_alike {
                "fail alike"
            } else {
                "fail, not all of them alike"
            };
            annotation
                .message
                .push(escape_clipped(&format!("{whose} {alike}")));
        }
        annotation
    });
    let annotations: Vec<Annotation<'_>> = annotations.collect();
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = write_annotations(&annotations, &lines, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn annotate_case<'r>(case: &'r CaseReport, prefix: &str) -> Annotation<'r> {
    let name = format!("{}: {}", case.test, case.case);
    let lines = std::iter::once(&name).chain(&case.differences);
    Annotation {
        severity: Severity::Error,
        file: from_the_top(prefix, &case.file),
        lines: format!("line={}", case.line),
        place: case.line.to_string(),
        title: "policy test failed".to_owned(),
        message: lines.map(|line| escape_clipped(line)).collect(),
    }
}
