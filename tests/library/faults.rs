//! docs/faults.md and the stories that it names are the same list.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The files of tests/daemon whose every story is a fault.
const FILES: [&str; 4] = ["independence", "last_good", "operations", "restarts"];

/// The stories that a page names, as `file::story`.
fn named(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    let last = |row: &str| row.trim_end_matches(" |").rsplit(" | ").next().unwrap().to_owned();
    rows.map(|row| last(row).trim_matches('`').to_owned()).collect()
}

/// The stories of a file of tests.
fn stories(file: &str, text: &str) -> BTreeSet<String> {
    let after = text.split("#[test]\n").skip(1);
    let name = |body: &str| body.split_once('(').unwrap().0.trim_start_matches("fn ").to_owned();
    after.map(|body| format!("{file}::{}", name(body))).collect()
}

#[test]
fn every_fault_has_a_test_and_every_story_of_a_fault_a_row() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = named(&fs::read_to_string(top.join("docs/faults.md")).unwrap());
    let read =
        |file: &str| fs::read_to_string(top.join(format!("tests/daemon/{file}.rs"))).unwrap();
    let told: BTreeSet<String> = FILES.iter().flat_map(|file| stories(file, &read(file))).collect();
    assert!(told.len() > 25, "{told:?}");
    let missing: Vec<_> = rows.difference(&told).collect();
    assert!(missing.is_empty(), "docs/faults.md names tests that do not exist: {missing:?}");
    let unnamed: Vec<_> = told.difference(&rows).collect();
    assert!(unnamed.is_empty(), "docs/faults.md has no row for: {unnamed:?}");
}
