//! One or two sets with the same numbers for the same things: guardrails, pipelines, what a policy
//! does, and what a model is asked for. Two policies of one number do the same to every request.

use std::sync::Arc;

use super::cone::{Zone, reduce_values};
use super::index::Index;
use super::twins::Twins;
use crate::document::{Action, Dimension, Outcome, PipelineMode};
pub(super) use crate::effect::{GuardId, Interner, Item, ItemId, Items, Member};
use crate::effect::{given_by, sorted};
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
    fn of(known: &KnownGuardrail) -> Self {
        let at = |calls_tool| {
            Stage::ALL.map(|stage| known.runs_in(stage.mode(calls_tool)) == Some(true))
        };

        Self {
            stages: known.modes.is_some().then(|| [at(false), at(true)]),
            by_default: known.default_on == Some(true),
        }
    }

    /// Whether it runs at a stage; `None`: not known.
    pub(super) fn at(&self, stage: Stage, calls_tool: bool) -> Option<bool> {
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
    pub(super) fn action(&self, outcome: Outcome) -> Action {
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
    pub index: Index,
}

/// What an attachment would have to be the same in to be the same to every request, but for the
/// order.
pub(super) type Key<'a> = (&'a Zone, &'a Option<Vec<ItemId>>, bool, ProfileId);

impl Given {
    pub(super) fn key(&self) -> Key<'_> {
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
    /// What each profile gives to every model, sorted.
    always: Vec<Vec<GuardId>>,
}

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
            always: Vec::new(),
        };

        for set in sets {
            let side = world.side(set);
            world.sides.push(side);
        }

        world.always = world
            .profiles
            .numbers()
            .map(|profile| world.unconditional(profile))
            .collect();
        world.find_twins(&[]);
        if let Some(set) = sets.last() {
            let known = |id| set.catalog.guardrail(world.guardrails.get(id)?);
            let runs = |id| known(id).map(Runs::of).unwrap_or_default();
            world.runs = world.guardrails.numbers().map(runs).collect();
        }

        world
    }

    /// When the gateway runs a guardrail.
    pub(super) fn runs(&self, guardrail: GuardId) -> Runs {
        self.runs
            .get(guardrail as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The guardrails that run whatever the policies say.
    pub(super) fn defaults(&self) -> impl Iterator<Item = GuardId> {
        (0..)
            .zip(&self.runs)
            .filter(|(_, runs)| runs.by_default)
            .map(|(id, _)| id)
    }

    /// Finds the patterns that nothing tells apart: no attachment, and none of these zones.
    pub(super) fn find_twins(&mut self, others: &[Zone]) {
        let attached = self
            .sides
            .iter()
            .flat_map(|side| side.givens.iter().map(|given| &given.zone));
        let twins = Twins::of(attached.chain(others));
        for given in self.sides.iter_mut().flat_map(|side| &mut side.givens) {
            given.distinct = twins.representatives(&given.zone);
        }

        self.twins = twins;
    }

    fn side(&mut self, set: &'a PolicySet) -> Side<'a> {
        let guards: Vec<GuardId> = set
            .guardrails
            .iter()
            .map(|name| self.guardrails.number(name.clone()))
            .collect();
        let guard = |id: &GuardrailId| guards.get(id.0 as usize).copied();
        let conditions: Vec<ItemId> = set
            .conditions
            .iter()
            .map(|pattern| self.items.condition(pattern))
            .collect();
        let condition = |id: &ConditionId| conditions.get(id.0 as usize).copied();
        let own: Vec<u32> = set
            .policies
            .iter()
            .map(|policy| {
                self.members.number(Member {
                    condition: policy
                        .condition
                        .as_ref()
                        .map(|list| sorted(list.iter().filter_map(condition))),
                    add: sorted(policy.add.iter().filter_map(guard)),
                    remove: sorted(policy.remove.iter().filter_map(guard)),
                })
            })
            .collect();
        let profiles: Vec<ProfileId> = set
            .policies
            .iter()
            .map(|policy| self.profile(policy, &own, &guards))
            .collect();
        let givens: Vec<Given> = set
            .attachments
            .iter()
            .map(|attachment| Given {
                zone: if attachment.everywhere {
                    Zone::default()
                } else {
                    Zone::of(&attachment.targets)
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
        let index = Index::new(&givens);
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
        Some(sorted(
            list.iter()
                .map(|pattern| self.items.pattern(pattern.clone())),
        ))
    }

    fn profile(&mut self, policy: &Policy, own: &[u32], guards: &[GuardId]) -> ProfileId {
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

            self.pipes.number(Pipe {
                mode: pipeline.mode,
                steps,
            })
        });

        self.profiles.number(Profile { members, pipe })
    }

    pub(super) fn side_at(&self, side: usize) -> Option<&Side<'a>> {
        self.sides.get(side)
    }

    pub(super) fn chain(&self, profile: ProfileId) -> impl Iterator<Item = &Member> {
        self.profiles
            .get(profile)
            .into_iter()
            .flat_map(|profile| profile.members.iter())
            .filter_map(|member| self.members.get(*member))
    }

    /// Whether a policy may give a guardrail to some model: some member of its chain adds it.
    pub(super) fn may_give(&self, profile: ProfileId, guardrail: GuardId) -> bool {
        self.chain(profile)
            .any(|member| member.add.binary_search(&guardrail).is_ok())
    }

    /// What a policy gives to every model: nothing where a member of its chain has a condition.
    pub(super) fn always_given(&self, profile: ProfileId) -> &[GuardId] {
        self.always.get(profile as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether a policy gives a guardrail to every model.
    pub(super) fn always_gives(&self, profile: ProfileId, guardrail: GuardId) -> bool {
        self.always_given(profile).binary_search(&guardrail).is_ok()
    }

    fn unconditional(&self, profile: ProfileId) -> Vec<GuardId> {
        if self.chain(profile).any(|member| member.condition.is_some()) {
            return Vec::new();
        }

        given_by(self.chain(profile), |_| true)
    }

    pub(super) fn pipe_of(&self, profile: ProfileId) -> Option<PipeId> {
        self.profiles.get(profile)?.pipe
    }

    /// What models are asked for by an attachment and by its policy's conditions.
    pub(super) fn items_of(&self, given: &Given, into: &mut Vec<ItemId>) {
        into.extend(given.models.iter().flatten());
        self.items_of_profile(given.profile, into);
    }

    /// What models are asked for by a policy's conditions.
    pub(super) fn items_of_profile(&self, profile: ProfileId, into: &mut Vec<ItemId>) {
        for member in self.chain(profile) {
            into.extend(member.condition.iter().flatten());
        }
    }

    pub(super) fn guardrail(&self, id: GuardId) -> String {
        self.guardrails
            .get(id)
            .map(|name| name.to_string())
            .unwrap_or_default()
    }
}
