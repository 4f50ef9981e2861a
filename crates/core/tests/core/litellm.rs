//! The export in the real LiteLLM: its own code loads it and gives the answers that we give.
//!
//! Needs a Python with the package `litellm`, named by `REFGUARD_TEST_PYTHON`; CI makes one.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use refguard_core::interop::export_litellm;
use refguard_core::resolve::Engine;
use serde_json::{Value, json};

use super::support::{answer, config, context, data, engine, request, requested};

const SETS: usize = 150;
const REQUESTS: usize = 20;

/// A set and what is asked of it.
struct Case {
    engine: Engine,
    queries: Vec<(Value, Vec<&'static str>)>,
}

/// The same cases in every run.
fn cases() -> Vec<Case> {
    let mut runner = TestRunner::deterministic();
    let strategy = (
        config(),
        prop::collection::vec((context(), requested()), REQUESTS),
    );
    (0..SETS)
        .map(|_| {
            let (config, queries) = strategy.new_tree(&mut runner).expect("a case").current();
            Case {
                engine: engine(&config),
                queries,
            }
        })
        .collect()
}

/// LiteLLM's answers, a line a case.
fn ask(python: &str, input: String) -> Vec<Value> {
    let mut child = Command::new(python)
        .arg(data("litellm/answers.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("REFGUARD_TEST_PYTHON runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("an end");
    // What it said comes first: a program that died took no input either.
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    writer.join().expect("no panic").expect("all input taken");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Our answer with whole steps, as LiteLLM dumps them.
fn ours(case: &Case, context: &Value, names: &[&str]) -> Value {
    let request = request(context, names);
    let resolution = case.engine.resolve(&request);
    let mut answer = answer(&resolution);
    for (n, resolved) in resolution.pipelines.iter().enumerate() {
        let step = |step: &refguard_core::policy::Step| {
            json!({
                "guardrail": resolved.set.guardrail(step.guardrail),
                "on_pass": step.on_pass,
                "on_fail": step.on_fail,
                "on_error": step.on_error,
                "pass_data": step.pass_data,
                "modify_response_message": step.modify_response_message,
            })
        };
        answer["pipelines"][n]["steps"] = resolved.pipeline.steps.iter().map(step).collect();
    }
    answer
}

#[test]
fn litellm_answers_from_the_export_as_we_do() {
    let Ok(python) = std::env::var("REFGUARD_TEST_PYTHON") else {
        println!("skipped: REFGUARD_TEST_PYTHON names no Python with litellm");
        return;
    };
    let cases = cases();
    let line = |case: &Case| {
        let queries: Vec<Value> = case
            .queries
            .iter()
            .map(|(context, names)| json!({ "context": context, "requested": names }))
            .collect();
        format!(
            "{}\n",
            json!({ "config": export_litellm(case.engine.set()).expect("LiteLLM's words").text, "queries": queries })
        )
    };
    let theirs = ask(&python, cases.iter().map(line).collect());
    assert_eq!(theirs.len(), cases.len());
    let mut matched = 0;
    for (case, theirs) in cases.iter().zip(&theirs) {
        assert_eq!(
            theirs.get("error"),
            None,
            "LiteLLM refuses\n{}",
            export_litellm(case.engine.set())
                .expect("LiteLLM's words")
                .text
        );
        for ((context, names), theirs) in case
            .queries
            .iter()
            .zip(theirs["answers"].as_array().expect("answers"))
        {
            matched += usize::from(!theirs["policies"].as_array().expect("policies").is_empty());
            let text = || {
                export_litellm(case.engine.set())
                    .expect("LiteLLM's words")
                    .text
            };
            assert_eq!(
                &ours(case, context, names),
                theirs,
                "{context} {names:?}\n{}",
                text()
            );
        }
    }
    assert!(
        matched > SETS * REQUESTS / 4,
        "only {matched} requests matched anything"
    );
}
