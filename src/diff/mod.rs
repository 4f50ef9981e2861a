//! Two policy sets → what changed by meaning.
//!
//! A pure function of two [`PolicySet`]s. Must not know git, YAML or HTTP. Files, places, comments, the
//! order of documents and of what has no order leave no trace: what says the same is no change, wherever
//! it stands. Digests are compared first, so that only what differs costs time.
//!
//! What a change does to requests, exactly, is a question for impact analysis; this is about documents,
//! and about the guardrails of each policy by itself. See [`PolicyChange`] for the bounds of that.

mod atoms;
mod attachments;
mod effective;
mod fields;
mod reach;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::policy::{Place, Policy, PolicyId, PolicySet};
use attachments::Leaf;
use effective::Effects;
use reach::{Known, Reach, Survey};

pub use effective::{Guardrails, Unsure};
pub use fields::{FieldChange, compare_policies};
pub use reach::{Touched, Touches};

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
/// A policy whose own document is unchanged is listed only if it gains or loses a guardrail through its
/// chain. A parent's condition can also decide *whether* a child applies where the child gives nothing:
/// that matters only to default attachments, and is not listed.
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
    /// The ancestors, of before and now, whose documents differ, that came or that went. Root first.
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
        Self { file: place.file.clone(), line: place.line }
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
        Self { version: 1, base, head, diff }
    }
}

impl<'a> Comparison<'a> {
    /// The differences between two versions of a policy, found by [`compare_policies`].
    pub fn new(policy: &'a str, a: VersionName<'a>, b: VersionName<'a>, fields: Vec<FieldChange>) -> Self {
        Self { version: 1, policy, a, b, fields }
    }
}

impl SetDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        let Self { policies: p, attachments: a, .. } = self;
        p.added.is_empty()
            && p.removed.is_empty()
            && p.changed.is_empty()
            && a.added.is_empty()
            && a.removed.is_empty()
            && a.changed.is_empty()
    }
}

/// What changed from one set to another.
pub fn diff_sets(base: &PolicySet, head: &PolicySet) -> SetDiff {
    if base.digest == head.digest {
        return SetDiff::default();
    }
    let known = Known::new(&base.catalog, &head.catalog);
    let mut differ = Differ {
        base,
        head,
        effects: Effects::new(known.models()),
        before: Survey::new(&known, base),
        after: Survey::new(&known, head),
        known: &known,
        reach: Reach::default(),
    };
    let policies = differ.policies();
    let attachments = differ.attachments();
    let mut diff = SetDiff { policies, attachments, touches: Touches::default() };
    if !diff.is_empty() {
        diff.touches = known.touches(differ.reach);
    }
    diff
}

/// One comparison under way.
struct Differ<'a> {
    base: &'a PolicySet,
    head: &'a PolicySet,
    effects: Effects<'a>,
    before: Survey<'a>,
    after: Survey<'a>,
    known: &'a Known<'a>,
    /// What was touched so far.
    reach: Reach,
}

impl<'a> Differ<'a> {
    fn policies(&mut self) -> PolicyDiff {
        let (base, head) = (self.base, self.head);
        let twins = Twins::new(base, head);
        let mut diff = PolicyDiff::default();
        for ((id, policy), twin) in ids(head).zip(&twins.of_head) {
            match twin {
                Twin::None => {
                    let gained = self.effects.compare(None, Some((head, policy))).gained;
                    diff.added.push(PolicyEntry::new(policy, gained));
                }
                Twin::Same(before) | Twin::Other(before) => {
                    if policy.chain.iter().any(|member| twins.is_changed(*member)) {
                        let before = base.policy(*before).map(|policy| (*before, policy));
                        diff.changed.extend(before.and_then(|before| self.changed(before, (id, policy))));
                    }
                }
            }
        }
        for policy in twins.only_base {
            let lost = self.effects.compare(Some((base, policy)), None).lost;
            diff.removed.push(PolicyEntry::new(policy, lost));
        }
        diff
    }

