//! Which requests attachments are for, and which attachments meet: what the rules about several
//! attachments share. Work is bounded: nothing here looks at every pair.
//!
//! `order` numbers the patterns of a dimension, `areas` turns each attachment into lists of such
//! numbers, `index` finds the areas that may cover or overlap one, and `givers` uses it to answer
//! which attachment may give a guardrail to a request of another. `models` says roughly which
//! models a condition lets through. Must not know the findings that the rules make of it.

mod areas;
mod givers;
mod index;
mod models;
mod order;

pub use areas::{Area, Areas};
pub use givers::{Givers, Meeting};
pub use index::{AreaIndex, SearchBudget};
pub use models::Leads;
