//! refguard's own JSON, version 1: fields may be added, never renamed.

use std::io;

use refguard_core::document::{Finding, Related};
use serde::Serialize;

use super::escape::json_text;
use super::{Report, Style};

#[derive(Serialize)]
struct JsonReport<'a> {
    version: u32,
    findings: Vec<JsonFinding<'a>>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
pub(super) struct JsonFinding<'a> {
    code: &'a str,
    rule: &'a str,
    severity: &'a str,
    message: &'a str,
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    help: Option<&'a str>,
    related: Vec<JsonRelated<'a>>,
}

#[derive(Serialize)]
struct JsonRelated<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
}

pub(super) fn render(report: &Report<'_>, _: Style, out: &mut dyn io::Write) -> io::Result<()> {
    let json = JsonReport {
        version: 1,
        findings: report.findings.iter().map(finding_object).collect(),
        errors: report.errors(),
        warnings: report.warnings(),
    };
    writeln!(out, "{}", json_text(&json)?)
}

pub(super) fn finding_object(finding: &Finding) -> JsonFinding<'_> {
    let place = &finding.location;
    JsonFinding {
        code: finding.rule.code,
        rule: finding.rule.name,
        severity: finding.severity.as_str(),
        message: &finding.message,
        file: &place.file,
        line: place.line,
        column: place.column,
        end_line: place.end_line,
        end_column: place.end_column,
        help: finding.help.as_deref(),
        related: finding.related.iter().map(related_object).collect(),
    }
}

fn related_object(related: &Related) -> JsonRelated<'_> {
    let place = &related.location;
    JsonRelated {
        file: &place.file,
        line: place.line,
        column: place.column,
        message: &related.message,
    }
}

/// One finding as its JSON object, for answers that hold findings among other things.
pub fn finding_json(found: &Finding) -> serde_json::Value {
    serde_json::to_value(finding_object(found)).unwrap_or_default()
}
