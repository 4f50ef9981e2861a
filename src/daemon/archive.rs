//! How environments stand beside what is published, and their sets as they once were, for people who ask.
//!
//! Everything here reads git: it is for threads that answer nobody else. What was read of old sets is kept, a few of
//! them, since one question about an old set is followed by others.

use super::history::{History, NoHistory};
use crate::ops::{EnvironmentStatus, LogEntry, LogPage, Workspace};

/// Entries of an environment's history that are looked through for what is served.
const RECENT: usize = 8;

/// An environment as its repository has it.
#[derive(Debug)]
pub struct Standing {
    /// Beside the publish branch.
    pub environment: EnvironmentStatus,
    /// Its newest promotions, and what else moved it.
    pub recent: Vec<LogEntry>,
}

impl History {
    /// How an environment stands.
    ///
    /// # Errors
    /// Where git cannot be read.
    pub fn standing(&self, environment: &str) -> Result<Standing, NoHistory> {
        let workspace = self.workspace()?;
        let page = self.promotion_page(environment, None, RECENT)?;
        let environment = workspace.environment_standing(environment)?;
        Ok(Standing { environment, recent: page.log.promotions })
    }

    /// A page of an environment's promotions.
    ///
    /// # Errors
    /// Where git cannot be read, or no longer has the cursor of that page.
    pub fn promotion_page(
        &self,
        environment: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<LogPage, NoHistory> {
        let workspace = self.workspace()?;
        let known = self.known_ledger(environment);
        let (ledger, page) = workspace.log_page(environment, known, cursor, limit)?;
        self.remember_ledger(environment, ledger);
        page.ok_or(NoHistory::Changed)
    }

    fn workspace(&self) -> Result<Workspace, NoHistory> {
        Ok(Workspace::open(self.dir())?)
    }
}
