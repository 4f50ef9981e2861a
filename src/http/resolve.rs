//! `POST /v1/resolve`: what a request gets, or a batch of them, all from one snapshot.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use refguard_core::policy::{PolicyId, PolicySet};
use refguard_core::resolve::{
    Answer, Asked, Context, Fields, MAX_VALUE, Request, Requested, Resolution, ResolvedPolicy,
    explain_request,
};
use serde::Deserialize;
use serde_json::json;

use super::app::App;
use super::body::{may_be_json, read_body};
use super::call::Call;
use super::endpoint::{Chooses, Endpoint, Parameter, Tag, Values, json_body, schema_of};
use super::problem::Problem;
use super::reply::answer_json;
use crate::daemon::{Answers, Numbers, Question, Snapshot};

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

pub(super) fn resolve_endpoints() -> Vec<Endpoint> {
    let results = json!({
        "type": "object",
        "required": ["results"],
        "properties": { "results": { "type": "array", "items": schema_of("Answer") } },
    });
    vec![
        Endpoint::post("/v1/resolve", "resolve", answer_resolve)
            .with_summary(
                Tag::Resolve,
                "What a request gets, or a batch of requests, from one snapshot",
            )
            .of_set(Chooses::ByQueryOrHeader)
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
            .with_request(json!({ "oneOf": [schema_of("Request"), schema_of("Batch")] }))
            .with_answer(
                StatusCode::OK,
                "The answer, or the answers in the order of the requests",
                json_body(json!({ "oneOf": [schema_of("Answer"), results] })),
            )
            .with_refusals([
                StatusCode::PAYLOAD_TOO_LARGE,
                StatusCode::UNPROCESSABLE_ENTITY,
            ]),
    ]
}

/// Answers one request or a batch.
async fn answer_resolve(call: Call<ResolveQuery>) -> Result<Response, Problem> {
    if !may_be_json(&call.head.headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a body needs the header `Content-Type: application/json`",
        ));
    }
    let snapshot = call.snapshot()?;
    let (app, parameters) = (call.app, call.query);
    let fields = match &parameters.fields {
        None => Fields::ALL,
        Some(list) => Fields::parse_list(list).map_err(|name| {
            Problem::bad_request(format!("`fields`: an answer has no field `{name}`"))
        })?,
    };
    let bytes = read_body(&call.head, call.body, &app.options.limits).await?;
    let is_strict = parameters.strict == Some(Switch::On) || app.options.strict_requests;
    let asking = Asking {
        numbers: fields
            .policies
            .then(|| snapshot.numbers(app.hub.history()))
            .flatten(),
        app,
        snapshot,
        fields,
        explain: parameters.explain == Some(Switch::On),
        strict: is_strict,
    };
    let question = Question {
        body: &*bytes,
        fields,
        strict: asking.strict,
    };
    if let Some(again) = asking
        .find_answers()
        .and_then(|kept| kept.find_answer(question))
    {
        asking.app.measures.repeated.inc();
        if let Some(shadow) = &asking.app.options.shadow {
            shadow.see_body(&asking.snapshot, &bytes);
        }
        return Ok(answer_json(&asking.snapshot, StatusCode::OK, again));
    }

    if bytes.len() > SMALL_BODY {
        return asking.answer_apart(move || read_asked(&bytes)).await;
    }
    match read_asked(&bytes)? {
        Asked::One(context, policies) if asking.is_quick(&context, &policies) => {
            let body = asking.answer_one(context, &policies)?;
            let body = match asking.find_answers() {
                Some(kept) => kept.keep_answer(question, body),
                None => body.into(),
            };
            Ok(answer_json(&asking.snapshot, StatusCode::OK, body))
        }
        asked => asking.answer_apart(move || Ok(asked)).await,
    }
}

fn read_asked(bytes: &[u8]) -> Result<Asked, Problem> {
    Asked::from_json(bytes).map_err(|error| Problem::bad_request(error.to_string()))
}

/// Bytes of a body that are read in well under a millisecond.
const SMALL_BODY: usize = 32 << 10;

/// Bytes of a model that all conditions of a large set are matched against in well under a
/// millisecond.
const SMALL_MODEL: usize = 256;

