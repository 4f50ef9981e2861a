//! Witnesses run through the engine that serves: nothing is shown that it does not say too.

use super::eval::in_running_order;
use super::report::{PipelineView, StepView};
use super::search::OutcomeChange;
use super::world::{GuardId, Pipe, PipeId, PipeStep, World};
use crate::document::{Action, PipelineMode};
use crate::policy::{Context, Pipeline, PolicySet, Step};
use crate::resolve::{Engine, Request, Requested, Resolution};

/// A witness as a request.
pub(super) fn replay_request(witness: &Context, named: &[String]) -> Request {
    Request {
        context: witness.clone(),
        policies: named.iter().cloned().map(Requested::Named).collect(),
    }
}

/// What a request loses and gains, and its pipelines on both sides, by the engines; `None` where
/// these name something that the world does not know.
pub(super) fn replayed_change(
    world: &World<'_>,
    engines: [&Engine; 2],
    request: &Request,
) -> Option<(OutcomeChange, Vec<PipelineView>, Vec<PipelineView>)> {
    let [base, head] = engines.map(|engine| engine.resolve(request));
    let (before, after) = (guardrail_ids(world, &base)?, guardrail_ids(world, &head)?);
    let (old, new) = (pipe_ids(world, &base)?, pipe_ids(world, &head)?);
    let change = OutcomeChange::between((&before, &old), (&after, &new));

    Some((change, pipeline_views(&base), pipeline_views(&head)))
}

/// The units of work that replaying a request that loses and gains so much takes beside a constant
/// part: its guardrails and the steps of its pipelines.
pub(super) fn work_of_replay(world: &World<'_>, change: &OutcomeChange) -> u64 {
    let pipes = change.pipes.iter();
    let pipes = pipes.flat_map(|(before, after)| before.iter().chain(after));
    let steps = pipes.filter_map(|pipe| Some(world.pipes.value_of(*pipe)?.steps.len()));
    let steps: usize = steps.sum();

    (8 * steps + change.lost.len() + change.gained.len()) as u64
}

fn guardrail_ids(world: &World<'_>, resolution: &Resolution<'_>) -> Option<Vec<GuardId>> {
    let mut ids: Vec<GuardId> = resolution
        .guardrails
        .iter()
        .map(|name| world.guardrails.find_number(*name))
        .collect::<Option<_>>()?;

    ids.sort_unstable();
    Some(ids)
}

fn pipe_ids(world: &World<'_>, resolution: &Resolution<'_>) -> Option<Vec<PipeId>> {
    let ids = resolution
        .pipelines
        .iter()
        .map(|p| pipe_id(world, p.pipeline, p.set))
        .collect::<Option<Vec<_>>>()?;

    Some(in_running_order(world, ids))
}

fn pipe_id(world: &World<'_>, pipeline: &Pipeline, set: &PolicySet) -> Option<PipeId> {
    let steps = pipeline
        .steps
        .iter()
        .map(|step| known_step(world, step, set))
        .collect::<Option<_>>()?;
    world.pipes.find_number(&Pipe {
        mode: pipeline.mode,
        steps,
    })
}

/// A step in the world's numbers; `None`: its guardrail is not known there.
fn known_step(world: &World<'_>, step: &Step, set: &PolicySet) -> Option<PipeStep> {
    let guardrail = world
        .guardrails
        .find_number(set.guardrail(step.guardrail))?;

    Some(PipeStep {
        guardrail,
        on_pass: step.on_pass,
        on_fail: step.on_fail,
        on_error: step.on_error.unwrap_or(step.on_fail),
        pass_data: step.pass_data,
        message: step.modify_response_message.clone(),
    })
}

fn pipeline_views(resolution: &Resolution<'_>) -> Vec<PipelineView> {
    let step = |set: &PolicySet, step: &Step| StepView {
        guardrail: set.guardrail(step.guardrail).to_owned(),
        on_pass: action_word(step.on_pass),
        on_fail: action_word(step.on_fail),
        on_error: action_word(step.on_error.unwrap_or(step.on_fail)),
        pass_data: step.pass_data,
    };

    resolution
        .pipelines
        .iter()
        .map(|resolved| PipelineView {
            policy: resolved.policy.to_owned(),
            mode: match resolved.pipeline.mode {
                PipelineMode::PreCall => "pre_call",
                PipelineMode::PostCall => "post_call",
            },
            steps: resolved
                .pipeline
                .steps
                .iter()
                .map(|own| step(resolved.set, own))
                .collect(),
        })
        .collect()
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Block => "block",
        Action::Next => "next",
        Action::ModifyResponse => "modify_response",
    }
}
