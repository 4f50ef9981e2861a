//! Where BASE and HEAD answer differently: the points to look at, and the differences found there.
//!
//! Attachments that both sets have cancel each other out. An attachment that only one set has is
//! looked at in three steps. For example:
//!
//! ```text
//! BASE   d: audit, teams [x, y], default     p: audit, teams [x]
//! HEAD   d: audit, teams [x, y], default     q: log,   keys [k]
//!
//! 1 its own points       p at (team x): BASE gives audit by p, HEAD by d: equal, but only the
//!                        default attachment d hides that p is gone
//!                        q at (key k): HEAD gives log, BASE does not: log is gained
//! 2 behind defaults      q switches HEAD's d off where both match: at (team x, key k) BASE gives
//!                        audit and HEAD does not: audit is lost
//! 3 defaults that are    q is new, and BASE's d still gives audit where q switches HEAD's d off:
//!   switched off         at (team y, key k) audit is lost
//! ```
//!
//! Policies that requests can name are looked at the same way, by name instead of by attachment.
//! docs/prove.md has the argument that nothing else has to be looked at.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::changes::{BASE, ChangedPolicy, Changes, HEAD};
use super::cone::{Point, Points};
use super::eval::{self, Evaluated, Evaluator, Named};
use super::index::Rank;
use super::pipelines;
use super::world::{GuardId, PipeId, ProfileId, Side, World};
use crate::effect::Space;

/// Budget units charged for each difference, which has to be described later.
const PER_FOUND: u64 = 50;
/// Guardrails of a request before and after that are compared at no cost.
const FREE_GUARDRAILS: u64 = 16;
/// The most differences kept, so that memory stays bounded.
const MAX_FOUND: usize = 150_000;

/// What requests of a point lose and gain, for some classes of models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OutcomeChange {
    pub lost: Vec<GuardId>,
    pub gained: Vec<GuardId>,
    /// The pipelines before and after, where they differ.
    pub pipes: Option<(Vec<PipeId>, Vec<PipeId>)>,
}

impl OutcomeChange {
    /// The difference between two answers, each given as sorted guardrails and pipelines in order.
    pub(super) fn between(
        (guardrails_before, pipes_before): (&[GuardId], &[PipeId]),
        (guardrails_after, pipes_after): (&[GuardId], &[PipeId]),
    ) -> Self {
        let pipes =
            (pipes_before != pipes_after).then(|| (pipes_before.to_vec(), pipes_after.to_vec()));

        Self {
            lost: sorted_difference(guardrails_before, guardrails_after),
            gained: sorted_difference(guardrails_after, guardrails_before),
            pipes,
        }
    }
}

/// The guardrails of one sorted list that another one lacks.
fn sorted_difference(list: &[GuardId], other: &[GuardId]) -> Vec<GuardId> {
    let is_missing = |guardrail: &&GuardId| other.binary_search(guardrail).is_err();
    list.iter().filter(is_missing).copied().collect()
}

/// A policy that requests may name.
#[derive(Debug, Clone)]
pub(super) struct NamedRequest {
    pub name: Arc<str>,
    pub named: Named,
}

impl NamedRequest {
    pub(super) fn from_policy(policy: &ChangedPolicy) -> Self {
        Self {
            name: policy.name.clone(),
            named: policy.profiles.clone(),
        }
    }
}

/// A difference between BASE and HEAD at one point.
#[derive(Debug)]
pub(super) struct Difference {
    pub point: Point,
    pub requested: Option<Arc<str>>,
    pub space: Rc<Space>,
    pub classes: Vec<usize>,
    /// For each side, whether default attachments decide for one of the classes.
    pub by_default: [bool; 2],
    pub change: OutcomeChange,
}

/// A guardrail or a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Guardrail(GuardId),
    Pipeline(PipeId),
}

/// The search for differences.
#[derive(Debug)]
pub(super) struct Search<'w, 'a> {
    pub eval: Evaluator<'w, 'a>,
    pub changes: &'w Changes<'w, 'a>,
    pub found: Vec<Difference>,
    /// What could not be analysed, one sentence each.
    pub skipped: Vec<String>,
    /// The default attachments of each side.
    defaults: [Vec<Rank>; 2],
    seen: FxHashSet<(Point, Option<Arc<str>>)>,
}

