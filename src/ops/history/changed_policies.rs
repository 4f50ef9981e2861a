//! Which policies each entry of a history changed, by their documents or attachments.
//!
//! What two trees differ in stays true for ever, so it is kept in the git directory: a second `log`
//! reads no content. Must not know what an entry is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::Result;
use rayon::prelude::*;
use refguard_core::document::{Body, Limits, is_yaml_name, load_file};
use refguard_core::policy::{raw_attachment_json, raw_policy_json};
use serde::{Deserialize, Serialize};

use crate::ops::source::kept_file::KeptFile;
use crate::ops::source::load;
use crate::ops::{Keep, Workspace};
use crate::repo::{BlobId, Change, Repo, TreeId};

/// Pairs of trees that are compared by one thread.
const BATCH: usize = 256;

const FILE: KeptFile = KeptFile {
    name: "changes",
    format: 1,
    most_bytes: 64 << 20,
};

/// A tree, and the one before it where there is one.
type Pair = (Option<TreeId>, TreeId);

/// For each of the first `count` trees the policies that it has otherwise than the next one, which
/// is older; of the last tree, all of them.
///
/// # Errors
/// Where git cannot be read.
pub(super) fn policies_by_entry(
    workspace: &Workspace,
    trees: &[TreeId],
    count: usize,
) -> Result<Vec<Vec<String>>> {
    let before = trees.iter().skip(1).copied().map(Some).chain([None]);
    let pairs: Vec<Pair> = before.zip(trees.iter().copied()).take(count).collect();
    let (repo, prefix) = (workspace.repo()?, workspace.root().prefix());
    let mut kept: KeptChanges = FILE.read(repo, prefix).unwrap_or_default();
    let unknown: BTreeSet<Pair> = pairs
        .iter()
        .filter(|pair| kept.find(**pair).is_none())
        .copied()
        .collect();
    let unknown: Vec<Pair> = unknown.into_iter().collect();

    // A repository is read by one thread, so each batch gets one of its own.
    let mut batches = Vec::new();
    for batch in unknown.chunks(BATCH) {
        batches.push((repo.reopen()?, batch));
    }
    let compare = |(repo, batch): (Repo, &[Pair])| compare_batch(&repo, prefix, batch);
    let found: Vec<_> = batches
        .into_par_iter()
        .map(compare)
        .collect::<Result<_>>()?;
    for (pair, policies) in unknown.iter().zip(found.into_iter().flatten()) {
        kept.add(*pair, policies);
    }
    if !unknown.is_empty() && workspace.keep() == Keep::InGitDir {
        FILE.write(repo, prefix, &kept);
    }
    Ok(pairs
        .iter()
        .map(|pair| kept.find(*pair).unwrap_or_default().to_vec())
        .collect())
}

/// The names that were found for pairs of trees before.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct KeptChanges(BTreeMap<KeptPair, Vec<String>>);

/// A [`Pair`] as it is kept.
type KeptPair = (Option<[u8; 20]>, [u8; 20]);

impl KeptChanges {
    /// The names of a pair, if they are known. Between equal trees nothing differs.
    fn find(&self, (before, tree): Pair) -> Option<&[String]> {
        if before == Some(tree) {
            return Some(&[]);
        }
        self.0
            .get(&(before.map(TreeId::to_bytes), tree.to_bytes()))
            .map(Vec::as_slice)
    }

    fn add(&mut self, (before, tree): Pair, policies: BTreeSet<String>) {
        let pair = (before.map(TreeId::to_bytes), tree.to_bytes());
        self.0.insert(pair, policies.into_iter().collect());
    }
}

fn compare_batch(repo: &Repo, prefix: &str, pairs: &[Pair]) -> Result<Vec<BTreeSet<String>>> {
    let mut known = HashMap::new();
    let compare =
        |(before, tree): &Pair| changed_policies(repo, prefix, *before, *tree, &mut known);
    pairs.iter().map(compare).collect()
}

/// What files say of policies, by their content: a policy's name and a canonical text.
type Sayings = HashMap<(Arc<str>, BlobId), Arc<[(String, String)]>>;

/// The policies whose documents or attachments differ between two trees. Only files that changed
/// are read, each content once.
fn changed_policies(
    repo: &Repo,
    prefix: &str,
    old: Option<TreeId>,
    new: TreeId,
    known: &mut Sayings,
) -> Result<BTreeSet<String>> {
    let changes = repo.diff_trees(old, Some(new), prefix, &load::wanted)?;
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for Change { path, old, new } in &changes {
        for (side, said) in [(old, &mut before), (new, &mut after)] {
            let blob = side
                .as_ref()
                .and_then(|side| side.blob)
                .filter(|_| is_yaml_name(path));
            if let Some(blob) = blob {
                said.extend(read_sayings(repo, path, blob, known)?.iter().cloned());
            }
        }
    }
    Ok(before
        .symmetric_difference(&after)
        .map(|(policy, _)| policy.clone())
        .collect())
}

fn read_sayings(
    repo: &Repo,
    path: &Arc<str>,
    blob: BlobId,
    known: &mut Sayings,
) -> Result<Arc<[(String, String)]>> {
    if let Some(said) = known.get(&(path.clone(), blob)) {
        return Ok(said.clone());
    }
    let loaded = load_file(path.clone(), repo.read_blob(blob)?, &Limits::DEFAULT);
    let said = loaded
        .documents
        .iter()
        .filter_map(|document| match &document.body {
            Body::Policy(raw) => Some((
                raw.name.as_str().to_owned(),
                raw_policy_json(raw).to_string(),
            )),
            Body::Attachment(raw) => Some((
                raw.policy.value.clone(),
                raw_attachment_json(raw).to_string(),
            )),
            _ => None,
        });
    let said: Arc<[(String, String)]> = said.collect();
    known.insert((path.clone(), blob), said.clone());
    Ok(said)
}
