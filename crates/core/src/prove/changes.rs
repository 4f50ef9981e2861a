//! What differs between two sets: attachments that do not cancel, and the documents behind them.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::index::Rank;
use super::report::{Cause, How};
use super::world::{GivenKey, GuardId, Member, PipeId, ProfileId, Side, World};
use crate::policy::{Place, Policy, PolicyId, PolicySet};

/// The number of BASE's side in a world of two.
pub(super) const BASE: usize = 0;
/// The number of HEAD's side.
pub(super) const HEAD: usize = 1;

/// A policy that does something else in HEAD than in BASE, or is in one of them only.
#[derive(Debug)]
pub(super) struct ChangedPolicy {
    pub name: Arc<str>,
    /// What it does in BASE and in HEAD.
    pub profiles: Vec<Option<ProfileId>>,
}

/// What differs between BASE and HEAD.
#[derive(Debug)]
pub(super) struct Changes<'w, 'a> {
    world: &'w World<'a>,
    /// For each side, the attachments that the other lacks.
    pub attachments: [Vec<Rank>; 2],
    pub policies: Vec<ChangedPolicy>,
    /// The documents of policies that changed themselves.
    policy_documents: FxHashMap<Arc<str>, Cause>,
    /// What of those differs that are in both sets.
    own_changes: FxHashMap<Arc<str>, OwnChange>,
    /// For each side, the attachments whose document the other lacks, and those documents.
    attachment_documents: [FxHashMap<Rank, Cause>; 2],
}

impl<'w, 'a> Changes<'w, 'a> {
    pub(super) fn new(world: &'w World<'a>, base: &'w Side<'a>, head: &'w Side<'a>) -> Self {
        let policy_documents = policy_documents(base, head);
        Self {
            world,
            attachments: [find_lacking(base, head), find_lacking(head, base)],
            policies: changed_policies(base, head),
            policy_documents,
            own_changes: own_changes(world, base, head),
            attachment_documents: attachment_documents(base, head),
        }
    }

    /// Whether nothing differs but perhaps the order of attachments.
    pub(super) fn is_empty(&self) -> bool {
        self.attachments.iter().all(Vec::is_empty) && self.policies.is_empty()
    }

    /// Whether an attachment is one that the other side lacks.
    pub(super) fn is_changed(&self, side: usize, rank: Rank) -> bool {
        self.attachments
            .get(side)
            .is_some_and(|ranks| ranks.binary_search(&rank).is_ok())
    }

    /// The documents that changed and that an attachment comes from.
    pub(super) fn behind_attachment(&self, side: usize, rank: Rank) -> Vec<&Cause> {
        let documents = self.attachment_documents.get(side);
        let mut causes: Vec<&Cause> = documents
            .and_then(|documents| documents.get(&rank))
            .into_iter()
            .collect();
        let policy = self.world.side_at(side).and_then(|side| {
            side.set
                .policy(side.set.attachments.get(rank as usize)?.policy)
        });
        if let Some(policy) = policy {
            causes.extend(self.behind_policy(&policy.name));
        }

        causes
    }

    /// Whether a document that changed may have had a part in what is lost and gained: a policy
    /// that gives and takes the same of it as before had none.
    pub(super) fn may_cause(&self, cause: &Cause, guardrails: &[GuardId], pipelines: bool) -> bool {
        let own = match cause.kind {
            "Policy" => self.own_changes.get(cause.name.as_str()),
            _ => None,
        };
        own.is_none_or(|own| {
            own.parent
                || (own.pipeline && pipelines)
                || guardrails
                    .iter()
                    .any(|guardrail| own.guardrails.contains(guardrail))
        })
    }

    /// The documents of the policy's chain, in either set, that changed.
    pub(super) fn behind_policy(&self, name: &str) -> Vec<&Cause> {
        let mut causes: Vec<&Cause> = self
            .world
            .sides
            .iter()
            .filter_map(|side| {
                side.set
                    .find_policy(name)
                    .map(|(_, policy)| (side.set, policy))
            })
            .flat_map(|(set, policy)| policy.chain.iter().filter_map(|id| set.policy(*id)))
            .filter_map(|member| self.policy_documents.get(&member.name))
            .collect();

        causes.sort_unstable();
        causes.dedup();
        causes
    }
}

