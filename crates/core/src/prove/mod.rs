//! Exact answers about every possible request: what a change does, and whether invariants hold.
//!
//! A pure function of one or two engines and a budget of work. Patterns are exact strings and
//! prefixes, conditions are regular expressions, so each dimension of a request falls into finitely
//! many classes; docs/prove.md says how they are used. Must not know git, YAML, HTTP or the
//! terminal.

mod boxes;
mod changes;
mod cone;
mod eval;
mod impact;
mod implied;
mod index;
mod invariants;
mod monotone;
mod names;
mod patch;
mod pipelines;
mod region_box;
mod replay;
mod report;
mod search;
mod spans;
mod terms;
#[cfg(test)]
pub(crate) mod tests;
mod twins;
mod walk;
mod weaken;
mod world;

pub use crate::effect::Budget;
pub use impact::{Weakens, find_weakening, impact_in_detail, impact_of_change, regions_around};
pub use implied::{LostInvariant, LostPromise, lost_invariants};
pub use invariants::{ProveOptions, prove_invariants};
pub use region_box::RegionBox;
pub use report::*;
pub use spans::{impact_from, prove_from, weakens_from};
pub(crate) use spans::{span_starts, told_start};
