//! `draft`: the document of a version back in the work tree, as it was written.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use refguard_core::document::{Body, Document, Loaded, load_file};
use refguard_core::interop::slug_of;
use refguard_core::policy::raw_policy_digest;
use serde::Serialize;

use crate::ops::history::address::{Address, Which};
use crate::ops::history::versions::Version;
use crate::ops::source::load::{self, LIMITS, NoProgress, Progress};
use crate::ops::{PolicyDocument, VersionHistory};

/// A draft that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// Version of this format.
    pub version: u32,
    /// The policy's name.
    pub policy: String,
    /// The version it was taken from.
    pub number: u64,
    /// The commit of that version.
    pub commit: String,
    /// The file, relative to the root.
    pub file: String,
    /// Whether the file was another before.
    pub changed: bool,
}

impl VersionHistory<'_> {
    /// Writes the document of a version into the work tree: in place of the one that stands there,
    /// or into a file of its own. Without `from`: of the newest version that has a document.
    ///
    /// # Errors
    /// Where there is no such version; where the file has changes that no commit holds, unless
    /// `force`.
    pub fn draft(
        &mut self,
        policy: &str,
        from: Option<Which<'_>>,
        force: bool,
        progress: &dyn Progress,
    ) -> Result<Draft> {
        let version = self.draft_source(policy, from, progress)?;
        let Some(document) = &version.document else {
            bail!(
                "version {} of `{policy}` has no document: the policy was removed there",
                version.number
            );
        };
        let source = self.version_document(policy, document)?;
        let text = own_text(&source.document);
        let (path, old, new) = match self.draft_of(policy)? {
            Some(draft) => {
                let file = &draft.document.file;
                (
                    file.path().to_string(),
                    file.text().to_owned(),
                    splice_text(&draft.document, text),
                )
            }
            None => (self.free_path(policy)?, String::new(), text.to_owned()),
        };
        let changed = old != new;
        if changed {
            self.check_draft(&path, policy, &document.digest, (&old, &new))?;
            self.overwrite_document(&path, &new, force)?;
        }
        let commit = version.commit.to_string();
        Ok(Draft {
            version: 1,
            policy: policy.to_owned(),
            number: version.number,
            commit,
            file: path,
            changed,
        })
    }

    /// The document of a policy in the work tree.
    ///
    /// # Errors
    /// Where it stands in two places, or where a fault may hide it.
    pub fn draft_of(&mut self, policy: &str) -> Result<Option<PolicyDocument>> {
        let Loaded {
            documents,
            findings,
            lost,
            ..
        } = load::read(
            self.workspace().root().list_work_tree(&load::wanted)?,
            &NoProgress,
        )?;
        let mut found = PolicyDocument::among(documents, policy);
        let (first, second) = (found.next(), found.next());
        if let (Some(first), Some(second)) = (&first, &second) {
            let (a, b) = (first.document.file.path(), second.document.file.path());
            bail!("`{policy}` stands in two places: `{a}` and `{b}`");
        }
        if first.is_none() {
            if lost.iter().any(|lost| lost.name.as_deref() == Some(policy)) {
                bail!(
                    "the document of `{policy}` in the work tree cannot be read: see `refguard \
                     validate`"
                );
            }
            for finding in findings.iter().filter(|finding| finding.is_error()) {
                if self.was_held_by(policy, &finding.location.file) {
                    bail!("`{policy}` may stand in a file that cannot be read: {finding}");
                }
            }
        }
        Ok(first)
    }

    /// Whether history saw a policy in this file last.
    fn was_held_by(&mut self, policy: &str, path: &str) -> bool {
        let newest = self
            .index(&NoProgress)
            .ok()
            .and_then(|index| index.versions(policy).pop());
        newest
            .and_then(|version| version.document)
            .is_some_and(|document| document.path == path)
    }

    fn draft_source(
        &mut self,
        policy: &str,
        from: Option<Which<'_>>,
        progress: &dyn Progress,
    ) -> Result<Version> {
        if from.is_some() {
            return self.require_version(
                Address {
                    policy,
                    which: from,
                },
                progress,
            );
        }
        let newest = self
            .versions_of(policy, progress)?
            .into_iter()
            .rev()
            .find(|version| version.document.is_some());
        newest.with_context(|| format!("no version of `{policy}` has a document"))
    }

    /// A file of its own for a policy that stands in none.
    fn free_path(&self, policy: &str) -> Result<String> {
        let (root, base) = (self.workspace().root().dir()?, slug_of(policy));
        let names =
            std::iter::once(base.clone()).chain((2..1000).map(|number| format!("{base}-{number}")));
        let mut paths = names.map(|name| format!("policies/{name}.yaml"));
        let free = paths.find(|path| root.join(path).symlink_metadata().is_err());
        free.with_context(|| format!("every file name for `{policy}` is taken"))
    }

    /// The file with the draft in it must say what it said before, and the draft; anything else is
    /// a fault of ours, and nothing is written.
    fn check_draft(
        &self,
        path: &str,
        policy: &str,
        digest: &str,
        (old, new): (&str, &str),
    ) -> Result<()> {
        let others = |loaded: &Loaded| -> Vec<String> {
            let is_draft = |document: &&Document| matches!(&document.body, Body::Policy(raw) if raw.name.as_str() == policy);
            loaded
                .documents
                .iter()
                .filter(|d| !is_draft(d))
                .map(|document| own_text(document).to_owned())
                .collect()
        };
        let (before, after) = (
            load_file(path, old.into(), &LIMITS),
            load_file(path, new.into(), &LIMITS),
        );
        let drafted = after.documents.iter().any(|document| match &document.body {
            Body::Policy(raw) => raw.name.as_str() == policy && *raw_policy_digest(raw) == *digest,
            _ => false,
        });
        if drafted && others(&before) == others(&after) {
            return Ok(());
        }
        bail!(
            "the document cannot be put into `{path}` without changing what else stands there: \
             edit it by hand"
        )
    }

    fn overwrite_document(&self, path: &str, text: &str, force: bool) -> Result<()> {
        let prefix = self.workspace().root().prefix();
        let in_git = if prefix.is_empty() {
            path.to_owned()
        } else {
            format!("{prefix}/{path}")
        };
        let place = self.workspace().root().dir()?.join(path);
        if !force && place.exists() && self.workspace().repo()?.has_uncommitted(&in_git)? {
            bail!(
                "`{path}` has changes that are not committed: commit or stash them, or overwrite \
                 them with --force"
            );
        }
        write_document(&place, text).with_context(|| format!("cannot write `{path}`"))
    }
}

