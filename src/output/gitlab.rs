//! GitLab code quality: the part of the Code Climate format that a merge request shows.

use std::borrow::Cow;
use std::io;

use refguard_core::document::{Finding, Severity};
use serde::Serialize;

use super::escape::{escape_terminal, json_text};
use super::fingerprint::Fingerprints;
use super::{Report, Style, from_the_top};

#[derive(Serialize)]
struct Issue<'a> {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: Cow<'a, str>,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    end: u32,
}

pub(super) fn render(report: &Report<'_>, _: Style, out: &mut dyn io::Write) -> io::Result<()> {
    let mut fingerprints = Fingerprints::default();
    let issues: Vec<_> = report
        .findings
        .iter()
        .map(|finding| describe_issue(finding, fingerprints.next_for(finding), report.prefix))
        .collect();
    writeln!(out, "{}", json_text(&issues)?)
}

fn describe_issue<'f>(finding: &'f Finding, fingerprint: String, prefix: &str) -> Issue<'f> {
    let place = &finding.location;
    let help = finding
        .help
        .as_ref()
        .map(|help| format!(" (help: {})", escape_terminal(help)))
        .unwrap_or_default();
    Issue {
        description: format!("{}{help}", escape_terminal(&finding.message)),
        check_name: format!("{} {}", finding.rule.code, finding.rule.name),
        fingerprint,
        severity: match finding.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
        },
        location: Location {
            path: from_the_top(prefix, &place.file),
            lines: Lines {
                begin: place.line,
                end: place.end_line.max(place.line),
            },
        },
    }
}
