//! An endpoint as one value: its method and path, what answers it, and its entry of OpenAPI.
//!
//! A family of endpoints gives a list of them. The router and `/openapi.json` are both made from
//! that list, so neither can name a path that the other lacks. What the compiler cannot compare
//! (the braces of a path, the fields of a query) is compared by [`check_endpoints`] before the daemon serves.
//! Must not know what any endpoint answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, post, put};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::app::App;
use super::call::Call;
use super::openapi::field_names;
use super::problem::Problem;

/// The methods that an endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
    /// Every method, also those that have no name in OpenAPI.
    Any,
}

/// A group of endpoints in the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Health,
    Resolve,
    Sets,
    History,
    Authz,
    Clients,
}

impl Tag {
    pub const ALL: [Self; 6] = [
        Self::Health,
        Self::Resolve,
        Self::Sets,
        Self::History,
        Self::Authz,
        Self::Clients,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Resolve => "resolve",
            Self::Sets => "sets",
            Self::History => "history",
            Self::Authz => "authz",
            Self::Clients => "clients",
        }
    }

    pub fn description(self) -> &'static str {
        match self {
            Self::Health => "The daemon itself",
            Self::Resolve => "What a request gets",
            Self::Sets => "What a set holds",
            Self::History => "What git's history says",
            Self::Authz => "Forward auth for proxies",
            Self::Clients => "What followers enforce",
        }
    }
}

/// The values that a parameter may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values {
    Text,
    /// A text that matches a regular expression.
    Like(&'static str),
    /// Percent-encoded UTF-8.
    Encoded,
    OneOf(&'static [&'static str]),
    Between(u64, u64),
}

/// A parameter of a query, a path or a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub name: &'static str,
    pub about: &'static str,
    pub values: Values,
    pub required: bool,
}

impl Parameter {
    pub const fn optional(name: &'static str, about: &'static str, values: Values) -> Self {
        Self {
            name,
            about,
            values,
            required: false,
        }
    }

    pub const fn required(name: &'static str, about: &'static str, values: Values) -> Self {
        Self {
            name,
            about,
            values,
            required: true,
        }
    }
}

/// How an endpoint chooses the set that it answers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chooses {
    /// It answers from no set.
    Nothing,
    /// The header `X-Refguard-Set` only: the query is a client's.
    ByHeader,
    /// `?set=` or the header.
    ByQueryOrHeader,
}

