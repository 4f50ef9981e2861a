//! The fast look says "sound" only where the judgement of the whole set does.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use proptest::prelude::*;
use refguard_core::document::{Limits, Loaded, load_file};
use refguard_core::policy::{Levels, check};
use refguard_core::resolve::{Engine, Requested};

use super::facts::{Facts, gather};
use super::look::{Contents, changes, is_sound};
use crate::ops::{TestOptions, run_tests};
use crate::repo::{BlobId, Entry, EntryKind, Side};

type Files = BTreeMap<String, String>;

impl Contents for Files {
    fn size(&self, blob: BlobId) -> Result<u64> {
        Ok(self.read(blob)?.len() as u64)
    }

    fn read(&self, blob: BlobId) -> Result<Vec<u8>> {
        let found = self.values().find(|text| BlobId::of(text.as_bytes()) == blob);
        found.map(|text| text.as_bytes().to_vec()).context("no such blob")
    }
}

fn load(files: &Files) -> Loaded {
    let mut loaded = Loaded::default();
    for (path, text) in files {
        loaded.append(load_file(path.as_str(), text.as_bytes().to_vec(), &Limits::DEFAULT));
    }
    loaded
}

fn whole_is_sound(files: &Files) -> bool {
    let Some(set) = check(load(files), &Levels::default()).set else { return false };
    let engine = Engine::new(Arc::new(set));
    run_tests(&engine, &TestOptions::default(), &mut |name| Ok(Requested::Named(name.to_owned())))
        .unwrap()
        .failed
        == 0
}

fn facts_of(files: &Files) -> Option<Vec<u8>> {
    let entry = |(path, text): (&String, &String)| Entry {
        path: path.as_str().into(),
        kind: EntryKind::File,
        size: text.len() as u64,
        blob: Some(BlobId::of(text.as_bytes())),
    };
    let entries: Vec<Entry> = files.iter().map(entry).collect();
    gather("", &entries, &|_| true, &load(files))
}

/// What the fast look says of `new`, where `old` is known to be sound; `None`: nothing is known of it.
fn look(old: &Files, new: &Files) -> Option<bool> {
    let bytes = facts_of(old)?;
    let facts = Facts::decode(&bytes, "").unwrap();
    let side =
        |text: &String| Side { kind: EntryKind::File, blob: Some(BlobId::of(text.as_bytes())) };
    let staged: Vec<(Arc<str>, Side)> =
        new.iter().map(|(path, text)| (path.as_str().into(), side(text))).collect();
    let mut contents = old.clone();
    contents.extend(new.iter().map(|(path, text)| (format!("new/{path}"), text.clone())));
    Some(is_sound(&facts, &changes(&facts, &staged), &contents).unwrap())
}

fn files(list: &[(&str, String)]) -> Files {
    list.iter().map(|(path, text)| ((*path).to_owned(), text.clone())).collect()
}

fn policy(name: &str, fields: &str) -> String {
    format!("--- {{apiVersion: refguard/v1, kind: Policy, name: {name}, {fields}}}\n")
}

fn attachment(policy: &str, target: &str) -> String {
    format!("--- {{apiVersion: refguard/v1, kind: PolicyAttachment, policy: {policy}, {target}}}\n")
}

const CATALOG: &str =
    "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [g0, g1, g2]\nteams: [t0, t1, t2]\n";

fn test(team: &str, asked: &str, includes: &str) -> String {
    format!(
        "--- {{apiVersion: refguard/v1, kind: PolicyTest, name: t, cases: [{{name: c, context: {{team: {team}}}, \
         policies: [{asked}], expect: {{includes: [{includes}], excludes: [g9]}}}}]}}\n"
    )
}

fn base() -> Files {
    files(&[
        ("catalog.yaml", CATALOG.to_owned()),
        (
            "a/1.yaml",
            attachment("p0", "teams: [t0]") + &attachment("p1", "teams: ['t*'], models: [m]"),
        ),
        ("p/0.yaml", policy("p0", "guardrails: {add: [g0]}")),
        ("p/1.yaml", policy("p1", "inherit: p0, guardrails: {add: [g1]}")),
        ("p/2.yaml", policy("p2", "inherit: p1, guardrails: {add: [g2]}")),
        ("t/1.yaml", test("t0", "", "g0")),
    ])
}

fn with(path: &str, text: impl Into<String>) -> Files {
    let mut files = base();
    files.insert(path.to_owned(), text.into());
    files
}

fn without(path: &str) -> Files {
    let mut files = base();
    files.remove(path);
    files
}

#[test]
fn an_ordinary_change_is_judged_fast() {
    assert!(whole_is_sound(&base()));
    for new in [
        base(),
        with("p/0.yaml", policy("p0", "guardrails: {add: [g0, g1]}")),
        with("p/1.yaml", policy("p1", "guardrails: {add: [g2]}")),
        with("p/3.yaml", policy("p3", "inherit: p2, guardrails: {add: [g0]}")),
        with("a/2.yaml", attachment("p2", "teams: [t1]")),
        with("a/1.yaml", attachment("p0", "scope: '*'")),
        with("t/2.yaml", test("t0", "p2", "g2")),
        with("README.yaml", "not: ours\n"),
        without("p/2.yaml"),
        without("t/1.yaml"),
    ] {
        assert!(whole_is_sound(&new));
        assert_eq!(look(&base(), &new), Some(true), "{new:#?}");
    }
}

