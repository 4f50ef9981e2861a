//! What a request gets, and why.
//!
//! A pure function of a [`PolicySet`](crate::policy::PolicySet) and a [`Request`]. Must not know git, YAML,
//! HTTP or the clock: the command line, the daemon, hooks and tests all get their answers here.

mod answer;
mod candidates;
mod context;
mod coverage;
mod engine;
mod explain;
mod index;
mod simulate;

pub use answer::{Answer, Fields, Numbering, Origin};
pub use context::{Asked, BadContext, Context, Pinned, Request, Requested};
pub use coverage::{Coverage, CoverageReport, Item as CoverageItem, Kind as CoverageKind};
pub use engine::{Engine, Resolution, ResolvedPipeline, ResolvedPolicy, Subject};
pub use explain::{Near, Verdict, explain};
pub use simulate::simulate;