/// A body of an answer: its media type and its schema.
pub(super) type Content = (&'static str, Value);

/// A JSON body.
pub(super) fn json_body(schema: Value) -> Vec<Content> {
    vec![("application/json", schema)]
}

/// A schema of the components.
pub(super) fn schema_of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A path with its method, what answers it, and how it is described.
pub(super) struct Endpoint {
    pub verb: Verb,
    pub path: &'static str,
    pub route: MethodRouter<Arc<App>>,
    pub id: &'static str,
    pub tag: Tag,
    pub summary: &'static str,
    pub chooses: Chooses,
    pub path_parameters: Vec<Parameter>,
    pub query: Vec<Parameter>,
    pub headers: Vec<Parameter>,
    pub request: Option<Value>,
    pub answers: Vec<(StatusCode, &'static str, Vec<Content>)>,
    pub refusals: BTreeSet<StatusCode>,
    /// Headers of every answer, beside `X-Refguard-Commit`.
    pub answer_headers: &'static [(&'static str, &'static str)],
    /// The fields that the handler's query type reads.
    query_fields: Vec<&'static str>,
}

/// A query or the arguments in a path.
pub(super) trait Arguments: DeserializeOwned + Send + 'static {}

impl<T: DeserializeOwned + Send + 'static> Arguments for T {}

impl Endpoint {
    pub fn get<Q, P, F, A>(path: &'static str, id: &'static str, handler: F) -> Self
    where
        Q: Arguments,
        P: Arguments,
        F: Fn(Call<Q, P>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        Self::new::<Q>(Verb::Get, path, id, get(handler))
    }

    pub fn post<Q, P, F, A>(path: &'static str, id: &'static str, handler: F) -> Self
    where
        Q: Arguments,
        P: Arguments,
        F: Fn(Call<Q, P>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let refusals = [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ];
        Self::new::<Q>(Verb::Post, path, id, post(handler)).with_refusals(refusals)
    }

    pub fn put<Q, P, F, A>(path: &'static str, id: &'static str, handler: F) -> Self
    where
        Q: Arguments,
        P: Arguments,
        F: Fn(Call<Q, P>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let refusals = [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ];
        Self::new::<Q>(Verb::Put, path, id, put(handler)).with_refusals(refusals)
    }

    pub fn delete<Q, P, F, A>(path: &'static str, id: &'static str, handler: F) -> Self
    where
        Q: Arguments,
        P: Arguments,
        F: Fn(Call<Q, P>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        Self::new::<Q>(Verb::Delete, path, id, delete(handler))
    }

    pub fn any<Q, P, F, A>(path: &'static str, id: &'static str, handler: F) -> Self
    where
        Q: Arguments,
        P: Arguments,
        F: Fn(Call<Q, P>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        Self::new::<Q>(Verb::Any, path, id, any(handler))
    }

    fn new<Q: Arguments>(
        verb: Verb,
        path: &'static str,
        id: &'static str,
        route: MethodRouter<Arc<App>>,
    ) -> Self {
        Self {
            verb,
            path,
            route,
            id,
            tag: Tag::Health,
            summary: "",
            chooses: Chooses::Nothing,
            path_parameters: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            request: None,
            answers: Vec::new(),
            refusals: BTreeSet::from([StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED]),
            answer_headers: &[],
            query_fields: field_names::<Q>(),
        }
    }

    /// Describes what it is for.
    pub fn with_summary(self, tag: Tag, summary: &'static str) -> Self {
        Self {
            tag,
            summary,
            ..self
        }
    }

    /// Answers a probe without a token.
    pub fn open_to_probes(mut self) -> Self {
        self.refusals.remove(&StatusCode::UNAUTHORIZED);
        self
    }

    /// Answers from a set that the request may choose.
    pub fn of_set(self, chooses: Chooses) -> Self {
        let refusals = [
            StatusCode::BAD_REQUEST,
            StatusCode::NOT_FOUND,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        Self { chooses, ..self }.with_refusals(refusals)
    }

    pub fn with_path(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.path_parameters.extend(parameters);
        self
    }

    pub fn with_query(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.query.extend(parameters);
        self
    }

    pub fn with_headers(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.headers.extend(parameters);
        self
    }

    pub fn with_request(self, schema: Value) -> Self {
        Self {
            request: Some(schema),
            ..self
        }
    }

    pub fn with_answer(
        mut self,
        status: StatusCode,
        description: &'static str,
        contents: Vec<Content>,
    ) -> Self {
        self.answers.push((status, description, contents));
        self
    }

    pub fn with_answer_headers(
        self,
        answer_headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            answer_headers,
            ..self
        }
    }

    pub fn with_refusals(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// Whether the entry fits the path and the handler; else what does not.
    fn check_entry(&self) -> Result<(), String> {
        let in_path: Vec<&str> = self.path.split('/').filter_map(parse_segment).collect();
        let described: Vec<&str> = self
            .path_parameters
            .iter()
            .map(|parameter| parameter.name)
            .collect();
        if !self.path.starts_with('/') || in_path != described {
            return Err(format!(
                "its path has {in_path:?}, and {described:?} is described"
            ));
        }

        let read: BTreeSet<&str> = self.query_fields.iter().copied().collect();
        let described: BTreeSet<&str> = self.query.iter().map(|parameter| parameter.name).collect();
        if read != described {
            return Err(format!(
                "its handler reads {read:?}, and {described:?} is described"
            ));
        }

        match self.summary.is_empty() || self.answers.is_empty() {
            true => Err("it is not described".to_owned()),
            false => Ok(()),
        }
    }
}

/// The name of a segment of a path that stands for any: `{name}`, or `{*rest}` for several
/// segments.
fn parse_segment(segment: &str) -> Option<&str> {
    let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(inner.strip_prefix('*').unwrap_or(inner))
}

/// The paths and methods that are taken, by what a request cannot tell apart: `/a/{x}` is `/a/{y}`.
#[derive(Default)]
struct Places(BTreeMap<String, (&'static str, BTreeSet<Verb>)>);

impl Places {
    /// Takes the path and method of an endpoint; else says who has them.
    fn take_place(&mut self, endpoint: &Endpoint) -> Result<(), String> {
        let segments = endpoint
            .path
            .split('/')
            .map(|segment| match parse_segment(segment) {
                None => segment,
                Some(_) if segment.starts_with("{*") => "{*}",
                Some(_) => "{}",
            });
        let shape = segments.collect::<Vec<_>>().join("/");
        let (path, verbs) = self
            .0
            .entry(shape)
            .or_insert((endpoint.path, BTreeSet::new()));
        if *path != endpoint.path {
            return Err(format!("a request cannot tell its path from `{path}`"));
        }
        let any_is_taken = verbs.contains(&Verb::Any);
        let wants_all = endpoint.verb == Verb::Any && !verbs.is_empty();
        match any_is_taken || wants_all || !verbs.insert(endpoint.verb) {
            true => Err("another one has its path and method".to_owned()),
            false => Ok(()),
        }
    }
}

/// Whether a table can be served: each entry fits its handler, and no two have the same path and
/// method or id.
///
/// # Errors
/// The first endpoint that does not fit, and why.
pub(super) fn check_endpoints(endpoints: &[Endpoint]) -> Result<(), String> {
    let (mut places, mut ids) = (Places::default(), BTreeSet::new());
    for endpoint in endpoints {
        let fault = match (
            endpoint.check_entry(),
            places.take_place(endpoint),
            ids.insert(endpoint.id),
        ) {
            (Err(fault), ..) | (_, Err(fault), _) => fault,
            (_, _, false) => "another one has its id".to_owned(),
            (Ok(()), Ok(()), true) => continue,
        };
        return Err(format!(
            "the endpoint `{}` of `{}`: {fault}",
            endpoint.id, endpoint.path
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::call::NoQuery;
    use super::*;

    #[derive(Deserialize)]
    struct Limited {
        #[expect(dead_code, reason = "only its name is read")]
        limit: Option<u64>,
    }

    async fn limited(_: Call<Limited, String>) -> Result<Response, Problem> {
        Err(Problem::not_found("nothing"))
    }

    async fn plain(_: Call<NoQuery>) -> Result<Response, Problem> {
        Err(Problem::not_found("nothing"))
    }

    const LIMIT: Parameter = Parameter::optional("limit", "How many", Values::Between(1, 9));
    const NAME: Parameter = Parameter::required("name", "Which", Values::Text);

    fn described(endpoint: Endpoint) -> Endpoint {
        endpoint.with_summary(Tag::Health, "Something").with_answer(
            StatusCode::OK,
            "It",
            Vec::new(),
        )
    }

    #[test]
    fn an_entry_that_does_not_fit_its_handler_is_named() {
        let entry = |path| described(Endpoint::get(path, "limited", limited));
        let whole = || entry("/v1/a/{name}").with_path([NAME]).with_query([LIMIT]);
        assert_eq!(check_endpoints(&[whole()]), Ok(()));

        const OTHER: Parameter = Parameter::required("other", "Which", Values::Text);
        let alike = || {
            let entry = described(Endpoint::get("/v1/a/{other}", "alike", limited));
            entry.with_path([OTHER]).with_query([LIMIT])
        };
        let other = || described(Endpoint::get("/v1/b", "plain", plain));
        for (table, word) in [
            (
                vec![entry("/v1/a/{name}").with_path([NAME])],
                "reads {\"limit\"}",
            ),
            (
                vec![entry("/v1/a/{nam}").with_path([NAME]).with_query([LIMIT])],
                "[\"nam\"]",
            ),
            (
                vec![Endpoint::get("/v1/b", "plain", plain)],
                "not described",
            ),
            (vec![other(), other()], "path and method"),
            (
                vec![other(), described(Endpoint::get("/v1/c", "plain", plain))],
                "its id",
            ),
            (
                vec![other(), described(Endpoint::any("/v1/b", "all", plain))],
                "path and method",
            ),
            (
                vec![described(Endpoint::any("/v1/b", "all", plain)), other()],
                "path and method",
            ),
            (
                vec![whole(), alike()],
                "cannot tell its path from `/v1/a/{name}`",
            ),
        ] {
            assert!(
                check_endpoints(&table).is_err_and(|fault| fault.contains(word)),
                "{word}"
            );
        }
    }
}
