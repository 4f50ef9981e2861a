//! What a policy's effective guardrails gain and lose between two sets.
//!
//! Which guardrails a policy gives depends on the model, through the conditions of its chain. The
//! answer here is the union over all models, absent ones too: a guardrail is *lost* if for some model the
//! chain gave it and gives it no more, and *gained* the other way round; with conditions it may be both.
//!
//! For one guardrail a chain is a list of rules, from the policy up to its root: the first whose
//! condition holds decides. A loss is a rule that gives in BASE and a rule that does not in HEAD that can
//! both be the first to hold. That is decided exactly where the conditions are names and `NAME.*`. Other
//! regular expressions are tried on models that are at hand; what that does not show is still reported,
//! as unsure. So nothing that can be lost is missing; what is unsure may be no loss at all.

use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;

use super::atoms::Atom;
use crate::policy::{ConditionId, Policy, PolicySet};

/// How many patterns are tried in one diff; after that what cannot be ruled out at once is unsure.
const BUDGET: u32 = 2_000_000;
/// How many models of the catalog are tried where patterns are not understood.
const MODELS: usize = 200;

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
pub(super) struct Effects<'a> {
    models: Vec<&'a str>,
    budget: u32,
}

/// Whether something can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Chance {
    No,
    Unsure,
    Yes,
}

/// One member of a chain, on one guardrail.
#[derive(Debug, Clone, PartialEq)]
struct Rule<'a> {
    /// `None`: always holds.
    condition: Option<Arc<[Atom<'a>]>>,
    gives: bool,
}

type Rules<'a> = Vec<Rule<'a>>;

impl<'a> Effects<'a> {
    /// `models` are names that a model may well have.
    pub(super) fn new(models: impl Iterator<Item = &'a str>) -> Self {
        let plain = |model: &&str| !model.contains('\n');
        Self { models: models.filter(plain).take(MODELS).collect(), budget: BUDGET }
    }

