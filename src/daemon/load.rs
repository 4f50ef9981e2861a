//! From documents to a set that may be served, or the reason why not.

use std::io;

use anyhow::{Error, Result};
use jiff::Timestamp;
use refguard_core::document::{Finding, Loaded, Release};
use refguard_core::policy::{PolicySet, check_errors};

use super::status::{Outdated, Rejected};
use crate::output;
use crate::repo::{CommitId, RepoError};

/// Findings of a rejected set that are kept.
const MAX_FINDINGS: usize = 100;

/// What loading a value came to.
pub(super) enum Outcome<T> {
    /// A set to serve, and what the rules of now say against it, where only older ones take it.
    Good(T, Vec<Finding>),
    /// The content is at fault: it will not get better by itself.
    Rejected(String, Vec<Finding>),
    /// Something else is: it may.
    Failed(String),
}

impl<T> Outcome<T> {
    pub fn map_value<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Good(set, newer) => Outcome::Good(change(set), newer),
            Self::Rejected(message, findings) => Outcome::Rejected(message, findings),
            Self::Failed(message) => Outcome::Failed(message),
        }
    }
}

/// Judges what was read by the rules of a release.
pub(super) fn judge_load(loaded: Result<Loaded>, as_of: Release) -> Outcome<PolicySet> {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) if is_passing(&error) => return Outcome::Failed(format!("{error:#}")),
        Err(error) => return Outcome::Rejected(format!("{error:#}"), Vec::new()),
    };

    let mut checked = check_errors(loaded, as_of);
    match checked.set.take() {
        Some(set) if set.is_empty() => {
            let missing = if set.policies.is_empty() {
                "policy"
            } else {
                "attachment"
            };
            Outcome::Rejected(format!("the set is empty: it has no {missing}"), Vec::new())
        }
        Some(set) => Outcome::Good(set, checked.lowered_findings()),
        None => {
            checked.findings.retain(Finding::is_error);
            let more = match checked.findings.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            let first = checked
                .findings
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            Outcome::Rejected(format!("{first}{more}"), checked.findings)
        }
    }
}

/// Whether an error may pass by itself: an object that comes later, a lock, memory, descriptors.
fn is_passing(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some()
            || cause.downcast_ref::<RepoError>().is_some_and(|error| {
                !matches!(
                    error,
                    RepoError::TooManyEntries { .. }
                        | RepoError::TwoEntries { .. }
                        | RepoError::NotUtf8 { .. }
                )
            })
    })
}

/// What the rules of now say against a set that is served, as status shows it.
pub(super) fn warn_outdated(newer: &[Finding]) -> Option<Outdated> {
    let findings = newer
        .iter()
        .take(MAX_FINDINGS)
        .map(output::finding_json)
        .collect();
    (!newer.is_empty()).then_some(Outdated {
        findings,
        errors: newer.len(),
    })
}

/// A rejection as status shows it.
pub(super) fn reject_set(
    commit: Option<CommitId>,
    message: String,
    findings: &[Finding],
) -> Rejected {
    Rejected {
        commit: commit.map(|commit| commit.to_string()),
        at: Timestamp::now(),
        message,
        findings: findings
            .iter()
            .take(MAX_FINDINGS)
            .map(output::finding_json)
            .collect(),
        errors: findings.len(),
    }
}
