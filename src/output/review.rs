//! A review: for a person at a terminal, for programs, and as a comment on a pull request.
//!
//! What is bad comes first. The comment stays under what forges take, however much changed, and
//! nothing of it is anybody's markup but ours.

use refguard_core::diff::DiffReport;
use refguard_core::document::Finding;
use serde_json::{Value, json};

use super::escape::{clip_text, escape_markdown, escape_terminal, markdown_code};
use super::resolution::Paint;
use super::{
    Style, count, diff, finding_json, impact_human, impact_markdown, safeguards_human,
    safeguards_markdown,
};
use crate::ops::{
    CaseReport, ComingVersion, ComingVersions, Foreseen, GateWord, Review, ReviewedTests, Says,
};

/// By this a comment is found again: it is its first line.
const MARK: &str = "<!-- refguard review -->";

/// Entries of a list that are shown, and their bytes; the JSON has all.
const ENTRIES: usize = 30;
const LIST: usize = 5_500;
/// Characters of a sentence, and of a name.
const SENTENCE: usize = 200;
const NAME: usize = 128;
/// Environments that the first paragraph speaks of.
const ENVIRONMENTS: usize = 8;
/// Bytes of what changed, losses and details, and of what that does to requests. With the lists the
/// whole stays under the 65,536 characters that GitHub takes.
const LOSSES: usize = 6_000;
const DETAILS: usize = 10_000;
const IMPACT: usize = 12_000;

/// The review for programs, version 1.
pub fn review_json(review: &Review) -> Value {
    let warnings = review.new.iter().filter(|finding| !finding.is_error()).count();
    let new = review.new.len();
    json!({
        "version": 1,
        "base": review.base,
        "base_commit": review.base_commit.to_string(),
        "head": review.head,
        "faulty": review.is_faulty(),
        "findings": {
            "new": review.new.iter().map(finding_json).collect::<Vec<_>>(),
            "gone": review.gone,
            "errors": new - warnings,
            "warnings": warnings,
            "errors_in_head": review.errors,
        },
        "diff": review.diff.as_ref().map(|diff| DiffReport::new(&review.base, &review.head, diff)),
        "impact": review.impact,
        "safeguards": review.safeguards,
        "tests": review.tests.as_ref().map(tests_json),
        "coverage": review.tests.as_ref().and_then(coverage_json),
        "versions": match &review.versions {
            ComingVersions::Known(versions) => json!(versions),
            ComingVersions::Unknown(_) => Value::Null,
        },
        "environments": review.environments,
    })
}

fn tests_json(tests: &ReviewedTests) -> Value {
    let failed: Vec<&CaseReport> = tests.report.cases.iter().filter(|case| !case.ok).collect();
    json!({
        "passed": tests.report.passed,
        "failed": tests.report.failed,
        "cases": failed,
        "base": tests.base.map(|(passed, failed)| json!({ "passed": passed, "failed": failed })),
    })
}

fn coverage_json(tests: &ReviewedTests) -> Option<Value> {
    let head = tests.report.coverage.as_ref()?;
    Some(json!({ "base": tests.base_coverage, "head": head.percent, "uncovered": tests.uncovered }))
}

