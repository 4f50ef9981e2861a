//! What pipelines and guardrails would do with given outcomes: for tests and proofs, never for
//! traffic.
//!
//! The order is LiteLLM's. A call passes three stages: before the model, during, and after it. At
//! the first and the last the pipelines of that mode run in the order of their policies, then the
//! guardrails that no pipeline of that mode has as a step. The first thing that acts ends the call.
//! For example, with
//!
//! ```text
//! catalog   pii: [pre_call, post_call]    audit: [post_call]
//! pipeline  pre_call: pii (on_fail: next), audit (on_fail: block)
//! ```
//!
//! and both failing: the pipeline goes on after `pii`, and `audit` passes in silence, since the
//! gateway does not run it in that mode; so the model is called. After it `pii` runs by itself and
//! blocks: a pipeline takes over its guardrails in its own mode only.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::{Resolution, ResolvedPipeline};
use crate::document::{
    Action, Dimension, FinalAction, GuardrailMode, Outcome, PipelineMode, StreamScope,
};
use crate::policy::{Catalog, Context, KnownGuardrail, Step};

/// A point of a call at which it can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before the model, or the tool, is called.
    Before,
    /// While it is called.
    During,
    /// After it has answered.
    After,
}

impl Stage {
    /// Every stage, in the order of a call.
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];

    /// The stage at which pipelines of a mode run.
    pub fn from_mode(mode: PipelineMode) -> Self {
        match mode {
            PipelineMode::PreCall => Self::Before,
            PipelineMode::PostCall => Self::After,
        }
    }

    /// The mode that a guardrail has to have to run at it.
    pub fn mode(self, calls_tool: bool) -> GuardrailMode {
        match (self, calls_tool) {
            (Self::Before, false) => GuardrailMode::PreCall,
            (Self::Before, true) => GuardrailMode::PreMcpCall,
            (Self::During, false) => GuardrailMode::DuringCall,
            (Self::During, true) => GuardrailMode::DuringMcpCall,
            (Self::After, false) => GuardrailMode::PostCall,
            (Self::After, true) => GuardrailMode::PostMcpCall,
        }
    }
}

/// What happens to a call in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaction {
    /// What is done.
    pub action: FinalAction,
    /// Where; `None`: it is let through, or stopped by a guardrail whose modes are not known.
    pub stage: Option<Stage>,
}

/// What each guardrail returns each time that it runs, in order; the last one from then on.
pub type Outcomes<'a> = FxHashMap<&'a str, Cow<'a, [Outcome]>>;

/// A call as it is played: what guardrails return, and when the gateway runs them.
///
/// A guardrail without outcomes passes; one that only looks at streams is skipped, since a call
/// that is played is no stream unless its outcomes say so.
#[derive(Debug, Clone)]
pub struct Script<'a> {
    catalog: &'a Catalog,
    outcomes: &'a Outcomes<'a>,
    calls_tool: bool,
    /// How often each guardrail has run.
    runs: FxHashMap<&'a str, usize>,
}

impl<'a> Script<'a> {
    /// The script of a request of this context.
    pub fn new(catalog: &'a Catalog, outcomes: &'a Outcomes<'a>, context: &Context) -> Self {
        let calls_tool = !context.values(Dimension::Tool).is_empty();
        Self {
            catalog,
            outcomes,
            calls_tool,
            runs: FxHashMap::default(),
        }
    }

    /// Plays one pipeline step by step; `visit` sees each step and its outcome. Running out of
    /// steps allows.
    pub(super) fn run_pipeline(
        &mut self,
        resolved: &ResolvedPipeline<'_>,
        mut visit: impl FnMut(&Step, Outcome),
    ) -> FinalAction {
        let mode = Stage::from_mode(resolved.pipeline.mode).mode(self.calls_tool);
        for step in &resolved.pipeline.steps {
            let outcome = self.run_step(resolved.set.guardrail(step.guardrail), mode);
            visit(step, outcome);
            match step.action_after(outcome) {
                Action::Next => {}
                Action::Allow => return FinalAction::Allow,
                Action::Block => return FinalAction::Block,
                Action::ModifyResponse => return FinalAction::ModifyResponse,
            }
        }

        FinalAction::Allow
    }

    /// What a guardrail returns as a step: it passes where the gateway does not run it in that
    /// mode.
    fn run_step(&mut self, name: &str, mode: GuardrailMode) -> Outcome {
        let outcome = self.outcome_of(name, mode);
        let known = self
            .catalog
            .guardrail(name)
            .and_then(|known| known.runs_in(mode));
        match (known, outcome) {
            // Whether a stream is looked at is asked first.
            (Some(false), Outcome::Skip) => Outcome::Skip,
            (Some(false), _) => Outcome::Pass,
            (Some(true) | None, outcome) => {
                self.count_run(name);
                outcome
            }
        }
    }

