//! Whether HEAD does less than BASE with some request: lets it through, stops it only when the
//! model has been called, or replaces the answer where BASE refuses the request.
//!
//! A request is acted on if any of its pipelines acts or any of its guardrails outside pipelines
//! fails, so the order of pipelines does not matter. What BASE does by something that both sets
//! have, HEAD does too, unless a pipeline that only HEAD has captures it. So one looks where an
//! attachment or a policy gives something in BASE only, and where a pipeline that is new meets what
//! it captures; and from there on at what may be met besides: pipelines that capture more, and an
//! attachment that switches defaults off.
//!
//! For example, where everyone gets `audit`, and HEAD gives the team `x` a pipeline:
//!
//! ```text
//! BASE   p: audit, scope "*"
//! HEAD   p: audit, scope "*"      q: teams [x], pipeline pre_call: audit, on_fail: allow
//!
//! capturers      q's attachment is new, and its pipeline pardons `audit`: a failing is let pass
//! givers         in BASE p's attachment gives `audit`: so look where both match, at the point (team x)
//! there          BASE: `audit` by itself blocks when it fails. HEAD: q's pipeline runs it, and allows
//! walk           outcomes {audit: fail} make BASE act and nothing of HEAD
//! confirm        the engines play the request (team x) with them: block before, allow after
//! ```
//!
//! The other two kinds are the same search with another question at each place. *Late* counts only
//! what stops a call before the model: a pipeline that moves from pre_call to post_call acts there
//! no more. *Softened* asks for outcomes with which one thing of BASE blocks and one pipeline of
//! HEAD modifies, all others at rest.

mod starts;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::boxes::model_witness;
use super::changes::{BASE, HEAD};
use super::cone::{Point, any_value};
use super::eval::{Evaluated, Named};
use super::index::Rank;
use super::names::ExampleNames;
use super::patch::ElementGivers;
use super::replay;
use super::report::{Weakening, WeakeningKind};
use super::search::{Element, Search};
use super::walk::{self, GuardrailOutcomes, View};
use super::world::{Given, GuardId, PipeId, ProfileId, World};
use crate::document::{Action, Dimension, FinalAction, Outcome, PipelineMode};
use crate::resolve::{self, Engine, Reaction, Script, Stage, simulate_call};

/// The most attachments and policies that are met one after the other from one place on.
const MAX_MEETINGS: usize = 64;

/// A place to look at: the generic requests of a point that name some policies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Start {
    point: Point,
    named: Vec<Arc<str>>,
}

/// A pipeline that only HEAD has: by an attachment, or by a policy that a request can name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Capturer {
    Attached(Rank),
    Named(Arc<str>),
}

/// What else, met at the same time, could let more through.
#[derive(Debug, Default)]
struct WantedHelp {
    /// Guardrails that some pipeline would have to capture.
    captured: Vec<GuardId>,
    /// Guardrails that a pipeline would have to capture that BASE lacks: there they run by
    /// themselves.
    captured_anew: Vec<GuardId>,
    /// Whether defaults of HEAD would have to be switched off.
    switch: bool,
    /// Whether defaults count in HEAD where something else does in BASE: only then a default
    /// pipeline of HEAD captures what both sets have.
    to_defaults: bool,
}

/// The search for a weakening.
struct Hunt<'h, 'w, 'a> {
    /// The way of doing less that is looked for.
    kind: WeakeningKind,
    search: &'h mut Search<'w, 'a>,
    names: &'h ExampleNames,
    engines: [&'h Engine; 2],
    /// Pipelines that only HEAD has.
    capturers: Vec<Capturer>,
    /// Whether a default attachment of HEAD has a pipeline.
    default_pipes: bool,
    /// What each pipeline captures that makes a difference, by [`View::pardoned_guardrails`].
    pardons: Rc<FxHashMap<PipeId, Vec<GuardId>>>,
    /// The attachments of BASE by what they may give.
    givers: Rc<ElementGivers>,
    seen: FxHashSet<Start>,
    found: Option<Weakening>,
    skipped: bool,
}

/// A request and outcomes for which HEAD does less than BASE, if there are such: the worst kind
/// first.
pub(super) fn find_weakening(
    search: &mut Search<'_, '_>,
    names: &ExampleNames,
    engines: [&Engine; 2],
) -> Option<Weakening> {
    let world = search.eval.world;
    let kinds = [
        WeakeningKind::LetThrough,
        WeakeningKind::Late,
        WeakeningKind::Softened,
    ];
    let possible = kinds
        .into_iter()
        .filter(|kind| may_be(world, *kind))
        .collect::<Vec<_>>();

    possible
        .into_iter()
        .find_map(|kind| weakening_of(kind, search, names, engines))
}

