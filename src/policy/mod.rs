//! The policy set: its model, the patterns it is made of, and the rules it must keep.
//!
//! Raw documents go in, a [`PolicySet`] comes out or findings do: a set that exists is valid. Must not
//! know git, files, the clock, or any transport.

mod build;
mod canonical;
mod cases;
pub mod condition;
mod draft;
mod levels;
mod model;
mod pattern;
mod raw_json;
pub mod rules;

pub use build::{Checked, Counts, check, settings};
pub use canonical::{attachment_json, policy_json, set_json};
pub use draft::{DraftCatalog, DraftSet, Item, Known};
pub use levels::{BadLevel, Levels};
pub use model::*;
pub use pattern::Pattern;
pub use raw_json::{raw_attachment_json, raw_policy_json};
