//! A policy repository as files in memory, each line with the place that it comes from.

use std::collections::BTreeMap;

use super::model::{AttachmentDoc, PolicyDoc};
use super::slug::Slugs;
use super::write;
use super::yaml::{Tree, Writer};
use crate::document::rules::wrong_type;
use crate::document::{
    Finding, Kind, Limits, Loaded, Location, Lost, Release, SourceFile, Span, load_file,
};
use crate::policy::{Checked, Levels, check_documents};

/// Attachments a file, at most.
const ATTACHMENTS_PER_FILE: usize = 500;

/// A file of attachments longer than this is closed, well below the limit of a file.
const CLOSE_AT_BYTES: usize = 512 << 10;

/// The files, each line with the place in a source that it comes from.
pub(super) struct WrittenFiles {
    files: BTreeMap<String, (Writer, SourceFile)>,
}

impl WrittenFiles {
    /// A repository with its settings alone.
    pub(super) fn new(source: &SourceFile) -> Self {
        let mut written = Self {
            files: BTreeMap::new(),
        };

        written.add_files(
            source,
            [file_writer("refguard.yaml", &write::repository_document())],
        );
        written
    }

    /// Adds files whose lines come from `source`; a file of the same path is replaced.
    pub(super) fn add_files(
        &mut self,
        source: &SourceFile,
        files: impl IntoIterator<Item = (String, Writer)>,
    ) {
        self.files.extend(
            files
                .into_iter()
                .map(|(path, writer)| (path, (writer, source.clone()))),
        );
    }

    /// Paths and texts.
    pub(super) fn texts(&self) -> Vec<(String, String)> {
        self.files
            .iter()
            .map(|(path, (writer, _))| (path.clone(), writer.text.clone()))
            .collect()
    }

    /// Judges the files as a tree, beside what has been found already. Findings are at their places
    /// in the sources; without a set there is an error among them.
    pub(super) fn judge_files(
        &self,
        broken_policies: Vec<String>,
        findings: Vec<Finding>,
    ) -> Checked {
        let lost_policy = |name| Lost {
            kind: Some(Kind::Policy),
            name: Some(name),
            since: Release::FIRST,
        };

        let mut lost: Vec<Lost> = broken_policies.into_iter().map(lost_policy).collect();
        // What is at fault was not written: rules that speak of what is not there keep silent.
        if findings.iter().any(Finding::is_error) {
            lost.push(Lost {
                kind: Some(Kind::PolicyAttachment),
                ..Lost::default()
            });
        }

        let mut loaded = Loaded {
            findings,
            lost,
            ..Loaded::default()
        };

        for (path, (writer, _)) in &self.files {
            loaded.append_loaded(load_file(
                path.as_str(),
                writer.text.clone().into_bytes(),
                &Limits::DEFAULT,
            ));
        }

        let mut checked = check_documents(loaded, &Levels::default());
        let findings = &mut checked.findings;
        findings
            .iter_mut()
            .for_each(|finding| self.trace_finding(finding));
        findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        findings.dedup();
        if checked.set.is_none()
            && !findings.iter().any(Finding::is_error)
            && let Some((_, source)) = self.files.values().next()
        {
            findings.push(wrong_type::report_type(
                source,
                Span::default(),
                "",
                "a sound set",
                "none (a bug of refguard)",
            ));
        }

        checked
    }

    /// Moves a finding from a written file to where its line comes from.
    fn trace_finding(&self, finding: &mut Finding) {
        finding.location = self.origin_of(&finding.location);
        for related in &mut finding.related {
            related.location = self.origin_of(&related.location);
        }
    }

    fn origin_of(&self, location: &Location) -> Location {
        let Some((writer, source)) = self.files.get(&*location.file) else {
            return location.clone();
        };
        let line = (location.line as usize).saturating_sub(1);
        source.locate_span(writer.origins.get(line).copied().unwrap_or_default())
    }
}

/// What findings call a source: never as one of the files to be written.
pub(super) fn file_label(path: &str) -> String {
    let taken = ["policies/", "attachments/", "catalog.yaml", "refguard.yaml"];
    if taken.iter().any(|name| path.starts_with(name)) {
        format!("./{path}")
    } else {
        path.to_owned()
    }
}

/// One file of one document.
pub(super) fn file_writer(path: &str, tree: &Tree) -> (String, Writer) {
    let mut writer = Writer::default();
    writer.write_document(tree);
    (path.to_owned(), writer)
}

/// One file a policy.
pub(super) fn policy_files(policies: &[PolicyDoc]) -> Vec<(String, Writer)> {
    let mut slugs = Slugs::default();
    let of = |policy: &PolicyDoc| {
        file_writer(
            &format!("policies/{}.yaml", slugs.next_slug(&policy.name)),
            &write::policy_document(policy),
        )
    };

    policies.iter().map(of).collect()
}

/// Numbered so that the order of paths is the order of the list.
pub(super) fn attachment_files<'a>(
    attachments: impl IntoIterator<Item = &'a AttachmentDoc>,
) -> Vec<(String, Writer)> {
    let mut writers: Vec<(usize, Writer)> = Vec::new();
    for attachment in attachments {
        let tree = write::attachment_document(attachment);
        match writers.last_mut() {
            Some((count, writer))
                if *count < ATTACHMENTS_PER_FILE && writer.text.len() < CLOSE_AT_BYTES =>
            {
                writer.write_document(&tree);
                *count += 1;
            }
            _ => {
                let mut writer = Writer::default();
                writer.write_document(&tree);
                writers.push((1, writer));
            }
        }
    }

    let width = writers.len().to_string().len().max(4);
    let numbered = (1..).zip(writers);
    numbered
        .map(|(n, (_, writer)): (usize, _)| (format!("attachments/{n:0width$}.yaml"), writer))
        .collect()
}
