//! Ask: a form, and what a request with these parts gets, from whom, and why.

use maud::{Markup, html};
use refguard_core::document::Dimension;
use refguard_core::policy::{Catalog, PolicySet};
use refguard_core::questions::{Giver, Unlisted};
use refguard_core::resolve::{
    Near, Numbering, Resolution, ResolvedPipeline, ResolvedPolicy, Verdict,
};
use serde::Serialize;

use super::frame::Frame;
use super::parts::{
    chip_list, commit_mark, count_things, isolated_name, sentence_markup, time_mark, visible_text,
};

/// Names of a dimension that a field suggests.
const MAX_SUGGESTED: usize = 400;
/// Attachments that came near, and policies that could give a guardrail, that are told.
const MAX_NEAR: usize = 40;
const MAX_GIVERS: usize = 20;

/// What was typed.
#[derive(Debug, Clone, Default)]
pub struct AskForm {
    /// The values of each dimension, those of sets parted by commas.
    pub values: Vec<(Dimension, String)>,
    /// Policies that the request names, parted by commas.
    pub policies: String,
    /// The guardrail that is asked about.
    pub guardrail: String,
    /// Which set; empty: what is in force.
    pub at: String,
    /// The instant that what expires counts as of; empty: now.
    pub now: String,
    /// What it is held against; empty: nothing.
    pub against: String,
}

/// The answer.
pub struct AskAnswer<'a> {
    /// The request in words.
    pub request: String,
    /// What it gets.
    pub resolution: &'a Resolution<'a>,
    /// Tells versions.
    pub version: Numbering<'a>,
    /// Attachments that came near.
    pub near: &'a [Near],
    /// Names that no catalog lists.
    pub unlisted: &'a [Unlisted],
    /// Who gives the guardrail that is asked about, or that there is none of that name.
    pub why: Option<Result<Vec<Giver>, String>>,
    /// What it got at another time, or why that cannot be told.
    pub against: Option<Result<Against, String>>,
    /// The promotion and the commit that it was answered from.
    pub origin: (Option<u64>, Option<&'a str>),
}

/// What the same request gets elsewhere.
#[derive(Debug, Clone)]
pub struct Against {
    /// The promotion.
    pub promotion: Option<u64>,
    /// The commit.
    pub commit: String,
    /// The guardrails.
    pub guardrails: Vec<String>,
}

/// The page; without an answer the form only.
pub fn ask_page(
    frame: &Frame,
    form: &AskForm,
    catalog: &Catalog,
    answer: Option<&AskAnswer<'_>>,
) -> String {
    frame.wrap_page(html! {
        h1 { "What does a request get?" }
        (ask_form(frame, form, catalog))
        @match answer {
            Some(answer) => (answer_section(frame, form, answer)),
            None => p.muted {
                "Give any of these. A field that is left empty is a value that the request does \
                 not have. "
                "The address of the answer can be shared: it names the commit and, where \
                 attachments expire, the instant, so that it stays what it is."
            },
        }
    })
}

fn ask_form(frame: &Frame, form: &AskForm, catalog: &Catalog) -> Markup {
    html! {
        form.card.ask method="get" action="/ui/ask" {
            @if let Some(set) = &frame.set { input type="hidden" name="set" value=(set); }
            div.fields {
                @for (dimension, value) in &form.values { (dimension_field(*dimension, value, catalog)) }
            }
            details.more open[has_more(form)] {
                summary { "More: a guardrail, named policies, another time" }
                div.fields {
                    div {
                        label for="guardrail" { "Why this guardrail, or why not" }
                        input #guardrail name="guardrail" value=(form.guardrail) list="guardrails" autocomplete="off";
                        datalist #guardrails {
                            @for known in catalog.guardrail_names().take(MAX_SUGGESTED) { option value=(known) {} }
                        }
                    }
                    div {
                        label for="policies" { "Policies that it names" }
                        input #policies name="policies" value=(form.policies) autocomplete="off" aria-describedby="policies-help";
                        small #policies-help.muted { "NAME or NAME@N, parted by commas" }
                    }
                    div {
                        label for="at" { "As of" }
                        input #at name="at" value=(form.at) autocomplete="off" placeholder="now" aria-describedby="at-help";
                        small #at-help.muted { "a promotion, a time or a commit" }
                    }
                    div {
                        label for="now" { "What expires counts as of" }
                        input #now name="now" value=(form.now) autocomplete="off" placeholder="now" aria-describedby="now-help";
                        small #now-help.muted { "a time; one in “As of” counts here too" }
                    }
                    div {
                        label for="against" { "Difference to" }
                        input #against name="against" value=(form.against) autocomplete="off" placeholder="nothing" aria-describedby="against-help";
                        small #against-help.muted { "a promotion, a time or a commit" }
                    }
                }
            }
            div.actions {
                button type="submit" { "Ask" }
                a.button.quiet href=(format!("/ui/ask{}", super::query_of(&[("set", frame.set.as_deref().unwrap_or_default())]))) { "Clear" }
            }
        }
    }
}

