//! Tests: a case that is gone, or that asks for less than before.
//!
//! Two cases are the same case if they are about the same request: context, policies asked for and
//! outcomes. Names and places do not count, so that a case may be renamed and moved. Several cases
//! of HEAD about one request count together.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{SafeguardChange, SafeguardDiff, SafeguardKind};
use crate::document::{FinalAction, Outcome, PerDimension};
use crate::policy::{Expect, TestCase, TestSuite};

/// Compares the cases of all suites.
pub(super) fn compare_cases(base: &[TestSuite], head: &[TestSuite], diff: &mut SafeguardDiff) {
    let before = cases_by_request(base);
    let after = cases_by_request(head);

    for (request, cases) in &before {
        let now = after.get(request).map(Vec::as_slice).unwrap_or_default();
        for case in cases {
            if let Some(message) = lost_expectation(case.case, now) {
                diff.note_change(true, case.make_change(message));
            }
        }
    }

    for (_, cases) in after
        .iter()
        .filter(|(request, _)| !before.contains_key(*request))
    {
        for case in cases {
            diff.note_change(false, case.make_change("is new".to_owned()));
        }
    }
}

/// A case and the suite that it belongs to.
struct NamedCase<'a> {
    suite: &'a TestSuite,
    case: &'a TestCase,
}

impl NamedCase<'_> {
    fn make_change(&self, message: String) -> SafeguardChange {
        let name = format!("{}: {}", self.suite.name, self.case.name);
        SafeguardChange::new(SafeguardKind::Test, name, message, Some(&self.case.place))
    }
}

/// What a case asks: everything about the request, nothing about what must come out.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RequestKey<'a> {
    values: PerDimension<BTreeSet<&'a str>>,
    policies: Vec<&'a str>,
    outcomes: BTreeMap<&'a str, Vec<&'static str>>,
}

impl<'a> RequestKey<'a> {
    fn from_case(case: &'a TestCase) -> Self {
        Self {
            values: PerDimension::from_fn(|dimension| {
                case.context
                    .values(dimension)
                    .iter()
                    .map(String::as_str)
                    .collect()
            }),
            policies: case.policies.iter().map(String::as_str).collect(),
            outcomes: case
                .outcomes
                .iter()
                .filter(|(_, outcomes)| outcomes.iter().any(|outcome| *outcome != Outcome::Pass))
                .map(|(guardrail, outcomes)| (guardrail.as_str(), outcome_words(outcomes)))
                .collect(),
        }
    }
}

fn cases_by_request(suites: &[TestSuite]) -> BTreeMap<RequestKey<'_>, Vec<NamedCase<'_>>> {
    let mut found: BTreeMap<RequestKey<'_>, Vec<NamedCase<'_>>> = BTreeMap::new();
    for suite in suites {
        for case in &suite.cases {
            found
                .entry(RequestKey::from_case(case))
                .or_default()
                .push(NamedCase { suite, case });
        }
    }

    found
}

/// What a case of BASE asked for that no case of HEAD about the same request asks for.
fn lost_expectation(before: &TestCase, now: &[NamedCase<'_>]) -> Option<String> {
    if now.is_empty() {
        return Some("is gone".to_owned());
    }

    let before = &before.expect;
    let now: Vec<&Expect> = now.iter().map(|case| &case.case.expect).collect();
    let lost = lost_guardrails(before, &now)
        .or_else(|| lost_exactness(before, &now))
        .or_else(|| lost_exclusions(before, &now))
        .or_else(|| lost_policies(before, &now))
        .or_else(|| lost_action(before, &now))?;

    Some(format!("expects less: {lost}"))
}

fn lost_guardrails(before: &Expect, now: &[&Expect]) -> Option<String> {
    let asked: BTreeSet<&str> = now
        .iter()
        .flat_map(|expect| expect.guardrails.iter().chain(&expect.includes))
        .flatten()
        .map(String::as_str)
        .collect();
    let missing = before
        .guardrails
        .iter()
        .chain(&before.includes)
        .flatten()
        .find(|guardrail| !asked.contains(guardrail.as_str()))?;

    Some(format!("`{missing}` is no longer asked for"))
}

/// An exact list also says that nothing else may come out.
fn lost_exactness(before: &Expect, now: &[&Expect]) -> Option<String> {
    let is_exact = now.iter().any(|expect| expect.guardrails.is_some());
    (before.guardrails.is_some() && !is_exact).then(|| "other guardrails may come out".to_owned())
}

/// Whether an expectation rules a guardrail out: by name, or by an exact list without it.
fn is_ruled_out(guardrail: &String, expect: &Expect) -> bool {
    let mut excludes = expect.excludes.iter().flatten();
    let exact = expect.guardrails.as_ref();

    excludes.any(|name| name == guardrail) || exact.is_some_and(|exact| !exact.contains(guardrail))
}

fn lost_exclusions(before: &Expect, now: &[&Expect]) -> Option<String> {
    let is_excluded = |guardrail: &String| now.iter().any(|expect| is_ruled_out(guardrail, expect));

    let missing = before
        .excludes
        .iter()
        .flatten()
        .find(|guardrail| !is_excluded(guardrail))?;

    Some(format!("`{missing}` is no longer ruled out"))
}

fn lost_policies(before: &Expect, now: &[&Expect]) -> Option<String> {
    let asked: BTreeSet<&String> = now
        .iter()
        .flat_map(|expect| expect.policies.iter().flatten())
        .collect();
    let is_asked = now.iter().any(|expect| expect.policies.is_some());

    let before = before.policies.as_ref()?;
    if !is_asked {
        return Some("the list of policies is gone".to_owned());
    }

    let missing = before.iter().find(|policy| !asked.contains(policy))?;
    Some(format!("the policy `{missing}` is no longer asked for"))
}

fn lost_action(before: &Expect, now: &[&Expect]) -> Option<String> {
    let was = before.action?;
    match now
        .iter()
        .filter_map(|expect| expect.action)
        .max_by_key(|action| action_rank(*action))
    {
        None => Some("the action is no longer asked for".to_owned()),
        Some(is) if action_rank(is) < action_rank(was) => Some(format!(
            "the action {} instead of {}",
            action_word(is),
            action_word(was)
        )),
        Some(_) => None,
    }
}

fn action_rank(action: FinalAction) -> u8 {
    match action {
        FinalAction::Allow => 0,
        FinalAction::ModifyResponse => 1,
        FinalAction::Block => 2,
    }
}

fn action_word(action: FinalAction) -> &'static str {
    match action {
        FinalAction::Allow => "allow",
        FinalAction::ModifyResponse => "modify_response",
        FinalAction::Block => "block",
    }
}

/// What a guardrail returns each time; the last outcome stays, so repeating it says nothing.
fn outcome_words(outcomes: &[Outcome]) -> Vec<&'static str> {
    let mut words: Vec<&str> = outcomes.iter().map(|outcome| outcome.as_str()).collect();
    while words.len() > 1 && words.last() == words.get(words.len() - 2) {
        words.pop();
    }

    words
}
