//! How the work of an analysis grows with what it is asked about, counted in units of the budget:
//! twice as much of anything may cost 2.6 times as much, no more.

use std::fmt::Write as _;

use super::engine_of;
use crate::document::Dimension;
use crate::prove::{Budget, ProveOptions, impact_of_change, prove_invariants};
use crate::resolve::Engine;

/// The smallest size, and how much larger the others are.
const SIZE: usize = 60;
const TIMES: [usize; 3] = [1, 2, 4];
/// More than linear growth that is let through: `n log n` and some constant parts.
const SLACK: f64 = 1.3;

/// Documents of a set, as YAML.
#[derive(Debug, Clone, Default)]
struct Documents(String);

impl Documents {
    fn add(&mut self, document: &str) {
        let separator = if self.0.is_empty() { "" } else { "---\n" };
        writeln!(self.0, "{separator}apiVersion: refguard/v1\n{document}").expect("a string");
    }

    fn policy(&mut self, name: &str, rest: &str) {
        self.add(&format!("kind: Policy\nname: {name}\n{rest}"));
    }

    fn attach(&mut self, policy: &str, rest: &str) {
        self.add(&format!("kind: PolicyAttachment\npolicy: {policy}\n{rest}"));
    }

    fn engine(&self) -> Engine {
        engine_of(&self.0).expect("a valid set")
    }
}

/// A set of so many of something, before or after the change.
type Make = fn(size: usize, is_changed: bool) -> Documents;

