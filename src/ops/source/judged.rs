//! One tree after another, judged: what two trees share is read, judged and built once.

use std::sync::Arc;

use anyhow::Result;
use refguard_core::document::Loaded;
use refguard_core::policy::{Checked, check_errors};
use refguard_core::resolve::Engine;

use crate::ops::source::load::Progress;
use crate::ops::{SetReader, Workspace};
use crate::repo::TreeId;

/// What a tree came to.
#[derive(Debug)]
pub enum Judged {
    /// A valid set.
    Sound(Arc<Engine>),
    /// None, and the errors that say why.
    Faulty(Box<Checked>),
}

impl Judged {
    /// The set, if it is one.
    pub fn sound(self) -> Option<Arc<Engine>> {
        match self {
            Self::Sound(engine) => Some(engine),
            Self::Faulty(_) => None,
        }
    }
}

impl From<Checked> for Judged {
    fn from(mut checked: Checked) -> Self {
        match checked.set.take() {
            Some(set) => Self::Sound(Arc::new(Engine::new(Arc::new(set)))),
            None => Self::Faulty(Box::new(checked)),
        }
    }
}

/// Judges trees by what differs from the one before, where that is enough.
#[derive(Default)]
pub struct TrackedSet {
    reader: SetReader,
    /// What answers for the tree that the reader holds.
    engine: Option<Arc<Engine>>,
}

impl std::fmt::Debug for TrackedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackedSet").field("tree", &self.reader.tree()).finish_non_exhaustive()
    }
}

impl TrackedSet {
    /// Reads and judges the set of a tree; of a tree like the last one, only what differs.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub fn judge_tree(
        &mut self,
        workspace: &Workspace,
        tree: TreeId,
        progress: &dyn Progress,
    ) -> Result<Judged> {
        let (repo, prefix) = (workspace.repo()?, workspace.root().prefix());
        let before = self.engine.take();
        let delta = self.reader.advance_to(repo, tree, prefix, progress)?;
        let patched =
            delta.zip(before).and_then(|(delta, before)| self.reader.patch(&delta, &before));
        let judged = match patched {
            Some(engine) => Judged::Sound(Arc::new(engine)),
            None => Judged::from(check_errors(self.reader.loaded())),
        };
        if let Judged::Sound(engine) = &judged {
            self.engine = Some(Arc::clone(engine));
        }
        Ok(judged)
    }

    /// As [`Self::judge_tree`], with all documents of the tree, for those who judge on.
    ///
    /// # Errors
    /// As there.
    pub(in crate::ops) fn judge_and_read(
        &mut self,
        workspace: &Workspace,
        tree: TreeId,
        progress: &dyn Progress,
    ) -> Result<(Judged, Loaded)> {
        let judged = self.judge_tree(workspace, tree, progress)?;
        Ok((judged, self.reader.loaded()))
    }
}
