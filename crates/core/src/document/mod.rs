//! YAML text to typed documents, and the dimensions of requests that they speak of: positions,
//! limits, shape, and findings as data.
//!
//! Owns everything up to "this text is a well-formed document of that kind". Must not know git, the
//! file system, or what a rule of the policy set means: a file comes in as a path and bytes, and
//! leaves as [`Document`]s and [`Finding`]s.
//!
//! The way of a file: [`load_file`] → `yaml` (text → spanned [`Node`] trees) → `header` (is it
//! ours?) → `shape` (the JSON Schema judges) → `de` (typed raw documents, each string with its
//! span).

mod de;
mod dimension;
mod encoding;
mod finding;
mod foreign;
mod guardrail;
mod header;
mod instant;
mod limits;
mod load;
mod names;
mod node;
mod raw;
mod release;
mod requests;
pub mod rules;
mod scalar;
pub mod schema;
mod settings;
mod shape;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
pub(crate) mod work;
mod yaml;

pub use de::{OneOrMany, Spanned, SpannedMap};
pub use dimension::{Dimension, PerDimension};
pub use finding::{Finding, Level, Location, Related, Severity};
pub use foreign::{ForeignDocument, find_comments, read_foreign};
pub use guardrail::{GuardrailMode, RawGuardrail, RawStreamScope, StreamScope};
pub use header::{KINDS, Kind, OUR_FOLDERS, is_read_name, is_yaml_name, our_folder};
pub use instant::{DayEdge, INSTANT_HELP, parse_instant};
pub use limits::{Limits, MAX_TAGS, MAX_VALUE};
pub use load::{Body, Document, Loaded, Lost, load_file};
pub use node::{Node, NodeValue, Span};
pub use raw::*;
pub use release::Release;
pub use rules::{Example, Rule};
pub use scalar::is_ambiguous;
pub use source::SourceFile;
pub use suggest::{did_you_mean, did_you_mean_name, suggest_name};
