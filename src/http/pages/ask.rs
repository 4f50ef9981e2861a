//! `/ui/ask`: what a request gets, and why.

use std::time::Instant;

use axum::response::Response;
use refguard_core::document::Dimension;
use refguard_core::policy::PolicyId;
use refguard_core::questions::{explain_guardrail, unlisted_values};
use refguard_core::resolve::{
    Context, MAX_VALUE, Request, Requested, ResolvedPolicy, explain_request,
};
use serde::Deserialize;

use super::typed::TypedRequest;
use super::view::{View, Wanted};
use super::{Visit, see_other, send_page};
use crate::daemon::Hub;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::pages::{Against, AskAnswer, AskForm, Frame, Section, ask_page, query_of};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    set: String,
    at: String,
    now: String,
    #[serde(flatten)]
    request: TypedRequest,
    policies: String,
    guardrail: String,
    against: String,
}

impl Asked {
    fn form(&self) -> AskForm {
        let values =
            Dimension::WRITTEN.map(|dimension| (dimension, self.request.of(dimension).to_owned()));
        AskForm {
            values: values.into(),
            policies: self.policies.clone(),
            guardrail: self.guardrail.clone(),
            at: self.at.clone(),
            now: self.now.clone(),
            against: self.against.clone(),
        }
    }

    /// What was asked, as the query of an address has it, without set and time.
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let others = [
            ("policies", self.policies.as_str()),
            ("guardrail", &self.guardrail),
            ("against", &self.against),
        ];
        self.request.pairs().chain(others).collect()
    }

    fn is_asked(&self) -> bool {
        self.pairs()
            .iter()
            .any(|(_, value)| !value.trim().is_empty())
    }

    /// The request; a value of white space only is absent.
    fn context(&self) -> Result<Context, Problem> {
        let values = Dimension::WRITTEN.into_iter().flat_map(|dimension| {
            let text = self.request.of(dimension);
            let parts = if dimension.is_set() {
                split_names(text)
            } else {
                vec![text.trim()]
            };
            parts
                .into_iter()
                .filter(|it| !it.is_empty())
                .map(move |it| (dimension, it))
        });
        let context = Context::from_values(values);
        context
            .within_limits()
            .map_err(|error| Problem::bad_request(error.to_string()))
    }
}

/// The parts of a list that somebody has typed.
fn split_names(text: &str) -> Vec<&str> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

pub(super) async fn show_ask(visit: Visit) -> Result<Response, Problem> {
    let asked: Asked = visit.query()?;
    let view = visit
        .make_view(Wanted::new(&asked.set, &asked.at, &asked.now))
        .await?;

    // What was answered is to be shared: its address names the commit, and the instant where one
    // counts, as it also does for a set that this one is held against.
    let is_against = !asked.against.trim().is_empty();
    let counts = view
        .instant_that_counts()
        .or(is_against.then(|| view.instant().to_string()));
    let now = counts.unwrap_or_default();
    if let Some(commit) = view.commit().filter(|_| asked.is_asked())
        && (asked.at != commit || asked.now != now)
    {
        let named = [("set", &*view.name), ("at", commit), ("now", now.as_str())];
        let pairs = [&named, asked.pairs().as_slice()].concat();
        return Ok(see_other(&format!("/ui/ask{}", query_of(&pairs))));
    }

    let title = if asked.is_asked() {
        "What a request gets"
    } else {
        "Ask"
    };
    let frame = visit.frame_of(title, Section::Ask, &view, ("/ui/ask", &asked.pairs()));
    let against = match asked.against.trim() {
        "" => None,
        at => Some(visit.make_view(Wanted::new(&view.name, at, &now)).await),
    };
    let app = visit.app.clone();
    let page = visit
        .app
        .page_makers
        .run_work(move || answer_question(&app, &view, &frame, &asked, against));
    Ok(send_page(page.await?))
}

fn answer_question(
    app: &App,
    view: &View,
    frame: &Frame,
    asked: &Asked,
    against: Option<Result<View, Problem>>,
) -> Result<String, Problem> {
    let (form, catalog) = (asked.form(), &view.set().catalog);
    if !asked.is_asked() {
        return Ok(ask_page(frame, &form, catalog, None));
    }

    let request = Request {
        context: asked.context()?,
        policies: read_requested(app, &asked.policies)?,
    };
    let engine = view.engine();
    let resolution = engine.resolve(&request);
    let near = explain_request(engine, &request);
    let unlisted = unlisted_values(catalog, &request.context);
    let guardrail = asked.guardrail.trim();
    let why = (!guardrail.is_empty())
        .then(|| explain_guardrail(engine, &request, guardrail).map_err(|error| error.to_string()));
    let against = against.map(|other| match other {
        Ok(other) => Ok(Against {
            promotion: other.promotion(),
            commit: other.commit().unwrap_or_default().to_owned(),
            guardrails: other
                .engine()
                .resolve(&request)
                .guardrails
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        }),
        Err(problem) => Err(problem.detail),
    });
    let version = number_versions(&app.hub, view);
    let answer = AskAnswer {
        request: describe_request(&request),
        resolution: &resolution,
        version: &version,
        near: &near,
        unlisted: &unlisted,
        why,
        against,
        origin: (view.promotion(), view.commit()),
    };
    Ok(ask_page(frame, &form, catalog, Some(&answer)))
}

fn describe_request(request: &Request) -> String {
    let words = request.context.describe_values();
    if words.is_empty() {
        "a request without any of these".to_owned()
    } else {
        words
    }
}

fn number_versions<'v>(
    hub: &'v Hub,
    view: &'v View,
) -> impl Fn(PolicyId, &ResolvedPolicy<'_>) -> Option<u64> + 'v {
    move |_, policy| view.number(hub, policy.name())
}

/// What the request names: policies of the set, or versions, which are read from git.
fn read_requested(app: &App, typed: &str) -> Result<Vec<Requested>, Problem> {
    let limits = &app.options.limits;
    let names: Vec<&str> = split_names(typed);
    if names.len() > limits.named_policies || names.iter().any(|name| name.len() > MAX_VALUE) {
        return Err(Problem::bad_request(
            "too many policies are named, or too long ones",
        ));
    }
    let deadline = Instant::now() + limits.answer_time;
    let mut found = Vec::new();
    for name in names {
        match name.contains('@') {
            true => found.extend(
                app.hub
                    .history()
                    .find_pinned(&[name.to_owned()], deadline)?,
            ),
            false => found.push(Requested::Named(name.to_owned())),
        }
    }
    Ok(found)
}
