//! What holds for every input: the same answer in whatever order files come, and no panic.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::all_rules;
use super::{check_bytes, check_texts};
use crate::document::{Finding, Rule};
use crate::policy::Checked;

/// All bad examples in one tree, each in a folder of its own: hundreds of findings across files.
fn heap() -> Vec<(String, Vec<u8>)> {
    let files = |folder: String, files: &'static [(&'static str, &'static str)]| {
        files
            .iter()
            .map(move |(path, text)| (format!("{path}/{folder}.yaml"), text.as_bytes().to_vec()))
    };

    let of = |rule: &'static Rule| {
        files(rule.code.to_owned(), rule.bad).chain(files(format!("{}-good", rule.code), rule.good))
    };

    all_rules().into_iter().flat_map(of).collect()
}

fn check_owned(files: &[(String, Vec<u8>)]) -> Checked {
    check_bytes(
        &files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_slice()))
            .collect::<Vec<_>>(),
    )
}

/// Whatever was read, this holds for its findings.
fn assert_sound(checked: &Checked) {
    assert_eq!(
        checked.set.is_some(),
        !checked.findings.iter().any(Finding::is_error)
    );
    assert!(
        checked
            .findings
            .windows(2)
            .all(|pair| pair[0].sort_key() <= pair[1].sort_key())
    );
    for finding in &checked.findings {
        let related = finding.related.iter().map(|related| &related.location);
        for location in std::iter::once(&finding.location).chain(related) {
            let source = checked
                .sources
                .iter()
                .find(|source| *source.path() == location.file);
            let text = source.expect("the file of every place is kept").text();
            let (start, end) = (location.span.start as usize, location.span.end as usize);
            assert!(
                text.get(start..end).is_some(),
                "{finding}: {start}..{end} of {}",
                text.len()
            );
        }
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, &'static str),
    Delete(Index, usize),
    Repeat(Index, usize, usize),
    Byte(Index, u8),
    Cut(Index),
}

const PIECES: &[&str] = &[
    "\n",
    "\n---\n",
    "- ",
    ": ",
    "  ",
    "\t",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "? ",
    "|\n",
    ">-\n ",
    "'",
    "\"",
    "#",
    " #",
    "%YAML 1.1\n",
    "null",
    "~",
    "no",
    "012",
    "*",
    "é",
    "\u{feff}",
    "\u{2028}",
    "\0",
    "...\n",
    "apiVersion: refguard/v1\n",
    "inherit: baseline\n",
    "condition: {model: '(a'}\n",
    "teams: []\n",
    "scope: x\n",
    "default: true\n",
    "priority: 1\n",
];

fn edit() -> impl Strategy<Value = Edit> {
    let at = || any::<Index>();
    prop_oneof![
        4 => (at(), proptest::sample::select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        3 => (at(), 1..20usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        2 => (at(), 1..40usize, 1..4usize).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        1 => at().prop_map(Edit::Cut),
    ]
}

fn apply(text: &mut Vec<u8>, edit: &Edit) {
    let within = |at: &Index, text: &[u8]| at.index(text.len() + 1);
    match edit {
        Edit::Insert(at, piece) => {
            let at = within(at, text);
            text.splice(at..at, piece.bytes());
        }
        Edit::Delete(at, length) => {
            let at = within(at, text);
            text.drain(at..(at + length).min(text.len()));
        }
        Edit::Repeat(at, length, times) => {
            let at = within(at, text);
            let piece = text[at..(at + length).min(text.len())].repeat(*times);
            text.splice(at..at, piece);
        }
        Edit::Byte(at, byte) => {
            let at = within(at, text);
            text.splice(at..at, [*byte]);
        }
        Edit::Cut(at) => text.truncate(within(at, text)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_order_of_files_changes_nothing(files in Just(heap()).prop_shuffle()) {
        let sorted = check_owned(&heap());
        assert_sound(&sorted);
        prop_assert!(sorted.findings.len() > 100);

        prop_assert_eq!(check_owned(&files).findings, sorted.findings);
    }
}

proptest! {
    #[test]
    fn no_edit_of_an_example_makes_a_panic(rule in any::<Index>(), good in any::<bool>(), edits in proptest::collection::vec(edit(), 1..6)) {
        let rules = all_rules();
        let rule = rules[rule.index(rules.len())];
        let example = if good { rule.good } else { rule.bad };
        let mut files: Vec<(String, Vec<u8>)> =
            example.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        for edit in &edits {
            files.iter_mut().for_each(|(_, text)| apply(text, edit));
        }

        assert_sound(&check_owned(&files));
    }
}

#[test]
fn a_set_is_the_same_in_whatever_order_its_files_come() {
    let file = |path: &'static str, text: &'static str| (path, text);
    let mut files = vec![
        file(
            "a.yaml",
            "{apiVersion: refguard/v1, kind: PolicyAttachment, policy: q, teams: [x], priority: 1}",
        ),
        file(
            "b.yaml",
            "{apiVersion: refguard/v1, kind: Policy, name: q, inherit: p, guardrails: {add: [h]}}",
        ),
        file(
            "c.yaml",
            "{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, tags: [x]}",
        ),
        file(
            "d.yaml",
            "{apiVersion: refguard/v1, kind: Policy, name: p, guardrails: {add: [g]}}",
        ),
        file(
            "e.yaml",
            "{apiVersion: refguard/v1, kind: PolicyAttachment, policy: p, keys: [k]}",
        ),
    ];
    let digest = check_texts(&files).set.expect("a sound set").digest;
    for _ in 0..files.len() {
        files.rotate_left(1);
        assert_eq!(check_texts(&files).set.expect("a sound set").digest, digest);
    }

    files.reverse();
    assert_eq!(check_texts(&files).set.expect("a sound set").digest, digest);
}
