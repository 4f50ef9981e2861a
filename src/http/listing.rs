//! What a set holds: its policies and attachments, in pages.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::call::{Call, NoQuery};
use super::endpoint::{Chooses, Endpoint, Parameter, Tag, Values, json_body, schema_of};
use super::problem::Problem;
use super::reply::{answer_json, to_json};
use crate::daemon::{Hub, Snapshot};
use crate::ops::{attachment_object, policy_object, show_policy};

/// Items of a page where the request does not say.
const PAGE: usize = 100;
/// Items of a page at most.
const MAX_PAGE: usize = 1_000;

/// The parameters of a listing that comes in pages, whose cursors have such values.
pub(super) const fn page_parameters(cursors: Values) -> [Parameter; 2] {
    [
        Parameter::optional("cursor", "`next` of the page before", cursors),
        Parameter::optional(
            "limit",
            "Items of a page; by default 100",
            Values::Between(1, 1_000),
        ),
    ]
}

pub(super) const POLICY_NAME: Parameter =
    Parameter::required("name", "The policy's name", Values::Text);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    pub cursor: Option<String>,
    limit: Option<usize>,
}

impl PageQuery {
    /// Items of the page.
    pub fn page_size(&self) -> Result<usize, Problem> {
        page_size(self.limit)
    }
}

fn page_size(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(PAGE) {
        size @ 1..=MAX_PAGE => Ok(size),
        _ => Err(Problem::bad_request(format!(
            "`limit` must be from 1 to {MAX_PAGE}"
        ))),
    }
}

/// A page of policies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoliciesQuery {
    cursor: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    published: bool,
}

pub(super) fn listing_endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/v1/policies", "policies", answer_policies)
            .with_summary(Tag::Sets, "The policies, by name")
            .of_set(Chooses::ByQueryOrHeader)
            .with_query(page_parameters(Values::Text))
            .with_query([Parameter::optional(
                "published",
                "Whether to say who made each version, and when: read from history",
                Values::OneOf(&["true", "false"]),
            )])
            .with_answer(
                StatusCode::OK,
                "A page",
                json_body(page_schema("policies", "Policy")),
            ),
        Endpoint::get("/v1/policies/{name}", "policy", answer_policy)
            .with_summary(
                Tag::Sets,
                "One policy with its chain, children and attachments",
            )
            .of_set(Chooses::ByQueryOrHeader)
            .with_path([POLICY_NAME])
            .with_answer(
                StatusCode::OK,
                "The policy",
                json_body(schema_of("ShownPolicy")),
            ),
        Endpoint::get("/v1/attachments", "attachments", answer_attachments)
            .with_summary(Tag::Sets, "The attachments, in the order of evaluation")
            .of_set(Chooses::ByQueryOrHeader)
            .with_query(page_parameters(Values::Like(
                "^[0-9a-f]{40,64}:[0-9]{1,9}$",
            )))
            .with_answer(
                StatusCode::OK,
                "A page",
                json_body(page_schema("attachments", "Attachment")),
            )
            .with_refusals([StatusCode::CONFLICT]),
    ]
}

/// The schema of a page of a set's items.
fn page_schema(list: &str, item: &str) -> Value {
    json!({
        "type": "object",
        "required": ["version", "set", "commit", "promotion", list, "next"],
        "properties": {
            "version": { "const": 1 },
            "set": { "type": "string" },
            "commit": { "type": ["string", "null"] },
            "promotion": { "type": ["integer", "null"] },
            list: { "type": "array", "items": schema_of(item) },
            "next": { "type": ["string", "null"] },
        },
    })
}

/// The policies by name. The cursor is the last name of the page before, so it outlives a reload.
async fn answer_policies(call: Call<PoliciesQuery>) -> Result<Response, Problem> {
    let (size, cursor) = (page_size(call.query.limit)?, call.query.cursor.as_deref());
    let snapshot = call.snapshot()?;
    let set = snapshot.set();
    let start = match cursor {
        None => 0,
        Some(last) => set.policies.partition_point(|policy| *policy.name <= *last),
    };

    let rest = set.policies.get(start..).unwrap_or_default();
    let mut page: Vec<Value> = rest
        .iter()
        .take(size)
        .map(|policy| {
            with_version(
                &call.app.hub,
                &snapshot,
                &policy.name,
                policy_object(set, policy),
            )
        })
        .collect();
    if call.query.published {
        add_publications(&call.app, &mut page).await?;
    }
    let more = rest.len() > size;
    let next = rest
        .get(size - 1)
        .filter(|_| more)
        .map(|last| last.name.to_string());
    answer_page(&snapshot, "policies", page, next)
}

