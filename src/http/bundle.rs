//! `GET /v1/bundle`: the whole set, for those who answer requests themselves; with long-polls.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use refguard_core::interop::{self, BeyondLitellm};
use refguard_core::policy::PolicyId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::app::App;
use super::call::Call;
use super::endpoint::{Chooses, Endpoint, Parameter, Tag, Values, schema_of};
use super::problem::Problem;
use super::reply::{COMMIT, answer_json, to_json};
use crate::daemon::{Numbers, Snapshot};

/// What a bundle says of each guardrail of the catalogs, null where they do not.
const GUARDRAIL_FIELDS: [&str; 3] = ["modes", "default_on", "stream_scope"];

/// The longest that a poll is parked.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) fn bundle_endpoints() -> Vec<Endpoint> {
    let json = json!({ "anyOf": [schema_of("Bundle"), schema_of("LitellmBundle")] });
    let contents = vec![
        ("application/json", json),
        ("application/yaml", schema_of("LitellmBundle")),
    ];
    let summary = "The whole set; with `If-None-Match` and `Prefer: wait=SECONDS` a long-poll";
    vec![
        Endpoint::get("/v1/bundle", "bundle", answer_bundle)
            .with_summary(Tag::Sets, summary)
            .of_set(Chooses::ByQueryOrHeader)
            .with_query([Parameter::optional(
                "format",
                "In whose form; `litellm` is YAML, or JSON where `Accept` names `application/json`",
                Values::OneOf(&["refguard", "litellm"]),
            )])
            .with_headers([
                Parameter::optional("If-None-Match", "The `ETag` that is known", Values::Text),
                Parameter::optional(
                    "X-Refguard-Commit",
                    "The commit that is known, whatever its version numbers",
                    Values::Text,
                ),
                Parameter::optional(
                    "Prefer",
                    "`wait=30`: wait for a change, 60 seconds at most",
                    Values::Text,
                ),
            ])
            .with_answer(StatusCode::OK, "The set", contents)
            .with_answer(StatusCode::NOT_MODIFIED, "Unchanged", Vec::new())
            .with_answer_headers(&[("ETag", "Names everything that the body depends on")])
            .with_refusals([
                StatusCode::UNPROCESSABLE_ENTITY,
                StatusCode::TOO_MANY_REQUESTS,
            ]),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleQuery {
    #[serde(default)]
    format: Format,
}

/// In whose form the set is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Refguard,
    Litellm,
    /// The same as JSON, for a client that names JSON: Python reads YAML some thirty times slower.
    #[serde(skip_deserializing)]
    LitellmJson,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Refguard => "refguard",
            Self::Litellm => "litellm",
            Self::LitellmJson => "litellm-json",
        }
    }

    /// Whether it gives the version numbers of policies.
    fn has_versions(self) -> bool {
        self == Self::Refguard
    }

    /// What the client would rather have; `*/*` is no wish.
    fn negotiate_format(self, headers: &HeaderMap) -> Self {
        let accepted = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut kinds = accepted
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next());
        match self {
            Self::Litellm
                if kinds.any(|kind| kind.trim().eq_ignore_ascii_case("application/json")) =>
            {
                Self::LitellmJson
            }
            asked => asked,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Refguard | Self::LitellmJson => "application/json",
            Self::Litellm => "application/yaml",
        })
    }
}

/// The last bundle that was built, so that many proxies cost one.
#[derive(Default)]
pub(super) struct BundleCache(tokio::sync::Mutex<Vec<Cached>>);

struct Cached {
    set: Arc<str>,
    etag: String,
    format: Format,
    bytes: Bytes,
}

/// The whole set, or 304 where the client has it.
async fn answer_bundle(call: Call<BundleQuery>) -> Result<Response, Problem> {
    let (app, headers) = (&call.app, &call.head.headers);
    let set = call.set()?;
    let format = call.query.format.negotiate_format(headers);
    let deadline = Instant::now() + wait_time(headers);
    let mut place = None;
    let waiter = app.pace.enter_queue();
    loop {
        // It waits before the snapshot is taken: a swap in between wakes it.
        let mut turn = pin!(waiter.next_turn());
        turn.as_mut().enable();
        let snapshot = app.hub.snapshot_of(set.as_deref())?;
        let numbers = format
            .has_versions()
            .then(|| snapshot.numbers(app.hub.history()))
            .flatten();
        let etag = entity_tag(&snapshot, format, numbers.as_deref());
        if !is_known(headers, &etag, &snapshot) {
            let bytes = build_once(app, &snapshot, numbers, format, &etag).await?;
            return Ok(tag_response(
                answer_json(&snapshot, StatusCode::OK, bytes),
                &etag,
                format,
            ));
        }
        let unchanged = || {
            Ok(tag_response(
                answer_json(&snapshot, StatusCode::NOT_MODIFIED, ""),
                &etag,
                format,
            ))
        };
        if Instant::now() >= deadline || app.pace.is_over() {
            return unchanged();
        }
        if place.is_none() {
            place = Some(ParkedPlace::take_place(app)?);
        }
        if tokio::time::timeout_at(deadline, turn).await.is_err() {
            return unchanged();
        }
    }
}

