//! A new repository, and the main job on it.

use crate::support::TestRepo;

#[test]
fn a_new_repository_is_committed_valid_and_answers() {
    let home = TestRepo::plain();
    let made = home.run(["init", "mine", "--format", "json"]).json();
    assert_eq!(home.git(["-C", "mine", "rev-parse", "main"]), made["commit"]);
    assert_eq!(home.git(["-C", "mine", "rev-parse", "production"]), made["production"]);
    assert_eq!(home.git(["-C", "mine", "status", "--porcelain"]), "");
    assert!(home.run(["-C", "mine", "promote"]).ok().contains("already there"));
    let _ = home.run(["-C", "mine", "validate", "--deny-warnings"]).ok();
    let answer = home.run([
        "-C",
        "mine",
        "resolve",
        "--team",
        "health-eu",
        "--model",
        "gpt-4o",
        "--format",
        "json",
    ]);
    assert_ne!(answer.json()["guardrails"].as_array().unwrap().len(), 0);
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let home = TestRepo::plain();
    home.write("notes.txt", "mine");
    let said = home.run(["init"]).fails(2);
    assert!(said.contains("is not empty"), "{said}");
    assert_eq!(home.read("notes.txt"), "mine");
    assert!(!home.path().join("refguard.yaml").exists());
}
