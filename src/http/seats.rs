//! The connections that are served: for how long each has been waiting for its client, and which of
//! them ends where a new one finds no place, or bodies that have not come in full take too much
//! memory. The one owner of places. Must not know what is asked or answered.
//!
//! Whoever opens a connection and sends nothing, or half of a head or of a body, costs a place for
//! as long as the limits of time allow. Where all places are taken, the connection that has waited
//! for its client the longest makes place; one that an answer is made for or sent to is never ended.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::daemon::lock_unpoisoned;

/// An idle connection counts as if it had waited for a part of the time only: its client has shown
/// that it asks and takes answers.
const IDLE_PART: u32 = 4;

/// How long a connection may take to end that makes place for another one.
const MAKING_PLACE: Duration = Duration::from_secs(2);

/// What a connection waits for, and since when.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// Its client sends the head of a request, or has sent nothing yet.
    Head(Instant),
    /// Its client sends the body of a request.
    Body(Instant),
    /// Its client has its answer, and may ask again.
    Idle(Instant),
    /// An answer is made or written.
    Server,
    /// All of an answer is written, and not yet taken by the system.
    Flush,
}

/// Whose bodies share memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Of requests that may be answered.
    Known,
    /// Of requests without a token where one is asked for: they take nothing from the others.
    Strangers,
}

/// One thing of each pool.
#[derive(Debug, Default)]
struct PerPool<T> {
    known: T,
    strangers: T,
}

