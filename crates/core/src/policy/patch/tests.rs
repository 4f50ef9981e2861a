//! The short way against the long one: a patched set is the set that the whole tree gives.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::*;
use crate::document::{Dimension, Limits, load_file};
use crate::policy::{Levels, check_documents};
use crate::resolve::{Answer, Context, Engine, Fields, Origin, Request, Resolution};

const CATALOG: &str =
    "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [a, b, c, d]\nteams: [t1, t2]\n";

fn documents(files: &[(String, String)]) -> Vec<Document> {
    let load = |(path, text): &(String, String)| {
        load_file(path.as_str(), text.clone().into_bytes(), &Limits::DEFAULT)
    };

    files
        .iter()
        .map(load)
        .flat_map(|loaded| {
            if loaded.findings.is_empty() {
                loaded.documents
            } else {
                Vec::new()
            }
        })
        .collect()
}

/// The set of a tree; `None` where something is wrong with it.
fn whole(files: &[(String, String)]) -> Option<PolicySet> {
    let mut loaded = Loaded::default();
    files.iter().for_each(|(path, text)| {
        loaded.append_loaded(load_file(
            path.as_str(),
            text.clone().into_bytes(),
            &Limits::DEFAULT,
        ));
    });
    check_documents(loaded, &Levels::default()).set
}

/// The set after one file has become another, perhaps at another path, by the short way.
fn patched(
    set: &PolicySet,
    files: &[(String, String)],
    at: usize,
    path: &str,
    text: &str,
) -> Option<Patched> {
    let old = &files[at];
    let new = (path.to_owned(), text.to_owned());
    if !load_file(old.0.as_str(), text.as_bytes().to_owned(), &Limits::DEFAULT)
        .findings
        .is_empty()
    {
        return None;
    }

    let (before, after) = (documents(std::slice::from_ref(old)), documents(&[new]));
    let others: Vec<(String, String)> = files
        .iter()
        .filter(|(path, _)| *path != old.0)
        .cloned()
        .collect();
    let cases = changes_cases(&before) || changes_cases(&after);
    let is_company = |document: &Document| match document.body {
        Body::Attachment(_) => false,
        Body::Test(_) | Body::Invariant(_) => cases,
        _ => true,
    };

    let around: Vec<Document> = documents(&others).into_iter().filter(is_company).collect();
    set.with_change(FileChange {
        before: &before,
        after: &after,
        around: &around,
    })
}

const PARENTS: [&str; 4] = ["", "inherit: p0\n", "inherit: p1\n", "inherit: gone\n"];

/// One of the sound texts, and now and then one that is not.
fn mostly(
    sound: &'static [&'static str],
    not: &'static str,
) -> impl Strategy<Value = &'static str> {
    prop_oneof![40 => select(sound), 1 => Just(not)]
}

fn policy(name: String, parent: &'static str) -> impl Strategy<Value = String> + use<> {
    let guardrails = proptest::collection::vec(mostly(&["a", "b", "c", "d"], "e"), 0..3);
    let condition = mostly(
        &[
            "",
            "",
            "condition: {model: 'gpt-.*'}\n",
            "condition: {model: [x, 'y+']}\n",
        ],
        "condition: {model: '('}\n",
    );
    let pipeline = prop_oneof![4 => Just(false), 1 => Just(true)];
    (guardrails, condition, pipeline).prop_map(move |(mut guardrails, condition, pipeline)| {
        let steps = if pipeline {
            "pipeline: {mode: pre_call, steps: [{guardrail: a}]}\n"
        } else {
            ""
        };
        if pipeline && !guardrails.contains(&"e") {
            guardrails.push("a");
        }

        let add = guardrails.join(", ");
        format!(
            "apiVersion: refguard/v1\nkind: Policy\nname: {name}\n{parent}guardrails: {{add: \
                [{add}]}}\n{condition}{steps}"
        )
    })
}

fn attachment() -> impl Strategy<Value = String> {
    let target = mostly(
        &[
            "scope: '*'",
            "teams: [t1]",
            "teams: ['t*']",
            "models: [gpt-4]",
            "tags: ['x*', y]",
        ],
        "teams: [t3]",
    );
    let rest = select(&["", "", "priority: 3\n", "priority: -1\n", "default: true\n"][..]);
    (select(&["p0", "p1", "p2", "p3"][..]), target, rest).prop_map(|(policy, target, rest)| {
        format!(
            "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{target}\n{rest}"
        )
    })
}

/// A test or an invariant, now and then with a fault.
fn case() -> impl Strategy<Value = String> {
    let test = mostly(
        &["includes: [a]", "excludes: [b, c]", "guardrails: []"],
        "includes: []",
    );
    let test = (select(&["p0", "p9"][..]), test).prop_map(|(policy, expect)| {
        format!(
            "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\n\
             cases: [{{name: c, policies: [{policy}], \
             context: {{team: t1}}, expect: {{{expect}}}}}]\n"
        )
    });
    let invariant = mostly(
        &["require: [a]", "forbid: [b]", "any_of: [a, b]"],
        "any_of: []",
    );
    let invariant = invariant
        .prop_map(|law| format!("apiVersion: refguard/v1\nkind: Invariant\nname: i\n{law}\n"));
    prop_oneof![test, invariant]
}

