//! Whether some request is blocked or modified by BASE and let through by HEAD.
//!
//! A request is acted on if any of its pipelines acts or any of its guardrails outside pipelines fails, so
//! the order of pipelines does not matter. What BASE does by something that both sets have, HEAD does too,
//! unless a pipeline that only HEAD has captures it. So one looks where an attachment or a policy gives
//! something in BASE only, and where a pipeline that is new meets what it captures; and from there on at
//! what may be met besides: pipelines that capture more, and an attachment that switches defaults off.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::boxes::model_witness;
use super::changes::{BASE, HEAD, order_key};
use super::cone::{Point, Points};
use super::eval::{Evaluated, Named};
use super::index::Rank;
use super::names::Names;
use super::patch::Givers;
use super::replay;
use super::report::Weakening;
use super::search::{Element, Search};
use super::walk::{self, Outcomes};
use super::world::{Given, GuardId, PipeId, ProfileId, World};
use crate::document::{Dimension, FinalAction, Outcome};
use crate::resolve::{self, Engine, Script, simulate};

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

/// What could be met besides to let more through.
#[derive(Debug, Default)]
struct Wanted {
    /// Guardrails that some pipeline would have to capture.
    captured: Vec<GuardId>,
    /// Guardrails that a pipeline would have to capture that BASE lacks: there they run by themselves.
    captured_anew: Vec<GuardId>,
    /// Whether defaults of HEAD would have to be switched off.
    switch: bool,
    /// Whether HEAD does by default what BASE does not: only then a default pipeline captures what both sets have.
    turned: bool,
}

/// The search for a weakening.
struct Hunt<'h, 'w, 'a> {
    search: &'h mut Search<'w, 'a>,
    names: &'h Names,
    engines: [&'h Engine; 2],
    /// Pipelines that only HEAD has.
    capturers: Vec<Capturer>,
    /// Whether a default attachment of HEAD has a pipeline.
    default_pipes: bool,
    /// What each pipeline captures that makes a difference, by [`walk::pardons`].
    pardons: Rc<FxHashMap<PipeId, Vec<GuardId>>>,
    /// The attachments of BASE by what they may give.
    givers: Rc<Givers>,
    seen: FxHashSet<Start>,
    found: Option<Weakening>,
    skipped: bool,
}

/// A request and outcomes that BASE acts on and HEAD does not, if there are such.
pub(super) fn weakening(
    search: &mut Search<'_, '_>,
    names: &Names,
    engines: [&Engine; 2],
) -> Option<Weakening> {
    let (world, budget) = (search.eval.world, search.eval.budget);
    let mut hunt = Hunt {
        pardons: Rc::new(
            world
                .pipes
                .numbers()
                .filter_map(|id| Some((id, walk::pardons(world.pipes.get(id)?, budget))))
                .collect(),
        ),
        givers: Rc::new(Givers::of_side(world, BASE, budget)),
        search,
        names,
        engines,
        capturers: Vec::new(),
        default_pipes: false,
        seen: FxHashSet::default(),
        found: None,
        skipped: false,
    };
    hunt.capturers = hunt.capturers();
    hunt.default_pipes = !hunt.default_capturers().is_empty();
    hunt.run();
    let Hunt { found, skipped, search, .. } = hunt;
    let cut_short = search.eval.budget.spent() && !search.changes.is_empty();
    if found.is_none() && (skipped || cut_short) {
        search.skip("whether HEAD blocks less than BASE".to_owned());
    }
    found
}

