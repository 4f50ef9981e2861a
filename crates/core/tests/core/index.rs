//! The index finds what a look at every attachment finds, and what is found is what is written.

use proptest::prelude::*;
use refguard_core::resolve::{Answer, Fields, Origin, Resolution};
use serde_json::Value;

use super::support::{answer, config, context, engine, request, requested};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn index_and_plain_scan_agree(
        config in config(),
        requests in prop::collection::vec((context(), requested()), 24),
    ) {
        let engine = engine(&config);
        for (context, names) in requests {
            let request = request(&context, &names);
            let (found, scanned) = (engine.resolve(&request), engine.resolve_by_scan(&request));
            prop_assert_eq!(answer(&found), answer(&scanned), "{} {:?}", context, names);
            prop_assert_eq!(&found.unknown, &scanned.unknown);
            prop_assert_eq!(written(&found), answer(&found)["policies"].clone(), "{} {:?}", context, names);
            let unnamed = super::support::request(&context, &[]);
            let numbers = engine.guardrails_of(&unnamed.context);
            let known = |number: usize| &*engine.set().guardrails[number];
            let given: Vec<_> = numbers.ones().map(known).collect();
            prop_assert_eq!(given, engine.resolve(&unnamed).guardrails, "{}", context);
        }
    }
}

/// The policies of an answer's JSON, in the words of the conformance file.
fn written(resolution: &Resolution<'_>) -> Value {
    let origin = Origin {
        set: "test",
        commit: None,
        promotion: None,
    };
    let answer = Answer {
        origin,
        resolution,
        version: &|_, _| None,
        fields: Fields::ALL,
        explain: None,
    };
    let mut answer: Value = serde_json::from_slice(&answer.to_json()).expect("JSON");
    for policy in answer["policies"].as_array_mut().expect("policies") {
        let policy = policy.as_object_mut().expect("an object");
        for (name, renamed) in [("name", "policy"), ("chain", "inheritance_chain")] {
            let value = policy.remove(name).expect("a field");
            policy.insert(renamed.to_owned(), value);
        }
        assert!(policy.remove("version").is_some() && policy.remove("digest").is_some());
    }
    answer["policies"].take()
}
