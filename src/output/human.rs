//! For a person, in the manner of rustc: the line, what is meant underlined, what to do.
//!
//! The renderer is annotate-snippets. It panics on spans outside the text and takes the columns it
//! prints from the text it is given; it gets windows of lines here, so the line with the place is
//! ours.

use std::io;

use annotate_snippets::renderer::{AnsiColor, DEFAULT_LINE_NUM_STYLE};
use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Message, Origin, Renderer, Snippet,
};
use refguard_core::document::{Finding, Location, Severity, SourceFile};
use rustc_hash::{FxHashMap, FxHashSet};

use super::causes::{FindingGroup, group_findings};
use super::escape::{clip_text, escape_terminal};
use super::excerpt::{Excerpt, next_line};
use super::{Report, Style, count};

/// Characters of a message; names in it may be as long as a file.
const MESSAGE_CHARACTERS: usize = 1_000;
/// How far from the finding a related line is still shown with it.
const NEAR_LINES: u32 = 100;

pub(super) fn render(report: &Report<'_>, style: Style, out: &mut dyn io::Write) -> io::Result<()> {
    let sources: FxHashMap<&str, &SourceFile> = report
        .sources
        .iter()
        .map(|file| (&**file.path(), file))
        .collect();
    let page = ReportPage::new(style);
    let mut explained = FxHashSet::default();
    for group in group_findings(report.findings.iter()) {
        let finding = group.first;
        let source = sources
            .get(&*finding.location.file)
            .filter(|file| !file.text().is_empty());
        let explain = explained.insert(finding.rule.code);
        writeln!(
            out,
            "{}\n",
            page.draw_finding(finding, source.copied(), explain, &group)
        )?;
    }
    writeln!(out, "{}", page.draw_summary(report))
}

/// How everything on one report is drawn.
struct ReportPage {
    renderer: Renderer,
    color: bool,
    /// Characters of a source line.
    width: usize,
}

impl ReportPage {
    fn new(style: Style) -> Self {
        let renderer = if style.color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        Self {
            // Lines come cut to size; the renderer's own cutting fails on labels far apart.
            renderer: renderer.term_width(10_000),
            color: style.color,
            // Less than the gutter leaves, at most what an eye can follow.
            width: style.source_columns().saturating_sub(10).clamp(30, 160),
        }
    }

    fn draw_finding(
        &self,
        finding: &Finding,
        source: Option<&SourceFile>,
        explain: bool,
        group: &FindingGroup<'_>,
    ) -> String {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level
            .clone()
            .primary_title(clip_message(&finding.message))
            .id(finding.rule.code);
        let place = &finding.location;
        let Some(source) = source else {
            let origin = Origin::path(escape_terminal(&place.file));
            let origin = match &*place.file {
                // A folder has no lines.
                "." => origin,
                _ => origin
                    .line(place.line as usize)
                    .char_column(place.column as usize),
            };
            let notes = note_lines(finding, |_| true, explain, group);
            return self
                .renderer
                .render(&[title.element(origin).elements(notes)]);
        };
        let frame = ExcerptFrame::new(finding, source, self.width);
        let notes = note_lines(finding, |related| !frame.has_label(related), explain, group);
        let body = Group::with_level(level)
            .element(frame.to_snippet())
            .elements(notes);
        let title = self.renderer.render(&[Group::with_title(title)]);
        let arrow = self.styled(
            DEFAULT_LINE_NUM_STYLE,
            &format!("{:1$}--> ", "", frame.gutter_width()),
        );
        let file = escape_terminal(&place.file);
        format!(
            "{title}\n{arrow}{file}:{}:{}\n{}",
            place.line,
            place.column,
            self.renderer.render(&[body])
        )
    }

    fn draw_summary(&self, report: &Report<'_>) -> String {
        let (errors, warnings) = (report.errors(), report.warnings());
        let checked = report.checked;
        let files = count(checked.files, "file", "files");
        let said_warnings = match warnings {
            0 => String::new(),
            _ => format!(", {}", count(warnings, "warning", "warnings")),
        };
        if errors > 0 {
            let errors = count(errors, "error", "errors");
            let message = format!("{errors}{said_warnings} in {files}");
            return self
                .renderer
                .render(&[Group::with_title(Level::ERROR.primary_title(message))]);
        }
        let ok = self.styled(AnsiColor::BrightGreen.on_default().bold(), "ok");
        let policies = count(checked.policies, "policy", "policies");
        let attachments = count(checked.attachments, "attachment", "attachments");
        let tests = count(checked.tests, "test", "tests");
        format!("{ok}: {policies}, {attachments}, {tests} in {files}{said_warnings}")
    }

