//! What programs and people read of results: fields, names and messages that must be there.

use crate::support::{TestRepo, policy};

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

/// A set with one policy and one attachment, promoted.
fn promoted() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    repo.commit("one");
    let _ = repo.run(["promote"]).ok();
    repo
}

#[test]
fn a_log_of_a_policy_that_never_was_is_an_error_with_the_nearest_name() {
    let repo = promoted();
    let said = repo.run(["log", "--policy", "bsae"]).fails(2);
    assert!(
        said.contains("`bsae`") && said.contains("did you mean `base`?"),
        "{said}"
    );
    assert!(
        repo.run(["log", "--policy", "base"])
            .ok()
            .contains("production#1")
    );
    repo.policy("later", "guardrails: {add: [pii]}")
        .commit("two");
    let said = repo.run(["log", "--policy", "later"]).ok();
    assert_eq!(said, "no promotion to production has changed `later` yet\n");
    let log = repo
        .run(["log", "--policy", "later", "--format", "json"])
        .json();
    assert_eq!(log["promotions"], serde_json::json!([]));
}

#[test]
fn every_line_of_a_batch_has_the_version_of_its_format() {
    let repo = promoted();
    repo.write("requests", "{\"context\":{}}\nnonsense\n");
    let run = repo.run(["resolve", "--batch", "requests"]).ends(1);
    let lines: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
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
    repo.write(
        "tests/t.yaml",
        &format!("{}---\n{}", test("one"), test("two")),
    );
    let junit = repo.run(["test", "--format", "junit"]).ok();
    let names: Vec<&str> = junit
        .lines()
        .filter(|line| line.contains("<testcase"))
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names[0].contains("name=\"all\"") && names[1].contains("name=\"all (2)\""),
        "{junit}"
    );
}

#[test]
fn names_of_files_cannot_write_to_the_terminal() {
    let repo = TestRepo::new();
    let odd = "policies/a\u{1b}[31m\nb.yaml";
    repo.write(odd, &policy("base", "guardrails: {add: [pii]}"))
        .commit("one");
    repo.write(odd, &policy("base", "guardrails: {add: [audit]}"))
        .commit("two");
    let said = repo.run(["draft", "base", "--from", "1"]).ok();
    assert_eq!(said, "policies/a\\u{1b}[31m\\nb.yaml now holds base@1\n");
    for verb in [
        &["show", "base"][..],
        &["list"],
        &["status"],
        &["validate"],
        &["diff", "HEAD~1"],
    ] {
        let run = repo.run(verb.iter().copied());
        assert!(
            !run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'),
            "{verb:?}"
        );
        assert_eq!(run.code, Some(0));
    }
}

/// A set in which many files use a guardrail that the catalog does not list, and a matrix of cases
/// fails.
fn one_typo_in_many_files() -> TestRepo {
    let repo = TestRepo::new();
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [pii, phi]\nteams: [a, b, c, d]\n",
    );
    repo.policy("base", "guardrails: {add: [pii]}")
        .policy("alone", "guardrails: {add: [pii]}");
    repo.write("attachments/all.yaml", ATTACHED).write(
        "tests/t.yaml",
        "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n  - name: each\n    \
         matrix: {teams: [a, b, c, d], keys: [k, l, m]}\n    expect: {includes: [phi]}\n",
    );
    repo.commit("one");
    repo
}

#[test]
fn one_cause_is_one_annotation_and_every_case_a_line() {
    let repo = one_typo_in_many_files();
    let said = repo.run(["test", "--format", "github"]).ends(1).stdout;
    let annotations: Vec<&str> = said.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(annotations.len(), 1, "{said}");
    assert!(
        annotations[0].contains("12 of 12 cases of `t` fail alike"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1 + 12, "{said}");

    for name in 0..14 {
        repo.policy(&format!("p{name:02}"), "guardrails: {add: [pij]}");
    }
    let said = repo.run(["validate", "--format", "github"]).ends(1).stdout;
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("::error "))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors[0].contains("policies/p00.yaml") && errors[0].contains("14 places in all"));
    let lines = said
        .lines()
        .filter(|line| line.contains(".yaml:") && line.contains(": error: "));
    assert_eq!(lines.count(), 14, "{said}");
}

#[test]
fn a_gate_says_a_matrix_that_fails_once() {
    let repo = one_typo_in_many_files();
    let said = repo.run(["promote"]).fails(1);
    assert_eq!(said.matches("refused: gate `tests`").count(), 1, "{said}");
    assert!(
        said.contains("(and 11 more cases of the same matrix)"),
        "{said}"
    );
    let words = repo.run(["promote", "--format", "json"]).ends(1).stdout;
    assert_eq!(words.matches("\"gate\": \"tests\"").count(), 12, "{words}");
}

#[test]
fn a_matrix_that_is_taken_away_is_one_safeguard_that_is_lost() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write(
            "attachments/base.yaml",
            "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n",
        )
        .write(
            "refguard.yaml",
            "apiVersion: refguard/v1\nkind: Repository\nenvironments:\n  - name: production\n    \
             gates: {safeguards: refuse}\n",
        )
        .write(
            "tests/t.yaml",
            "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n  - name: each\n    \
             matrix: {teams: [a, b, c], models: [gpt-4, o1]}\n    expect: {includes: [pii]}\n  \
             - name: nobody\n    context: {team: d}\n    expect: {includes: [pii]}\n",
        );
    repo.commit("one");
    let _ = repo.run(["promote"]).ok();
    repo.remove("tests/t.yaml").commit("no tests");

    let rest = "(and 5 more cases of the same matrix)";
    let refused = repo.run(["promote"]).fails(1);
    assert_eq!(refused.matches("gate `safeguards`").count(), 2, "{refused}");
    assert!(refused.contains(rest), "{refused}");
    for verb in [
        &["review", "production", "main"][..],
        &["diff", "production", "main"],
        &["review", "production", "main", "--format", "markdown"],
        &["diff", "production", "main", "--format", "markdown"],
    ] {
        let said = repo.run(verb.iter().copied()).ok();
        assert_eq!(said.matches("is gone").count(), 2, "{said}");
        assert!(said.contains(rest), "{said}");
    }
    let all = repo.run(["review", "production", "main", "--format", "json"]);
    assert_eq!(
        all.json()["safeguards"]["lost"].as_array().unwrap().len(),
        7
    );
}

#[test]
fn a_warning_that_explains_a_failed_test_stands_before_it() {
    let repo = one_typo_in_many_files();
    let run = repo.run(["test"]).ends(1);
    assert!(
        run.stderr.contains("no policy adds the guardrail `phi`"),
        "{}",
        run.stderr
    );
    assert!(
        !run.stderr.contains("alone"),
        "it explains nothing: {}",
        run.stderr
    );
    assert!(run.stdout.starts_with("failed t: each"), "{}", run.stdout);
    // Where all is well, or the answer is for programs, nothing is said beside it.
    assert_eq!(repo.run(["test", "--format", "json"]).ends(1).stderr, "");
    repo.policy("base", "guardrails: {add: [pii, phi]}");
    assert_eq!(repo.run(["test"]).ends(0).stderr, "");
}
