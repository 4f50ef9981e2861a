//! The core by itself: text to documents, documents to a set, a set to an index, a request to an
//! answer.
//!
//! `cargo bench --bench core`; one group: `cargo bench --bench core -- resolve`.
#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(clippy::string_slice, missing_docs)]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use refguard_core::document::{Limits, Loaded, load_file};
use refguard_core::policy::{Levels, PolicySet, check_documents};
use refguard_core::resolve::Engine;

use support::model::{Model, Size};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 1;

fn load(files: &[(String, String)]) -> Loaded {
    let mut loaded = Loaded::default();
    for (path, text) in files {
        loaded.append_loaded(load_file(
            path.as_str(),
            text.clone().into_bytes(),
            &Limits::DEFAULT,
        ));
    }
    loaded
}

fn set(model: &Model) -> Arc<PolicySet> {
    let checked = check_documents(load(&model.files()), &Levels::default());
    let error = checked.findings.iter().find(|finding| finding.is_error());
    assert!(
        error.is_none(),
        "the made-up set is at fault: {}",
        error.expect("one")
    );
    Arc::new(checked.set.expect("a set without errors"))
}

/// Every file of a set, one thread.
fn documents(c: &mut Criterion) {
    let mut group = c.benchmark_group("documents");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for count in [1_000, 10_000] {
        let files = Model::new(Size::of(count), SEED).files();
        group.throughput(Throughput::Bytes(
            files.iter().map(|(_, text)| text.len() as u64).sum(),
        ));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| load(black_box(&files)))
        });
    }
    group.finish();
}

/// Every rule over a set, and building what the engine answers from.
fn judging(c: &mut Criterion) {
    let mut group = c.benchmark_group("check");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for count in [1_000, 10_000] {
        let files = Model::new(Size::of(count), SEED).files();
        let loaded = || load(&files);
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_batched(
                loaded,
                |loaded| check_documents(loaded, &Levels::default()),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn index(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for count in [1_000, 10_000, 100_000] {
        let set = set(&Model::new(Size::of(count), SEED));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| Engine::new(black_box(set.clone())))
        });
    }
    group.finish();
}

/// One request after the other out of a thousand; ten attachments a team at every size.
fn resolve(c: &mut Criterion) {
    let mut group = c.benchmark_group("resolve");
    for count in [10, 100, 1_000, 10_000, 100_000] {
        let model = Model::new(Size::of(count), SEED);
        let engine = Engine::new(set(&model));
        let requests = model.requests(1_000, SEED + 1);
        let policies: usize = requests
            .iter()
            .map(|request| engine.resolve(request).policies.len())
            .sum();
        println!(
            "{count} attachments: {:.1} policies a request",
            policies as f64 / requests.len() as f64
        );
        let mut next = (0..requests.len()).cycle();
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                let request = &requests[next.next().expect("a cycle has no end")];
                black_box(engine.resolve(black_box(request)));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, documents, judging, index, resolve);
criterion_main!(benches);
