//! `POST /v1/resolve`: what a request gets, or a batch of them, all from one snapshot.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use refguard_core::policy::PolicyId;
use refguard_core::resolve::{
    Answer, Asked, Context, Fields, Near, Numbering, Request, Requested, Resolution,
    ResolvedPolicy, explain,
};
use serde::Deserialize;
use serde_json::json;

use super::app::App;
use super::body::{is_declared_json, read_body};
use super::call::Call;
use super::endpoint::{Chooses, Endpoint, Parameter, Tag, Values, json_body, schema};
use super::problem::Problem;
use super::reply::answer_json;
use crate::daemon::{Answers, Hub, Numbers, Question, Snapshot};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveQuery {
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

/// The words of a [`Switch`].
const SWITCH: Values = Values::OneOf(&["0", "1", "false", "true"]);

/// A list of an answer's parts.
const FIELD_LIST: &str = "^(guardrails|policies|pipelines|pipeline_guardrails|unknown)\
    (,(guardrails|policies|pipelines|pipeline_guardrails|unknown))*$";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let results = json!({
        "type": "object",
        "required": ["results"],
        "properties": { "results": { "type": "array", "items": schema("Answer") } },
    });
    vec![
        Endpoint::post("/v1/resolve", "resolve", resolve)
            .about(Tag::Resolve, "What a request gets, or a batch of requests, from one snapshot")
            .from_set(Chooses::ByQueryOrHeader)
            .with_query([
                Parameter::optional(
                    "fields",
                    "Only these parts of an answer, parted by commas",
                    Values::Like(FIELD_LIST),
                ),
                Parameter::optional(
                    "explain",
                    "Say of each attachment that came near why it did or did not match",
                    SWITCH,
                ),
                Parameter::optional(
                    "strict",
                    "Refuse a request that names a policy which the set lacks",
                    SWITCH,
                ),
            ])
            .with_request(json!({ "oneOf": [schema("Request"), schema("Batch")] }))
            .with_answer(
                StatusCode::OK,
                "The answer, or the answers in the order of the requests",
                json_body(json!({ "oneOf": [schema("Answer"), results] })),
            )
            .with_refusals([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY]),
    ]
}

/// Answers one request or a batch.
async fn resolve(call: Call<ResolveQuery>) -> Result<Response, Problem> {
    if !is_declared_json(&call.head.headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a body needs the header `Content-Type: application/json`",
        ));
    }
    let snapshot = call.snapshot()?;
    let (app, parameters) = (call.app, call.query);
    let fields = match &parameters.fields {
        None => Fields::ALL,
        Some(list) => Fields::parse(list).map_err(|name| {
            Problem::bad_request(format!("`fields`: an answer has no field `{name}`"))
        })?,
    };
    let bytes = read_body(call.body, &app.options.limits).await?;
    let asking = Asking {
        app: &app,
        snapshot: &snapshot,
        numbers: fields.policies.then(|| snapshot.numbers(app.hub.history())).flatten(),
        fields,
        explain: parameters.explain == Some(Switch::On),
        strict: parameters.strict == Some(Switch::On),
    };
    let (kept, question) =
        (asking.kept(), Question { body: &*bytes, fields, strict: asking.strict });
    if let Some(again) = kept.and_then(|kept| kept.get(question)) {
        app.measures.repeated.inc();
        return Ok(answer_json(&snapshot, StatusCode::OK, again));
    }
    let asked =
        Asked::from_json(&bytes).map_err(|error| Problem::bad_request(error.to_string()))?;
    let body = match asked {
        Asked::One(context, policies) if !asking.explain && !names_a_version(&policies) => {
            let body = asking.one(context, &policies)?;
            match kept {
                Some(kept) => kept.keep(question, body),
                None => body.into(),
            }
        }
        // An explanation looks at every attachment, a batch at many requests, a version at git: others must not
        // wait for it.
        asked => tokio::task::block_in_place(|| asking.any(asked))?.into(),
    };
    Ok(answer_json(&snapshot, StatusCode::OK, body))
}

