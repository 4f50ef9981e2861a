//! The guardrails that the policies of a draft add, numbered: asked by many rules, read once.

use rustc_hash::FxHashMap;

use super::Item;
use crate::document::RawPolicy;

/// What the policies add.
#[derive(Debug, Default)]
pub struct Guardrails<'a> {
    numbers: FxHashMap<&'a str, u32>,
    /// By policy, sorted.
    added: Vec<Box<[u32]>>,
}

impl<'a> Guardrails<'a> {
    pub(super) fn new(policies: &[Item<'a, RawPolicy>]) -> Self {
        let mut all = Self::default();
        for item in policies {
            let names = item
                .raw
                .guardrails
                .iter()
                .flat_map(|own| own.add.iter().flatten());
            let mut numbers: Vec<u32> = names.map(|name| all.enter_name(name.as_str())).collect();
            numbers.sort_unstable();
            all.added.push(numbers.into_boxed_slice());
        }

        all
    }

    fn enter_name(&mut self, name: &'a str) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(name).or_insert(next)
    }

    /// Every guardrail that some policy adds.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.numbers.keys().copied()
    }

    /// The number of a guardrail, if some policy adds it.
    pub fn number_of(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The numbers of what a policy adds itself, sorted.
    pub fn added_by(&self, policy: usize) -> &[u32] {
        self.added
            .get(policy)
            .map(|numbers| &**numbers)
            .unwrap_or_default()
    }
}
