//! The daemon without its sockets: watches refs and the work tree, reloads, and holds what is served.
//!
//! A thread of its own follows each environment's ref (`follow`): hints come from notify (`watch`), truth
//! is the ref's value, and what to do about a value is decided apart (`reload`). What is loaded becomes an
//! immutable [`Snapshot`] in the [`Hub`], which readers take from without a lock; the last good one is also
//! kept as a file (`state`). Must not know the command line or HTTP.

mod answers;
mod background;
mod config;
mod environment;
mod fetch;
mod follow;
mod history;
mod hub;
mod load;
mod metrics;
mod reload;
mod snapshot;
mod state;
mod status;
mod systemd;
mod watch;
mod worktree;

pub use answers::{Answers, Question};
pub use config::{Config, Fetch};
pub use follow::Daemon;
pub use history::{History, NoHistory};
pub use hub::{Hub, Unserved};
pub use metrics::Metrics;
pub use snapshot::{Numbers, Snapshot};
pub use status::{SetStatus, Status};
pub use systemd::Systemd;