/// The pipelines that policies of a side have.
fn used_pipelines(world: &World<'_>, side: usize) -> FxHashSet<PipeId> {
    let side = world.side_at(side);
    let pipes = side.map(|side| side.pipes.as_slice()).unwrap_or_default();

    pipes.iter().copied().flatten().collect()
}

/// Whether the gateway runs a guardrail after the call of the model has begun.
fn runs_late(world: &World<'_>, guardrail: GuardId) -> bool {
    let runs = world.runs_of(guardrail);
    let runs_at = |stage| {
        let kinds_of_call = [false, true];
        kinds_of_call
            .iter()
            .any(|calls_tool| runs.runs_at(stage, *calls_tool) == Some(true))
    };

    runs_at(Stage::During) || runs_at(Stage::After)
}

/// Whether HEAD has what a weakening of a kind needs.
fn may_be(world: &World<'_>, kind: WeakeningKind) -> bool {
    let (before, after) = (used_pipelines(world, BASE), used_pipelines(world, HEAD));
    let mut new = after
        .difference(&before)
        .filter_map(|id| world.pipes.value_of(*id));
    match kind {
        WeakeningKind::LetThrough => true,
        WeakeningKind::Late => {
            let runs_late = |guardrail| runs_late(world, guardrail);

            new.any(|pipe| pipe.mode == PipelineMode::PostCall)
                || (before != after && world.guardrails.all_numbers().any(runs_late))
        }
        WeakeningKind::Softened => new.any(|pipe| {
            let modifies = |action: &Action| *action == Action::ModifyResponse;
            pipe.steps
                .iter()
                .any(|s| [s.on_pass, s.on_fail, s.on_error].iter().any(modifies))
        }),
    }
}

fn weakening_of(
    kind: WeakeningKind,
    search: &mut Search<'_, '_>,
    names: &ExampleNames,
    engines: [&Engine; 2],
) -> Option<Weakening> {
    let (world, budget) = (search.eval.world, search.eval.budget);
    let view = View {
        world,
        kind,
        calls_tool: false,
    };

    let mut hunt = Hunt {
        kind,
        pardons: Rc::new(
            world
                .pipes
                .all_numbers()
                .filter_map(|id| {
                    Some((
                        id,
                        view.pardoned_guardrails(world.pipes.value_of(id)?, budget),
                    ))
                })
                .collect(),
        ),
        givers: Rc::new(ElementGivers::of_side(world, BASE, budget)),
        search,
        names,
        engines,
        capturers: Vec::new(),
        default_pipes: false,
        seen: FxHashSet::default(),
        found: None,
        skipped: false,
    };

    hunt.capturers = hunt.find_capturers();
    hunt.default_pipes = !hunt.default_capturers().is_empty();
    hunt.run_hunt();
    let Hunt {
        found,
        skipped,
        search,
        ..
    } = hunt;
    let cut_short = search.eval.budget.is_spent() && !search.changes.is_empty();
    if found.is_none() && (skipped || cut_short) {
        search.note_skipped("whether HEAD blocks less than BASE".to_owned());
    }

    found
}

