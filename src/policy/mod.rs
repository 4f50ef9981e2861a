//! The policy set: its model, the patterns it is made of, and the rules it must keep.
//!
//! Must not know git, files, the clock, or any transport.

pub mod condition;
