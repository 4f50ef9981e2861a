//! Whether a request can lose a guardrail by having more: tags, or a team or a key where it had none.
//!
//! Attachments only add, so only defaults can be lost so: a request that they serve, and the same with
//! what it takes for an attachment that switches them off.

use super::cone::{Point, Zone};
use super::eval::{Evaluated, Evaluator};
use super::names::Names;
use super::replay;
use super::report::{Verdict, Witness};
use super::world::{Given, World};
use crate::resolve::Engine;

/// The verdict, and what was not looked at.
pub(super) fn check(
    eval: &mut Evaluator<'_, '_>,
    engine: &Engine,
    names: &Names,
) -> (Verdict, Option<String>) {
    let mut verdict = Verdict {
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
    let Some(side) = world.side_at(0) else { return (verdict, None) };
    let mut doubt = None;
    for default in side.givens.iter().filter(|given| given.default) {
        for other in
            side.givens.iter().filter(|given| !given.default && !gives_all(world, given, default))
        {
            match pair(eval, engine, names, &default.zone, &other.zone) {
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
            if eval.budget.spent() {
                return (
                    verdict,
                    doubt.or_else(|| {
                        Some("the invariant `monotone`: the budget is spent".to_owned())
                    }),
                );
            }
        }
    }
    (verdict, doubt)
}

/// Whether an attachment gives all that a default one can.
fn gives_all(world: &World<'_>, given: &Given, default: &Given) -> bool {
    let mut all = world.chain(default.profile).flat_map(|member| &member.add);
    all.all(|guardrail| world.always_gives(given.profile, *guardrail))
}

/// A request, the same with more, and what it loses.
struct Broken {
    before: Witness,
    after: Witness,
    got: Vec<String>,
    missing: Vec<String>,
}

fn pair(
    eval: &mut Evaluator<'_, '_>,
    engine: &Engine,
    names: &Names,
    default: &Zone,
    other: &Zone,
) -> Result<Option<Broken>, String> {
    if !eval.budget.spend(1)
        || !default.meets(other)
        || !eval.budget.spend(default.size().saturating_mul(other.size()))
    {
        return Ok(None);
    }
    for point in default.points(&Point::top()) {
        for more in other.points(&point) {
            let less = Point {
                team: if point.team.is_any() { point.team.clone() } else { more.team.clone() },
                key: if point.key.is_any() { point.key.clone() } else { more.key.clone() },
                tags: point.tags.clone(),
            };
            if less.is_empty_string() || more.is_empty_string() {
                continue;
            }
            let too_large = |_| "conditions are too large together".to_owned();
            let after = eval.evaluate(&more, &[], &[]).map_err(too_large)?;
            let before = eval.evaluate(&less, &[], &after.space.items).map_err(too_large)?;
            if let Some(class) = broken(&before, &after) {
                let model = before.space.classes.get(class).and_then(|class| class.witness.clone());
                return confirm(engine, names, &less, &more, model)
                    .map(Some)
                    .ok_or_else(|| format!("the engine does not confirm a counterexample at {more:?} (this is a bug of refguard, please report it)"));
            }
        }
    }
    Ok(None)
}

/// A class of models that gets something at the one point and not at the other.
fn broken(before: &Evaluated, after: &Evaluated) -> Option<usize> {
    (0..before.space.classes.len()).rev().find(|class| {
        let (less, more) = (before.outcome(0, *class), after.outcome(0, *class));
        less.gives.iter().any(|guardrail| more.gives.binary_search(guardrail).is_err())
    })
}

fn confirm(
    engine: &Engine,
    names: &Names,
    less: &Point,
    more: &Point,
    model: Option<String>,
) -> Option<Broken> {
    let pairs = names.requests(less).into_iter().rev().zip(names.requests(more).into_iter().rev());
    let mut pairs: Vec<(Witness, Witness)> = pairs.collect();
    pairs.reverse();
    pairs.into_iter().find_map(|(mut before, mut after)| {
        (before.model, after.model) = (model.clone(), model.clone());
        before.team = if less.team.is_any() { None } else { after.team.clone() };
        before.key = if less.key.is_any() { None } else { after.key.clone() };
        let mut tags = before.tags.clone();
        tags.extend(after.tags.iter().filter(|tag| !before.tags.contains(tag)).cloned());
        after.tags = tags;
        let had = guardrails(engine, &before);
        let got = guardrails(engine, &after);
        let missing: Vec<String> = had.into_iter().filter(|name| !got.contains(name)).collect();
        (!missing.is_empty()).then_some(Broken { before, after, got, missing })
    })
}

fn guardrails(engine: &Engine, witness: &Witness) -> Vec<String> {
    engine
        .resolve(&replay::request(witness, &[]))
        .guardrails
        .iter()
        .map(|name| (*name).to_owned())
        .collect()
}
