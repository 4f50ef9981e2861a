//! What a change does to every possible request: the search, its findings as regions, each with a witness
//! that the engines confirm.

use std::collections::BTreeSet;

use super::budget::Budget;
use super::changes::{BASE, Changes, HEAD};
use super::eval::Evaluator;
use super::merge::merge;
use super::names::Names;
use super::patch::{Patch, patches};
use super::replay;
use super::report::{Impact, PipelineChange, Region, Tags, Values, Weakening, Witness};
use super::search::{Change, Search};
use super::weaken;
use super::world::World;
use crate::policy::Pattern;
use crate::resolve::Engine;

/// How many sentences `not_analysed` has at most.
const MAX_SENTENCES: usize = 20;

/// What HEAD does to requests that BASE does not.
///
/// `base` and `head` of the result are the digests of the sets; a caller that knows revisions puts them
/// there.
pub fn impact(base: &Engine, head: &Engine, budget: &Budget) -> Impact {
    let world = World::new(&[base.set(), head.set()]);
    let mut impact = Impact {
        version: 1,
        base: base.set().digest.to_string(),
        head: head.set().digest.to_string(),
        exact: true,
        not_analysed: Vec::new(),
        weakens: false,
        weakening: None,
        regions: Vec::new(),
    };
    let (Some(base_side), Some(head_side)) = (world.side_at(BASE), world.side_at(HEAD)) else {
        return impact;
    };
    let changes = Changes::new(&world, base_side, head_side);
    let names = Names::new(&world, std::iter::empty());
    let mut search = Search::new(Evaluator::new(&world, budget), &changes);
    search.run();
    let engines = [base, head];
    for patch in merge(patches(&world, &changes, &search.found)) {
        match region(&world, &names, engines, &patch) {
            Some(region) => impact.regions.push(region),
            None => search.skipped.push(bug(&world, &patch)),
        }
    }
    let weakening = weaken::weakening(&mut search, &names, engines);
    impact.weakens = weakening.is_some();
    impact.weakening = weakening;
    impact.not_analysed = sentences(search.skipped);
    impact.exact = impact.not_analysed.is_empty();
    impact
}

/// Whether HEAD lets through what BASE blocks or modifies.
#[derive(Debug, Clone)]
pub struct Weakens {
    /// A request for which it does.
    pub weakening: Option<Weakening>,
    /// What keeps a no from being exact, each in a sentence.
    pub not_analysed: Vec<String>,
}

/// What a gate asks for: the answer of [`impact`] to this one question, without looking for regions.
pub fn weakens(base: &Engine, head: &Engine, budget: &Budget) -> Weakens {
    let world = World::new(&[base.set(), head.set()]);
    let (Some(base_side), Some(head_side)) = (world.side_at(BASE), world.side_at(HEAD)) else {
        return Weakens { weakening: None, not_analysed: Vec::new() };
    };
    let changes = Changes::new(&world, base_side, head_side);
    let names = Names::new(&world, std::iter::empty());
    let mut search = Search::new(Evaluator::new(&world, budget), &changes);
    let weakening = weaken::weakening(&mut search, &names, [base, head]);
    Weakens { weakening, not_analysed: sentences(search.skipped) }
}

/// Each sentence once, and not too many.
pub(super) fn sentences(mut skipped: Vec<String>) -> Vec<String> {
    let mut said = rustc_hash::FxHashSet::default();
    skipped.retain(|sentence| said.insert(sentence.clone()));
    if skipped.len() > MAX_SENTENCES {
        let more = skipped.len() - MAX_SENTENCES;
        skipped.truncate(MAX_SENTENCES);
        skipped.push(format!("and {more} more"));
    }
    skipped
}

fn bug(world: &World<'_>, patch: &Patch) -> String {
    let names: Vec<String> = patch
        .change
        .lost
        .iter()
        .chain(&patch.change.gained)
        .map(|id| world.guardrail(*id))
        .collect();
    format!(
        "the engine does not confirm a change of `{}` for {:?} (this is a bug of refguard, please report it)",
        names.join("`, `"),
        patch.point()
    )
}

fn region(
    world: &World<'_>,
    names: &Names,
    engines: [&Engine; 2],
    patch: &Patch,
) -> Option<Region> {
    let (witness, before, after) = witness(world, names, engines, patch)?;
    let guardrails = |ids: &[u32]| {
        let mut names: Vec<String> = ids.iter().map(|id| world.guardrail(*id)).collect();
        names.sort_unstable();
        names
    };
    Some(Region {
        teams: values(&patch.teams, &patch.without.teams),
        keys: values(&patch.keys, &patch.without.keys),
        models: patch.models.clone(),
        tags: tags(patch),
        requested: patch.requested.as_ref().map(ToString::to_string),
        witness,
        lost: guardrails(&patch.change.lost),
        gained: guardrails(&patch.change.gained),
        pipelines: patch.change.pipes.as_ref().map(|_| PipelineChange { before, after }),
        because: patch.because.iter().cloned().collect(),
    })
}

type Confirmed = (Witness, Vec<super::report::PipelineView>, Vec<super::report::PipelineView>);

/// The first request of the patch that the engines confirm.
fn witness(
    world: &World<'_>,
    names: &Names,
    engines: [&Engine; 2],
    patch: &Patch,
) -> Option<Confirmed> {
    let named: Vec<String> = patch.requested.iter().map(ToString::to_string).collect();
    for model in &patch.witnesses {
        for mut witness in names.requests(&patch.point()) {
            witness.model = model.model();
            let request = replay::request(&witness, &named);
            let seen: Option<(Change, _, _)> = replay::change(world, engines, &request);
            if let Some((change, before, after)) = seen
                && change == patch.change
                && patch.has(&witness)
            {
                return Some((witness, before, after));
            }
        }
    }
    None
}

fn values(any: &BTreeSet<Pattern>, none: &BTreeSet<Pattern>) -> Values {
    Values {
        any: texts(any.iter()),
        none: texts(none.iter()),
        absent: any.iter().any(Pattern::is_any),
    }
}

fn tags(patch: &Patch) -> Tags {
    let mut lists = patch.tags.iter().map(|list| texts(list.iter()));
    Tags {
        any: lists.next().unwrap_or_default(),
        none: texts(patch.without.tags.iter()),
        absent: patch.tags.is_empty(),
        also: lists.collect(),
    }
}

fn texts<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Vec<String> {
    let mut texts: Vec<String> = patterns.map(Pattern::to_string).collect();
    texts.sort_unstable();
    texts
}