impl Hunt<'_, '_, '_> {
    fn is_over(&self) -> bool {
        self.found.is_some() || self.search.eval.budget.is_spent()
    }

    fn profile_of(&self, side: usize, name: &str) -> Option<u32> {
        let side = self.search.side_at(side)?;
        let (id, _) = side.set.find_policy(name)?;
        side.profiles.get(id.0 as usize).copied()
    }

    /// Evaluates one start, then extends it by what could let more through.
    fn look_at(&mut self, start: Start, depth: usize) {
        if self.is_over() || start.point.is_empty_string() || !self.seen.insert(start.clone()) {
            self.skipped |= self.search.eval.budget.is_spent();
            return;
        }

        let named: Vec<Named> = start
            .named
            .iter()
            .map(|name| vec![self.profile_of(BASE, name), self.profile_of(HEAD, name)])
            .collect();
        let Ok(seen) = self.search.eval.evaluate_point(&start.point, &named, &[]) else {
            self.skipped = true;
            return;
        };
        let mut wanted = WantedHelp::default();
        for class in 0..seen.space.classes.len() {
            self.look_at_class(&start, &seen, class, &mut wanted);
            if self.is_over() {
                return;
            }
        }

        for list in [&mut wanted.captured, &mut wanted.captured_anew] {
            list.sort_unstable();
            list.dedup();
        }

        self.look_further(&start, &wanted, depth);
    }

    fn look_at_class(
        &mut self,
        start: &Start,
        seen: &Evaluated,
        class: usize,
        wanted: &mut WantedHelp,
    ) {
        let world = self.search.eval.world;
        let (before, after) = (seen.outcome_of(BASE, class), seen.outcome_of(HEAD, class));
        let calls_tool = start.point.values[Dimension::Tool] != any_value();
        let view = View {
            world,
            kind: self.kind,
            calls_tool,
        };

        let budget = self.search.eval.budget;
        let alone = view.guardrails_alone(after, budget);
        let elements = view.stopping_elements(before, budget);
        let pairs = before.pipes.len() * after.pipes.len();
        self.search
            .eval
            .budget
            .spend((8 + before.gives.len() + after.gives.len() + pairs) as u64);
        let to_defaults = before.non_default && !after.non_default;
        wanted.to_defaults |= to_defaults;
        // What HEAD does by default goes where something else matches. If BASE acts by default too,
        // then what switches it off in both sets changes nothing, and what does so only in HEAD is
        // looked at by itself.
        let does_something = !after.gives.is_empty() || !after.pipes.is_empty();
        let alike = !to_defaults && start.named.is_empty();
        wanted.switch |= does_something && !elements.is_empty() && !after.non_default && !alike;

        for element in elements {
            if matches!(element, Element::Pipeline(pipe) if after.pipes.contains(&pipe)) {
                continue;
            }

            let budget = self.search.eval.budget;
            let outcomes = match self.kind {
                WeakeningKind::LetThrough | WeakeningKind::Late => {
                    view.find_let_through(element, after, &alone, budget)
                }
                WeakeningKind::Softened => view.find_softened(element, [before, after], budget),
            };

            match outcomes {
                Ok(Some(outcomes)) => {
                    self.found = self.confirm_weakening(start, seen, class, &outcomes);
                    if self.found.is_some() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(_) => self.skipped = true,
            }

            if self.is_over() {
                return;
            }

            let list = match element {
                Element::Guardrail(_) => &mut wanted.captured_anew,
                Element::Pipeline(_) => &mut wanted.captured,
            };

            let run = walk::guardrails_run(world, element);
            budget.spend(run.len() as u64);
            list.extend(run.into_iter().filter(|g| alone.binary_search(g).is_ok()));
        }
    }

    /// Looks at the place once more with what could let more through: attachments and named
    /// policies of HEAD.
    fn look_further(&mut self, start: &Start, wanted: &WantedHelp, depth: usize) {
        if depth > MAX_MEETINGS {
            self.skipped = true;
            return;
        }

        // One step for each guardrail of a pipeline, and one for the defaults.
        if depth > 1 + wanted.captured.len() + wanted.captured_anew.len() {
            return;
        }

        let by_default = self.default_pipes && wanted.to_defaults;
        let anew = !wanted.captured_anew.is_empty() && (!self.capturers.is_empty() || by_default);
        if !wanted.switch && wanted.captured.is_empty() && !anew {
            return;
        }

        let Some(head) = self.search.side_at(HEAD) else {
            return;
        };
        let world = self.search.eval.world;
        let pardons = Rc::clone(&self.pardons);
        let budget = self.search.eval.budget;
        let captures = |profile: ProfileId, is_new: &dyn Fn() -> bool| {
            let Some(pipe) = world.pipe_of(profile) else {
                return false;
            };
            let pardoned = pardons.get(&pipe).map_or(&[][..], Vec::as_slice);
            if !budget.spend(pardoned.len() as u64) {
                return false;
            }

            let one_of = |list: &[GuardId]| {
                pardoned
                    .iter()
                    .any(|guardrail| list.binary_search(guardrail).is_ok())
            };

            one_of(&wanted.captured) || (one_of(&wanted.captured_anew) && is_new())
        };

        self.search
            .eval
            .budget
            .spend((head.givens.len() + head.profiles.len()) as u64);
        for (rank, given) in (0..).zip(&head.givens) {
            // A default one counts in HEAD where BASE has something else, though both have it.
            let is_new = || {
                (given.default && by_default) || self.capturers.contains(&Capturer::Attached(rank))
            };
            let useful = (wanted.switch && !given.default) || captures(given.profile, &is_new);
            if !useful
                || given.zone.covers_point(&start.point)
                || !given.zone.overlaps_point(&start.point)
            {
                continue;
            }

            for point in self.search.points_within(HEAD, rank, &start.point) {
                self.look_at(
                    Start {
                        point,
                        named: start.named.clone(),
                    },
                    depth + 1,
                );
            }

            if self.is_over() {
                return;
            }
        }

        if wanted.captured.is_empty() && wanted.captured_anew.is_empty() {
            return;
        }

        for (policy, profile) in head.set.policies.iter().zip(&head.profiles) {
            let is_new = || {
                self.capturers
                    .contains(&Capturer::Named(policy.name.clone()))
            };

            if !start.named.contains(&policy.name) && captures(*profile, &is_new) {
                let mut named = start.named.clone();
                named.push(policy.name.clone());
                named.sort_unstable();
                self.look_at(
                    Start {
                        point: start.point.clone(),
                        named,
                    },
                    depth + 1,
                );
            }

            if self.is_over() {
                return;
            }
        }
    }

    /// The weakening as a request that the engines confirm.
    fn confirm_weakening(
        &mut self,
        start: &Start,
        seen: &Evaluated,
        class: usize,
        outcomes: &GuardrailOutcomes,
    ) -> Option<Weakening> {
        let model = seen
            .space
            .classes
            .get(class)
            .map(model_witness)?
            .find_model();
        let world = self.search.eval.world;
        let named: Vec<String> = start.named.iter().map(ToString::to_string).collect();
        let outcomes: BTreeMap<String, Outcome> = outcomes
            .iter()
            .map(|(guardrail, outcome)| (world.guardrail_name(*guardrail), *outcome))
            .collect();
        let catalog = &self.engines[1].set().catalog;
        let given: resolve::Outcomes<'_> = outcomes
            .iter()
            .map(|(name, outcome)| (name.as_str(), vec![*outcome].into()))
            .collect();
        let mut tried = false;
        for mut witness in self.names.example_requests(&start.point) {
            tried = true;
            witness.set_values(Dimension::Model, model.clone());
            let request = replay::replay_request(&witness, &named);
            let [before, after] = self.engines.map(|engine| {
                let script = Script::new(catalog, &given, &request.context);
                simulate_call(&engine.resolve(&request), script)
            });
            if is_weaker(self.kind, before, after) {
                return Some(Weakening {
                    at: None,
                    until: None,
                    kind: self.kind,
                    witness,
                    requested: named,
                    outcomes: outcomes
                        .iter()
                        .map(|(name, outcome)| (name.clone(), outcome.as_str()))
                        .collect(),
                    before: action_word(before.action),
                    after: action_word(after.action),
                    because: self.find_causes(start, seen),
                });
            }
        }

        // What the engines do not confirm is not shown, and not taken for nothing either.
        self.skipped |= tried;
        None
    }

    fn find_causes(&self, start: &Start, seen: &Evaluated) -> Vec<super::report::Cause> {
        let changes = self.search.changes;
        let mut causes: Vec<&super::report::Cause> = start
            .named
            .iter()
            .flat_map(|name| changes.behind_policy(name))
            .collect();

        for (side, ranks) in seen.ranks.iter().enumerate() {
            causes.extend(
                ranks
                    .iter()
                    .flat_map(|rank| changes.behind_attachment(side, *rank)),
            );
        }

        causes.sort_unstable();
        causes.dedup();
        causes.into_iter().cloned().collect()
    }
}

/// Whether what HEAD does with a call is less than what BASE does, in this way.
pub(super) fn is_weaker(kind: WeakeningKind, before: Reaction, after: Reaction) -> bool {
    match kind {
        WeakeningKind::LetThrough => {
            before.action != FinalAction::Allow && after.action == FinalAction::Allow
        }
        WeakeningKind::Late => {
            before.stage == Some(Stage::Before)
                && after.action != FinalAction::Allow
                && after.stage.is_some_and(|stage| stage > Stage::Before)
        }
        WeakeningKind::Softened => {
            before.action == FinalAction::Block && after.action == FinalAction::ModifyResponse
        }
    }
}

/// What an attachment would have to be the same in to switch off the same defaults.
fn switch_key<'w>(world: &'w World<'_>, given: &'w Given) -> impl Eq + std::hash::Hash + use<'w> {
    let conditions: Vec<_> = world
        .chain_of(given.profile)
        .map(|member| member.condition.as_deref())
        .collect();
    (&given.zone, &given.models, conditions)
}

fn action_word(action: FinalAction) -> &'static str {
    match action {
        FinalAction::Allow => "allow",
        FinalAction::Block => "block",
        FinalAction::ModifyResponse => "modify_response",
    }
}
