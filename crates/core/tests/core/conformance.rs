//! What LiteLLM answers, for 3,000 requests: the same answers must come from here, in every field.

use serde_json::Value;

use super::support::{answer, data, engine, request};

/// One difference, for a person.
fn difference(scenario: &str, query: &Value, got: &Value) -> Option<String> {
    let want = &query["expect"];
    let fields = ["policies", "guardrails", "pipelines", "pipeline_guardrails"];
    let field = fields.into_iter().find(|field| want[field] != got[field])?;
    let context = &query["context"];
    Some(format!(
        "{scenario} {context} {field}:\n  LiteLLM  {}\n  refguard {}",
        want[field], got[field]
    ))
}

#[test]
fn every_answer_is_litellms() {
    let text = std::fs::read_to_string(data("conformance/litellm-resolve.jsonl"))
        .expect("the conformance file");
    let mut queries = 0;
    let mut differences = Vec::new();
    for line in text.lines() {
        let scenario: Value = serde_json::from_str(line).expect("a scenario");
        let id = scenario["id"].as_str().expect("an id");
        let engine = engine(line);
        for query in scenario["queries"].as_array().expect("queries") {
            queries += 1;
            let names: Vec<&str> = query["requested"]
                .as_array()
                .expect("names")
                .iter()
                .flat_map(Value::as_str)
                .collect();
            let request = request(&query["context"], &names);
            for resolution in [engine.resolve(&request), engine.resolve_by_scan(&request)] {
                differences.extend(difference(id, query, &answer(&resolution)));
            }
        }
    }
    assert_eq!(queries, 3_000);
    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences[..5.min(differences.len())].join("\n")
    );
}
