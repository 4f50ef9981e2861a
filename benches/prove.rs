//! How long exact answers take as sets grow: a change of ten policies, of a policy that hundreds
//! inherit from, of the global baseline; fifty invariants. Also prints the size of the space that
//! trying requests would have to cover.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and ends where its sets are wrong"
)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use refguard_core::document::{Dimension, Limits, Loaded, load_file};
use refguard_core::policy::{Levels, Pattern, check_documents};
use refguard_core::prove::{Budget, ProveOptions, impact_of_change, prove_invariants};
use refguard_core::resolve::Engine;

const DOMAINS: [&str; 6] = [
    "health", "finance", "legal", "retail", "research", "support",
];
const MODELS: [&str; 6] = [
    "gpt-4",
    "gpt-4o",
    "claude-opus-4",
    "bedrock/llama-3",
    "bedrock/*",
    "gpt-*",
];
const CONDITIONS: [&str; 5] = [
    "gpt-4.*",
    "gpt-5(-mini)?",
    "claude-(opus|sonnet)-.*",
    "bedrock/.*",
    "azure/gpt-4o",
];
/// Policies that many others inherit from.
const PARENTS: usize = 20;

/// What is different in the set after the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    TenPolicies,
    Parent,
    Baseline,
}

/// A generator of numbers: the same seed, the same set.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % n
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.below(list.len());
        list.get(at).copied().unwrap_or_default()
    }
}

fn policy(r: &mut Random, number: usize, of: usize, change: Change) -> String {
    let mut adds: BTreeSet<usize> = (0..1 + r.below(4)).map(|_| r.below(120)).collect();
    let hit = match change {
        Change::Nothing => false,
        Change::TenPolicies => number % (of / 10) == of / 20,
        Change::Parent => number == 1,
        Change::Baseline => number == 0,
    };
    if hit {
        adds.pop_first();
        adds.insert(777);
    }
    let mut text = format!("apiVersion: refguard/v1\nkind: Policy\nname: policy-{number:05}\n");
    if number >= PARENTS && r.below(100) < 40 {
        let _ = writeln!(text, "inherit: policy-{:05}", r.below(PARENTS));
    }
    let list: Vec<String> = adds
        .iter()
        .map(|add| format!("guardrail_{add:03}"))
        .collect();
    let _ = writeln!(text, "guardrails: {{add: [{}]}}", list.join(", "));
    if r.below(100) < 25 && number >= PARENTS {
        let _ = writeln!(text, "condition: {{model: \"{}\"}}", r.pick(&CONDITIONS));
    }
    if r.below(100) < 10 {
        text.push_str("pipeline:\n  mode: pre_call\n  steps:\n");
        for guardrail in &list {
            let _ = writeln!(
                text,
                "    - {{guardrail: {guardrail}, on_pass: next, on_fail: block}}"
            );
        }
    }
    text
}

fn attachment(r: &mut Random, number: usize, of: usize) -> String {
    let mut text =
        format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: policy-{number:05}\n");
    let team = |r: &mut Random| format!("{}-{:05}", r.pick(&DOMAINS), r.below(of));
    let _ = match r.below(100) {
        _ if number < 3 => writeln!(text, "scope: \"*\""),
        0..50 => writeln!(text, "teams: [{}, {}]", team(r), team(r)),
        50..65 => {
            let prefix = format!("{}-{:02}", r.pick(&DOMAINS), r.below(100));
            writeln!(
                text,
                "teams: [\"{prefix}*\"]\nmodels: [\"{}\"]",
                r.pick(&MODELS)
            )
        }
        65..85 => writeln!(text, "keys: [prod-{:05}]", r.below(of)),
        _ => writeln!(text, "tags: [phi-{:04}]", r.below(of / 10 + 20)),
    };
    if number > 3 && r.below(100) < 2 {
        text.push_str("default: true\n");
    }
    text
}

fn invariant(number: usize) -> String {
    let domain = DOMAINS
        .get(number % DOMAINS.len())
        .copied()
        .unwrap_or_default();
    let area = [
        "teams: [\"D-*\"]",
        "tags: [\"phi*\"], teams: [\"D-0*\"]",
        "models: [\"gpt-4*\"]",
        "keys: [\"prod-*\"]",
    ];
    let area = area
        .get(number % area.len())
        .copied()
        .unwrap_or_default()
        .replace('D', domain);
    let demand = match number % 3 {
        0 => format!("require: [guardrail_{number:03}]"),
        1 => format!("forbid: [guardrail_{:03}]", number + 200),
        _ => format!(
            "any_of: [guardrail_{number:03}, guardrail_{:03}]",
            number + 1
        ),
    };
    format!(
        "apiVersion: refguard/v1\nkind: Invariant\nname: invariant-{number}\nfor: {{{area}}}\n{demand}\n"
    )
}

fn engine(size: usize, change: Change, invariants: usize) -> Engine {
    let mut all = Loaded::default();
    let mut add = |name: String, text: String| {
        all.append_loaded(load_file(name, text.into_bytes(), &Limits::DEFAULT))
    };
    for number in 0..size {
        // Each document has numbers of its own: one that changes moves no other.
        let mut r = Random(number as u64 * 2 + 1);
        add(
            format!("policies/{number:05}.yaml"),
            policy(&mut r, number, size, change),
        );
        add(
            format!("attachments/{number:05}.yaml"),
            attachment(&mut r, number, size),
        );
    }
    for number in 0..invariants {
        add(format!("invariants/{number:05}.yaml"), invariant(number));
    }
    let checked = check_documents(all, &Levels::default());
    Engine::new(Arc::new(
        checked.set.expect("the generator makes valid sets"),
    ))
}

/// The requests that a tool would have to try, as a power of ten: a value for each pattern of each
/// dimension, with every set of tags.
fn space(engine: &Engine) -> f64 {
    let count = |dimension: Dimension| -> f64 {
        let attachments = &engine.set().attachments;
        let patterns: BTreeSet<&Pattern> = attachments
            .iter()
            .flat_map(|a| a.targets[dimension].iter().flatten())
            .collect();
        patterns.len() as f64 + 1.0
    };
    let models = count(Dimension::Model) + engine.set().conditions.len() as f64;
    let values = count(Dimension::Team).log10() + count(Dimension::Key).log10() + models.log10();
    values + count(Dimension::Tag) * 2f64.log10()
}

fn impacts(c: &mut Criterion) {
    let mut group = c.benchmark_group("impact");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(4));
    for size in [1_000, 3_000, 10_000] {
        let base = engine(size, Change::Nothing, 0);
        println!(
            "{size} + {size}: about 10^{:.0} requests to try",
            space(&base)
        );
        for change in [Change::TenPolicies, Change::Parent, Change::Baseline] {
            let head = engine(size, change, 0);
            let found = impact_of_change(&base, &head, &Budget::default());
            println!(
                "{change:?}: {} regions, exact: {}",
                found.regions.len(),
                found.exact
            );
            group.bench_function(BenchmarkId::new(format!("{change:?}"), size), |b| {
                b.iter(|| black_box(impact_of_change(&base, &head, &Budget::default())));
            });
        }
    }
    group.finish();
}

fn proofs(c: &mut Criterion) {
    let mut group = c.benchmark_group("prove");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(4));
    for size in [1_000, 3_000, 10_000] {
        let engine = engine(size, Change::Nothing, 50);
        group.bench_function(BenchmarkId::new("fifty invariants", size), |b| {
            b.iter(|| {
                black_box(prove_invariants(
                    &engine,
                    ProveOptions::default(),
                    &Budget::default(),
                ))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, impacts, proofs);
criterion_main!(benches);
