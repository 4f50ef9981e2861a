//! What stays the same of a finding when lines move: how SARIF and GitLab know it again.

use data_encoding::HEXLOWER;
use refguard_core::document::Finding;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

/// Gives each finding of one report a name of its own, from rule, file and message and, among
/// equals, its number.
#[derive(Default)]
pub(super) struct Fingerprints<'a> {
    seen: FxHashMap<(&'static str, &'a str, &'a str), u64>,
}

impl<'a> Fingerprints<'a> {
    /// The next finding's, in hexadecimal.
    pub(super) fn next_for(&mut self, finding: &'a Finding) -> String {
        let parts = finding.identity();
        let nth = self.seen.entry(parts).or_default();
        *nth += 1;
        let mut hash = Sha256::new();
        for part in [parts.0, parts.1, parts.2] {
            // With its length, so that no two triples give the same bytes.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(nth.to_le_bytes());
        HEXLOWER.encode(&hash.finalize())
    }
}
