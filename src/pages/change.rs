//! Change: what is published and not in an environment yet, as a reviewer reads it, and what the
//! gates say.

use maud::{Markup, html};
use refguard_core::document::Finding;

use super::ask::capitalise_word;
use super::difference::{document_card, impact_card, safeguard_card};
use super::frame::Frame;
use super::parts::{
    chip_list, commit_mark, count_things, isolated_name, sentence_markup, visible_text,
};
use crate::daemon::Change;
use crate::ops::{ComingVersions, Foreseen, Review, ReviewedTests, Says};
use crate::output::verdict_line;

/// Findings, failed tests and owners that are shown.
const MAX_SHOWN: usize = 50;

/// The page.
pub fn change_page(frame: &Frame, change: &Change) -> String {
    frame.wrap_page(html! {
        h1 { "What comes next to " (isolated_name(&change.environment)) }
        p.muted {
            "From " code { (visible_text(&change.source)) } " at " (commit_mark(&change.head))
            @if let Some(tip) = &change.tip { ", held against " (commit_mark(tip)) }
        }
        @match (&change.review, &change.tip) {
            (Some(review), _) => (review_section(frame, &change.environment, review)),
            (None, Some(_)) => div.card.good { p.lead { "Nothing: it holds all that " code { (visible_text(&change.source)) } " has." } },
            (None, None) if change.is_gone => div.card.bad {
                p.lead { "Its branch is gone, so there is nothing to hold against each other. \
                    What was good last stays in force." }
            },
            (None, None) => div.card { p.lead { "Nothing was promoted to it yet, so there is \
                nothing to hold against each other." } },
        }
    })
}

fn review_section(frame: &Frame, environment: &str, review: &Review) -> Markup {
    let foreseen = review
        .environments
        .iter()
        .find(|it| it.environment == environment);
    html! {
        section class={ "card " (if review.is_faulty() { "bad" } else { "verdict" }) } {
            p.lead { (sentence_markup(&capitalise_word(&verdict_line(review)))) }
        }
        @match foreseen {
            Some(foreseen) => (gate_table(frame, foreseen)),
            None => p.muted { "Its gates are asked when somebody promotes: " code { "refguard \
                promote --dry-run" } },
        }
        @if let (Some(impact), Some(shift)) = (&review.impact, &review.shift) { (impact_card(impact, shift)) }
        @if let Some(safeguards) = &review.safeguards { (safeguard_card(safeguards)) }
        (finding_list(frame, &review.new))
        @if let Some(tests) = &review.tests { (tests_card(frame, tests)) }
        (owner_list(review))
        @if let Some(diff) = &review.diff { (document_card(diff)) }
        (version_list(review))
    }
}

/// What each gate says; the ones that say nothing are passed.
fn gate_table(frame: &Frame, foreseen: &Foreseen) -> Markup {
    let (class, heading) = match (foreseen.could, foreseen.undecided) {
        (true, _) => ("card good", "The gates let it pass"),
        (false, true) => (
            "card warn",
            "Not every gate was decided in the time of this review",
        ),
        (false, false) => ("card bad", "The gates refuse it"),
    };
    html! {
        section class=(class) aria-labelledby="gates" {
            h2 #gates { (heading) }
            ul.plain.near {
                @for word in foreseen.gates.iter().take(MAX_SHOWN) {
                    @let (class, says) = match word.says {
                        Says::Refused => ("badge bad", "refused"),
                        Says::Allowed => ("badge warn", "allowed"),
                        Says::Warned => ("badge warn", "warning"),
                        Says::Undecided => ("badge warn", "not decided in time"),
                    };
                    li {
                        span class=(class) { (says) } " gate " code { (word.gate) } ": " (sentence_markup(&word.message)) " "
                        @if let Some(file) = &word.file { (frame.place(file, word.line.unwrap_or(1))) }
                    }
                }
            }
            @let quiet = quiet_gates(foreseen);
            @if !quiet.is_empty() { div.gives { span.gain { "nothing to say: " } (chip_list(&quiet)) } }
            p.muted { "As of now; the gates are asked again when somebody promotes." }
        }
    }
}

/// Gates that were asked and say nothing. `published`, `older` and `soak` are asked of a commit
/// only, at the promotion.
fn quiet_gates(foreseen: &Foreseen) -> Vec<&'static str> {
    let asked = [
        "valid",
        "tests",
        "empty",
        "freeze",
        "hold",
        "weaken",
        "safeguards",
    ];
    asked
        .into_iter()
        .filter(|gate| !foreseen.gates.iter().any(|word| word.gate == *gate))
        .collect()
}

fn finding_list(frame: &Frame, new: &[Finding]) -> Markup {
    if new.is_empty() {
        return html! {};
    }
    html! {
        section.card.warn aria-labelledby="findings" {
            h2 #findings { (count_things(new.len(), "new finding", "new findings")) }
            ul.plain.near {
                @for finding in new.iter().take(MAX_SHOWN) {
                    li {
                        @if finding.is_error() { span.badge.bad { "error" } } @else { span.badge.warn { "warning" } }
                        " " span.rule { (finding.rule.code) } " " (sentence_markup(&finding.message)) " "
                        (frame.place(&finding.location.file, finding.location.line))
                    }
                }
            }
            @if new.len() > MAX_SHOWN { p.muted { "and " (new.len() - MAX_SHOWN) " more" } }
        }
    }
}

fn tests_card(frame: &Frame, tests: &ReviewedTests) -> Markup {
    let report = &tests.report;
    if report.cases.is_empty() {
        return html! {};
    }
    let class = if report.failed > 0 {
        "card bad"
    } else {
        "card"
    };
    html! {
        section class=(class) aria-labelledby="tests" {
            h2 #tests { "Tests: " (report.passed) " passed, " (report.failed) " failed" }
            @if let Some(coverage) = &report.coverage {
                p.muted {
                    "Coverage " (format!("{:.1} %", coverage.percent))
                    @if let Some(before) = tests.base_coverage { ", before " (format!("{before:.1} %")) }
                }
            }
            ul.plain.near {
                @for case in report.cases.iter().filter(|case| !case.differences.is_empty()).take(MAX_SHOWN) {
                    li { span.badge.bad { "failed" } " " (isolated_name(&case.case)) ": " (sentence_markup(&case.differences.join("; "))) " "
                        (frame.place(&case.file, case.line)) }
                }
            }
        }
    }
}

fn owner_list(review: &Review) -> Markup {
    if review.owners.is_empty() {
        return html! {};
    }
    html! {
        section.card aria-labelledby="owners" {
            h2 #owners { "Who is to be asked" }
            dl.changes {
                @for owner in review.owners.iter().take(MAX_SHOWN) {
                    div { dt { @match &owner.owner { Some(owner) => (isolated_name(owner)), None => "nobody is named as owner" } }
                        dd { (chip_list(&owner.policies)) } }
                }
            }
        }
    }
}

fn version_list(review: &Review) -> Markup {
    let ComingVersions::Known(versions) = &review.versions else {
        return html! {};
    };
    if versions.is_empty() {
        return html! {};
    }
    let named: Vec<String> = versions
        .iter()
        .map(|it| {
            format!(
                "{}@{}{}",
                it.policy,
                it.number,
                if it.removed { " (removed)" } else { "" }
            )
        })
        .collect();
    html! { section.card { h2 { "Versions that the change makes" } (chip_list(&named)) } }
}