/// Says of each policy who made its version, and when. What has no number yet stays without.
async fn add_publications(app: &Arc<App>, page: &mut [Value]) -> Result<(), Problem> {
    let numbered = |policy: &Value| {
        Some((
            policy.get("name")?.as_str()?.to_owned(),
            policy.get("version")?.as_u64()?,
        ))
    };
    let versions: Vec<_> = page.iter().filter_map(numbered).collect();
    let hub = app.hub.clone();
    let told = match versions.is_empty() {
        true => Vec::new(),
        false => {
            app.historians
                .run_work(move || Ok(hub.history().publications(&versions)?))
                .await?
        }
    };

    let mut told = told.into_iter();
    for policy in page {
        let publication = numbered(policy).and_then(|_| told.next().flatten());
        if let Some(object) = policy.as_object_mut() {
            object.insert("published".to_owned(), json!(publication));
        }
    }
    Ok(())
}

/// The attachments in the order of evaluation. The cursor is a place in this very set.
async fn answer_attachments(call: Call<PageQuery>) -> Result<Response, Problem> {
    let (size, cursor) = (call.query.page_size()?, call.query.cursor.as_deref());
    let snapshot = call.snapshot()?;
    let set = snapshot.set();
    let start = cursor.map_or(Ok(0), |cursor| read_place(&snapshot, cursor))?;

    let rest = set.attachments.get(start..).unwrap_or_default();
    let page = rest
        .iter()
        .take(size)
        .map(|attachment| attachment_object(set, attachment))
        .collect();
    let next = (rest.len() > size).then(|| format!("{}:{}", snapshot.identity(), start + size));
    answer_page(&snapshot, "attachments", page, next)
}

/// Reads a cursor: a place in this very set.
fn read_place(snapshot: &Snapshot, cursor: &str) -> Result<usize, Problem> {
    let parts = cursor
        .split_once(':')
        .and_then(|(identity, place)| Some((identity, place.parse().ok()?)));
    match parts {
        Some((identity, place)) if identity == snapshot.identity() => Ok(place),
        Some(_) => Err(Problem::new(
            StatusCode::CONFLICT,
            "the set has changed since that page: begin again",
        )),
        None => Err(Problem::bad_request(
            "`cursor` is none that this server gave",
        )),
    }
}

fn answer_page(
    snapshot: &Snapshot,
    name: &str,
    page: Vec<Value>,
    next: Option<String>,
) -> Result<Response, Problem> {
    let origin = snapshot.origin();
    let body = json!({
        "version": 1, "set": origin.set, "commit": origin.commit, "promotion": origin.promotion,
        name: page, "next": next,
    });
    Ok(answer_json(snapshot, StatusCode::OK, to_json(&body)?))
}

fn with_version(hub: &Hub, snapshot: &Snapshot, name: &str, mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.insert(
            "version".to_owned(),
            json!(snapshot.number_of(hub.history(), name)),
        );
    }
    object
}

/// One policy with its chain, children and attachments.
async fn answer_policy(call: Call<NoQuery, String>) -> Result<Response, Problem> {
    let (snapshot, name) = (call.snapshot()?, &call.path);
    let set = snapshot.set();
    let Some((_, policy)) = set.find_policy(name) else {
        return Err(Problem::not_found(format!(
            "the set has no policy `{name}`"
        )));
    };

    let origin = snapshot.origin();
    let mut shown =
        serde_json::to_value(show_policy(set, policy, Timestamp::now())).unwrap_or_default();
    if let Some(object) = shown.as_object_mut() {
        object.insert("set".to_owned(), json!(origin.set));
        object.insert("commit".to_owned(), json!(origin.commit));
        object.insert("promotion".to_owned(), json!(origin.promotion));
        object.insert(
            "number".to_owned(),
            json!(snapshot.number_of(call.app.hub.history(), name)),
        );
    }
    Ok(answer_json(&snapshot, StatusCode::OK, to_json(&shown)?))
}