struct Asking {
    app: Arc<App>,
    snapshot: Arc<Snapshot>,
    /// Version numbers, where they are wanted and known.
    numbers: Option<Arc<Numbers>>,
    fields: Fields,
    explain: bool,
    strict: bool,
}

impl Asking {
    /// Where answers to the like of this are kept. Not where each decision is written down: it is
    /// made anew then.
    fn find_answers(&self) -> Option<&Answers> {
        match (
            self.explain || self.app.options.decisions.is_some(),
            self.fields.policies,
        ) {
            (true, _) => None,
            (false, true) => self.numbers.as_deref().map(|numbers| &numbers.answers),
            (false, false) => Some(&self.snapshot.answers),
        }
    }

    /// Whether a request is answered in so little time that others may wait for it. An explanation
    /// looks at every attachment, a version may have to be read from git, a long model is matched
    /// against every condition.
    fn is_quick(&self, context: &Context, policies: &[String]) -> bool {
        !self.explain
            && !policies.iter().any(|name| names_version(name))
            && context
                .model()
                .is_none_or(|model| model.len() <= SMALL_MODEL)
    }

    /// Answers on a thread that nobody else waits for.
    async fn answer_apart<R>(self, read: R) -> Result<Response, Problem>
    where
        R: FnOnce() -> Result<Asked, Problem> + Send + 'static,
    {
        let (app, snapshot) = (self.app.clone(), self.snapshot.clone());
        let body = app.workers.run_work(move || match read()? {
            Asked::One(context, policies) => self.answer_one(context, &policies),
            Asked::Batch(batch) => self.answer_batch(batch),
        });
        Ok(answer_json(&snapshot, StatusCode::OK, body.await?))
    }

    fn answer_one(&self, context: Context, policies: &[String]) -> Result<Vec<u8>, Problem> {
        let mut answers = Answering::new(self);
        answers.add_answer(context, policies)?;
        answers.finish_answer()
    }

    /// Every request of a batch is answered, or none is.
    fn answer_batch(&self, batch: Vec<(Context, Vec<String>)>) -> Result<Vec<u8>, Problem> {
        let limits = &self.app.options.limits;
        let too_many = |limit: &str, most: usize| {
            format!("{} requests: the limit `{limit}` is {most}", batch.len())
        };
        if batch.len() > limits.batch {
            let detail = too_many("batch", limits.batch);
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        if self.explain && batch.len() > limits.explained {
            let detail = too_many("explained", limits.explained);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }

        let mut answers = Answering::new(self);
        answers.bytes.extend_from_slice(br#"{"results":["#);
        for (number, (context, policies)) in batch.into_iter().enumerate() {
            if number > 0 {
                answers.bytes.push(b',');
            }
            answers
                .add_answer(context, &policies)
                .map_err(|problem| problem.of_request(number))?;
        }
        answers.bytes.extend_from_slice(b"]}");
        answers.finish_answer()
    }
}

/// Answers that are being written, within the limits of size and time.
struct Answering<'a> {
    asking: &'a Asking,
    bytes: Vec<u8>,
    deadline: Instant,
    /// Lines of the decision log: written once the whole answer is given.
    decisions: Vec<String>,
    decided: usize,
}

impl<'a> Answering<'a> {
    fn new(asking: &'a Asking) -> Self {
        let deadline = Instant::now() + asking.app.options.limits.answer_time;
        Self {
            asking,
            bytes: Vec::new(),
            deadline,
            decisions: Vec::new(),
            decided: 0,
        }
    }

    /// Writes the answer to one request.
    fn add_answer(&mut self, context: Context, policies: &[String]) -> Result<(), Problem> {
        let asking = self.asking;
        if asking.app.options.strict_requests {
            refuse_not_requestable(asking.snapshot.engine.set(), policies)?;
        }
        let request = self.read_request(context, policies)?;
        let resolution = asking.snapshot.engine.resolve(&request);
        if asking.strict && !resolution.unknown.is_empty() {
            return Err(refuse_unknown(&resolution.unknown));
        }

        let near = asking
            .explain
            .then(|| explain_request(&asking.snapshot.engine, &request));
        let answer = Answer {
            origin: asking.snapshot.origin(),
            resolution: &resolution,
            version: &number_versions(asking.numbers.as_deref()),
            fields: asking.fields,
            explain: near.as_deref(),
        };
        answer.write_json(&mut self.bytes);

        if let Some(shadow) = &asking.app.options.shadow {
            shadow.see_request(&asking.snapshot, &request.context, policies);
        }
        let line =
            asking
                .app
                .log_decision("resolve", &asking.snapshot, &request.context, &resolution);
        self.decided += line.as_ref().map_or(0, String::len);
        self.decisions.extend(line);
        self.check_limits()
    }

