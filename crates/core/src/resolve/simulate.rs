//! What pipelines and guardrails would do with given outcomes: for tests and proofs, never for traffic.

use rustc_hash::FxHashMap;

use super::{Resolution, ResolvedPipeline};
use crate::document::{Action, FinalAction, Outcome, PipelineMode};

/// What happens to a request in the end, taking every guardrail not named to pass.
///
/// The pre_call pipelines run in the order of their policies, then the guardrails outside pipelines, then
/// the post_call pipelines. The first that ends in another action than allow is the answer.
pub fn simulate(resolution: &Resolution<'_>, outcomes: &FxHashMap<&str, Outcome>) -> FinalAction {
    let outcome = |name: &str| outcomes.get(name).copied().unwrap_or(Outcome::Pass);
    let of_mode =
        |mode: PipelineMode| resolution.pipelines.iter().filter(move |p| p.pipeline.mode == mode);
    let mut before = of_mode(PipelineMode::PreCall).map(|pipeline| run(pipeline, outcome));
    if let Some(action) = before.find(|action| *action != FinalAction::Allow) {
        return action;
    }
    let alone = |name: &&&str| resolution.pipeline_guardrails.binary_search(*name).is_err();
    let blocks = |name: &&str| matches!(outcome(name), Outcome::Fail | Outcome::Error);
    if resolution.guardrails.iter().filter(alone).any(blocks) {
        return FinalAction::Block;
    }
    let mut after = of_mode(PipelineMode::PostCall).map(|pipeline| run(pipeline, outcome));
    after.find(|action| *action != FinalAction::Allow).unwrap_or(FinalAction::Allow)
}

/// One pipeline, step by step; running out of steps allows.
fn run(resolved: &ResolvedPipeline<'_>, outcome: impl Fn(&str) -> Outcome) -> FinalAction {
    for step in &resolved.pipeline.steps {
        match step.action(outcome(resolved.set.guardrail(step.guardrail))) {
            Action::Next => {}
            Action::Allow => return FinalAction::Allow,
            Action::Block => return FinalAction::Block,
            Action::ModifyResponse => return FinalAction::ModifyResponse,
        }
    }
    FinalAction::Allow
}
