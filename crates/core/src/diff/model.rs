//! What a diff and a comparison are, and their JSON: one shape for the command line and the daemon.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{FieldChange, Guardrails, Touches};
use crate::policy::Place;

/// What changed between two sets.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SetDiff {
    /// Policies.
    pub policies: PolicyDiff,
    /// Attachments.
    pub attachments: AttachmentDiff,
    /// What all of it together touches.
    pub touches: Touches,
}

/// Policies that changed. Each list is sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PolicyDiff {
    /// Only in HEAD.
    pub added: Vec<PolicyEntry>,
    /// Only in BASE.
    pub removed: Vec<PolicyEntry>,
    /// In both, with another document or other effective guardrails.
    pub changed: Vec<PolicyChange>,
}

/// A policy that came or went. In JSON: its name.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyEntry {
    /// Its name.
    pub name: Arc<str>,
    /// The guardrails that it gives for some model. Sorted.
    pub guardrails: Vec<Arc<str>>,
    /// Where it stands, or stood.
    pub place: Place,
}

impl Serialize for PolicyEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

/// A policy with another document or other effective guardrails.
///
/// A policy whose own document is unchanged is listed only if it gains or loses a guardrail through
/// its chain. A parent's condition can also decide *whether* a child applies where the child gives
/// nothing: that matters only to default attachments, and is not listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyChange {
    /// Its name.
    pub name: Arc<str>,
    /// The fields of its own document that differ.
    pub fields: Vec<FieldChange>,
    /// What its effective guardrails gain and lose.
    pub guardrails: Guardrails,
    /// Whether its own document differs.
    pub because: Because,
    /// The ancestors, of before and now, whose documents differ, that came or that went. Root
    /// first.
    pub via: Vec<Arc<str>>,
    /// Whether a request may be less protected: a guardrail is lost, or a pipeline may block less.
    pub may_lose: bool,
    /// What its attachments touch, in BASE or in HEAD.
    pub touches: Touches,
    /// Where it stands in HEAD.
    #[serde(flatten)]
    pub place: At,
}

/// What made a policy change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Because {
    /// Its own document; an ancestor may have changed too.
    Own,
    /// Only an ancestor.
    Inherited,
}

/// A place as the two fields `file` and `line`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct At {
    /// Path relative to the root.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
}

impl From<&Place> for At {
    fn from(place: &Place) -> Self {
        Self {
            file: place.file.clone(),
            line: place.line,
        }
    }
}

/// Attachments that changed. Each list is sorted by policy and targets.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AttachmentDiff {
    /// Only in HEAD.
    pub added: Vec<AttachmentEntry>,
    /// Only in BASE.
    pub removed: Vec<AttachmentEntry>,
    /// In both, with other fields.
    pub changed: Vec<AttachmentChange>,
}

/// An attachment and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttachmentEntry {
    /// Its fields, in canonical form.
    #[serde(flatten)]
    pub document: Map<String, Value>,
    /// Where it stands, or stood.
    #[serde(flatten)]
    pub place: At,
    /// What it touches; of one that changed: before or now.
    pub touches: Touches,
}

/// An attachment that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttachmentChange {
    /// As it is in HEAD.
    #[serde(flatten)]
    pub entry: AttachmentEntry,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// Whether a request that it matched may be matched no more, or only by default.
    pub may_lose: bool,
}

/// A diff with the names of its sides: the JSON object of `diff`, version 1.
#[derive(Debug, Clone, Serialize)]
pub struct DiffReport<'a> {
    version: u8,
    /// What was compared: a revision as it was asked for, or `worktree`, `staged`.
    pub base: &'a str,
    /// With what.
    pub head: &'a str,
    /// What changed.
    #[serde(flatten)]
    pub diff: &'a SetDiff,
}

/// Two versions of a policy, field by field: the JSON object of `compare`, version 1.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison<'a> {
    version: u8,
    /// The policy's name.
    pub policy: &'a str,
    /// One version.
    pub a: VersionName<'a>,
    /// The other.
    pub b: VersionName<'a>,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
}

/// Which version of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VersionName<'a> {
    /// Its number; a draft has none.
    pub number: Option<u64>,
    /// The commit it was read from; `None` of a work tree or index.
    pub commit: Option<&'a str>,
}

impl<'a> DiffReport<'a> {
    /// A diff between two named sides.
    pub fn new(base: &'a str, head: &'a str, diff: &'a SetDiff) -> Self {
        Self {
            version: 1,
            base,
            head,
            diff,
        }
    }
}

impl<'a> Comparison<'a> {
    /// The differences between two versions of a policy, found by
    /// [`compare_policies`](super::compare_policies).
    pub fn new(
        policy: &'a str,
        a: VersionName<'a>,
        b: VersionName<'a>,
        fields: Vec<FieldChange>,
    ) -> Self {
        Self {
            version: 1,
            policy,
            a,
            b,
            fields,
        }
    }
}

impl SetDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        let Self {
            policies: p,
            attachments: a,
            ..
        } = self;

        p.added.is_empty()
            && p.removed.is_empty()
            && p.changed.is_empty()
            && a.added.is_empty()
            && a.removed.is_empty()
            && a.changed.is_empty()
    }
}
