//! `/ui/events`: tells open pages that something has changed, as server-sent events.
//!
//! One task looks at the daemon's state, when a set is swapped and once a second while any page is open; a page costs a
//! connection and a line every half minute.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};

use super::access::session_ids;
use super::guard_response;
use crate::daemon::Hub;
use crate::http::app::App;
use crate::http::problem::Problem;

/// Pages that may follow at once; others are shown as they were, and try again later.
const MAX_PAGES: usize = 700;
/// How often the state is looked at while pages are open.
const LOOK: Duration = Duration::from_secs(1);
/// How often a page is told that the daemon is there.
const BEAT: Duration = Duration::from_secs(25);

/// What open pages are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::http) struct Now {
    /// A word that is another one whenever the page Now would be.
    live: String,
    /// The commit that each set has.
    sets: BTreeMap<String, String>,
}

impl Now {
    fn of(hub: &Hub) -> Self {
        let status = hub.status();
        let mut hasher = DefaultHasher::new();
        status.notes.hash(&mut hasher);
        for set in &status.sets {
            let rejected = set.rejected.as_ref().map(|it| (&it.commit, it.at, it.errors));
            let failing = set.failing.as_ref().map(|it| (&it.message, it.since));
            let hold = set.hold.as_ref().map(|it| (&it.reason, &it.since));
            (&set.name, &set.commit, &set.ref_commit, set.stale, set.behind).hash(&mut hasher);
            (&set.digest, set.loaded_at, set.source, set.instant, set.valid_until)
                .hash(&mut hasher);
            (rejected, failing, hold, set.outdated.as_ref().map(|it| it.errors)).hash(&mut hasher);
        }
        format!("{:?}", hub.clients().tally()).hash(&mut hasher);
        let sets = status.sets.into_iter().filter_map(|set| Some((set.name, set.commit?)));
        Self { live: format!("{:016x}", hasher.finish()), sets: sets.collect() }
    }

    fn event(&self) -> Bytes {
        let data = json!({ "live": self.live, "sets": self.sets });
        format!("event: change\ndata: {data}\n\n").into()
    }
}

/// Those who follow, and what they are told.
pub(in crate::http) struct Live {
    places: Arc<Semaphore>,
    told: watch::Sender<Now>,
}

impl Live {
    /// Nobody follows yet.
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_PAGES)), told: watch::Sender::default() }
    }

    /// The word of the state as it is now.
    pub fn word(hub: &Hub) -> String {
        Now::of(hub).live
    }

    fn followers(&self) -> usize {
        self.told.receiver_count()
    }
}

/// Looks at the daemon's state as long as it serves, and tells those who follow.
pub(in crate::http) async fn watch_changes(app: Arc<App>) {
    let mut changes = app.changes.clone();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = looks.tick() => {}
        }
        if app.live.followers() > 0 {
            tell(&app);
        }
    }
}

fn tell(app: &App) {
    let now = Now::of(&app.hub);
    app.live.told.send_if_modified(|told| {
        let is_new = *told != now;
        *told = now;
        is_new
    });
}

/// The stream of one page. It ends with the session, and at shutdown.
pub(super) async fn events(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let Ok(place) = app.live.places.clone().try_acquire_owned() else {
        let detail = "too many pages follow the daemon: this one is shown as it was";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    };
    let (send, receive) = mpsc::channel(2);
    let ends = session_ids(&headers).find_map(|id| app.sessions.left(id));
    let following = follow(app, send, ends);
    tokio::spawn(async move {
        following.await;
        drop(place);
    });

    let mut response = Body::new(EventBody(receive)).into_response();
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guard_response(&mut response);
    response
}

async fn follow(app: Arc<App>, send: mpsc::Sender<Bytes>, ends: Option<Duration>) {
    let mut told = app.live.told.subscribe();
    let mut changes = app.changes.clone();
    let ending = tokio::time::sleep(ends.unwrap_or(Duration::from_secs(24 * 60 * 60)));
    tokio::pin!(ending);

    tell(&app);
    let first = told.borrow_and_update().event();
    if send.send(first).await.is_err() {
        return;
    }
    loop {
        let line = tokio::select! {
            () = &mut ending => return,
            () = send.closed() => return,
            changed = changes.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            changed = told.changed() => match changed {
                Ok(()) => told.borrow_and_update().event(),
                Err(_) => return,
            },
            () = tokio::time::sleep(BEAT) => Bytes::from_static(b": still here\n\n"),
        };
        if send.send(line).await.is_err() {
            return;
        }
    }
}

/// A body that is sent line by line as it comes.
struct EventBody(mpsc::Receiver<Bytes>);

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