impl<'w, 'a> Search<'w, 'a> {
    pub(super) fn new(eval: Evaluator<'w, 'a>, changes: &'w Changes<'w, 'a>) -> Self {
        let defaults = [BASE, HEAD].map(|side| {
            let givens = eval
                .world
                .side_at(side)
                .map_or(&[][..], |side| &side.givens);
            (0..)
                .zip(givens)
                .filter(|(_, given)| given.default)
                .map(|(rank, _)| rank)
                .collect()
        });

        Self {
            eval,
            changes,
            found: Vec::new(),
            skipped: Vec::new(),
            defaults,
            seen: FxHashSet::default(),
        }
    }

    /// Runs all steps of the search, until the budget is spent.
    pub(super) fn run_search(&mut self) {
        for this in [BASE, HEAD] {
            for rank in self.changed_attachments(this) {
                if self.is_over() {
                    return;
                }

                self.look_at_own(this, rank);
            }
        }

        for this in [BASE, HEAD] {
            for rank in self.changed_attachments(1 - this) {
                if self.is_over() {
                    return;
                }

                self.look_where_switched_off(this, rank);
            }
        }

        for policy in &self.changes.policies {
            if self.is_over() {
                return;
            }

            self.look_by_name(&NamedRequest::from_policy(policy));
        }

        pipelines::look_at_order(self);
        self.is_over();
    }

    /// Whether the budget or the room for differences is used up.
    pub(super) fn is_full(&self) -> bool {
        self.eval.budget.is_spent() || self.found.len() >= MAX_FOUND
    }

    /// Whether the search must end here; if so, records that it is incomplete.
    fn is_over(&mut self) -> bool {
        let is_over = self.is_full() && !self.changes.is_empty();
        if is_over && self.skipped.is_empty() {
            self.note_skipped("some of what the change does".to_owned());
        }

        is_over
    }

