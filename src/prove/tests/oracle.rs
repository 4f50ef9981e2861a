//! Random pairs of small sets: what the analysis says against what trying every request says.

use std::collections::BTreeSet;

use super::brute::{self, Got, Requests, got};
use super::engine_of;
use super::generate::{self, Random};
use crate::policy::{Pattern, PolicySet};
use crate::prove::{Budget, Impact, Region, Witness, impact};
use crate::resolve::{Context, Engine};

/// Larger ones take too long to try.
const MOST_REQUESTS: usize = 1_500;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text)
}

fn matches(list: &[String], value: Option<&str>) -> bool {
    list.iter().any(|text| pattern(text).matches(value))
}

fn condition(sets: &[&PolicySet], text: &str, model: &str) -> bool {
    let known = sets.iter().flat_map(|set| &set.conditions).find(|c| c.text() == text);
    known.expect("a region speaks of conditions of the sets").matches(model)
}

/// Whether a model is one of the region's.
fn has_model(sets: &[&PolicySet], region: &Region, model: Option<&str>) -> bool {
    let d = &region.models;
    let Some(text) = model else { return d.absent };
    matches(&d.any, model)
        && !matches(&d.none, model)
        && d.matches.iter().all(|c| condition(sets, c, text))
        && !d.not_matches.iter().any(|c| condition(sets, c, text))
}

/// Whether a request is one of the region's.
fn has(sets: &[&PolicySet], region: &Region, context: &Context) -> bool {
    let value = |d: &crate::prove::Values, value: Option<&str>| match value {
        None => d.absent,
        Some(_) => matches(&d.any, value) && !matches(&d.none, value),
    };
    let tag = |list: &[String]| context.tags.iter().any(|tag| matches(list, Some(tag)));
    let tags = &region.tags;
    value(&region.teams, context.team.as_deref())
        && value(&region.keys, context.key.as_deref())
        && has_model(sets, region, context.model.as_deref())
        && (tags.any.is_empty() || tag(&tags.any))
        && tags.also.iter().all(|list| tag(list))
        && !tag(&tags.none)
        && (tags.absent || !context.tags.is_empty())
}

fn context(witness: &Witness) -> Context {
    let Witness { team, key, model, tags } = witness.clone();
    Context { team, key, model, tags }
}

fn lost_and_gained(before: &Got, after: &Got) -> [BTreeSet<String>; 2] {
    [
        before.guardrails.difference(&after.guardrails).cloned().collect(),
        after.guardrails.difference(&before.guardrails).cloned().collect(),
    ]
}

fn said(region: &Region) -> [BTreeSet<String>; 2] {
    [region.lost.iter().cloned().collect(), region.gained.iter().cloned().collect()]
}

/// What the regions say of one class of models.
fn claimed(sets: &[&PolicySet], regions: &[&Region], model: Option<&str>) -> [BTreeSet<String>; 2] {
    let mut all: [BTreeSet<String>; 2] = Default::default();
    for region in regions.iter().filter(|region| has_model(sets, region, model)) {
        let [lost, gained] = said(region);
        all[0].extend(lost);
        all[1].extend(gained);
        if let Some(change) = &region.pipelines {
            let texts = |views: &[crate::prove::PipelineView]| -> Vec<String> {
                let text = |p: &crate::prove::PipelineView| {
                    let word = |word: &str| match word {
                        "allow" => "Allow",
                        "block" => "Block",
                        "next" => "Next",
                        _ => "ModifyResponse",
                    };
                    let step = |s: &crate::prove::StepView| {
                        format!("{} {} {} {}", s.guardrail, word(s.on_pass), word(s.on_fail), word(s.on_error))
                    };
                    let steps: Vec<String> = p.steps.iter().map(step).collect();
                    format!("|{} {}", u8::from(p.mode == "post_call"), steps.join(";"))
                };
                views.iter().map(text).collect()
            };
            let (before, after) = (texts(&change.before), texts(&change.after));
            all[0].extend(before.iter().filter(|p| !after.contains(p)).cloned());
            all[1].extend(after.iter().filter(|p| !before.contains(p)).cloned());
            all[0].insert("order".to_owned());
        }
    }
    all
}

pub struct Pair {
    pub yaml: [String; 2],
    pub engines: [Engine; 2],
}