/// A place among the parked; given back when the poll ends, however it does.
struct ParkedPlace<'a> {
    app: &'a App,
    _permit: tokio::sync::SemaphorePermit<'a>,
}

impl<'a> ParkedPlace<'a> {
    fn take_place(app: &'a App) -> Result<Self, Problem> {
        let limit = app.options.limits.parked;
        let detail = || format!("too many long-polls wait: the limit `parked` is {limit}");
        let permit = app
            .parked
            .try_acquire()
            .map_err(|_| Problem::new(StatusCode::TOO_MANY_REQUESTS, detail()))?;
        app.measures.parked.inc();
        Ok(Self {
            app,
            _permit: permit,
        })
    }
}

impl Drop for ParkedPlace<'_> {
    fn drop(&mut self) {
        self.app.measures.parked.dec();
    }
}

fn tag_response(mut response: Response, etag: &str, format: Format) -> Response {
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CONTENT_TYPE, format.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// `Prefer: wait=30`, as RFC 7240 has it; only with a value to wait for a change from.
fn wait_time(headers: &HeaderMap) -> Duration {
    if !headers.contains_key(header::IF_NONE_MATCH) && !headers.contains_key(&COMMIT) {
        return Duration::ZERO;
    }
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let seconds = preferences
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, value)| value.trim().trim_matches('"').parse::<u32>().ok());
    Duration::from_secs(seconds.unwrap_or(0).into()).min(LONGEST_WAIT)
}

/// Names everything that a body depends on: `"<commit>-<format>-<history>-<instant>"`. The part of
/// history is a digest of the version numbers that the body gives, `0` while they are unknown or
/// not given; that of the instant the second since 1970 at which something of the set ended last,
/// `0` where nothing has.
fn entity_tag(snapshot: &Snapshot, format: Format, numbers: Option<&Numbers>) -> String {
    let history = numbers.map_or("0", |numbers| numbers.revision_of(snapshot.set()));
    let instant = snapshot
        .engine
        .instant()
        .map_or_else(|| "0".to_owned(), instant_part);
    format!(
        "\"{}-{}-{history}-{instant}\"",
        snapshot.identity(),
        format.as_str()
    )
}

/// An instant as a part of a tag: its second, and what is left of it where something is.
fn instant_part(instant: Timestamp) -> String {
    match instant.subsec_nanosecond() {
        0 => instant.as_second().to_string(),
        nanos => format!("{}.{:09}", instant.as_second(), nanos.unsigned_abs()),
    }
}

/// Whether the client has this bundle: it names the tag, or no tag and in `X-Refguard-Commit` the
/// commit. A commit beside a tag must fit too.
fn is_known(headers: &HeaderMap, etag: &str, snapshot: &Snapshot) -> bool {
    let commit = headers.get(&COMMIT).filter(|commit| !commit.is_empty());
    let is_commit = commit.is_none_or(|commit| {
        snapshot
            .commit
            .as_deref()
            .is_some_and(|known| commit.as_bytes() == known.as_bytes())
    });
    match headers.contains_key(header::IF_NONE_MATCH) {
        true => is_commit && names_tag(headers, etag),
        false => is_commit && commit.is_some(),
    }
}

fn names_tag(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*")
}

/// Builds a bundle once for all who ask at the same time.
async fn build_once(
    app: &Arc<App>,
    snapshot: &Arc<Snapshot>,
    numbers: Option<Arc<Numbers>>,
    format: Format,
    etag: &str,
) -> Result<Bytes, Problem> {
    let mut cache = app.bundles.0.lock().await;
    let same_slot = |cached: &Cached| cached.set == snapshot.name && cached.format == format;
    if let Some(cached) = cache
        .iter()
        .find(|cached| same_slot(cached) && cached.etag == etag)
    {
        return Ok(cached.bytes.clone());
    }
    let written = snapshot.clone();
    let bytes = app
        .workers
        .run_work(move || write_bundle(&written, format, numbers.as_deref()));
    let bytes: Bytes = bytes.await?.into();
    cache.retain(|cached| !same_slot(cached));
    cache.push(Cached {
        set: snapshot.name.clone(),
        etag: etag.to_owned(),
        format,
        bytes: bytes.clone(),
    });
    Ok(bytes)
}

