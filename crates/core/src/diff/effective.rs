//! What a policy's effective guardrails gain and lose between two sets.
//!
//! Which guardrails a policy gives depends on the model, through the conditions of its chain. The
//! answer here is the union over all models, absent ones too: a guardrail is *lost* if for some
//! model the chain gave it and gives it no more, and *gained* the other way round; with conditions
//! it may be both. It is exact: models are looked at by the classes that the conditions tell apart.
//! (The empty string is left out, as in all exact analysis.) Only conditions that are too large
//! together leave something open: then what could be lost is listed, and listed as unsure, so that
//! no loss is missing.

use std::sync::Arc;

use serde::Serialize;

use crate::effect::{
    self, Budget, GuardId, Interner, ItemId, Items, Member, Space, Spaces, sort_numbers,
};
use crate::policy::{Policy, PolicySet};

/// Units of work that one diff may take for conditions; a second or two.
const BUDGET: u64 = 200_000_000;

/// Guardrails that a policy gives to some request, or no longer does. Sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Guardrails {
    /// Given now for some model, and not before.
    pub gained: Vec<Arc<str>>,
    /// Given before for some model, and not now.
    pub lost: Vec<Arc<str>>,
    /// Those of the two lists for which no such model was found, though there may be one.
    pub unsure: Unsure,
}

/// What may be gained or lost, and may be not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unsure {
    /// Of `gained`.
    pub gained: Vec<Arc<str>>,
    /// Of `lost`.
    pub lost: Vec<Arc<str>>,
}

impl Guardrails {
    /// Whether nothing is gained or lost.
    pub fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }
}

/// Compares chains; holds what is common to all comparisons of a diff.
#[derive(Debug)]
pub(super) struct Effects {
    names: Interner<Arc<str>>,
    items: Items,
    /// Made when the first condition is met.
    spaces: Option<Spaces>,
    budget: Budget,
}

impl Effects {
    pub(super) fn new() -> Self {
        Self {
            names: Interner::default(),
            items: Items::default(),
            spaces: None,
            budget: Budget::with_units(BUDGET),
        }
    }

    /// What a policy gains and loses. Without a base it is new, without a head it is gone.
    pub(super) fn compare_policies(
        &mut self,
        base: Option<(&PolicySet, &Policy)>,
        head: Option<(&PolicySet, &Policy)>,
    ) -> Guardrails {
        let before = base
            .map(|(set, policy)| self.chain_of(set, policy))
            .unwrap_or_default();
        let after = head
            .map(|(set, policy)| self.chain_of(set, policy))
            .unwrap_or_default();
        if before == after {
            return Guardrails::default();
        }

        let items = sort_numbers(items_of(&before).chain(items_of(&after)));
        if items.is_empty() {
            let [before, after] =
                [before, after].map(|chain| effect::guardrails_given(chain.iter(), |_| true));
            return self.name_guardrails(
                without_other(&before, &after),
                without_other(&after, &before),
            );
        }

        let spaces = self.spaces.get_or_insert_with(|| Spaces::new(&[]));
        let Ok(space) = spaces.space_of(&self.items, &items, &self.budget) else {
            return self.unsure_effects(&before, &after);
        };

        let parts = |chain: &[Member]| -> usize {
            chain
                .iter()
                .map(|member| 1 + member.add.len() + member.remove.len())
                .sum()
        };
        let work = space.classes.len() * (parts(&before) + parts(&after));
        if !self.budget.spend(work as u64) {
            return self.unsure_effects(&before, &after);
        }

        let (mut lost, mut gained) = (Vec::new(), Vec::new());
        for class in 0..space.classes.len() {
            let [before, after] =
                [&before, &after].map(|chain| given_guardrails(chain, &space, class));
            lost.extend(without_other(&before, &after));
            gained.extend(without_other(&after, &before));
        }

        self.name_guardrails(lost, gained)
    }

