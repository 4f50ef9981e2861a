//! Which program wrote what is kept in the git directory.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// The program by whose rules something was worked out. Two builds of one version may have other
/// rules, so the version alone is not enough.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ops) struct Program {
    version: String,
    bytes: u64,
    modified_nanos: u128,
}

impl Program {
    /// The one that runs now; `None` where it cannot tell itself from others.
    pub fn this() -> Option<Self> {
        let file = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
        let modified = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bytes: file.len(),
            modified_nanos: modified.as_nanos(),
        })
    }
}
