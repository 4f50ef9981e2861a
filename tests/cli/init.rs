//! A new repository, and the main job on it.

use crate::support::TestRepo;

#[test]
fn a_new_repository_is_committed_valid_and_answers() {
    let home = TestRepo::plain();
    let made = home.run(["init", "mine", "--format", "json"]).json();
    assert_eq!(
        home.git(["-C", "mine", "rev-parse", "main"]),
        made["commit"]
    );
    assert_eq!(
        home.git(["-C", "mine", "rev-parse", "production"]),
        made["production"]
    );
    assert_eq!(home.git(["-C", "mine", "status", "--porcelain"]), "");
    assert!(
        home.run(["-C", "mine", "promote"])
            .ok()
            .contains("already there")
    );
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

#[test]
fn a_repository_within_another_is_not_made_by_accident() {
    let repo = TestRepo::new();
    repo.write("src/main.py", "pass").commit("one");
    for target in ["policies", "deep/er/policies"] {
        let said = repo.run(["init", target]).fails(2);
        assert!(
            said.contains("lies in the git repository") && said.contains("--here"),
            "{said}"
        );
        assert!(!repo.path().join(target).exists());
    }
    // A folder that the outer repository ignores is meant to be one of its own.
    repo.write(".gitignore", "/mine\n/build/\n");
    for target in ["mine", "build/policies"] {
        let _ = repo.run(["init", target]).ok();
        assert!(repo.path().join(target).join(".git").is_dir(), "{target}");
    }
    repo.commit("ignore");
    // To add the policies to it is another matter: nothing is committed, and the owner goes on.
    let made = repo
        .run(["init", "--here", "policies", "--format", "json"])
        .json();
    assert_eq!(made["commit"], serde_json::Value::Null);
    assert!(
        made["files"]
            .as_array()
            .unwrap()
            .iter()
            .any(|file| file == "refguard.yaml")
    );
    assert!(!repo.path().join("policies/.git").exists());
    assert_eq!(repo.git(["status", "--porcelain"]), "?? policies/");
    repo.commit("policies");
    let _ = repo
        .run(["-C", "policies", "validate", "--deny-warnings"])
        .ok();
    let plain = TestRepo::plain();
    assert!(
        plain
            .run(["init", "--here", "x"])
            .fails(2)
            .contains("is in no git repository")
    );
    // A repository that was just made holds nothing yet.
    let fresh = TestRepo::new();
    let said = fresh.run(["init", "--here"]).ok();
    assert!(said.contains("commit them"), "{said}");
}

#[test]
fn a_git_repository_that_holds_nothing_yet_takes_the_example() {
    let repo = TestRepo::plain();
    repo.git(["init", "-q", "-b", "trunk"]);
    let made = repo.run(["init", ".", "--format", "json"]).json();
    assert_eq!(repo.git(["rev-parse", "trunk"]), made["commit"]);
    assert_eq!(repo.git(["rev-parse", "production"]), made["production"]);
    assert!(
        repo.run(["init", "."])
            .fails(2)
            .contains("lies in the git repository")
    );

    // A clone of an empty repository: production is to live there.
    let server = TestRepo::bare();
    let clone = server.cloned(&[]);
    let said = clone.run(["init"]).ok();
    assert!(
        said.contains("not promoted: `git push -u REMOTE main`"),
        "{said}"
    );
    clone.git(["push", "-q", "-u", "origin", "main"]);
    let _ = clone.run(["promote", "--push", "origin"]).ok();
}
