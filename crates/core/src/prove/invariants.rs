//! Whether invariants hold for every possible request.
//!
//! A guardrail is missing somewhere in a box if it is at one of the box's own points, or, where
//! only defaults give it there, at a point of the box and of an attachment that switches them off.
//! A forbidden one is given somewhere if it is at a point of the box and of an attachment that
//! gives it.

use std::sync::Arc;

use super::boxes::model_witness;
use super::cone::{Point, Points, Zone};
use super::eval::{Evaluated, Evaluator};
use super::index::Rank;
use super::monotone;
use super::names::ExampleNames;
use super::replay;
use super::report::{NearView, Proof, Verdict};
use super::world::{GuardId, ItemId, World};
use crate::document::Dimension;
use crate::effect::Budget;
use crate::policy::{Context, Invariant, Targets};
use crate::resolve::{self, Engine};

/// How many attachments explain a counterexample.
const MAX_NEAR: usize = 8;

/// Invariants that every set can be held to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProveOptions {
    /// `no-unguarded`: no request is left without any guardrail.
    pub no_unguarded: bool,
    /// `monotone`: no request loses a guardrail by carrying more tags, or by having a team or key
    /// where it had none.
    pub monotone: bool,
}

/// A box of requests, models included.
#[derive(Debug)]
struct Room {
    zone: Zone,
    /// The zone with one pattern of each group of twins.
    distinct: Zone,
    models: Option<Vec<ItemId>>,
    targets: Targets,
}

/// An invariant in the world's numbers.
#[derive(Debug)]
struct Claim<'a> {
    source: Option<&'a Invariant>,
    room: Room,
    except: Option<Room>,
    require: Vec<GuardId>,
    any_of: Option<Vec<GuardId>>,
    forbid: Vec<GuardId>,
}

/// How the search for one counterexample ended.
enum ClaimOutcome {
    Nothing,
    At(Box<Verdict>),
    /// Not every place was looked at, and why.
    Unknown(String),
}

/// Whether the invariants of a set hold, and built-in ones.
pub fn prove_invariants(engine: &Engine, options: ProveOptions, budget: &Budget) -> Proof {
    let set = engine.set();
    let mut world = World::new(&[set]);
    budget.spend(world.work_of_making());
    let mut claims: Vec<Claim<'_>> = set
        .invariants
        .iter()
        .map(|invariant| make_claim(&mut world, invariant))
        .collect();

    if options.no_unguarded {
        claims.push(no_unguarded(&mut world));
    }

    let zones: Vec<Zone> = claims
        .iter()
        .flat_map(|claim| std::iter::once(&claim.room).chain(&claim.except))
        .map(|room| room.zone.clone())
        .collect();

    world.find_twins(&zones);
    for claim in &mut claims {
        claim.room.distinct = world.twins.representative_zone(&claim.room.zone);
    }

    let names = ExampleNames::new(&world, zones.iter());
    let mut prover = Prover {
        eval: Evaluator::new(&world, budget),
        engine,
        names: &names,
    };

    let mut proof = Proof {
        version: 1,
        exact: true,
        not_analysed: Vec::new(),
        invariants: Vec::new(),
    };

    for claim in &claims {
        let (verdict, doubt) = match prover.refute_claim(claim) {
            ClaimOutcome::At(verdict) => (*verdict, None),
            ClaimOutcome::Nothing => (claim.empty_verdict(), None),
            ClaimOutcome::Unknown(why) => (claim.empty_verdict(), Some(why)),
        };

        let doubt = doubt.map(|why| format!("the invariant `{}`: {why}", verdict.name));
        proof.not_analysed.extend(doubt);
        proof.invariants.push(verdict);
    }

    if options.monotone {
        let (verdict, doubt) = monotone::check_monotone(&mut prover.eval, engine, &names);
        proof.not_analysed.extend(doubt);
        proof.invariants.push(verdict);
    }

    proof.exact = proof.not_analysed.is_empty();
    proof
}

fn make_room(world: &mut World<'_>, targets: &Targets) -> Room {
    let models = world.model_items(targets[Dimension::Model].as_deref());
    let zone = Zone::from_targets(targets);
    Room {
        distinct: zone.clone(),
        zone,
        models,
        targets: targets.clone(),
    }
}

fn make_claim<'a>(world: &mut World<'_>, invariant: &'a Invariant) -> Claim<'a> {
    let mut ids = |names: &[Arc<str>]| -> Vec<GuardId> {
        names
            .iter()
            .map(|name| world.guardrails.intern_value(name.clone()))
            .collect()
    };

    let (require, forbid) = (ids(&invariant.require), ids(&invariant.forbid));
    let any_of = (!invariant.any_of.is_empty()).then(|| ids(&invariant.any_of));
    Claim {
        source: Some(invariant),
        room: make_room(world, &invariant.applies),
        except: invariant
            .except
            .as_ref()
            .map(|targets| make_room(world, targets)),
        require,
        any_of,
        forbid,
    }
}

