//! What a request gets, and why.
//!
//! A pure function of a [`PolicySet`](crate::policy::PolicySet) and a [`Request`]. Must not know
//! git, YAML, HTTP or the clock: the command line, the daemon, hooks and tests all get their
//! answers here.

mod answer;
mod candidates;
mod chain_table;
mod context;
mod coverage;
mod engine;
mod explain;
mod index;
mod json;
mod object_only;
mod resolution;
mod simulate;
mod wording;

pub use answer::{Answer, Fields, Numbering, Origin};
pub use candidates::Reason;
pub use context::{Asked, BadContext, Pinned, Request, Requested};
pub use coverage::{Coverage, CoverageReport, Item as CoverageItem, Kind as CoverageKind};
pub use engine::Engine;
pub(crate) use explain::describe_miss;
pub use explain::{Near, Verdict, explain_request};
pub use object_only::ObjectOnly;
pub use resolution::{Resolution, ResolvedPipeline, ResolvedPolicy};
pub use simulate::{Outcomes, Reaction, Script, Stage, simulate_call};

pub use crate::document::MAX_VALUE;
pub use crate::policy::Context;
