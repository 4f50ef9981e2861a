//! A review: for a person at a terminal, for programs, and as a comment on a pull request.
//!
//! Every form has the same order: the verdict in a line, who loses and gains what, safeguards that
//! are lost, new findings, failed tests, gates, who is to be asked; then, folded, what is gained or
//! stays, and the exact regions. Each thing is said once. Here are the words that the forms share;
//! `markdown`, `human` and `json` are the forms.

mod human;
mod json;
mod markdown;
mod names;

use std::collections::BTreeMap;

use jiff::Timestamp;
use refguard_core::prove::Impact;
use refguard_core::questions::Shift;
use refguard_core::resolve::{CoverageItem, CoverageKind};

use super::count;
use crate::ops::{ComingVersion, ComingVersions, Foreseen, GateWord, Review, ReviewedTests, Says};

pub use human::review_human;
pub use json::{ReviewObject, review_object};
pub use markdown::review_markdown;
pub use names::{NamedRow, named_rows};

/// Environments that the verdict speaks of.
const ENVIRONMENTS: usize = 8;

/// The verdict in one line, what is bad first.
pub fn verdict_line(review: &Review) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(validity_words(review));
    let analysed = review.impact.as_ref().zip(review.shift.as_ref());
    words.extend(analysed.map(|(impact, shift)| loss_words(impact, shift)));
    if review.impact.as_ref().is_some_and(|impact| impact.weakens) {
        words.push("weakens".to_owned());
    }
    if let Some(lost) = review
        .safeguards
        .as_ref()
        .map(|diff| diff.lost.len())
        .filter(|n| *n > 0)
    {
        words.push(count(lost, "safeguard removed", "safeguards removed"));
    }
    if let Some(tests) = review
        .tests
        .as_ref()
        .filter(|tests| tests.report.failed > 0)
    {
        let all = count(tests.report.cases.len(), "test", "tests");
        let verb = if tests.report.cases.len() == 1 {
            "fails"
        } else {
            "fail"
        };
        words.push(format!("{} of {all} {verb}", tests.report.failed));
    }
    let (errors, warnings) = new_findings(review);
    words.extend((errors > 0).then(|| count(errors, "new error", "new errors")));
    words.extend((warnings > 0).then(|| count(warnings, "new warning", "new warnings")));
    words.extend(
        review
            .environments
            .iter()
            .take(ENVIRONMENTS)
            .map(environment_words),
    );
    words.join("; ")
}

/// How many errors and warnings are new.
fn new_findings(review: &Review) -> (usize, usize) {
    let errors = review
        .new
        .iter()
        .filter(|finding| finding.is_error())
        .count();
    (errors, review.new.len() - errors)
}

fn validity_words(review: &Review) -> Option<String> {
    let (new, _) = new_findings(review);
    (review.errors > 0).then(|| {
        let errors = count(review.errors, "error", "errors");
        match review.errors.saturating_sub(new) {
            0 => format!("is no valid set: {errors}"),
            1 => format!("is no valid set: {errors}, 1 that was there before"),
            old => format!("is no valid set: {errors}, {old} that were there before"),
        }
    })
}

/// Who loses protection by a change, in a few words, and from when on.
pub fn loss_words(impact: &Impact, shift: &Shift) -> String {
    let losing = || {
        impact
            .regions
            .iter()
            .filter(|region| !region.lost.is_empty())
    };
    if let Some(first) = shift.first_loss() {
        return match shift.losing_teams() {
            Some(teams) => format!("loses protection for {}", losing_words(&teams, shift.teams)),
            None => format!("loses protection for some requests{}", start_words(first)),
        };
    }
    match losing().map(|region| region.at).min() {
        Some(first) if losing().all(|region| region.requested.is_some()) => {
            let start = start_words(first);
            format!("loses protection for requests that name a policy{start}")
        }
        Some(first) => format!("loses protection for some requests{}", start_words(first)),
        None if !impact.exact => "a loss of protection cannot be ruled out".to_owned(),
        None => "no request loses protection".to_owned(),
    }
}

/// How many teams lose something, and from when on: `2 teams`, `2 teams from 2026-12-06T00:00:00Z
/// on`.
fn losing_words(teams: &BTreeMap<&str, Option<Timestamp>>, of: usize) -> String {
    let all = match teams.len() == of {
        true => format!("all {}", count(of, "team", "teams")),
        false => count(teams.len(), "team", "teams"),
    };
    let later: Vec<Timestamp> = teams.values().copied().flatten().collect();
    let Some(first) = later.iter().min() else {
        return all;
    };

    let is_one = later.iter().all(|at| at == first);
    match teams.len() - later.len() {
        0 if is_one => format!("{all} from {first} on"),
        0 => format!("{all}, the first from {first} on"),
        now if is_one => format!("{all}, {now} of them now and the others from {first} on"),
        now => format!("{all}, {now} of them now and the next from {first} on"),
    }
}

fn start_words(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" from {at} on")).unwrap_or_default()
}