    fn styled(&self, style: annotate_snippets::renderer::Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

fn clip_message(text: &str) -> String {
    escape_terminal(&clip_text(text, MESSAGE_CHARACTERS)).into_owned()
}

/// What stands below the lines: help, related places that are not among them, where to read on.
fn note_lines<'a>(
    finding: &Finding,
    elsewhere: impl Fn(&Location) -> bool,
    explain: bool,
    group: &FindingGroup<'_>,
) -> Vec<Message<'a>> {
    let help = finding
        .help
        .iter()
        .map(|help| Level::HELP.message(clip_message(help)));
    let related = finding
        .related
        .iter()
        .filter(|related| elsewhere(&related.location))
        .map(|related| {
            let place = &related.location;
            let file = escape_terminal(&place.file);
            Level::NOTE.message(format!(
                "{}: {file}:{}:{}",
                clip_message(&related.message),
                place.line,
                place.column
            ))
        });
    let others = group
        .other_places()
        .map(|places| Level::NOTE.message(clip_message(&places)));
    let code = finding.rule.code;
    let explain = explain.then(|| Level::NOTE.message(format!("refguard explain {code}")));
    related.chain(others).chain(help).chain(explain).collect()
}

/// The lines that a finding shows, and what is marked in them.
struct ExcerptFrame {
    /// The lines from the first to the last that is shown. Those between that nobody asked for are
    /// empty; the renderer folds them away.
    text: String,
    first: u32,
    last: u32,
    marks: Vec<Mark>,
}

/// A mark in the frame's text.
struct Mark {
    kind: AnnotationKind,
    range: std::ops::Range<usize>,
    label: Option<String>,
    location: Location,
}

impl ExcerptFrame {
    fn new(finding: &Finding, source: &SourceFile, width: usize) -> Self {
        let primary = &finding.location;
        let mut wanted = vec![(primary, AnnotationKind::Primary, None)];
        let near = finding.related.iter().filter(|related| {
            related.location.file == primary.file
                && related.location.line.abs_diff(primary.line) <= NEAR_LINES
        });
        wanted.extend(near.map(|r| {
            (
                &r.location,
                AnnotationKind::Context,
                Some(clip_message(&r.message)),
            )
        }));
        wanted.sort_by_key(|(location, ..)| location.line);
        let first = wanted
            .first()
            .map_or(primary.line, |(location, ..)| location.line);
        let mut frame = Self {
            text: String::new(),
            first,
            last: first,
            marks: Vec::new(),
        };
        let mut byte = 0;
        for on_line in wanted.chunk_by(|a, b| a.0.line == b.0.line) {
            // The finding itself, or else the first label, chooses the window of its line.
            let lead = on_line
                .iter()
                .find(|mark| mark.2.is_none())
                .or(on_line.first());
            let Some((lead, ..)) = lead else { continue };
            frame.skip_to(lead.line, source.text(), byte, width);
            byte = lead.span.start as usize;
            let excerpt = Excerpt::new(source.text(), byte, width);
            for (location, kind, label) in on_line {
                frame.mark_place(location, *kind, label.clone(), &excerpt);
            }
            frame.text.push_str(&excerpt.text);
        }
        frame
    }

    /// Goes on to a line. A single line between is shown, as the renderer would.
    fn skip_to(&mut self, line: u32, text: &str, byte: usize, width: usize) {
        let gap = line.saturating_sub(self.last);
        if gap > 0 {
            self.text.push('\n');
        }
        if gap == 2
            && let Some(next) = next_line(text, byte)
        {
            self.text.push_str(&Excerpt::new(text, next, width).text);
        }
        self.text
            .extend(std::iter::repeat_n('\n', gap.saturating_sub(1) as usize));
        self.last = line;
    }

    /// Marks a place on the line that comes next, if its window shows it.
    fn mark_place(
        &mut self,
        location: &Location,
        kind: AnnotationKind,
        label: Option<String>,
        excerpt: &Excerpt,
    ) {
        let (start, end) = (location.span.start as usize, location.span.end as usize);
        if !excerpt.shows_byte(start) && label.is_some() {
            return;
        }
        let range = excerpt.shown_range(start, end);
        let range = self.text.len() + range.start..self.text.len() + range.end;
        self.marks.push(Mark {
            kind,
            range,
            label,
            location: location.clone(),
        });
    }

    fn has_label(&self, location: &Location) -> bool {
        self.marks
            .iter()
            .any(|mark| mark.label.is_some() && mark.location == *location)
    }

    /// Columns of the widest line number.
    fn gutter_width(&self) -> usize {
        self.last.max(1).ilog10() as usize + 1
    }

    fn to_snippet(&self) -> Element<'_> {
        let annotations = self.marks.iter().map(|mark| -> Annotation<'_> {
            mark.kind
                .span(mark.range.clone())
                .label(mark.label.as_deref())
        });
        Snippet::source(self.text.as_str())
            .line_start(self.first as usize)
            .annotations(annotations)
            .into()
    }
}
