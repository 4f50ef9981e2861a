//! Accepting connections, serving each on a task of its own, and ending them all.

use std::io;
use std::net::TcpListener as StdTcp;
use std::os::unix::net::UnixListener as StdUnix;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::app::{App, router};
use super::bundle::BundleCache;
use super::connection::Patient;
use super::descriptors::{bound_connections, raise_limit};
use super::endpoint::check;
use super::families;
use super::measure::Measures;
use super::openapi::describe;
use super::pace::Pace;
use super::pages::attempts::{Attempts, Peer};
use super::pages::sessions::Sessions;
use super::pages::{Live, Standings, watch_changes};
use super::reserve::{self, OnReserve, Reserve};
use super::workers::{Workers, build_quiet_threads};
use super::{Limits, Options};
use crate::daemon::Hub;

/// Requests that may wait for a thread.
const MAX_WAITING: usize = 64;
/// Analyses of the pages that may wait for a thread.
const MAX_ANALYSES: usize = 8;

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
pub fn serve(
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
    let result = runtime.block_on(run(listeners, hub, options, signals, quiet.handle()));
    runtime.shutdown_background();
    quiet.shutdown_background();
    result
}

async fn run(
    listeners: Vec<Listener>,
    hub: Arc<Hub>,
    options: Options,
    signals: Signals,
    quiet: &Handle,
) -> io::Result<()> {
    let mut caught = Caught::catch()?;
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
    hub.metrics().register(|registry| measures.enter(registry));
    let endpoints = families();
    check(&endpoints).map_err(io::Error::other)?;
    let description = describe(&endpoints)?.to_string().into();
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
        live: Live::new(limits.connections),
        standings: Standings::default(),
    });
    let weak = Arc::downgrade(&app);
    app.options.credentials.on_tokens(move |tokens| {
        if let Some(app) = weak.upgrade() {
            app.sessions.keep(|token| tokens.has_hash(token));
            app.live.judge_again();
        }
    });
    let (end, ending) = watch::channel(());
    let places = Arc::new(Semaphore::new(limits.connections));
    let server = Arc::new(Server {
        places: places.clone(),
        router: router(app.clone(), endpoints),
        app,
        limits,
        ending,
        reserve: Reserve::default(),
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(server.clone(), bound(listener)?));
    }
    accepting.spawn(watch_changes(server.app.clone()));
    let app = server.app.clone();
    tokio::spawn(async move { app.pace.wake(app.changes.clone()).await });
    drop(server);
    caught.until_end(&signals).await;
    (signals.ending)();
    accepting.shutdown().await;
    // Parked polls see that their channel is closed.
    if let Ok(mut changed) = changed.lock() {
        changed.take();
    }
    drop(end);
    // Every place is free again once every connection has ended.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.shutdown_time, places.acquire_many(all)).await.is_err() {
        tracing::warn!("some requests did not end in time, and are cut off");
    }
    Ok(())
}

/// The signals that a daemon acts on. They are caught from before it accepts connections, so that one
/// that comes as soon as it answers does not kill it.
struct Caught {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Caught {
    fn catch() -> io::Result<Self> {
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

struct Server {
    app: Arc<App>,
    router: Router,
    limits: Limits,
    places: Arc<Semaphore>,
    /// Closed when the end begins.
    ending: watch::Receiver<()>,
    /// Connections beyond the places.
    reserve: Reserve,
}

enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

fn bound(listener: Listener) -> io::Result<Bound> {
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

async fn accept(server: Arc<Server>, bound: Bound) {
    let mut is_failing = false;
    loop {
        let result = match &bound {
            Bound::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                // Answers are small and whole: waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                (Stream::Tcp(stream), Peer::at(from.ip()))
            }),
            Bound::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), Peer::Socket))
            }
        };
        match result {
            Ok((stream, peer)) => {
                if std::mem::take(&mut is_failing) {
                    tracing::info!("over: connections are accepted again");
                }
                server.clone().begin(stream, peer);
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

fn mark_request(request: hyper::Request<Incoming>, kind: Kind, peer: Peer) -> hyper::Request<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    if kind == Kind::Reserve {
        request.extensions_mut().insert(OnReserve);
    }
    request
}

impl Server {
    /// Serves a connection on a task of its own; where there are too many, only probes and not for long.
    fn begin(self: Arc<Self>, stream: Stream, peer: Peer) {
        match self.places.clone().try_acquire_owned() {
            Ok(place) => {
                tokio::spawn(async move {
                    self.app.measures.connections.inc();
                    self.greet(stream, Kind::Regular, peer).await;
                    self.app.measures.connections.dec();
                    drop(place);
                });
            }
            Err(_) => {
                self.app.measures.refused.inc();
                let server = self.clone();
                let task = tokio::spawn(async move {
                    let serving = server.greet(stream, Kind::Reserve, peer);
                    let _ = tokio::time::timeout(reserve::TIME, serving).await;
                });
                self.reserve.admit(task.abort_handle());
            }
        }
    }

    /// Speaks TLS where that is due, and serves what is asked.
    async fn greet(&self, stream: Stream, kind: Kind, peer: Peer) {
        // Asked for each connection: certificates are replaced while the server runs.
        let tls = self.app.options.credentials.tls().map(TlsAcceptor::from);
        match (stream, tls) {
            (Stream::Unix(stream), _) => self.serve(stream, kind, peer).await,
            (Stream::Tcp(stream), None) => self.serve(stream, kind, peer).await,
            (Stream::Tcp(stream), Some(tls)) => {
                let handshake =
                    tokio::time::timeout(self.limits.header_time, tls.accept(stream)).await;
                if let Ok(Ok(stream)) = handshake {
                    self.serve(stream, kind, peer).await;
                }
            }
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        kind: Kind,
        peer: Peer,
    ) {
        let limits = &self.limits;
        let service = TowerToHyperService::new(
            self.router.clone().map_request(move |request| mark_request(request, kind, peer)),
        );
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_headers(limits.headers)
            .max_header_size(limits.header_bytes)
            .half_close(false)
            .keep_alive(kind == Kind::Regular)
            .serve_connection(TokioIo::new(Patient::new(stream, limits.write_time)), service);
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
