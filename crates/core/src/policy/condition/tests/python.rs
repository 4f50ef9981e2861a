//! Against Python: `tests/data/conditions`, written by the script there.

use regex_automata::MatchKind;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
use serde::Deserialize;

use super::*;
use crate::policy::condition::tables::{self, Perl};

#[derive(Deserialize)]
struct Row {
    pattern: String,
    from: String,
    error: Option<String>,
    #[serde(default)]
    yes: Vec<String>,
    #[serde(default)]
    no: Vec<String>,
}

#[derive(Deserialize)]
struct Sets {
    sets: std::collections::BTreeMap<String, Vec<(u32, u32)>>,
    folds: Vec<String>,
}

fn data(name: &str) -> String {
    std::fs::read_to_string(format!(
        "{}/tests/data/conditions/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

fn rows() -> Vec<Row> {
    data("python-re.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn answers_are_pythons() {
    let mut wrong = Vec::new();
    for row in rows() {
        let Ok(pattern) = ModelPattern::parse(&row.pattern) else {
            continue;
        };
        let text = &row.pattern;
        wrong.extend(
            row.error
                .map(|error| format!("{text:?}: Python refuses it: {error}")),
        );
        wrong.extend(
            row.yes
                .iter()
                .filter(|m| !pattern.matches(m))
                .map(|m| format!("{text:?}: must hold for {m:?}")),
        );
        wrong.extend(
            row.no
                .iter()
                .filter(|m| pattern.matches(m))
                .map(|m| format!("{text:?}: must not hold for {m:?}")),
        );
    }

    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_grammar_is_accepted() {
    let rows = rows();
    let accepted = |row: &&Row| ModelPattern::parse(&row.pattern).is_ok();
    let refused: Vec<_> = rows
        .iter()
        .filter(|row| row.from == "grammar")
        .filter_map(|row| {
            ModelPattern::parse(&row.pattern)
                .err()
                .map(|fault| format!("{:?}: {fault}", row.pattern))
        })
        .collect();

    assert!(
        refused.is_empty(),
        "{} refused:\n{}",
        refused.len(),
        refused.join("\n")
    );
    // So that neither half of the comparison is empty.
    assert!(rows.iter().filter(|row| row.from == "grammar").count() > 2_000);
    assert!(
        rows.iter()
            .filter(|row| row.from == "noise")
            .filter(accepted)
            .count()
            > 200
    );

    assert!(rows.iter().filter(|row| row.error.is_some()).count() > 800);
}

#[test]
fn the_language_is_what_matches() {
    let mut built = 0;
    for row in rows().iter().filter(|row| row.from != "noise") {
        let Ok(pattern) = ModelPattern::parse(&row.pattern) else {
            continue;
        };
        let Some(dfa) = automaton(&pattern) else {
            continue;
        };

        built += 1;
        for model in row.yes.iter().chain(&row.no) {
            assert_eq!(
                accepts(&dfa, model),
                pattern.matches(model),
                "{:?} on {model:?}",
                row.pattern
            );
        }
    }

    assert!(built > 1_000, "only {built} automata were small enough");
}

fn automaton(pattern: &ModelPattern) -> Option<dense::DFA<Vec<u32>>> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(1 << 14)),
        )
        .build_from_hir(&pattern.language())
        .ok()?;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(1 << 16))
        .determinize_size_limit(Some(1 << 16));

    dense::Builder::new()
        .configure(config)
        .build_from_nfa(&nfa)
        .ok()
}

fn accepts(dfa: &dense::DFA<Vec<u32>>, model: &str) -> bool {
    let mut state = dfa
        .start_state_forward(&Input::new(model).anchored(Anchored::Yes))
        .unwrap();
    for &byte in model.as_bytes() {
        state = dfa.next_state(state, byte);
    }

    dfa.is_match_state(dfa.next_eoi_state(state))
}

#[test]
fn sets_are_pythons_on_all_characters() {
    let sets: Sets = serde_json::from_str(&data("python-sets.json")).unwrap();
    for (text, expected) in &sets.sets {
        let set = match text.chars().find(|&c| Perl::from_letter(c).is_some()) {
            Some(c) => Perl::from_letter(c).unwrap().class_set().clone(),
            None => {
                let mut set = tables::single_char('\n');
                set.negate();
                set
            }
        };

        let expected = expected.iter().flat_map(|&(a, b)| range(a, b));
        assert_eq!(set, ClassUnicode::new(expected), "{text}");
    }

    assert_eq!(sets.sets.len(), 8);
}

/// A range of code points, without the surrogates, which are no characters.
fn range(a: u32, b: u32) -> Option<ClassUnicodeRange> {
    Some(ClassUnicodeRange::new(
        char::from_u32(a)?,
        char::from_u32(b)?,
    ))
}

#[test]
fn folds_are_pythons_on_all_characters() {
    let sets: Sets = serde_json::from_str(&data("python-sets.json")).unwrap();
    let mut cased = ClassUnicode::empty();
    for group in &sets.folds {
        let expected = ClassUnicode::new(group.chars().map(|c| ClassUnicodeRange::new(c, c)));
        for c in group.chars() {
            assert_eq!(
                tables::fold_case(&tables::single_char(c)),
                expected,
                "{c:?} of {group}"
            );
        }

        cased.union(&expected);
    }

    let mut caseless = cased.clone();
    caseless.negate();
    assert_eq!(
        tables::fold_case(&caseless),
        caseless,
        "what has no case is its own only match"
    );

    assert!(sets.folds.len() > 1_000);
}
