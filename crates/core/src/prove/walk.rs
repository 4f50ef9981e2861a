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

use rustc_hash::{FxHashMap, FxHashSet};

use super::eval::ClassOutcome as Got;
use super::report::WeakeningKind;
use super::search::Element;
use super::world::{GuardId, Pipe, PipeId, PipeStep, World};
use crate::document::{Action, Outcome, PipelineMode};
use crate::effect::Budget;
use crate::effect::TooLarge;
use crate::resolve::Stage;

/// Units of work that a step takes.
const PER_STEP: u64 = 4;
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
    pub(super) fn stopping_elements(&self, got: &Got, budget: &Budget) -> Vec<Element> {
        let mut alone = self.guardrails_alone(got, budget);
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
    pub(super) fn guardrails_alone(&self, got: &Got, budget: &Budget) -> Vec<GuardId> {
        let mut captured: [FxHashSet<GuardId>; 2] = Default::default();
        let [before, after] = &mut captured;
        let pipes = got.pipes.iter();
        for pipe in pipes.filter_map(|pipe| self.world.pipes.value_of(*pipe)) {
            budget.spend(1 + pipe.steps.len() as u64);
            let guardrails = pipe.steps.iter().map(|step| step.guardrail);
            match pipe.mode {
                PipelineMode::PreCall => before.extend(guardrails),
                PipelineMode::PostCall => after.extend(guardrails),
            }
        }

        budget.spend(got.gives.len() as u64);
        let captured = |id: GuardId, stage: Option<Stage>| match stage {
            Some(Stage::Before) => before.contains(&id),
            Some(Stage::During) => false,
            Some(Stage::After) => after.contains(&id),
            None => before.contains(&id) || after.contains(&id),
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
                walk.find_way().unwrap_or(true)
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
        let mut alone = self.guardrails_alone(head, budget);
        alone.extend(
            self.guardrails_alone(base, budget)
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
            budget.spend(tasks.len() as u64);
            let mut walk = self.start_walk(tasks.clone(), alone, start, budget);
            if walk.find_way()? {
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
            known: outcomes.iter().copied().collect(),
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
    /// The same by guardrail.
    known: FxHashMap<GuardId, Outcome>,
    budget: &'p Budget,
    steps: u32,
}

/// A step of a pipeline that was reached, and what its guardrail may return that was not tried yet.
struct Fork<'p> {
    task: usize,
    step: usize,
    goal: Goal,
    at: &'p PipeStep,
    left: &'static [Outcome],
    /// Whether what it returns is new, and known from then on.
    is_new: bool,
    /// How many outcomes were known before.
    length: usize,
}

/// Where a walk has got to.
enum WalkPlace<'p> {
    /// All goals are reached.
    End,
    /// A pipeline has ended that should have acted.
    DeadEnd,
    Fork(Fork<'p>),
}

impl<'p> PipelineWalk<'_, 'p, '_> {
    /// Whether all goals can be reached; then `outcomes` says how. Pipelines may be long, so the
    /// way back is kept in a list and not on the stack of the thread.
    fn find_way(&mut self) -> Result<bool, TooLarge> {
        let mut forks: Vec<Fork<'p>> = Vec::new();
        let mut next = Some((0, 0));
        loop {
            if let Some((task, step)) = next.take() {
                match self.reach_place(task, step)? {
                    WalkPlace::End => return Ok(true),
                    WalkPlace::DeadEnd => {}
                    WalkPlace::Fork(fork) => forks.push(fork),
                }
            }

            let Some(fork) = forks.last_mut() else {
                return Ok(false);
            };

            self.forget_outcomes(fork.length);
            let Some((outcome, left)) = fork.left.split_first() else {
                forks.pop();
                continue;
            };

            fork.left = left;
            if fork.is_new {
                self.outcomes.push((fork.at.guardrail, *outcome));
                self.known.insert(fork.at.guardrail, *outcome);
            }

            next = match fork.at.action_after(*outcome) {
                Action::Next => Some((fork.task, fork.step + 1)),
                action => fork
                    .goal
                    .is_reached_by(action)
                    .then_some((fork.task + 1, 0)),
            };
        }
    }

    fn reach_place(&mut self, mut task: usize, mut step: usize) -> Result<WalkPlace<'p>, TooLarge> {
        loop {
            self.steps += 1;
            if self.steps > MAX_STEPS || !self.budget.spend(PER_STEP) {
                return Err(TooLarge);
            }

            let Some((pipe, goal)) = self.tasks.get(task).copied() else {
                return Ok(WalkPlace::End);
            };
            let Some(at) = pipe.steps.get(step) else {
                if goal != Goal::Rest {
                    return Ok(WalkPlace::DeadEnd);
                }

                (task, step) = (task + 1, 0);
                continue;
            };

            let known = self.known.get(&at.guardrail).copied();
            let stage = Stage::from_mode(pipe.mode);
            let (left, is_asked) = self.outcome_choices(at.guardrail, stage, known);

            return Ok(WalkPlace::Fork(Fork {
                task,
                step,
                goal,
                at,
                left,
                is_new: known.is_none() && is_asked,
                length: self.outcomes.len(),
            }));
        }
    }

    fn forget_outcomes(&mut self, length: usize) {
        while self.outcomes.len() > length {
            if let Some((guardrail, _)) = self.outcomes.pop() {
                self.known.remove(&guardrail);
            }
        }
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
