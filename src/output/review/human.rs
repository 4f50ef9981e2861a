//! The review for a person at a terminal.

use refguard_core::prove::Region;

use super::names::rows_of;
use super::{
    changed_documents, coming_versions, gate_words, item_words, unchanged_words, verdict_line,
};
use crate::ops::{Review, Says};
use crate::output::causes::{group_findings, worst_first};
use crate::output::escape::escape_terminal;
use crate::output::failures::group_failures;
use crate::output::impact::{quote_plain, region_paragraphs, weakening_words};
use crate::output::resolution::Paint;
use crate::output::{Style, count, format_table, replay_human, safeguards_human};

/// Entries of a list, and regions, that are shown.
const ENTRIES: usize = 30;
const REGIONS: usize = 20;

/// The review in lines, in the order of all forms.
pub fn review_human(review: &Review, style: Style) -> String {
    let paint = Paint(style);
    let mut text = format!(
        "{}\n",
        paint.strong(&escape_terminal(&verdict_line(review)))
    );
    push_table(&mut text, review, style);
    if let Some(weakening) = review
        .impact
        .as_ref()
        .and_then(|impact| impact.weakening.as_ref())
    {
        let words = weakening_words(weakening, &quote_plain);
        text.push_str(&format!("{}: {words}\n", paint.bad("weakens")));
    }
    if let Some(replay) = &review.replay {
        text.push_str(&format!(
            "\nlogged requests: {}",
            replay_human(replay, style)
        ));
    }
    if let Some(safeguards) = &review.safeguards {
        text.push_str(&safeguards_human(safeguards, style));
    }

    let findings = worst_first(group_findings(review.new.iter()));
    push_list(
        &mut text,
        findings.iter().map(|group| {
            let first = group.first;
            let mark = if first.is_error() {
                paint.bad("new error")
            } else {
                paint.warn("new warning")
            };
            let (code, message) = (first.rule.code, &first.message);
            format!(
                "{mark}: {code} {}",
                escape_terminal(&format!("{}: {message}", group.places()))
            )
        }),
    );
    let failures = review
        .tests
        .iter()
        .flat_map(|tests| group_failures(&tests.report.cases));
    let failures: Vec<_> = failures.collect();
    push_list(
        &mut text,
        failures.iter().map(|failure| {
            let first = failure.first;
            let why = escape_terminal(&first.differences.join("; ")).into_owned();
            let place = escape_terminal(&format!("{}:{}", first.file, first.line)).into_owned();
            let (whose, case) = (failure.whose(&quote_plain), quote_plain(&first.case));
            format!(
                "{}: {whose}: {why}; e.g. {case} ({place})",
                paint.bad("failed test")
            )
        }),
    );
    push_list(
        &mut text,
        gate_words(review).map(|(environment, word)| {
            let mark = match word.says {
                Says::Refused => paint.bad("refused"),
                Says::Undecided => paint.warn("not decided in the time of this review"),
                Says::Allowed | Says::Warned => paint.warn("warning"),
            };
            let name = &environment.environment;
            let words = format!("{name}, gate `{}`: {}", word.gate, word.message);
            format!("{mark}: {}", escape_terminal(&words))
        }),
    );
    push_list(
        &mut text,
        review.owners.iter().map(|owner| {
            let who = owner.owner.as_deref().unwrap_or("nobody is named as owner");
            let policies: Vec<String> = owner
                .policies
                .iter()
                .take(8)
                .map(|it| quote_plain(it))
                .collect();
            let more = owner.policies.len().saturating_sub(policies.len());
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!(
                "ask: {} ({}{more})",
                escape_terminal(who),
                policies.join(", ")
            )
        }),
    );

    push_rest(&mut text, review);
    push_regions(&mut text, review, style);
    text
}

