//! What git's history says of an environment: read when it is asked for, never waited for by serving.

use std::path::PathBuf;

use serde_json::Value;

use crate::ops::Workspace;

/// The way to git's history.
pub struct History {
    dir: PathBuf,
}

/// Why history cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the history cannot be read: {0}")]
pub struct NoHistory(String);

impl History {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The promotions of an environment, as `refguard log --format json` writes them. Takes a while: not
    /// for a thread that answers others.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn promotions(&self, environment: &str) -> Result<Value, NoHistory> {
        let log = Workspace::open(&self.dir).and_then(|workspace| workspace.log(environment, None));
        let log = log.map_err(|error| NoHistory(format!("{error:#}")))?;
        serde_json::to_value(log).map_err(|error| NoHistory(error.to_string()))
    }
}
