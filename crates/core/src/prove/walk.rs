//! Pipelines walked together: whether guardrails can return outcomes with which one thing acts and
//! nothing else does.
//!
//! The outcomes are found by trying: step by step through all pipelines, each new guardrail with
//! every outcome it may return; a guardrail that was asked before keeps its outcome. For example,
//! may `p` of BASE block a call that nothing of HEAD stops?
//!
//! ```text
//! p of BASE   1. pii  on_pass: next,  on_fail: block     goal: act
//! q of HEAD   1. pii  on_pass: allow, on_fail: next      goal: rest
//!             2. log  on_pass: allow, on_fail: block
//!
//! p step 1    pii passes: p ends without acting          no
//!             pii fails:  p blocks: goal reached, go on with q
//! q step 1    pii fails (known): next
//! q step 2    log passes: q allows: goal reached         yes: {pii: fail, log: pass}
//! ```

use super::eval::ClassOutcome as Got;
use super::report::WeakeningKind;
use super::search::Element;
use super::world::{GuardId, Pipe, PipeId, World};
use crate::document::{Action, Outcome, PipelineMode};
use crate::effect::Budget;
use crate::effect::TooLarge;
use crate::resolve::Stage;

/// The most steps of one walk.
const MAX_STEPS: u32 = 200_000;

/// What guardrails return, in the order in which they were asked.
pub(super) type GuardrailOutcomes = Vec<(GuardId, Outcome)>;

/// A question about a call: which kind of weakening is looked for, so that either everything that
/// stops the call counts, or only what stops it before the model is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'w, 'a> {
    pub world: &'w World<'a>,
    pub kind: WeakeningKind,
    /// Whether the call is one of a tool.
    pub calls_tool: bool,
}

