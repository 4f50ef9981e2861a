//! One or two sets with the same numbers for the same things: guardrails, pipelines, what a policy
//! does, and what a model is asked for. Two policies of one number do the same to every request.

use std::sync::Arc;

use super::cone::{Zone, reduce_values};
use super::index::ZoneIndex;
use super::twins::Twins;
use crate::document::{Action, Dimension, Outcome, PipelineMode};
pub(super) use crate::effect::{GuardId, Interner, ItemId, Items, Member, ModelItem};
use crate::effect::{guardrails_given, sort_numbers};
use crate::policy::{ConditionId, GuardrailId, KnownGuardrail, Pattern, Policy, PolicySet};
use crate::resolve::Stage;

/// The number of what a pipeline does.
pub(super) type PipeId = u32;
/// The number of what a policy does.
pub(super) type ProfileId = u32;

/// What a pipeline does, whichever policy it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pipe {
    pub mode: PipelineMode,
    pub steps: Vec<PipeStep>,
}

/// When the gateway runs a guardrail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// At which stages, for calls of a model and of a tool; `None`: not known.
    stages: Option<[[bool; 3]; 2]>,
    /// Whether it runs whatever the policies say.
    pub by_default: bool,
}

impl Runs {
    fn from_catalog(known: &KnownGuardrail) -> Self {
        let at = |calls_tool| {
            Stage::ALL.map(|stage| known.runs_in(stage.mode(calls_tool)) == Some(true))
        };

        Self {
            stages: known.modes.is_some().then(|| [at(false), at(true)]),
            by_default: known.default_on == Some(true),
        }
    }

    /// Whether it runs at a stage; `None`: not known.
    pub(super) fn runs_at(&self, stage: Stage, calls_tool: bool) -> Option<bool> {
        self.stages?
            .get(usize::from(calls_tool))?
            .get(stage as usize)
            .copied()
    }
}

/// One step, the action after an error filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PipeStep {
    pub guardrail: GuardId,
    pub on_pass: Action,
    pub on_fail: Action,
    pub on_error: Action,
    pub pass_data: bool,
    pub message: Option<Arc<str>>,
}

impl PipeStep {
    /// The action after an outcome.
    pub(super) fn action_after(&self, outcome: Outcome) -> Action {
        match outcome {
            Outcome::Pass => self.on_pass,
            Outcome::Fail => self.on_fail,
            Outcome::Error => self.on_error,
            Outcome::Skip => Action::Next,
            Outcome::Unappliable => Action::Block,
        }
    }
}

/// What a policy does: its chain from the root, and its own pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Profile {
    pub members: Vec<u32>,
    pub pipe: Option<PipeId>,
}

/// An attachment, in the order of evaluation.
#[derive(Debug)]
pub(super) struct Given {
    pub zone: Zone,
    /// The zone with one pattern of each group of twins: what its points are made of.
    pub distinct: Zone,
    /// One of these must match; `None`: every model, also an absent one.
    pub models: Option<Vec<ItemId>>,
    pub default: bool,
    pub profile: ProfileId,
}

/// One set in the world's numbers.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub set: &'a PolicySet,
    /// One for each attachment of the set.
    pub givens: Vec<Given>,
    /// The profile of each policy of the set.
    pub profiles: Vec<ProfileId>,
    /// The own member of each policy of the set.
    pub own: Vec<u32>,
    /// The own pipeline of each policy of the set.
    pub pipes: Vec<Option<PipeId>>,
    pub index: ZoneIndex,
}

/// What an attachment would have to be the same in to be the same to every request, but for the
/// order.
pub(super) type GivenKey<'a> = (&'a Zone, &'a Option<Vec<ItemId>>, bool, ProfileId);

impl Given {
    pub(super) fn identity_key(&self) -> GivenKey<'_> {
        (&self.zone, &self.models, self.default, self.profile)
    }
}

/// One or two sets with the same numbers for the same things.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub guardrails: Interner<Arc<str>>,
    pub pipes: Interner<Pipe>,
    pub items: Items,
    pub members: Interner<Member>,
    pub profiles: Interner<Profile>,
    pub sides: Vec<Side<'a>>,
    pub twins: Twins,
    /// When the gateway runs each guardrail: the last set's catalog speaks for all of them.
    runs: Vec<Runs>,
    /// See [`World::work_of`].
    work: Vec<u64>,
}

/// Guardrails and conditions of a chain, and steps of its pipeline, that cost no unit of work.
const FREE_PARTS: u64 = 16;

