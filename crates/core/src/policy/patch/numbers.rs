//! From the ids of one set to those of another: policies, guardrails and conditions are numbered in
//! the order of their names, so one that comes or goes moves all after it.

use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::Origin;
use crate::policy::condition::ModelPattern;
use crate::policy::{ConditionId, GuardrailId, Policy, PolicyId, PolicySet};

/// The new id of each old one; none of what the new set does not have.
#[derive(Debug)]
pub(super) struct IdMap {
    new: Vec<Option<u32>>,
    is_identity: bool,
}

impl IdMap {
    pub fn from_numbers(new: impl Iterator<Item = Option<u32>>) -> Self {
        let new: Vec<Option<u32>> = new.collect();
        let is_identity = (0..).zip(&new).all(|(old, new)| *new == Some(old));
        Self { new, is_identity }
    }

    pub fn identity(length: usize) -> Self {
        Self::from_numbers((0..).map(Some).take(length))
    }

    /// Whether every id stays as it is.
    pub fn is_identity(&self) -> bool {
        self.is_identity
    }

    fn new_number(&self, old: u32) -> Option<u32> {
        self.new.get(old as usize).copied().flatten()
    }
}

/// All ids of a set.
#[derive(Debug)]
pub(super) struct Renumbering {
    pub policies: IdMap,
    pub guardrails: IdMap,
    pub conditions: IdMap,
}

impl Renumbering {
    pub fn is_identity(&self) -> bool {
        [&self.policies, &self.guardrails, &self.conditions]
            .iter()
            .all(|map| map.is_identity)
    }

    pub fn policy_number(&self, PolicyId(old): PolicyId) -> Option<PolicyId> {
        self.policies.new_number(old).map(PolicyId)
    }

    pub fn guardrail_number(&self, GuardrailId(old): GuardrailId) -> Option<GuardrailId> {
        self.guardrails.new_number(old).map(GuardrailId)
    }

    pub fn condition_number(&self, ConditionId(old): ConditionId) -> Option<ConditionId> {
        self.conditions.new_number(old).map(ConditionId)
    }
}

/// A list of the new set, and the way to it from the ids of the old set and of the part.
type Merged<T> = (Vec<T>, IdMap, IdMap);

/// The guardrails that the policies of the new set name.
pub(super) fn merge_guardrails(
    old: &PolicySet,
    part: &PolicySet,
    policies: &[Origin<'_>],
) -> Merged<Arc<str>> {
    let named = |policy: &Policy, ids: &mut FixedBitSet| {
        guardrails_of(policy).for_each(|id| ids.insert(id.0 as usize));
    };

    merge_names(
        &old.guardrails,
        &part.guardrails,
        |name| name,
        policies,
        &named,
    )
}

/// The conditions of the policies of the new set.
pub(super) fn merge_conditions(
    old: &PolicySet,
    part: &PolicySet,
    policies: &[Origin<'_>],
) -> Merged<ModelPattern> {
    let named = |policy: &Policy, ids: &mut FixedBitSet| {
        policy
            .condition
            .iter()
            .flatten()
            .for_each(|id| ids.insert(id.0 as usize));
    };

    merge_names(
        &old.conditions,
        &part.conditions,
        ModelPattern::text,
        policies,
        &named,
    )
}

/// Two sorted lists into one, of what the policies name that come from each; `mark_named` sets the
/// bits of the ids that a policy names.
fn merge_names<T: Clone>(
    old: &[T],
    part: &[T],
    text: fn(&T) -> &str,
    policies: &[Origin<'_>],
    mark_named: &dyn Fn(&Policy, &mut FixedBitSet),
) -> Merged<T> {
    let mut of_old = FixedBitSet::with_capacity(old.len());
    let mut of_part = FixedBitSet::with_capacity(part.len());
    for origin in policies {
        match origin {
            Origin::Kept(policy) => mark_named(policy, &mut of_old),
            Origin::Changed(policy) => mark_named(policy, &mut of_part),
        }
    }

    let mut merged: Vec<&T> = of_old
        .ones()
        .filter_map(|id| old.get(id))
        .chain(of_part.ones().filter_map(|id| part.get(id)))
        .collect();

    merged.sort_by(|a, b| text(a).cmp(text(b)));
    merged.dedup_by(|a, b| text(a) == text(b));

    let new_id = |item: &T| {
        let found = merged
            .binary_search_by(|known| text(known).cmp(text(item)))
            .ok();
        found.and_then(|id| u32::try_from(id).ok())
    };

    let (from_old, from_part) = (
        IdMap::from_numbers(old.iter().map(new_id)),
        IdMap::from_numbers(part.iter().map(new_id)),
    );
    (merged.into_iter().cloned().collect(), from_old, from_part)
}

fn guardrails_of(policy: &Policy) -> impl Iterator<Item = GuardrailId> + '_ {
    let steps = policy
        .pipeline
        .iter()
        .flat_map(|pipeline| &pipeline.steps)
        .map(|step| step.guardrail);

    policy
        .add
        .iter()
        .chain(&policy.remove)
        .copied()
        .chain(steps)
}
