//! Two policy sets → what changed by meaning.
//!
//! A pure function of two [`PolicySet`]s. Must not know git, YAML or HTTP. Files, places, comments,
//! the order of documents and of what has no order leave no trace: what says the same is no change,
//! wherever it stands. Digests are compared first, so that only what differs costs time.
//!
//! What a change does to requests, exactly, is a question for impact analysis; this is about
//! documents, and about the guardrails of each policy by itself. See [`PolicyChange`] for the
//! bounds of that.

mod attachments;
mod effective;
mod fields;
mod model;
mod reach;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::policy::{Policy, PolicyId, PolicySet};
use attachments::Leaf;
use effective::Effects;
use reach::{CatalogNames, Reach, Survey};

pub use effective::{Guardrails, Unsure};
pub use fields::{FieldChange, compare_documents, compare_policies};
pub use model::{
    At, AttachmentChange, AttachmentDiff, AttachmentEntry, Because, Comparison, DiffReport,
    PolicyChange, PolicyDiff, PolicyEntry, SetDiff, VersionName,
};
pub use reach::{TouchedNames, Touches};

/// What changed from one set to another.
pub fn diff_sets(base: &PolicySet, head: &PolicySet) -> SetDiff {
    if base.digest == head.digest {
        return SetDiff::default();
    }

    let known = CatalogNames::new(&base.catalog, &head.catalog);
    let mut differ = Differ {
        base,
        head,
        effects: Effects::new(),
        before: Survey::new(&known, base),
        after: Survey::new(&known, head),
        known: &known,
        reach: Reach::default(),
    };

    let policies = differ.diff_policies();
    let attachments = differ.diff_attachments();
    let mut diff = SetDiff {
        policies,
        attachments,
        touches: Touches::default(),
    };

    if !diff.is_empty() {
        diff.touches = known.touches_of(differ.reach);
    }

    diff
}

/// One comparison under way.
struct Differ<'a> {
    base: &'a PolicySet,
    head: &'a PolicySet,
    effects: Effects,
    before: Survey<'a>,
    after: Survey<'a>,
    known: &'a CatalogNames<'a>,
    /// What was touched so far.
    reach: Reach,
}

impl<'a> Differ<'a> {
    fn diff_policies(&mut self) -> PolicyDiff {
        let (base, head) = (self.base, self.head);
        let twins = Twins::new(base, head);
        let mut diff = PolicyDiff::default();
        for ((id, policy), twin) in policies_with_ids(head).zip(&twins.of_head) {
            match twin {
                Twin::None => {
                    let gained = self
                        .effects
                        .compare_policies(None, Some((head, policy)))
                        .gained;
                    diff.added.push(PolicyEntry::new(policy, gained));
                }
                Twin::Same(before) | Twin::Other(before) => {
                    if policy.chain.iter().any(|member| twins.is_changed(*member)) {
                        let before = base.policy(*before).map(|policy| (*before, policy));
                        diff.changed.extend(
                            before.and_then(|before| self.diff_policy(before, (id, policy))),
                        );
                    }
                }
            }
        }

        for policy in twins.only_base {
            let lost = self
                .effects
                .compare_policies(Some((base, policy)), None)
                .lost;
            diff.removed.push(PolicyEntry::new(policy, lost));
        }

        diff
    }

