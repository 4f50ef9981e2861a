//! What judging a tree comes to.

use std::sync::Arc;

use anyhow::Result;
use refguard_core::document::{Finding, Loaded, Release};
use refguard_core::policy::{Checked, check_errors};
use refguard_core::resolve::Engine;

use crate::ops::source::load::{self, NoProgress};
use crate::repo::{Record, Repo, TreeId};

/// What a tree came to.
#[derive(Debug)]
pub enum Judged {
    /// A valid set.
    Sound(Arc<Engine>),
    /// A set that is valid by the rules of the release that was asked for, and what those of now
    /// say against it.
    Outdated(Arc<Engine>, Vec<Finding>),
    /// None, and the errors that say why.
    Faulty(Box<Checked>),
}

impl Judged {
    /// The set, if it is one.
    pub fn sound(self) -> Option<Arc<Engine>> {
        match self {
            Self::Sound(engine) | Self::Outdated(engine, _) => Some(engine),
            Self::Faulty(_) => None,
        }
    }
}

/// What judging a tree without any document comes to: that is most often another folder than was
/// meant.
pub fn judge_nothing() -> Box<Checked> {
    let findings = load::empty_set(&Loaded::default()).into_iter().collect();
    Box::new(check_errors(
        Loaded {
            findings,
            ..Loaded::default()
        },
        Release::CURRENT,
    ))
}

impl From<Checked> for Judged {
    fn from(mut checked: Checked) -> Self {
        match checked
            .set
            .take()
            .map(|set| Arc::new(Engine::new(Arc::new(set))))
        {
            Some(engine) => match checked.lowered_findings() {
                newer if newer.is_empty() => Self::Sound(engine),
                newer => Self::Outdated(engine, newer),
            },
            None => Self::Faulty(Box::new(checked)),
        }
    }
}

/// The release whose rules a promotion kept when it was made.
pub(crate) fn release_of(record: &Record) -> Release {
    match &record.version {
        None => Release::FIRST,
        // What names no release is judged by all rules.
        Some(version) => Release::parse(version).unwrap_or(Release::CURRENT),
    }
}

/// Reads and judges the set of another root of a tree, which stood before.
pub(in crate::ops) fn judge_tree_at(repo: &Repo, tree: TreeId, root: &str) -> Result<Judged> {
    let listing = repo.list_tree(tree, root, &load::wanted)?;
    Ok(check_errors(load::read(listing, &NoProgress)?, Release::FIRST).into())
}