fn environment_words(environment: &Foreseen) -> String {
    let name = &environment.environment;
    if environment.could {
        return format!("{name} could take it");
    }
    let (says, words) = match environment.undecided {
        true => (Says::Undecided, "not decided in the time of this review"),
        false => (Says::Refused, "could not take it"),
    };
    let mut gates: Vec<&str> = environment
        .gates
        .iter()
        .filter(|word| word.says == says)
        .map(|word| word.gate)
        .collect();
    gates.dedup();
    let word = if gates.len() == 1 { "gate" } else { "gates" };
    format!("{name} {words}: {word} {}", gates.join(", "))
}

/// What the gates would say and nothing else here does: findings, tests, safeguards and the loss of
/// protection have lists of their own.
fn gate_words(review: &Review) -> impl Iterator<Item = (&Foreseen, &GateWord)> {
    let weakens = review
        .impact
        .as_ref()
        .is_some_and(|impact| impact.weakening.is_some());
    let words = review.environments.iter().flat_map(|environment| {
        environment
            .gates
            .iter()
            .map(move |word| (environment, word))
    });
    words.filter(move |(_, word)| match word.gate {
        _ if word.says == Says::Undecided => true,
        "valid" | "tests" | "safeguards" => false,
        "weaken" => !weakens,
        _ => true,
    })
}

/// What there is to say of findings that are gone, tests, coverage and versions, in words; `quote`
/// writes what is not refguard's own.
fn unchanged_words(review: &Review, quote: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut words = Vec::new();
    if review.gone > 0 {
        words.push(format!(
            "{} gone",
            count(review.gone, "finding", "findings")
        ));
    }
    if let Some(tests) = review
        .tests
        .as_ref()
        .filter(|tests| !tests.report.cases.is_empty())
    {
        let (passed, failed) = (tests.report.passed, tests.report.failed);
        words.push(format!("tests: {passed} passed, {failed} failed"));
        words.extend(coverage_words(tests));
    }
    if let (ComingVersions::Unknown(why), true) = (&review.versions, review.diff.is_some()) {
        let why = quote(why);
        words.push(format!(
            "the versions that the merge makes are unknown: {why}"
        ));
    }
    words
}

fn coverage_words(tests: &ReviewedTests) -> Option<String> {
    let now = tests.report.coverage.as_ref()?.percent;
    Some(match tests.base_coverage {
        Some(before) if (before - now).abs() > 0.05 => format!("coverage {before:.1}% → {now:.1}%"),
        _ => format!("coverage {now:.1}%"),
    })
}

fn coming_versions(review: &Review) -> &[ComingVersion] {
    match &review.versions {
        ComingVersions::Known(versions) => versions,
        ComingVersions::Unknown(_) => &[],
    }
}

fn item_words(item: &CoverageItem, code: &dyn Fn(&str) -> String) -> String {
    let what = match item.kind {
        CoverageKind::Attachment => "the attachment".to_owned(),
        CoverageKind::Condition => format!("the condition ({})", code(&item.detail)),
        CoverageKind::Remove => format!("the removal of {}", code(&item.detail)),
        CoverageKind::Pipeline => format!("the pipeline's {}", code(&item.detail)),
    };
    format!("{what} of {}", code(&item.policy))
}

/// A document that differs, in the words of a list.
struct ChangedDocument<'r> {
    /// `policy`, or `attachment of`.
    what: &'static str,
    name: &'r str,
    how: &'static str,
    fields: Vec<&'r str>,
    place: (&'r str, u32),
    is_gone: bool,
}

/// The documents that differ, policies first; those that differ through an ancestor only are left
/// out.
fn changed_documents(review: &Review) -> Vec<ChangedDocument<'_>> {
    let Some(diff) = &review.diff else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut push = |what, name, how, fields, place, is_gone| {
        found.push(ChangedDocument {
            what,
            name,
            how,
            fields,
            place,
            is_gone,
        });
    };
    for (entries, how) in [
        (&diff.policies.removed, "removed"),
        (&diff.policies.added, "added"),
    ] {
        for entry in entries {
            let place = (&*entry.place.file, entry.place.line);
            push(
                "policy",
                &*entry.name,
                how,
                Vec::new(),
                place,
                how == "removed",
            );
        }
    }
    for change in &diff.policies.changed {
        if change.because == refguard_core::diff::Because::Own {
            let fields = change
                .fields
                .iter()
                .map(|field| field.path.as_str())
                .collect();
            let place = (&*change.place.file, change.place.line);
            push("policy", &*change.name, "changed", fields, place, false);
        }
    }
    let attachments = &diff.attachments;
    for (entries, how) in [
        (&attachments.removed, "removed"),
        (&attachments.added, "added"),
    ] {
        for entry in entries {
            let place = (&*entry.place.file, entry.place.line);
            push(
                "attachment of",
                policy_of(entry),
                how,
                Vec::new(),
                place,
                how == "removed",
            );
        }
    }
    for change in &attachments.changed {
        let fields = change
            .fields
            .iter()
            .map(|field| field.path.as_str())
            .collect();
        let place = (&*change.entry.place.file, change.entry.place.line);
        push(
            "attachment of",
            policy_of(&change.entry),
            "changed",
            fields,
            place,
            false,
        );
    }
    found
}

fn policy_of(entry: &refguard_core::diff::AttachmentEntry) -> &str {
    entry
        .document
        .get("policy")
        .and_then(|policy| policy.as_str())
        .unwrap_or_default()
}
