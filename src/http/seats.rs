//! The connections that are served: for how long each has been waiting for its client, and which of
//! them ends where a new one finds no place, or bodies that have not come in full take too much
//! memory. Must not know what is asked or answered.
//!
//! Whoever opens a connection and sends nothing, or half of a head or of a body, costs a place for
//! as long as the limits of time allow. Where all places are taken, the connection that has waited
//! for its client the longest makes place; one that an answer is made for is never ended.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::task::AbortHandle;

/// An idle connection counts as if it had waited for a part of the time only: its client has shown
/// that it asks and takes answers.
const IDLE_PART: u32 = 4;

/// Bytes of an answer that are sent at once: its connection is idle as soon as they are made.
const SHORT_ANSWER: u64 = 64 << 10;

/// What a connection waits for, and since when.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// Its client sends the head of a request, or has sent nothing yet.
    Head(Instant),
    /// Its client sends the body of a request.
    Body(Instant),
    /// Its client has its answer, and may ask again.
    Idle(Instant),
    /// An answer is made or sent.
    Server,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Seat {
    number: usize,
    turn: Mutex<Turn>,
    /// Bytes of the body that its client sends, until its request is answered.
    body_bytes: AtomicUsize,
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
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let is_beginning = matches!(*turn, Turn::Idle(_));
        if is_beginning {
            *turn = Turn::Head(Instant::now());
        }
        is_beginning
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
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, turn: Turn) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    /// How much it is its client's fault that it takes a place.
    fn waits_for(&self, now: Instant) -> Option<Duration> {
        match self.turn() {
            Turn::Head(since) | Turn::Body(since) => Some(now.saturating_duration_since(since)),
            Turn::Idle(since) => Some(now.saturating_duration_since(since) / IDLE_PART),
            Turn::Server => None,
        }
    }
}

/// Every connection that has a place.
#[derive(Debug)]
pub(super) struct Seats {
    taken: Mutex<HashMap<usize, Arc<Seat>>>,
    next: AtomicUsize,
    /// Bytes of bodies that have not come in full or are not answered yet.
    bytes: AtomicUsize,
    max_seats: usize,
    max_bytes: usize,
}

impl Seats {
    pub fn new(max_seats: usize, max_bytes: usize) -> Self {
        let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self {
            taken: Mutex::default(),
            next,
            bytes,
            max_seats,
            max_bytes,
        }
    }

    /// Whether every seat is taken.
    pub fn is_full(&self) -> bool {
        self.table().len() >= self.max_seats
    }

    /// A seat for a connection that has just been accepted. Where all are taken, the connection
    /// ends that has waited for its client the longest; `None` where none waits.
    pub fn take(self: &Arc<Self>) -> Option<TakenSeat> {
        if self.is_full() && !self.end_longest(|_| true) {
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
            body_bytes: AtomicUsize::new(0),
            task: OnceLock::new(),
        });
        TakenSeat {
            seat,
            seats: self.clone(),
        }
    }

    /// Ends the connection with the largest body on its way, so that small ones are let alone.
    /// False where this one's is the largest: then it gets no more room.
    fn end_largest_body(&self, own: &Seat) -> bool {
        let mut taken = self.table();
        let on_their_way = taken.values().filter(|seat| {
            seat.number != own.number
                && seat.task.get().is_some()
                && matches!(seat.turn(), Turn::Body(_))
        });
        let sizes = on_their_way.map(|seat| (seat.body_bytes.load(Ordering::Relaxed), seat.number));
        let largest = sizes
            .max()
            .filter(|(size, _)| *size >= own.body_bytes.load(Ordering::Relaxed));
        let ended = largest.and_then(|(_, number)| taken.remove(&number));
        let Some(task) = ended.as_ref().and_then(|seat| seat.task.get()) else {
            return false;
        };
        task.abort();
        true
    }

    /// Ends the connection that has waited for its client the longest.
    fn end_longest(&self, is_wanted: impl Fn(&Seat) -> bool) -> bool {
        let now = Instant::now();
        let mut taken = self.table();
        let waiting = taken
            .values()
            .filter(|seat| seat.task.get().is_some() && is_wanted(seat));
        let longest = waiting
            .filter_map(|seat| Some((seat.waits_for(now)?, seat.number)))
            .max()
            .and_then(|(_, number)| taken.remove(&number));
        let Some(task) = longest.as_ref().and_then(|seat| seat.task.get()) else {
            return false;
        };
        task.abort();
        true
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat that is given back when its connection ends.
#[derive(Debug)]
pub(super) struct TakenSeat {
    pub seat: Arc<Seat>,
    seats: Arc<Seats>,
}

impl Drop for TakenSeat {
    fn drop(&mut self) {
        self.seats.table().remove(&self.seat.number);
    }
}

impl TakenSeat {
    /// The body of a request whose head has come, and what holds its share of the memory until it
    /// is answered.
    pub fn watch_body(&self, body: Body) -> (Body, BodyShare) {
        let held = Held {
            seat: self.seat.clone(),
            seats: self.seats.clone(),
        };
        let share = BodyShare(Arc::new(held));
        (
            Body::new(WatchedBody {
                body,
                share: share.clone(),
                is_begun: false,
            }),
            share,
        )
    }

    /// The answer, whose end makes the connection idle.
    pub fn watch_answer(&self, body: Body) -> Body {
        if body
            .size_hint()
            .upper()
            .is_some_and(|bytes| bytes <= SHORT_ANSWER)
        {
            self.seat.set(Turn::Idle(Instant::now()));
            return body;
        }
        Body::new(WatchedAnswer {
            body,
            seat: self.seat.clone(),
        })
    }
}

/// The bytes of the body of a connection's request.
#[derive(Debug)]
struct Held {
    seat: Arc<Seat>,
    seats: Arc<Seats>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.seat.body_bytes.swap(0, Ordering::Relaxed);
        self.seats.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A body's share of the memory, for as long as somebody has it.
#[derive(Debug, Clone)]
pub(super) struct BodyShare(Arc<Held>);

impl BodyShare {
    /// Takes up bytes that have come. Where there are too many of all bodies together, the
    /// connection ends whose body is the largest; false where that is this one.
    fn add(&self, bytes: usize) -> bool {
        let Held { seat, seats } = &*self.0;
        seat.body_bytes.fetch_add(bytes, Ordering::Relaxed);
        let all = seats.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        all <= seats.max_bytes || seats.end_largest_body(seat)
    }
}

/// Bodies of other requests take all the memory that there is for bodies.
#[derive(Debug, thiserror::Error)]
#[error("too many bodies are on their way")]
pub(super) struct NoRoom;

struct WatchedBody {
    body: Body,
    share: BodyShare,
    /// Whether somebody reads it.
    is_begun: bool,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.is_begun {
            self.is_begun = true;
            self.share.0.seat.set(Turn::Body(Instant::now()));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let has_room = self.share.add(bytes);
                Some(if has_room {
                    Ok(frame)
                } else {
                    Err(NoRoom.into())
                })
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        })
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
            self.share.0.seat.begin_answer();
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
        self.seat.set(Turn::Idle(Instant::now()));
    }
}