impl<'a> World<'a> {
    pub(super) fn new(sets: &[&'a PolicySet]) -> Self {
        let mut world = World {
            guardrails: Interner::default(),
            pipes: Interner::default(),
            items: Items::default(),
            members: Interner::default(),
            profiles: Interner::default(),
            sides: Vec::new(),
            twins: Twins::default(),
            runs: Vec::new(),
            work: Vec::new(),
        };

        for set in sets {
            let side = world.add_side(set);
            world.sides.push(side);
        }

        let profiles = world.profiles.all_numbers();
        world.work = profiles.map(|profile| world.count_parts(profile)).collect();
        world.find_twins(&[]);
        if let Some(set) = sets.last() {
            let known = |id| set.catalog.guardrail(world.guardrails.value_of(id)?);
            let runs = |id| known(id).map(Runs::from_catalog).unwrap_or_default();
            world.runs = world.guardrails.all_numbers().map(runs).collect();
        }

        world
    }

    /// When the gateway runs a guardrail.
    pub(super) fn runs_of(&self, guardrail: GuardId) -> Runs {
        self.runs
            .get(guardrail as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The guardrails that run whatever the policies say.
    pub(super) fn default_guardrails(&self) -> impl Iterator<Item = GuardId> {
        (0..)
            .zip(&self.runs)
            .filter(|(_, runs)| runs.by_default)
            .map(|(id, _)| id)
    }

    /// Finds twins: patterns that neither an attachment nor one of these zones tells apart.
    pub(super) fn find_twins(&mut self, others: &[Zone]) {
        let attached = self
            .sides
            .iter()
            .flat_map(|side| side.givens.iter().map(|given| &given.zone));
        let twins = Twins::from_zones(attached.chain(others));
        for given in self.sides.iter_mut().flat_map(|side| &mut side.givens) {
            given.distinct = twins.representative_zone(&given.zone);
        }

        self.twins = twins;
    }

    fn add_side(&mut self, set: &'a PolicySet) -> Side<'a> {
        let guards: Vec<GuardId> = set
            .guardrails
            .iter()
            .map(|name| self.guardrails.intern_value(name.clone()))
            .collect();
        let guard = |id: &GuardrailId| guards.get(id.0 as usize).copied();
        let conditions: Vec<ItemId> = set
            .conditions
            .iter()
            .map(|pattern| self.items.add_condition(pattern))
            .collect();
        let condition = |id: &ConditionId| conditions.get(id.0 as usize).copied();
        let own: Vec<u32> = set
            .policies
            .iter()
            .map(|policy| {
                self.members.intern_value(Member {
                    condition: policy
                        .condition
                        .as_ref()
                        .map(|list| sort_numbers(list.iter().filter_map(condition))),
                    add: sort_numbers(policy.add.iter().filter_map(guard)),
                    remove: sort_numbers(policy.remove.iter().filter_map(guard)),
                })
            })
            .collect();
        let profiles: Vec<ProfileId> = set
            .policies
            .iter()
            .map(|policy| self.add_profile(policy, &own, &guards))
            .collect();
        let givens: Vec<Given> = set
            .attachments
            .iter()
            .map(|attachment| Given {
                zone: if attachment.everywhere {
                    Zone::default()
                } else {
                    Zone::from_targets(&attachment.targets)
                },
                distinct: Zone::default(),
                models: self.model_items(
                    attachment.targets[Dimension::Model]
                        .as_deref()
                        .filter(|_| !attachment.everywhere),
                ),
                default: attachment.default,
                profile: profiles
                    .get(attachment.policy.0 as usize)
                    .copied()
                    .unwrap_or(u32::MAX),
            })
            .collect();
        let index = ZoneIndex::new(&givens);
        let pipes = profiles
            .iter()
            .map(|profile| self.pipe_of(*profile))
            .collect();

        Side {
            set,
            givens,
            profiles,
            own,
            pipes,
            index,
        }
    }

    /// What models are asked for by patterns; `None`: nothing.
    pub(super) fn model_items(&mut self, patterns: Option<&[Pattern]>) -> Option<Vec<ItemId>> {
        let list = reduce_values(patterns)?;
        Some(sort_numbers(
            list.iter()
                .map(|pattern| self.items.add_pattern(pattern.clone())),
        ))
    }

    fn add_profile(&mut self, policy: &Policy, own: &[u32], guards: &[GuardId]) -> ProfileId {
        let members = policy
            .chain
            .iter()
            .filter_map(|id| own.get(id.0 as usize).copied())
            .collect();
        let pipe = policy.pipeline.as_ref().map(|pipeline| {
            let steps = pipeline
                .steps
                .iter()
                .filter_map(|step| {
                    Some(PipeStep {
                        guardrail: *guards.get(step.guardrail.0 as usize)?,
                        on_pass: step.on_pass,
                        on_fail: step.on_fail,
                        on_error: step.on_error.unwrap_or(step.on_fail),
                        pass_data: step.pass_data,
                        message: step.modify_response_message.clone(),
                    })
                })
                .collect();

            self.pipes.intern_value(Pipe {
                mode: pipeline.mode,
                steps,
            })
        });

        self.profiles.intern_value(Profile { members, pipe })
    }

    pub(super) fn side_at(&self, side: usize) -> Option<&Side<'a>> {
        self.sides.get(side)
    }

    pub(super) fn chain_of(&self, profile: ProfileId) -> impl Iterator<Item = &Member> {
        self.profiles
            .value_of(profile)
            .into_iter()
            .flat_map(|profile| profile.members.iter())
            .filter_map(|member| self.members.value_of(*member))
    }

    /// Whether a policy may give a guardrail to some model: some member of its chain adds it.
    pub(super) fn may_give(&self, profile: ProfileId, guardrail: GuardId) -> bool {
        self.chain_of(profile)
            .any(|member| member.add.binary_search(&guardrail).is_ok())
    }

    /// Whether a policy gives a guardrail to every model.
    pub(super) fn always_gives(&self, profile: ProfileId, guardrail: GuardId) -> bool {
        let mut is_given = false;
        for member in self.chain_of(profile) {
            if member.condition.is_some() {
                return false;
            }

            is_given |= member.add.binary_search(&guardrail).is_ok();
            is_given &= member.remove.binary_search(&guardrail).is_err();
        }

        is_given
    }

    /// What a policy gives to every model: nothing where a member of its chain has a condition.
    pub(super) fn always_given(&self, profile: ProfileId) -> Vec<GuardId> {
        if self
            .chain_of(profile)
            .any(|member| member.condition.is_some())
        {
            return Vec::new();
        }

        guardrails_given(self.chain_of(profile), |_| true)
    }

    /// The units of work that telling what a profile does takes, beside the one of its attachment:
    /// nothing for most, one for each part of a long one.
    pub(super) fn work_of(&self, profile: ProfileId) -> u64 {
        self.work.get(profile as usize).copied().unwrap_or_default()
    }

    /// The units of work that making the world took.
    pub(super) fn work_of_making(&self) -> u64 {
        let members = self.members.all_numbers();
        let members = members.filter_map(|member| self.members.value_of(member));
        let named: usize = members
            .map(|member| member.add.len() + member.remove.len())
            .sum();
        let givens = self.sides.iter().flat_map(|side| &side.givens);
        let patterns: u64 = givens.map(|given| 8 + given.zone.count_points()).sum();
        let profiles: u64 = self.work.iter().map(|parts| 8 + parts).sum();

        8 * (named as u64 + patterns + profiles)
    }

    fn count_parts(&self, profile: ProfileId) -> u64 {
        let parts = self.chain_of(profile).map(|member| {
            let asked = member.condition.as_ref().map_or(0, Vec::len);
            1 + asked + member.add.len() + member.remove.len()
        });
        let pipe = self
            .pipe_of(profile)
            .and_then(|pipe| self.pipes.value_of(pipe));
        let steps = pipe.map_or(0, |pipe| pipe.steps.len());

        ((parts.sum::<usize>() + steps) as u64).saturating_sub(FREE_PARTS)
    }

    pub(super) fn pipe_of(&self, profile: ProfileId) -> Option<PipeId> {
        self.profiles.value_of(profile)?.pipe
    }

    /// What models are asked for by an attachment and by its policy's conditions.
    pub(super) fn items_of(&self, given: &Given, into: &mut Vec<ItemId>) {
        into.extend(given.models.iter().flatten());
        self.items_of_profile(given.profile, into);
    }

    /// What models are asked for by a policy's conditions.
    pub(super) fn items_of_profile(&self, profile: ProfileId, into: &mut Vec<ItemId>) {
        for member in self.chain_of(profile) {
            into.extend(member.condition.iter().flatten());
        }
    }

    pub(super) fn guardrail_name(&self, id: GuardId) -> String {
        self.guardrails
            .value_of(id)
            .map(|name| name.to_string())
            .unwrap_or_default()
    }
}
