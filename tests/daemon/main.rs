//! Stories of the daemon: the real program on a free port, over real repositories that real git
//! changes.
//!
//! Nothing sleeps to let something happen: a test asks the daemon, up to a deadline, until it says
//! so.
#![allow(clippy::print_stderr, reason = "a test that skips says so")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod api;
mod authz;
mod bundle;
mod clients;
mod echo;
mod expiry;
mod gateways;
mod independence;
mod last_good;
mod limits;
mod metrics;
mod notify;
mod openapi;
mod operations;
mod pages;
mod proxies;
mod restarts;
mod safety;
mod shadow;
mod soak;
mod support;
mod watching;
mod worktree;