/// The review as a comment on a pull request.
pub fn review_markdown(review: &Review) -> String {
    let (base, head) = (
        markdown_code(&clip_text(&review.base, NAME)),
        markdown_code(&clip_text(&review.head, NAME)),
    );
    let mut page = format!(
        "{MARK}\n## Policies: {base} → {head}\n\n{}\n",
        summary_paragraph(review, &markdown_code)
    );
    if let Some(safeguards) = review.safeguards.as_ref().filter(|diff| !diff.is_empty()) {
        page.push('\n');
        page.push_str(&safeguards_markdown(safeguards));
    }
    push_list(&mut page, "New findings", review.new.iter().map(finding_line));
    if let Some(tests) = &review.tests {
        let failed = tests.report.cases.iter().filter(|case| !case.ok);
        push_list(&mut page, "Failed tests", failed.map(case_line));
    }
    push_list(&mut page, "Gates", gate_words(review).map(|(env, word)| gate_line(env, &word)));
    if let Some(changes) = review.diff.as_ref().filter(|diff| !diff.is_empty()) {
        let (base, head) = (clip_text(&review.base, NAME), clip_text(&review.head, NAME));
        let report = DiffReport::new(&base, &head, changes);
        page.push('\n');
        page.push_str(&diff::diff_markdown_within(&report, LOSSES, DETAILS));
    }
    if let Some(impact) =
        review.impact.as_ref().filter(|impact| !impact.regions.is_empty() || !impact.exact)
    {
        page.push('\n');
        page.push_str(&whole_lines(&impact_markdown(impact), IMPACT));
    }
    push_list(
        &mut page,
        "Versions that the merge makes",
        coming_versions(review).iter().map(version_line),
    );
    if let Some(tests) = &review.tests {
        let line = |item: &refguard_core::resolve::CoverageItem| {
            let place = place_code(&item.file, item.line);
            format!(
                "- {} of {} ({place})\n",
                kind_words(item, &markdown_code),
                markdown_code(&item.policy)
            )
        };
        push_list(&mut page, "No test exercises", tests.uncovered.iter().map(line));
    }
    page
}

/// A heading and as many lines as are read; nothing where there is none.
fn push_list(page: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    page.push_str(&format!("\n### {heading}\n\n"));
    let mut left = LIST;
    let fits = |line: &&String| {
        let fits = line.len() <= left;
        left = left.saturating_sub(line.len());
        fits
    };
    let shown: Vec<&String> = lines.iter().take(ENTRIES).take_while(fits).collect();
    let left_out = lines.len() - shown.len();
    shown.into_iter().for_each(|line| page.push_str(line));
    if left_out > 0 {
        page.push_str(&format!("- … and {left_out} more\n"));
    }
}

/// The lines that fit, each whole, and how many do not.
fn whole_lines(text: &str, bytes: usize) -> String {
    let mut kept = String::new();
    let mut left_out = 0;
    for line in text.split_inclusive('\n') {
        match left_out == 0 && kept.len() + line.len() <= bytes {
            true => kept.push_str(line),
            false => left_out += 1,
        }
    }
    if left_out > 0 {
        kept.push_str(&format!("- … and {} more\n", count(left_out, "line", "lines")));
    }
    kept
}

/// A sentence in which nothing is markup.
fn clip_sentence(text: &str) -> String {
    escape_markdown(&clip_text(text, SENTENCE))
}

fn place_code(file: &str, line: u32) -> String {
    markdown_code(&clip_text(&format!("{file}:{line}"), SENTENCE))
}

fn finding_line(finding: &Finding) -> String {
    let mark = if finding.is_error() { "**error**" } else { "warning" };
    let help =
        finding.help.iter().map(|help| format!("; {}", clip_sentence(help))).collect::<String>();
    let location = &finding.location;
    let place = place_code(&location.file, location.line);
    format!("- {mark} {} {place}: {}{help}\n", finding.rule.code, clip_sentence(&finding.message))
}

fn case_line(case: &CaseReport) -> String {
    let name = clip_sentence(&format!("{}: {}", case.test, case.case));
    format!(
        "- {} {name}: {}\n",
        place_code(&case.file, case.line),
        clip_sentence(&case.differences.join("; "))
    )
}

fn gate_line(environment: &Foreseen, word: &GateWord) -> String {
    let says = match word.says {
        Says::Refused => "**refuses**",
        Says::Allowed => "allows",
        Says::Warned => "warns",
    };
    let place =
        word.file.iter().zip(word.line).map(|(file, line)| format!(" {}", place_code(file, line)));
    let place: String = place.collect();
    let name = markdown_code(&clip_text(&environment.environment, NAME));
    format!("- {name}, gate *{}* {says}{place}: {}\n", word.gate, clip_sentence(&word.message))
}

fn version_line(version: &ComingVersion) -> String {
    let name =
        markdown_code(&clip_text(&format!("{}@{}", version.policy, version.number), NAME + 12));
    format!("- {name}{}\n", if version.removed { " (removed)" } else { "" })
}

fn coming_versions(review: &Review) -> &[ComingVersion] {
    match &review.versions {
        ComingVersions::Known(versions) => versions,
        ComingVersions::Unknown(_) => &[],
    }
}