fn write_document(place: &Path, text: &str) -> Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(place, text)?)
}

/// The text of a document between its markers, comments before and after it included.
fn own_text(document: &Document) -> &str {
    document
        .file
        .text()
        .get(document_region(document))
        .unwrap_or("")
}

/// Where a document's own text begins and ends: a line that begins with `---` or `...` is a marker,
/// whatever it stands in.
fn document_region(document: &Document) -> Range<usize> {
    let text = document.file.text();
    let (first, last) = (document.span.start as usize, document.span.end as usize);
    let mut start = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let after = at + line.len();
        if is_marker(line) {
            if at >= last {
                return start..at;
            }
            // What stands behind the marker belongs to the document.
            start = if after <= first { after } else { at + 3 };
        }
        at = after;
    }
    start..text.len()
}

fn is_marker(line: &str) -> bool {
    let rest = line
        .strip_prefix("---")
        .or_else(|| line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// A file with another text in the place of one of its documents.
fn splice_text(document: &Document, text: &str) -> String {
    let (whole, region) = (document.file.text(), document_region(document));
    let before = whole.get(..region.start).unwrap_or("");
    let after = whole.get(region.end..).unwrap_or("");
    let gap = if after.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{before}{text}{gap}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str) -> Vec<String> {
        let loaded = load_file("p.yaml", file.into(), &LIMITS);
        loaded
            .documents
            .iter()
            .map(|document| own_text(document).to_owned())
            .collect()
    }

    fn policy(name: &str) -> String {
        format!("apiVersion: refguard/v1\nkind: Policy\nname: {name}\n")
    }

    #[test]
    fn a_document_is_what_stands_between_its_markers() {
        let (a, b) = (policy("a"), policy("b"));
        assert_eq!(texts(&a), std::slice::from_ref(&a));
        assert_eq!(texts(&format!("---\n{a}")), std::slice::from_ref(&a));
        assert_eq!(
            texts(&format!("# of a\n{a}# after a\n---\n# of b\n{b}...\n")),
            [format!("# of a\n{a}# after a\n"), format!("# of b\n{b}")]
        );
        assert_eq!(
            texts(&format!("\u{feff}{a}---\r\n{b}")),
            [a.clone(), b.clone()]
        );
        let flow = "{apiVersion: refguard/v1, kind: Policy, name: a}";
        assert_eq!(
            texts(&format!("--- {flow}\n---\n{b}")),
            [format!(" {flow}\n"), b.clone()]
        );
        let block = "description: |\n  ---\n  not a marker\n";
        assert_eq!(
            texts(&format!("{a}{block}---\n{b}")),
            [format!("{a}{block}"), b]
        );
    }

    #[test]
    fn a_text_takes_the_place_of_one_document_only() {
        let (a, b, c) = (policy("a"), policy("b"), policy("c"));
        let file = format!("# head\n{a}---\n{b}---\n{c}");
        let loaded = load_file("p.yaml", file.into(), &LIMITS);
        let put = |index: usize, text: &str| splice_text(&loaded.documents[index], text);
        assert_eq!(
            put(1, "new: 1"),
            format!("# head\n{a}---\nnew: 1\n---\n{c}")
        );
        assert_eq!(put(2, "new: 1"), format!("# head\n{a}---\n{b}---\nnew: 1"));
        assert_eq!(put(0, "new: 1\n"), format!("new: 1\n---\n{b}---\n{c}"));
    }
}
