//! Small stories, and the comparison with trying all requests and all assignments of guardrails.

use super::*;
use crate::policy::{Pattern, Place};
use crate::prove::tests::generate::Random;

const GUARDRAILS: [&str; 3] = ["g", "h", "i"];
const VALUES: [(Dimension, &[&str]); 5] = [
    (Dimension::Team, &["a", "ab", "a*", "b", "ab*", "*"]),
    (Dimension::Key, &["k", "k*", "*"]),
    (Dimension::User, &["u", "*"]),
    (Dimension::Tag, &["t", "t*", "tu", "s", "*"]),
    (Dimension::Model, &["m", "m*", "n"]),
];
/// A value of each class that these patterns make.
const TEAMS: [Option<&str>; 6] = [
    None,
    Some("a"),
    Some("ab"),
    Some("ac"),
    Some("b"),
    Some("abc"),
];
const KEYS: [Option<&str>; 3] = [None, Some("k"), Some("kk")];
const USERS: [Option<&str>; 2] = [None, Some("u")];
const MODELS: [Option<&str>; 4] = [None, Some("m"), Some("mm"), Some("n")];
const TAGS: [&str; 5] = ["t", "tu", "tz", "s", "z"];

fn targets<'p>(lists: impl IntoIterator<Item = (Dimension, Vec<&'p str>)>) -> Targets {
    let mut targets = Targets::default();
    for (dimension, list) in lists {
        targets.0[dimension] = Some(list.into_iter().map(Pattern::parse).collect());
    }

    targets
}

fn names(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|name| Arc::from(*name)).collect()
}

fn invariant(applies: Targets, require: &[&str]) -> Invariant {
    Invariant {
        name: "i".into(),
        applies,
        except: None,
        require: names(require),
        any_of: Vec::new(),
        forbid: Vec::new(),
        place: Place {
            file: "i.yaml".into(),
            line: 1,
        },
    }
}

fn teams(list: &[&str]) -> Targets {
    targets([(Dimension::Team, list.to_vec())])
}

fn tags(list: &[&str]) -> Targets {
    targets([(Dimension::Tag, list.to_vec())])
}

fn lost(base: &[Invariant], head: &[Invariant]) -> Vec<LostInvariant> {
    lost_invariants(base, head, &[], &Budget::default())
}

fn is_implied(base: &Invariant, head: &[Invariant]) -> bool {
    lost(std::slice::from_ref(base), head).is_empty()
}

#[test]
fn a_rename_a_split_and_a_merge_lose_nothing() {
    let whole = Invariant {
        any_of: names(&["h", "i"]),
        ..invariant(teams(&["a*", "b"]), &["g"])
    };

    let renamed = Invariant {
        name: "other".into(),
        ..whole.clone()
    };

    assert!(is_implied(&whole, &[renamed]));

    let parts = [
        invariant(teams(&["a*"]), &["g"]),
        invariant(teams(&["b"]), &["g", "h"]),
        Invariant {
            any_of: names(&["h", "i"]),
            ..invariant(teams(&["a*"]), &[])
        },
    ];

    assert!(is_implied(&whole, &parts));
    let merged = invariant(Targets::default(), &["g", "h"]);
    assert!(lost(&parts, &[merged]).is_empty());

    assert!(lost(&[], &parts).is_empty());
}

#[test]
fn what_is_lost_is_named_with_a_request() {
    let audited = invariant(teams(&["health*"]), &["g"]);
    let except = targets([(Dimension::Key, vec!["ci-*"])]);
    let head = [
        invariant(teams(&["health-eu*"]), &["g"]),
        Invariant {
            except: Some(except),
            ..audited.clone()
        },
    ];
    let found = lost(std::slice::from_ref(&audited), &head);
    let witness = found[0].witness.as_ref().expect("a request");
    assert_eq!(
        (found[0].index, &found[0].promise),
        (0, &LostPromise::Require("g".into()))
    );
    assert_eq!(witness.value(Dimension::Team), Some("health"));
    assert_eq!(witness.value(Dimension::Key), Some("ci-"));

    let gone = lost(&[audited], &[]);
    assert_eq!(
        gone[0]
            .witness
            .as_ref()
            .and_then(|w| w.value(Dimension::Team)),
        Some("health")
    );
}

#[test]
fn a_request_with_two_tags_is_in_two_boxes() {
    // Tagged `s` and `t` together, a request is excepted by the first and not spoken of by the
    // second.
    let base = invariant(tags(&["t"]), &["g"]);
    let not_s = Invariant {
        except: Some(tags(&["s"])),
        ..base.clone()
    };

    assert!(!is_implied(&base, std::slice::from_ref(&not_s)));
    assert!(is_implied(
        &base,
        &[not_s.clone(), invariant(tags(&["s", "u"]), &["g"])]
    ));
    // No tag at all is not what `tags: ["*"]` speaks of.
    assert!(!is_implied(
        &invariant(Targets::default(), &["g"]),
        &[invariant(tags(&["*"]), &["g"])]
    ));
}

#[test]
fn what_is_forbidden_narrows_what_is_left_to_choose() {
    let base = invariant(teams(&["a"]), &["g"]);
    let choice = Invariant {
        any_of: names(&["g", "h"]),
        ..invariant(teams(&["a*"]), &[])
    };

    let forbids = Invariant {
        forbid: names(&["h"]),
        ..invariant(Targets::default(), &[])
    };

    assert!(!is_implied(&base, std::slice::from_ref(&choice)));
    assert!(is_implied(&base, &[choice.clone(), forbids.clone()]));
    let elsewhere = Invariant {
        applies: teams(&["b"]),
        ..forbids
    };

    assert!(!is_implied(&base, &[choice, elsewhere]));
}

