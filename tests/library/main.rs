//! The library from outside: its shape and schemas, its promises about any input, LiteLLM's answers, the
//! round trip, the index against a plain scan.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod architecture;
mod conformance;
mod database;
mod digest;
mod fuzz_short;
mod index;
mod litellm;
mod round_trip;
mod schemas;
mod support;