fn kind_words(
    item: &refguard_core::resolve::CoverageItem,
    code: &dyn Fn(&str) -> String,
) -> String {
    use refguard_core::resolve::CoverageKind::{Attachment, Condition, Pipeline, Remove};
    match item.kind {
        Attachment => "the attachment".to_owned(),
        Condition => format!("the condition ({})", code(&item.detail)),
        Remove => format!("the removal of {}", code(&item.detail)),
        Pipeline => format!("the pipeline's {}", code(&item.detail)),
    }
}

/// The answers in one paragraph.
fn summary_paragraph(review: &Review, code: &dyn Fn(&str) -> String) -> String {
    let mut words: Vec<String> = Vec::new();
    let errors = review.new.iter().filter(|finding| finding.is_error()).count();
    words.push(match (errors, review.new.len() - errors) {
        (0, 0) => "no new finding".to_owned(),
        (errors, 0) => count(errors, "new error", "new errors"),
        (0, warnings) => count(warnings, "new warning", "new warnings"),
        (errors, warnings) => {
            format!(
                "{}, {}",
                count(errors, "new error", "new errors"),
                count(warnings, "warning", "warnings")
            )
        }
    });
    if review.gone > 0 {
        words.push(format!("{} gone", review.gone));
    }
    if review.errors > errors {
        words.push(format!(
            "{} that was there before",
            count(review.errors - errors, "error", "errors")
        ));
    }
    if let Some(tests) = &review.tests {
        words
            .push(format!("tests: {} passed, {} failed", tests.report.passed, tests.report.failed));
        words.extend(coverage_words(tests));
    }
    if let ComingVersions::Unknown(why) = &review.versions
        && review.diff.is_some()
    {
        words.push(format!(
            "the versions that the merge makes are unknown: {}",
            code(&clip_text(why, SENTENCE))
        ));
    }
    if let Some(lost) = review.safeguards.as_ref().map(|diff| diff.lost.len()).filter(|n| *n > 0) {
        words.push(format!("**{}**", count(lost, "safeguard lost", "safeguards lost")));
    }
    let environments = review.environments.iter().take(ENVIRONMENTS).map(|environment| {
        let could = if environment.could { "could" } else { "could **not**" };
        format!("{} {could} take it", code(&clip_text(&environment.environment, NAME)))
    });
    words.extend(environments);
    if review.impact.as_ref().is_some_and(|impact| impact.weakens) {
        words.push("**less is blocked than before**".to_owned());
    }
    format!("{}.", words.join("; "))
}

/// What the gates would say, one entry for all that the gate *safeguards* says: its losses are
/// listed by themselves.
fn gate_words(review: &Review) -> impl Iterator<Item = (&Foreseen, GateWord)> {
    review.environments.iter().flat_map(|environment| {
        let (mut losses, mut words) = (0, Vec::new());
        for word in &environment.gates {
            losses += usize::from(word.gate == "safeguards");
            if word.gate != "safeguards" || losses == 1 {
                words.push(word.clone());
            }
        }
        for word in words.iter_mut().filter(|word| word.gate == "safeguards") {
            let message = count(losses, "safeguard is lost", "safeguards are lost");
            *word = GateWord { message, file: None, line: None, ..word.clone() };
        }
        words.into_iter().map(move |word| (environment, word))
    })
}

fn coverage_words(tests: &ReviewedTests) -> Option<String> {
    let now = tests.report.coverage.as_ref()?.percent;
    Some(match tests.base_coverage {
        Some(before) if (before - now).abs() > 0.05 => format!("coverage {before:.1}% → {now:.1}%"),
        _ => format!("coverage {now:.1}%"),
    })
}