#[test]
fn what_the_budget_does_not_show_counts_as_lost() {
    let base = invariant(teams(&["a*"]), &["g"]);
    let head = [invariant(teams(&["*"]), &["g"])];
    assert!(is_implied(&base, &head));
    let found = lost_invariants(
        std::slice::from_ref(&base),
        &head,
        &[],
        &Budget::with_units(1),
    );
    assert_eq!((found.len(), &found[0].witness), (1, &None));
    // The same invariant under another name takes no search.
    assert!(lost_invariants(&head, &head, &[], &Budget::with_units(0)).is_empty());
}

fn random_targets(random: &mut Random) -> Targets {
    let mut lists = Vec::new();
    for (dimension, values) in VALUES {
        if random.chance(45) {
            lists.push((dimension, random.some(values, 3)));
        }
    }

    targets(lists)
}

fn random_invariant(random: &mut Random) -> Invariant {
    let list = |random: &mut Random, percent, most| {
        let chosen = random
            .chance(percent)
            .then(|| random.some(&GUARDRAILS, most));
        names(&chosen.unwrap_or_default())
    };

    Invariant {
        except: random.chance(30).then(|| random_targets(random)),
        any_of: list(random, 40, 3),
        forbid: list(random, 35, 2),
        require: list(random, 50, 2),
        ..invariant(random_targets(random), &[])
    }
}

fn speaks_of(invariant: &Invariant, request: &Context) -> bool {
    let is_in = |targets: &Targets| targets.matches_context(request);
    is_in(&invariant.applies) && !invariant.except.as_ref().is_some_and(is_in)
}

fn accepts(invariant: &Invariant, guardrails: usize) -> bool {
    let has = |name: &Arc<str>| {
        GUARDRAILS
            .iter()
            .position(|g| **g == **name)
            .is_some_and(|at| guardrails & (1 << at) != 0)
    };

    invariant.require.iter().all(has)
        && (invariant.any_of.is_empty() || invariant.any_of.iter().any(has))
        && !invariant.forbid.iter().any(has)
}

/// Whether an invariant of BASE is broken for a request by guardrails that all of HEAD's accept.
fn is_broken(base: &Invariant, head: &[&Invariant]) -> bool {
    (0..1 << GUARDRAILS.len()).any(|guardrails| {
        head.iter().all(|other| accepts(other, guardrails)) && !accepts(base, guardrails)
    })
}

fn requests() -> Vec<Context> {
    let tag_sets = (0..1usize << TAGS.len()).map(|chosen| {
        let tags = TAGS
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen & (1 << at) != 0);
        tags.map(|(_, tag)| (*tag).to_owned())
            .collect::<Vec<String>>()
    });
    let mut requests = Vec::new();
    for tags in tag_sets {
        let mut tagged = Context::default();
        tagged.set_values(Dimension::Tag, tags);
        requests.push(tagged);
    }

    for (dimension, values) in [
        (Dimension::Team, &TEAMS[..]),
        (Dimension::Key, &KEYS),
        (Dimension::User, &USERS),
        (Dimension::Model, &MODELS),
    ] {
        let spread = |request: &Context| {
            let with = |value: &Option<&str>| {
                let mut request = request.clone();
                request.set_values(dimension, value.map(str::to_owned));
                request
            };

            values.iter().map(with).collect::<Vec<_>>()
        };

        requests = requests.iter().flat_map(spread).collect();
    }

    requests
}

#[test]
fn every_answer_is_that_of_trying_all_requests_and_all_guardrails() {
    let requests = requests();
    let (mut kept, mut gone) = (0, 0);
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut base: Vec<Invariant> = (0..2).map(|_| random_invariant(&mut random)).collect();
        let mut head: Vec<Invariant> = (0..1 + random.below(5))
            .map(|_| random_invariant(&mut random))
            .collect();
        // Parts of one another, so that not all is lost.
        for part in base.clone() {
            let narrower = random_targets(&mut random);
            if random.chance(80) {
                head.push(Invariant {
                    except: Some(narrower.clone()),
                    ..part.clone()
                });
            }

            if random.chance(60) {
                head.push(Invariant {
                    applies: narrower,
                    ..part
                });
            }
        }

        base.extend(head.first().cloned().map(|i| Invariant {
            require: Vec::new(),
            ..i
        }));

        let found = lost(&base, &head);
        for (index, invariant) in base.iter().enumerate() {
            let mut spoken_of: FxHashSet<Vec<bool>> = FxHashSet::default();
            let is_lost = requests
                .iter()
                .filter(|request| speaks_of(invariant, request))
                .any(|request| {
                    let active: Vec<bool> = head.iter().map(|i| speaks_of(i, request)).collect();
                    let of_head: Vec<&Invariant> = head
                        .iter()
                        .zip(&active)
                        .filter(|(_, on)| **on)
                        .map(|(i, _)| i)
                        .collect();

                    spoken_of.insert(active) && is_broken(invariant, &of_head)
                });
            let answer = found.iter().find(|lost| lost.index == index);
            assert_eq!(
                answer.is_some(),
                is_lost,
                "seed {seed}, {invariant:?} of {head:?}"
            );
            *if is_lost { &mut gone } else { &mut kept } += 1;

            // The request that is shown proves the loss.
            let Some(lost) = answer else { continue };
            let witness = lost.witness.as_ref().expect("a request");
            let active: Vec<&Invariant> = head.iter().filter(|i| speaks_of(i, witness)).collect();
            assert!(speaks_of(invariant, witness), "seed {seed}: {witness:?}");
            assert!(is_broken(invariant, &active), "seed {seed}: {witness:?}");
        }
    }

    assert!(kept > 150 && gone > 150, "{kept} kept, {gone} lost");
}