impl<T> PerPool<T> {
    fn of(&self, pool: Pool) -> &T {
        match pool {
            Pool::Known => &self.known,
            Pool::Strangers => &self.strangers,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Seat {
    number: usize,
    turn: Mutex<Turn>,
    /// Bytes of the body that its client sends, until its request is answered.
    body_bytes: PerPool<AtomicUsize>,
    /// What serves it.
    task: OnceLock<AbortHandle>,
}

impl Seat {
    /// Says which task serves it.
    pub fn set_task(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    /// Bytes have come. True where they begin the head of a request.
    pub fn note_bytes(&self) -> bool {
        let mut turn = lock_unpoisoned(&self.turn);
        let is_beginning = matches!(*turn, Turn::Idle(_));
        if is_beginning {
            *turn = Turn::Head(Instant::now());
        }
        is_beginning
    }

    /// The system has taken all that was written. If that was the end of an answer, the connection
    /// is idle from now on.
    pub fn note_flushed(&self) {
        let mut turn = lock_unpoisoned(&self.turn);
        if matches!(*turn, Turn::Flush) {
            *turn = Turn::Idle(Instant::now());
        }
    }

    /// Whether its client has yet to send a head.
    pub fn awaits_head(&self) -> bool {
        matches!(self.turn(), Turn::Head(_))
    }

    /// A head has come, or a body.
    pub fn begin_answer(&self) {
        self.set(Turn::Server);
    }

    fn turn(&self) -> Turn {
        *lock_unpoisoned(&self.turn)
    }

    fn set(&self, turn: Turn) {
        *lock_unpoisoned(&self.turn) = turn;
    }

    /// How much it is its client's fault that it takes a place.
    fn waits_for(&self, now: Instant) -> Option<Duration> {
        match self.turn() {
            Turn::Head(since) | Turn::Body(since) => Some(now.saturating_duration_since(since)),
            Turn::Idle(since) => Some(now.saturating_duration_since(since) / IDLE_PART),
            Turn::Server | Turn::Flush => None,
        }
    }
}

/// How much of each thing all connections may have together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Connections.
    pub places: usize,
    /// Bytes of bodies of requests that may be answered.
    pub known_bytes: usize,
    /// Bytes of bodies of all others.
    pub stranger_bytes: usize,
}

/// Every connection that has a place, or that another is making one for.
#[derive(Debug)]
pub(super) struct Seats {
    room: Room,
    /// The places that no connection holds. One that was ended to make place holds its own until
    /// its task is gone, so at times fewer are free than `taken` has left.
    places: Arc<Semaphore>,
    taken: Mutex<HashMap<usize, Arc<Seat>>>,
    next: AtomicUsize,
    /// Bytes of bodies that have not come in full or are not answered yet.
    body_bytes: PerPool<AtomicUsize>,
}

impl Seats {
    pub fn new(room: Room) -> Self {
        Self {
            room,
            places: Arc::new(Semaphore::new(room.places)),
            taken: Mutex::default(),
            next: AtomicUsize::new(0),
            body_bytes: PerPool::default(),
        }
    }

    /// A seat for a connection that has just been accepted. Where all are taken, the connection
    /// ends that has waited for its client the longest; `None` where none waits.
    pub fn take(self: &Arc<Self>) -> Option<TakenSeat> {
        if self.table().len() >= self.room.places && !self.end_longest() {
            return None;
        }
        let taken = self.stand();
        self.table().insert(taken.seat.number, taken.seat.clone());
        Some(taken)
    }

    /// A seat for a connection beyond the places: it makes place for no other one.
    pub fn stand(self: &Arc<Self>) -> TakenSeat {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = Mutex::new(Turn::Head(Instant::now()));
        let seat = Arc::new(Seat {
            number,
            turn,
            body_bytes: PerPool::default(),
            task: OnceLock::new(),
        });
        TakenSeat {
            seat,
            seats: self.clone(),
            place: None,
        }
    }

    /// Waits until every connection that has a place has ended.
    pub async fn until_empty(&self) {
        let all = u32::try_from(self.room.places).unwrap_or(u32::MAX);
        let _ = self.places.acquire_many(all).await;
    }

    fn most_bytes(&self, pool: Pool) -> usize {
        match pool {
            Pool::Known => self.room.known_bytes,
            Pool::Strangers => self.room.stranger_bytes,
        }
    }

    /// Ends the connection with the largest body on its way of a pool, so that small ones are let
    /// alone. False where this one's is the largest: then it gets no more room.
    fn end_largest_body(&self, pool: Pool, own: &Seat) -> bool {
        let size = |seat: &Seat| seat.body_bytes.of(pool).load(Ordering::Relaxed);
        let mut taken = self.table();
        let on_their_way = taken.values().filter(|seat| {
            seat.number != own.number
                && seat.task.get().is_some()
                && matches!(seat.turn(), Turn::Body(_))
        });
        let largest = on_their_way.map(|seat| (size(seat), seat.number)).max();
        let ended = largest
            .filter(|(largest, _)| *largest >= size(own))
            .and_then(|(_, number)| taken.remove(&number));
        let Some(seat) = ended else {
            return false;
        };

        // Its bytes are free from now on: its task may take a moment to end.
        self.release_bytes(pool, &seat);
        end_task(&seat)
    }

    /// Ends the connection that has waited for its client the longest.
    fn end_longest(&self) -> bool {
        let now = Instant::now();
        let mut taken = self.table();
        let waiting = taken.values().filter(|seat| seat.task.get().is_some());
        let longest = waiting
            .filter_map(|seat| Some((seat.waits_for(now)?, seat.number)))
            .max()
            .and_then(|(_, number)| taken.remove(&number));
        let Some(seat) = longest else {
            return false;
        };

        self.release_bytes(Pool::Known, &seat);
        self.release_bytes(Pool::Strangers, &seat);
        end_task(&seat)
    }

    /// Gives back what the body of a connection took.
    fn release_bytes(&self, pool: Pool, seat: &Seat) {
        let bytes = seat.body_bytes.of(pool).swap(0, Ordering::Relaxed);
        self.body_bytes.of(pool).fetch_sub(bytes, Ordering::Relaxed);
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Arc<Seat>>> {
        lock_unpoisoned(&self.taken)
    }
}

fn end_task(seat: &Seat) -> bool {
    seat.task.get().inspect(|task| task.abort()).is_some()
}

/// A seat that is given back when its connection ends, and its place with it.
#[derive(Debug)]
pub(super) struct TakenSeat {
    pub seat: Arc<Seat>,
    seats: Arc<Seats>,
    place: Option<OwnedSemaphorePermit>,
}

impl Drop for TakenSeat {
    fn drop(&mut self) {
        self.seats.table().remove(&self.seat.number);
    }
}

impl TakenSeat {
    /// Waits until the connection has its place: one that has just ended to make place for it may
    /// hold it for a moment still. `None` where it holds it for too long.
    pub async fn await_place(mut self) -> Option<Self> {
        let waiting = self.seats.places.clone().acquire_owned();
        let place = tokio::time::timeout(MAKING_PLACE, waiting).await;
        self.place = Some(place.ok()?.ok()?);
        Some(self)
    }

    /// The body of a request whose head has come, and what counts its bytes.
    pub fn watch_body(&self, body: Body) -> (Body, BodyShare) {
        let watched = Body::new(WatchedBody {
            body,
            seat: self.seat.clone(),
            is_begun: false,
        });
        (watched, self.share(Pool::Known))
    }

    fn share(&self, pool: Pool) -> BodyShare {
        BodyShare(Arc::new(Held {
            pool,
            seat: self.seat.clone(),
            seats: self.seats.clone(),
        }))
    }

    /// The answer, whose end makes the connection idle as soon as the system has taken it.
    pub fn watch_answer(&self, body: Body) -> Body {
        Body::new(WatchedAnswer {
            body,
            seat: self.seat.clone(),
        })
    }
}

/// The bytes of the body of a connection's request.
#[derive(Debug)]
struct Held {
    pool: Pool,
    seat: Arc<Seat>,
    seats: Arc<Seats>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.seats.release_bytes(self.pool, &self.seat);
    }
}

/// A body's share of the memory, for as long as its request is answered.
#[derive(Debug, Clone)]
pub(super) struct BodyShare(Arc<Held>);

impl BodyShare {
    /// The share of the same body as one of a request that has no token.
    pub fn of_stranger(&self) -> Self {
        Self(Arc::new(Held {
            pool: Pool::Strangers,
            seat: self.0.seat.clone(),
            seats: self.0.seats.clone(),
        }))
    }

    /// Takes up bytes that have come and are kept. Where there are too many of all bodies together,
    /// connections end whose bodies are the largest; false where that is this one.
    pub fn add(&self, bytes: usize) -> bool {
        let Held { pool, seat, seats } = &*self.0;
        let most = seats.most_bytes(*pool);
        let all = seats.body_bytes.of(*pool);
        // Of all first: a seat that is evicted meanwhile gives back no more than was counted.
        all.fetch_add(bytes, Ordering::Relaxed);
        seat.body_bytes
            .of(*pool)
            .fetch_add(bytes, Ordering::Relaxed);
        while all.load(Ordering::Relaxed) > most {
            if !seats.end_largest_body(*pool, seat) {
                return false;
            }
        }
        true
    }
}

struct WatchedBody {
    body: Body,
    seat: Arc<Seat>,
    /// Whether somebody reads it.
    is_begun: bool,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.is_begun {
            self.is_begun = true;
            self.seat.set(Turn::Body(Instant::now()));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if self.is_begun {
            self.seat.begin_answer();
        }
    }
}

struct WatchedAnswer {
    body: Body,
    seat: Arc<Seat>,
}

impl HttpBody for WatchedAnswer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedAnswer {
    fn drop(&mut self) {
        self.seat.set(Turn::Flush);
    }
}