/// Two policies, as a rule, and some attachments in one file.
fn file(first: usize, parents: [&'static str; 2]) -> impl Strategy<Value = String> {
    let policies = (
        policy(format!("p{first}"), parents[0]),
        policy(format!("p{}", first + 1), parents[1]),
    );
    let attachments = proptest::collection::vec(attachment(), 0..4);
    let cases = proptest::option::weighted(0.2, case());
    let order = (any::<bool>(), 0..8u8);

    (policies, attachments, cases, order).prop_map(|((a, b), attachments, case, (swap, drop))| {
        let mut all = if swap { vec![b, a] } else { vec![a, b] };
        if drop == 0 {
            all.pop();
        }

        all.extend(attachments);
        all.extend(case);
        all.join("---\n")
    })
}

/// What a file of two becomes: its place, its text, and whether it gets another name.
type Edit = (usize, String, bool);

/// Two files, and what becomes of them one after another. As a rule the policies keep their
/// parents.
fn story() -> impl Strategy<Value = ([String; 2], Vec<Edit>)> {
    // Without cycles.
    let first = select(&[["", ""], ["", "inherit: p0\n"], ["inherit: p1\n", ""]][..]);
    (first, [select(&PARENTS[..3]), select(&PARENTS[..3])]).prop_flat_map(|(a, b)| {
        let edit = move |at: usize, own: [&'static str; 2]| {
            let others = [select(&PARENTS[..]), select(&PARENTS[..])]
                .prop_flat_map(move |other| file(at * 2, other));
            let text = prop_oneof![5 => file(at * 2, own), 1 => others];
            (
                Just(at),
                text,
                prop_oneof![4 => Just(false), 1 => Just(true)],
            )
        };

        let edits = proptest::collection::vec(prop_oneof![edit(0, a), edit(1, b)], 1..6);
        (
            (file(0, a), file(2, b)).prop_map(<[String; 2]>::from),
            edits,
        )
    })
}

fn said(set: &PolicySet) -> impl PartialEq + std::fmt::Debug + use<> {
    let policies: Vec<_> = set
        .policies
        .iter()
        .map(|p| (format!("{p:?}"), p.place.clone()))
        .collect();
    let attachments: Vec<_> = set.attachments.iter().map(|a| format!("{a:?}")).collect();
    let cases = format!("{:?} {:?}", set.tests, set.invariants);
    let conditions: Vec<String> = set.conditions.iter().map(|c| c.text().to_owned()).collect();
    let by_name: BTreeMap<_, _> = set.by_name.clone().into_iter().collect();
    let names = (set.guardrails.clone(), by_name);

    (
        policies,
        attachments,
        cases,
        conditions,
        names,
        set.digest.clone(),
    )
}

fn written(resolution: &Resolution<'_>) -> String {
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

    String::from_utf8(answer.to_json()).unwrap()
}

fn same_answers(one: &Engine, other: &Engine) {
    for team in [None, Some("t1"), Some("t2")] {
        for model in [None, Some("gpt-4"), Some("x"), Some("yy")] {
            for tags in [None, Some("xy"), Some("y")] {
                let single = [(Dimension::Team, team), (Dimension::Model, model)];
                let single = single
                    .into_iter()
                    .filter_map(|(of, value)| Some((of, value?)));
                let context =
                    Context::from_values(single.chain(tags.map(|tag| (Dimension::Tag, tag))));
                let request = Request {
                    context,
                    policies: Vec::new(),
                };

                let (one, other) = (one.resolve(&request), other.resolve(&request));
                assert_eq!(format!("{one:?}"), format!("{other:?}"));
                // What was written down of policies for the sets before is used again.
                assert_eq!(written(&one), written(&other));
            }
        }
    }
}

/// Goes through a story the short way, where there is one; counts its steps.
fn follow(
    [a, b]: [String; 2],
    edits: Vec<Edit>,
    short_steps: &Cell<usize>,
) -> Result<(), TestCaseError> {
    let mut files = vec![
        ("catalog.yaml".into(), CATALOG.to_owned()),
        ("a.yaml".into(), a),
        ("b.yaml".into(), b),
    ];
    let mut engine = whole(&files).map(|set| Engine::new(Arc::new(set)));
    for (at, text, renamed) in edits {
        let path = if renamed {
            format!("c{at}.yaml")
        } else {
            files[at + 1].0.clone()
        };

        let before = engine.as_ref();
        let short = before.and_then(|before| patched(before.set(), &files, at + 1, &path, &text));
        files[at + 1] = (path, text);
        let long = whole(&files);
        engine = match (before.zip(short), long) {
            (Some((before, short)), Some(long)) => {
                short_steps.set(short_steps.get() + 1);
                let (short, long) = (before.with_patch(short), Engine::new(Arc::new(long)));
                prop_assert_eq!(said(short.set()), said(long.set()));
                same_answers(&short, &long);
                Some(short)
            }
            (Some(_), None) => {
                return Err(TestCaseError::fail(
                    "the short way accepted what the long way refuses",
                ));
            }
            (None, Some(long)) => Some(Engine::new(Arc::new(long))),
            // Nothing can be made from a set that is not sound: the next step goes the long way.
            (None, None) => None,
        };
    }

    Ok(())
}

#[test]
fn a_patched_set_is_the_set_of_the_whole_tree() {
    let short_steps = Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 2500,
        ..ProptestConfig::default()
    });
    runner
        .run(&story(), |(files, edits)| {
            follow(files, edits, &short_steps)
        })
        .unwrap();

    assert!(
        short_steps.get() > 1000,
        "the short way was gone {} times",
        short_steps.get()
    );
}

