//! The project from outside: which module may know which, what each crate may depend on, and the
//! promises about any input that the fuzz targets make.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod architecture;
mod circles;
mod dependencies;
mod faults;
mod fuzz_short;
