//! `/ui/events`: tells open pages that something has changed, as server-sent events.
//!
//! One task looks at the daemon's state, when a set is swapped and once a second while any page is
//! open; a page costs a connection and a line every half minute.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::access::Right;
use super::guard_response;
use super::sessions::SessionKey;
use crate::daemon::{Hub, Owner, lock_unpoisoned};
use crate::http::app::App;
use crate::http::attempts::Peer;
use crate::http::problem::Problem;

/// Pages that may follow at once, and never more than half of all connections; others are shown as
/// they were, and try again later.
const MAX_PAGES: usize = 700;
/// Pages of one session, one token, or one address where no tokens are asked for.
const MAX_OF_HOLDER: usize = 50;
/// How often the state is looked at while pages are open.
const LOOK: Duration = Duration::from_secs(1);
/// How long a stream lasts that nothing else ends; the page asks for another one.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
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
        let tally = hub.clients().tally_clients();
        let status = hub.status_beside(&tally);
        let mut hasher = DefaultHasher::new();
        status.notes.hash(&mut hasher);
        for set in &status.sets {
            let rejected = set
                .rejected
                .as_ref()
                .map(|it| (&it.commit, it.at, it.errors));
            let failing = set.failing.as_ref().map(|it| (&it.message, it.since));
            let hold = set.hold.as_ref().map(|it| (&it.reason, &it.since));
            (
                &set.name,
                &set.commit,
                &set.ref_commit,
                set.stale,
                set.behind,
            )
                .hash(&mut hasher);
            (
                &set.digest,
                set.loaded_at,
                set.source,
                set.instant,
                set.valid_until,
            )
                .hash(&mut hasher);
            (
                rejected,
                failing,
                hold,
                set.outdated.as_ref().map(|it| it.errors),
            )
                .hash(&mut hasher);
        }
        format!("{tally:?}").hash(&mut hasher);
        let sets = status
            .sets
            .into_iter()
            .filter_map(|set| Some((set.name, set.commit?)));
        Self {
            live: format!("{:016x}", hasher.finish()),
            sets: sets.collect(),
        }
    }

    fn event(&self) -> Bytes {
        let data = json!({ "live": self.live, "sets": self.sets });
        format!("event: change\ndata: {data}\n\n").into()
    }
}

/// Those who follow, and what they are told.
pub(in crate::http) struct Live {
    /// Pages at most.
    most: usize,
    pages: Mutex<Pages>,
    told: watch::Sender<Now>,
    /// Changes when somebody may have lost the right to look.
    judged: watch::Sender<()>,
}

/// Who follows how often.
#[derive(Debug, Default)]
struct Pages {
    all: usize,
    of: HashMap<Holder, usize>,
}

/// Who has a share of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Session(SessionKey),
    Token([u8; 32]),
    Peer(Peer),
}

impl Holder {
    fn new(right: Right, peer: Peer) -> Self {
        match right {
            Right::Session(key) => Self::Session(key),
            Right::Token(Owner(Some(hash))) => Self::Token(hash),
            Right::Token(Owner(None)) => Self::Peer(peer),
        }
    }
}

/// A page that follows; its place is free again when this is dropped.
struct FollowerPlace {
    app: Arc<App>,
    holder: Holder,
}

impl FollowerPlace {
    fn take_place(app: &Arc<App>, holder: Holder) -> Result<Self, Problem> {
        let mut pages = app.live.lock();
        if pages.all >= app.live.most {
            let detail = "too many pages follow the daemon: this one is shown as it was";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        let own = pages.of.entry(holder).or_default();
        if *own >= MAX_OF_HOLDER {
            let detail = "too many of your pages follow the daemon: this one is shown as it was";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
        }
        *own += 1;
        pages.all += 1;
        app.measures.following.inc();
        Ok(Self {
            app: app.clone(),
            holder,
        })
    }
}

impl Drop for FollowerPlace {
    fn drop(&mut self) {
        let mut pages = self.app.live.lock();
        pages.all = pages.all.saturating_sub(1);
        if let Some(own) = pages.of.get_mut(&self.holder) {
            *own = own.saturating_sub(1);
        }
        pages.of.retain(|_, own| *own > 0);
        self.app.measures.following.dec();
    }
}

impl Live {
    /// Nobody follows yet; a server has so many connections.
    pub fn new(connections: usize) -> Self {
        let most = MAX_PAGES.min(connections / 2);
        Self {
            most,
            pages: Mutex::default(),
            told: watch::Sender::default(),
            judged: watch::Sender::default(),
        }
    }

    /// Has every page that follows look whether it still may.
    pub fn judge_again(&self) {
        self.judged.send_modify(|()| ());
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        lock_unpoisoned(&self.pages)
    }

    /// The word of the state as it is now.
    pub fn state_word(hub: &Hub) -> String {
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
            tell_pages(&app);
        }
    }
}

fn tell_pages(app: &App) {
    let now = Now::of(&app.hub);
    app.live.told.send_if_modified(|told| {
        let is_new = *told != now;
        *told = now;
        is_new
    });
}

/// The stream of one page. It ends when whoever asked for it may no longer look, and at shutdown.
pub(super) async fn answer_events(State(app): State<Arc<App>>, request: Request) -> Response {
    match begin_stream(app, &request) {
        Ok(receive) => send_events(receive),
        Err(problem) => problem.into_response(),
    }
}

fn begin_stream(app: Arc<App>, request: &Request) -> Result<mpsc::Receiver<Bytes>, Problem> {
    let Some(right) = Right::of(&app, request.headers()) else {
        let detail = "sign in first, or send a bearer token";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
    };
    let peer = request
        .extensions()
        .get::<Peer>()
        .copied()
        .unwrap_or(Peer::Socket);
    let place = FollowerPlace::take_place(&app, Holder::new(right, peer))?;
    let (send, receive) = mpsc::channel(2);
    tokio::spawn(async move {
        follow_state(app, send, right).await;
        drop(place);
    });
    Ok(receive)
}

fn send_events(receive: mpsc::Receiver<Bytes>) -> Response {
    let mut response = Body::new(EventBody(receive)).into_response();
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guard_response(&mut response);
    response
}

async fn follow_state(app: Arc<App>, send: mpsc::Sender<Bytes>, right: Right) {
    let mut told = app.live.told.subscribe();
    let mut judged = app.live.judged.subscribe();
    let mut changes = app.changes.clone();
    let ending = tokio::time::sleep(right.time_left(&app).unwrap_or(LIFE));
    tokio::pin!(ending);

    tell_pages(&app);
    let first = told.borrow_and_update().event();
    if send.send(first).await.is_err() {
        return;
    }
    // Asked again before every line: nobody who lost the right is told anything more.
    while right.still_holds(&app) {
        let line = tokio::select! {
            () = &mut ending => return,
            () = send.closed() => return,
            changed = judged.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
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
        if !right.still_holds(&app) || send.send(line).await.is_err() {
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
        self.0
            .poll_recv(context)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
