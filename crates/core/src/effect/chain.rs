//! Chains of policies by number, and what they give for one class of models.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::models::Space;
use crate::policy::condition::ModelPattern;
use crate::policy::{Pattern, add_then_remove};

/// The number of a guardrail's name.
pub(crate) type GuardId = u32;
/// The number of something that a model is asked for.
pub(crate) type ItemId = u32;

/// Something that a model is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ModelItem {
    /// By an attachment or an invariant.
    Pattern(Pattern),
    /// By a condition; its text.
    Condition(Arc<str>),
}

/// What one member of a chain does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    /// One of these must hold; `None`: always.
    pub condition: Option<Vec<ItemId>>,
    pub add: Vec<GuardId>,
    pub remove: Vec<GuardId>,
}

/// Values by number.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    numbers: FxHashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            numbers: FxHashMap::default(),
            values: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interner<T> {
    pub(crate) fn intern_value(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }

        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.insert(value, number);

        number
    }

    pub(crate) fn value_of(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)
    }

    /// Every number.
    pub(crate) fn all_numbers(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn find_number<Q>(&self, value: &Q) -> Option<u32>
    where
        T: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.numbers.get(value).copied()
    }
}

/// What models are asked for, by number.
#[derive(Debug, Default)]
pub(crate) struct Items {
    items: Interner<ModelItem>,
    /// The first condition of each text.
    conditions: FxHashMap<Arc<str>, ModelPattern>,
}

impl Items {
    pub(crate) fn item_at(&self, item: ItemId) -> Option<&ModelItem> {
        self.items.value_of(item)
    }

    pub(crate) fn add_pattern(&mut self, pattern: Pattern) -> ItemId {
        self.items.intern_value(ModelItem::Pattern(pattern))
    }

    pub(crate) fn add_condition(&mut self, pattern: &ModelPattern) -> ItemId {
        let text: Arc<str> = pattern.text().into();
        self.conditions
            .entry(text.clone())
            .or_insert_with(|| pattern.clone());
        self.items.intern_value(ModelItem::Condition(text))
    }

    /// The condition of a text.
    pub(crate) fn condition_of(&self, text: &str) -> Option<&ModelPattern> {
        self.conditions.get(text)
    }
}

/// Whether a condition holds for a class of models: absent, or one of its items is met.
pub(crate) fn condition_holds(condition: Option<&[ItemId]>, space: &Space, class: usize) -> bool {
    condition.is_none_or(|items| items.iter().any(|item| space.meets_item(class, *item)))
}

/// Whether a policy applies: some member of its chain has no condition, or one that holds.
pub(crate) fn chain_applies<'m>(
    mut chain: impl Iterator<Item = &'m Member>,
    space: &Space,
    class: usize,
) -> bool {
    chain.any(|member| condition_holds(member.condition.as_deref(), space, class))
}

/// What a chain, from its root down, gives where `holds` says which members hold. Sorted.
pub(crate) fn guardrails_given<'m>(
    chain: impl Iterator<Item = &'m Member>,
    holds: impl Fn(&Member) -> bool,
) -> Vec<GuardId> {
    let mut held: Vec<GuardId> = Vec::new();
    for member in chain.filter(|member| holds(member)) {
        let is_removed = |guardrail: &GuardId| member.remove.binary_search(guardrail).is_ok();
        add_then_remove(&mut held, member.add.iter().copied(), is_removed, |_| {});
    }

    sort_numbers(held.into_iter())
}

/// Numbers in order, each once.
pub(crate) fn sort_numbers(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut list: Vec<u32> = numbers.collect();
    list.sort_unstable();
    list.dedup();

    list
}