    /// The request with what its names mean. No policy's name holds an `@`, so one that does is a
    /// version.
    fn read_request(&self, context: Context, policies: &[String]) -> Result<Request, Problem> {
        let limits = &self.asking.app.options.limits;
        if policies.len() > limits.named_policies {
            return Err(Problem::bad_request(format!(
                "{} policies are named: the limit `request-policies` is {}",
                policies.len(),
                limits.named_policies
            )));
        }
        if let Some(name) = policies.iter().find(|name| name.len() > MAX_VALUE) {
            return Err(Problem::bad_request(format!(
                "a name in `policies` has {} bytes: the limit `request-value` is {MAX_VALUE}",
                name.len()
            )));
        }

        let pins: Vec<String> = policies
            .iter()
            .filter(|name| names_version(name))
            .cloned()
            .collect();
        let pinned = match pins.is_empty() {
            true => Vec::new(),
            false => self
                .asking
                .app
                .hub
                .history()
                .find_pinned(&pins, self.deadline)?,
        };
        let mut pinned = pinned.into_iter();
        let policies = policies
            .iter()
            .filter_map(|name| match names_version(name) {
                true => pinned.next(),
                false => Some(Requested::Named(name.clone())),
            });
        Ok(Request {
            context,
            policies: policies.collect(),
        })
    }

    fn check_limits(&self) -> Result<(), Problem> {
        let limits = &self.asking.app.options.limits;
        let (most, time) = (limits.answer_bytes, limits.answer_time);
        let advice = "ask for fewer requests at once, or for fewer `fields`";
        let detail = if self.bytes.len().max(self.decided) > most {
            format!("the answer is too large: the limit `answer` is {most} bytes; {advice}")
        } else if Instant::now() > self.deadline {
            format!("the answer takes too long: the limit `answer-time` is {time:?}; {advice}")
        } else {
            return Ok(());
        };
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
    }

    fn finish_answer(self) -> Result<Vec<u8>, Problem> {
        self.decisions
            .into_iter()
            .for_each(|line| self.asking.app.write_decision(line));
        Ok(self.bytes)
    }
}

fn refuse_unknown(unknown: &[String]) -> Problem {
    let detail = format!("the set has no policy `{}`", unknown.join("`, `"));
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    Problem {
        more: Some(("unknown", json!(unknown))),
        ..problem
    }
}

/// Refuses names of policies that requests may not name; one of a version is judged by the policy
/// that is served. Names that the set lacks are refused as unknown.
fn refuse_not_requestable(set: &PolicySet, policies: &[String]) -> Result<(), Problem> {
    let is_refused = |name: &&String| {
        let base = name.split_once('@').map_or(name.as_str(), |(base, _)| base);
        set.find_policy(base)
            .is_some_and(|(_, policy)| !policy.requestable)
    };
    let refused: Vec<&String> = policies.iter().filter(is_refused).collect();
    if refused.is_empty() {
        return Ok(());
    }

    let names: Vec<&str> = refused.iter().map(|name| name.as_str()).collect();
    let detail = format!(
        "requests may not name the policy `{}`: it is not `requestable`",
        names.join("`, `")
    );
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    Err(Problem {
        more: Some(("not_requestable", json!(names))),
        ..problem
    })
}

/// What tells versions by what is known of them.
fn number_versions(
    numbers: Option<&Numbers>,
) -> impl Fn(PolicyId, &ResolvedPolicy<'_>) -> Option<u64> {
    move |id, policy| numbers?.number_of(id, || (policy.name(), policy.digest()))
}

/// Whether a name is that of a version, which may have to be read from git.
fn names_version(name: &str) -> bool {
    name.contains('@')
}

/// The names of an answer's policies.
pub(super) fn policy_names<'a>(resolution: &Resolution<'a>) -> Vec<&'a str> {
    resolution
        .policies
        .iter()
        .map(|policy| policy.name())
        .collect()
}
