//! Pages that promise a test for each row: docs/faults.md and the stories that it names are the
//! same list, and docs/threat-model.md names only tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The files of tests/daemon whose every story is a fault.
const FILES: [&str; 4] = ["independence", "last_good", "operations", "restarts"];

/// Files of tests/daemon of which some stories are faults.
const IN_PART: [&str; 1] = ["expiry"];

/// The stories that a page names, as `file::story`.
fn named(page: &str) -> BTreeSet<String> {
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("::"));
    let last = |row: &str| {
        row.trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .unwrap()
            .to_owned()
    };
    rows.map(|row| last(row).trim_matches('`').to_owned())
        .collect()
}

/// The stories of a file of tests.
fn stories(file: &str, text: &str) -> BTreeSet<String> {
    let after = text.split("#[test]\n").skip(1);
    let name = |body: &str| Some(body.split_once("fn ")?.1.split_once('(')?.0.to_owned());
    after
        .filter_map(|body| Some(format!("{file}::{}", name(body)?)))
        .collect()
}

#[test]
fn every_fault_has_a_test_and_every_story_of_a_fault_a_row() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = named(&fs::read_to_string(top.join("docs/faults.md")).unwrap());
    let read =
        |file: &str| fs::read_to_string(top.join(format!("tests/daemon/{file}.rs"))).unwrap();
    let told: BTreeSet<String> = FILES
        .iter()
        .flat_map(|file| stories(file, &read(file)))
        .collect();
    assert!(told.len() > 25, "{told:?}");
    let others = IN_PART.iter().flat_map(|file| stories(file, &read(file)));
    let known: BTreeSet<String> = told.iter().cloned().chain(others).collect();
    let missing: Vec<_> = rows.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "docs/faults.md names tests that do not exist: {missing:?}"
    );
    let unnamed: Vec<_> = told.difference(&rows).collect();
    assert!(
        unnamed.is_empty(),
        "docs/faults.md has no row for: {unnamed:?}"
    );
}

#[test]
fn the_threat_model_names_only_tests_that_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = named(&fs::read_to_string(top.join("docs/threat-model.md")).unwrap());
    assert!(rows.len() > 20, "{rows:?}");

    let files = ["tests/cli", "tests/daemon"]
        .into_iter()
        .flat_map(|folder| {
            fs::read_dir(top.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path())
        });
    let told: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .flat_map(|path| {
            let file = path.file_stem().unwrap().to_string_lossy().into_owned();
            stories(&file, &fs::read_to_string(&path).unwrap())
        })
        .collect();

    let missing: Vec<_> = rows.difference(&told).collect();
    assert!(
        missing.is_empty(),
        "docs/threat-model.md names tests that do not exist: {missing:?}"
    );
}