impl<'w, 'a> View<'w, 'a> {
    /// The pipelines of a request that count for this kind of weakening.
    fn counted_pipes<'g>(
        &self,
        got: &'g Got,
    ) -> impl Iterator<Item = (PipeId, &'w Pipe)> + use<'g, 'w, 'a> {
        let view = *self;
        let known = got
            .pipes
            .iter()
            .filter_map(move |id| Some((*id, view.world.pipes.value_of(*id)?)));
        known.filter(move |(_, pipe)| view.counts_pipe(pipe))
    }

    fn counts_pipe(&self, pipe: &Pipe) -> bool {
        self.kind != WeakeningKind::Late || pipe.mode == PipelineMode::PreCall
    }

    /// What can stop a request: its pipelines, and its guardrails outside them. A guardrail whose
    /// modes are not known is not known to stop a call before the model.
    pub(super) fn stopping_elements(&self, got: &Got) -> Vec<Element> {
        let mut alone = self.guardrails_alone(got);
        if self.kind == WeakeningKind::Late {
            let at = |id| {
                self.world
                    .runs_of(id)
                    .runs_at(Stage::Before, self.calls_tool)
            };
            alone.retain(|id| at(*id) == Some(true));
        }

        let pipes = self.counted_pipes(got).map(|(id, _)| Element::Pipeline(id));
        pipes
            .chain(alone.into_iter().map(Element::Guardrail))
            .collect()
    }

    /// The guardrails that run by themselves at some stage, sorted: a pipeline takes over its
    /// guardrails in its own mode only. One whose modes are not known is taken over by any.
    pub(super) fn guardrails_alone(&self, got: &Got) -> Vec<GuardId> {
        let pipes: Vec<&Pipe> = got
            .pipes
            .iter()
            .filter_map(|pipe| self.world.pipes.value_of(*pipe))
            .collect();
        let captured = |id: GuardId, stage: Option<Stage>| {
            let at = |pipe: &&&Pipe| stage.is_none_or(|stage| Stage::from_mode(pipe.mode) == stage);
            pipes
                .iter()
                .filter(at)
                .any(|pipe| pipe.steps.iter().any(|step| step.guardrail == id))
        };

        let stages: &[Stage] = match self.kind {
            WeakeningKind::Late => &[Stage::Before],
            WeakeningKind::LetThrough | WeakeningKind::Softened => &Stage::ALL,
        };

        let runs_alone = |id: &GuardId| {
            let runs = self.world.runs_of(*id);
            stages
                .iter()
                .any(|stage| match runs.runs_at(*stage, self.calls_tool) {
                    Some(here) => here && !captured(*id, Some(*stage)),
                    None => !captured(*id, None),
                })
        };

        let mut all: Vec<GuardId> = got
            .gives
            .iter()
            .copied()
            .chain(self.world.default_guardrails())
            .collect();

        all.sort_unstable();
        all.dedup();
        all.retain(runs_alone);

        all
    }

    /// The guardrails of a pipeline, sorted, whose failing it can let pass. Alone they would block;
    /// of others it changes nothing that it runs them.
    pub(super) fn pardoned_guardrails(&self, pipe: &Pipe, budget: &Budget) -> Vec<GuardId> {
        let mut guardrails: Vec<GuardId> = pipe.steps.iter().map(|step| step.guardrail).collect();
        guardrails.sort_unstable();
        guardrails.dedup();
        if !self.counts_pipe(pipe) || self.kind == WeakeningKind::Softened {
            return guardrails;
        }

        guardrails.retain(|guardrail| {
            [Outcome::Fail, Outcome::Error].into_iter().any(|outcome| {
                let outcomes = vec![(*guardrail, outcome)];
                let mut walk = self.start_walk(vec![(pipe, Goal::Rest)], &[], outcomes, budget);
                // What is too large to be walked is not ruled out.
                walk.walk_from(0, 0).unwrap_or(true)
            })
        });
        guardrails
    }

    /// Outcomes with which the element acts and nothing of `head` does, if there are such. `alone`
    /// are the guardrails that no pipeline of `head` runs.
    pub(super) fn find_let_through(
        &self,
        element: Element,
        head: &Got,
        alone: &[GuardId],
        budget: &Budget,
    ) -> Result<Option<GuardrailOutcomes>, TooLarge> {
        let mut tasks: Vec<(&Pipe, Goal)> = Vec::new();
        match element {
            Element::Pipeline(pipe) if head.pipes.contains(&pipe) => return Ok(None),
            Element::Guardrail(guardrail) if alone.binary_search(&guardrail).is_ok() => {
                return Ok(None);
            }
            Element::Guardrail(_) => {}
            Element::Pipeline(pipe) => {
                tasks.extend(
                    self.world
                        .pipes
                        .value_of(pipe)
                        .map(|pipe| (pipe, Goal::Act)),
                );
            }
        }

        tasks.extend(self.counted_pipes(head).map(|(_, pipe)| (pipe, Goal::Rest)));
        self.solve_tasks(element, tasks, alone, budget)
    }

    /// Outcomes with which the element blocks and nothing else of `base` acts, while one pipeline
    /// of `head` modifies and nothing else of `head` acts, if there are such.
    pub(super) fn find_softened(
        &self,
        element: Element,
        [base, head]: [&Got; 2],
        budget: &Budget,
    ) -> Result<Option<GuardrailOutcomes>, TooLarge> {
        let mut alone = self.guardrails_alone(head);
        alone.extend(
            self.guardrails_alone(base)
                .into_iter()
                .filter(|id| element != Element::Guardrail(*id)),
        );
        alone.sort_unstable();
        alone.dedup();
        if matches!(element, Element::Guardrail(id) if alone.binary_search(&id).is_ok()) {
            return Ok(None);
        }

        for (modifier, pipe) in self
            .counted_pipes(head)
            .filter(|(id, _)| !base.pipes.contains(id))
        {
            let mut tasks = vec![(pipe, Goal::Modify)];
            if let Element::Pipeline(id) = element {
                tasks.extend(
                    self.world
                        .pipes
                        .value_of(id)
                        .map(|pipe| (pipe, Goal::Block)),
                );
            }

            let others = self
                .counted_pipes(base)
                .chain(self.counted_pipes(head))
                .filter(|(id, _)| *id != modifier && element != Element::Pipeline(*id));
            tasks.extend(others.map(|(_, pipe)| (pipe, Goal::Rest)));
            if let Some(outcomes) = self.solve_tasks(element, tasks, &alone, budget)? {
                return Ok(Some(outcomes));
            }
        }

        Ok(None)
    }

    /// Outcomes that reach all goals, and with which the element acts by itself if it is a
    /// guardrail.
    fn solve_tasks(
        &self,
        element: Element,
        tasks: Vec<(&Pipe, Goal)>,
        alone: &[GuardId],
        budget: &Budget,
    ) -> Result<Option<GuardrailOutcomes>, TooLarge> {
        let starts: Vec<GuardrailOutcomes> = match element {
            Element::Pipeline(_) => vec![GuardrailOutcomes::new()],
            Element::Guardrail(id) => [Outcome::Fail, Outcome::Error]
                .map(|outcome| vec![(id, outcome)])
                .to_vec(),
        };

        for start in starts {
            let mut walk = self.start_walk(tasks.clone(), alone, start, budget);
            if walk.walk_from(0, 0)? {
                return Ok(Some(walk.outcomes));
            }
        }

        Ok(None)
    }

    fn start_walk<'v, 'p>(
        &'v self,
        tasks: Vec<(&'p Pipe, Goal)>,
        alone: &'p [GuardId],
        outcomes: GuardrailOutcomes,
        budget: &'p Budget,
    ) -> PipelineWalk<'v, 'p, 'a>
    where
        'w: 'v,
    {
        PipelineWalk {
            view: self,
            tasks,
            alone,
            outcomes,
            budget,
            steps: 0,
        }
    }
}

/// The guardrails that an element runs.
pub(super) fn guardrails_run(world: &World<'_>, element: Element) -> Vec<GuardId> {
    match element {
        Element::Guardrail(guardrail) => vec![guardrail],
        Element::Pipeline(pipe) => world
            .pipes
            .value_of(pipe)
            .map(|p| p.steps.iter().map(|step| step.guardrail).collect())
            .unwrap_or_default(),
    }
}

/// How a pipeline has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// It stops the call.
    Act,
    /// It lets the call go on.
    Rest,
    /// It refuses the call.
    Block,
    /// It replaces the answer.
    Modify,
}

