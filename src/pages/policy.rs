//! One policy: its document, what it is built on, what it gives in which case, where it is
//! attached, its versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use refguard_core::diff::FieldChange;
use refguard_core::document::Dimension;
use refguard_core::policy::{Attachment, Pattern, Policy, PolicyId, PolicySet};
use serde_json::Value;

use super::ask::{capitalise_word, pipeline_table};
use super::frame::Frame;
use super::parts::{
    chip_list, commit_mark, count_things, isolated_name, sentence_markup, time_mark, visible_text,
};
use super::yaml::{highlight_yaml, yaml_beside};
use crate::ops::{Compared, VersionList, VersionRow};

/// Attachments, children, versions and names that are shown.
const MAX_ATTACHMENTS: usize = 50;
const MAX_CHILDREN: usize = 100;
const MAX_VERSIONS: usize = 100;
const MAX_MODELS: usize = 500;

/// Everything that the page shows of a policy beside the set.
pub struct PolicyView<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The set with every attachment, also those that have ended.
    pub documents: &'a PolicySet,
    /// When that is looked at.
    pub now: Timestamp,
    /// The number of its version.
    pub number: Option<u64>,
    /// The text of its document, or why it cannot be shown.
    pub document: Result<String, String>,
    /// Its versions, or why they cannot be told.
    pub versions: Result<VersionList, String>,
}

/// The page.
pub fn policy_page(frame: &Frame, set: &PolicySet, view: &PolicyView<'_>) -> String {
    let policy = view.policy;
    frame.wrap_page(html! {
        p.crumb { a href=(frame.address("/ui/policies", &[])) { "Policies" } }
        div.head {
            h1 { (isolated_name(&policy.name)) }
            @if let Some(number) = view.number { span.badge { "version " (number) } }
            @if policy.requestable { span.badge { "may be asked for by name" } }
        }
        @if let Some(description) = &policy.description { p.lead { (isolated_name(description)) } }
        p.muted {
            @match &policy.owner { Some(owner) => { "Owner: " (isolated_name(owner)) }, None => "Nobody is \
                named as owner" }
            " · " (frame.place(&policy.place.file, policy.place.line))
        }
        div.columns {
            section.card aria-labelledby="gives" {
                h2 #gives { "What it gives" }
                (chain_section(frame, set, policy))
                (case_table(set, policy))
            }
            section.card aria-labelledby="document" {
                h2 #document { "Document" }
                @match &view.document {
                    Ok(document) => (highlight_yaml(document, "The policy's document")),
                    Err(why) => p.muted { "It cannot be shown: " (sentence_markup(why)) },
                }
            }
        }
        @if let Some(pipeline) = &policy.pipeline {
            section.card { h2 { "Pipeline" } (pipeline_table(set, pipeline)) }
        }
        (attachment_list(frame, view))
        (child_list(frame, set, policy))
        (version_section(frame, policy, &view.versions))
    })
}

/// Its ancestors and itself, each with what it adds and removes.
fn chain_section(frame: &Frame, set: &PolicySet, policy: &Policy) -> Markup {
    let members: Vec<&Policy> = policy
        .chain
        .iter()
        .filter_map(|id| set.policy(*id))
        .collect();
    html! {
        ol.chain {
            @for member in members {
                li {
                    @if member.name == policy.name { strong { (isolated_name(&member.name)) } }
                    @else { a href=(frame.address("/ui/policy", &[("name", &member.name)])) { (isolated_name(&member.name)) } }
                    @if let Some(condition) = &member.condition {
                        span.muted { " where the model is " }
                        @for id in condition {
                            code { (visible_text(set.conditions.get(id.0 as usize).map_or("", |it| it.text()))) } " "
                        }
                    }
                    @if !member.add.is_empty() {
                        div.gives { span.gain { "adds " } (chip_list(&guardrail_names(set, &member.add))) }
                    }
                    @if !member.remove.is_empty() {
                        div.gives { span.loss { "removes " } (chip_list(&guardrail_names(set, &member.remove))) }
                    }
                }
            }
        }
    }
}

fn guardrail_names<'s>(
    set: &'s PolicySet,
    ids: &[refguard_core::policy::GuardrailId],
) -> Vec<&'s str> {
    ids.iter().map(|id| set.guardrail(*id)).collect()
}

/// What its chain comes to, for each class of models that the catalog lists.
fn case_table(set: &PolicySet, policy: &Policy) -> Markup {
    let given = |model: Option<&str>| {
        let holds = |member: &Policy| {
            member
                .condition
                .as_ref()
                .is_none_or(|it| set.condition_holds(it, model))
        };
        guardrail_names(set, &set.effective_guardrails(policy, holds))
    };
    let is_conditional = policy
        .chain
        .iter()
        .filter_map(|id| set.policy(*id))
        .any(|it| it.condition.is_some());
    if !is_conditional {
        return html! { h3 { "Together, for every model" } (chip_list(&given(None))) };
    }

    let mut by_result: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    let listed = set.catalog.values[Dimension::Model].iter().flatten();
    for model in listed
        .filter(|model| !model.ends_with('*'))
        .take(MAX_MODELS)
    {
        by_result.entry(given(Some(model))).or_default().push(model);
    }
    html! {
        h3 { "Together, by model" }
        dl.cases {
            @for (guardrails, models) in &by_result {
                div {
                    dt { @for (index, model) in models.iter().enumerate() { @if index > 0 { ", " } (isolated_name(model)) } }
                    dd { @if guardrails.is_empty() { span.muted { "nothing" } } @else { (chip_list(guardrails)) } }
                }
            }
            @let without = given(None);
            div {
                dt { "no model" }
                dd { @if without.is_empty() { span.muted { "nothing" } } @else { (chip_list(&without)) } }
            }
        }
    }
}

