//! What the benchmarks share.

pub mod model;
