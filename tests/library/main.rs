//! Tests of the library as a whole: its shape, its schemas, its promises about any input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod architecture;
mod digest;
mod fuzz_short;
mod schemas;