fn has_more(form: &AskForm) -> bool {
    [&form.policies, &form.guardrail, &form.against]
        .iter()
        .any(|field| !field.is_empty())
}

fn dimension_field(dimension: Dimension, value: &str, catalog: &Catalog) -> Markup {
    let (singular, field) = (dimension.singular(), dimension.context_field());
    let listed = catalog.values[dimension].iter().flatten();
    let label = if dimension.is_set() {
        dimension.plural()
    } else {
        singular
    };
    let list = format!("{field}-names");
    html! {
        div {
            label for=(field) { (capitalise_word(label)) }
            input id=(field) name=(field) value=(value) list=(list) autocomplete="off"
                placeholder=[dimension.is_set().then_some("parted by commas")];
            datalist id=(list) {
                @for name in listed.filter(|name| !name.ends_with('*')).take(MAX_SUGGESTED) { option value=(name) {} }
            }
        }
    }
}

pub(super) fn capitalise_word(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn answer_section(frame: &Frame, form: &AskForm, answer: &AskAnswer<'_>) -> Markup {
    let got = answer.resolution;
    html! {
        @for unlisted in answer.unlisted {
            p.notice-line role="status" { (sentence_markup(&unlisted.to_string())) }
        }
        section.card.answer aria-labelledby="gets" {
            div.head {
                h2 #gets { (sentence_markup(&capitalise_word(&answer.request))) " gets" }
                span.end.muted { (origin_line(answer.origin)) }
            }
            @if got.guardrails.is_empty() {
                p.lead.loss { "No guardrail: no policy matches this request." }
            } @else {
                div.big-chips { (big_chips(&got.guardrails)) }
            }
            @if let Some(until) = got.valid_until {
                p.muted { "So until " (time_mark(&until.to_string())) ": then an attachment ends." }
            }
            @if !got.unknown.is_empty() {
                p.loss { "It names what the set does not have: " (chip_list(&got.unknown)) }
            }
            @if let Some(against) = &answer.against { (difference_section(got, against)) }
        }
        @if let Some(why) = &answer.why { (why_card(frame, &form.guardrail, why)) }
        @if !got.policies.is_empty() {
            section.card aria-labelledby="from" {
                h2 #from { "Where that comes from" }
                @for policy in &got.policies { (policy_part(frame, policy, answer.version)) }
            }
        }
        @for pipeline in &got.pipelines { (pipeline_card(pipeline)) }
        (near_card(frame, answer.near))
    }
}

fn origin_line((promotion, hash): (Option<u64>, Option<&str>)) -> Markup {
    html! {
        @if let Some(number) = promotion { "promotion " (number) " · " }
        @match hash {
            Some(hash) => (commit_mark(hash)),
            None => "the work tree",
        }
    }
}

fn big_chips(names: &[&str]) -> Markup {
    html! { ul.chips.big { @for name in names { li { code { (visible_text(name)) } } } } }
}

/// What is lost and gained from then to the answer above.
fn difference_section(got: &Resolution<'_>, against: &Result<Against, String>) -> Markup {
    let against = match against {
        Ok(against) => against,
        Err(why) => {
            return html! { p.loss { "The difference cannot be told: " (sentence_markup(why)) } };
        }
    };
    let gained: Vec<&str> = got
        .guardrails
        .iter()
        .copied()
        .filter(|name| !against.guardrails.iter().any(|before| before == name))
        .collect();
    let is_lost = |name: &&String| !got.guardrails.contains(&name.as_str());
    let lost: Vec<&String> = against.guardrails.iter().filter(is_lost).collect();
    html! {
        div.difference {
            h3 { "Beside " (origin_line((against.promotion, Some(&against.commit)))) }
            @if gained.is_empty() && lost.is_empty() { p { "The same guardrails." } }
            @if !lost.is_empty() { p { span.loss { "Had then, not here: " } } div.lost { (chips_of("lost", &lost)) } }
            @if !gained.is_empty() { p { span.gain { "Has here, not then: " } } div { (chips_of("gained", &gained)) } }
        }
    }
}

pub(super) fn chips_of<N: AsRef<str>>(class: &str, names: &[N]) -> Markup {
    html! { ul class={ "chips " (class) } { @for name in names { li { code { (visible_text(name.as_ref())) } } } } }
}

fn policy_part(frame: &Frame, policy: &ResolvedPolicy<'_>, version: Numbering<'_>) -> Markup {
    // The name of a pinned one says its version itself.
    let number = policy
        .served_id()
        .and_then(|_| policy.version_number(version));
    let guardrails: Vec<&str> = policy.guardrail_names().collect();
    let chain: Vec<&str> = policy.chain_names().collect();
    html! {
        div.part {
            h3 {
                @match policy.served() {
                    Some(_) => a href=(frame.address("/ui/policy", &[("name", policy.name())])) { (isolated_name(policy.name())) },
                    None => (isolated_name(policy.name())),
                }
                @if let Some(number) = number { " " span.badge { "version " (number) } }
            }
            p.muted {
                @match policy.matched_via() {
                    Some(reason) => (sentence_markup(&reason.to_string())),
                    None => "asked for by name",
                }
                @if chain.len() > 1 {
                    " · built on "
                    @for (index, member) in chain.iter().enumerate() {
                        @if index > 0 { " → " }
                        (isolated_name(member))
                    }
                }
            }
            (chip_list(&guardrails))
        }
    }
}

fn pipeline_card(resolved: &ResolvedPipeline<'_>) -> Markup {
    html! {
        section.card {
            h2 { "Pipeline of " (isolated_name(resolved.policy)) " " span.badge { (json_word(&resolved.pipeline.mode)) } }
            (pipeline_table(resolved.set, resolved.pipeline))
        }
    }
}

/// The steps of a pipeline, in their order.
pub(super) fn pipeline_table(
    set: &PolicySet,
    pipeline: &refguard_core::policy::Pipeline,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Steps of the pipeline" {
            table {
                thead { tr {
                    th.number scope="col" { "Step" } th scope="col" { "Guardrail" }
                    th scope="col" { "If it passes" } th scope="col" { "If it fails" } th scope="col" { "On an error" }
                } }
                tbody {
                    @for (number, step) in (1..).zip(&pipeline.steps) {
                        tr {
                            td.number { (number) }
                            th scope="row" { code { (visible_text(set.guardrail(step.guardrail))) } }
                            td { (json_word(&step.on_pass)) } td { (json_word(&step.on_fail)) }
                            td { (json_word(&step.on_error.unwrap_or(step.on_fail))) }
                        }
                    }
                }
            }
        }
    }
}