fn find_lacking(side: &Side<'_>, other: &Side<'_>) -> Vec<Rank> {
    let keys: FxHashSet<GivenKey<'_>> = other
        .givens
        .iter()
        .map(|given| given.identity_key())
        .collect();
    (0..)
        .zip(&side.givens)
        .filter(|(_, given)| !keys.contains(&given.identity_key()))
        .map(|(rank, _)| rank)
        .collect()
}

fn changed_policies(base: &Side<'_>, head: &Side<'_>) -> Vec<ChangedPolicy> {
    let profile = |side: &Side<'_>, name: &str| {
        side.set
            .find_policy(name)
            .and_then(|(id, _)| side.profiles.get(id.0 as usize).copied())
    };

    let mut names: Vec<&Arc<str>> = base
        .set
        .policies
        .iter()
        .chain(&head.set.policies)
        .map(|policy| &policy.name)
        .collect();

    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| ChangedPolicy {
            name: name.clone(),
            profiles: vec![profile(base, name), profile(head, name)],
        })
        .filter(|policy| policy.profiles.first() != policy.profiles.last())
        .collect()
}

/// The parts of a policy's own document that matter for its effect.
type Own<'w> = (Option<u32>, Option<PipeId>, Option<&'w str>);

fn own_effect<'w>(side: &Side<'w>, id: PolicyId, policy: &'w Policy) -> Own<'w> {
    let parent = policy
        .parent
        .and_then(|parent| side.set.policy(parent))
        .map(|parent| &*parent.name);
    (
        side.own.get(id.0 as usize).copied(),
        side.pipes.get(id.0 as usize).copied().flatten(),
        parent,
    )
}

/// What differs of a policy's own document, as far as it matters for its effect.
#[derive(Debug)]
struct OwnChange {
    parent: bool,
    pipeline: bool,
    /// What it adds or removes otherwise than before.
    guardrails: FxHashSet<GuardId>,
}

fn own_changes(
    world: &World<'_>,
    base: &Side<'_>,
    head: &Side<'_>,
) -> FxHashMap<Arc<str>, OwnChange> {
    let mut changes = FxHashMap::default();
    for (id, policy) in (0..).map(PolicyId).zip(&head.set.policies) {
        let Some((old_id, old)) = base.set.find_policy(&policy.name) else {
            continue;
        };
        let (before, after) = (own_effect(base, old_id, old), own_effect(head, id, policy));
        if before == after {
            continue;
        }

        let member = |own: &Own<'_>| own.0.and_then(|id| world.members.value_of(id));
        let change = OwnChange {
            parent: before.2 != after.2,
            pipeline: before.1 != after.1,
            guardrails: changed_guardrails(member(&before), member(&after)),
        };
        changes.insert(policy.name.clone(), change);
    }

    changes
}

/// What two members add or remove differently; all of it where their conditions differ.
fn changed_guardrails(before: Option<&Member>, after: Option<&Member>) -> FxHashSet<GuardId> {
    let (Some(before), Some(after)) = (before, after) else {
        return FxHashSet::default();
    };
    let is_same_condition = before.condition == after.condition;
    let lists = [(&before.add, &after.add), (&before.remove, &after.remove)];
    let mut changed = FxHashSet::default();
    for (old, new) in lists {
        let only = |list: &[GuardId], other: &[GuardId]| -> Vec<GuardId> {
            let differs = |guardrail: &&GuardId| !is_same_condition || !other.contains(guardrail);
            list.iter().filter(differs).copied().collect()
        };
        changed.extend(only(old, new));
        changed.extend(only(new, old));
    }

    changed
}

fn policy_documents(base: &Side<'_>, head: &Side<'_>) -> FxHashMap<Arc<str>, Cause> {
    let mut documents = FxHashMap::default();
    let cause = |policy: &Policy, how| make_cause("Policy", &policy.name, &policy.place, how);
    for (id, policy) in (0..).map(PolicyId).zip(&head.set.policies) {
        let how = match base.set.find_policy(&policy.name) {
            None => How::Added,
            Some((old_id, old))
                if own_effect(base, old_id, old) != own_effect(head, id, policy) =>
            {
                How::Changed
            }
            Some(_) => continue,
        };

        documents.insert(policy.name.clone(), cause(policy, how));
    }

    for policy in base
        .set
        .policies
        .iter()
        .filter(|policy| head.set.find_policy(&policy.name).is_none())
    {
        documents.insert(policy.name.clone(), cause(policy, How::Removed));
    }

    documents
}