#[test]
fn what_is_usual_goes_the_short_way_and_what_is_global_does_not() {
    let base = "apiVersion: refguard/v1\nkind: Policy\nname: p0\nguardrails: {add: [a]}\n---\n\
                apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p0\nteams: [t1]\n";
    let other = base
        .replace("p0", "p1")
        .replace("add: [a]", "add: [a, b]\n  , remove: [c]");
    let files = vec![
        ("catalog.yaml".to_owned(), CATALOG.to_owned()),
        ("a.yaml".to_owned(), base.to_owned()),
        ("b.yaml".to_owned(), other),
    ];
    let set = whole(&files).unwrap();
    let goes =
        |text: &str| patched(&set, &files, 1, "a.yaml", text).map(|patched| patched.attachments);
    assert_eq!(goes(&base.replace("add: [a]", "add: [a, b]")), Some(false));
    assert_eq!(
        goes(&base.replace("guardrails", "description: moved down a line\nguardrails")),
        Some(false)
    );
    assert_eq!(
        goes(&base.replace("teams: [t1]", "teams: [t2]")),
        Some(true)
    );
    assert_eq!(
        goes(&base.replace("add: [a]", "add: [d]")),
        Some(false),
        "a guardrail that no policy named before"
    );
    assert_eq!(
        goes(&base.replace("p0", "p9")),
        Some(true),
        "another policy"
    );
    assert_eq!(
        goes(&base.replace("guardrails", "inherit: p1\nguardrails")),
        Some(false),
        "another parent"
    );
    assert_eq!(
        goes(&base.replace("name: p0", "name: p9")),
        None,
        "what is attached is gone"
    );
    assert_eq!(
        goes(&base.replace("name: p0", "name: p1")),
        None,
        "a second policy of a name"
    );
    assert_eq!(
        goes(&base.replace("kind: Policy\n", "kind: Policy\ninherit: p0\n")),
        None,
        "a cycle"
    );
    assert_eq!(
        goes(&base.replace("teams: [t1]", "teams: [nobody]")),
        None,
        "a team that the catalog lacks"
    );
    assert_eq!(goes(""), Some(true), "a policy that nobody needs is gone");
}

/// A policy for many models, as one file with one long condition has it.
fn conditional(models: &[String]) -> String {
    format!(
        "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {{add: [a]}}\n\
         condition: {{model: [{}]}}\n",
        models.join(", ")
    )
}

/// How many expressions of a set are those of another, compiled once.
fn shared(set: &PolicySet, before: &PolicySet) -> usize {
    let is_shared = |pattern: &&ModelPattern| {
        before
            .conditions
            .iter()
            .any(|known| known.shares_engine_with(pattern))
    };
    set.conditions.iter().filter(is_shared).count()
}

#[test]
fn an_expression_that_is_known_is_not_compiled_again() {
    let models: Vec<String> = (0..300).map(|n| format!("\"m{n}-.*\"")).collect();
    let attached = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nscope: '*'\n";
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let files = [
        file("all.yaml", attached),
        file("catalog.yaml", CATALOG),
        file("p.yaml", &conditional(&models)),
    ];
    let before = whole(&files).unwrap();
    assert_eq!(before.conditions.len(), 300);

    let mut changed = models.clone();
    changed[7] = "\"other-.*\"".to_owned();
    let after = patched(&before, &files, 2, "p.yaml", &conditional(&changed))
        .unwrap()
        .set;
    assert_eq!(
        (shared(&after, &before), after.conditions.len()),
        (299, 300)
    );

    // The long way beside a set that is known.
    let mut loaded = Loaded::default();
    for (path, text) in &files {
        loaded.append_loaded(load_file(
            path.as_str(),
            text.clone().into_bytes(),
            &Limits::DEFAULT,
        ));
    }
    let again = crate::policy::check_beside(loaded, &Levels::default(), Some(&before))
        .set
        .unwrap();
    assert_eq!(shared(&again, &before), 300);
    assert_eq!(again.digest, before.digest);
}
