//! `test`: the cases of PolicyTest documents, run on the engine.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::Timestamp;
use refguard_core::document::{FinalAction, Finding};
use refguard_core::policy::{Expect, TestCase};
use refguard_core::resolve::{
    Coverage, CoverageReport, Engine, Near, Outcomes, Request, Requested, Script, explain_request,
    simulate_call,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Guardrails and policies that all cases of a run may get together: the limit `test-answers`.
const MAX_NAMES: usize = 2_000_000;
/// Names that one difference tells.
const MAX_TOLD: usize = 100;

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

/// Which cases run, and what is looked at besides.
#[derive(Clone, Default)]
pub struct TestOptions<'a> {
    /// Only cases of files that this admits.
    pub in_files: Option<&'a dyn Fn(&str) -> bool>,
    /// Only cases with this in `TEST: CASE`.
    pub filter: Option<String>,
    /// End at the first failed case.
    pub fail_fast: bool,
    /// Measure coverage.
    pub coverage: bool,
}

/// All cases that ran.
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
    /// What the cases exercise, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageReport>,
}

/// The warnings that may explain why cases fail: each names something that a failed case differs
/// in, or stands in its file.
pub fn explain_failures<'f>(findings: &'f [Finding], report: &TestReport) -> Vec<&'f Finding> {
    let failed = || report.cases.iter().filter(|case| !case.ok);
    let files: BTreeSet<&str> = failed().map(|case| &*case.file).collect();
    let is_mark = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '`');
    let words: BTreeSet<&str> = failed()
        .flat_map(|case| &case.differences)
        .flat_map(|difference| difference.split(is_mark))
        .filter(|word| !word.is_empty())
        .collect();
    let explains = |finding: &&Finding| {
        // What stands between backticks is every other part.
        let mut names = finding.message.split('`').skip(1).step_by(2);
        !finding.is_error()
            && (files.contains(&*finding.location.file) || names.any(|name| words.contains(name)))
    };
    findings.iter().filter(explains).collect()
}

/// Finds the policies that a case names, also `NAME@N`.
pub type FindRequested<'a> = &'a mut dyn FnMut(&str) -> Result<Requested>;

/// Runs the cases on the set as it is at an instant. The engine has every attachment, expired or
/// not.
///
/// # Errors
/// As of `requested`, and where the answers are more than a report can hold.
pub fn run_tests(
    engine: &Arc<Engine>,
    now: Timestamp,
    options: &TestOptions<'_>,
    requested: FindRequested<'_>,
) -> Result<TestReport> {
    let engine = &*engine.as_of(now);
    let set = engine.set();
    let wanted = |name: &str| {
        options
            .filter
            .as_ref()
            .is_none_or(|filter| name.contains(filter.as_str()))
    };
    let mut coverage = options.coverage.then(|| Coverage::new(engine));
    let (mut cases, mut names) = (Vec::new(), 0);
    for (suite, case) in set
        .tests
        .iter()
        .flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)))
    {
        let is_elsewhere = options
            .in_files
            .is_some_and(|admits| !admits(&case.place.file));
        if is_elsewhere || !wanted(&format!("{}: {}", suite.name, case.name)) {
            continue;
        }
        let request = request(case, requested)?;
        let outcomes: Outcomes<'_> = case
            .outcomes
            .iter()
            .map(|(n, o)| (n.as_str(), o.as_slice().into()))
            .collect();
        if let Some(coverage) = &mut coverage {
            coverage.exercise_request(engine, &request, &outcomes);
        }
        let report = run_case(engine, &suite.name, case, &request, &outcomes);
        names += report.got.guardrails.len() + report.got.policies.len();
        if names > MAX_NAMES {
            bail!(
                "{}:{}: the cases up to this one get more than {MAX_NAMES} guardrails and \
                 policies together: \
                 the limit `test-answers`",
                report.file,
                report.line
            );
        }
        cases.push(report);
        if options.fail_fast && cases.last().is_some_and(|case| !case.ok) {
            break;
        }
    }
    let passed = cases.iter().filter(|case| case.ok).count();
    let coverage = coverage.map(|coverage| coverage.make_report());
    Ok(TestReport {
        version: 1,
        passed,
        failed: cases.len() - passed,
        cases,
        coverage,
    })
}

fn request(case: &TestCase, requested: FindRequested<'_>) -> Result<Request> {
    let policies = case
        .policies
        .iter()
        .map(|name| requested(name))
        .collect::<Result<_>>()?;
    Ok(Request {
        context: case.context.clone(),
        policies,
    })
}

fn run_case(
    engine: &Engine,
    test: &str,
    case: &TestCase,
    request: &Request,
    outcomes: &Outcomes<'_>,
) -> CaseReport {
    let resolution = engine.resolve(request);
    let script = Script::new(&engine.set().catalog, outcomes, &request.context);
    let got = Got {
        guardrails: resolution
            .guardrails
            .iter()
            .map(|&name| name.to_owned())
            .collect(),
        policies: resolution
            .policies
            .iter()
            .map(|policy| policy.name().to_owned())
            .collect(),
        action: simulate_call(&resolution, script).action,
    };
    let mut differences = differences(&case.expect, &got);
    differences.extend(
        resolution
            .unknown
            .iter()
            .map(|name| format!("the policy `{name}` that it asks for does not exist")),
    );
    let near = if differences.is_empty() {
        Vec::new()
    } else {
        explain_request(engine, request)
    };
    CaseReport {
        file: case.place.file.to_string(),
        line: case.place.line,
        test: test.to_owned(),
        case: case.name.clone(),
        ok: differences.is_empty(),
        got,
        want: want(&case.expect),
        differences,
        near,
    }
}

fn differences(expect: &Expect, got: &Got) -> Vec<String> {
    let mut differences = Vec::new();
    let list = |names: &[&String]| {
        let told: Vec<String> = names
            .iter()
            .take(MAX_TOLD)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = names.len().saturating_sub(MAX_TOLD);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        told.join(", ") + &more
    };
    let mut say = |names: Vec<&String>, what: &str| {
        if !names.is_empty() {
            differences.push(format!("{what} {}", list(&names)));
        }
    };
    let has: HashSet<&String> = got.guardrails.iter().collect();
    if let Some(exactly) = &expect.guardrails {
        say(
            exactly.iter().filter(|name| !has.contains(name)).collect(),
            "misses",
        );
        let due: HashSet<&String> = exactly.iter().collect();
        say(
            got.guardrails
                .iter()
                .filter(|name| !due.contains(name))
                .collect(),
            "gets besides",
        );
    }
    if let Some(includes) = &expect.includes {
        say(
            includes.iter().filter(|name| !has.contains(name)).collect(),
            "misses",
        );
    }
    if let Some(excludes) = &expect.excludes {
        say(
            excludes.iter().filter(|name| has.contains(name)).collect(),
            "must not get",
        );
    }
    if let Some(policies) = expect
        .policies
        .as_ref()
        .filter(|policies| **policies != got.policies)
    {
        let names = |names: &[String]| {
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        differences.push(format!(
            "policies are {}, not {}",
            names(&got.policies),
            names(policies)
        ));
    }
    if let Some(action) = expect.action.filter(|action| *action != got.action) {
        let word = |action: FinalAction| json!(action).as_str().unwrap_or("").to_owned();
        differences.push(format!(
            "action is `{}`, not `{}`",
            word(got.action),
            word(action)
        ));
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