#[test]
fn a_fault_anywhere_is_left_to_the_whole() {
    for new in [
        with("p/0.yaml", policy("other", "guardrails: {add: [g0]}")),
        with("p/0.yaml", policy("p0", "guardrails: {add: [g8]}")),
        with("p/0.yaml", policy("p0", "inherit: p2, guardrails: {add: [g0]}")),
        with("p/0.yaml", policy("p0", "guardrails: {add: [g1]}")),
        with("p/9.yaml", policy("p0", "guardrails: {add: [g0]}")),
        with("p/0.yaml", "apiVersion: refguard/v1\nkind: Policy\nname: p0\ngaurdrails: {}\n"),
        with("a/2.yaml", attachment("p9", "teams: [t1]")),
        with("a/2.yaml", attachment("p1", "teams: [t9]")),
        with("a/1.yaml", attachment("p0", "teams: [t1]")),
        with("t/2.yaml", test("t0", "p2", "g9")),
        with("catalog.yaml", CATALOG.replace("g2", "g9")),
        without("p/1.yaml"),
        without("a/1.yaml"),
    ] {
        assert!(!whole_is_sound(&new));
        assert_eq!(look(&base(), &new), Some(false), "{new:#?}");
    }
    // Nothing can be said of these from a few documents, sound or not.
    for new in [
        with("catalog.yaml", format!("{CATALOG}models: [m]\n")),
        with(
            "refguard.yaml",
            "apiVersion: refguard/v1\nkind: Repository\nrules: {unused-policy: error}\n",
        ),
        with("t/2.yaml", test("t1", "", "")),
    ] {
        assert_eq!(look(&base(), &new), Some(false));
    }
}

#[test]
fn first_tests_are_not_run_beside_attachments_that_nobody_looked_at() {
    let old = without("t/1.yaml");
    let mut new = old.clone();
    new.insert("a/1.yaml".to_owned(), attachment("p0", "scope: '*'"));
    new.insert("t/1.yaml".to_owned(), test("t0", "", "g1"));
    assert!(!whole_is_sound(&new));
    assert_eq!(look(&old, &new), Some(false));
}

#[test]
fn what_can_change_without_a_file_is_never_known() {
    assert!(facts_of(&with("t/2.yaml", test("t0", "p0@1", "g0"))).is_none());
    let strict = "apiVersion: refguard/v1\nkind: Repository\nrules: {unused-policy: error}\n";
    assert!(facts_of(&with("refguard.yaml", strict)).is_none());
    let bytes = facts_of(&base()).unwrap();
    assert!(Facts::decode(&bytes, "elsewhere").is_none());
    for length in 0..bytes.len() {
        assert!(Facts::decode(&bytes[..length], "").is_none());
    }
}

fn any_policy() -> impl Strategy<Value = String> {
    (0..5u8, proptest::option::of(0..5u8), 0..4u8, 0..4u8).prop_map(
        |(name, parent, add, remove)| {
            let parent = parent.map(|parent| format!("inherit: p{parent}, ")).unwrap_or_default();
            policy(
                &format!("p{name}"),
                &format!("{parent}guardrails: {{add: [g{add}], remove: [g{remove}]}}"),
            )
        },
    )
}

fn any_attachment() -> impl Strategy<Value = String> {
    let target = prop_oneof![
        Just("scope: '*'".to_owned()),
        (0..4u8).prop_map(|team| format!("teams: [t{team}]")),
        (0..3u8).prop_map(|key| format!("keys: ['k{key}*'], default: true")),
        Just("teams: ['t*'], tags: [x]".to_owned()),
        Just("models: [m], tags: ['*']".to_owned()),
    ];
    (0..5u8, target).prop_map(|(name, target)| attachment(&format!("p{name}"), &target))
}

fn any_test() -> impl Strategy<Value = String> {
    let asked = prop_oneof![Just(String::new()), (0..5u8).prop_map(|name| format!("p{name}"))];
    (0..3u8, asked, proptest::option::of(0..3u8)).prop_map(|(team, asked, gets)| {
        let gets = gets.map(|gets| format!("g{gets}")).unwrap_or_default();
        test(&format!("t{team}"), &asked, &gets)
    })
}

fn any_file() -> impl Strategy<Value = (String, Option<String>)> {
    let document = prop_oneof![4 => any_policy(), 3 => any_attachment(), 2 => any_test()];
    let text = proptest::collection::vec(document, 1..4).prop_map(|documents| documents.concat());
    (0..7u8, proptest::option::weighted(0.85, text))
        .prop_map(|(name, text)| (format!("f{name}.yaml"), text))
}

fn apply(files: &mut Files, edits: &[(String, Option<String>)]) {
    for (path, text) in edits {
        match text {
            Some(text) => drop(files.insert(path.clone(), text.clone())),
            None => drop(files.remove(path)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Each step that is sound is the ground that the next one is judged from.
    #[test]
    fn the_fast_look_agrees_with_the_whole(steps in proptest::collection::vec(proptest::collection::vec(any_file(), 1..3), 1..25)) {
        let mut known = files(&[("catalog.yaml", CATALOG.to_owned())]);
        for edits in steps {
            let mut new = known.clone();
            apply(&mut new, &edits);
            let sound = whole_is_sound(&new);
            if look(&known, &new) == Some(true) {
                prop_assert!(sound, "known: {known:#?}\nnew: {new:#?}");
            }
            if sound {
                known = new;
            }
        }
    }
}
