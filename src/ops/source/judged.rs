//! What judging a tree comes to.

use std::sync::Arc;

use anyhow::Result;
use refguard_core::policy::{Checked, check_errors};
use refguard_core::resolve::Engine;

use crate::ops::source::load::{self, NoProgress};
use crate::repo::{Repo, TreeId};

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

/// Reads and judges the set of another root of a tree.
pub(in crate::ops) fn judge_tree_at(repo: &Repo, tree: TreeId, root: &str) -> Result<Judged> {
    let listing = repo.list_tree(tree, root, &load::wanted)?;
    Ok(check_errors(load::read(listing, &NoProgress)?).into())
}
