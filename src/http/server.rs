//! Accepting connections, serving each on a task of its own, and ending them all.

use std::io;
use std::net::TcpListener as StdTcp;
use std::os::unix::net::UnixListener as StdUnix;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::app::{App, build_router};
use super::attempts::{Attempts, Peer};
use super::bundle::BundleCache;
use super::connection::Patient;
use super::descriptors::{bound_connections, raise_limit};
use super::endpoint::check_endpoints;
use super::endpoint_families;
use super::measure::Measures;
use super::openapi::describe_api;
use super::pace::Pace;
use super::pages::sessions::Sessions;
use super::pages::{Live, Standings, watch_changes};
use super::reserve::{self, OnReserve, Reserve};
use super::seats::{Room, Seats, TakenSeat};
use super::workers::{Workers, build_quiet_threads};
use super::{Limits, Options};
use crate::daemon::Hub;

/// Requests that may wait for a thread.
const MAX_WAITING: usize = 64;
/// Analyses of the pages that may wait for a thread.
const MAX_ANALYSES: usize = 8;

/// Bytes of a connection's buffer at least: the library takes no less.
const MIN_BUFFER: usize = 8 << 10;

/// How long to rest where accepting fails for want of descriptors.
const REST: Duration = Duration::from_millis(50);

/// A socket that listens already.
pub enum Listener {
    /// TCP, with TLS where the options have it.
    Tcp(StdTcp),
    /// A Unix socket.
    Unix(StdUnix),
}

/// What is done about signals.
pub struct Signals {
    /// SIGHUP: look at the refs now.
    pub hangup: Box<dyn Fn() + Send + Sync>,
    /// SIGTERM or SIGINT has come, and the end begins.
    pub ending: Box<dyn Fn() + Send + Sync>,
}

/// Serves until SIGTERM or SIGINT; requests in flight are ended within the limit.
///
/// # Errors
/// Where the system gives no threads, or a listener cannot be used.
pub fn serve_listeners(
    listeners: Vec<Listener>,
    hub: Arc<Hub>,
    options: Options,
    signals: Signals,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("refguard-http")
        .build()?;
    let quiet = build_quiet_threads()?;
    let result = runtime.block_on(serve_until_stopped(
        listeners,
        hub,
        options,
        signals,
        quiet.handle(),
    ));
    runtime.shutdown_background();
    quiet.shutdown_background();
    result
}

async fn serve_until_stopped(
    listeners: Vec<Listener>,
    hub: Arc<Hub>,
    options: Options,
    signals: Signals,
    quiet: &Handle,
) -> io::Result<()> {
    let mut caught = Caught::catch_signals()?;
    let mut limits = options.limits;
    limits.connections = bound_connections(limits.connections, raise_limit(), reserve::PLACES);
    let (changed, changes) = watch::channel(0u64);
    let changed = Arc::new(std::sync::Mutex::new(Some(changed)));
    let teller = changed.clone();
    hub.on_change(move || {
        if let Ok(Some(changed)) = teller.lock().as_deref() {
            changed.send_modify(|generation| *generation += 1);
        }
    });
    let (parked, pace) = (Semaphore::new(limits.parked), Pace::default());
    let measures = Measures::new();
    hub.metrics()
        .register_all(|registry| measures.register_all(registry));
    let endpoints = endpoint_families();
    check_endpoints(&endpoints).map_err(io::Error::other)?;
    let description = describe_api(&endpoints)?.to_string().into();
    let bundles = BundleCache::default();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = |threads: &Handle, places, max_waiting| {
        Workers::new(threads, places, max_waiting, limits.answer_time)
    };
    let sessions = Sessions::new(options.session_time);
    let app = Arc::new(App {
        hub,
        options,
        changes,
        parked,
        pace,
        workers: workers(&Handle::current(), cores.max(2), MAX_WAITING),
        page_makers: workers(quiet, cores.max(2), MAX_WAITING),
        historians: workers(quiet, 1, MAX_WAITING),
        analysts: workers(quiet, (cores / 2).max(1), MAX_ANALYSES),
        measures,
        bundles,
        description,
        sessions,
        attempts: Attempts::default(),
        wrong_tokens: Attempts::default(),
        live: Live::new(limits.connections),
        standings: Standings::default(),
    });
    let weak = Arc::downgrade(&app);
    app.options.credentials.on_tokens(move |tokens| {
        if let Some(app) = weak.upgrade() {
            app.sessions.retain_sessions(|token| tokens.has_hash(token));
            app.live.judge_again();
        }
    });
    let (end, ending) = watch::channel(());
    let seats = Arc::new(Seats::new(Room {
        places: limits.connections,
        known_bytes: limits.bodies_bytes,
        stranger_bytes: limits.stranger_bodies_bytes,
    }));
    let server = Arc::new(Server {
        router: build_router(app.clone(), endpoints),
        app,
        limits,
        ending,
        seats: seats.clone(),
        reserve: Reserve::default(),
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept_connections(server.clone(), bind_listener(listener)?));
    }
    accepting.spawn(watch_changes(server.app.clone()));
    let app = server.app.clone();
    tokio::spawn(async move { app.pace.wake_waiters(app.changes.clone()).await });
    drop(server);
    caught.until_end(&signals).await;
    (signals.ending)();
    accepting.shutdown().await;
    // Parked polls see that their channel is closed.
    if let Ok(mut changed) = changed.lock() {
        changed.take();
    }
    drop(end);
    if tokio::time::timeout(limits.shutdown_time, seats.until_empty())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time, and are cut off");
    }
    Ok(())
}

