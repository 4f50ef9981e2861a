//! Results of policy tests: for a person, as JUnit, as GitHub annotations.

use std::collections::BTreeMap;

use refguard_core::resolve::{CoverageItem, CoverageKind, CoverageReport};

use super::escape::{annotation_message, annotation_property, escape_terminal, xml};
use super::resolution::{Paint, explanation};
use super::table::format_table;
use super::{Style, from_the_top};
use crate::ops::{CaseReport, TestReport};

/// Failures with their differences and what came near; a line for the rest.
pub fn tests_human(report: &TestReport, style: Style) -> String {
    let paint = Paint(style);
    let mut text = String::new();
    for case in report.cases.iter().filter(|case| !case.ok) {
        let name = format!("{}: {}", escape_terminal(&case.test), escape_terminal(&case.case));
        text.push_str(&format!(
            "{} {name}\n  --> {}:{}\n",
            paint.bad("failed"),
            escape_terminal(&case.file),
            case.line
        ));
        for difference in &case.differences {
            text.push_str(&format!("  {}\n", escape_terminal(difference)));
        }
        for line in explanation(&case.near, &paint).lines() {
            text.push_str(&format!("  {line}\n"));
        }
        text.push('\n');
    }
    if let Some(coverage) = &report.coverage {
        text.push_str(&coverage_human(coverage));
    }
    let word = if report.failed > 0 { paint.bad("failed") } else { paint.good("ok") };
    text.push_str(&format!("{word}: {} passed, {} failed\n", report.passed, report.failed));
    text
}

/// What no case exercises, as a table, then the sum.
fn coverage_human(coverage: &CoverageReport) -> String {
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
    let missing: Vec<Vec<String>> =
        coverage.items.iter().filter(|item| !item.covered).map(row).collect();
    let mut text = String::new();
    if !missing.is_empty() {
        text.push_str("no case exercises:\n");
        text.push_str(&format_table(&["what", "policy", "which", "place"], &missing));
    }
    text.push_str(&format!(
        "coverage: {} of {} ({}%)\n",
        coverage.covered, coverage.total, coverage.percent
    ));
    text
}

/// JUnit XML in the dialect that Jenkins publishes a schema for: one suite a test document, one
/// case a case.
pub fn tests_junit(report: &TestReport) -> String {
    let mut suites: BTreeMap<(&str, &str), Vec<&CaseReport>> = BTreeMap::new();
    for case in &report.cases {
        suites.entry((&case.file, &case.test)).or_default().push(case);
    }
    let counts = |tests: usize, failures: usize| {
        format!(r#"tests="{tests}" failures="{failures}" errors="0""#)
    };
    let plain = |text: &str| xml(&escape_terminal(text));
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str(&format!(
        "<testsuites name=\"refguard test\" {}>\n",
        counts(report.cases.len(), report.failed)
    ));
    for ((file, test), cases) in suites {
        let failed = cases.iter().filter(|case| !case.ok).count();
        text.push_str(&format!(
            "  <testsuite name=\"{}\" {} skipped=\"0\">\n",
            plain(test),
            counts(cases.len(), failed)
        ));
        for case in cases {
            text.push_str(&format!(
                "    <testcase name=\"{}\" classname=\"{}\"",
                plain(&case.case),
                plain(file)
            ));
            if case.ok {
                text.push_str("/>\n");
            } else {
                let message = plain(&case.differences.join("; "));
                let place = format!("{}:{}", plain(file), case.line);
                text.push_str(&format!(
                    ">\n      <failure message=\"{message}\" type=\"policy test\">{place}</failure>\n    </testcase>\n"
                ));
            }
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// An annotation for each failed case; `prefix`: the folder of the policies within its git
/// repository.
pub fn tests_github(report: &TestReport, prefix: &str) -> String {
    let line = |case: &CaseReport| {
        let name = format!("{}: {}", case.test, case.case);
        let lines = std::iter::once(&name)
            .chain(&case.differences)
            .map(|line| escape_terminal(line).into_owned());
        let message = annotation_message(&lines.collect::<Vec<_>>().join("\n"));
        let file = annotation_property(&escape_terminal(&from_the_top(prefix, &case.file)));
        format!("::error file={file},line={},title=policy test failed::{message}\n", case.line)
    };
    report.cases.iter().filter(|case| !case.ok).map(line).collect()
}
