//! `test`: the cases of PolicyTest documents, run on the engine.

use anyhow::Result;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::document::{FinalAction, Outcome};
use crate::policy::{Expect, TestCase};
use crate::resolve::{Context, Engine, Near, Request, Requested, explain, simulate};

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseReport {
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// The test it belongs to.
    pub test: String,
    /// Its name.
    pub case: String,
    /// Whether it got what it must get.
    pub ok: bool,
    /// What it got.
    pub got: Got,
    /// What it must get, as far as it says.
    pub want: Value,
    /// Each difference, in words.
    #[serde(skip)]
    pub differences: Vec<String>,
    /// Of a failed case: the attachments that came near.
    #[serde(skip)]
    pub near: Vec<Near>,
}

/// What a case got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Got {
    /// The guardrails, sorted.
    pub guardrails: Vec<String>,
    /// The policies, in order.
    pub policies: Vec<String>,
    /// What happens with the case's outcomes.
    pub action: FinalAction,
}

/// All cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestReport {
    /// Version of this format.
    pub version: u32,
    /// How many got what they must.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Each, in the order of files and places.
    pub cases: Vec<CaseReport>,
}

/// Runs every case of the set. `request_of` finds the policies that a case names, also `NAME@N`.
///
/// # Errors
/// As of `request_of`.
pub fn run_tests(engine: &Engine, request_of: &dyn Fn(&str) -> Result<Requested>) -> Result<TestReport> {
    let suites = engine.set().tests.iter();
    let cases: Vec<CaseReport> = suites
        .flat_map(|suite| suite.cases.iter().map(|case| run_case(engine, &suite.name, case, request_of)))
        .collect::<Result<_>>()?;
    let passed = cases.iter().filter(|case| case.ok).count();
    Ok(TestReport { version: 1, passed, failed: cases.len() - passed, cases })
}

fn run_case(
    engine: &Engine,
    test: &str,
    case: &TestCase,
    request_of: &dyn Fn(&str) -> Result<Requested>,
) -> Result<CaseReport> {
    let TestCase { team, key, model, tags, .. } = case.clone();
    let request = Request {
        context: Context { team, key, model, tags },
        policies: case.policies.iter().map(|name| request_of(name)).collect::<Result<_>>()?,
    };
    let resolution = engine.resolve(&request);
    let outcomes: FxHashMap<&str, Outcome> =
        case.outcomes.iter().map(|(name, outcome)| (name.as_str(), *outcome)).collect();
    let got = Got {
        guardrails: resolution.guardrails.iter().map(|&name| name.to_owned()).collect(),
        policies: resolution.policies.iter().map(|policy| policy.subject.label().to_owned()).collect(),
        action: simulate(&resolution, &outcomes),
    };
    let mut differences = differences(&case.expect, &got);
    differences
        .extend(resolution.unknown.iter().map(|name| format!("the policy `{name}` that it asks for does not exist")));
    let near = if differences.is_empty() { Vec::new() } else { explain(engine, &request) };
    Ok(CaseReport {
        file: case.place.file.to_string(),
        line: case.place.line,
        test: test.to_owned(),
        case: case.name.clone(),
        ok: differences.is_empty(),
        got,
        want: want(&case.expect),
        differences,
        near,
    })
}

fn differences(expect: &Expect, got: &Got) -> Vec<String> {
    let mut differences = Vec::new();
    let list = |names: &[&String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut say = |names: Vec<&String>, what: &str| {
        if !names.is_empty() {
            differences.push(format!("{what} {}", list(&names)));
        }
    };
    let lacks =
        |wanted: &'_ [String]| wanted.iter().filter(|name| !got.guardrails.contains(name)).cloned().collect::<Vec<_>>();
    if let Some(exactly) = &expect.guardrails {
        say(lacks(exactly).iter().collect(), "misses");
        say(got.guardrails.iter().filter(|name| !exactly.contains(name)).collect(), "gets besides");
    }
    if let Some(includes) = &expect.includes {
        say(lacks(includes).iter().collect(), "misses");
    }
    if let Some(excludes) = &expect.excludes {
        say(excludes.iter().filter(|name| got.guardrails.contains(name)).collect(), "must not get");
    }
    if let Some(policies) = expect.policies.as_ref().filter(|policies| **policies != got.policies) {
        let names = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        differences.push(format!("policies are {}, not {}", names(&got.policies), names(policies)));
    }
    if let Some(action) = expect.action.filter(|action| *action != got.action) {
        let word = |action: FinalAction| json!(action).as_str().unwrap_or("").to_owned();
        differences.push(format!("action is `{}`, not `{}`", word(got.action), word(action)));
    }
    differences
}

fn want(expect: &Expect) -> Value {
    let mut fields = Map::new();
    let lists = [
        ("guardrails", &expect.guardrails),
        ("includes", &expect.includes),
        ("excludes", &expect.excludes),
        ("policies", &expect.policies),
    ];
    for (key, list) in lists {
        if let Some(list) = list {
            fields.insert(key.to_owned(), json!(list));
        }
    }
    if let Some(action) = expect.action {
        fields.insert("action".to_owned(), json!(action));
    }
    Value::Object(fields)
}
