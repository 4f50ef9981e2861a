//! From versions to commits.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::rows::{State, Version};
use super::{Commit, DatabaseImport, Draft, Group, Rows};
use crate::document::{Finding, SourceFile};
use crate::interop::model::AttachmentDoc;
use crate::interop::slug::Slugs;
use crate::interop::write;
use crate::interop::written::{WrittenFiles, attachment_files, file_writer};
use crate::policy::Counts;

/// Commits being made, and the tree as it stands after the last of them.
struct History<'a> {
    policies: &'a SourceFile,
    attachments: &'a SourceFile,
    paths: BTreeMap<&'a str, String>,
    commits: Vec<Commit>,
    tree: WrittenFiles,
}

/// Every commit in order; each tree that matters is judged.
pub(super) fn build_history(
    policies: SourceFile,
    attachments: SourceFile,
    rows: Rows,
    mut findings: Vec<Finding>,
) -> DatabaseImport {
    let mut slugs = Slugs::default();
    let paths = rows.policies.keys().map(|name| {
        (
            name.as_str(),
            format!("policies/{}.yaml", slugs.next_slug(name)),
        )
    });
    let mut history = History {
        policies: &policies,
        attachments: &attachments,
        paths: paths.collect(),
        commits: Vec::new(),
        tree: WrittenFiles::new(&policies),
    };

    let mut counts = Counts::default();
    history.add_commit(
        None,
        None,
        "Begin a policy repository".to_owned(),
        history.tree.texts(),
    );
    let (served, beyond) = order_steps(&rows.policies);
    let mut production = None;
    if !served.is_empty() {
        served
            .iter()
            .for_each(|version| history.add_version(version));
        let in_production = |a: &&AttachmentDoc| {
            rows.policies
                .get(a.policy.as_str())
                .is_some_and(|g| g.production.is_some())
        };

        history.add_attachments(rows.attachments.iter().filter(in_production));
        production = history.commits.len().checked_sub(1);
        counts = history.judge_files(&rows.broken, &mut findings);
    }

    if !beyond.is_empty() || served.is_empty() {
        beyond
            .iter()
            .for_each(|version| history.add_version(version));
        history.add_attachments(&rows.attachments);
        counts = history.judge_files(&rows.broken, &mut findings);
    }

    let (mut drafts, mut older_drafts) = (Vec::new(), Vec::new());
    for group in rows.policies.values() {
        for version in group
            .versions
            .iter()
            .filter(|version| version.state == State::Draft)
        {
            match group.is_ahead(version) {
                true => drafts.push(history.make_draft(version)),
                false => older_drafts.push((version.doc.name.value.clone(), version.number)),
            }
        }
    }

    let mut commits = history.commits;
    findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    findings.dedup();
    if findings.iter().any(Finding::is_error) {
        (commits, drafts, production) = (Vec::new(), Vec::new(), None);
        older_drafts.clear();
    }

    DatabaseImport {
        commits,
        production,
        drafts,
        older_drafts,
        findings,
        sources: vec![policies, attachments],
        counts,
    }
}

/// Versions up to the ones in production, and the published ones beyond; each list by time.
fn order_steps(groups: &BTreeMap<String, Group>) -> (Vec<&Version>, Vec<&Version>) {
    let (mut served, mut beyond) = (Vec::new(), Vec::new());
    for group in groups.values() {
        for (index, version) in group
            .versions
            .iter()
            .enumerate()
            .filter(|(_, v)| v.state != State::Draft)
        {
            let list = if group.production.is_some_and(|last| index <= last) {
                &mut served
            } else {
                &mut beyond
            };

            list.push(version);
        }
    }

    // Stable: what has one time stays in the order of names and versions.
    served.sort_by_key(|version| version.time);
    beyond.sort_by_key(|version| version.time);

    (served, beyond)
}

impl History<'_> {
    fn add_commit(
        &mut self,
        author: Option<String>,
        time: Option<Timestamp>,
        message: String,
        files: Vec<(String, String)>,
    ) {
        let files = files
            .into_iter()
            .map(|(path, text)| (path, Some(text)))
            .collect();
        self.commits.push(Commit {
            author,
            time,
            message,
            files,
        });
    }

    fn path_of(&self, version: &Version) -> String {
        self.paths
            .get(version.doc.name.as_str())
            .cloned()
            .unwrap_or_default()
    }

    fn add_version(&mut self, version: &Version) {
        let (path, writer) = file_writer(
            &self.path_of(version),
            &write::policy_document(&version.doc),
        );
        let message = match version.from_config {
            true => format!("{}: as LiteLLM's config has it", &*version.doc.name),
            false => {
                format!(
                    "{}: version {} of LiteLLM's database",
                    &*version.doc.name, version.number
                )
            }
        };

        self.add_commit(
            version.author.clone(),
            version.time,
            message,
            vec![(path.clone(), writer.text.clone())],
        );
        self.tree.add_files(self.policies, [(path, writer)]);
    }

    /// The attachments as one commit. A later call has every attachment of an earlier one, so no
    /// file of the earlier one is left over.
    fn add_attachments<'d>(&mut self, attachments: impl IntoIterator<Item = &'d AttachmentDoc>) {
        let files = attachment_files(attachments);
        let texts: Vec<_> = files
            .iter()
            .map(|(path, writer)| (path.clone(), writer.text.clone()))
            .collect();
        let before = self.tree.texts();

        if texts.iter().any(|file| !before.contains(file)) {
            let latest = self.commits.iter().filter_map(|commit| commit.time).max();
            self.add_commit(
                None,
                latest,
                "Attach the policies as LiteLLM's database does".to_owned(),
                texts,
            );
            self.tree.add_files(self.attachments, files);
        }
    }

    fn make_draft(&self, version: &Version) -> Draft {
        let (path, writer) = file_writer(
            &self.path_of(version),
            &write::policy_document(&version.doc),
        );
        Draft {
            policy: version.doc.name.value.clone(),
            version: version.number,
            path,
            text: writer.text,
            author: version.author.clone(),
            time: version.time,
        }
    }

    /// Judges the tree as it stands. The findings so far go in, so that a fault of form is not
    /// followed by faults of the set.
    fn judge_files(&self, broken: &[String], findings: &mut Vec<Finding>) -> Counts {
        let checked = self
            .tree
            .judge_files(broken.to_vec(), std::mem::take(findings));
        *findings = checked.findings;
        checked.counts
    }
}