struct Asking<'a> {
    app: &'a App,
    snapshot: &'a Arc<Snapshot>,
    /// Version numbers, where they are wanted and known.
    numbers: Option<Arc<Numbers>>,
    fields: Fields,
    explain: bool,
    strict: bool,
}

impl Asking<'_> {
    /// Where answers to the like of this are kept. Not where each decision is written down: it is made anew then.
    fn kept(&self) -> Option<&Answers> {
        match (self.explain || self.app.options.decisions.is_some(), self.fields.policies) {
            (true, _) => None,
            (false, true) => self.numbers.as_deref().map(|numbers| &numbers.answers),
            (false, false) => Some(&self.snapshot.answers),
        }
    }

    fn any(&self, asked: Asked) -> Result<Vec<u8>, Problem> {
        match asked {
            Asked::One(context, policies) => self.one(context, &policies),
            Asked::Batch(batch) => self.batch(batch),
        }
    }

    fn one(&self, context: Context, policies: &[String]) -> Result<Vec<u8>, Problem> {
        let request = requested(&self.app.hub, context, policies)?;
        let resolution = self.snapshot.engine.resolve(&request);
        self.judge(&request, &resolution, None)?;
        let near = self.explain.then(|| explain(&self.snapshot.engine, &request));
        let version = numbering(self.numbers.as_deref());
        Ok(self.answer(&resolution, &version, near.as_deref()).to_json())
    }

    fn answer<'a>(
        &'a self,
        resolution: &'a Resolution<'a>,
        version: Numbering<'a>,
        explain: Option<&'a [Near]>,
    ) -> Answer<'a> {
        Answer { origin: self.snapshot.origin(), resolution, version, fields: self.fields, explain }
    }

    /// Every request of a batch is answered, or none is.
    fn batch(&self, batch: Vec<(Context, Vec<String>)>) -> Result<Vec<u8>, Problem> {
        let limit = self.app.options.limits.batch;
        if batch.len() > limit {
            let detail = format!("{} requests: the limit `batch` is {limit}", batch.len());
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        let requests = batch
            .into_iter()
            .map(|(context, policies)| requested(&self.app.hub, context, &policies));
        let requests: Vec<Request> = requests.collect::<Result<_, _>>()?;
        let resolutions: Vec<Resolution<'_>> =
            requests.iter().map(|r| self.snapshot.engine.resolve(r)).collect();
        for (number, (request, resolution)) in requests.iter().zip(&resolutions).enumerate() {
            self.judge(request, resolution, Some(number))?;
        }
        let version = numbering(self.numbers.as_deref());
        let mut bytes = br#"{"results":["#.to_vec();
        for (number, (request, resolution)) in requests.iter().zip(&resolutions).enumerate() {
            if number > 0 {
                bytes.push(b',');
            }
            let near = self.explain.then(|| explain(&self.snapshot.engine, request));
            self.answer(resolution, &version, near.as_deref()).write(&mut bytes);
        }
        bytes.extend_from_slice(b"]}");
        Ok(bytes)
    }

    fn judge(
        &self,
        request: &Request,
        resolution: &Resolution<'_>,
        number: Option<usize>,
    ) -> Result<(), Problem> {
        if self.strict && !resolution.unknown.is_empty() {
            let place = number.map(|number| format!("request {number}: ")).unwrap_or_default();
            let detail =
                format!("{place}the set has no policy `{}`", resolution.unknown.join("`, `"));
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
            return Err(Problem { more: Some(("unknown", json!(resolution.unknown))), ..problem });
        }
        self.app.decided("resolve", self.snapshot, &request.context, resolution);
        Ok(())
    }
}

/// What tells versions by what is known of them.
fn numbering(numbers: Option<&Numbers>) -> impl Fn(PolicyId, &ResolvedPolicy<'_>) -> Option<u64> {
    move |id, policy| numbers?.number(id, || (policy.name(), policy.digest()))
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
    resolution.policies.iter().map(|policy| policy.name()).collect()
}
