//! The daemon's endpoints: the only async code. One family of endpoints a file.
//!
//! `server` accepts connections and ends them, `app` routes requests, `guard` says who may ask,
//! `endpoint` is the table that router and description are made from, `call` a request as a handler
//! takes it. A request takes its snapshot once from the [`Hub`](crate::daemon::Hub) and is answered
//! wholly from it. Must not know git or files: sockets, certificates and tokens come in as values.

mod app;
mod attempts;
mod authz;
mod body;
mod bundle;
mod call;
mod client;
mod clients;
mod connection;
mod credentials;
mod decisions;
mod descriptors;
mod endpoint;
mod forwarded;
mod guard;
mod health;
mod history;
mod listing;
mod measure;
mod messenger;
mod openapi;
mod options;
mod pace;
mod pages;
mod problem;
mod reply;
mod reserve;
mod resolve;
mod seats;
mod server;
mod shadow;
mod tls;
mod tls_client;
mod workers;

use endpoint::Endpoint;

pub use authz::AuthzOptions;
pub use client::{Deadline, connect_to, host_name, read_answer};
pub use credentials::Credentials;
pub use decisions::DecisionLog;
pub use guard::{HostGuard, Tokens};
pub use messenger::{NotifyForm, NotifyOptions, NotifyTarget, notify_targets};
pub use options::{Limits, Options};
pub use server::{Listener, Signals, serve_listeners};
pub use tls::tls_config;
pub use tls_client::TlsClient;

/// Every endpoint that is served. A new family of endpoints gets a line here.
fn endpoint_families() -> Vec<Endpoint> {
    [
        health::health_endpoints,
        openapi::openapi_endpoints,
        resolve::resolve_endpoints,
        listing::listing_endpoints,
        history::history_endpoints,
        bundle::bundle_endpoints,
        authz::authz_endpoints,
        clients::client_endpoints,
        shadow::shadow_endpoints,
    ]
    .into_iter()
    .flat_map(|family| family())
    .collect()
}