impl Hunt<'_, '_, '_> {
    fn run(&mut self) {
        for rank in self.search.changes.attachments.first().cloned().unwrap_or_default() {
            for point in self.search.points(BASE, rank, &Point::top()) {
                self.look(Start { point, named: Vec::new() }, 0);
            }
        }
        self.switched_off();
        let capturers = self.capturers.clone();
        for capturer in &capturers {
            self.captured_from_attached(capturer);
        }
        for policy in &self.search.changes.policies {
            self.look(Start { point: Point::top(), named: vec![policy.name.clone()] }, 0);
        }
        for capturer in &capturers {
            let top = Point::top();
            match capturer {
                Capturer::Attached(rank) => {
                    let points = self.search.points(HEAD, *rank, &top);
                    self.captured_from_named(capturer, points);
                }
                Capturer::Named(_) => self.captured_from_named(capturer, std::iter::once(top)),
            }
        }
        self.captured_by_default();
    }

    /// Default attachments of HEAD that have a pipeline.
    fn default_capturers(&self) -> Vec<Rank> {
        let world = self.search.eval.world;
        let givens = self.search.side(HEAD).map_or(&[][..], |side| &side.givens);
        (0..)
            .zip(givens)
            .filter(|(_, given)| {
                given.default && world.pipe_of(given.profile).is_some_and(|pipe| self.matters(pipe))
            })
            .map(|(rank, _)| rank)
            .collect()
    }

    /// What a default pipeline captures from a policy that a request names, where BASE has something else
    /// that HEAD lacks.
    fn captured_by_default(&mut self) {
        let defaults = self.default_capturers();
        let Some(head) = self.search.side(HEAD) else { return };
        for rank in self.search.changes.attachments.first().cloned().unwrap_or_default() {
            if defaults.is_empty() || self.over() {
                return;
            }
            for point in self.search.points(BASE, rank, &Point::top()) {
                let Ok(seen) = self.search.eval.evaluate(&point, &[], &[]) else { continue };
                let turns = |class| {
                    seen.outcome(BASE, class).non_default && !seen.outcome(HEAD, class).non_default
                };
                if !(0..seen.space.classes.len()).any(turns) {
                    continue;
                }
                for default in &defaults {
                    let points = head
                        .givens
                        .get(*default as usize)
                        .map_or_else(Points::none, |given| given.distinct.points(&point));
                    self.captured_from_named(&Capturer::Attached(*default), points);
                }
            }
        }
    }

    /// The guardrails that a pipeline captures to an effect.
    fn pardoned(&self, pipe: PipeId) -> &[GuardId] {
        self.pardons.get(&pipe).map_or(&[], Vec::as_slice)
    }

    fn matters(&self, pipe: PipeId) -> bool {
        !self.pardoned(pipe).is_empty()
    }

    fn over(&self) -> bool {
        self.found.is_some() || self.search.eval.budget.spent()
    }

    /// New attachments of HEAD met with defaults of BASE.
    fn switched_off(&mut self) {
        let (Some(base), Some(head)) = (self.search.side(BASE), self.search.side(HEAD)) else {
            return;
        };
        let defaults: Vec<Rank> =
            (0..).zip(&base.givens).filter(|(_, given)| given.default).map(|(r, _)| r).collect();
        // One that BASE has too, giving something else, switches off there what it switches off here.
        let world = self.search.eval.world;
        let before = self.search.changes.attachments.first().cloned().unwrap_or_default();
        let before = before.into_iter().filter_map(|rank| base.givens.get(rank as usize));
        let known: FxHashSet<_> =
            before.filter(|given| !given.default).map(|given| switch_key(world, given)).collect();
        for rank in self.search.changes.attachments.last().cloned().unwrap_or_default() {
            let Some(given) = head.givens.get(rank as usize) else { continue };
            if defaults.is_empty() || given.default || known.contains(&switch_key(world, given)) {
                continue;
            }
            self.together(rank, &defaults);
        }
    }

    /// An attachment of HEAD met with attachments of BASE.
    fn together(&mut self, rank: Rank, others: &[Rank]) {
        for point in self.search.points(HEAD, rank, &Point::top()) {
            for other in others {
                for both in self.search.points(BASE, *other, &point) {
                    self.look(Start { point: both, named: Vec::new() }, 0);
                }
                if self.over() {
                    return;
                }
            }
        }
    }

    fn capturers(&self) -> Vec<Capturer> {
        let (Some(base), Some(head)) = (self.search.side(BASE), self.search.side(HEAD)) else {
            return Vec::new();
        };
        let world = self.search.eval.world;
        let known: FxHashSet<_> =
            (0..).zip(&base.givens).filter_map(|(rank, _)| order_key(world, base, rank)).collect();
        let attached = (0..)
            .zip(&head.givens)
            .filter(|(_, given)| {
                world.pipe_of(given.profile).is_some_and(|pipe| self.matters(pipe))
            })
            .filter(|(rank, _)| {
                order_key(world, head, *rank).is_some_and(|key| !known.contains(&key))
            })
            .map(|(rank, _)| Capturer::Attached(rank));
        // A pipeline runs where its policy's own condition holds.
        let runs = |profile: &Option<ProfileId>| {
            let own = profile.and_then(|profile| world.chain(profile).last());
            (profile.and_then(|p| world.pipe_of(p)), own.and_then(|own| own.condition.clone()))
        };
        let is_new = |profiles: &[Option<ProfileId>]| match profiles {
            [before, after] => {
                let after = runs(after);
                after.0.is_some_and(|pipe| self.matters(pipe)) && runs(before) != after
            }
            _ => false,
        };
        let changed = self.search.changes.policies.iter();
        let named = changed
            .filter(|policy| is_new(&policy.profiles))
            .map(|policy| Capturer::Named(policy.name.clone()));
        attached.chain(named).collect()
    }

    /// What a pipeline that is new captures from attachments of BASE.
    fn captured_from_attached(&mut self, capturer: &Capturer) {
        let givers = Rc::clone(&self.givers);
        for guardrail in self.captured_by(capturer) {
            let others = givers.of(Element::Guardrail(guardrail));
            match capturer {
                Capturer::Attached(rank) => self.together(*rank, others),
                Capturer::Named(name) => {
                    for rank in others {
                        for point in self.search.points(BASE, *rank, &Point::top()) {
                            self.look(Start { point, named: vec![name.clone()] }, 0);
                        }
                        if self.over() {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// What it captures from policies that a request names.
    fn captured_from_named(&mut self, capturer: &Capturer, points: impl Iterator<Item = Point>) {
        let steps = self.captured_by(capturer);
        let Some(base) = self.search.side(BASE) else { return };
        let world = self.search.eval.world;

        // Of policies that do the same one is enough.
        let mut profiles = FxHashSet::default();
        self.search.eval.budget.spend(base.profiles.len() as u64);
        let policies: Vec<&Arc<str>> = base
            .set
            .policies
            .iter()
            .zip(&base.profiles)
            .filter(|(_, profile)| {
                steps.iter().any(|guardrail| world.may_give(**profile, *guardrail))
                    && profiles.insert(**profile)
            })
            .map(|(policy, _)| &policy.name)
            .collect();

        for point in points {
            for policy in &policies {
                let mut named = vec![Arc::clone(policy)];
                if let Capturer::Named(name) = capturer {
                    named.push(name.clone());
                }
                self.look(Start { point: point.clone(), named }, 0);
                if self.over() {
                    return;
                }
            }
        }
    }

    /// What a new pipeline captures to an effect.
    fn captured_by(&self, capturer: &Capturer) -> Vec<GuardId> {
        let head = self.search.side(HEAD);
        let profile = match capturer {
            Capturer::Attached(rank) => {
                head.and_then(|h| h.givens.get(*rank as usize)).map(|given| given.profile)
            }
            Capturer::Named(name) => self.profile(HEAD, name),
        };
        let world = self.search.eval.world;
        let pipe = profile.and_then(|profile| world.pipe_of(profile));
        pipe.map(|pipe| self.pardoned(pipe).to_vec()).unwrap_or_default()
    }

    fn profile(&self, side: usize, name: &str) -> Option<u32> {
        let side = self.search.side(side)?;
        let (id, _) = side.set.find(name)?;
        side.profiles.get(id.0 as usize).copied()
    }

    /// Looks at a place, and from there at what may be met besides.
    fn look(&mut self, start: Start, depth: usize) {
        if self.over() || start.point.is_empty_string() || !self.seen.insert(start.clone()) {
            self.skipped |= self.search.eval.budget.spent();
            return;
        }
        let named: Vec<Named> = start
            .named
            .iter()
            .map(|name| vec![self.profile(BASE, name), self.profile(HEAD, name)])
            .collect();
        let Ok(seen) = self.search.eval.evaluate(&start.point, &named, &[]) else {
            self.skipped = true;
            return;
        };
        let mut wanted = Wanted::default();
        for class in 0..seen.space.classes.len() {
            self.class(&start, &seen, class, &mut wanted);
            if self.over() {
                return;
            }
        }
        for list in [&mut wanted.captured, &mut wanted.captured_anew] {
            list.sort_unstable();
            list.dedup();
        }
        self.extend(&start, &wanted, depth);
    }

    fn class(&mut self, start: &Start, seen: &Evaluated, class: usize, wanted: &mut Wanted) {
        let world = self.search.eval.world;
        let (before, after) = (seen.outcome(BASE, class), seen.outcome(HEAD, class));
        let alone = walk::alone(world, after);
        let elements = walk::elements(world, before);
        let pairs = before.pipes.len() * after.pipes.len();
        self.search.eval.budget.spend((8 + before.gives.len() + after.gives.len() + pairs) as u64);
        let turned = before.non_default && !after.non_default;
        wanted.turned |= turned;
        // What HEAD does by default goes where something else matches. If BASE acts by default too, then what
        // switches it off in both sets changes nothing, and what does so only in HEAD is looked at by itself.
        let does_something = !after.gives.is_empty() || !after.pipes.is_empty();
        let alike = !turned && start.named.is_empty();
        wanted.switch |= does_something && !elements.is_empty() && !after.non_default && !alike;
        for element in elements {
            if matches!(element, Element::Pipeline(pipe) if after.pipes.contains(&pipe)) {
                continue;
            }
            match walk::let_through(world, element, after, &alone, self.search.eval.budget) {
                Ok(Some(outcomes)) => {
                    self.found = self.confirm(start, seen, class, &outcomes);
                    if self.found.is_some() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(_) => self.skipped = true,
            }
            let list = match element {
                Element::Guardrail(_) => &mut wanted.captured_anew,
                Element::Pipeline(_) => &mut wanted.captured,
            };
            list.extend(
                walk::runs(world, element).into_iter().filter(|g| alone.binary_search(g).is_ok()),
            );
        }
    }

    fn extend(&mut self, start: &Start, wanted: &Wanted, depth: usize) {
        // One step for each guardrail of a pipeline, and one for the defaults.
        if depth > 1 + wanted.captured.len() + wanted.captured_anew.len() {
            return;
        }
        let by_default = self.default_pipes && wanted.turned;
        let anew = !wanted.captured_anew.is_empty() && (!self.capturers.is_empty() || by_default);
        if !wanted.switch && wanted.captured.is_empty() && !anew {
            return;
        }
        let Some(head) = self.search.side(HEAD) else { return };
        let world = self.search.eval.world;
        let pardons = Rc::clone(&self.pardons);
        let captures = |profile: ProfileId, is_new: &dyn Fn() -> bool| {
            let Some(pipe) = world.pipe_of(profile) else { return false };
            let pardoned = pardons.get(&pipe).map_or(&[][..], Vec::as_slice);
            let one_of = |list: &[GuardId]| {
                pardoned.iter().any(|guardrail| list.binary_search(guardrail).is_ok())
            };
            one_of(&wanted.captured) || (one_of(&wanted.captured_anew) && is_new())
        };
        self.search.eval.budget.spend((head.givens.len() + head.profiles.len()) as u64);
        for (rank, given) in (0..).zip(&head.givens) {
            // A default one counts in HEAD where BASE has something else, though both have it.
            let is_new = || {
                (given.default && by_default) || self.capturers.contains(&Capturer::Attached(rank))
            };
            let useful = (wanted.switch && !given.default) || captures(given.profile, &is_new);
            if !useful || given.zone.covers(&start.point) || !given.zone.overlaps(&start.point) {
                continue;
            }
            for point in self.search.points(HEAD, rank, &start.point) {
                self.look(Start { point, named: start.named.clone() }, depth + 1);
            }
            if self.over() {
                return;
            }
        }
        if wanted.captured.is_empty() && wanted.captured_anew.is_empty() {
            return;
        }
        for (policy, profile) in head.set.policies.iter().zip(&head.profiles) {
            let is_new = || self.capturers.contains(&Capturer::Named(policy.name.clone()));
            if !start.named.contains(&policy.name) && captures(*profile, &is_new) {
                let mut named = start.named.clone();
                named.push(policy.name.clone());
                named.sort_unstable();
                self.look(Start { point: start.point.clone(), named }, depth + 1);
            }
            if self.over() {
                return;
            }
        }
    }

    /// The weakening as a request that the engines confirm.
    fn confirm(
        &self,
        start: &Start,
        seen: &Evaluated,
        class: usize,
        outcomes: &Outcomes,
    ) -> Option<Weakening> {
        let model = seen.space.classes.get(class).map(model_witness)?.model();
        let world = self.search.eval.world;
        let named: Vec<String> = start.named.iter().map(ToString::to_string).collect();
        let outcomes: BTreeMap<String, Outcome> = outcomes
            .iter()
            .map(|(guardrail, outcome)| (world.guardrail(*guardrail), *outcome))
            .collect();
        let catalog = &self.engines[1].set().catalog;
        let given: resolve::Outcomes<'_> =
            outcomes.iter().map(|(name, outcome)| (name.as_str(), vec![*outcome].into())).collect();
        for mut witness in self.names.requests(&start.point) {
            witness.set(Dimension::Model, model.clone());
            let request = replay::request(&witness, &named);
            let [before, after] = self.engines.map(|engine| {
                let script = Script::new(catalog, &given, &request.context);
                simulate(&engine.resolve(&request), script).action
            });
            if before != FinalAction::Allow && after == FinalAction::Allow {
                return Some(Weakening {
                    witness,
                    requested: named,
                    outcomes: outcomes
                        .iter()
                        .map(|(name, outcome)| (name.clone(), outcome.as_str()))
                        .collect(),
                    before: action(before),
                    after: action(after),
                    because: self.because(start, seen),
                });
            }
        }
        None
    }

    fn because(&self, start: &Start, seen: &Evaluated) -> Vec<super::report::Cause> {
        let changes = self.search.changes;
        let mut causes: Vec<&super::report::Cause> =
            start.named.iter().flat_map(|name| changes.behind_policy(name)).collect();
        for (side, ranks) in seen.ranks.iter().enumerate() {
            causes.extend(ranks.iter().flat_map(|rank| changes.behind_attachment(side, *rank)));
        }
        causes.sort_unstable();
        causes.dedup();
        causes.into_iter().cloned().collect()
    }
}

/// What an attachment would have to be the same in to switch off the same defaults.
fn switch_key<'w>(world: &'w World<'_>, given: &'w Given) -> impl Eq + std::hash::Hash + use<'w> {
    let conditions: Vec<_> =
        world.chain(given.profile).map(|member| member.condition.as_deref()).collect();
    (&given.zone, &given.models, conditions)
}

fn action(action: FinalAction) -> &'static str {
    match action {
        FinalAction::Allow => "allow",
        FinalAction::Block => "block",
        FinalAction::ModifyResponse => "modify_response",
    }
}
