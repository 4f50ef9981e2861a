//! What the requests of a point get, one class of models at a time.

use std::rc::Rc;

use rustc_hash::FxHashSet;

use super::cone::Point;
use super::index::Rank;
use super::world::{Given, GuardId, Member, PipeId, ProfileId, Side, World};
use crate::document::PipelineMode;
use crate::effect::{self, Budget, Space, Spaces, TooLarge, condition_holds};

/// What a policy does for one class of models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub gives: Vec<GuardId>,
    pub pipe: Option<PipeId>,
}

/// What a request gets from one set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClassOutcome {
    /// Whether an attachment that is not a default one matches and applies.
    pub non_default: bool,
    /// Sorted.
    pub gives: Vec<GuardId>,
    /// The pipelines in the order in which they run, each once: one that runs again decides
    /// nothing.
    pub pipes: Vec<PipeId>,
}

/// A point, with what every class of models gets there from each set.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub point: Point,
    /// The attachments of each side whose zone the point lies in.
    pub ranks: Vec<Vec<Rank>>,
    pub space: Rc<Space>,
    /// For each side, for each class.
    pub outcomes: Vec<Vec<ClassOutcome>>,
}

impl Evaluated {
    pub(super) fn outcome_of(&self, side: usize, class: usize) -> &ClassOutcome {
        const NOTHING: &ClassOutcome = &ClassOutcome {
            non_default: false,
            gives: Vec::new(),
            pipes: Vec::new(),
        };
        self.outcomes
            .get(side)
            .and_then(|classes| classes.get(class))
            .unwrap_or(NOTHING)
    }
}

/// What a named policy does in each set; `None` where a set has no such policy.
pub(super) type Named = Vec<Option<ProfileId>>;

/// Evaluates points of a world.
#[derive(Debug)]
pub(super) struct Evaluator<'w, 'a> {
    pub world: &'w World<'a>,
    pub spaces: Spaces,
    pub budget: &'w Budget,
}

impl<'w, 'a> Evaluator<'w, 'a> {
    pub(super) fn new(world: &'w World<'a>, budget: &'w Budget) -> Self {
        let catalogs: Vec<_> = world
            .sides
            .iter()
            .rev()
            .map(|side| &side.set.catalog)
            .collect();

        Self {
            world,
            spaces: Spaces::new(&catalogs),
            budget,
        }
    }

    /// What the requests of a point get, and with them requests that name policies. `items` are
    /// what models are asked for besides.
    pub(super) fn evaluate_point(
        &mut self,
        point: &Point,
        named: &[Named],
        items: &[u32],
    ) -> Result<Evaluated, TooLarge> {
        let mut items = items.to_vec();
        let mut ranks = Vec::new();
        for side in &self.world.sides {
            let matching = side
                .index
                .matching_attachments(&side.givens, point, self.budget);
            for given in matching
                .iter()
                .filter_map(|rank| side.givens.get(*rank as usize))
            {
                self.world.items_of(given, &mut items);
            }

            ranks.push(matching);
        }

        for profile in named.iter().flatten().flatten() {
            self.world.items_of_profile(*profile, &mut items);
        }

        items.sort_unstable();
        items.dedup();
        let space = self
            .spaces
            .space_of(&self.world.items, &items, self.budget)?;
        let named_work = named.iter().flatten().flatten();
        let named_work: u64 = named_work.map(|profile| self.world.work_of(*profile)).sum();
        let sides = self.world.sides.iter().zip(&ranks);
        let work: u64 = sides
            .map(|(side, ranks)| work_at(self.world, side, ranks))
            .sum();
        let work = (work + named_work).saturating_mul(space.classes.len() as u64);
        if !self.budget.spend(work) {
            return Err(TooLarge);
        }

        let outcomes = self
            .world
            .sides
            .iter()
            .zip(&ranks)
            .enumerate()
            .map(|(number, (side, ranks))| {
                let named: Vec<ProfileId> = named
                    .iter()
                    .filter_map(|named| named.get(number).copied().flatten())
                    .collect();
                (0..space.classes.len())
                    .map(|class| class_outcome(self.world, side, ranks, &named, &space, class))
                    .collect()
            })
            .collect();

        Ok(Evaluated {
            point: point.clone(),
            ranks,
            space,
            outcomes,
        })
    }
}