/// The signals that a daemon acts on. They are caught from before it accepts connections, so that
/// one that comes as soon as it answers does not kill it.
struct Caught {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Caught {
    fn catch_signals() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the signal that ends the daemon.
    async fn until_end(&mut self, signals: &Signals) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => (signals.hangup)(),
            }
        }
    }
}

/// A connection as the metrics count it, for as long as it is open, however it ends.
struct OpenConnection<'a>(&'a Gauge);

impl<'a> OpenConnection<'a> {
    fn count(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Server {
    app: Arc<App>,
    router: Router,
    limits: Limits,
    /// Closed when the end begins.
    ending: watch::Receiver<()>,
    /// The connections that have a place.
    seats: Arc<Seats>,
    /// Connections beyond the places.
    reserve: Reserve,
}

enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

fn bind_listener(listener: Listener) -> io::Result<Bound> {
    Ok(match listener {
        Listener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            Bound::Tcp(TcpListener::from_std(listener)?)
        }
        Listener::Unix(listener) => {
            listener.set_nonblocking(true)?;
            Bound::Unix(UnixListener::from_std(listener)?)
        }
    })
}

async fn accept_connections(server: Arc<Server>, bound: Bound) {
    let mut is_failing = false;
    loop {
        let result = match &bound {
            Bound::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                // Answers are small and whole: waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                (Stream::Tcp(stream), Peer::of_address(from.ip()))
            }),
            Bound::Unix(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| (Stream::Unix(stream), Peer::Socket)),
        };
        match result {
            Ok((stream, peer)) => {
                if std::mem::take(&mut is_failing) {
                    tracing::info!("over: connections are accepted again");
                }
                server.clone().begin_connection(stream, peer);
            }
            Err(error) => {
                is_failing = true;
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// Whether a connection has a place, or is one of those beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Regular,
    Reserve,
}

/// A request as the router takes it: with where it comes from, and a body that is watched.
fn mark_request(
    request: hyper::Request<Incoming>,
    kind: Kind,
    peer: Peer,
    seat: &TakenSeat,
) -> hyper::Request<Body> {
    seat.seat.begin_answer();
    let (mut head, body) = request.into_parts();
    head.extensions.insert(peer);
    if kind == Kind::Reserve {
        head.extensions.insert(OnReserve);
    }
    if hyper::body::Body::is_end_stream(&body) {
        return hyper::Request::from_parts(head, Body::empty());
    }
    let (body, share) = seat.watch_body(Body::new(body));
    head.extensions.insert(share);
    hyper::Request::from_parts(head, body)
}

impl Server {
    /// Serves a connection on a task of its own. Where there are too many, the one that has waited
    /// for its client the longest makes place; where all are being answered, the new one is heard
    /// for a moment, as probes are.
    fn begin_connection(self: Arc<Self>, stream: Stream, peer: Peer) {
        let Some(taken) = self.seats.take() else {
            self.app.measures.refused.inc();
            return self.hear_for_a_moment(stream, peer);
        };

        let seat = taken.seat.clone();
        let task = tokio::spawn(async move {
            let Some(taken) = taken.await_place().await else {
                self.app.measures.refused.inc();
                return;
            };
            let _open = OpenConnection::count(&self.app.measures.connections);
            self.greet_client(stream, Kind::Regular, peer, Arc::new(taken))
                .await;
        });
        seat.set_task(task.abort_handle());
    }

    fn hear_for_a_moment(self: Arc<Self>, stream: Stream, peer: Peer) {
        let server = self.clone();
        let task = tokio::spawn(async move {
            let seat = Arc::new(server.seats.stand());
            let serving = server.greet_client(stream, Kind::Reserve, peer, seat);
            let _ = tokio::time::timeout(reserve::TIME, serving).await;
        });
        self.reserve.admit_task(task.abort_handle());
    }

    /// Speaks TLS where that is due, and serves what is asked.
    async fn greet_client(&self, stream: Stream, kind: Kind, peer: Peer, seat: Arc<TakenSeat>) {
        // Asked for each connection: certificates are replaced while the server runs.
        let tls = self.app.options.credentials.tls().map(TlsAcceptor::from);
        match (stream, tls) {
            (Stream::Unix(stream), _) => self.serve_connection(stream, kind, peer, seat).await,
            (Stream::Tcp(stream), None) => self.serve_connection(stream, kind, peer, seat).await,
            (Stream::Tcp(stream), Some(tls)) => {
                let handshake =
                    tokio::time::timeout(self.limits.header_time, tls.accept(stream)).await;
                if let Ok(Ok(stream)) = handshake {
                    self.serve_connection(stream, kind, peer, seat).await;
                }
            }
        }
    }

    async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        kind: Kind,
        peer: Peer,
        taken: Arc<TakenSeat>,
    ) {
        let limits = &self.limits;
        let (seat, answered) = (taken.seat.clone(), taken.clone());
        let router = self
            .router
            .clone()
            .map_request(move |request| mark_request(request, kind, peer, &taken))
            .map_response(move |response: Response| {
                response.map(|body| answered.watch_answer(body))
            });
        let service = TowerToHyperService::new(router);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_time.max(limits.header_time))
            .max_headers(limits.headers)
            .max_buf_size(limits.header_bytes.max(MIN_BUFFER))
            .max_header_size(limits.header_bytes)
            .half_close(false)
            .keep_alive(kind == Kind::Regular)
            .serve_connection(TokioIo::new(Patient::new(stream, seat, limits)), service);
        let mut connection = pin!(connection);
        let mut ending = self.ending.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = ending.changed() => {
                // The answer under way is finished; an idle connection ends at once.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection ended badly: {error}");
        }
    }
}
