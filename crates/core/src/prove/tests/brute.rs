//! Every request that small sets can tell apart, by trying: no class, no automaton, no index of the
//! code that is under test.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Dimension, FinalAction, Outcome, PerDimension};
use crate::policy::{Pattern, PolicySet, Targets};
use crate::resolve::{Context, Engine, Request, Requested, Script, simulate_call};

/// Requests that between them show everything that the sets can do.
pub struct Requests {
    /// What a request may have of each dimension.
    values: PerDimension<Vec<Vec<String>>>,
}

/// All strings over an alphabet, the shortest first.
fn strings(alphabet: &[&str], length: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..length {
        last = last
            .iter()
            .flat_map(|s| alphabet.iter().map(move |c| format!("{s}{c}")))
            .collect();
        all.extend(last.iter().cloned());
    }

    all
}

/// Of the values that the tests do not tell apart, one each.
fn distinct(
    values: Vec<Option<String>>,
    test: impl Fn(Option<&str>) -> Vec<bool>,
) -> Vec<Option<String>> {
    let mut seen = BTreeSet::new();
    values
        .into_iter()
        .filter(|value| seen.insert((value.is_none(), test(value.as_deref()))))
        .collect()
}

impl Requests {
    pub fn of(sets: &[&PolicySet]) -> Self {
        let boxes: Vec<&Targets> = sets
            .iter()
            .flat_map(|set| {
                let attached = set.attachments.iter().map(|a| &a.targets);
                attached.chain(
                    set.invariants
                        .iter()
                        .flat_map(|i| std::iter::once(&i.applies).chain(&i.except)),
                )
            })
            .collect();
        let patterns = |dimension: Dimension| -> Vec<Pattern> {
            boxes
                .iter()
                .flat_map(|b| b[dimension].iter().flatten().cloned())
                .collect()
        };

        let values = |alphabet: &[&str], length, patterns: Vec<Pattern>| {
            let all = std::iter::once(None)
                .chain(strings(alphabet, length).into_iter().map(Some))
                .collect();
            // Where nothing but `*` is asked for, the absent value does for all.
            let plain = patterns.iter().all(Pattern::is_any);
            let mut values = distinct(all, |v| patterns.iter().map(|p| p.matches(v)).collect());
            if plain {
                values.truncate(1);
            }

            values
        };

        let tag_values: Vec<String> = {
            let patterns = patterns(Dimension::Tag);
            let all = strings(&["t", "u", "s", "z"], 2)
                .into_iter()
                .map(Some)
                .collect();
            distinct(all, |v| patterns.iter().map(|p| p.matches(v)).collect())
                .into_iter()
                .flatten()
                .collect()
        };

        let models = {
            let patterns = patterns(Dimension::Model);
            let conditions: Vec<_> = sets.iter().flat_map(|set| &set.conditions).collect();
            let all = std::iter::once(None).chain(
                strings(&["m", "n", "x", "y", "z", "\n"], 3)
                    .into_iter()
                    .map(Some),
            );

            distinct(all.collect(), |v| {
                let met = conditions.iter().map(|c| v.is_some_and(|v| c.matches(v)));
                patterns.iter().map(|p| p.matches(v)).chain(met).collect()
            })
        };

        let subsets = (0..1usize << tag_values.len()).map(|bits| {
            tag_values
                .iter()
                .enumerate()
                .filter(|(i, _)| bits >> i & 1 == 1)
                .map(|(_, t)| t.clone())
                .collect()
        });
        let choices = |dimension| -> Vec<Vec<String>> {
            let values = match dimension {
                Dimension::Tag => return subsets.clone().collect(),
                Dimension::Model => models.clone(),
                Dimension::Team => values(&["a", "b", "z"], 2, patterns(dimension)),
                Dimension::Key => values(&["k", "z"], 2, patterns(dimension)),
                Dimension::User => values(&["u", "z"], 2, patterns(dimension)),
                Dimension::Tool => values(&["s", "/", "a"], 3, patterns(dimension)),
            };

            values
                .into_iter()
                .map(|value| value.into_iter().collect())
                .collect()
        };

        Self {
            values: PerDimension::from_fn(choices),
        }
    }

    pub fn len(&self) -> usize {
        self.values.values().map(Vec::len).product()
    }

    pub fn all(&self) -> impl Iterator<Item = Context> + '_ {
        self.values[Dimension::Model]
            .iter()
            .flat_map(move |model| self.with(model))
    }

    /// Every request for a model; of none: for no model.
    pub fn with(&self, model: &[String]) -> impl Iterator<Item = Context> + use<> {
        let mut start = Context::default();
        start.set_values(Dimension::Model, model.iter().cloned());
        let mut contexts = vec![start];
        for (dimension, choices) in self.values.iter().filter(|(of, _)| *of != Dimension::Model) {
            let spread = |context: &Context| {
                choices
                    .iter()
                    .map(|values| with_values(context, dimension, values))
                    .collect::<Vec<_>>()
            };

            contexts = contexts.iter().flat_map(spread).collect();
        }

        contexts.into_iter()
    }
}

fn with_values(context: &Context, dimension: Dimension, values: &[String]) -> Context {
    let mut context = context.clone();
    context.set_values(dimension, values.iter().cloned());
    context
}

