//! The analyses against brute force, laws that any analysis must keep, and known traps.

pub(crate) mod brute;
pub(crate) mod generate;
mod growth;
mod laws;
pub(crate) mod oracle;
pub(crate) mod spans;
mod traps;

use std::sync::Arc;

use crate::document::{Limits, load_file};
use crate::policy::{Levels, check_documents};
use crate::resolve::Engine;

/// An engine of a set written as YAML; `None` where the set is refused.
pub(crate) fn engine_of(yaml: &str) -> Option<Engine> {
    let loaded = load_file("set.yaml", yaml.as_bytes().to_vec(), &Limits::DEFAULT);
    let checked = check_documents(loaded, &Levels::default());
    if let Some(finding) = checked.findings.iter().find(|finding| finding.is_error()) {
        // Shown where a test fails for it.
        eprintln!("refused: {finding}");
    }

    checked.set.map(|set| Engine::new(Arc::new(set)))
}
