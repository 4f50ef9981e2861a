//! What speaks against an entry of the history that says it is a promotion: whoever can write a
//! branch can write a commit that looks like one.
//!
//! A server with the hook takes no such commit; in any other repository `log` and `status` say what
//! they see. Must not know how a promotion is made.

use anyhow::Result;
use refguard_core::document::Release;

use crate::ops::change::publish::subject_of;
use crate::ops::change::rollback::only_releases;
use crate::ops::source::load::NoProgress;
use crate::ops::{TrackedSet, Workspace};
use crate::repo::{HistoryEntry, Ledger, Promotion, Repo, TreeId};

/// So many promotions that the ledger does not record have their digests made anew.
const MOST_JUDGED: usize = 20;

/// What speaks against an entry, as far as its commit and the one that it names tell. `before` is
/// the tree of the entry that it follows.
pub(super) fn find_doubt(
    repo: &Repo,
    entry: &HistoryEntry<'_>,
    before: Option<TreeId>,
) -> Option<String> {
    let HistoryEntry::Promotion(Promotion { record, commit }) = entry else {
        return None;
    };
    if commit.summary() != subject_of(record, &commit.parents) {
        return Some("its subject is not that of such a promotion".to_owned());
    }
    let stays = record.hold.is_some() || only_releases(record, &commit.parents);
    if record.rollback.is_some() || !record.policies.is_empty() {
        return None;
    }
    if stays {
        let is_same = before.is_none_or(|before| before == commit.tree);
        return (!is_same)
            .then(|| "it says that the set stays, and its tree is another one".to_owned());
    }
    match repo.tree_of(record.source) {
        Ok(tree) if tree != commit.tree => {
            Some("its tree is not that of the commit that it names".to_owned())
        }
        Ok(_) => None,
        Err(_) => Some("the commit that it names cannot be read".to_owned()),
    }
}

impl Workspace {
    /// What speaks against the newest promotions, down to the one that the ledger records: who
    /// moves a branch by hand leaves the ledger behind. One that is a single step ahead and is what
    /// it says may be a promotion that a crash cut off.
    pub(super) fn find_unrecorded(&self, ledger: &Ledger) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let Some(recorded) = ledger.recorded else {
            return Ok(found);
        };
        let newer: Vec<&Promotion> = ledger
            .promotions
            .iter()
            .take_while(|it| it.commit.id != recorded)
            .collect();
        if newer.len() == ledger.promotions.len() {
            return Ok(found);
        }

        let mut sets = TrackedSet::default();
        for (index, promotion) in newer.iter().enumerate() {
            let Promotion { record, commit } = promotion;
            let digest = match index < MOST_JUDGED {
                true => {
                    let judged = sets.judge_tree(self, commit.tree, Release::FIRST, &NoProgress)?;
                    judged.sound().map(|engine| engine.set().digest.to_string())
                }
                false => Some(record.digest.clone()),
            };
            let doubt = match digest {
                Some(digest) if digest == record.digest && newer.len() == 1 => continue,
                Some(digest) if digest == record.digest => "the ledger does not record it",
                Some(_) => "its digest is not that of its set, and the ledger does not record it",
                None => "its set is not valid, and the ledger does not record it",
            };
            found.push((commit.id.to_string(), doubt.to_owned()));
        }
        Ok(found)
    }
}
