//! Pipelines walked together: whether some outcomes of their guardrails make one thing act and leave all
//! others in peace.

use super::eval::Outcome as Got;
use super::search::Element;
use super::world::{GuardId, Pipe, World};
use crate::document::{Action, Outcome};
use crate::effect::Budget;
use crate::effect::TooLarge;

/// Steps that one walk may take.
const MAX_STEPS: u32 = 200_000;

/// What some guardrails return, in the order in which they were asked.
pub(super) type Outcomes = Vec<(GuardId, Outcome)>;

/// What can block or modify a request: its pipelines, and its guardrails outside them.
pub(super) fn elements(world: &World<'_>, got: &Got) -> Vec<Element> {
    let alone = alone(world, got).into_iter().map(Element::Guardrail);
    got.pipes.iter().map(|pipe| Element::Pipeline(*pipe)).chain(alone).collect()
}

/// The guardrails that no pipeline runs, sorted.
pub(super) fn alone(world: &World<'_>, got: &Got) -> Vec<GuardId> {
    let pipes = got.pipes.iter().filter_map(|pipe| world.pipes.get(*pipe));
    let mut captured: Vec<GuardId> =
        pipes.flat_map(|pipe| pipe.steps.iter().map(|step| step.guardrail)).collect();
    captured.sort_unstable();
    got.gives
        .iter()
        .copied()
        .filter(|guardrail| captured.binary_search(guardrail).is_err())
        .collect()
}

/// The guardrails of a pipeline, sorted, whose failing it can let pass. Alone they would block; of others it
/// changes nothing that it runs them.
pub(super) fn pardons(pipe: &Pipe, budget: &Budget) -> Vec<GuardId> {
    let mut guardrails: Vec<GuardId> = pipe.steps.iter().map(|step| step.guardrail).collect();
    guardrails.sort_unstable();
    guardrails.dedup();
    guardrails.retain(|guardrail| {
        [Outcome::Fail, Outcome::Error].into_iter().any(|outcome| {
            let outcomes = vec![(*guardrail, outcome)];
            let mut walk =
                Walk { tasks: vec![(pipe, false)], alone: &[], outcomes, budget, steps: 0 };
            // What is too large to be walked is not ruled out.
            walk.go(0, 0).unwrap_or(true)
        })
    });
    guardrails
}

/// The guardrails that an element runs.
pub(super) fn runs(world: &World<'_>, element: Element) -> Vec<GuardId> {
    match element {
        Element::Guardrail(guardrail) => vec![guardrail],
        Element::Pipeline(pipe) => world
            .pipes
            .get(pipe)
            .map(|p| p.steps.iter().map(|step| step.guardrail).collect())
            .unwrap_or_default(),
    }
}

/// Outcomes with which the element acts and nothing of `head` does, if there are such. `alone` are the
/// guardrails that no pipeline of `head` runs.
pub(super) fn let_through(
    world: &World<'_>,
    element: Element,
    head: &Got,
    alone: &[GuardId],
    budget: &Budget,
) -> Result<Option<Outcomes>, TooLarge> {
    let mut tasks: Vec<(&Pipe, bool)> = Vec::new();
    let mut outcomes = Outcomes::new();
    match element {
        Element::Pipeline(pipe) if head.pipes.contains(&pipe) => return Ok(None),
        Element::Guardrail(guardrail) if alone.binary_search(&guardrail).is_ok() => {
            return Ok(None);
        }
        Element::Guardrail(guardrail) => outcomes.push((guardrail, Outcome::Fail)),
        Element::Pipeline(pipe) => tasks.extend(world.pipes.get(pipe).map(|pipe| (pipe, true))),
    }
    tasks.extend(
        head.pipes.iter().filter_map(|pipe| world.pipes.get(*pipe)).map(|pipe| (pipe, false)),
    );
    let mut walk = Walk { tasks, alone, outcomes, budget, steps: 0 };
    if walk.go(0, 0)? {
        return Ok(Some(walk.outcomes));
    }
    if let Element::Guardrail(guardrail) = element {
        walk.outcomes = vec![(guardrail, Outcome::Error)];
        if walk.go(0, 0)? {
            return Ok(Some(walk.outcomes));
        }
    }
    Ok(None)
}

struct Walk<'w, 'b> {
    /// Pipelines, and whether each must act or must not.
    tasks: Vec<(&'w Pipe, bool)>,
    /// Guardrails that must not fail, sorted.
    alone: &'b [GuardId],
    outcomes: Outcomes,
    budget: &'b Budget,
    steps: u32,
}

impl Walk<'_, '_> {
    /// Whether the rest can be done from a step on; then `outcomes` says how.
    fn go(&mut self, task: usize, step: usize) -> Result<bool, TooLarge> {
        self.steps += 1;
        if self.steps > MAX_STEPS || !self.budget.spend(1) {
            return Err(TooLarge);
        }
        let Some((pipe, must_act)) = self.tasks.get(task).copied() else { return Ok(true) };
        let Some(at) = pipe.steps.get(step) else {
            return if must_act { Ok(false) } else { self.go(task + 1, 0) };
        };
        let known = self
            .outcomes
            .iter()
            .find(|(guardrail, _)| *guardrail == at.guardrail)
            .map(|(_, outcome)| *outcome);
        let choices: &[Outcome] = match known {
            Some(Outcome::Pass) => &[Outcome::Pass],
            Some(Outcome::Fail) => &[Outcome::Fail],
            Some(Outcome::Error) => &[Outcome::Error],
            Some(Outcome::Skip) => &[Outcome::Skip],
            Some(Outcome::Unappliable) => &[Outcome::Unappliable],
            None if self.alone.binary_search(&at.guardrail).is_ok() => {
                &[Outcome::Pass, Outcome::Skip]
            }
            None => &[Outcome::Pass, Outcome::Fail, Outcome::Error, Outcome::Skip],
        };
        for outcome in choices {
            let length = self.outcomes.len();
            if known.is_none() {
                self.outcomes.push((at.guardrail, *outcome));
            }
            let done = match (at.action(*outcome), must_act) {
                (Action::Next, _) => self.go(task, step + 1)?,
                (Action::Allow, false) | (Action::Block | Action::ModifyResponse, true) => {
                    self.go(task + 1, 0)?
                }
                (Action::Allow, true) | (Action::Block | Action::ModifyResponse, false) => false,
            };
            if done {
                return Ok(true);
            }
            self.outcomes.truncate(length);
        }
        Ok(false)
    }
}