/// LiteLLM's formats cannot hold the set.
fn refuse_beyond(beyond: BeyondLitellm) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, beyond.to_string())
}

fn write_bundle(
    snapshot: &Snapshot,
    format: Format,
    numbers: Option<&Numbers>,
) -> Result<Vec<u8>, Problem> {
    match format {
        // LiteLLM's form knows no end: it has what is in force, and another bundle comes at the
        // instant.
        Format::Litellm => interop::export_litellm(snapshot.engine.set())
            .map(|exported| exported.text.into_bytes())
            .map_err(refuse_beyond),
        Format::LitellmJson => {
            to_json(&interop::export_json(snapshot.engine.set()).map_err(refuse_beyond)?)
        }
        Format::Refguard => write_native(snapshot, numbers),
    }
}

/// Writes a set from what it keeps of each document, its canonical JSON: nothing is made anew for
/// it.
fn write_native(snapshot: &Snapshot, numbers: Option<&Numbers>) -> Result<Vec<u8>, Problem> {
    let (origin, set) = (snapshot.origin(), snapshot.set());
    let guardrails = set.catalog.guardrails.iter().flatten();
    let mut body = to_json(&Head {
        version: 1,
        set: origin.set,
        commit: origin.commit,
        promotion: origin.promotion,
        digest: &set.digest,
        instant: snapshot.engine.instant(),
        valid_until: snapshot.engine.valid_until(),
        guardrails: set.catalog.guardrails.as_ref().map(|_| {
            guardrails
                .filter_map(|known| with_fields(known.to_json(), &GUARDRAIL_FIELDS))
                .collect()
        }),
    })?;

    open_object(&mut body);
    push_text(&mut body, ",\"policies\":[");
    for (id, policy) in (0..).map(PolicyId).zip(&set.policies) {
        let version =
            numbers.and_then(|numbers| numbers.number_of(id, || (&policy.name, &policy.digest)));
        let version = version.map_or_else(|| "null".to_owned(), |number| number.to_string());
        start_item(&mut body, policy.canonical_json());
        let digest = &policy.digest;
        push_text(
            &mut body,
            &format!(",\"digest\":\"{digest}\",\"version\":{version}"),
        );
        push_text(
            &mut body,
            if policy.requestable {
                "}"
            } else {
                ",\"requestable\":null}"
            },
        );
    }

    push_text(&mut body, "],\"attachments\":[");
    for attachment in &set.attachments {
        start_item(&mut body, attachment.canonical_json());
        push_text(
            &mut body,
            if attachment.expires.is_some() {
                ""
            } else {
                ",\"expires\":null"
            },
        );
        push_text(
            &mut body,
            if attachment.reason.is_some() {
                "}"
            } else {
                ",\"reason\":null}"
            },
        );
    }
    push_text(&mut body, "]}");

    Ok(body)
}

/// Takes the end of a JSON object away, so that fields can follow.
fn open_object(body: &mut Vec<u8>) {
    body.truncate(body.len().saturating_sub(1));
}

/// Begins the next item of a list with the fields of an object that has some; its end is left to
/// the caller.
fn start_item(body: &mut Vec<u8>, object: &str) {
    if !body.ends_with(b"[") {
        body.push(b',');
    }
    push_text(body, object.strip_suffix('}').unwrap_or(object));
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(text.as_bytes());
}

/// An object with all fields that the format has: null where the document does not say.
fn with_fields(mut object: Value, fields: &[&str]) -> Option<Value> {
    let known = object.as_object_mut()?;
    for field in fields {
        known.entry(*field).or_insert(Value::Null);
    }
    Some(object)
}

/// A set in the format of refguard, version 1 (docs/bundle.md), but for its policies and
/// attachments.
#[derive(Serialize)]
struct Head<'a> {
    version: u32,
    set: &'a str,
    commit: Option<&'a str>,
    promotion: Option<u64>,
    digest: &'a str,
    /// The instant that the set is of; `None` where it is the same at any.
    instant: Option<Timestamp>,
    /// When another instant begins.
    valid_until: Option<Timestamp>,
    /// What the catalogs list; `None` where they list none.
    guardrails: Option<Vec<Value>>,
}
