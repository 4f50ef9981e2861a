//! What `simulate` says of calls, against what LiteLLM's own code does with them.
//!
//! The cases are made by a seeded generator; `data/litellm/pipelines.txt` holds LiteLLM's answers,
//! a letter a case, so that the comparison needs no Python. Where `REFGUARD_TEST_PYTHON` names one
//! with the package `litellm`, it is asked anew; with `UPDATE=1` its answers are then written.

use std::io::Write;
use std::process::{Command, Stdio};

use refguard_core::document::{FinalAction, GuardrailMode, Limits, Outcome, load_file};
use refguard_core::policy::{Catalog, KnownGuardrail, Levels, check_documents};
use refguard_core::resolve::{Engine, Outcomes, Reaction, Request, Script, Stage, simulate_call};
use serde_json::{Value, json};

use super::support::data;

const CASES: u64 = 4_000;
const ANSWERS_PER_LINE: usize = 100;

/// A generator of numbers: the same seed, the same case.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

const MODES: [GuardrailMode; 5] = [
    GuardrailMode::PreCall,
    GuardrailMode::DuringCall,
    GuardrailMode::PostCall,
    GuardrailMode::LoggingOnly,
    GuardrailMode::PreMcpCall,
];

/// A call: the gateway's guardrails, policies with pipelines, and what the guardrails return.
#[derive(Debug)]
struct Case {
    guardrails: Vec<KnownGuardrail>,
    policies: Vec<Policy>,
    outcomes: Vec<(usize, Vec<Outcome>)>,
}

#[derive(Debug)]
struct Policy {
    add: Vec<usize>,
    pipeline: Option<(&'static str, Vec<Value>)>,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut r = Random::new(seed);
        let guardrails: Vec<KnownGuardrail> =
            (0..1 + r.below(4)).map(|n| guardrail(&mut r, n)).collect();
        let policies = (0..1 + r.below(3))
            .map(|_| policy(&mut r, guardrails.len()))
            .collect();
        let outcomes = (0..guardrails.len())
            .filter_map(|n| Some((n, outcomes(&mut r)?)))
            .collect();
        Self {
            guardrails,
            policies,
            outcomes,
        }
    }

    fn given(&self) -> Vec<String> {
        let mut given: Vec<usize> = self.policies.iter().flat_map(|p| p.add.clone()).collect();
        given.sort_unstable();
        given.dedup();
        given.iter().map(|n| format!("g{n}")).collect()
    }

    /// The case as LiteLLM's side reads it.
    fn to_json(&self) -> Value {
        let guardrail = |known: &KnownGuardrail| {
            let modes: Vec<&str> = known.modes.iter().flatten().map(|m| m.as_str()).collect();
            let default_on = known.default_on == Some(true);
            json!({ "name": *known.name, "modes": modes, "default_on": default_on })
        };
        let pipelines = self.policies.iter().enumerate().filter_map(|(n, policy)| {
            let (mode, steps) = policy.pipeline.as_ref()?;
            Some(json!({ "policy": format!("p{n}"), "mode": mode, "steps": steps }))
        });
        let outcomes = self.outcomes.iter().map(|(n, list)| {
            let words: Vec<&str> = list.iter().map(|outcome| outcome.as_str()).collect();
            (format!("g{n}"), json!(words))
        });
        json!({
            "guardrails": self.guardrails.iter().map(guardrail).collect::<Vec<_>>(),
            "given": self.given(),
            "pipelines": pipelines.collect::<Vec<_>>(),
            "outcomes": outcomes.collect::<serde_json::Map<_, _>>(),
        })
    }

    /// The policies as documents, without a catalog: so the rule of modes refuses none.
    fn documents(&self) -> String {
        let policy = |(n, policy): (usize, &Policy)| {
            let add: Vec<String> = policy.add.iter().map(|n| format!("g{n}")).collect();
            let mut document = json!({
                "apiVersion": "refguard/v1", "kind": "Policy",
                "name": format!("p{n}"), "guardrails": { "add": add },
            });
            if let Some((mode, steps)) = &policy.pipeline {
                document["pipeline"] = json!({ "mode": mode, "steps": steps });
            }
            let attachment = json!({
                "apiVersion": "refguard/v1", "kind": "PolicyAttachment",
                "policy": format!("p{n}"), "scope": "*", "priority": n,
            });
            format!("--- {document}\n--- {attachment}\n")
        };
        self.policies.iter().enumerate().map(policy).collect()
    }

    /// What we say; `None` where a step can never run, which a set must not have.
    fn ours(&self) -> Option<Reaction> {
        let loaded = load_file("p.yaml", self.documents().into_bytes(), &Limits::DEFAULT);
        let engine = Engine::new(check_documents(loaded, &Levels::default()).set?.into());
        let catalog = Catalog {
            guardrails: Some(self.guardrails.clone()),
            values: Default::default(),
        };
        let names: Vec<String> = self.outcomes.iter().map(|(n, _)| format!("g{n}")).collect();
        let outcomes: Outcomes<'_> = names
            .iter()
            .zip(&self.outcomes)
            .map(|(name, (_, list))| (name.as_str(), list.as_slice().into()))
            .collect();
        let request = Request::default();
        let script = Script::new(&catalog, &outcomes, &request.context);
        Some(simulate_call(&engine.resolve(&request), script))
    }