    /// What a policy gains and loses. Without a base it is new, without a head it is gone.
    pub(super) fn compare(
        &mut self,
        base: Option<(&'a PolicySet, &Policy)>,
        head: Option<(&'a PolicySet, &Policy)>,
    ) -> Guardrails {
        let mut by_guardrail: FxHashMap<&str, [Rules<'a>; 2]> = FxHashMap::default();
        for (side, chain) in [base, head].into_iter().enumerate() {
            if let Some((set, policy)) = chain {
                for_each_rule(set, policy, |name, rule| {
                    if let Some(rules) = by_guardrail.entry(name).or_default().get_mut(side)
                        && rules.last().is_none_or(|below: &Rule<'a>| below.condition.is_some())
                    {
                        rules.push(rule);
                    }
                });
            }
        }
        let mut names: Vec<(&str, [Rules<'a>; 2])> = by_guardrail.into_iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let mut found = Guardrails::default();
        for (name, [before, after]) in names {
            if before == after {
                continue;
            }
            let name: Arc<str> = name.into();
            note(&name, self.can_lose(&before, &after), &mut found.lost, &mut found.unsure.lost);
            note(
                &name,
                self.can_lose(&after, &before),
                &mut found.gained,
                &mut found.unsure.gained,
            );
        }
        found
    }

    /// Whether for some model `from` gives the guardrail and `to` does not.
    fn can_lose(&mut self, from: &[Rule<'a>], to: &[Rule<'a>]) -> Chance {
        if !from.iter().any(|rule| rule.gives) {
            return Chance::No;
        }
        match self.witness(from, to) {
            Some(true) => Chance::Yes,
            Some(false) => self.search(from, to),
            None => Chance::Unsure,
        }
    }

    /// Whether one of the models at hand shows it; `None` when the budget is used up.
    fn witness(&mut self, from: &[Rule<'a>], to: &[Rule<'a>]) -> Option<bool> {
        let atoms = || from.iter().chain(to).flat_map(atoms_of);
        let count = u32::try_from(atoms().count()).unwrap_or(u32::MAX);
        let catalog = self.models.iter().copied().filter(|_| count > 0).map(Some);
        let samples = atoms().filter_map(|atom| atom.sample()).map(Some);
        for model in std::iter::once(None).chain(samples).chain(catalog) {
            self.budget = self.budget.checked_sub(count)?;
            if gives(from, model) && !gives(to, model) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Each pair of a rule that gives and one that does not. No model at hand shows a loss, so neither
    /// does any that is named in full.
    fn search(&mut self, from: &[Rule<'a>], to: &[Rule<'a>]) -> Chance {
        let mut best = Chance::No;
        let falls_through = to.last().is_none_or(|rule| rule.condition.is_some());
        for (i, first) in from.iter().enumerate().filter(|(_, rule)| rule.gives) {
            let ends = to.iter().map(Some).chain(falls_through.then_some(None)).enumerate();
            for (j, second) in ends.filter(|(_, rule)| rule.is_none_or(|rule| !rule.gives)) {
                let earlier: Vec<&Atom<'a>> =
                    from.iter().take(i).chain(to.iter().take(j)).flat_map(atoms_of).collect();
                for a in choices(Some(first)) {
                    for b in choices(second) {
                        let cost = u32::try_from(earlier.len() + 1).unwrap_or(u32::MAX);
                        let Some(left) = self.budget.checked_sub(cost) else {
                            return Chance::Unsure;
                        };
                        self.budget = left;
                        best = best.max(together(a, b, &earlier));
                    }
                }
            }
        }
        best
    }
}

fn note(name: &Arc<str>, chance: Chance, found: &mut Vec<Arc<str>>, unsure: &mut Vec<Arc<str>>) {
    if chance > Chance::No {
        found.push(name.clone());
    }
    if chance == Chance::Unsure {
        unsure.push(name.clone());
    }
}

/// The rules of a chain with their guardrails, the policy itself first. A guardrail that a member adds and
/// removes is removed.
fn for_each_rule<'a>(
    set: &'a PolicySet,
    policy: &Policy,
    mut found: impl FnMut(&'a str, Rule<'a>),
) {
    for member in policy.chain.iter().rev().filter_map(|id| set.policy(*id)) {
        let condition: Option<Arc<[Atom<'a>]>> =
            member.condition.as_ref().map(|ids| atoms(set, ids).into());
        let removed = member.remove.iter().map(|id| (id, false));
        let added = member.add.iter().filter(|id| !member.remove.contains(id)).map(|id| (id, true));
        for (id, gives) in removed.chain(added) {
            found(set.guardrail(*id), Rule { condition: condition.clone(), gives });
        }
    }
}

fn atoms<'a>(set: &'a PolicySet, ids: &[ConditionId]) -> Vec<Atom<'a>> {
    let mut patterns: Vec<_> =
        ids.iter().filter_map(|id| set.conditions.get(id.0 as usize)).collect();
    patterns.sort_unstable_by_key(|pattern| pattern.text());
    patterns.into_iter().map(Atom::of).collect()
}

fn atoms_of<'r, 'a>(rule: &'r Rule<'a>) -> impl Iterator<Item = &'r Atom<'a>> {
    rule.condition.iter().flat_map(|atoms| atoms.iter())
}

fn gives(rules: &[Rule<'_>], model: Option<&str>) -> bool {
    let holds = |rule: &&Rule<'_>| {
        rule.condition.as_ref().is_none_or(|c| c.iter().any(|atom| atom.matches(model)))
    };
    rules.iter().find(holds).is_some_and(|rule| rule.gives)
}

/// The ways in which a rule can hold; one that asks for nothing holds in one way.
fn choices<'r, 'a>(rule: Option<&'r Rule<'a>>) -> Vec<Option<&'r Atom<'a>>> {
    match rule.and_then(|rule| rule.condition.as_ref()) {
        Some(atoms) => atoms.iter().map(Some).collect(),
        None => vec![None],
    }
}

/// Whether a model can match the one and the other, and none of those before them.
fn together(a: Option<&Atom<'_>>, b: Option<&Atom<'_>>, earlier: &[&Atom<'_>]) -> Chance {
    let chosen = || a.iter().chain(&b);
    let apart = a.zip(b).is_some_and(|(a, b)| a.is_apart_from(b));
    let ruled_out =
        |atom: &&Atom<'_>| atom.is_exact() || earlier.iter().any(|before| before.covers(atom));
    if apart || chosen().any(ruled_out) {
        return Chance::No;
    }
    // Names and narrower prefixes never use up a prefix.
    let understood =
        chosen().all(|atom| atom.is_known()) && earlier.iter().all(|atom| atom.is_known());
    if understood { Chance::Yes } else { Chance::Unsure }
}
