//! Whether a request can lose a guardrail by having more: tags, or a team or a key where it had
//! none.
//!
//! Attachments only add, so only defaults can be lost so: a request that they serve, and the same
//! with what it takes for an attachment that switches them off.

use super::cone::Point;
use super::eval::{Evaluated, Evaluator};
use super::names::ExampleNames;
use super::replay;
use super::report::Verdict;
use super::world::{Given, GuardId, Side};
use crate::document::Dimension;
use crate::policy::Context;
use crate::resolve::Engine;

/// The verdict, and what was not looked at.
pub(super) fn check_monotone(
    eval: &mut Evaluator<'_, '_>,
    engine: &Engine,
    names: &ExampleNames,
) -> (Verdict, Option<String>) {
    let mut verdict = Verdict {
        at: None,
        name: "monotone".to_owned(),
        file: None,
        line: None,
        holds: true,
        counterexample: None,
        compared_with: None,
        got: Vec::new(),
        missing: Vec::new(),
        forbidden: Vec::new(),
        near: Vec::new(),
    };

    let world = eval.world;
    let Some(side) = world.side_at(0) else {
        return (verdict, None);
    };
    let mut doubt = None;
    for default in side.givens.iter().filter(|given| given.default) {
        match lost_from(eval, engine, names, side, default) {
            Ok(None) => {}
            Ok(Some(broken)) => {
                (verdict.got, verdict.missing) = (broken.got, broken.missing);
                (verdict.counterexample, verdict.compared_with) =
                    (Some(broken.before), Some(broken.after));
                verdict.holds = false;
                return (verdict, None);
            }
            Err(why) => doubt = Some(format!("the invariant `monotone`: {why}")),
        }

        if eval.budget.is_spent() {
            doubt = Some("the invariant `monotone`: the budget is spent".to_owned());
            break;
        }
    }

    (verdict, doubt)
}

/// A request that loses by having more what a default attachment gives it.
fn lost_from(
    eval: &mut Evaluator<'_, '_>,
    engine: &Engine,
    names: &ExampleNames,
    side: &Side<'_>,
    default: &Given,
) -> Result<Option<Broken>, String> {
    let world = eval.world;
    let mut can_give: Vec<GuardId> = world
        .chain_of(default.profile)
        .flat_map(|member| &member.add)
        .copied()
        .collect();

    can_give.sort_unstable();
    can_give.dedup();
    if can_give.is_empty() {
        return Ok(None);
    }

    for point in default.distinct.points_within(&Point::every_request()) {
        let seen = eval
            .evaluate_point(&point, &[], &[])
            .map_err(|_| too_large(eval))?;
        // Where something else matches already, nothing comes by default in the whole cone.
        let is_alive = (0..seen.space.classes.len()).any(|class| {
            let outcome = seen.outcome_of(0, class);
            !outcome.non_default && !outcome.gives.is_empty()
        });
        if !is_alive {
            continue;
        }

        for other in side.givens.iter().filter(|given| !given.default) {
            if !eval.budget.spend(1) {
                return Ok(None);
            }

            let gives_all = can_give
                .iter()
                .all(|g| world.always_gives(other.profile, *g));
            if gives_all || !other.zone.overlaps_point(&point) {
                continue;
            }

            let broken = lost_at(eval, engine, names, &point, other)?;
            if broken.is_some() {
                return Ok(broken);
            }
        }
    }

    Ok(None)
}

fn too_large(eval: &Evaluator<'_, '_>) -> String {
    let why = if eval.budget.is_spent() {
        "the budget is spent"
    } else {
        "conditions are too large together"
    };

    why.to_owned()
}

/// A request, the same with more, and what it loses.
struct Broken {
    before: Context,
    after: Context,
    got: Vec<String>,
    missing: Vec<String>,
}

/// The same of the requests of a default attachment's point, by what another attachment matches.
fn lost_at(
    eval: &mut Evaluator<'_, '_>,
    engine: &Engine,
    names: &ExampleNames,
    point: &Point,
    other: &Given,
) -> Result<Option<Broken>, String> {
    eval.budget.spend(other.distinct.count_points());
    for more in other.distinct.points_within(point) {
        // Of a value that the request had before it keeps that one; it can only get one where it
        // had none.
        let values = point.values.as_ref().map(|dimension, pattern| {
            if pattern.is_any() {
                pattern.clone()
            } else {
                more.values[dimension].clone()
            }
        });
        let less = Point {
            values,
            tags: point.tags.clone(),
        };

        if less.is_empty_string() || more.is_empty_string() {
            continue;
        }

        let after = eval
            .evaluate_point(&more, &[], &[])
            .map_err(|_| too_large(eval))?;
        let before = eval
            .evaluate_point(&less, &[], &after.space.items)
            .map_err(|_| too_large(eval))?;
        if let Some(class) = broken_class(&before, &after) {
            let model = before
                .space
                .classes
                .get(class)
                .and_then(|class| class.witness.clone());

            return confirm_breach(engine, names, &less, &more, model)
                .map(Some)
                .ok_or_else(|| {
                    format!(
                        "the engine does not confirm a counterexample at {more:?} \
                    (this is a bug of refguard, please report it)"
                    )
                });
        }
    }

    Ok(None)
}

/// A class of models that gets something at the one point and not at the other.
fn broken_class(before: &Evaluated, after: &Evaluated) -> Option<usize> {
    (0..before.space.classes.len()).rev().find(|class| {
        let (less, more) = (before.outcome_of(0, *class), after.outcome_of(0, *class));
        less.gives
            .iter()
            .any(|guardrail| more.gives.binary_search(guardrail).is_err())
    })
}

fn confirm_breach(
    engine: &Engine,
    names: &ExampleNames,
    less: &Point,
    more: &Point,
    model: Option<String>,
) -> Option<Broken> {
    let pairs = names
        .example_requests(less)
        .into_iter()
        .rev()
        .zip(names.example_requests(more).into_iter().rev());
    let mut pairs: Vec<(Context, Context)> = pairs.collect();
    pairs.reverse();

    pairs.into_iter().find_map(|(mut before, mut after)| {
        for dimension in Dimension::ALL {
            if dimension == Dimension::Model {
                before.set_values(dimension, model.clone());
                after.set_values(dimension, model.clone());
            } else if dimension.is_set() {
                let had = before.values(dimension).to_vec();
                let more = after
                    .values(dimension)
                    .iter()
                    .filter(|value| !had.contains(value));
                let all: Vec<String> = had.iter().chain(more).cloned().collect();
                after.set_values(dimension, all);
            } else {
                // Of a value that the request had before it keeps that one.
                let value = after.value(dimension).map(str::to_owned);
                before.set_values(
                    dimension,
                    value.filter(|_| !less.values[dimension].is_any()),
                );
            }
        }

        let had = resolved_guardrails(engine, &before);
        let got = resolved_guardrails(engine, &after);
        let missing: Vec<String> = had.into_iter().filter(|name| !got.contains(name)).collect();
        (!missing.is_empty()).then_some(Broken {
            before,
            after,
            got,
            missing,
        })
    })
}

fn resolved_guardrails(engine: &Engine, witness: &Context) -> Vec<String> {
    engine
        .resolve(&replay::replay_request(witness, &[]))
        .guardrails
        .iter()
        .map(|name| (*name).to_owned())
        .collect()
}
