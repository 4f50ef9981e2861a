//! What git's history says: versions of policies, and promotions. Read beside serving, which never
//! waits for it.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::call::{Call, NoQuery};
use super::endpoint::{Chooses, Endpoint, Parameter, Tag, Values, json_body, schema_of};
use super::listing::{POLICY_NAME, PageQuery, page_parameters};
use super::problem::Problem;
use super::reply::{answer_json, to_json};
use crate::daemon::{History, NoHistory, Snapshot};

/// The largest version number that a client may write.
const MAX_VERSION: u64 = i64::MAX.unsigned_abs();

const SIDE: &str = "its number, `latest`, or an environment for the version that it holds";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompareQuery {
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionsQuery {
    #[serde(default)]
    documents: bool,
    cursor: Option<VersionNumber>,
}

/// The number of a version as a client writes it: from 1 to [`MAX_VERSION`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
struct VersionNumber(u64);

impl TryFrom<u64> for VersionNumber {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        match number {
            1..=MAX_VERSION => Ok(Self(number)),
            _ => Err(format!(
                "the number of a version is from 1 to {MAX_VERSION}"
            )),
        }
    }
}

pub(super) fn history_endpoints() -> Vec<Endpoint> {
    let object = || json_body(json!({ "type": "object" }));
    vec![
        Endpoint::get("/v1/policies/{name}/versions", "versions", answer_versions)
            .with_summary(Tag::History, "The versions of a policy, the newest first")
            .of_set(Chooses::ByQueryOrHeader)
            .with_path([POLICY_NAME])
            .with_query([
                Parameter::optional(
                    "documents",
                    "Whether to have each version's document; such an answer is a page of 100 \
                     versions at most",
                    Values::OneOf(&["true", "false"]),
                ),
                Parameter::optional(
                    "cursor",
                    "Only the versions before this one: `next` of the page before",
                    Values::Between(1, MAX_VERSION),
                ),
            ])
            .with_answer(
                StatusCode::OK,
                "As `refguard versions --format json`; with documents each version has `policy`, \
                 which is null where the \
                 policy was removed, and the page has `next`",
                object(),
            ),
        Endpoint::get(
            "/v1/policies/{name}/versions/{number}",
            "version",
            answer_version,
        )
        .with_summary(Tag::History, "One version of a policy")
        .of_set(Chooses::ByQueryOrHeader)
        .with_path([
            POLICY_NAME,
            Parameter::required("number", "The version", Values::Between(1, MAX_VERSION)),
        ])
        .with_answer(StatusCode::OK, "The version", object()),
        Endpoint::get("/v1/policies/{name}/compare", "compare", answer_comparison)
            .with_summary(Tag::History, "Two versions of a policy, field by field")
            .of_set(Chooses::ByQueryOrHeader)
            .with_path([POLICY_NAME])
            .with_query([
                Parameter::required("from", SIDE, Values::Text),
                Parameter::required("to", SIDE, Values::Text),
            ])
            .with_answer(
                StatusCode::OK,
                "As `refguard compare --format json`",
                json_body(schema_of("Comparison")),
            ),
        Endpoint::get("/v1/promotions", "promotions", answer_promotions)
            .with_summary(
                Tag::History,
                "The promotions of an environment, the newest first",
            )
            .of_set(Chooses::ByQueryOrHeader)
            .with_query(page_parameters(Values::Like("^[0-9a-f]{40}$")))
            .with_answer(
                StatusCode::OK,
                "A page, as `refguard log --format json`",
                json_body(schema_of("Promotions")),
            )
            .with_refusals([StatusCode::CONFLICT]),
    ]
}

/// Reads git's history on a thread that answers nobody else, one request at a time.
async fn read_history<F>(app: &Arc<App>, snapshot: &Snapshot, read: F) -> Result<Response, Problem>
where
    F: FnOnce(&History) -> Result<Value, NoHistory> + Send + 'static,
{
    let hub = app.hub.clone();
    let value = app
        .historians
        .run_work(move || Ok(read(hub.history())?))
        .await?;
    Ok(answer_json(snapshot, StatusCode::OK, to_json(&value)?))
}

/// The versions of a policy, also of one that is gone.
async fn answer_versions(call: Call<VersionsQuery, String>) -> Result<Response, Problem> {
    let snapshot = call.snapshot()?;
    let (name, VersionsQuery { documents, cursor }) = (call.path, call.query);
    let before = cursor.map(|VersionNumber(number)| number);
    read_history(&call.app, &snapshot, move |history| match documents {
        true => history.version_page(&name, before),
        false => history.versions_json(&name, before),
    })
    .await
}

/// One version of a policy.
async fn answer_version(call: Call<NoQuery, (String, VersionNumber)>) -> Result<Response, Problem> {
    let snapshot = call.snapshot()?;
    let (name, VersionNumber(number)) = call.path;
    read_history(&call.app, &snapshot, move |history| {
        history.version_json(&name, number)
    })
    .await
}

/// Two versions of a policy, field by field.
async fn answer_comparison(call: Call<CompareQuery, String>) -> Result<Response, Problem> {
    let snapshot = call.snapshot()?;
    let (name, CompareQuery { from, to }) = (call.path, call.query);
    read_history(&call.app, &snapshot, move |history| {
        history.comparison_json(&name, &from, &to)
    })
    .await
}

/// The promotions of an environment, the newest first, in pages.
async fn answer_promotions(call: Call<PageQuery>) -> Result<Response, Problem> {
    let (snapshot, size) = (call.snapshot()?, call.query.page_size()?);
    if snapshot.commit.is_none() {
        return Err(Problem::not_found("the work tree has no promotions"));
    }
    let (name, cursor) = (snapshot.name.clone(), call.query.cursor);
    read_history(&call.app, &snapshot, move |history| {
        history.promotions_json(&name, cursor.as_deref(), size)
    })
    .await
}
