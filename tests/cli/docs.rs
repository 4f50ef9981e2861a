//! What is generated stays what its source says.

use crate::support::TestRepo;

#[test]
fn the_list_of_rules_is_written_from_the_rules() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    let due = TestRepo::plain().run(["explain", "--markdown"]).ok();
    let found = std::fs::read_to_string(path).unwrap();
    assert!(
        found == due,
        "write it anew: cargo run -- explain --markdown > docs/rules.md"
    );
}

#[test]
fn every_verb_has_an_example_in_its_help() {
    let repo = TestRepo::plain();
    let help = repo.run(["--help"]).ok();
    let verbs = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let names: Vec<&str> = verbs
        .lines()
        .filter(|l| l.starts_with("  "))
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names
        .iter()
        .filter(|name| name.chars().all(char::is_lowercase))
    {
        let text = repo.run([*name, "--help"]).ok();
        assert!(text.contains("Example: refguard"), "{name} --help\n{text}");
    }
}