    /// Whether every step runs in the mode of its pipeline.
    fn modes_fit(&self) -> bool {
        self.policies
            .iter()
            .filter_map(|policy| policy.pipeline.as_ref())
            .all(|(mode, steps)| {
                steps.iter().all(|step| {
                    let name = step["guardrail"].as_str().expect("a name");
                    let mut known = self.guardrails.iter().filter(|known| *known.name == *name);
                    let mode = GuardrailMode::parse(mode).expect("a mode");
                    known.any(|known| known.runs_in(mode) == Some(true))
                })
            })
    }
}

fn guardrail(r: &mut Random, n: usize) -> KnownGuardrail {
    let mut modes: Vec<GuardrailMode> = MODES
        .into_iter()
        .zip([60, 20, 55, 8, 8])
        .filter(|(_, percent)| r.chance(*percent))
        .map(|(mode, _)| mode)
        .collect();
    if modes.is_empty() {
        modes.push(r.pick(&MODES));
    }
    KnownGuardrail {
        modes: Some(modes),
        default_on: Some(r.chance(10)),
        ..KnownGuardrail::named(&format!("g{n}"))
    }
}

fn policy(r: &mut Random, guardrails: usize) -> Policy {
    let add: Vec<usize> = (0..guardrails).filter(|_| r.chance(60)).collect();
    let steps = |r: &mut Random, add: &[usize]| -> Vec<Value> {
        let mut steps = Vec::new();
        for _ in 0..1 + r.below(3) {
            let mut step = json!({ "guardrail": format!("g{}", r.pick(add)) });
            for (key, percent) in [("on_pass", 80), ("on_fail", 80), ("on_error", 40)] {
                if r.chance(percent) {
                    step[key] = r
                        .pick(&["next", "next", "allow", "block", "modify_response"])
                        .into();
                }
            }
            steps.push(step);
        }
        steps
    };
    let has_pipeline = !add.is_empty() && r.chance(75);
    let pipeline = has_pipeline.then(|| (r.pick(&["pre_call", "post_call"]), steps(r, &add)));
    Policy { add, pipeline }
}

fn outcomes(r: &mut Random) -> Option<Vec<Outcome>> {
    match r.below(10) {
        0 => None,
        // Whether a guardrail looks at a call is the same each time.
        1 => Some(vec![Outcome::Skip]),
        _ => {
            let choices = [Outcome::Pass, Outcome::Pass, Outcome::Fail, Outcome::Error];
            Some((0..1 + r.below(3)).map(|_| r.pick(&choices)).collect())
        }
    }
}

/// A reaction as a letter: what is done, in the order of the stages.
fn letter(action: &str, stage: Option<&str>) -> char {
    match (action, stage) {
        ("allow", None) => '.',
        ("block", Some("before")) => 'a',
        ("block", Some("during")) => 'b',
        ("block", Some("after")) => 'c',
        ("modify_response", Some("before")) => 'x',
        ("modify_response", Some("after")) => 'z',
        other => panic!("no call ends so: {other:?}"),
    }
}

fn letter_of(reaction: Reaction) -> char {
    let action = match reaction.action {
        FinalAction::Allow => "allow",
        FinalAction::Block => "block",
        FinalAction::ModifyResponse => "modify_response",
    };
    let stage = reaction.stage.map(|stage| match stage {
        Stage::Before => "before",
        Stage::During => "during",
        Stage::After => "after",
    });
    letter(action, stage)
}

/// LiteLLM's answers, a letter a case.
fn ask(python: &str, cases: &[Case]) -> String {
    let mut child = Command::new(python)
        .arg(data("litellm/pipelines.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("REFGUARD_TEST_PYTHON runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input: String = cases
        .iter()
        .map(|case| format!("{}\n", case.to_json()))
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("an end");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    writer.join().expect("no panic").expect("all input taken");

    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| {
            let answer: Value = serde_json::from_str(line).expect("JSON");
            letter(
                answer["action"].as_str().expect("an action"),
                answer["stage"].as_str(),
            )
        })
        .collect()
}

#[test]
fn calls_end_as_litellm_ends_them() {
    let cases: Vec<Case> = (0..CASES).map(Case::new).collect();
    let path = data("litellm/pipelines.txt");
    let theirs = match std::env::var("REFGUARD_TEST_PYTHON") {
        Ok(python) => ask(&python, &cases),
        Err(_) => {
            let kept = std::fs::read_to_string(&path).expect("the kept answers");
            kept.lines().filter(|line| !line.starts_with('#')).collect()
        }
    };
    if std::env::var_os("UPDATE").is_some() && std::env::var_os("REFGUARD_TEST_PYTHON").is_some() {
        let letters: Vec<char> = theirs.chars().collect();
        let lines = letters
            .chunks(ANSWERS_PER_LINE)
            .map(|line| line.iter().collect::<String>());
        let head =
            "# What LiteLLM 1.106.2 does with each generated case: see tests/core/pipelines.rs.";
        let text = std::iter::once(head.to_owned())
            .chain(lines)
            .collect::<Vec<_>>()
            .join("\n");
        std::fs::write(&path, text + "\n").expect("written");
    }
    assert_eq!(theirs.len(), cases.len());

    let (mut judged, mut where_modes_fit) = (0, 0);
    for (seed, (case, theirs)) in cases.iter().zip(theirs.chars()).enumerate() {
        let Some(ours) = case.ours() else { continue };
        assert_eq!(letter_of(ours), theirs, "case {seed}: {}", case.to_json());
        judged += 1;
        where_modes_fit += usize::from(case.modes_fit());
    }
    assert!(
        judged > 2_000 && where_modes_fit > 600,
        "{judged} {where_modes_fit}"
    );
}
