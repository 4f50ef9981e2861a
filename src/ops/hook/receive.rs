//! `hook pre-receive` and `hook pre-push`: the same judgement, on the side that takes a push and on
//! the side that sends it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::push::{PushRefusal, PushViews, RefUpdate};
use crate::ops::Workspace;
use crate::repo::{CommitId, RefName};

/// Where the copies of a remote's branches are.
const REMOTES: &str = "refs/remotes/";

/// How a receiving repository is to be judged.
#[derive(Debug, Clone, Default)]
pub struct ReceiveOptions {
    /// The folder of the set in commits; `None`: their top.
    pub root: Option<String>,
    /// The e-mail address of who pushes, where the server knows it.
    pub pusher: Option<String>,
}

/// Everything that stands in the way of a push to this repository. Reads the objects of the push
/// where git keeps them in quarantine, and writes nothing.
///
/// # Errors
/// Where the repository cannot be read: then nothing may be let in.
pub fn judge_received(
    dir: &Path,
    updates: &[RefUpdate],
    options: ReceiveOptions,
) -> Result<Vec<PushRefusal>> {
    let views = PushViews::new(
        dir,
        options.root.as_deref(),
        BTreeMap::new(),
        updates,
        options.pusher,
    )?;
    views.judge(updates)
}

/// What a remote's hook would refuse, as far as can be told here: from the copies of its branches
/// that the last fetch left, and from what git says of the refs that move.
///
/// # Errors
/// Where the repository cannot be read, or lacks what the remote has.
pub fn judge_sent(dir: &Path, remote: &str, updates: &[RefUpdate]) -> Result<Vec<PushRefusal>> {
    let workspace = Workspace::open_in_hook(dir)?;
    let repo = workspace.repo()?;
    let mut known: BTreeMap<RefName, Option<CommitId>> = BTreeMap::new();
    for (environment, _) in workspace.environment_refs()? {
        known.insert(RefName::of_branch(&environment)?, None);
        known.insert(RefName::of_ledger(&environment)?, None);
    }
    let copies = format!("{REMOTES}{remote}/");
    for (name, commit) in repo.refs_below(&copies)? {
        if let Some(branch) = name.as_str().strip_prefix(&copies) {
            known.insert(RefName::of_branch(branch)?, Some(commit));
        }
    }
    for update in updates {
        known.insert(RefName::new(update.name.as_str())?, update.old);
    }
    PushViews::new(dir, Some(workspace.root().prefix()), known, updates, None)?.judge(updates)
}
