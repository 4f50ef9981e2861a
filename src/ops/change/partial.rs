//! A promotion of some policies: whole files taken over from the promoted commit, and nothing else
//! with them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use refguard_core::document::{Body, Document, suggest_name};
use refguard_core::policy::{raw_attachment_json, raw_policy_json};

use crate::ops::Workspace;
use crate::ops::source::load;
use crate::repo::{TreeId, TreeItem};

/// Which policies are promoted and removed; empty: all of the set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Policies taken over as the promoted commit has them.
    pub policies: Vec<String>,
    /// Policies that the promoted commit no longer has.
    pub removed: Vec<String>,
}

impl Selection {
    /// Whether the whole set is meant.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.removed.is_empty()
    }

    /// Every name, sorted, each once.
    pub fn names(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.policies.iter().chain(&self.removed).collect();
        names.into_iter().cloned().collect()
    }
}

/// The environment's tree with the files of the selected policies taken from the source.
pub(in crate::ops) fn tree(
    workspace: &Workspace,
    selection: &Selection,
    base: Option<TreeId>,
    source: TreeId,
) -> Result<TreeId> {
    let changes = select_changes(workspace, selection, base, source)?;
    Ok(workspace.repo()?.tree_with(
        base,
        changes.iter().map(|(path, item)| (path.as_str(), *item)),
    )?)
}

/// The id of that tree for policies of which it is not said which were promoted and which removed.
/// Nothing is written.
pub(in crate::ops) fn tree_id(
    workspace: &Workspace,
    names: &[String],
    base: Option<TreeId>,
    source: TreeId,
) -> Result<TreeId> {
    let documents = workspace.read_documents(source)?;
    let (policies, removed) = names
        .iter()
        .cloned()
        .partition(|name| find_document(&documents, name).is_some());
    let changes = select_changes(workspace, &Selection { policies, removed }, base, source)?;
    Ok(workspace.repo()?.tree_id_with(
        base,
        changes.iter().map(|(path, item)| (path.as_str(), *item)),
    )?)
}

/// What the selection comes to: paths, with what the source has there.
fn select_changes(
    workspace: &Workspace,
    selection: &Selection,
    base: Option<TreeId>,
    source: TreeId,
) -> Result<Vec<(String, Option<TreeItem>)>> {
    let repo = workspace.repo()?;
    let new = workspace.read_documents(source)?;
    let old = base
        .map(|base| workspace.read_documents(base))
        .transpose()?
        .unwrap_or_default();
    let mut paths: BTreeSet<String> = BTreeSet::new();
    for name in &selection.policies {
        let Some(document) = find_document(&new, name) else {
            if find_document(&old, name).is_some() {
                bail!(
                    "the promoted commit has no policy `{name}`; a removal is promoted with \
                     `--remove {name}`"
                );
            }
            bail!(
                "the promoted commit has no policy `{name}`{}",
                suggest_name(name, names_of(&new))
            );
        };
        paths.insert(path_of(document));
        paths.extend(find_document(&old, name).map(path_of));
    }
    for name in &selection.removed {
        if let Some(document) = find_document(&new, name) {
            bail!(
                "the promoted commit still has the policy `{name}`, in {}",
                document.file.path()
            );
        }
        let Some(document) = find_document(&old, name) else {
            let near = suggest_name(name, names_of(&old));
            bail!("the environment has no policy `{name}` to remove{near}")
        };
        paths.insert(path_of(document));
    }
    refuse_passengers(selection, &paths, &old, &new)?;
    let prefix = workspace.root().prefix();
    let full = |path: &str| {
        if prefix.is_empty() {
            path.to_owned()
        } else {
            format!("{prefix}/{path}")
        }
    };
    paths
        .iter()
        .map(|path| Ok((full(path), repo.item_at(source, &full(path))?)))
        .collect()
}

/// Other documents of the files that are taken over must be the same before and after.
fn refuse_passengers(
    selection: &Selection,
    paths: &BTreeSet<String>,
    old: &[Document],
    new: &[Document],
) -> Result<()> {
    let selected = |document: &Document| match &document.body {
        Body::Policy(raw) => selection
            .names()
            .iter()
            .any(|name| **name == *raw.name.as_str()),
        _ => false,
    };
    let others = |documents: &[Document]| -> Vec<(String, String)> {
        let in_files = documents
            .iter()
            .filter(|d| paths.contains(&**d.file.path()) && !selected(d));
        let mut found: Vec<_> = in_files.map(|d| (fingerprint(d), path_of(d))).collect();
        found.sort();
        found
    };
    let (before, after) = (others(old), others(new));
    let differs = |list: &[(String, String)], other: &[(String, String)]| {
        list.iter()
            .find(|(print, _)| !other.iter().any(|(p, _)| p == print))
            .map(|(_, path)| path.clone())
    };
    match differs(&after, &before).or_else(|| differs(&before, &after)) {
        None => Ok(()),
        Some(path) => bail!(
            "{path} holds other documents that differ too: promote the whole set, or keep each \
             policy in a file of its own"
        ),
    }
}

/// What a document says, whatever its place and comments.
pub(in crate::ops) fn fingerprint(document: &Document) -> String {
    match &document.body {
        Body::Policy(raw) => raw_policy_json(raw).to_string(),
        Body::Attachment(raw) => raw_attachment_json(raw).to_string(),
        _ => {
            let text = document.file.text();
            text.get(document.span.start as usize..document.span.end as usize)
                .unwrap_or("")
                .to_owned()
        }
    }
}

fn find_document<'d>(documents: &'d [Document], name: &str) -> Option<&'d Document> {
    documents
        .iter()
        .find(|document| matches!(&document.body, Body::Policy(raw) if raw.name.as_str() == name))
}

/// The names of the policies among some documents.
fn names_of(documents: &[Document]) -> impl Iterator<Item = &str> {
    documents
        .iter()
        .filter_map(|document| match &document.body {
            Body::Policy(raw) => Some(raw.name.as_str()),
            _ => None,
        })
}

fn path_of(document: &Document) -> String {
    document.file.path().to_string()
}

impl Workspace {
    /// The documents of a tree, sound or not as a set.
    fn read_documents(&self, tree: TreeId) -> Result<Vec<Document>> {
        let listing = self
            .repo()?
            .list_tree(tree, self.root().prefix(), &load::wanted)?;
        Ok(load::read(listing, &crate::ops::NoProgress)?.documents)
    }
}
