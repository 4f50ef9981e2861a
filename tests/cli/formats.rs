//! What programs and people read of results: fields, names and messages that must be there.

use crate::support::{TestRepo, policy};

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// A set with one policy and one attachment, promoted.
fn promoted() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}").write("attachments/all.yaml", ATTACHED);
    repo.commit("one");
    let _ = repo.run(["promote"]).ok();
    repo
}

#[test]
fn a_log_of_a_policy_that_never_was_is_an_error_with_the_nearest_name() {
    let repo = promoted();
    let said = repo.run(["log", "--policy", "bsae"]).fails(2);
    assert!(said.contains("`bsae`") && said.contains("did you mean `base`?"), "{said}");
    assert!(repo.run(["log", "--policy", "base"]).ok().contains("production#1"));
    repo.policy("later", "guardrails: {add: [pii]}").commit("two");
    let said = repo.run(["log", "--policy", "later"]).ok();
    assert_eq!(said, "no promotion to production has changed `later` yet\n");
    let log = repo.run(["log", "--policy", "later", "--format", "json"]).json();
    assert_eq!(log["promotions"], serde_json::json!([]));
}

#[test]
fn every_line_of_a_batch_has_the_version_of_its_format() {
    let repo = promoted();
    repo.write("requests", "{\"context\":{}}\nnonsense\n");
    let run = repo.run(["resolve", "--batch", "requests"]).ends(1);
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["version"], &lines[0]["guardrails"]),
        (&1.into(), &serde_json::json!(["pii"]))
    );
    assert!(lines[1]["error"].is_string());
}

#[test]
fn equal_names_of_test_cases_stay_apart_in_junit() {
    let repo = promoted();
    let cases = "cases:\n  - {name: all, context: {team: a}, expect: {includes: [pii]}}\n";
    let test =
        |name: &str| format!("apiVersion: refguard/v1\nkind: PolicyTest\nname: {name}\n{cases}");
    repo.write("tests/t.yaml", &format!("{}---\n{}", test("one"), test("two")));
    let junit = repo.run(["test", "--format", "junit"]).ok();
    let names: Vec<&str> = junit.lines().filter(|line| line.contains("<testcase")).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].contains("name=\"all\"") && names[1].contains("name=\"all (2)\""), "{junit}");
}

#[test]
fn names_of_files_cannot_write_to_the_terminal() {
    let repo = TestRepo::new();
    let odd = "policies/a\u{1b}[31m\nb.yaml";
    repo.write(odd, &policy("base", "guardrails: {add: [pii]}")).commit("one");
    repo.write(odd, &policy("base", "guardrails: {add: [audit]}")).commit("two");
    let said = repo.run(["draft", "base", "--from", "1"]).ok();
    assert_eq!(said, "policies/a\\u{1b}[31m\\nb.yaml now holds base@1\n");
    for verb in [&["show", "base"][..], &["list"], &["status"], &["validate"], &["diff", "HEAD~1"]]
    {
        let run = repo.run(verb.iter().copied());
        assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{verb:?}");
        assert_eq!(run.code, Some(0));
    }
}
