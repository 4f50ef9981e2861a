//! `POST /v1/resolve`: what a request gets, or a batch of them, all from one snapshot.

use std::sync::Arc;

use axum::extract::{Query, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::app::{App, Shared, answer, body, to_json};
use super::problem::Problem;
use crate::daemon::{Hub, Numbers, Snapshot};
use crate::resolve::{Answer, Asked, Context, Fields, Near, Request, Requested, Resolution, Subject, explain};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveQuery {
    set: Option<String>,
    fields: Option<String>,
    explain: Option<Switch>,
    strict: Option<Switch>,
}

/// `1` or `0` in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Switch {
    #[serde(rename = "0", alias = "false")]
    Off,
    #[serde(rename = "1", alias = "true")]
    On,
}

type BadQuery = axum::extract::rejection::QueryRejection;

/// A query, or what is wrong with it as a problem.
pub(super) fn query<T>(query: Result<Query<T>, BadQuery>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| Problem::bad_request(error.body_text()))
}

/// Answers one request or a batch.
pub(super) async fn resolve(
    State(app): Shared,
    parameters: Result<Query<ResolveQuery>, BadQuery>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let parameters = query(parameters)?;
    let fields = match &parameters.fields {
        None => Fields::ALL,
        Some(list) => Fields::parse(list)
            .map_err(|name| Problem::bad_request(format!("`fields`: an answer has no field `{name}`")))?,
    };
    let bytes = body(&app, request).await?;
    let asked = Asked::from_json(&bytes).map_err(|error| Problem::bad_request(error.to_string()))?;
    let snapshot = app.hub.snapshot(parameters.set.as_deref())?;
    let asking = Asking {
        app: &app,
        snapshot: &snapshot,
        fields,
        explain: parameters.explain == Some(Switch::On),
        strict: parameters.strict == Some(Switch::On),
    };
    let body = match asked {
        Asked::One(context, policies) if !asking.explain && !names_a_version(&policies) => {
            asking.one(context, &policies)?
        }
        // An explanation looks at every attachment, a batch at many requests, a version at git: others must not
        // wait for it.
        asked => tokio::task::block_in_place(|| asking.any(asked))?,
    };
    Ok(answer(&snapshot, StatusCode::OK, body))
}

struct Asking<'a> {
    app: &'a App,
    snapshot: &'a Arc<Snapshot>,
    fields: Fields,
    explain: bool,
    strict: bool,
}

impl Asking<'_> {
    fn any(&self, asked: Asked) -> Result<Vec<u8>, Problem> {
        match asked {
            Asked::One(context, policies) => self.one(context, &policies),
            Asked::Batch(batch) => self.batch(batch),
        }
    }

    fn one(&self, context: Context, policies: &[String]) -> Result<Vec<u8>, Problem> {
        let request = requested(&self.app.hub, context, policies)?;
        let resolution = self.snapshot.engine.resolve_fields(&request, self.fields);
        self.judge(&request, &resolution, None)?;
        let near = self.explain.then(|| explain(&self.snapshot.engine, &request));
        self.written(&resolution, near.as_deref())
    }

    /// Version numbers, where they are wanted.
    fn numbers(&self) -> Option<Arc<Numbers>> {
        self.fields.policies.then(|| self.snapshot.numbers(self.app.hub.history())).flatten()
    }

    fn written(&self, resolution: &Resolution<'_>, near: Option<&[Near]>) -> Result<Vec<u8>, Problem> {
        let numbers = self.numbers();
        let version = |id, policy: &_| numbers.as_ref().and_then(|numbers| numbers.number(id, policy));
        to_json(&Answer {
            origin: self.snapshot.origin(),
            resolution,
            version: &version,
            fields: self.fields,
            explain: near,
        })
    }

    /// Every request of a batch is answered, or none is.
    fn batch(&self, batch: Vec<(Context, Vec<String>)>) -> Result<Vec<u8>, Problem> {
        let limit = self.app.options.limits.batch;
        if batch.len() > limit {
            let detail = format!("{} requests: the limit `batch` is {limit}", batch.len());
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        let requests = batch.into_iter().map(|(context, policies)| requested(&self.app.hub, context, &policies));
        let requests: Vec<Request> = requests.collect::<Result<_, _>>()?;
        let resolutions: Vec<Resolution<'_>> =
            requests.iter().map(|r| self.snapshot.engine.resolve_fields(r, self.fields)).collect();
        for (number, (request, resolution)) in requests.iter().zip(&resolutions).enumerate() {
            self.judge(request, resolution, Some(number))?;
        }
        to_json(&json_object(&Results { asking: self, requests: &requests, resolutions: &resolutions }))
    }

    fn judge(&self, request: &Request, resolution: &Resolution<'_>, number: Option<usize>) -> Result<(), Problem> {
        if self.strict && !resolution.unknown.is_empty() {
            let place = number.map(|number| format!("request {number}: ")).unwrap_or_default();
            let detail = format!("{place}the set has no policy `{}`", resolution.unknown.join("`, `"));
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
            return Err(Problem { more: Some(("unknown", json!(resolution.unknown))), ..problem });
        }
        self.app.decided("resolve", self.snapshot, &request.context, resolution);
        Ok(())
    }
}

struct Results<'a> {
    asking: &'a Asking<'a>,
    requests: &'a [Request],
    resolutions: &'a [Resolution<'a>],
}

fn json_object<'a>(results: &'a Results<'a>) -> impl Serialize + 'a {
    #[derive(Serialize)]
    struct Object<'a> {
        results: &'a Results<'a>,
    }
    Object { results }
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let asking = self.asking;
        let numbers = asking.numbers();
        let version = |id, policy: &_| numbers.as_ref().and_then(|numbers| numbers.number(id, policy));
        let mut results = serializer.serialize_seq(Some(self.resolutions.len()))?;
        for (request, resolution) in self.requests.iter().zip(self.resolutions) {
            let near = asking.explain.then(|| explain(&asking.snapshot.engine, request));
            results.serialize_element(&Answer {
                origin: asking.snapshot.origin(),
                resolution,
                version: &version,
                fields: asking.fields,
                explain: near.as_deref(),
            })?;
        }
        results.end()
    }
}

/// The request with what its names mean. No policy's name holds an `@`, so one that does is a version.
fn requested(hub: &Hub, context: Context, policies: &[String]) -> Result<Request, Problem> {
    let requested = |name: &String| match name.contains('@') {
        true => hub.history().pinned(name).map_err(Problem::from),
        false => Ok(Requested::Named(name.clone())),
    };
    Ok(Request { context, policies: policies.iter().map(requested).collect::<Result<_, _>>()? })
}

/// Whether a request names a version, which may have to be read from git.
fn names_a_version(policies: &[String]) -> bool {
    policies.iter().any(|name| name.contains('@'))
}

/// The names of an answer's policies.
pub(super) fn policy_names<'a>(resolution: &Resolution<'a>) -> Vec<&'a str> {
    resolution.policies.iter().map(|policy| Subject::label(policy.subject)).collect()
}