impl Goal {
    /// Whether an action that ends the pipeline reaches it.
    fn is_reached_by(self, action: Action) -> bool {
        match self {
            Self::Act => matches!(action, Action::Block | Action::ModifyResponse),
            Self::Rest => action == Action::Allow,
            Self::Block => action == Action::Block,
            Self::Modify => action == Action::ModifyResponse,
        }
    }
}

struct PipelineWalk<'v, 'p, 'a> {
    view: &'v View<'v, 'a>,
    /// Pipelines, and how each has to end.
    tasks: Vec<(&'p Pipe, Goal)>,
    /// Guardrails that must not fail, sorted.
    alone: &'p [GuardId],
    outcomes: GuardrailOutcomes,
    budget: &'p Budget,
    steps: u32,
}

impl PipelineWalk<'_, '_, '_> {
    /// Whether all goals can be reached from a step on; then `outcomes` says how.
    fn walk_from(&mut self, task: usize, step: usize) -> Result<bool, TooLarge> {
        self.steps += 1;
        if self.steps > MAX_STEPS || !self.budget.spend(1) {
            return Err(TooLarge);
        }

        let Some((pipe, goal)) = self.tasks.get(task).copied() else {
            return Ok(true);
        };
        let Some(at) = pipe.steps.get(step) else {
            return if goal == Goal::Rest {
                self.walk_from(task + 1, 0)
            } else {
                Ok(false)
            };
        };

        let known = self
            .outcomes
            .iter()
            .find(|(guardrail, _)| *guardrail == at.guardrail);
        let known = known.map(|(_, outcome)| *outcome);
        let (choices, is_asked) =
            self.outcome_choices(at.guardrail, Stage::from_mode(pipe.mode), known);
        for outcome in choices {
            let length = self.outcomes.len();
            if known.is_none() && is_asked {
                self.outcomes.push((at.guardrail, *outcome));
            }

            let done = match at.action_after(*outcome) {
                Action::Next => self.walk_from(task, step + 1)?,
                action => goal.is_reached_by(action) && self.walk_from(task + 1, 0)?,
            };

            if done {
                return Ok(true);
            }

            self.outcomes.truncate(length);
        }

        Ok(false)
    }

    /// What a guardrail may return as a step, and whether it is asked at all: where the gateway
    /// does not run it in that mode it passes in silence.
    fn outcome_choices(
        &self,
        guardrail: GuardId,
        stage: Stage,
        known: Option<Outcome>,
    ) -> (&'static [Outcome], bool) {
        let runs = self
            .view
            .world
            .runs_of(guardrail)
            .runs_at(stage, self.view.calls_tool);
        let choices: &[Outcome] = match known {
            Some(Outcome::Skip) => &[Outcome::Skip],
            _ if runs == Some(false) => return (&[Outcome::Pass], false),
            Some(Outcome::Pass) => &[Outcome::Pass],
            Some(Outcome::Fail) => &[Outcome::Fail],
            Some(Outcome::Error) => &[Outcome::Error],
            Some(Outcome::Unappliable) => &[Outcome::Unappliable],
            None if self.alone.binary_search(&guardrail).is_ok() => &[Outcome::Pass, Outcome::Skip],
            None => &[Outcome::Pass, Outcome::Fail, Outcome::Error, Outcome::Skip],
        };

        (choices, true)
    }
}
