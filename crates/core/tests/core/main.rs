//! The core from outside: its schemas, LiteLLM's answers, the round trip, the index against a plain
//! scan.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod conformance;
mod database;
mod digest;
mod index;
mod litellm;
mod pipelines;
mod questions;
mod round_trip;
mod schemas;
mod support;