pub fn pair(seed: u64) -> Option<Pair> {
    let mut r = Random::new(seed);
    let before = generate::set(&mut r);
    let after = if r.chance(15) { generate::set(&mut r) } else { generate::changed(&mut r, &before) };
    let yaml = [before.yaml(), after.yaml()];
    let engines = [engine_of(&yaml[0])?, engine_of(&yaml[1])?];
    Some(Pair { yaml, engines })
}

fn check_regions(pair: &Pair, seed: u64, requests: &Requests, impact: &Impact) {
    let [base, head] = &pair.engines;
    let sets = [&**base.set(), &**head.set()];
    let told = || format!("seed {seed}\n--- BASE\n{}\n--- HEAD\n{}\n{impact:#?}", pair.yaml[0], pair.yaml[1]);
    assert!(impact.exact, "not exact: {}", told());
    for region in &impact.regions {
        let named: Vec<&str> = region.requested.iter().map(String::as_str).collect();
        let witness = context(&region.witness);
        assert!(has(&sets, region, &witness), "a witness lies outside its region {region:#?} {}", told());
        let (before, after) = (got(base, &witness, &named), got(head, &witness, &named));
        assert_eq!(lost_and_gained(&before, &after), said(region), "a witness says other things {}", told());
        assert_eq!(region.pipelines.is_some(), before.pipelines != after.pipelines, "pipelines {}", told());
        for context in requests.all().filter(|context| has(&sets, region, context)) {
            let (before, after) = (got(base, &context, &named), got(head, &context, &named));
            let [lost, gained] = lost_and_gained(&before, &after);
            let [said_lost, said_gained] = said(region);
            assert!(
                lost.is_superset(&said_lost) && gained.is_superset(&said_gained),
                "a request of a region does otherwise: {context:?} {region:#?} {}",
                told()
            );
        }
    }
    let plain: Vec<&Region> = impact.regions.iter().filter(|r| r.requested.is_none()).collect();
    let truth = brute::differences(base, head, requests, &[]);
    for (model, truth) in &truth {
        assert_eq!(*truth, claimed(&sets, &plain, model.as_deref()), "model {model:?} {}", told());
    }
    let mut names: BTreeSet<&str> = BTreeSet::new();
    names.extend(sets.iter().flat_map(|set| set.policies.iter().map(|p| &*p.name)));
    for name in names {
        let named: Vec<&Region> = impact.regions.iter().filter(|r| r.requested.as_deref() == Some(name)).collect();
        let all: Vec<&Region> = plain.iter().chain(&named).copied().collect();
        for (model, [lost, gained]) in &brute::differences(base, head, requests, &[name]) {
            let [mut said_lost, said_gained] = claimed(&sets, &all, model.as_deref());
            if said_lost.is_empty() && said_gained.is_empty() {
                // The order of pipelines is looked at for requests that name no policy.
                said_lost.insert("order".to_owned());
            }
            let own = claimed(&sets, &named, model.as_deref());
            let order = |set: &BTreeSet<String>| set.iter().filter(|e| *e != "order").cloned().collect::<BTreeSet<_>>();
            assert!(said_lost.is_superset(&order(lost)), "requested {name} {model:?} lost {lost:?} {}", told());
            assert!(said_gained.is_superset(&order(gained)), "requested {name} {model:?} gained {gained:?} {}", told());
            assert!(lost.is_superset(&order(&own[0])) && gained.is_superset(&own[1]), "{name} {}", told());
        }
    }
}

/// How many pairs each of the tests tries; `REFGUARD_ORACLE_PAIRS` overrides.
fn pairs() -> u64 {
    std::env::var("REFGUARD_ORACLE_PAIRS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_500)
}

fn run(part: u64, check: impl Fn(&Pair, u64, &Requests)) {
    let mut tried = 0;
    let mut seed = part << 32;
    while tried < pairs() {
        seed += 1;
        let Some(pair) = pair(seed) else { continue };
        let requests = Requests::of(&[pair.engines[0].set(), pair.engines[1].set()]);
        if requests.len() > MOST_REQUESTS {
            continue;
        }
        check(&pair, seed, &requests);
        tried += 1;
    }
}

fn impact_agrees(part: u64) {
    run(part, |pair, seed, requests| {
        let found = impact(&pair.engines[0], &pair.engines[1], &Budget::default());
        check_regions(pair, seed, requests, &found);
    });
}

#[test]
fn impact_agrees_with_trying_part_1() {
    impact_agrees(1);
}