    fn changed_attachments(&self, side: usize) -> Vec<Rank> {
        self.changes
            .attachments
            .get(side)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn side_at(&self, side: usize) -> Option<&'w Side<'a>> {
        self.eval.world.side_at(side)
    }

    /// How an attachment is named in `not_analysed`.
    pub(super) fn attachment_label(&self, side: usize, rank: Rank) -> String {
        let set = self.side_at(side).map(|side| side.set);
        let attachment = set.and_then(|set| set.attachments.get(rank as usize));
        let name = attachment
            .and_then(|a| set?.policy(a.policy))
            .map_or("", |policy| &policy.name);
        let place = attachment
            .map(|a| format!("{}:{}", a.place.file, a.place.line))
            .unwrap_or_default();

        format!("the attachment of `{name}` at {place}")
    }

    /// Records that something could not be analysed, with the reason.
    pub(super) fn note_skipped(&mut self, what: String) {
        let why = if self.eval.budget.is_spent() {
            "the budget is spent"
        } else if self.found.len() >= MAX_FOUND {
            "there are too many differences"
        } else {
            "its conditions are too large together"
        };

        self.skipped.push(format!("{what}: {why}"));
    }

    /// The points of an attachment's zone within a cone; none where the budget is spent.
    pub(super) fn points_within(&mut self, side: usize, rank: Rank, at: &Point) -> Points {
        let Some(given) = self
            .side_at(side)
            .and_then(|side| side.givens.get(rank as usize))
        else {
            return Points::no_points();
        };

        if self.eval.budget.is_spent() || !self.eval.budget.spend(1 + given.distinct.count_points())
        {
            let label = self.attachment_label(side, rank);
            self.note_skipped(label);
            return Points::no_points();
        }

        given.distinct.points_within(at)
    }

    /// Evaluates a point in both sets and records what differs there. `None`: the evaluation was
    /// too large, or the search is over.
    pub(super) fn look_at(
        &mut self,
        point: &Point,
        request: Option<&NamedRequest>,
    ) -> Option<Evaluated> {
        if self.is_full() {
            return None;
        }

        let named: Vec<Named> = request
            .map(|request| request.named.clone())
            .into_iter()
            .collect();
        let evaluated = self.eval.evaluate_point(point, &named, &[]).ok()?;
        let name = request.map(|request| request.name.clone());
        if self.seen.insert((point.clone(), name)) && !point.is_empty_string() {
            self.note_changes(&evaluated, request);
        }

        Some(evaluated)
    }

    fn note_changes(&mut self, evaluated: &Evaluated, request: Option<&NamedRequest>) {
        let mut groups: Vec<(OutcomeChange, Vec<usize>)> = Vec::new();
        let mut places: FxHashMap<OutcomeChange, usize> = FxHashMap::default();
        for class in 0..evaluated.space.classes.len() {
            let given = [BASE, HEAD].map(|side| evaluated.outcome_of(side, class).gives.len());
            let named = request.map_or(0, |request| self.work_of_named(request));
            let long = (given.iter().sum::<usize>() as u64).saturating_sub(FREE_GUARDRAILS);
            if !self.eval.budget.spend(long + named) {
                break;
            }

            let change = class_change(evaluated, class);
            if change == OutcomeChange::default()
                || request.is_some_and(|r| !self.is_of(r, evaluated, class, &change))
            {
                continue;
            }

            let place = *places.entry(change.clone()).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, classes)) => classes.push(class),
                None => groups.push((change, vec![class])),
            }
        }

        // Describing a difference later costs work. It is charged here, where it can be refused.
        self.eval.budget.spend(groups.len() as u64 * PER_FOUND);
        for (change, classes) in groups {
            let default = |side| {
                classes
                    .iter()
                    .any(|class| !evaluated.outcome_of(side, *class).non_default)
            };

            self.found.push(Difference {
                point: evaluated.point.clone(),
                requested: request.map(|request| request.name.clone()),
                space: evaluated.space.clone(),
                by_default: [default(BASE), default(HEAD)],
                classes,
                change,
            });
        }
    }

    /// The units of work that telling what a named policy does takes, for one class of models.
    fn work_of_named(&self, request: &NamedRequest) -> u64 {
        let profiles = request.named.iter().flatten();
        profiles
            .map(|profile| self.eval.world.work_of(*profile))
            .sum()
    }

    /// Whether the named policy contributes to a change. Requests that do not name it are looked at
    /// elsewhere.
    fn is_of(
        &self,
        request: &NamedRequest,
        seen: &Evaluated,
        class: usize,
        change: &OutcomeChange,
    ) -> bool {
        let (before, after) = (
            self.named_effect(request, BASE, seen, class),
            self.named_effect(request, HEAD, seen, class),
        );
        let part = |change: &[GuardId], of: &[GuardId], but: &[GuardId]| {
            change.iter().any(|guardrail| {
                of.binary_search(guardrail).is_ok() && but.binary_search(guardrail).is_err()
            })
        };

        part(&change.lost, &before.gives, &after.gives)
            || part(&change.gained, &after.gives, &before.gives)
            || (change.pipes.is_some() && before.pipe != after.pipe)
    }

    fn named_effect(
        &self,
        request: &NamedRequest,
        side: usize,
        seen: &Evaluated,
        class: usize,
    ) -> eval::Effect {
        let profile = request.named.get(side).copied().flatten();
        profile
            .and_then(|profile| eval::policy_effect(self.eval.world, profile, &seen.space, class))
            .unwrap_or_default()
    }

    /// Steps 1 and 2: the attachment's own points, and those where defaults hide that it is gone.
    fn look_at_own(&mut self, this: usize, rank: Rank) {
        let default = self
            .side_at(this)
            .and_then(|side| side.givens.get(rank as usize))
            .is_none_or(|given| given.default);
        for point in self.points_within(this, rank, &Point::every_request()) {
            let Some(evaluated) = self.look_at(&point, None) else {
                let label = self.attachment_label(this, rank);
                self.note_skipped(label);
                return;
            };

            if !default {
                let hidden = hidden_elements(&evaluated, this);
                self.look_behind_defaults(this, &evaluated, hidden, None);
            }
        }
    }

    /// Looks for attachments of the other set that switch its default attachments off, where these
    /// hide a loss. `hidden` has pairs of a class of models and what is hidden from it.
    fn look_behind_defaults(
        &mut self,
        this: usize,
        at: &Evaluated,
        mut hidden: Vec<(usize, Element)>,
        request: Option<&NamedRequest>,
    ) {
        let Some(other) = self.side_at(1 - this) else {
            return;
        };

        if hidden.is_empty() {
            return;
        }

        self.eval.budget.spend(other.givens.len() as u64);
        for (rank, given) in (0..).zip(&other.givens) {
            if hidden.is_empty() || !self.eval.budget.spend(hidden.len() as u64) {
                return;
            }

            if given.default
                || !given.zone.overlaps_point(&at.point)
                || hidden
                    .iter()
                    .all(|(_, element)| gives_element(self.eval.world, given.profile, *element))
            {
                continue;
            }

            for point in self.points_within(1 - this, rank, &at.point) {
                match self.look_at(&point, request) {
                    Some(seen) => {
                        let finer = finer_classes(at, &seen);
                        let looks = hidden.len() + seen.space.classes.len() * at.space.items.len();
                        self.eval.budget.spend(looks as u64);
                        hidden.retain(|(class, element)| {
                            let of_class = finer.get(*class).map_or(&[][..], Vec::as_slice);
                            !is_shown_lost(this, &seen, of_class, *element)
                        });
                    }
                    None => {
                        let label = self.attachment_label(1 - this, rank);
                        self.note_skipped(label);
                    }
                }

                if self.is_full() {
                    return;
                }
            }
        }
    }

    /// Step 3: where an attachment of the other set switches default attachments off that still
    /// count in this set.
    fn look_where_switched_off(&mut self, this: usize, rank: Rank) {
        let Some(side) = self.side_at(this) else {
            return;
        };
        let defaults = self.defaults.get(this).cloned().unwrap_or_default();
        let switches = self
            .side_at(1 - this)
            .and_then(|side| side.givens.get(rank as usize));
        if defaults.is_empty() || switches.is_none_or(|given| given.default) {
            return;
        }

        for point in self.points_within(1 - this, rank, &Point::every_request()) {
            if !self.eval.budget.spend(defaults.len() as u64) {
                let label = self.attachment_label(1 - this, rank);
                self.note_skipped(label);
                return;
            }

            let Some(seen) = self.look_at(&point, None) else {
                if self.is_full() {
                    return;
                }

                continue;
            };
            let is_alive = (0..seen.space.classes.len())
                .any(|class| !seen.outcome_of(this, class).non_default);
            let is_near = |rank: &&Rank| {
                side.givens
                    .get(**rank as usize)
                    .is_some_and(|given| given.zone.overlaps_point(&point))
            };

            for default in defaults.iter().filter(|_| is_alive).filter(is_near) {
                self.look_at_both(this, *default, &point);
            }
        }
    }

    /// Looks at the points of an attachment's zone within a cone.
    fn look_at_both(&mut self, side: usize, rank: Rank, at: &Point) {
        for both in self.points_within(side, rank, at) {
            if self.look_at(&both, None).is_none() {
                let label = self.attachment_label(side, rank);
                self.note_skipped(label);
                if self.is_full() {
                    return;
                }
            }
        }
    }

    /// What requests lose and gain by naming a policy.
    fn look_by_name(&mut self, request: &NamedRequest) {
        let Some(seen) = self.look_at(&Point::every_request(), Some(request)) else {
            self.note_skipped(format!("requests that name the policy `{}`", request.name));
            return;
        };

        for this in [BASE, HEAD] {
            let hidden = self.hidden_of_named(&seen, this, request);
            self.look_behind_defaults(this, &seen, hidden, Some(request));
        }
    }

    /// What the named policy gives in this set only, where the other set gives it by default.
    fn hidden_of_named(
        &self,
        seen: &Evaluated,
        this: usize,
        request: &NamedRequest,
    ) -> Vec<(usize, Element)> {
        let mut hidden = Vec::new();
        for class in 0..seen.space.classes.len() {
            let (own, others) = (
                self.named_effect(request, this, seen, class),
                self.named_effect(request, 1 - this, seen, class),
            );
            let outcome = seen.outcome_of(1 - this, class);
            if outcome.non_default {
                continue;
            }

            let lost = own
                .gives
                .iter()
                .filter(|g| !has_guardrail(&others.gives, g) && has_guardrail(&outcome.gives, g));
            hidden.extend(lost.map(|guardrail| (class, Element::Guardrail(*guardrail))));
            let pipe = own
                .pipe
                .filter(|pipe| others.pipe != Some(*pipe) && outcome.pipes.contains(pipe));
            hidden.extend(pipe.map(|pipe| (class, Element::Pipeline(pipe))));
        }

        hidden
    }
}

