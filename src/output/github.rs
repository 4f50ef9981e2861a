//! GitHub workflow commands: one line a finding, which the runner turns into an annotation.

use std::io;

use refguard_core::document::Finding;

use super::escape::{annotation_message, annotation_property, clip, escape_terminal};
use super::{Report, from_the_top};

/// The runner cuts longer messages itself; this keeps one finding from filling the log.
const MESSAGE_CHARACTERS: usize = 4_000;

pub(super) fn render(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    report.findings.iter().try_for_each(|finding| writeln!(out, "{}", line(finding, report.prefix)))
}

fn line(finding: &Finding, prefix: &str) -> String {
    let place = &finding.location;
    let (first, last) = (place.line, place.end_line.max(place.line));
    // GitHub refuses columns where the lines differ.
    let columns = if first == last {
        format!(",col={},endColumn={}", place.column, place.end_column.max(place.column))
    } else {
        String::new()
    };
    format!(
        "::{severity} file={file},line={first},endLine={last}{columns},title={title}::{message}",
        severity = finding.severity.as_str(),
        file = annotation_property(&escape_terminal(&from_the_top(prefix, &place.file))),
        title = annotation_property(&format!("{} {}", finding.rule.code, finding.rule.name)),
        message = annotation_message(&message(finding)),
    )
}

fn message(finding: &Finding) -> String {
    let said = |text| escape_terminal(&clip(text, MESSAGE_CHARACTERS)).into_owned();
    let help = finding.help.iter().map(|help| format!("help: {}", said(help)));
    let related = finding.related.iter().map(|related| {
        let place = &related.location;
        format!("{}: {}:{}:{}", said(&related.message), said(&place.file), place.line, place.column)
    });
    std::iter::once(said(&finding.message))
        .chain(help)
        .chain(related)
        .collect::<Vec<_>>()
        .join("\n")
}
