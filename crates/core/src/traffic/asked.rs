//! What two sets ask of requests: of a dimension that neither asks for, a log may be silent.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::document::{Dimension, PerDimension};
use crate::policy::{Pattern, PolicySet};

/// What stands before the hash of a key in a log.
const HASHED: &str = "sha256:";

/// A key as logs and samples write it that hide keys.
pub fn hidden_key(key: &str) -> String {
    format!(
        "{HASHED}{}",
        HEXLOWER.encode(&Sha256::digest(key.as_bytes()))
    )
}

/// Whether a key stands there as its hash.
pub fn is_hidden_key(key: &str) -> bool {
    key.starts_with(HASHED)
}

/// What sets ask of requests.
#[derive(Debug, Clone)]
pub struct Asked {
    dimensions: PerDimension<bool>,
    /// The keys that are named in full, by their hash as a log writes it.
    keys: FxHashMap<String, Arc<str>>,
    /// Whether a pattern matches keys by how they begin.
    key_starts: bool,
}

impl Asked {
    /// What either of two sets asks.
    pub fn asked_by(base: &PolicySet, head: &PolicySet) -> Self {
        let mut asked = Self {
            dimensions: PerDimension::default(),
            keys: FxHashMap::default(),
            key_starts: false,
        };

        for set in [base, head] {
            asked.dimensions[Dimension::Model] |= !set.conditions.is_empty();
            for attachment in set
                .attachments
                .iter()
                .filter(|attachment| !attachment.everywhere)
            {
                for (dimension, patterns) in attachment.targets.narrowing_patterns() {
                    asked.dimensions[dimension] = true;
                    if dimension == Dimension::Key {
                        asked.take_keys(patterns);
                    }
                }
            }
        }

        asked
    }

    fn take_keys(&mut self, patterns: &[Pattern]) {
        for pattern in patterns {
            match pattern {
                Pattern::Exact(key) => {
                    self.keys.insert(hidden_key(key), key.clone());
                }
                Pattern::Prefix(_) => self.key_starts = true,
            }
        }
    }

    /// Whether a set distinguishes requests by a dimension.
    pub fn has_dimension(&self, dimension: Dimension) -> bool {
        self.dimensions[dimension]
    }

    /// A key as a set knows it: one that a log hides behind its hash is found by that, and one that
    /// is not found is none that a set names in full. `None`: it is hidden, and a set asks how it
    /// begins.
    pub(super) fn asked_key(&self, logged: String) -> Option<String> {
        if !logged.starts_with(HASHED) || !self.has_dimension(Dimension::Key) {
            return Some(logged);
        }

        match self.keys.get(&logged) {
            Some(key) => Some(key.to_string()),
            None => (!self.key_starts).then_some(logged),
        }
    }
}