fn attachment_list(frame: &Frame, view: &PolicyView<'_>) -> Markup {
    let (set, policy) = (view.documents, view.policy);
    let Some(id) = set.by_name.get(&policy.name).copied() else {
        return html! {};
    };
    let own: Vec<&Attachment> = set
        .attachments
        .iter()
        .map(|it| &**it)
        .filter(|it| it.policy == id)
        .collect();
    html! {
        section.card aria-labelledby="who" {
            h2 #who { "Who gets it" }
            @if own.is_empty() {
                p { "It is attached to nothing" @if policy.requestable { ": requests may ask for \
                    it by name" } "." }
            }
            @if !own.is_empty() {
                div.scroll tabindex="0" role="region" aria-label="Attachments" {
                    table.stack {
                        thead { tr { th scope="col" { "Requests with" } th scope="col" { "Names of the catalog" }
                            th scope="col" { "Place" } } }
                        tbody { @for attachment in own.iter().take(MAX_ATTACHMENTS) { (attachment_row(frame, view, attachment)) } }
                    }
                }
            }
            @if own.len() > MAX_ATTACHMENTS {
                p.muted { "and " (count_things(own.len() - MAX_ATTACHMENTS, "attachment", "attachments")) " more" }
            }
        }
    }
}

fn attachment_row(frame: &Frame, view: &PolicyView<'_>, attachment: &Attachment) -> Markup {
    let set = view.documents;
    let has_ended = attachment.is_expired(view.now);
    html! {
        tr {
            td data-label="Requests with" {
                @if attachment.everywhere { "anything: every request" }
                @else {
                    @for (dimension, patterns) in attachment.targets.written() {
                        @if let Some(patterns) = patterns {
                            div {
                                span.muted { (capitalise_word(if patterns.len() == 1 { dimension.singular() } else { dimension.plural() })) " " }
                                @for pattern in patterns { code { (visible_text(&pattern.to_string())) } " " }
                            }
                        }
                    }
                }
                @if attachment.default { div.muted { "only where nothing else matches" } }
                @if let Some(priority) = attachment.priority { div.muted { "priority " (priority) } }
                @if let Some(expires) = &attachment.expires {
                    div {
                        @if has_ended { span.badge.bad { "ended" } } @else { span.badge.warn { "ends" } }
                        " " (time_mark(&expires.to_string()))
                    }
                }
                @if let Some(reason) = &attachment.reason { div.muted { q { (isolated_name(reason)) } } }
            }
            td data-label="Names of the catalog" {
                @for (dimension, patterns) in attachment.targets.written() {
                    @if let Some(patterns) = patterns { (catalog_names(set, dimension, patterns)) }
                }
            }
            td data-label="Place" { (frame.place(&attachment.place.file, attachment.place.line)) }
        }
    }
}

/// The names of the catalog that some patterns match.
fn catalog_names(set: &PolicySet, dimension: Dimension, patterns: &[Pattern]) -> Markup {
    let Some(listed) = &set.catalog.values[dimension] else {
        return html! {};
    };
    let matched: Vec<&str> = listed
        .iter()
        .map(|name| &**name)
        .filter(|name| patterns.iter().any(|pattern| pattern.matches(Some(name))))
        .collect();
    html! {
        div.matched {
            span.muted { (matched.len()) " of " (count_things(listed.len(), dimension.singular(), dimension.plural())) }
            (chip_list(&matched))
        }
    }
}

fn child_list(frame: &Frame, set: &PolicySet, policy: &Policy) -> Markup {
    let Some(id) = set.by_name.get(&policy.name).copied() else {
        return html! {};
    };
    let is_child = |id: PolicyId| move |it: &&&Policy| it.parent == Some(id);
    let all: Vec<&Policy> = set.policies.iter().map(|it| &**it).collect();
    let children: Vec<&&Policy> = all.iter().filter(is_child(id)).collect();
    if children.is_empty() {
        return html! {};
    }
    html! {
        section.card {
            h2 { (count_things(children.len(), "policy is", "policies are")) " built on it" }
            p.links {
                @for child in children.iter().take(MAX_CHILDREN) {
                    a href=(frame.address("/ui/policy", &[("name", &child.name)])) { (isolated_name(&child.name)) } " "
                }
                @if children.len() > MAX_CHILDREN { span.muted { "and more" } }
            }
        }
    }
}