fn no_unguarded(world: &mut World<'_>) -> Claim<'static> {
    Claim {
        source: None,
        room: make_room(world, &Targets::default()),
        except: None,
        require: Vec::new(),
        any_of: Some(world.guardrails.all_numbers().collect()),
        forbid: Vec::new(),
    }
}

impl Room {
    fn has_request(&self, witness: &Context) -> bool {
        self.targets.matches_context(witness)
    }

    fn meets_class(&self, seen: &Evaluated, class: usize) -> bool {
        self.zone.covers_point(&seen.point)
            && self
                .models
                .as_ref()
                .is_none_or(|items| items.iter().any(|item| seen.space.meets_item(class, *item)))
    }
}

impl Claim<'_> {
    /// The verdict that it holds.
    fn empty_verdict(&self) -> Verdict {
        Verdict {
            at: None,
            name: self
                .source
                .map_or("no-unguarded", |invariant| &invariant.name)
                .to_owned(),
            file: self
                .source
                .map(|invariant| invariant.place.file.to_string()),
            line: self.source.map(|invariant| invariant.place.line),
            holds: true,
            counterexample: None,
            compared_with: None,
            got: Vec::new(),
            missing: Vec::new(),
            forbidden: Vec::new(),
            near: Vec::new(),
        }
    }

    fn model_items(&self) -> Vec<ItemId> {
        std::iter::once(&self.room)
            .chain(&self.except)
            .flat_map(|room| room.models.iter().flatten())
            .copied()
            .collect()
    }

    fn speaks_of(&self, seen: &Evaluated, class: usize) -> bool {
        self.room.meets_class(seen, class)
            && !self
                .except
                .as_ref()
                .is_some_and(|except| except.meets_class(seen, class))
    }
}

/// Looks for counterexamples.
struct Prover<'p, 'w, 'a> {
    eval: Evaluator<'w, 'a>,
    engine: &'p Engine,
    names: &'p ExampleNames,
}

