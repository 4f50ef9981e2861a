//! The daemon without its sockets: watches refs and the work tree, reloads, and holds what is
//! served.
//!
//! ```text
//! watch, fetch ──hints──▶ follow ──orders──▶ loader (one an environment) ──reports──▶ follow ──▶ slot
//!                          │                                                             │
//!                          └─ environment, reload: what to do about a ref's value        └─▶ state_writer
//! ```
//!
//! The follower's thread reads the refs and publishes; it never reads a set itself. Hints come from
//! notify, truth is the ref's value. What is loaded becomes an immutable [`Snapshot`] in a slot of
//! the [`Hub`], which readers take from without a lock; the last good one is also kept as a file
//! (`state`, `state_folder`). Must not know the command line or HTTP.

mod answers;
mod archive;
mod background;
mod clients;
mod config;
mod difference;
mod environment;
mod events;
mod expiry;
mod fetch;
mod floor;
mod follow;
mod history;
mod hub;
mod line_log;
mod listeners;
mod load;
mod load_marker;
mod loader;
mod metrics;
mod notes;
mod past;
mod private_file;
mod reload;
mod shadow;
mod slot;
mod snapshot;
mod state;
mod state_folder;
mod state_writer;
mod status;
mod systemd;
mod watch;
mod worktree;

pub use answers::{Answers, Question};
pub use archive::{Standing, parse_instant};
pub use background::{Way, give_way, quieten_shared_pool};
pub use clients::{
    Accepted, ClientGuardrail, ClientReport, ClientState, ClientTally, Clients, Kept, ListedClient,
    MAX_CLIENTS, MAX_REPORT_BYTES, Owner, ReportRefused,
};
pub use config::{Config, Fetch};
pub use events::{Event, EventKind, EventWatch};
pub use follow::Daemon;
pub use history::{History, NoHistory};
pub use hub::{Hub, Unserved};
pub use line_log::{LineLog, LogTarget};
pub use metrics::Metrics;
pub use notes::{Notes, Subject, lock_unpoisoned};
pub use past::{Change, Difference, PastSet};
pub use shadow::{MAX_SAMPLES, Shadow, ShadowOptions, ShadowRegion, ShadowReport, ShadowSample};
use snapshot::Source;
pub use snapshot::{Numbers, Snapshot};
pub use status::{ClientCounts, Failing, Hold, Outdated, Rejected, SetStatus, Status};
pub use systemd::Systemd;
