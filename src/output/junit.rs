//! JUnit XML in the dialect that Jenkins publishes a schema for: one suite, a test case a file with
//! findings. Errors are its failure, warnings its output.
//!
//! Written by hand: the elements are five, and that schema, which Jenkins enforces, allows only
//! some of the attributes that JUnit writers add.

use std::fmt::Write as _;
use std::io;

use refguard_core::document::Finding;
use rustc_hash::FxHashMap;

use super::escape::{escape_terminal, escape_xml};
use super::{Report, Style};

pub(super) fn render(report: &Report<'_>, _: Style, out: &mut dyn io::Write) -> io::Result<()> {
    let cases = group_by_file(report.findings);
    let failures = cases
        .iter()
        .filter(|case| case.findings.iter().any(|finding| finding.is_error()))
        .count();
    let counts = format!(
        r#"tests="{}" failures="{failures}" errors="0""#,
        cases.len().max(1)
    );
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="refguard" {counts}>"#)?;
    writeln!(
        out,
        r#"  <testsuite name="refguard validate" {counts} skipped="0">"#
    )?;
    if cases.is_empty() {
        writeln!(
            out,
            r#"    <testcase name="all policies" classname="refguard"/>"#
        )?;
    }
    for case in &cases {
        write_case(case, out)?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

/// A file and what was found in it.
struct Case<'a> {
    file: &'a str,
    findings: Vec<&'a Finding>,
}

fn group_by_file(findings: &[Finding]) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut index: FxHashMap<&str, usize> = FxHashMap::default();
    for finding in findings {
        let file = &*finding.location.file;
        let at = *index.entry(file).or_insert(cases.len());
        match cases.get_mut(at) {
            Some(case) => case.findings.push(finding),
            None => cases.push(Case {
                file,
                findings: vec![finding],
            }),
        }
    }
    cases
}

fn write_case(case: &Case<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (errors, warnings): (Vec<&Finding>, Vec<&Finding>) =
        case.findings.iter().partition(|finding| finding.is_error());
    writeln!(
        out,
        r#"    <testcase name="{}" classname="refguard">"#,
        escape_xml(&escape_terminal(case.file))
    )?;
    if let Some(first) = errors.first() {
        let (message, code) = (
            escape_xml(&escape_terminal(&first.message)),
            first.rule.code,
        );
        writeln!(
            out,
            r#"      <failure message="{message}" type="{code}">{}</failure>"#,
            list_findings(&errors)
        )?;
    }
    if !warnings.is_empty() {
        writeln!(
            out,
            "      <system-out>{}</system-out>",
            list_findings(&warnings)
        )?;
    }
    writeln!(out, "    </testcase>")
}

fn list_findings(findings: &[&Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let _ = writeln!(text, "{}", escape_terminal(&finding.to_string()));
        if let Some(help) = &finding.help {
            let _ = writeln!(text, "  help: {}", escape_terminal(help));
        }
        for related in &finding.related {
            let place = &related.location;
            let place = format!("{}:{}:{}", place.file, place.line, place.column);
            let _ = writeln!(
                text,
                "  {}: {}",
                escape_terminal(&place),
                escape_terminal(&related.message)
            );
        }
    }
    escape_xml(text.trim_end())
}
