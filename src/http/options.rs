//! What the endpoints are told at the start.

use std::sync::Arc;
use std::time::Duration;

use super::{AuthzOptions, Credentials, DecisionLog, HostGuard};
use crate::daemon::Shadow;
use crate::pages::ForgeLinks;

/// How much of each thing a client may have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Requests of one batch.
    pub batch: usize,
    /// Requests of one batch that is explained.
    pub explained: usize,
    /// Policies that one request names.
    pub named_policies: usize,
    /// Bytes of an answer to a batch or of an explanation.
    pub answer_bytes: usize,
    /// How long making one answer may take.
    pub answer_time: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Long-polls that wait at once.
    pub parked: usize,
    /// Bytes of bodies that have not come in full, or are not answered yet, of all connections
    /// together.
    pub bodies_bytes: usize,
    /// The same of requests without a token where one is asked for, as the form that takes it.
    pub stranger_bodies_bytes: usize,
    /// How long a client may take to send a request's head.
    pub header_time: Duration,
    /// How long a connection is kept on which nothing more is asked.
    pub idle_time: Duration,
    /// How long a client may take to send a request's body.
    pub body_time: Duration,
    /// How long a client may take nothing of an answer.
    pub write_time: Duration,
    /// How long requests in flight may take to end at shutdown.
    pub shutdown_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            header_bytes: 64 << 10,
            headers: 100,
            batch: 1_000,
            explained: 100,
            named_policies: 256,
            answer_bytes: 32 << 20,
            answer_time: Duration::from_secs(5),
            connections: 1_024,
            parked: 256,
            bodies_bytes: 64 << 20,
            stranger_bodies_bytes: 1 << 20,
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
            write_time: Duration::from_secs(30),
            shutdown_time: Duration::from_secs(10),
        }
    }
}

/// How the endpoints behave.
pub struct Options {
    /// How much of each thing a client may have.
    pub limits: Limits,
    /// Tokens and TLS.
    pub credentials: Arc<Credentials>,
    /// Which names a request may call this server; `None`: any.
    pub hosts: Option<HostGuard>,
    /// How `/v1/authz` decides.
    pub authz: AuthzOptions,
    /// Whether requests may name only policies that are requestable.
    pub strict_requests: bool,
    /// Where decisions are written.
    pub decisions: Option<Arc<DecisionLog>>,
    /// What another revision would say to the requests that are answered.
    pub shadow: Option<Arc<Shadow>>,
    /// Whether the pages under `/ui/` are served.
    pub pages: bool,
    /// How places on pages become links into a forge.
    pub page_links: Option<ForgeLinks>,
    /// How long a browser stays signed in.
    pub session_time: Duration,
}
