//! Where the search begins: the places at which HEAD may do less, before anything is looked at.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{Capturer, Hunt, Start, switch_key};
use crate::prove::changes::{BASE, HEAD, order_key};
use crate::prove::cone::{Point, Points};
use crate::prove::index::Rank;
use crate::prove::search::Element;
use crate::prove::world::{GuardId, PipeId, ProfileId};

impl Hunt<'_, '_, '_> {
    pub(super) fn run_hunt(&mut self) {
        for rank in self
            .search
            .changes
            .attachments
            .first()
            .cloned()
            .unwrap_or_default()
        {
            for point in self
                .search
                .points_within(BASE, rank, &Point::every_request())
            {
                self.look_at(
                    Start {
                        point,
                        named: Vec::new(),
                    },
                    0,
                );
            }
        }

        self.switched_off();
        let capturers = self.capturers.clone();
        for capturer in &capturers {
            self.captured_from_attached(capturer);
        }

        for policy in &self.search.changes.policies {
            self.look_at(
                Start {
                    point: Point::every_request(),
                    named: vec![policy.name.clone()],
                },
                0,
            );
        }

        for capturer in &capturers {
            let top = Point::every_request();
            match capturer {
                Capturer::Attached(rank) => {
                    let points = self.search.points_within(HEAD, *rank, &top);
                    self.captured_from_named(capturer, points);
                }
                Capturer::Named(_) => self.captured_from_named(capturer, std::iter::once(top)),
            }
        }

        self.captured_by_default();
    }

    /// Default attachments of HEAD that have a pipeline.
    pub(super) fn default_capturers(&self) -> Vec<Rank> {
        let world = self.search.eval.world;
        let givens = self
            .search
            .side_at(HEAD)
            .map_or(&[][..], |side| &side.givens);
        (0..)
            .zip(givens)
            .filter(|(_, given)| {
                given.default
                    && world
                        .pipe_of(given.profile)
                        .is_some_and(|pipe| self.pipe_matters(pipe))
            })
            .map(|(rank, _)| rank)
            .collect()
    }

    /// What a default pipeline captures from a policy that a request names, where BASE has
    /// something else that HEAD lacks.
    fn captured_by_default(&mut self) {
        let defaults = self.default_capturers();
        let Some(head) = self.search.side_at(HEAD) else {
            return;
        };

        for rank in self
            .search
            .changes
            .attachments
            .first()
            .cloned()
            .unwrap_or_default()
        {
            if defaults.is_empty() || self.is_over() {
                return;
            }

            for point in self
                .search
                .points_within(BASE, rank, &Point::every_request())
            {
                let Ok(seen) = self.search.eval.evaluate_point(&point, &[], &[]) else {
                    continue;
                };
                let turns = |class| {
                    seen.outcome_of(BASE, class).non_default
                        && !seen.outcome_of(HEAD, class).non_default
                };

                if !(0..seen.space.classes.len()).any(turns) {
                    continue;
                }

                for default in &defaults {
                    let points = head
                        .givens
                        .get(*default as usize)
                        .map_or_else(Points::no_points, |given| {
                            given.distinct.points_within(&point)
                        });
                    self.captured_from_named(&Capturer::Attached(*default), points);
                }
            }
        }
    }

    /// The guardrails that a pipeline captures to an effect.
    fn pardoned_guardrails(&self, pipe: PipeId) -> &[GuardId] {
        self.pardons.get(&pipe).map_or(&[], Vec::as_slice)
    }

    pub(super) fn pipe_matters(&self, pipe: PipeId) -> bool {
        !self.pardoned_guardrails(pipe).is_empty()
    }

    /// New attachments of HEAD met with defaults of BASE.
    fn switched_off(&mut self) {
        let (Some(base), Some(head)) = (self.search.side_at(BASE), self.search.side_at(HEAD))
        else {
            return;
        };
        let defaults: Vec<Rank> = (0..)
            .zip(&base.givens)
            .filter(|(_, given)| given.default)
            .map(|(r, _)| r)
            .collect();

        // One that BASE has too, giving something else, switches off there what it switches off
        // here.
        let world = self.search.eval.world;
        let before = self
            .search
            .changes
            .attachments
            .first()
            .cloned()
            .unwrap_or_default();
        let before = before
            .into_iter()
            .filter_map(|rank| base.givens.get(rank as usize));
        let known: FxHashSet<_> = before
            .filter(|given| !given.default)
            .map(|given| switch_key(world, given))
            .collect();

        for rank in self
            .search
            .changes
            .attachments
            .last()
            .cloned()
            .unwrap_or_default()
        {
            let Some(given) = head.givens.get(rank as usize) else {
                continue;
            };

            if defaults.is_empty() || given.default || known.contains(&switch_key(world, given)) {
                continue;
            }

            self.look_at_meetings(rank, &defaults);
        }
    }

    /// An attachment of HEAD met with attachments of BASE.
    fn look_at_meetings(&mut self, rank: Rank, others: &[Rank]) {
        for point in self
            .search
            .points_within(HEAD, rank, &Point::every_request())
        {
            for other in others {
                for both in self.search.points_within(BASE, *other, &point) {
                    self.look_at(
                        Start {
                            point: both,
                            named: Vec::new(),
                        },
                        0,
                    );
                }

                if self.is_over() {
                    return;
                }
            }
        }
    }

    pub(super) fn find_capturers(&self) -> Vec<Capturer> {
        let (Some(base), Some(head)) = (self.search.side_at(BASE), self.search.side_at(HEAD))
        else {
            return Vec::new();
        };
        let world = self.search.eval.world;
        let known: FxHashSet<_> = (0..)
            .zip(&base.givens)
            .filter_map(|(rank, _)| order_key(world, base, rank))
            .collect();
        let attached = (0..)
            .zip(&head.givens)
            .filter(|(_, given)| {
                world
                    .pipe_of(given.profile)
                    .is_some_and(|pipe| self.pipe_matters(pipe))
            })
            .filter(|(rank, _)| {
                order_key(world, head, *rank).is_some_and(|key| !known.contains(&key))
            })
            .map(|(rank, _)| Capturer::Attached(rank));

        // A pipeline runs where its policy's own condition holds.
        let runs = |profile: &Option<ProfileId>| {
            let own = profile.and_then(|profile| world.chain_of(profile).last());
            (
                profile.and_then(|p| world.pipe_of(p)),
                own.and_then(|own| own.condition.clone()),
            )
        };

        let is_new = |profiles: &[Option<ProfileId>]| match profiles {
            [before, after] => {
                let after = runs(after);
                after.0.is_some_and(|pipe| self.pipe_matters(pipe)) && runs(before) != after
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
            let others = givers.givers_of(Element::Guardrail(guardrail));
            match capturer {
                Capturer::Attached(rank) => self.look_at_meetings(*rank, others),
                Capturer::Named(name) => {
                    for rank in others {
                        for point in self
                            .search
                            .points_within(BASE, *rank, &Point::every_request())
                        {
                            self.look_at(
                                Start {
                                    point,
                                    named: vec![name.clone()],
                                },
                                0,
                            );
                        }

                        if self.is_over() {
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
        let Some(base) = self.search.side_at(BASE) else {
            return;
        };
        let world = self.search.eval.world;

        // Of policies that do the same one is enough.
        let mut profiles = FxHashSet::default();
        let looks = base.profiles.len() * steps.len().max(1);
        if !self.search.eval.budget.spend(looks as u64) {
            self.skipped = true;
            return;
        }

        let policies: Vec<&Arc<str>> = base
            .set
            .policies
            .iter()
            .zip(&base.profiles)
            .filter(|(_, profile)| {
                steps
                    .iter()
                    .any(|guardrail| world.may_give(**profile, *guardrail))
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

                self.look_at(
                    Start {
                        point: point.clone(),
                        named,
                    },
                    0,
                );
                if self.is_over() {
                    return;
                }
            }
        }
    }

    /// What a new pipeline captures to an effect.
    fn captured_by(&self, capturer: &Capturer) -> Vec<GuardId> {
        let head = self.search.side_at(HEAD);
        let profile = match capturer {
            Capturer::Attached(rank) => head
                .and_then(|h| h.givens.get(*rank as usize))
                .map(|given| given.profile),
            Capturer::Named(name) => self.profile_of(HEAD, name),
        };

        let world = self.search.eval.world;
        let pipe = profile.and_then(|profile| world.pipe_of(profile));
        pipe.map(|pipe| self.pardoned_guardrails(pipe).to_vec())
            .unwrap_or_default()
    }
}