fn push_table(text: &mut String, review: &Review, style: Style) {
    let plain = |name: &str| escape_terminal(name).into_owned();
    let rows = rows_of(review, &plain);
    if rows.is_empty() {
        return;
    }
    let with = rows.iter().any(|row| !row.with.is_empty());
    let when = rows.iter().any(|row| !row.when.is_empty());
    let loses = rows.iter().any(|row| !row.loses.is_empty());
    let gains = rows.iter().any(|row| !row.gains.is_empty());
    let mut header = vec!["teams", "models"];
    header.extend(when.then_some("when"));
    header.extend(with.then_some("with"));
    header.extend(loses.then_some("loses"));
    header.extend(gains.then_some("gains"));
    let cells = |row: &super::names::NamedRow| {
        let mut cells = vec![row.teams.clone(), row.models.clone()];
        cells.extend(when.then(|| row.when.clone()));
        cells.extend(with.then(|| row.with.clone()));
        cells.extend(loses.then(|| row.loses.clone()));
        cells.extend(gains.then(|| row.gains.clone()));
        cells
    };
    let shown: Vec<Vec<String>> = rows.iter().take(ENTRIES).map(cells).collect();
    text.push_str(&format_table(&header, &shown, style));
    push_count(text, rows.len() - shown.len(), "row", "rows");
    if let Some(why) = review
        .shift
        .as_ref()
        .and_then(|shift| shift.left_out.as_ref())
    {
        text.push_str(&format!("not every name was asked: {why}\n"));
    }
}

fn push_list(text: &mut String, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    for line in lines.iter().take(ENTRIES) {
        text.push_str(line);
        text.push('\n');
    }
    push_count(text, lines.len().saturating_sub(ENTRIES), "more", "more");
}

fn push_count(text: &mut String, left_out: usize, one: &str, many: &str) {
    if left_out > 0 {
        text.push_str(&format!(
            "  … and {} (--format json has all)\n",
            count(left_out, one, many)
        ));
    }
}

/// What is gained or stays.
fn push_rest(text: &mut String, review: &Review) {
    let words = unchanged_words(review, &|why| escape_terminal(why).into_owned());
    if !words.is_empty() {
        text.push_str(&format!("{}\n", words.join("; ")));
    }
    push_list(
        text,
        changed_documents(review).into_iter().map(|document| {
            let fields = match document.fields.as_slice() {
                [] => String::new(),
                fields => format!(" ({})", fields.join(", ")),
            };
            let (file, line) = document.place;
            let words = format!(
                "{} {} {}{fields}: {file}:{line}",
                document.what,
                quote_plain(document.name),
                document.how
            );
            escape_terminal(&words).into_owned()
        }),
    );
    push_list(
        text,
        coming_versions(review).iter().map(|version| {
            let removed = if version.removed { " (removed)" } else { "" };
            let named = format!("{}@{}{removed}", version.policy, version.number);
            format!("the merge makes: {}", escape_terminal(&named))
        }),
    );
    push_list(
        text,
        review
            .tests
            .iter()
            .flat_map(|tests| &tests.uncovered)
            .map(|item| {
                let place = escape_terminal(&format!("{}:{}", item.file, item.line)).into_owned();
                format!(
                    "no test exercises: {} ({place})",
                    item_words(item, &quote_plain)
                )
            }),
    );
}

/// The exact answer. Requests that name a policy themselves are only counted.
fn push_regions(text: &mut String, review: &Review, style: Style) {
    let Some(impact) = &review.impact else { return };
    let (requested, attached): (Vec<&Region>, Vec<&Region>) = impact
        .regions
        .iter()
        .partition(|region| region.requested.is_some());
    let paragraphs = region_paragraphs(&attached, style);
    if !paragraphs.is_empty() {
        text.push_str("\nexactly, by patterns:\n");
    }
    paragraphs
        .iter()
        .take(REGIONS)
        .for_each(|paragraph| text.push_str(paragraph));
    let left_out = paragraphs.len().saturating_sub(REGIONS) + impact.regions_left_out;
    push_count(text, left_out, "region", "regions");
    if !requested.is_empty() {
        text.push_str(&format!(
            "  … and {} of requests that name a policy (--format json has all)\n",
            count(requested.len(), "region", "regions")
        ));
    }
    for sentence in &impact.not_analysed {
        text.push_str(&format!("not analysed: {}\n", escape_terminal(sentence)));
    }
}
