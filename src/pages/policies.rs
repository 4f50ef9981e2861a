//! Policies: a list that is searched and paged at the server.

use std::collections::HashMap;

use maud::{Markup, html};
use refguard_core::policy::{Policy, PolicyId, PolicySet};

use super::frame::Frame;
use super::parts::{chip_list, count_things, group_digits, isolated_name};

/// Policies of a page.
const PAGE: usize = 50;
/// Bytes of what is searched for.
const MAX_SEARCH: usize = 200;

/// The page with the policies that hold some text, from a number on.
pub fn policies_page(
    frame: &Frame,
    set: &PolicySet,
    search: &str,
    page: usize,
    version: &dyn Fn(&str) -> Option<u64>,
) -> String {
    let found: Vec<&Policy> = set
        .policies
        .iter()
        .map(|policy| &**policy)
        .filter(|it| holds_text(set, it, search))
        .collect();
    let pages = found.len().div_ceil(PAGE).max(1);
    let page = page.clamp(1, pages);
    let shown = found.iter().skip((page - 1) * PAGE).take(PAGE);
    let mut attached: HashMap<PolicyId, usize> = HashMap::new();
    set.attachments
        .iter()
        .for_each(|it| *attached.entry(it.policy).or_default() += 1);

    frame.wrap_page(html! {
        div.head {
            h1 { "Policies" }
            span.end.muted {
                @if found.len() == set.policies.len() { (count_things(set.policies.len(), "policy", "policies")) }
                @else { (group_digits(found.len())) " of " (count_things(set.policies.len(), "policy", "policies")) }
            }
        }
        form.card.search method="get" action="/ui/policies" role="search" {
            (frame.hidden_fields())
            label for="q" { "Name, description, owner or guardrail" }
            div.row { input #q type="search" name="q" value=(search) autocomplete="off"; button type="submit" { "Search" } }
        }
        @if found.is_empty() {
            div.card {
                @if set.policies.is_empty() { p { "This set has no policies." } }
                @else { p { "No policy has that in its name, description, owner or guardrails." } }
            }
        } @else {
            div.card.scroll tabindex="0" role="region" aria-label="Policies" {
                table.policies.stack {
                    thead { tr {
                        th scope="col" { "Policy" } th scope="col" { "Owner" } th scope="col" { "Adds" }
                        th scope="col" { "Built on" } th.number scope="col" { "Attached" } th.number scope="col" { "Version" }
                    } }
                    tbody {
                        @for policy in shown {
                            (policy_row(frame, set, policy, attached.get(&own_id(set, policy)).copied(), version(&policy.name)))
                        }
                    }
                }
            }
            (page_links(frame, search, page, pages))
        }
    })
}

fn own_id(set: &PolicySet, policy: &Policy) -> PolicyId {
    set.by_name
        .get(&policy.name)
        .copied()
        .unwrap_or(PolicyId(u32::MAX))
}

/// Whether any text that is shown of a policy holds what is searched for, whatever its case.
fn holds_text(set: &PolicySet, policy: &Policy, search: &str) -> bool {
    let wanted = search.trim().to_lowercase();
    let wanted = wanted
        .get(..MAX_SEARCH.min(wanted.len()))
        .unwrap_or(&wanted);
    let has = |text: &str| text.to_lowercase().contains(wanted);
    wanted.is_empty()
        || has(&policy.name)
        || policy.description.as_deref().is_some_and(has)
        || policy.owner.as_deref().is_some_and(has)
        || policy.add.iter().any(|id| has(set.guardrail(*id)))
}

fn policy_row(
    frame: &Frame,
    set: &PolicySet,
    policy: &Policy,
    attached: Option<usize>,
    version: Option<u64>,
) -> Markup {
    let adds: Vec<&str> = policy.add.iter().map(|id| set.guardrail(*id)).collect();
    let parent = policy.parent.and_then(|id| set.policy(id));
    html! {
        tr {
            th scope="row" {
                a href=(frame.address("/ui/policy", &[("name", &policy.name)])) { (isolated_name(&policy.name)) }
                @if let Some(description) = &policy.description { div.muted.description { (isolated_name(description)) } }
            }
            td data-label="Owner" { @if let Some(owner) = &policy.owner { (isolated_name(owner)) } @else { span.muted { "nobody" } } }
            td data-label="Adds" { @if adds.is_empty() { span.muted { "nothing" } } @else { (chip_list(&adds)) } }
            td data-label="Built on" {
                @if let Some(parent) = parent {
                    a href=(frame.address("/ui/policy", &[("name", &parent.name)])) { (isolated_name(&parent.name)) }
                } @else { span.muted { "nothing" } }
            }
            td.number data-label="Attached" { (attached.unwrap_or_default()) }
            td.number data-label="Version" { @match version { Some(number) => (number), None => span.muted { "–" } } }
        }
    }
}

fn page_links(frame: &Frame, search: &str, page: usize, pages: usize) -> Markup {
    if pages < 2 {
        return html! {};
    }
    let address = |number: usize| {
        frame.address(
            "/ui/policies",
            &[("q", search), ("page", &number.to_string())],
        )
    };
    html! {
        nav.pager aria-label="Pages of the list" {
            @if page > 1 { a.button.quiet href=(address(page - 1)) rel="prev" { "Previous" } }
            span.muted { "Page " (group_digits(page)) " of " (group_digits(pages)) }
            @if page < pages { a.button.quiet href=(address(page + 1)) rel="next" { "Next" } }
        }
    }
}
