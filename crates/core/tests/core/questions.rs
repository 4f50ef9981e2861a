//! Questions of people are answered as the engine answers.

use proptest::prelude::*;
use refguard_core::document::Dimension;
use refguard_core::policy::Context;
use refguard_core::questions::{MatrixQuestion, explain_guardrail, make_matrix};

use super::support::{config, context, engine, request, requested};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_gives_where_nothing_is_in_the_way_and_nowhere_else(
        config in config(),
        requests in prop::collection::vec((context(), requested()), 12),
    ) {
        let engine = engine(&config);
        for (context, names) in requests {
            let request = request(&context, &names);
            let got = engine.resolve(&request);
            for guardrail in &engine.set().guardrails {
                let givers = explain_guardrail(&engine, &request, guardrail).expect("a known name");
                let has = givers.iter().any(|giver| giver.gives);
                prop_assert_eq!(has, got.guardrails.contains(&&**guardrail), "{}", guardrail);
                for giver in &givers {
                    prop_assert_eq!(giver.gives, giver.obstacles.is_empty(), "{:?}", giver);
                    prop_assert_eq!(giver.gives, giver.matched_via.is_some());
                }
                let order: Vec<usize> = givers.iter().map(|giver| giver.obstacles.len()).collect();
                let first_other = givers.iter().position(|giver| !giver.gives);
                prop_assert!(order.iter().skip(first_other.unwrap_or(order.len())).all(|of| *of > 0));
            }
        }
    }
}

#[test]
fn a_matrix_has_every_combination_once_and_says_what_it_gets() {
    let config = r#"{"policies": {
        "base": {"guardrails": {"add": ["log"]}},
        "eu": {"inherit": "base", "guardrails": {"add": ["gdpr"]}},
        "big": {"guardrails": {"add": ["pii"]}, "condition": {"model": "gpt-.*"}}},
      "policy_attachments": [
        {"policy": "base", "scope": "*"},
        {"policy": "eu", "teams": ["a", "b"]},
        {"policy": "big", "teams": ["b", "c"]}]}"#;
    let mut set = (**engine(config).set()).clone();
    set.catalog.values[Dimension::Team] =
        Some(["d", "c", "b", "a", "x-*", "e"].map(Into::into).to_vec());
    set.catalog.values[Dimension::Model] = Some(["gpt-4", "o1", "gpt-5"].map(Into::into).to_vec());
    let engine = refguard_core::resolve::Engine::new(std::sync::Arc::new(set));

    let by = vec![Dimension::Team, Dimension::Model];
    let matrix = make_matrix(
        &engine,
        &MatrixQuestion {
            by,
            ..MatrixQuestion::default()
        },
    )
    .expect("names");
    let mut seen = std::collections::BTreeSet::new();
    for row in &matrix.rows {
        for team in &row.names["team"] {
            for model in &row.names["model"] {
                assert!(
                    seen.insert((team.clone(), model.clone())),
                    "{team} {model} twice"
                );
                let values = [
                    (Dimension::Team, team.as_str()),
                    (Dimension::Model, model.as_str()),
                ];
                let request = refguard_core::resolve::Request {
                    context: Context::from_values(values),
                    policies: Vec::new(),
                };
                assert_eq!(engine.resolve(&request).guardrails, row.guardrails);
            }
        }
    }
    assert_eq!(seen.len(), 5 * 3);
    assert_eq!(matrix.rows.len(), 6, "{:#?}", matrix.rows);
    assert_eq!(matrix.patterns["team"], ["x-*"]);

    let by = vec![Dimension::Team];
    let question = MatrixQuestion {
        by,
        guardrails: vec!["gdpr".into()],
        ..Default::default()
    };
    let matrix = make_matrix(&engine, &question).expect("names");
    let rows: Vec<_> = matrix
        .rows
        .iter()
        .map(|row| (&row.names["team"], &row.guardrails))
        .collect();
    assert_eq!(
        format!("{rows:?}"),
        r#"[(["a", "b"], ["gdpr"]), (["c", "d", "e"], [])]"#
    );

    let question = MatrixQuestion {
        guardrails: vec!["gpdr".into()],
        ..question
    };
    let said = make_matrix(&engine, &question)
        .expect_err("a typo")
        .to_string();
    assert_eq!(
        said,
        "no policy adds `gpdr`, and no catalog has it; did you mean `gdpr`?"
    );
    let question = MatrixQuestion {
        by: vec![Dimension::Key],
        ..MatrixQuestion::default()
    };
    let said = make_matrix(&engine, &question)
        .expect_err("no keys")
        .to_string();
    assert_eq!(
        said,
        "no catalog lists the names of keys: rows are made of them"
    );
}