    /// A policy with a change somewhere in its chain.
    fn changed(&mut self, before: (PolicyId, &'a Policy), after: (PolicyId, &'a Policy)) -> Option<PolicyChange> {
        let (base, head) = (self.base, self.head);
        let fields = compare_policies((base, before.1), (head, after.1));
        let guardrails = self.effects.compare(Some((base, before.1)), Some((head, after.1)));
        if fields.is_empty() && guardrails.is_empty() {
            return None;
        }
        let has_pipeline = before.1.pipeline.is_some() || after.1.pipeline.is_some();
        let runs_elsewhere = has_pipeline && fields.iter().any(|field| field.path.starts_with("condition"));
        let mut reach = self.before.policy(before.0);
        reach.add(&self.after.policy(after.0));
        self.reach.add(&reach);
        Some(PolicyChange {
            name: after.1.name.clone(),
            because: if fields.is_empty() { Because::Inherited } else { Because::Own },
            via: changed_ancestors((base, before.1), (head, after.1)),
            may_lose: !guardrails.lost.is_empty() || runs_elsewhere || fields::pipeline_may_lose(&fields),
            touches: self.known.touches(reach),
            place: At::from(&after.1.place),
            fields,
            guardrails,
        })
    }

    fn attachments(&mut self) -> AttachmentDiff {
        let pairing = attachments::pair(self.base, self.head);
        let mut diff = AttachmentDiff::default();
        for leaf in pairing.added {
            let reach = self.after.attachment(leaf.attachment);
            diff.added.push(self.entry(leaf, reach));
        }
        for leaf in pairing.removed {
            let reach = self.before.attachment(leaf.attachment);
            diff.removed.push(self.entry(leaf, reach));
        }
        for (before, after) in pairing.changed {
            let fields = fields::changes(&before.json, &after.json);
            let may_lose = attachments::may_lose(before.attachment, after.attachment);
            let mut reach = self.before.attachment(before.attachment);
            reach.add(&self.after.attachment(after.attachment));
            diff.changed.push(AttachmentChange { entry: self.entry(after, reach), fields, may_lose });
        }
        diff
    }

    fn entry(&mut self, leaf: Leaf<'_>, reach: Reach) -> AttachmentEntry {
        self.reach.add(&reach);
        let document = match leaf.json {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        AttachmentEntry { document, place: At::from(&leaf.attachment.place), touches: self.known.touches(reach) }
    }
}

/// What a policy of HEAD is in BASE.
enum Twin {
    /// Nothing.
    None,
    /// This, with the same document.
    Same(PolicyId),
    /// This, with another document.
    Other(PolicyId),
}

/// The policies of two sets side by side.
struct Twins<'a> {
    /// By the ids of HEAD.
    of_head: Vec<Twin>,
    /// By name.
    only_base: Vec<&'a Policy>,
}

impl<'a> Twins<'a> {
    /// Both sets are sorted by name: one pass.
    fn new(base: &'a PolicySet, head: &PolicySet) -> Self {
        let mut twins = Self { of_head: Vec::with_capacity(head.policies.len()), only_base: Vec::new() };
        let mut before = ids(base).peekable();
        for policy in &head.policies {
            while let Some((_, gone)) = before.next_if(|(_, other)| other.name < policy.name) {
                twins.only_base.push(gone);
            }
            twins.of_head.push(match before.next_if(|(_, other)| other.name == policy.name) {
                None => Twin::None,
                Some((id, other)) if other.digest == policy.digest => Twin::Same(id),
                Some((id, _)) => Twin::Other(id),
            });
        }
        twins.only_base.extend(before.map(|(_, gone)| gone));
        twins
    }

    /// Whether a policy of HEAD is not in BASE as it is.
    fn is_changed(&self, id: PolicyId) -> bool {
        !matches!(self.of_head.get(id.0 as usize), Some(Twin::Same(_)))
    }
}

fn ids(set: &PolicySet) -> impl Iterator<Item = (PolicyId, &Policy)> {
    (0..).map(PolicyId).zip(&set.policies)
}

impl PolicyEntry {
    fn new(policy: &Policy, guardrails: Vec<Arc<str>>) -> Self {
        Self { name: policy.name.clone(), guardrails, place: policy.place.clone() }
    }
}

/// Whether a set has a policy with this name and this document.
fn same_document(set: &PolicySet, policy: &Policy) -> bool {
    set.find(&policy.name).is_some_and(|(_, other)| other.digest == policy.digest)
}

/// The ancestors of a policy that are not the same on both sides: of HEAD, then those that only BASE has.
fn changed_ancestors(base: (&PolicySet, &Policy), head: (&PolicySet, &Policy)) -> Vec<Arc<str>> {
    let differing = |of: (&PolicySet, &Policy), other: &PolicySet| -> Vec<Arc<str>> {
        let ancestors = of.1.chain.iter().filter_map(|id| of.0.policy(*id)).filter(|member| member.name != of.1.name);
        ancestors.filter(|member| !same_document(other, member)).map(|member| member.name.clone()).collect()
    };
    let mut found = differing(head, base.0);
    found.extend(differing(base, head.0).into_iter().filter(|name| head.0.find(name).is_none()));
    found
}