/// Whether a policy gives something to every model that it applies to, whatever its conditions.
fn gives_element(world: &World<'_>, profile: ProfileId, element: Element) -> bool {
    let free = world
        .chain_of(profile)
        .all(|member| member.condition.is_none());
    free && match element {
        Element::Guardrail(guardrail) => world.always_gives(profile, guardrail),
        Element::Pipeline(pipe) => world.pipe_of(profile) == Some(pipe),
    }
}

/// What both sets give, but the other set only by default attachments.
fn hidden_elements(seen: &Evaluated, this: usize) -> Vec<(usize, Element)> {
    let mut hidden = Vec::new();
    for class in 0..seen.space.classes.len() {
        let (own, others) = (
            seen.outcome_of(this, class),
            seen.outcome_of(1 - this, class),
        );
        if others.non_default || !own.non_default {
            continue;
        }

        let both = own.gives.iter().filter(|g| has_guardrail(&others.gives, g));
        hidden.extend(both.map(|guardrail| (class, Element::Guardrail(*guardrail))));
        let pipes: FxHashSet<PipeId> = others.pipes.iter().copied().collect();
        let both = own.pipes.iter().filter(|pipe| pipes.contains(*pipe));
        hidden.extend(both.map(|pipe| (class, Element::Pipeline(*pipe))));
    }

    hidden
}