    /// A policy with a change somewhere in its chain.
    fn diff_policy(
        &mut self,
        before: (PolicyId, &'a Policy),
        after: (PolicyId, &'a Policy),
    ) -> Option<PolicyChange> {
        let (base, head) = (self.base, self.head);
        let fields = compare_policies((base, before.1), (head, after.1));
        let guardrails = self
            .effects
            .compare_policies(Some((base, before.1)), Some((head, after.1)));
        if fields.is_empty() && guardrails.is_empty() {
            return None;
        }

        let has_pipeline = before.1.pipeline.is_some() || after.1.pipeline.is_some();
        let runs_elsewhere = has_pipeline
            && fields
                .iter()
                .any(|field| field.path.starts_with("condition"));
        let mut reach = self.before.policy_reach(before.0);
        reach.add_reach(&self.after.policy_reach(after.0));
        self.reach.add_reach(&reach);

        Some(PolicyChange {
            name: after.1.name.clone(),
            because: if fields.is_empty() {
                Because::Inherited
            } else {
                Because::Own
            },
            via: changed_ancestors((base, before.1), (head, after.1)),
            may_lose: !guardrails.lost.is_empty()
                || runs_elsewhere
                || fields::pipeline_may_lose(&fields),
            touches: self.known.touches_of(reach),
            place: At::from(&after.1.place),
            fields,
            guardrails,
        })
    }

    fn diff_attachments(&mut self) -> AttachmentDiff {
        let pairing = attachments::pair_attachments(self.base, self.head);
        let mut diff = AttachmentDiff::default();
        for leaf in pairing.added {
            let reach = self.after.attachment_reach(leaf.attachment);
            diff.added.push(self.attachment_entry(leaf, reach));
        }

        for leaf in pairing.removed {
            let reach = self.before.attachment_reach(leaf.attachment);
            diff.removed.push(self.attachment_entry(leaf, reach));
        }

        for (before, after) in pairing.changed {
            let fields = fields::compare_documents(&before.json, &after.json);
            let may_lose = attachments::may_lose(before.attachment, after.attachment);
            let mut reach = self.before.attachment_reach(before.attachment);
            reach.add_reach(&self.after.attachment_reach(after.attachment));
            diff.changed.push(AttachmentChange {
                entry: self.attachment_entry(after, reach),
                fields,
                may_lose,
            });
        }

        diff
    }

    fn attachment_entry(&mut self, leaf: Leaf<'_>, reach: Reach) -> AttachmentEntry {
        self.reach.add_reach(&reach);
        let document = match leaf.json {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };

        AttachmentEntry {
            document,
            place: At::from(&leaf.attachment.place),
            touches: self.known.touches_of(reach),
        }
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
        let mut twins = Self {
            of_head: Vec::with_capacity(head.policies.len()),
            only_base: Vec::new(),
        };

        let mut before = policies_with_ids(base).peekable();
        for policy in &head.policies {
            while let Some((_, gone)) = before.next_if(|(_, other)| other.name < policy.name) {
                twins.only_base.push(gone);
            }

            twins.of_head.push(
                match before.next_if(|(_, other)| other.name == policy.name) {
                    None => Twin::None,
                    Some((id, other)) if other.digest == policy.digest => Twin::Same(id),
                    Some((id, _)) => Twin::Other(id),
                },
            );
        }

        twins.only_base.extend(before.map(|(_, gone)| gone));
        twins
    }

    /// Whether a policy of HEAD is not in BASE as it is.
    fn is_changed(&self, id: PolicyId) -> bool {
        !matches!(self.of_head.get(id.0 as usize), Some(Twin::Same(_)))
    }
}

fn policies_with_ids(set: &PolicySet) -> impl Iterator<Item = (PolicyId, &Policy)> {
    (0..)
        .map(PolicyId)
        .zip(set.policies.iter().map(|policy| &**policy))
}

impl PolicyEntry {
    fn new(policy: &Policy, guardrails: Vec<Arc<str>>) -> Self {
        Self {
            name: policy.name.clone(),
            guardrails,
            place: policy.place.clone(),
        }
    }
}

/// Whether a set has a policy with this name and this document.
fn same_document(set: &PolicySet, policy: &Policy) -> bool {
    set.find_policy(&policy.name)
        .is_some_and(|(_, other)| other.digest == policy.digest)
}

/// The ancestors of a policy that are not the same on both sides: of HEAD, then those that only
/// BASE has.
fn changed_ancestors(base: (&PolicySet, &Policy), head: (&PolicySet, &Policy)) -> Vec<Arc<str>> {
    let differing = |of: (&PolicySet, &Policy), other: &PolicySet| -> Vec<Arc<str>> {
        let ancestors =
            of.1.chain
                .iter()
                .filter_map(|id| of.0.policy(*id))
                .filter(|member| member.name != of.1.name);
        ancestors
            .filter(|member| !same_document(other, member))
            .map(|member| member.name.clone())
            .collect()
    };

    let mut found = differing(head, base.0);
    found.extend(
        differing(base, head.0)
            .into_iter()
            .filter(|name| head.0.find_policy(name).is_none()),
    );
    found
}
