//! Shadow: what another revision would have said to the requests that were answered.

use maud::{Markup, html};

use super::frame::Frame;
use super::parts::{
    chip_list, commit_mark, count_things, group_digits, isolated_name, sentence_markup, time_mark,
    visible_text,
};
use crate::daemon::{ShadowRegion, ShadowReport, ShadowSample};
use crate::output::{context_words, region_words};

/// Guardrails of a list, regions and samples that are shown; `/v1/shadow` has all.
const MAX_GUARDRAILS: usize = 50;
const MAX_REGIONS: usize = 50;
const MAX_SAMPLES: usize = 50;

/// The address of the page that asks a sample's request again; `None` where its key is hidden.
type AddressOf<'a> = &'a dyn Fn(&ShadowSample) -> Option<String>;

/// The page. `trouble`: why the revision is not asked; `ask` is the address that asks for a
/// sample's request.
pub fn shadow_page(
    frame: &Frame,
    report: &ShadowReport,
    trouble: Option<&str>,
    ask: AddressOf<'_>,
) -> String {
    frame.wrap_page(html! {
        h1 { "What " (isolated_name(&report.revision)) " would say" }
        p.muted {
            "Requests are answered from what is in force"
            @if let Some(set) = &report.set { " in " (isolated_name(set)) }
            @if let Some(base) = &report.base { " (" (commit_mark(base)) ")" }
            @if let Some(head) = &report.head { ", and asked of " code { (visible_text(&report.revision)) } " at " (commit_mark(head)) " beside it" }
            ". No answer changes by that."
        }
        @match (trouble, &report.head) {
            (Some(why), _) => div.card.bad { p.lead { (sentence_markup(why)) } },
            (None, None) => div.card.warn { p.lead { "Nothing is compared yet." } },
            (None, Some(_)) => (count_list(report)),
        }
        @if report.head.is_some() {
            (guardrail_table(report))
            (region_table(report))
            (sample_list(report, ask))
        }
    })
}

/// How many requests were asked, and what became of them.
fn count_list(report: &ShadowReport) -> Markup {
    let class = if report.differs > 0 {
        "card warn"
    } else {
        "card good"
    };
    let rows = [
        ("Get the same", report.same),
        ("Get something else", report.differs),
        ("Cannot be compared: they name a version", report.unclear),
        ("Not compared, for want of time", report.shed),
    ];
    html! {
        section class=(class) aria-labelledby="requests" {
            h2 #requests { (request_count(report.requests)) " since " (time_mark(&report.since.to_string())) }
            dl.facts {
                @for (what, number) in rows {
                    div { dt { (what) } dd { (digits_of(number)) " " span.muted { (share_of(number, report.requests)) } } }
                }
            }
            p { a.button.quiet href="/ui/shadow" { "Show newer counts" } }
        }
    }
}

fn digits_of(number: u64) -> String {
    group_digits(usize::try_from(number).unwrap_or(usize::MAX))
}

fn request_count(number: u64) -> String {
    count_things(
        usize::try_from(number).unwrap_or(usize::MAX),
        "request",
        "requests",
    )
}

/// `(12.3 %)`; nothing of nothing.
fn share_of(number: u64, of: u64) -> String {
    match of {
        0 => String::new(),
        // Exact enough for one digit after the point, whatever the counts.
        _ => format!("({:.1} %)", number as f64 * 100.0 / of as f64),
    }
}

/// The guardrails that requests lose and gain, those of most requests first.
fn guardrail_table(report: &ShadowReport) -> Markup {
    let counted = [
        ("loss", "Lost", &report.lost),
        ("gain", "Gained", &report.gained),
    ];
    if counted.iter().all(|(.., counts)| counts.is_empty()) {
        return html! {};
    }
    html! {
        section.card aria-labelledby="guardrails" {
            h2 #guardrails { "By guardrail" }
            dl.changes {
                @for (class, word, counts) in counted {
                    @let mut sorted: Vec<_> = counts.iter().collect();
                    @let () = sorted.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
                    @if !sorted.is_empty() {
                        div {
                            dt class=(class) { (word) }
                            dd { ul.plain.near {
                                @for (guardrail, number) in sorted.iter().take(MAX_GUARDRAILS) {
                                    li { code { (visible_text(guardrail)) } " by " (request_count(**number)) }
                                }
                                @if sorted.len() > MAX_GUARDRAILS { li.muted { "and " (sorted.len() - MAX_GUARDRAILS) " more" } }
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// The regions of the impact: those that requests met, then, folded, those that none did.
fn region_table(report: &ShadowReport) -> Markup {
    let (mut met, quiet): (Vec<&ShadowRegion>, Vec<&ShadowRegion>) = report
        .regions
        .iter()
        .partition(|region| region.requests > 0);
    met.sort_by_key(|region| std::cmp::Reverse(region.requests));
    html! {
        section.card aria-labelledby="regions" {
            h2 #regions { "By region of the difference" }
            @if report.regions.is_empty() && report.exact { p { "Every request gets the same from \
                both." } }
            @if !report.exact { p.muted { "Not every region is known: the analysis took too long." } }
            @if met.is_empty() && !report.regions.is_empty() { p { "No request lay in one of them \
                yet." } }
            ul.plain.near {
                @for region in met.iter().take(MAX_REGIONS) {
                    li { strong { (request_count(region.requests)) } ": " (sentence_markup(&region_words(&region.described))) }
                }
                @if met.len() > MAX_REGIONS { li.muted { "and " (met.len() - MAX_REGIONS) " more" } }
                @if report.outside > 0 { li { strong { (request_count(report.outside)) } ": of no region that is known" } }
            }
            @if !quiet.is_empty() {
                details {
                    summary { (count_things(quiet.len(), "region", "regions")) " without any request" }
                    ul.plain.near {
                        @for region in quiet.iter().take(MAX_REGIONS) { li { (sentence_markup(&region_words(&region.described))) } }
                        @if quiet.len() > MAX_REGIONS { li.muted { "and " (quiet.len() - MAX_REGIONS) " more" } }
                    }
                }
            }
        }
    }
}

/// The newest requests that differ.
fn sample_list(report: &ShadowReport, ask: AddressOf<'_>) -> Markup {
    if report.samples.is_empty() {
        return html! {
            @if report.differs > 0 { p.muted { "Requests themselves are kept with " code { "--shadow-samples N" } "." } }
        };
    }
    html! {
        section.card aria-labelledby="samples" {
            h2 #samples { "The newest that differ" }
            ul.plain.near {
                @for sample in report.samples.iter().take(MAX_SAMPLES) { (sample_item(sample, ask(sample))) }
                @let more = report.samples.len().saturating_sub(MAX_SAMPLES);
                @if more > 0 { li.muted { "and " (more) " more" } }
            }
        }
    }
}

fn sample_item(sample: &ShadowSample, address: Option<String>) -> Markup {
    let compared = &sample.compared;
    html! {
        li {
            div.head {
                span { (sentence_markup(&context_words(&sample.context))) }
                span.end { (time_mark(&sample.at.to_string())) }
            }
            @if !compared.lost.is_empty() { div.gives { span.loss { "loses: " } (chip_list(&compared.lost)) } }
            @if !compared.gained.is_empty() { div.gives { span.gain { "gains: " } (chip_list(&compared.gained)) } }
            @if compared.pipelines { p.muted { "Other pipelines run." } }
            @if let Some(address) = &address { p.links { a href=(address) { "What it gets now" } } }
        }
    }
}
