//! What a set holds, and its history: policies, attachments, versions, promotions.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{Shared, answer, to_json};
use super::problem::Problem;
use super::resolve::query;
use crate::daemon::{History, Hub, NoHistory, Snapshot};
use crate::ops::{attachment_object, policy_object, show_policy};

/// Items of a page where the request does not say.
const PAGE: usize = 100;
/// Items of a page at most.
const MAX_PAGE: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    set: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetQuery {
    set: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CompareQuery {
    from: String,
    to: String,
}

type BadPath = axum::extract::rejection::PathRejection;
type Parameters<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

impl PageQuery {
    fn size(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(PAGE) {
            size @ 1..=MAX_PAGE => Ok(size),
            _ => Err(Problem::bad_request(format!("`limit` must be from 1 to {MAX_PAGE}"))),
        }
    }
}

/// The policies by name. The cursor is the last name of the page before, so it outlives a reload.
pub(super) async fn policies(
    State(app): Shared,
    parameters: Parameters<PageQuery>,
) -> Result<Response, Problem> {
    let parameters = query(parameters)?;
    let size = parameters.size()?;
    let snapshot = app.hub.snapshot(parameters.set.as_deref())?;
    let set = snapshot.set();
    let start = match &parameters.cursor {
        None => 0,
        Some(last) => set.policies.partition_point(|policy| *policy.name <= **last),
    };
    let rest = set.policies.get(start..).unwrap_or_default();
    let page: Vec<Value> = rest
        .iter()
        .take(size)
        .map(|policy| with_version(&app.hub, &snapshot, &policy.name, policy_object(set, policy)))
        .collect();
    let more = rest.len() > size;
    let next = rest.get(size - 1).filter(|_| more).map(|last| last.name.to_string());
    listed(&snapshot, "policies", page, next)
}

/// The attachments in the order of evaluation. The cursor is a place in this very set.
pub(super) async fn attachments(
    State(app): Shared,
    parameters: Parameters<PageQuery>,
) -> Result<Response, Problem> {
    let parameters = query(parameters)?;
    let size = parameters.size()?;
    let snapshot = app.hub.snapshot(parameters.set.as_deref())?;
    let set = snapshot.set();
    let start = parameters.cursor.as_deref().map_or(Ok(0), |cursor| place(&snapshot, cursor))?;
    let rest = set.attachments.get(start..).unwrap_or_default();
    let page =
        rest.iter().take(size).map(|attachment| attachment_object(set, attachment)).collect();
    let next = (rest.len() > size).then(|| format!("{}:{}", snapshot.identity(), start + size));
    listed(&snapshot, "attachments", page, next)
}

fn place(snapshot: &Snapshot, cursor: &str) -> Result<usize, Problem> {
    let parts =
        cursor.split_once(':').and_then(|(identity, place)| Some((identity, place.parse().ok()?)));
    match parts {
        Some((identity, place)) if identity == snapshot.identity() => Ok(place),
        Some(_) => Err(Problem::new(
            StatusCode::CONFLICT,
            "the set has changed since that page: begin again",
        )),
        None => Err(Problem::bad_request("`cursor` is none that this server gave")),
    }
}

fn listed(
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
    Ok(answer(snapshot, StatusCode::OK, to_json(&body)?))
}

fn with_version(hub: &Hub, snapshot: &Snapshot, name: &str, mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.insert("version".to_owned(), json!(snapshot.number(hub.history(), name)));
    }
    object
}

fn found(hub: &Hub, set: Option<&str>, name: &str) -> Result<Arc<Snapshot>, Problem> {
    let snapshot = hub.snapshot(set)?;
    match snapshot.set().find(name) {
        Some(_) => Ok(snapshot),
        None => Err(Problem::not_found(format!("the set has no policy `{name}`"))),
    }
}

/// One policy with its chain, children and attachments.
pub(super) async fn policy(
    State(app): Shared,
    Path(name): Path<String>,
    parameters: Parameters<SetQuery>,
) -> Result<Response, Problem> {
    let snapshot = found(&app.hub, query(parameters)?.set.as_deref(), &name)?;
    let set = snapshot.set();
    let Some((_, policy)) = set.find(&name) else {
        return Err(Problem::not_found("no such policy"));
    };
    let origin = snapshot.origin();
    let mut shown = serde_json::to_value(show_policy(set, policy)).unwrap_or_default();
    if let Some(object) = shown.as_object_mut() {
        object.insert("set".to_owned(), json!(origin.set));
        object.insert("commit".to_owned(), json!(origin.commit));
        object.insert("promotion".to_owned(), json!(origin.promotion));
        object.insert("number".to_owned(), json!(snapshot.number(app.hub.history(), &name)));
    }
    Ok(answer(&snapshot, StatusCode::OK, to_json(&shown)?))
}

/// What git's history says, read on a thread that answers nobody else.
async fn told<F>(hub: &Arc<Hub>, snapshot: &Snapshot, read: F) -> Result<Response, Problem>
where
    F: FnOnce(&History) -> Result<Value, NoHistory> + Send + 'static,
{
    let hub = hub.clone();
    let told = tokio::task::spawn_blocking(move || read(hub.history())).await;
    match told {
        Ok(told) => Ok(answer(snapshot, StatusCode::OK, to_json(&told?)?)),
        Err(_) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "reading the history met a bug of the daemon",
        )),
    }
}

/// The versions of a policy, also of one that is gone.
pub(super) async fn versions(
    State(app): Shared,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let snapshot = app.hub.snapshot(None)?;
    told(&app.hub, &snapshot, move |history| history.versions(&name)).await
}

/// One version of a policy.
pub(super) async fn version_at(
    State(app): Shared,
    path: Result<Path<(String, u64)>, BadPath>,
) -> Result<Response, Problem> {
    let Path((name, number)) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
    let snapshot = app.hub.snapshot(None)?;
    told(&app.hub, &snapshot, move |history| history.version(&name, number)).await
}

/// Two versions of a policy, field by field.
pub(super) async fn compare(
    State(app): Shared,
    Path(name): Path<String>,
    parameters: Parameters<CompareQuery>,
) -> Result<Response, Problem> {
    let CompareQuery { from, to } = query(parameters)?;
    let snapshot = app.hub.snapshot(None)?;
    told(&app.hub, &snapshot, move |history| history.compare(&name, &from, &to)).await
}

/// The promotions of an environment, the newest first.
pub(super) async fn promotions(
    State(app): Shared,
    parameters: Parameters<SetQuery>,
) -> Result<Response, Problem> {
    let snapshot = app.hub.snapshot(query(parameters)?.set.as_deref())?;
    if snapshot.commit.is_none() {
        return Err(Problem::not_found("the work tree has no promotions"));
    }
    let name = snapshot.name.clone();
    told(&app.hub, &snapshot, move |history| history.promotions(&name)).await
}
