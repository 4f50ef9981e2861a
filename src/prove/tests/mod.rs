//! The analyses against brute force, laws that any analysis must keep, and known traps.

mod brute;
mod generate;
mod oracle;

use std::sync::Arc;

use crate::document::{Limits, load_file};
use crate::policy::{Levels, check};
use crate::resolve::Engine;

/// An engine of a set written as YAML; `None` where the set is refused.
fn engine_of(yaml: &str) -> Option<Engine> {
    let loaded = load_file("set.yaml", yaml.as_bytes().to_vec(), &Limits::DEFAULT);
    check(loaded, &Levels::default()).set.map(|set| Engine::new(Arc::new(set)))
}