/// A word of a document, as JSON has it.
fn json_word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().replace('_', " ")
}

fn near_card(frame: &Frame, near: &[Near]) -> Markup {
    let (matched, missed): (Vec<&Near>, Vec<&Near>) = near
        .iter()
        .partition(|near| near.verdict == Verdict::Matched);
    html! {
        section.card {
            details open[missed.len() <= MAX_NEAR] {
                summary { "Attachments that came near: " (matched.len()) " matched, "
                    (count_things(missed.len(), "did not", "did not")) }
                ul.plain.near {
                    @for near in matched.iter().chain(&missed).take(MAX_NEAR) { (near_line(frame, near)) }
                }
                @if near.len() > MAX_NEAR { p.muted { "and " (near.len() - MAX_NEAR) " more" } }
            }
        }
    }
}

fn near_line(frame: &Frame, near: &Near) -> Markup {
    let (class, mark) = match near.verdict {
        Verdict::Matched => ("badge good", "matched"),
        Verdict::Repeated => ("badge", "again"),
        Verdict::DefaultNotNeeded => ("badge", "not needed"),
        Verdict::ConditionFailed => ("badge warn", "condition"),
        Verdict::Missed => ("badge warn", "missed"),
        Verdict::Expired => ("badge warn", "expired"),
    };
    html! {
        li {
            span class=(class) { (mark) } " " strong { (isolated_name(&near.policy)) } " "
            span { (sentence_markup(&near.why)) } " " (frame.place(&near.file, near.line))
        }
    }
}

fn why_card(frame: &Frame, guardrail: &str, why: &Result<Vec<Giver>, String>) -> Markup {
    let givers = match why {
        Ok(givers) => givers,
        Err(trouble) => return html! { section.card.warn { p { (sentence_markup(trouble)) } } },
    };
    let (giving, others): (Vec<&Giver>, Vec<&Giver>) = givers.iter().partition(|giver| giver.gives);
    let class = if giving.is_empty() {
        "card warn"
    } else {
        "card good"
    };
    html! {
        section class=(class) aria-labelledby="why" {
            h2 #why {
                @if giving.is_empty() { "Why it does not get " } @else { "Why it gets " }
                code { (visible_text(guardrail)) }
            }
            @if givers.is_empty() { p { "No policy adds it." } }
            @for giver in &giving {
                p {
                    strong { (isolated_name(&giver.policy)) } " gives it: "
                    (sentence_markup(giver.matched_via.as_deref().unwrap_or("asked for by name"))) " "
                    (frame.place(&giver.file, giver.line))
                }
            }
            @if giving.is_empty() {
                @for giver in others.iter().take(MAX_GIVERS) {
                    h3 { (isolated_name(&giver.policy)) " could give it, but " (frame.place(&giver.file, giver.line)) }
                    ul {
                        @for obstacle in &giver.obstacles {
                            li {
                                (sentence_markup(&obstacle.message)) " " (frame.place(&obstacle.file, obstacle.line))
                                div.muted { "To change that: " (sentence_markup(&obstacle.change)) }
                            }
                        }
                    }
                }
                @if others.len() > MAX_GIVERS {
                    p.muted { "and " (count_things(others.len() - MAX_GIVERS, "more policy", "more policies")) }
                }
            }
        }
    }
}