impl Prover<'_, '_, '_> {
    fn refute_claim(&mut self, claim: &Claim<'_>) -> ClaimOutcome {
        for guardrail in &claim.require {
            let found = self.find_missing(claim, &[*guardrail]);
            if !matches!(found, ClaimOutcome::Nothing) {
                return found;
            }
        }

        for guardrail in &claim.forbid {
            let found = self.find_given(claim, *guardrail);
            if !matches!(found, ClaimOutcome::Nothing) {
                return found;
            }
        }

        claim
            .any_of
            .as_ref()
            .map_or(ClaimOutcome::Nothing, |any_of| {
                self.find_missing(claim, any_of)
            })
    }

    /// A request of the claim that gets none of some guardrails.
    fn find_missing(&mut self, claim: &Claim<'_>, wanted: &[GuardId]) -> ClaimOutcome {
        let world = self.eval.world;
        let Some(side) = world.side_at(0) else {
            return ClaimOutcome::Nothing;
        };
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let is_wanted = |guardrail: &GuardId| wanted.binary_search(guardrail).is_ok();
        let lacks =
            |seen: &Evaluated, class: usize| !seen.outcome_of(0, class).gives.iter().any(is_wanted);

        for point in self.points_within(&claim.room.distinct, &Point::every_request()) {
            let seen = match self.look_at(claim, &point, &lacks) {
                Ok(seen) => seen,
                Err(found) => return found,
            };

            let by_default = (0..seen.space.classes.len()).any(|class| {
                claim.speaks_of(&seen, class) && !seen.outcome_of(0, class).non_default
            });
            if !by_default {
                continue;
            }

            // What defaults give is lost where something else matches.
            self.eval.budget.spend(side.givens.len() as u64);
            for given in side.givens.iter().filter(|given| !given.default) {
                let gives_it = world.always_given(given.profile).iter().any(is_wanted);
                if gives_it || !given.zone.overlaps_point(&point) {
                    continue;
                }

                for both in self.points_within(&given.distinct, &point) {
                    if let Err(found) = self.look_at(claim, &both, &lacks) {
                        return found;
                    }
                }
            }
        }

        self.search_ended()
    }

    /// A request of the claim that gets a guardrail.
    fn find_given(&mut self, claim: &Claim<'_>, unwanted: GuardId) -> ClaimOutcome {
        let Some(side) = self.eval.world.side_at(0) else {
            return ClaimOutcome::Nothing;
        };
        let has = |seen: &Evaluated, class: usize| {
            seen.outcome_of(0, class)
                .gives
                .binary_search(&unwanted)
                .is_ok()
        };

        self.eval.budget.spend(side.givens.len() as u64);
        let givers: Vec<Rank> = (0..)
            .zip(&side.givens)
            .filter(|(_, given)| self.eval.world.may_give(given.profile, unwanted))
            .map(|(rank, _)| rank)
            .collect();

        for point in self.points_within(&claim.room.distinct, &Point::every_request()) {
            for given in givers
                .iter()
                .filter_map(|rank| side.givens.get(*rank as usize))
            {
                for both in self.points_within(&given.distinct, &point) {
                    if let Err(found) = self.look_at(claim, &both, &has) {
                        return found;
                    }
                }

                if self.eval.budget.is_spent() {
                    return self.search_ended();
                }
            }
        }

        self.search_ended()
    }

    fn search_ended(&self) -> ClaimOutcome {
        if self.eval.budget.is_spent() {
            ClaimOutcome::Unknown("the budget is spent".to_owned())
        } else {
            ClaimOutcome::Nothing
        }
    }

    fn points_within(&self, zone: &Zone, at: &Point) -> Points {
        if self.eval.budget.spend(1 + zone.count_points()) {
            zone.points_within(at)
        } else {
            Points::no_points()
        }
    }

    /// Looks at a point for a class of models that breaks the claim.
    fn look_at(
        &mut self,
        claim: &Claim<'_>,
        point: &Point,
        breaks: &dyn Fn(&Evaluated, usize) -> bool,
    ) -> Result<Evaluated, ClaimOutcome> {
        let Ok(seen) = self.eval.evaluate_point(point, &[], &claim.model_items()) else {
            let why = if self.eval.budget.is_spent() {
                "the budget is spent"
            } else {
                "conditions are too large together"
            };

            return Err(ClaimOutcome::Unknown(why.to_owned()));
        };

        if point.is_empty_string() {
            return Ok(seen);
        }

        let mut broken: Vec<usize> = (0..seen.space.classes.len())
            .filter(|class| claim.speaks_of(&seen, *class) && breaks(&seen, *class))
            .collect();
        // A model of the catalog is a better example than a made-up one, and that than none.
        broken.sort_by_key(|class| seen.space.classes.get(*class).map(model_witness));
        let Some(class) = broken.first() else {
            return Ok(seen);
        };

        Err(match self.confirm_breach(claim, &seen, *class) {
            Some(verdict) => ClaimOutcome::At(Box::new(verdict)),
            None => ClaimOutcome::Unknown(format!(
                "the engine does not confirm a counterexample at {point:?} (this is a bug of \
                    refguard, please report it)"
            )),
        })
    }

    /// The first request of the point that breaks the claim by the engine's answer.
    fn confirm_breach(&self, claim: &Claim<'_>, seen: &Evaluated, class: usize) -> Option<Verdict> {
        let model = seen.space.classes.get(class)?.witness.clone();
        self.names
            .example_requests(&seen.point)
            .into_iter()
            .find_map(|mut witness| {
                witness.set_values(Dimension::Model, model.clone());
                let spoken_of = claim.room.has_request(&witness)
                    && !claim
                        .except
                        .as_ref()
                        .is_some_and(|room| room.has_request(&witness));
                spoken_of
                    .then(|| self.judge_witness(claim, witness))
                    .flatten()
            })
    }

    fn judge_witness(&self, claim: &Claim<'_>, witness: Context) -> Option<Verdict> {
        let world = self.eval.world;
        let request = replay::replay_request(&witness, &[]);
        let got: Vec<String> = self
            .engine
            .resolve(&request)
            .guardrails
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let names = |ids: &[GuardId], wanted: bool| -> Vec<String> {
            let names = ids.iter().map(|id| world.guardrail_name(*id));
            names.filter(|name| got.contains(name) == wanted).collect()
        };

        let mut missing = names(&claim.require, false);
        let without = claim
            .any_of
            .as_ref()
            .filter(|any_of| names(any_of, true).is_empty());
        if claim.source.is_some() {
            missing.extend(without.into_iter().flat_map(|any_of| names(any_of, false)));
        }

        missing.sort_unstable();
        missing.dedup();
        let forbidden = names(&claim.forbid, true);
        let broken = !missing.is_empty() || !forbidden.is_empty() || without.is_some();

        broken.then(|| Verdict {
            at: None,
            holds: false,
            near: explain_missing(world, self.engine, &request, &missing, &forbidden),
            counterexample: Some(witness),
            got,
            missing,
            forbidden,
            ..claim.empty_verdict()
        })
    }
}

/// The attachments that come near to giving what is missing, and those that give what is forbidden.
fn explain_missing(
    world: &World<'_>,
    engine: &Engine,
    request: &resolve::Request,
    missing: &[String],
    forbidden: &[String],
) -> Vec<NearView> {
    let set = engine.set();
    let may_give = |policy: &str, names: &[String]| {
        let profile = set
            .find_policy(policy)
            .and_then(|(id, _)| world.side_at(0)?.profiles.get(id.0 as usize).copied());
        let ids = names
            .iter()
            .filter_map(|name| world.guardrails.find_number(name.as_str()));
        profile.is_some_and(|profile| ids.into_iter().any(|id| world.may_give(profile, id)))
    };

    resolve::explain_request(engine, request)
        .into_iter()
        .filter(|near| {
            let matched = matches!(
                near.verdict,
                resolve::Verdict::Matched | resolve::Verdict::Repeated
            );
            may_give(&near.policy, missing) || (matched && may_give(&near.policy, forbidden))
        })
        .take(MAX_NEAR)
        .map(|near| NearView {
            policy: near.policy,
            file: near.file,
            line: near.line,
            why: near.why,
        })
        .collect()
}
