//! The policies of a LiteLLM database, with their versions, as the commits that would have made
//! them.
//!
//! Owns the order of the commits and what of them was in production; making them is the work of
//! others.

mod history;
mod rows;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::config::{ConfigReader, parse_document};
use super::model::AttachmentDoc;
use super::rules::{idle_attachment, mended_row, no_policies, two_productions};
use super::written::file_label;
use crate::document::{Finding, Node, SourceFile};
use crate::policy::Counts;
use rows::{State, Version};

/// A database as a history.
#[derive(Debug)]
pub struct DatabaseImport {
    /// The commits, oldest first. Empty where a finding is an error.
    pub commits: Vec<Commit>,
    /// The commit, as an index, whose tree is what was in production; `None`: nothing was.
    pub production: Option<usize>,
    /// Versions never published and newer than production; they become no commit.
    pub drafts: Vec<Draft>,
    /// Drafts that are older than what is in production, by policy and number: what came of them is
    /// known.
    pub older_drafts: Vec<(String, i64)>,
    /// Every finding, at its place in the saved answers.
    pub findings: Vec<Finding>,
    /// The saved answers, for renderers.
    pub sources: Vec<SourceFile>,
    /// What the last commit holds.
    pub counts: Counts,
}

/// One commit to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Who made the version: LiteLLM's id of a user.
    pub author: Option<String>,
    /// When.
    pub time: Option<Timestamp>,
    /// The whole message.
    pub message: String,
    /// Files to write, by path; `None`: to remove.
    pub files: Vec<(String, Option<String>)>,
}

/// A version that was never published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The policy.
    pub policy: String,
    /// LiteLLM's number of the version.
    pub version: i64,
    /// Where it would stand.
    pub path: String,
    /// The document.
    pub text: String,
    /// Who made it.
    pub author: Option<String>,
    /// When.
    pub time: Option<Timestamp>,
}

/// The versions of each policy, oldest first, and the attachments in LiteLLM's order.
#[derive(Debug, Default)]
struct Rows {
    policies: BTreeMap<String, Group>,
    attachments: Vec<AttachmentDoc>,
    broken: Vec<String>,
}

/// The versions of one policy.
#[derive(Debug, Default)]
struct Group {
    versions: Vec<Version>,
    /// The one in production, as an index.
    production: Option<usize>,
}

/// Turns the saved answers of `/policies/list` and `/policies/attachments/list`, each a name for
/// findings and a text, into commits: first every version up to those in production, then the
/// attachments to them, which gives the production set, then what was published beyond it.
pub fn import_database(policies: (&str, String), attachments: (&str, String)) -> DatabaseImport {
    let policies = SourceFile::new(file_label(policies.0), policies.1);
    let attachments = SourceFile::new(file_label(attachments.0), attachments.1);
    let mut findings = Vec::new();
    let mut rows = Rows::default();
    read_policies(&policies, &mut rows, &mut findings);
    if rows.policies.is_empty() && !findings.iter().any(Finding::is_error) {
        findings.push(no_policies::report_empty_answer(&policies));
    }
    read_attachments(&attachments, &mut rows, &mut findings);

    history::build_history(policies, attachments, rows, findings)
}

fn read_file<'a>(
    file: &'a SourceFile,
    findings: &'a mut Vec<Finding>,
    each: impl FnOnce(&mut ConfigReader<'a>, &Node),
) {
    let Some((root, faults)) = parse_document(file, findings) else {
        return;
    };

    findings.extend(faults);
    each(
        &mut ConfigReader {
            file,
            findings,
            errors: 0,
            is_json: true,
        },
        &root,
    );
}