/// What a request gets: its guardrails, and its pipelines as they run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Got {
    pub guardrails: BTreeSet<String>,
    pub pipelines: Vec<String>,
}

pub fn got(engine: &Engine, context: &Context, named: &[&str]) -> Got {
    let policies = named
        .iter()
        .map(|name| Requested::Named((*name).to_owned()))
        .collect();
    let request = Request {
        context: context.clone(),
        policies,
    };

    let resolution = engine.resolve_by_scan(&request);
    let mut pipelines: Vec<(u8, String)> = Vec::new();
    for p in &resolution.pipelines {
        let steps: Vec<String> = p
            .pipeline
            .steps
            .iter()
            .map(|s| {
                let error = s.on_error.unwrap_or(s.on_fail);
                format!(
                    "{} {:?} {:?} {error:?}",
                    p.set.guardrail(s.guardrail),
                    s.on_pass,
                    s.on_fail
                )
            })
            .collect();
        let one = (p.pipeline.mode as u8, steps.join(";"));
        if !pipelines.contains(&one) {
            pipelines.push(one);
        }
    }

    pipelines.sort_by_key(|(mode, _)| *mode);
    Got {
        guardrails: resolution
            .guardrails
            .iter()
            .map(|g| (*g).to_owned())
            .collect(),
        pipelines: pipelines
            .into_iter()
            .map(|(mode, text)| format!("{mode} {text}"))
            .collect(),
    }
}

/// Every request with what it gets before and after.
pub struct Table(pub Vec<(Context, Got, Got)>);

impl Table {
    pub fn new(engines: &[Engine; 2], requests: &Requests, named: &[&str]) -> Self {
        let row = |context: Context| {
            let (before, after) = (
                got(&engines[0], &context, named),
                got(&engines[1], &context, named),
            );
            (context, before, after)
        };

        Self(requests.all().map(row).collect())
    }

    /// For each model class, what some request of it loses and gains, pipelines among it (`|…`),
    /// and whether some request's pipelines differ (`order`).
    pub fn differences(&self) -> BTreeMap<Option<String>, [BTreeSet<String>; 2]> {
        let mut all: BTreeMap<Option<String>, [BTreeSet<String>; 2]> = BTreeMap::new();
        for (context, before, after) in &self.0 {
            let entry = all.entry(context.model().map(str::to_owned)).or_default();
            if before != after {
                note(before, after, entry);
            }
        }

        all
    }
}

fn note(before: &Got, after: &Got, into: &mut [BTreeSet<String>; 2]) {
    into[0].extend(before.guardrails.difference(&after.guardrails).cloned());
    into[1].extend(after.guardrails.difference(&before.guardrails).cloned());
    let less = |a: &[String], b: &[String]| {
        a.iter()
            .filter(|p| !b.contains(p))
            .map(|p| format!("|{p}"))
            .collect::<Vec<_>>()
    };

    into[0].extend(less(&before.pipelines, &after.pipelines));
    into[1].extend(less(&after.pipelines, &before.pipelines));
    if before.pipelines != after.pipelines {
        into[0].insert("order".to_owned());
    }
}

/// Whether some request and some outcomes of its guardrails are acted on before and let through
/// after, by trying all outcomes of up to four guardrails.
pub fn weakens(engines: &[Engine; 2], requests: &Requests, named: &[&str]) -> bool {
    const OUTCOMES: [Outcome; 4] = [Outcome::Pass, Outcome::Fail, Outcome::Error, Outcome::Skip];
    let catalog = engines[1].set().catalog.clone();
    let mut tried = BTreeSet::new();
    for context in requests.all() {
        let policies: Vec<_> = named
            .iter()
            .map(|name| Requested::Named((*name).to_owned()))
            .collect();
        let request = Request { context, policies };
        let [before, after] = [0, 1].map(|side: usize| engines[side].resolve_by_scan(&request));
        let seen = [&before, &after].map(|r| {
            let pipelines: Vec<String> = r
                .pipelines
                .iter()
                .map(|p| format!("{:?}", p.pipeline))
                .collect();

            (
                r.guardrails
                    .iter()
                    .map(|g| (*g).to_owned())
                    .collect::<Vec<_>>(),
                pipelines,
            )
        });

        if seen[0] == seen[1] || !tried.insert(seen) {
            continue;
        }

        // A pipeline also runs what its policy adds and removes again.
        let run = [
            &before.guardrails,
            &before.pipeline_guardrails,
            &after.guardrails,
            &after.pipeline_guardrails,
        ];
        let names: BTreeSet<&str> = run.into_iter().flatten().copied().collect();
        let all = 4usize.pow(u32::try_from(names.len()).expect("few guardrails"));
        for code in 0..all {
            let outcomes = names
                .iter()
                .enumerate()
                .map(|(i, name)| (*name, vec![OUTCOMES[(code >> (2 * i)) & 3]].into()))
                .collect();
            let [before, after] = [&before, &after].map(|resolution| {
                let script = Script::new(&catalog, &outcomes, &request.context);
                simulate_call(resolution, script).action
            });
            if before != FinalAction::Allow && after == FinalAction::Allow {
                return true;
            }
        }
    }

    false
}