fn names(prefix: &str, size: usize) -> String {
    (0..size)
        .map(|n| format!("{prefix}-{n:05}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn guardrails(is_changed: bool) -> &'static str {
    if is_changed {
        "guardrails: {add: [b]}"
    } else {
        "guardrails: {add: [a, b]}"
    }
}

/// One attachment that names many values of one dimension, each of which another attachment names
/// too, so that none is like the others.
fn many_values(dimension: &str, size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    all.policy("p", guardrails(is_changed));
    all.policy("q", "guardrails: {add: [c]}");
    all.attach("p", &format!("{dimension}: [{}]", names("n", size)));
    for n in 0..size {
        all.attach("q", &format!("{dimension}: [n-{n:05}]\nmodels: [m-{n:05}]"));
    }

    all
}

fn many_teams(size: usize, is_changed: bool) -> Documents {
    many_values("teams", size, is_changed)
}

fn many_tags(size: usize, is_changed: bool) -> Documents {
    many_values("tags", size, is_changed)
}

/// Teams times keys in one attachment: a square of points.
fn a_square(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    all.policy("p", guardrails(is_changed));
    all.attach(
        "p",
        &format!(
            "teams: [{}]\nkeys: [{}]",
            names("t", size),
            names("k", size)
        ),
    );

    all
}

fn many_attachments(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    all.policy("p", guardrails(is_changed));
    for n in 0..size {
        all.attach("p", &format!("teams: [t-{n:05}]\nkeys: [k-{}]", n % 7));
    }

    all
}

fn many_children(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    all.policy("parent", guardrails(is_changed));
    for n in 0..size {
        all.policy(
            &format!("child-{n:05}"),
            "inherit: parent\nguardrails: {add: [c]}",
        );
        all.attach(&format!("child-{n:05}"), &format!("teams: [t-{n:05}]"));
    }

    all
}

/// Half of the policies change, each with guardrails of its own, beside default attachments.
fn half_of_all(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    all.policy("fallback", "guardrails: {add: [f, a-1]}");
    all.attach("fallback", "scope: \"*\"\ndefault: true");
    for n in 0..size {
        let own = if is_changed && n % 2 == 0 { "b" } else { "a" };
        all.policy(
            &format!("p-{n:05}"),
            &format!("guardrails: {{add: [{own}-{}]}}", n % 50),
        );
        let target = if n % 4 == 3 { "tags" } else { "teams" };
        all.attach(&format!("p-{n:05}"), &format!("{target}: [t-{n:05}]"));
    }

    all
}

/// One policy changes among many that have nothing to do with it.
fn one_of_many(size: usize, is_changed: bool) -> Documents {
    let mut all = half_of_all(size, false);
    all.policy("p", guardrails(is_changed));
    all.attach("p", "teams: [mine]");

    all
}

/// Many pipelines, of which some change places.
fn many_pipelines(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    for n in 0..size {
        let steps = format!("pipeline: {{mode: pre_call, steps: [{{guardrail: g-{n}}}]}}");
        all.policy(
            &format!("p-{n:05}"),
            &format!("guardrails: {{add: [g-{n}]}}\n{steps}"),
        );
        let first = if is_changed && n == 0 { size } else { n };
        all.attach(
            &format!("p-{n:05}"),
            &format!("tags: [t-{n:05}]\npriority: {first}"),
        );
    }

    all
}

/// A pipeline of many steps, some of which let more pass than before.
fn steps_of_one_pipeline(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    let mut steps = String::new();
    for n in 0..size {
        let on_fail = if is_changed && n % 7 == 0 {
            "next"
        } else {
            "block"
        };
        write!(
            steps,
            "{{guardrail: g-{n:05}, on_pass: next, on_fail: {on_fail}}}, "
        )
        .expect("a string");
    }

    all.policy(
        "p",
        &format!(
            "guardrails: {{add: [{}]}}\npipeline: {{mode: pre_call, steps: [{steps}]}}",
            names("g", size)
        ),
    );
    all.attach("p", "scope: \"*\"");

    all
}

/// Many children of a policy that gives a lot, of which one guardrail goes.
fn a_wide_family(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    let last = if is_changed { "" } else { ", last" };
    all.policy(
        "parent",
        &format!("guardrails: {{add: [{}{last}]}}", names("g", size)),
    );
    for n in 0..20 {
        let child = format!("child-{n}");
        all.policy(&child, "inherit: parent\nguardrails: {add: [c]}");
        all.attach(&child, &format!("teams: [t-{n}]"));
    }

    all
}

/// Attachments of several dimensions each, which share their patterns with few others.
fn many_dimensions(size: usize, is_changed: bool) -> Documents {
    let mut all = Documents::default();
    all.policy("p", guardrails(is_changed));
    all.policy("q", "guardrails: {add: [c]}");
    for n in 0..size {
        let policy = if n % 2 == 0 { "p" } else { "q" };
        let (near, far) = (n / 4, n / 2);
        all.attach(
            policy,
            &format!(
                "teams: [t-{near:05}, 't-{far:05}-*']\nkeys: [k-{near:05}]\nusers: [u-{n:05}]"
            ),
        );
    }

    all
}

fn assert_linear(what: &str, work: impl Fn(usize) -> u64) {
    let units = TIMES.map(|times| work(SIZE * times));
    for pair in units.windows(2) {
        let growth = pair[1] as f64 / pair[0] as f64;
        assert!(
            growth <= 2.0 * SLACK,
            "{what}: {growth:.2} times the work for twice as much: {units:?}"
        );
    }
}

#[test]
fn the_work_of_an_impact_grows_with_the_size_of_the_sets() {
    let cases: [(&str, Make); 10] = [
        ("teams of one attachment", many_teams),
        ("tags of one attachment", many_tags),
        ("teams and keys of one attachment", a_square),
        ("attachments of one policy", many_attachments),
        ("children of one policy", many_children),
        ("policies, half of them changed", half_of_all),
        ("policies beside the one that changed", one_of_many),
        ("pipelines", many_pipelines),
        ("guardrails of a wide family", a_wide_family),
        ("dimensions of attachments", many_dimensions),
    ];

    for (what, make) in cases {
        assert_linear(what, |size| {
            let [base, head] = [false, true].map(|is_changed| make(size, is_changed).engine());
            let budget = Budget::default();
            let found = impact_of_change(&base, &head, &budget);
            assert!(found.exact, "{what}: {:?}", found.not_analysed);
            assert!(!found.regions.is_empty(), "{what}");
            budget.units_used()
        });
    }
}

/// What may take the square of a size ends with the budget, near it, and says so.
#[test]
fn what_grows_faster_ends_soon_after_its_budget() {
    const UNITS: u64 = 300_000;
    let conditions: Make = |size, is_changed| {
        let mut all = Documents::default();
        all.policy("p", guardrails(is_changed));
        all.attach("p", "scope: \"*\"");
        for n in 0..size {
            let letter = char::from(b'a' + u8::try_from(n % 26).expect("a letter"));
            let rest = format!("guardrails: {{add: [x{n}]}}\ncondition: {{model: '.*{letter}.*'}}");
            all.policy(&format!("e{n}"), &rest);
            all.attach(&format!("e{n}"), "scope: \"*\"");
        }

        all
    };
    let cases: [(&str, Make, usize); 2] = [
        ("steps of one pipeline", steps_of_one_pipeline, 1_000),
        ("classes of models", conditions, 11),
    ];

    for (what, make, size) in cases {
        let [base, head] = [false, true].map(|is_changed| make(size, is_changed).engine());
        let budget = Budget::with_units(UNITS);
        let found = impact_of_change(&base, &head, &budget);
        assert!(!found.exact, "{what}");
        // What was begun when the budget ended is not much.
        assert!(
            budget.units_used() < 2 * UNITS,
            "{what}: {}",
            budget.units_used()
        );
        if !found.weakens {
            assert!(!found.weakening_doubts.is_empty(), "{what}");
        }
    }
}

#[test]
fn the_work_of_a_proof_grows_with_the_size_of_the_set() {
    let cases: [(&str, Make); 3] = [
        ("attachments", many_attachments),
        ("policies with a fallback", half_of_all),
        ("teams of one attachment", many_teams),
    ];
    let options = ProveOptions {
        no_unguarded: true,
        monotone: true,
    };

    for (what, make) in cases {
        assert_linear(what, |size| {
            let budget = Budget::default();
            let proof = prove_invariants(&make(size, false).engine(), options, &budget);
            assert!(proof.exact, "{what}: {:?}", proof.not_analysed);
            budget.units_used()
        });
    }
}

#[test]
fn patterns_that_nothing_tells_apart_make_one_region() {
    let [base, head] = [false, true].map(|is_changed| a_square(30, is_changed).engine());
    let found = impact_of_change(&base, &head, &Budget::default());
    let plain: Vec<_> = found
        .regions
        .iter()
        .filter(|region| region.requested.is_none())
        .collect();

    assert_eq!(plain.len(), 1);
    let values = [Dimension::Team, Dimension::Key].map(|of| plain[0].values[of].any.len());
    assert_eq!(values, [30, 30]);
}

#[test]
fn a_budget_that_ends_is_said_to_have_ended() {
    let [base, head] = [false, true].map(|is_changed| half_of_all(60, is_changed).engine());
    let full = Budget::default();
    impact_of_change(&base, &head, &full);
    for part in [3, 10, 50] {
        let budget = Budget::with_units(full.units_used() / part);
        let found = impact_of_change(&base, &head, &budget);
        assert!(!found.exact);
        let is_spent = |sentence: &String| sentence.ends_with("the budget is spent");
        assert!(
            found.not_analysed.iter().any(is_spent),
            "{:?}",
            found.not_analysed
        );
        assert!(
            !found
                .not_analysed
                .iter()
                .any(|said| said.contains("too large"))
        );
    }

    let options = ProveOptions {
        no_unguarded: true,
        monotone: true,
    };

    let proof = prove_invariants(&base, options, &Budget::with_units(50));
    assert!(
        proof
            .not_analysed
            .iter()
            .all(|said| said.ends_with("the budget is spent"))
    );
}