/// The units of work that one class of models takes at a point.
fn work_at(world: &World<'_>, side: &Side<'_>, ranks: &[Rank]) -> u64 {
    let givens = ranks
        .iter()
        .filter_map(|rank| side.givens.get(*rank as usize));
    8 + givens
        .map(|given| 1 + world.work_of(given.profile))
        .sum::<u64>()
}

/// Whether an attachment matches models of a class and its policy applies to them.
pub(super) fn is_active(world: &World<'_>, given: &Given, space: &Space, class: usize) -> bool {
    let matches = given
        .models
        .as_ref()
        .is_none_or(|items| items.iter().any(|item| space.meets_item(class, *item)));
    matches && effect::chain_applies(world.chain_of(given.profile), space, class)
}

/// What a policy does for a class of models; `None` where it does not apply.
pub(super) fn policy_effect(
    world: &World<'_>,
    profile: ProfileId,
    space: &Space,
    class: usize,
) -> Option<Effect> {
    if !effect::chain_applies(world.chain_of(profile), space, class) {
        return None;
    }

    let is_on = |member: &Member| condition_holds(member.condition.as_deref(), space, class);
    let gives = effect::guardrails_given(world.chain_of(profile), is_on);
    let own_holds = world.chain_of(profile).last().is_some_and(is_on);

    Some(Effect {
        gives,
        pipe: world.pipe_of(profile).filter(|_| own_holds),
    })
}

/// The attachments that count for a class of models, in the order of evaluation.
pub(super) fn counting_attachments<'s>(
    world: &World<'_>,
    side: &'s Side<'_>,
    ranks: &[Rank],
    space: &Space,
    class: usize,
) -> Vec<(Rank, &'s Given)> {
    let mut counting: Vec<(Rank, &Given)> = ranks
        .iter()
        .filter_map(|rank| Some((*rank, side.givens.get(*rank as usize)?)))
        .filter(|(_, given)| is_active(world, given, space, class))
        .collect();

    if counting.iter().any(|(_, given)| !given.default) {
        counting.retain(|(_, given)| !given.default);
    }

    counting
}

fn class_outcome(
    world: &World<'_>,
    side: &Side<'_>,
    ranks: &[Rank],
    named: &[ProfileId],
    space: &Space,
    class: usize,
) -> ClassOutcome {
    let counting = counting_attachments(world, side, ranks, space, class);
    let mut outcome = ClassOutcome {
        non_default: counting.first().is_some_and(|(_, given)| !given.default),
        ..ClassOutcome::default()
    };

    let profiles = counting
        .iter()
        .map(|(_, given)| given.profile)
        .chain(named.iter().copied());
    for effect in profiles.filter_map(|profile| policy_effect(world, profile, space, class)) {
        outcome.gives.extend(effect.gives);
        outcome.pipes.extend(effect.pipe);
    }

    outcome.gives.sort_unstable();
    outcome.gives.dedup();
    outcome.pipes = in_running_order(world, outcome.pipes);

    outcome
}

/// The pipelines that run before the model is called, then those after it, each once.
pub(super) fn in_running_order(world: &World<'_>, pipes: Vec<PipeId>) -> Vec<PipeId> {
    let mode = |pipe: &PipeId| world.pipes.value_of(*pipe).map(|pipe| pipe.mode);
    let (mut ordered, after): (Vec<PipeId>, Vec<PipeId>) = pipes
        .into_iter()
        .partition(|pipe| mode(pipe) == Some(PipelineMode::PreCall));
    ordered.extend(after);
    let mut seen: FxHashSet<PipeId> = FxHashSet::default();
    ordered.retain(|pipe| seen.insert(*pipe));

    ordered
}
