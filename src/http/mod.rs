//! The daemon's endpoints: the only async code. One family of endpoints a file.
//!
//! `server` accepts connections and ends them, `app` puts the routes together, `guard` says who may ask.
//! A request takes its snapshot once from the [`Hub`](crate::daemon::Hub) and is answered wholly from it.
//! Must not know git or files: sockets, certificates and tokens come in as values.

mod app;
mod authz;
mod bundle;
mod connection;
mod decisions;
mod guard;
mod health;
mod listing;
mod measure;
mod openapi;
mod options;
mod problem;
mod resolve;
mod server;
mod tls;

pub use authz::{AuthzOptions, Dimension};
pub use decisions::DecisionLog;
pub use guard::{HostGuard, Tokens};
pub use options::{Limits, Options};
pub use server::{Listener, Signals, serve};
pub use tls::tls_config;