/// The review for a person at a terminal.
pub fn review_human(review: &Review, style: Style) -> String {
    let paint = Paint(style);
    let plain = |name: &str| format!("`{}`", escape_terminal(name));
    let mut text = format!("{}\n", summary_paragraph(review, &plain).replace("**", ""));
    if let Some(safeguards) = &review.safeguards {
        text.push_str(&safeguards_human(safeguards, style));
    }
    let mut line = |mark: String, words: String| {
        text.push_str(&format!("{mark}: {}\n", escape_terminal(&words)))
    };
    for finding in &review.new {
        let location = &finding.location;
        let words = format!(
            "{} {}:{}: {}",
            finding.rule.code, location.file, location.line, finding.message
        );
        line(
            if finding.is_error() { paint.bad("new error") } else { paint.warn("new warning") },
            words,
        );
    }
    for case in review.tests.iter().flat_map(|tests| &tests.report.cases).filter(|case| !case.ok) {
        let words =
            format!("{}:{}: {}: {}", case.file, case.line, case.case, case.differences.join("; "));
        line(paint.bad("failed test"), words);
    }
    for (environment, word) in gate_words(review) {
        let mark = match word.says {
            Says::Refused => paint.bad("refused"),
            Says::Allowed | Says::Warned => paint.warn("warning"),
        };
        line(mark, format!("{}, gate `{}`: {}", environment.environment, word.gate, word.message));
    }
    for version in coming_versions(review) {
        let removed = if version.removed { " (removed)" } else { "" };
        line(
            "the merge makes".to_owned(),
            format!("{}@{}{removed}", version.policy, version.number),
        );
    }
    for item in review.tests.iter().flat_map(|tests| &tests.uncovered) {
        let words = format!(
            "{} of `{}` ({}:{})",
            kind_words(item, &plain),
            item.policy,
            item.file,
            item.line
        );
        line("no test exercises".to_owned(), words);
    }
    if let Some(changes) = review.diff.as_ref().filter(|diff| !diff.is_empty()) {
        text.push('\n');
        text.push_str(&diff::diff_human(
            &DiffReport::new(&review.base, &review.head, changes),
            style.color,
        ));
    }
    if let Some(impact) =
        review.impact.as_ref().filter(|impact| !impact.regions.is_empty() || !impact.exact)
    {
        text.push('\n');
        text.push_str(&impact_human(impact, style));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::CommitId;
    use refguard_core::document::{Span, rules};
    use refguard_core::policy::Counts;

    /// Characters that escapes make many of.
    const HOSTILE: &str = "@#`|<!-- x -->";

    fn hostile(length: usize) -> String {
        HOSTILE.chars().cycle().take(length).collect()
    }

    fn review() -> Review {
        let rule = rules::ALL.first().copied().unwrap();
        let file = refguard_core::document::SourceFile::new(hostile(4_000), String::new());
        let finding = |number: usize| {
            Finding::new(rule, &file, Span::new(0, 0), format!("{number}{}", hostile(4_000)))
                .help(hostile(4_000))
        };
        let environment = |number: usize| Foreseen {
            environment: format!("{number}{}", hostile(128)),
            could: false,
            gates: vec![GateWord {
                gate: "hold",
                says: Says::Refused,
                message: hostile(4_000),
                file: Some(hostile(4_000)),
                line: Some(1),
            }],
        };
        let version = |number: u64| ComingVersion { policy: hostile(128), number, removed: true };
        Review {
            base: hostile(4_000),
            base_commit: "0123456789012345678901234567890123456789".parse::<CommitId>().unwrap(),
            head: hostile(4_000),
            counts: Counts::default(),
            new: (0..500).map(finding).collect(),
            gone: 3,
            errors: 500,
            diff: None,
            impact: None,
            safeguards: None,
            tests: None,
            versions: ComingVersions::Known((1..500).map(version).collect()),
            environments: (0..100).map(environment).collect(),
        }
    }

    /// What is left of GitHub's 65,536 characters for what changed and what that does.
    #[test]
    fn the_lists_of_a_comment_stay_within_their_bytes() {
        let page = review_markdown(&review());
        assert!(page.len() < 65_536 - LOSSES - DETAILS - IMPACT - 4_000, "{}", page.len());
        assert!(page.contains("### Gates") && page.contains("- … and "), "{page}");
        let json = review_json(&review());
        assert_eq!(json["findings"]["new"].as_array().map(Vec::len), Some(500));
    }

    #[test]
    fn lines_are_kept_whole() {
        assert_eq!(
            whole_lines("- one\n- two\n- three\n", 12),
            "- one\n- two\n- … and 1 line more\n"
        );
        assert_eq!(whole_lines("- one\n", 6), "- one\n");
    }
}
