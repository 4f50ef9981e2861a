//! GitHub workflow commands, which the runner turns into annotations, and a plain line a finding.
//!
//! A step shows ten annotations of each level and drops the others without a word, and the log
//! shows an annotation without its file. So what has one cause is one annotation, the worst come
//! first, one notice counts the rest, and every finding is a plain line besides.

use std::borrow::Cow;
use std::io;

use refguard_core::document::{Finding, Severity};

use super::causes::group_findings;
use super::escape::{annotation_message, annotation_property, clip_text, escape_terminal};
use super::{Report, Style, count, from_the_top};

/// Annotations of one level that GitHub shows for a step.
const SHOWN: usize = 10;
/// Characters of a message. The runner cuts longer ones itself; this keeps one finding from filling
/// the log.
const MESSAGE_CHARACTERS: usize = 4_000;

/// What one annotation says, and where.
pub(super) struct Annotation<'a> {
    pub severity: Severity,
    /// From the top of the git repository.
    pub file: Cow<'a, str>,
    /// The place within the file as properties: `line=4,endLine=4`.
    pub lines: String,
    /// The place within the file as text: `4:1`.
    pub place: String,
    pub title: String,
    /// Its lines; the first is the message of the plain line.
    pub message: Vec<String>,
}

pub(super) fn render(report: &Report<'_>, _: Style, out: &mut dyn io::Write) -> io::Result<()> {
    let annotate = |finding| annotate_finding(finding, report.prefix);
    let lines: Vec<Annotation<'_>> = report.findings.iter().map(annotate).collect();
    let groups = group_findings(report.findings.iter());
    let annotations = groups.iter().map(|group| {
        let mut annotation = annotate(group.first);
        annotation
            .message
            .extend(group.other_places().map(|places| escape_clipped(&places)));
        annotation
    });
    write_annotations(&annotations.collect::<Vec<_>>(), &lines, out)
}

/// Writes the annotations that GitHub shows, one a cause, a notice that counts the others, and
/// `lines` as plain ones.
pub(super) fn write_annotations(
    annotations: &[Annotation<'_>],
    lines: &[Annotation<'_>],
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut left_out = Vec::new();
    for (severity, one, many) in [
        (Severity::Error, "more error", "more errors"),
        (Severity::Warning, "more warning", "more warnings"),
    ] {
        let of_level = || {
            annotations
                .iter()
                .filter(|shown| shown.severity == severity)
        };
        of_level()
            .take(SHOWN)
            .try_for_each(|shown| writeln!(out, "{}", workflow_command(shown)))?;
        match of_level().count().saturating_sub(SHOWN) {
            0 => {}
            more => left_out.push(count(more, one, many)),
        }
    }
    if !left_out.is_empty() {
        let rest = left_out.join(" and ");
        writeln!(
            out,
            "::notice title=refguard::{rest}: every one is a line of the log"
        )?;
    }
    lines
        .iter()
        .try_for_each(|listed| writeln!(out, "{}", plain_line(listed)))
}

/// The workflow command.
fn workflow_command(annotation: &Annotation<'_>) -> String {
    format!(
        "::{severity} file={file},{lines},title={title}::{message}",
        severity = annotation.severity.as_str(),
        file = annotation_property(&escape_terminal(&annotation.file)),
        lines = annotation.lines,
        title = annotation_property(&annotation.title),
        message = annotation_message(&annotation.message.join("\n")),
    )
}

/// `policies/base.yaml:4:1: error: RG012 unknown-field: …`
fn plain_line(annotation: &Annotation<'_>) -> String {
    let Annotation {
        severity,
        file,
        place,
        title,
        message,
        ..
    } = annotation;
    let severity = severity.as_str();
    let message = message.join("; ");
    escape_terminal(&format!("{file}:{place}: {severity}: {title}: {message}")).into_owned()
}

fn annotate_finding<'f>(finding: &'f Finding, prefix: &str) -> Annotation<'f> {
    let place = &finding.location;
    let (first, last) = (place.line, place.end_line.max(place.line));
    // GitHub refuses columns where the lines differ.
    let columns = if first == last {
        format!(
            ",col={},endColumn={}",
            place.column,
            place.end_column.max(place.column)
        )
    } else {
        String::new()
    };
    Annotation {
        severity: finding.severity,
        file: from_the_top(prefix, &place.file),
        lines: format!("line={first},endLine={last}{columns}"),
        place: format!("{first}:{}", place.column),
        title: format!("{} {}", finding.rule.code, finding.rule.name),
        message: write_message(finding),
    }
}

/// The message, the help and the related places, a line each.
fn write_message(finding: &Finding) -> Vec<String> {
    let help = finding
        .help
        .iter()
        .map(|help| format!("help: {}", escape_clipped(help)));
    let related = finding.related.iter().map(|related| {
        let place = &related.location;
        format!(
            "{}: {}:{}:{}",
            escape_clipped(&related.message),
            escape_clipped(&place.file),
            place.line,
            place.column
        )
    });
    std::iter::once(escape_clipped(&finding.message))
        .chain(help)
        .chain(related)
        .collect()
}

/// One line of a message, of bounded length.
pub(super) fn escape_clipped(text: &str) -> String {
    escape_terminal(&clip_text(text, MESSAGE_CHARACTERS)).into_owned()
}