/// Whether a finer point shows that all models of a class lose what was hidden from them.
fn is_shown_lost(this: usize, seen: &Evaluated, finer: &[usize], element: Element) -> bool {
    let is_lost = |finer: &usize| {
        let (own, others) = (
            seen.outcome_of(this, *finer),
            seen.outcome_of(1 - this, *finer),
        );
        match element {
            Element::Guardrail(g) => {
                has_guardrail(&own.gives, &g) && !has_guardrail(&others.gives, &g)
            }
            Element::Pipeline(p) => own.pipes.contains(&p) && !others.pipes.contains(&p),
        }
    };

    !finer.is_empty() && finer.iter().all(is_lost)
}

/// For each class of models at a point, those of a finer point that lie in it.
fn finer_classes(at: &Evaluated, seen: &Evaluated) -> Vec<Vec<usize>> {
    let mut finer = vec![Vec::new(); at.space.classes.len()];
    for class in 0..seen.space.classes.len() {
        let coarse = at.space.class_of(&seen.space, class);
        if let Some(list) = coarse.and_then(|coarse| finer.get_mut(coarse)) {
            list.push(class);
        }
    }

    finer
}

/// Whether a sorted list has a guardrail.
fn has_guardrail(list: &[GuardId], guardrail: &GuardId) -> bool {
    list.binary_search(guardrail).is_ok()
}

/// What a class of models loses and gains at a point.
fn class_change(seen: &Evaluated, class: usize) -> OutcomeChange {
    let (before, after) = (seen.outcome_of(BASE, class), seen.outcome_of(HEAD, class));
    OutcomeChange::between((&before.gives, &before.pipes), (&after.gives, &after.pipes))
}
