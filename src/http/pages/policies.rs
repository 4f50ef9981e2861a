//! `/ui/policies`, `/ui/policy`, `/ui/compare`: the policies of a set, one of them, two versions of
//! one.

use axum::response::Response;
use serde::Deserialize;

use super::view::Wanted;
use super::{Visit, send_page};
use crate::http::problem::Problem;
use crate::pages::{CompareView, PolicyView, Section, compare_page, policies_page, policy_page};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    set: String,
    at: String,
    now: String,
    q: String,
    page: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    set: String,
    at: String,
    now: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Two {
    set: String,
    name: String,
    from: String,
    to: String,
}

/// The list, searched and in pages.
pub(super) async fn show_policies(visit: Visit) -> Result<Response, Problem> {
    let asked: Listed = visit.query()?;
    let view = visit
        .make_view(Wanted::new(&asked.set, &asked.at, &asked.now))
        .await?;
    let place = ("/ui/policies", &[("q", asked.q.as_str())][..]);
    let frame = visit.frame_of("Policies", Section::Policies, &view, place);
    let page = asked.page.parse().unwrap_or(1);
    let app = visit.app.clone();
    let made = visit.app.page_makers.run_work(move || {
        let version = |name: &str| view.number(&app.hub, name);
        Ok(policies_page(&frame, view.set(), &asked.q, page, &version))
    });
    Ok(send_page(made.await?))
}

/// One policy.
pub(super) async fn show_policy(visit: Visit) -> Result<Response, Problem> {
    let asked: Named = visit.query()?;
    let view = visit
        .make_view(Wanted::new(&asked.set, &asked.at, &asked.now))
        .await?;
    let place = ("/ui/policy", &[("name", asked.name.as_str())][..]);
    let frame = visit.frame_of(&asked.name, Section::Policies, &view, place);
    let app = visit.app.clone();
    let made = visit.app.historians.run_work(move || {
        let set = view.set();
        let Some((_, policy)) = set.find_policy(&asked.name) else {
            return Err(Problem::not_found(format!(
                "the set has no policy `{}`",
                asked.name
            )));
        };
        let history = app.hub.history();
        let file = (&*policy.place.file, policy.place.line);
        let document = history.document_text(view.commit(), file.0, file.1);
        let shown = PolicyView {
            policy,
            documents: view.documents(),
            now: view.instant(),
            number: view.number(&app.hub, &asked.name),
            document: document.map_err(|error| error.to_string()),
            versions: history
                .version_list(&asked.name)
                .map_err(|error| error.to_string()),
        };
        Ok(policy_page(&frame, set, &shown))
    });
    Ok(send_page(made.await?))
}

/// Two versions of a policy.
pub(super) async fn show_comparison(visit: Visit) -> Result<Response, Problem> {
    let asked: Two = visit.query()?;
    let read = |text: &str| {
        text.parse()
            .map_err(|_| Problem::bad_request("a version is a number, such as 3"))
    };
    let numbers: (u64, u64) = (read(&asked.from)?, read(&asked.to)?);
    let view = visit
        .make_view(Wanted {
            set: &asked.set,
            ..Wanted::default()
        })
        .await?;
    let place = ("/ui/policy", &[("name", asked.name.as_str())][..]);
    let title = format!("Versions of {}", asked.name);
    let frame = visit.frame_of(title, Section::Policies, &view, place);
    let app = visit.app.clone();
    let made = visit.app.historians.run_work(move || {
        let history = app.hub.history();
        let compared = history.compare_versions(&asked.name, &asked.from, &asked.to)?;
        let text = |number| history.version_text(&asked.name, number);
        let documents = (text(numbers.0)?, text(numbers.1)?);
        let versions = &history.version_list(&asked.name)?;
        let (policy, compared) = (asked.name.as_str(), &compared);
        let shown = CompareView {
            policy,
            numbers,
            compared,
            documents,
            versions,
        };
        Ok(compare_page(&frame, &shown))
    });
    Ok(send_page(made.await?))
}