fn version_section(
    frame: &Frame,
    policy: &Policy,
    versions: &Result<VersionList, String>,
) -> Markup {
    let list = match versions {
        Ok(list) => &list.versions,
        Err(why) => {
            return html! { section.card { h2 { "Versions" } p.muted { (sentence_markup(why)) } } };
        }
    };
    html! {
        section.card aria-labelledby="versions" {
            h2 #versions { (count_things(list.len(), "version", "versions")) }
            (version_table(list))
            @if list.len() > 1 { (compare_form(frame, &policy.name, list, None)) }
        }
    }
}

fn version_table(list: &[VersionRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Versions" {
            table.stack {
                thead { tr { th.number scope="col" { "Version" } th scope="col" { "What" } th scope="col" { "Who" }
                    th scope="col" { "When" } th scope="col" { "Where" } } }
                tbody {
                    @for row in list.iter().take(MAX_VERSIONS) {
                        tr {
                            th.number scope="row" { (row.number) }
                            td data-label="What" { (isolated_name(&row.summary)) " " (commit_mark(&row.commit))
                                @if row.digest.is_none() { " " span.badge.bad { "removed" } } }
                            td data-label="Who" { (isolated_name(&row.author)) }
                            td data-label="When" { (time_mark(&row.time)) }
                            td data-label="Where" { @for state in row.states.iter().filter(|state| *state != "published") {
                                span.badge.good { (visible_text(state)) } " " } }
                        }
                    }
                }
            }
        }
        @if list.len() > MAX_VERSIONS { p.muted { "and older ones" } }
    }
}

fn compare_form(
    frame: &Frame,
    policy: &str,
    list: &[VersionRow],
    chosen: Option<(u64, u64)>,
) -> Markup {
    let newest = list.first().map_or(0, |row| row.number);
    let before = list.get(1).map_or(newest, |row| row.number);
    let (from, to) = chosen.unwrap_or((before, newest));
    let choice = |id: &'static str, label: &'static str, chosen: u64| {
        html! {
            div {
                label for=(id) { (label) }
                select id=(id) name=(id) {
                    @for row in list.iter().take(MAX_VERSIONS) {
                        option value=(row.number) selected[row.number == chosen] { "version " (row.number) }
                    }
                }
            }
        }
    };
    html! {
        form method="get" action="/ui/compare" {
            @if let Some(set) = &frame.set { input type="hidden" name="set" value=(set); }
            input type="hidden" name="name" value=(policy);
            div.fields.compare {
                (choice("from", "Compare", from)) (choice("to", "with", to))
                div { button type="submit" { "Compare" } }
            }
        }
    }
}

/// Two versions of a policy side by side.
pub struct CompareView<'a> {
    /// The policy.
    pub policy: &'a str,
    /// The two numbers.
    pub numbers: (u64, u64),
    /// Field by field.
    pub compared: &'a Compared,
    /// The text of both documents.
    pub documents: (String, String),
    /// Every version.
    pub versions: &'a VersionList,
}

/// The page.
pub fn compare_page(frame: &Frame, view: &CompareView<'_>) -> String {
    let comparison = view.compared.comparison();
    let (from, to) = view.numbers;
    frame.wrap_page(html! {
        p.crumb {
            a href=(frame.address("/ui/policies", &[])) { "Policies" } " / "
            a href=(frame.address("/ui/policy", &[("name", view.policy)])) { (isolated_name(view.policy)) }
        }
        h1 { (isolated_name(view.policy)) ": version " (from) " and " (to) }
        div.card { (compare_form(frame, view.policy, &view.versions.versions, Some(view.numbers))) }
        section.card aria-labelledby="fields" {
            h2 #fields { "What differs" }
            @if comparison.fields.is_empty() { p { "Nothing that has a meaning." } } @else { (field_table(&comparison.fields)) }
        }
        div.columns {
            @let (old, new) = &view.documents;
            @for (number, document, other) in [(from, old, new), (to, new, old)] {
                section.card {
                    h2 { "Version " (number) }
                    @if document.is_empty() { p.muted { "The policy was removed." } }
                    @else { (yaml_beside(document, other, &format!("Document of version {number}"))) }
                }
            }
        }
    })
}

/// Fields that differ, before and after.
pub(super) fn field_table(fields: &[FieldChange]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Fields that differ" {
            table {
                thead { tr { th scope="col" { "Field" } th scope="col" { "Before" } th scope="col" { "After" } } }
                tbody {
                    @for field in fields.iter().take(200) {
                        tr { th scope="row" { code { (visible_text(&field.path)) } } td { (value_markup(&field.a)) } td { (value_markup(&field.b)) } }
                    }
                }
            }
        }
    }
}

fn value_markup(value: &Value) -> Markup {
    match value {
        Value::Null => html! { span.muted { "not there" } },
        Value::String(words) => html! { (isolated_name(words)) },
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            if items.is_empty() {
                html! { span.muted { "none" } }
            } else {
                chip_list(&items)
            }
        }
        other => html! { code { (visible_text(&other.to_string())) } },
    }
}
