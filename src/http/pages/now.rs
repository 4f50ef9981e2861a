//! `/ui/`: what is in force.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{Live, Visit, send_page};
use crate::daemon::Standing;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::pages::{Frame, NowSet, Section, next_endings, now_page};

/// How long what git says is good for, unless a set is swapped before.
const FRESH: Duration = Duration::from_secs(2);

/// How long the page waits for what git says.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Now shows every set; links of other pages name theirs.
    set: String,
}

type ByName = Arc<HashMap<String, Result<Standing, String>>>;

/// What git says of the environments, read once for all who ask in the same moment.
#[derive(Default)]
pub(in crate::http) struct Standings(Mutex<Option<(u64, Instant, ByName)>>);

/// The page. It is made whatever the daemon is able to do: then it says so.
pub(super) async fn show_now(visit: Visit) -> Result<Response, Problem> {
    let app = &visit.app;
    let asked: Asked = visit.query()?;
    // The word first: what changes in between makes a page that looks again, not one that is old
    // and does not know it.
    let live = Live::state_word(&app.hub);
    let status = app.hub.status();
    if !asked.set.is_empty() && !status.sets.is_empty() {
        app.hub.set_name(Some(&asked.set))?;
    }
    let names = status.sets.iter().filter(|set| set.reference.is_some());
    let names: Vec<String> = names.map(|set| set.name.clone()).collect();
    // Reading goes on where the page does not wait for it: a large history takes seconds for the
    // first time.
    let reading = tokio::spawn(read_standings(app.clone(), names.clone()));
    let read = tokio::time::timeout(PATIENCE, reading).await;
    let is_read = matches!(read, Ok(Ok(_)));
    let standings = match read {
        Ok(Ok(standings)) => standings,
        _ => refuse_all(names, "the history is still being read"),
    };

    let now = Timestamp::now();
    let sets = status.sets.iter().map(|set| {
        let (unserved, endings) = match app.hub.snapshot_of(Some(&set.name)) {
            Ok(snapshot) => (None, next_endings(snapshot.set(), now)),
            Err(why) => (Some(why.to_string()), Vec::new()),
        };
        let standing = standings.get(&set.name);
        let clients = app.hub.clients().list_clients(Some(&set.name));
        NowSet {
            status: set,
            unserved,
            standing,
            endings,
            clients,
        }
    });
    let frame = Frame {
        live: Some(live),
        asks_again: !is_read,
        ..visit.frame("In force now", Section::Now)
    };
    Ok(send_page(now_page(
        &frame,
        &status.notes,
        &sets.collect::<Vec<_>>(),
    )))
}

/// What git says of some environments.
async fn read_standings(app: Arc<App>, names: Vec<String>) -> ByName {
    let mut known = app.standings.0.lock().await;
    let generation = *app.changes.borrow();
    if let Some((of, read_at, standings)) = &*known
        && *of == generation
        && read_at.elapsed() < FRESH
    {
        return standings.clone();
    }

    let hub = app.hub.clone();
    let reading = names.clone();
    let read = app.historians.run_work(move || {
        let standing = |name: String| {
            let standing = hub
                .history()
                .standing_at(&name)
                .map_err(|error| error.to_string());
            (name, standing)
        };
        Ok(reading.into_iter().map(standing).collect::<HashMap<_, _>>())
    });
    let standings = match read.await {
        Ok(standings) => Arc::new(standings),
        Err(problem) => refuse_all(names, &problem.detail),
    };
    *known = Some((generation, Instant::now(), standings.clone()));
    standings
}

fn refuse_all(names: Vec<String>, why: &str) -> ByName {
    Arc::new(
        names
            .into_iter()
            .map(|name| (name, Err(why.to_owned())))
            .collect(),
    )
}
