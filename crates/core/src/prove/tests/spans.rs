//! Sets of which attachments expire: what is said of all time from an instant on, against each span
//! tried by itself.

use std::sync::Arc;

use jiff::Timestamp;

use super::brute::{Requests, Table};
use super::engine_of;
use super::generate::{self, Random};
use super::oracle::{claimed, has, keeps};
use crate::prove::{
    Budget, Detail, ProveOptions, Region, find_weakening, impact_from, prove_from,
    prove_invariants, weakens_from,
};
use crate::resolve::Engine;

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Within each span: those of [`generate::let_expire`] as they are seen from 2026-12-02 on.
pub const SPANS: [&str; 3] = [
    "2026-12-02T00:00:00Z",
    "2026-12-11T00:00:00Z",
    "2026-12-21T00:00:00Z",
];

fn is_within(region: &Region, at: Timestamp) -> bool {
    region.at.is_none_or(|from| from <= at) && region.until.is_none_or(|until| at < until)
}

/// Two random sets of which attachments expire, and their text.
pub fn engines(seed: u64) -> Option<(String, [Arc<Engine>; 2])> {
    let mut r = Random::new(seed);
    let mut before = generate::set(&mut r);
    generate::let_expire(&mut r, &mut before);
    let mut after = before.clone();
    match r.below(3) {
        0 => after = generate::changed(&mut r, &before),
        1 => generate::let_expire(&mut r, &mut after),
        _ => {
            after = generate::changed(&mut r, &before);
            generate::let_expire(&mut r, &mut after);
        }
    }

    let engines = [engine_of(&before.yaml())?, engine_of(&after.yaml())?].map(Arc::new);
    Some((
        format!(
            "seed {seed}\n--- BASE\n{}\n--- HEAD\n{}",
            before.yaml(),
            after.yaml()
        ),
        engines,
    ))
}

#[test]
fn an_impact_over_time_agrees_with_trying_each_span() {
    let (mut tried, mut seed, mut later) = (0, 7 << 32, 0);
    while tried < 400 {
        seed += 1;
        let Some((told, [base, head])) = engines(seed) else {
            continue;
        };
        let requests = Requests::of(&[base.set(), head.set()]);
        if requests.len() > 150 {
            continue;
        }

        tried += 1;
        let now = instant(SPANS[0]);
        let found = impact_from(&base, &head, now, &Budget::default(), Detail::ALL);
        assert!(found.exact, "{told} {found:#?}");
        later += found
            .regions
            .iter()
            .filter(|region| region.at.is_some())
            .count();

        let mut weakens_at = None;
        for span in SPANS {
            let at = instant(span);
            let pair = [&base, &head].map(|engine| Engine::new(engine.as_of(at).set().clone()));
            let sets = [&**pair[0].set(), &**pair[1].set()];
            let table = Table::new(&pair, &requests, &[]);
            let regions = found.regions.iter();
            let plain: Vec<&Region> = regions
                .filter(|it| it.requested.is_none() && is_within(it, at))
                .collect();
            for (model, truth) in table.differences() {
                let said = claimed(&sets, &plain, model.as_deref());
                assert_eq!(truth, said, "at {span}, model {model:?} {told} {found:#?}");
            }

            for region in plain {
                assert!(has(&sets, region, &region.witness), "{region:#?} {told}");
            }

            if find_weakening(&pair[0], &pair[1], &Budget::default())
                .weakening
                .is_some()
            {
                weakens_at = weakens_at.or(Some(at));
            }
        }

        let first = weakens_from(&base, &head, now, &Budget::default()).weakening;
        for said in [&found.weakening, &first] {
            let said = said.as_ref().map(|weakening| weakening.at.unwrap_or(now));
            assert_eq!(said, weakens_at, "{told} {found:#?}");
        }
    }

    assert!(
        later > 100,
        "only {later} regions begin later: the generator does too little"
    );
}

#[test]
fn what_is_expired_already_may_be_deleted_without_a_difference() {
    for seed in (9 << 32)..(9 << 32) + 300 {
        let mut r = Random::new(seed);
        let mut before = generate::set(&mut r);
        generate::let_expire(&mut r, &mut before);
        let mut after = before.clone();
        after
            .attachments
            .retain(|attachment| attachment.expires != Some(1));
        let (Some(base), Some(head)) = (engine_of(&before.yaml()), engine_of(&after.yaml())) else {
            continue;
        };
        let (base, head) = (Arc::new(base), Arc::new(head));
        let now = instant(SPANS[0]);
        let found = impact_from(&base, &head, now, &Budget::default(), Detail::ALL);
        assert!(
            found.regions.is_empty() && !found.weakens,
            "{} {found:#?}",
            before.yaml()
        );
        let earlier = impact_from(
            &base,
            &head,
            instant("2026-12-01T23:59:59Z"),
            &Budget::default(),
            Detail::ALL,
        );

        assert!(
            earlier
                .regions
                .iter()
                .all(|region| region.until == Some(now)),
            "{earlier:#?}"
        );
    }
}

#[test]
fn a_proof_over_time_agrees_with_trying_each_span() {
    let (mut tried, mut seed, mut broken_later) = (0, 11 << 32, 0);
    while tried < 300 {
        seed += 1;
        let mut r = Random::new(seed);
        let mut set = generate::set(&mut r);
        generate::let_expire(&mut r, &mut set);
        set.invariants = (0..2).map(|_| generate::invariant(&mut r)).collect();
        let yaml = set.yaml();
        let Some(engine) = engine_of(&yaml) else {
            continue;
        };
        let requests = Requests::of(&[engine.set()]);
        if requests.len() > 150 {
            continue;
        }

        tried += 1;
        let engine = Arc::new(engine);
        let options = ProveOptions::default();
        let proof = prove_from(&engine, instant(SPANS[0]), options, &Budget::default());
        for (number, verdict) in proof.invariants.iter().enumerate() {
            let breaks = |span: &&&str| {
                let at = engine.as_of(instant(span));
                let own = prove_invariants(&at, options, &Budget::default());
                let invariant = &engine.set().invariants[number];
                let truth = requests.all().all(|context| {
                    keeps(invariant, &context, &super::brute::got(&at, &context, &[]))
                });
                assert_eq!(own.invariants[number].holds, truth, "{yaml}");
                !truth
            };

            let first = SPANS.iter().find(breaks);
            assert_eq!(verdict.holds, first.is_none(), "{yaml} {verdict:#?}");
            let at = first
                .filter(|span| **span != SPANS[0])
                .map(|span| instant(span));
            assert_eq!(verdict.at, at, "{yaml} {verdict:#?}");
            broken_later += usize::from(at.is_some());
        }
    }

    assert!(
        broken_later > 10,
        "only {broken_later}: the generator does too little"
    );
}
