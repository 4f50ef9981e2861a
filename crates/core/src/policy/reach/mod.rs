//! Which requests attachments are for, and which of them meet: what the rules about several attachments
//! share. Work is bounded: nothing here looks at every pair.

mod areas;
mod givers;
mod index;
mod models;
mod order;

pub use areas::{Area, Areas};
pub use givers::{Givers, Meeting};
pub use index::{Budget, Index};
pub use models::Leads;