fn make_cause(kind: &'static str, name: &str, place: &Place, change: How) -> Cause {
    Cause {
        kind,
        name: name.to_owned(),
        file: place.file.to_string(),
        line: place.line,
        change,
    }
}

/// The parts of an attachment's own document that matter for its effect.
fn document_key<'s>(
    set: &'s PolicySet,
    side: &'s Side<'_>,
    rank: Rank,
) -> Option<impl Eq + std::hash::Hash + 's> {
    let attachment = set.attachments.get(rank as usize)?;
    let given = side.givens.get(rank as usize)?;
    let name = set.policy(attachment.policy).map(|policy| &*policy.name);

    Some((
        name,
        &given.zone,
        &given.models,
        given.default,
        attachment.priority,
    ))
}

fn attachment_documents(base: &Side<'_>, head: &Side<'_>) -> [FxHashMap<Rank, Cause>; 2] {
    let ranks = |side: &Side<'_>| 0..Rank::try_from(side.givens.len()).unwrap_or(Rank::MAX);
    let lacking = |side: &Side<'_>, other: &Side<'_>, how: How| -> FxHashMap<Rank, Cause> {
        let documents: FxHashSet<_> = ranks(other)
            .filter_map(|rank| document_key(other.set, other, rank))
            .collect();
        ranks(side)
            .filter(|rank| {
                document_key(side.set, side, *rank).is_some_and(|own| !documents.contains(&own))
            })
            .filter_map(|rank| {
                let attachment = side.set.attachments.get(rank as usize)?;
                let name = &side.set.policy(attachment.policy)?.name;
                Some((
                    rank,
                    make_cause("PolicyAttachment", name, &attachment.place, how),
                ))
            })
            .collect()
    };

    let mut removed = lacking(base, head, How::Removed);
    let mut added = lacking(head, base, How::Added);
    pair_up(&mut removed, &mut added);

    [removed, added]
}

/// An attachment gone and one new of the same policy in the same file are one document that
/// changed; it is shown where it stands in HEAD.
fn pair_up(removed: &mut FxHashMap<Rank, Cause>, added: &mut FxHashMap<Rank, Cause>) {
    let mut new: FxHashMap<(String, String), Vec<Rank>> = FxHashMap::default();
    let mut ranks: Vec<(Rank, u32, String, String)> = added
        .iter()
        .map(|(rank, cause)| (*rank, cause.line, cause.name.clone(), cause.file.clone()))
        .collect();
    ranks.sort_by_key(|(_, line, ..)| std::cmp::Reverse(*line));
    for (rank, _, name, file) in ranks {
        new.entry((name, file)).or_default().push(rank);
    }

    let mut old: Vec<(&Rank, &mut Cause)> = removed.iter_mut().collect();
    old.sort_by_key(|(rank, cause)| (cause.line, **rank));
    for (_, cause) in old {
        let place = (cause.name.clone(), cause.file.clone());
        if let Some(after) = new
            .get_mut(&place)
            .and_then(Vec::pop)
            .and_then(|rank| added.get_mut(&rank))
        {
            after.change = How::Changed;
            *cause = after.clone();
        }
    }
}

/// What decides where an attachment's pipeline stands among others, but for the order itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OrderKey<'w> {
    key: (&'w super::cone::Zone, &'w Option<Vec<u32>>, bool),
    pipe: PipeId,
    conditions: Vec<Option<&'w [u32]>>,
}

/// The key of an attachment whose policy has a pipeline.
pub(super) fn order_key<'w>(
    world: &'w World<'_>,
    side: &'w Side<'_>,
    rank: Rank,
) -> Option<OrderKey<'w>> {
    let given = side.givens.get(rank as usize)?;
    let pipe = world.pipe_of(given.profile)?;
    let conditions = world
        .chain_of(given.profile)
        .map(|member: &Member| member.condition.as_deref())
        .collect();

    Some(OrderKey {
        key: (&given.zone, &given.models, given.default),
        pipe,
        conditions,
    })
}
