//! Policies that a request names: by name, or one version as `NAME@N`.

use anyhow::Result;

use super::Workspace;
use crate::resolve::Requested;

impl Workspace {
    /// What a request means by a name.
    ///
    /// # Errors
    /// Where history cannot be read.
    pub fn requested(&self, name: &str) -> Result<Requested> {
        // No policy's name holds an `@`.
        Ok(if name.contains('@') { Requested::Missing(name.to_owned()) } else { Requested::Named(name.to_owned()) })
    }
}
