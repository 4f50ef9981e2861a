//! `/ui/history`, `/ui/difference`, `/ui/change`: what happened to an environment, what lies
//! between two of its promotions, and what comes next.

use axum::response::Response;
use serde::Deserialize;

use super::{Visit, send_page};
use crate::daemon::PastSet;
use crate::http::problem::Problem;
use crate::pages::{Section, Side, change_page, difference_page, history_page};

/// Entries of a page.
const PAGE: usize = 25;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    set: String,
    before: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Two {
    set: String,
    from: String,
    to: String,
}

/// The promotions of an environment, whether or not anything is served of it.
pub(super) async fn show_history(visit: Visit) -> Result<Response, Problem> {
    let asked: Listed = visit.query()?;
    let name = visit.find_environment(&asked.set)?;
    let frame = visit.frame_about("History", Section::History, &name, "/ui/history");
    let app = visit.app.clone();
    let made = visit.app.historians.run_work(move || {
        let cursor = Some(asked.before.as_str()).filter(|cursor| !cursor.is_empty());
        let page = app.hub.history().promotion_page(&name, cursor, PAGE)?;
        Ok(history_page(&frame, &page, cursor.is_none()))
    });
    Ok(send_page(made.await?))
}

/// What lies between two promotions.
pub(super) async fn show_difference(visit: Visit) -> Result<Response, Problem> {
    let asked: Two = visit.query()?;
    let name = visit.find_environment(&asked.set)?;
    if asked.from.trim().is_empty() || asked.to.trim().is_empty() {
        return Err(Problem::bad_request(
            "two promotions are compared: `from` and `to`",
        ));
    }
    let frame = visit.frame_about("Difference", Section::History, &name, "/ui/history");
    let hub = visit.app.hub.clone();
    let sets = visit.app.historians.run_work(move || {
        let history = hub.history();
        let before = history.documents_at(&name, &asked.from)?;
        let after = history.documents_at(&name, &asked.to)?;
        Ok((history.known_difference(&before, &after), before, after))
    });
    let (known, before, after) = sets.await?;
    let sides = (make_side(&before), make_side(&after));
    let difference = match known {
        Some(known) => known,
        None => {
            let hub = visit.app.hub.clone();
            let analysis = move || Ok(hub.history().difference_between(&before, &after)?);
            visit.app.analysts.run_work(analysis).await?
        }
    };
    let made = visit
        .app
        .page_makers
        .run_work(move || Ok(difference_page(&frame, (&sides.0, &sides.1), &difference)));
    Ok(send_page(made.await?))
}

fn make_side(set: &PastSet) -> Side {
    Side {
        promotion: set.promotion,
        commit: set.commit.clone(),
    }
}

/// What would come into an environment with the next promotion.
pub(super) async fn show_change(visit: Visit) -> Result<Response, Problem> {
    let asked: Listed = visit.query()?;
    let name = visit.find_environment(&asked.set)?;
    let frame = visit.frame_about("Change", Section::Change, &name, "/ui/change");
    let (hub, of) = (visit.app.hub.clone(), name.clone());
    let known = visit
        .app
        .historians
        .run_work(move || Ok(hub.history().known_change(&of)?))
        .await?;
    let change = match known {
        Some(known) => known,
        None => {
            let hub = visit.app.hub.clone();
            visit
                .app
                .analysts
                .run_work(move || Ok(hub.history().change_of(&name)?))
                .await?
        }
    };
    let made = visit
        .app
        .page_makers
        .run_work(move || Ok(change_page(&frame, &change)));
    Ok(send_page(made.await?))
}