fn read_policies(file: &SourceFile, rows: &mut Rows, findings: &mut Vec<Finding>) {
    read_file(file, findings, |reader, root| {
        for row in rows::list_rows(reader, root, "policies") {
            let before = reader.errors;
            match rows::read_version(reader, row) {
                Some(version) if reader.errors == before => {
                    rows.policies
                        .entry(version.doc.name.value.clone())
                        .or_default()
                        .versions
                        .push(version);
                }
                _ => rows.broken.extend(
                    row.get("policy_name")
                        .and_then(Node::text)
                        .map(str::to_owned),
                ),
            }
        }

        for group in rows.policies.values_mut() {
            group.settle_production(reader);
        }
    });
}

impl Group {
    /// Puts the versions in order and finds the one in production: what the config defines counts
    /// only without a row in production; of two such rows LiteLLM serves the one that its list has
    /// last.
    fn settle_production(&mut self, reader: &mut ConfigReader<'_>) {
        let in_production =
            |version: &&Version| version.state == State::Production && !version.from_config;
        let mut rows = self.versions.iter().filter(in_production);
        let (first, last) = (rows.next(), self.versions.iter().rfind(in_production));
        if let (Some(_), Some(second), Some(last)) = (first, rows.next(), last) {
            let said = two_productions::report_versions(
                reader.file,
                second.doc.name.span,
                &second.doc.name,
                last.number,
            );

            reader.push_finding(said);
        }

        let of_config = || self.versions.iter().find(|version| version.from_config);
        let served = last.or_else(of_config).map(|version| version.doc.name.span);
        self.versions
            .sort_by_key(|version| (!version.from_config, version.number, version.time));
        self.production =
            served.and_then(|span| self.versions.iter().position(|v| v.doc.name.span == span));
        self.settle_times(reader);
    }

    /// Gives a version without a time, or with one that is older than the version before it, the
    /// time of that one, and says so.
    fn settle_times(&mut self, reader: &mut ConfigReader<'_>) {
        let mut latest = None;

        for version in &mut self.versions {
            let name = &version.doc.name;
            let went_back = version.time.is_some() && version.time < latest;
            let said = match version.odd_time {
                None if went_back => Some((name.span, mended_row::OLDER)),
                None => None,
                Some(span) if latest.is_some() => Some((span, mended_row::TIMELESS)),
                Some(span) if version.state == State::Draft => {
                    Some((span, mended_row::TIMELESS_DRAFT))
                }
                Some(span) => Some((span, mended_row::TIMELESS_FIRST)),
            };
            if let Some((span, what)) = said {
                let said = mended_row::report_row(reader.file, span, name, version.number, what);
                reader.push_finding(said);
            }

            // A clock that went back does not put a version before an older one.
            latest = latest.max(version.time);
            version.time = latest;
        }
    }

    /// Whether a draft is newer than what is in production, or nothing is.
    fn is_ahead(&self, draft: &Version) -> bool {
        let served = self.production.and_then(|at| self.versions.get(at));
        served.is_none_or(|served| served.from_config || draft.number > served.number)
    }

    /// Whether any version was published.
    fn is_public(&self) -> bool {
        self.versions
            .iter()
            .any(|version| version.state != State::Draft)
    }
}

/// The config's attachments come first, then the database's, newest first: the order in which
/// LiteLLM has them after it has synchronised.
fn read_attachments(file: &SourceFile, rows: &mut Rows, findings: &mut Vec<Finding>) {
    read_file(file, findings, |reader, root| {
        let list = rows::list_rows(reader, root, "attachments");
        let (of_config, of_database): (Vec<&Node>, Vec<&Node>) =
            list.iter().partition(|row| rows::is_from_config(row));
        for row in of_config.into_iter().chain(of_database) {
            let Some(attachment) = rows::read_attachment_row(reader, row) else {
                continue;
            };
            let known = rows
                .policies
                .get(attachment.policy.as_str())
                .is_some_and(Group::is_public);
            if known || rows.broken.contains(&attachment.policy.value) {
                rows.attachments.push(attachment);
            } else {
                reader.push_finding(idle_attachment::report_attachment(
                    reader.file,
                    attachment.policy.span,
                    &attachment.policy,
                ));
            }
        }
    });
}

#[cfg(test)]
mod tests;