    /// What a guardrail would return now.
    fn outcome_of(&self, name: &str, mode: GuardrailMode) -> Outcome {
        let Some(outcomes) = self.outcomes.get(name) else {
            return match stream_scope(self.catalog.guardrail(name), mode) {
                StreamScope::Streaming => Outcome::Skip,
                StreamScope::Both | StreamScope::NonStreaming => Outcome::Pass,
            };
        };
        let run = self.runs.get(name).copied().unwrap_or(0);
        outcomes
            .get(run)
            .or(outcomes.last())
            .copied()
            .unwrap_or(Outcome::Pass)
    }

    fn count_run(&mut self, name: &str) {
        if let Some((name, _)) = self.outcomes.get_key_value(name) {
            *self.runs.entry(name).or_default() += 1;
        }
    }

    /// Whether a guardrail that runs by itself at a stage stops the call.
    fn stops_call(&mut self, name: &str, mode: GuardrailMode) -> bool {
        let outcome = self.outcome_of(name, mode);
        self.count_run(name);
        match outcome {
            Outcome::Fail | Outcome::Error | Outcome::Unappliable => true,
            Outcome::Pass | Outcome::Skip => false,
        }
    }
}

fn stream_scope(known: Option<&KnownGuardrail>, mode: GuardrailMode) -> StreamScope {
    let scopes = known.and_then(|known| known.stream_scope.as_ref());
    scopes.map_or(StreamScope::Both, |scopes| scopes.scope_in(mode))
}

/// What happens to a request in the end.
///
/// Guardrails whose modes no catalog gives run before the model, unless a pipeline of any mode has
/// them as a step. Those that a catalog says are on by default run whatever the policies say.
pub fn simulate_call(resolution: &Resolution<'_>, mut script: Script<'_>) -> Reaction {
    for stage in Stage::ALL {
        let reaction = |action| Reaction {
            action,
            stage: Some(stage),
        };

        let at_stage = resolution
            .pipelines
            .iter()
            .filter(|p| Stage::from_mode(p.pipeline.mode) == stage);
        for pipeline in at_stage {
            let action = script.run_pipeline(pipeline, |_, _| ());
            if action != FinalAction::Allow {
                return reaction(action);
            }
        }

        let mode = stage.mode(script.calls_tool);
        for name in by_themselves(resolution, script.catalog, stage, mode) {
            if script.stops_call(name, mode) {
                let known = script
                    .catalog
                    .guardrail(name)
                    .is_some_and(|g| g.modes.is_some());
                let stage = known.then_some(stage);
                return Reaction {
                    action: FinalAction::Block,
                    stage,
                };
            }
        }
    }

    Reaction {
        action: FinalAction::Allow,
        stage: None,
    }
}

/// The guardrails that run at a stage without a pipeline.
fn by_themselves<'a>(
    resolution: &'a Resolution<'_>,
    catalog: &'a Catalog,
    stage: Stage,
    mode: GuardrailMode,
) -> Vec<&'a str> {
    let is_default = |known: &&KnownGuardrail| known.default_on == Some(true);
    let defaults = catalog.guardrails.iter().flatten().filter(is_default);
    let mut names: Vec<&str> = resolution.guardrails.to_vec();
    names.extend(defaults.map(|known| &*known.name));
    names.sort_unstable();
    names.dedup();

    names.retain(|name| {
        match catalog
            .guardrail(name)
            .and_then(|known| known.runs_in(mode))
        {
            Some(runs) => runs && !is_captured(resolution, name, Some(stage)),
            None => stage == Stage::Before && !is_captured(resolution, name, None),
        }
    });
    names
}

/// Whether a pipeline of a stage, or of any, has a guardrail as a step.
fn is_captured(resolution: &Resolution<'_>, name: &str, stage: Option<Stage>) -> bool {
    let of_stage = |resolved: &&ResolvedPipeline<'_>| {
        stage.is_none_or(|stage| Stage::from_mode(resolved.pipeline.mode) == stage)
    };

    resolution
        .pipelines
        .iter()
        .filter(of_stage)
        .any(|resolved| {
            let mut steps = resolved.pipeline.steps.iter();
            steps.any(|step| resolved.set.guardrail(step.guardrail) == name)
        })
}
