//! The policy set: its model, the patterns it is made of, and the rules it must keep.
//!
//! Raw documents go in, a [`PolicySet`] comes out or findings do: a set that exists is valid. Must
//! not know git, files, the clock, or any transport.

mod alone;
mod build;
mod bundle;
mod canonical;
mod cases;
mod catalogued;
pub mod condition;
mod context;
mod draft;
pub mod filing;
mod freeze;
mod guardrails;
mod kept;
mod known;
mod levels;
mod lineage;
mod model;
mod patch;
mod pattern;
mod raw_json;
mod reach;
pub mod rules;

pub use alone::check_alone;
pub use build::{
    Checked, Counts, build_settings, check_beside, check_documents, check_errors,
    check_errors_beside, check_findings,
};
pub use bundle::{BUNDLE_DOCUMENTS, Bundle, BundleFault};
pub use canonical::{attachment_json, policy_json, raw_policy_digest, raw_policy_json, set_json};
pub use cases::{MAX_CASES, count_cases};
pub use catalogued::{Conflict, KnownGuardrail, StreamScopes};
pub use context::Context;
pub use draft::{DraftSet, Item, REGEX_TOTAL};
pub use freeze::{Freeze, FreezeWindow, Frozen, frozen_at};
pub use guardrails::Guardrails;
pub use known::{DraftCatalog, KnownNames};
pub use levels::{BadLevel, Levels};
pub use lineage::{Lineage, MAX_CHAIN};
pub use model::*;
pub use patch::{FileChange, Patched, changes_cases, named_policies};
pub use pattern::Pattern;
pub use raw_json::raw_attachment_json;
