//! What a hook asks of a staged tree beside whether it is sound: is there a set at all, and what
//! does a change to it warn of.

use std::sync::Arc;

use anyhow::Result;
use refguard_core::document::Finding;
use refguard_core::policy::{Levels, check_findings};
use rustc_hash::FxHashMap;

use crate::ops::source::filter::SETTINGS;
use crate::ops::source::load::{self, LIMITS, NoProgress};
use crate::repo::{EntryKind, Listing, Repo, Side};

/// A file's path and what stands there.
pub(super) type Sides = [(Arc<str>, Side)];

/// How every `apiVersion` of ours begins.
const API_GROUP: &[u8] = b"refguard/v";

/// Whether a tree holds a policy set: refguard.yaml, or a file that names our API. YAML of other
/// programs in `policies/` makes none.
pub(super) fn holds_set(repo: &Repo, sides: &Sides) -> Result<bool> {
    if sides.iter().any(|(path, _)| &**path == SETTINGS) {
        return Ok(true);
    }
    for (_, side) in sides
        .iter()
        .filter(|(_, side)| side.kind == EntryKind::File)
    {
        if let Some(blob) = side.blob
            && repo.blob_size(blob)? <= LIMITS.file_bytes as u64
            && repo
                .read_blob(blob)?
                .windows(API_GROUP.len())
                .any(|bytes| bytes == API_GROUP)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The warnings that the commit would bring, wherever they lie: a failed test may owe it to one.
pub(super) fn find_new_warnings(repo: &Repo, prefix: &str) -> Result<Vec<Finding>> {
    let committed = match repo.head_commit()? {
        Some(head) => read_warnings(repo.list_tree(repo.tree_of(head)?, prefix, &load::wanted)?)?,
        None => Vec::new(),
    };
    let mut known: FxHashMap<_, usize> = FxHashMap::default();
    for warning in &committed {
        *known.entry(warning.identity()).or_default() += 1;
    }

    let staged = read_warnings(repo.list_index(prefix, &load::wanted)?)?;
    let mut new = Vec::new();
    for warning in &staged {
        match known.get_mut(&warning.identity()) {
            Some(left @ 1..) => *left -= 1,
            _ => new.push(warning.clone()),
        }
    }
    Ok(new)
}

fn read_warnings(listing: Listing<'_>) -> Result<Vec<Finding>> {
    let loaded = load::read(listing, &NoProgress)?;
    let mut findings = check_findings(loaded, &Levels::default(), None).findings;
    findings.retain(|finding| !finding.is_error());
    Ok(findings)
}