    /// A chain from its root down.
    fn chain_of(&mut self, set: &PolicySet, policy: &Policy) -> Vec<Member> {
        let members = policy.chain.iter().filter_map(|id| set.policy(*id));
        members.map(|member| self.add_member(set, member)).collect()
    }

    fn add_member(&mut self, set: &PolicySet, policy: &Policy) -> Member {
        let condition = policy.condition.as_ref().map(|ids| {
            let patterns = ids
                .iter()
                .filter_map(|id| set.conditions.get(id.0 as usize));
            sort_numbers(patterns.map(|pattern| self.items.add_condition(pattern)))
        });
        let mut numbers = |ids: &[crate::policy::GuardrailId]| {
            let names = ids
                .iter()
                .filter_map(|id| set.guardrails.get(id.0 as usize));
            sort_numbers(names.map(|name| self.names.intern_value(name.clone())))
        };

        Member {
            condition,
            add: numbers(&policy.add),
            remove: numbers(&policy.remove),
        }
    }

    /// What can be lost or gained at most where classes of models are not known.
    fn unsure_effects(&self, before: &[Member], after: &[Member]) -> Guardrails {
        let can_give = |chain: &[Member]| {
            sort_numbers(chain.iter().flat_map(|member| member.add.iter().copied()))
        };
        let found = self.name_guardrails(can_give(before), can_give(after));
        let unsure = Unsure {
            gained: found.gained.clone(),
            lost: found.lost.clone(),
        };

        Guardrails { unsure, ..found }
    }

    fn name_guardrails(&self, lost: Vec<GuardId>, gained: Vec<GuardId>) -> Guardrails {
        let names = |ids: Vec<GuardId>| {
            let ids = sort_numbers(ids.into_iter());
            let mut names: Vec<Arc<str>> = ids
                .into_iter()
                .filter_map(|id| self.names.value_of(id).cloned())
                .collect();
            names.sort_unstable();
            names
        };

        Guardrails {
            gained: names(gained),
            lost: names(lost),
            unsure: Unsure::default(),
        }
    }
}

fn items_of(chain: &[Member]) -> impl Iterator<Item = ItemId> {
    chain
        .iter()
        .filter_map(|member| member.condition.as_ref())
        .flatten()
        .copied()
}

fn given_guardrails(chain: &[Member], space: &Space, class: usize) -> Vec<GuardId> {
    effect::guardrails_given(chain.iter(), |member| {
        effect::condition_holds(member.condition.as_deref(), space, class)
    })
}

/// What is in one sorted list and not in the other.
fn without_other(list: &[GuardId], other: &[GuardId]) -> Vec<GuardId> {
    list.iter()
        .filter(|guardrail| other.binary_search(guardrail).is_err())
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::tests::one;

    #[test]
    fn without_budget_what_could_be_lost_is_listed_as_unsure() {
        let policy = |model: &str| {
            let condition = format!("condition: {{model: '{model}'}}");
            one(&format!(
                "kind: Policy\nname: p\nguardrails: {{add: [pii]}}\n{condition}\n"
            ))
        };

        let (base, head) = (policy("gpt-(4|5)"), policy(".*"));
        let compare = |budget: Budget| {
            let mut effects = Effects {
                budget,
                ..Effects::new()
            };

            let policy = |set: &PolicySet| set.policies.first().cloned().expect("a policy");
            effects.compare_policies(Some((&base, &policy(&base))), Some((&head, &policy(&head))))
        };

        let sure = compare(Budget::with_units(BUDGET));
        assert_eq!(
            (sure.lost.len(), sure.gained.len(), sure.unsure.gained.len()),
            (0, 1, 0)
        );
        let unsure = compare(Budget::with_units(1));
        assert_eq!((unsure.lost.len(), unsure.gained.len()), (1, 1));

        assert_eq!(
            (&unsure.unsure.lost, &unsure.unsure.gained),
            (&unsure.lost, &unsure.gained)
        );
    }
}
