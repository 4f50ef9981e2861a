//! What a request gets, from each source.

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

#[test]
fn a_commit_answers_from_its_own_tree() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}").write("attachments/all.yaml", ATTACHED);
    let first = repo.commit("one");
    repo.policy("base", "guardrails: {add: [pii, audit]}").commit("two");
    let old = repo.run(["resolve", "--at", "HEAD~1", "--format", "json"]).json();
    assert_eq!(old["version"], 1);
    assert_eq!((&old["guardrails"], &old["commit"]), (&serde_json::json!(["pii"]), &first.into()));
    let new = repo.run(["resolve", "--format", "json"]).json();
    assert_eq!(
        (&new["guardrails"], &new["commit"]),
        (&serde_json::json!(["audit", "pii"]), &serde_json::Value::Null)
    );
}

#[test]
fn an_invalid_set_answers_nothing() {
    let repo = TestRepo::new();
    repo.write("attachments/all.yaml", &ATTACHED.replace("policy:", "policies:"));
    let run = repo.run(["resolve"]).ends(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("attachments/all.yaml:3"), "{}", run.stderr);
}

#[test]
fn a_table_of_long_lists_and_authors_is_bounded() {
    let repo = TestRepo::new();
    let names = |of: &str, count: usize| {
        (0..count).map(|n| format!("{of}_{n:05}")).collect::<Vec<_>>().join(", ")
    };
    repo.policy("wide", &format!("guardrails: {{add: [{}]}}", names("guardrail", 4_000)));
    let teams = names("team", 6_000);
    let attachment = format!(
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: wide\nteams: [{teams}]\n"
    );
    repo.write("attachments/wide.yaml", &attachment);
    repo.commit(&"s".repeat(70_000));
    for verb in [&["list"][..], &["list", "attachments"], &["versions", "wide"]] {
        let text = repo.run(verb.iter().copied()).ok();
        assert!(text.len() < 2_000 && text.contains(" characters)"), "{verb:?}: {}", text.len());
    }
}

#[test]
fn a_value_beyond_the_limit_is_refused_at_every_door() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}").write("attachments/all.yaml", ATTACHED);
    let long = "x".repeat(1025);
    let limit = "has 1025 bytes: the limit `request-value` is 1024";

    let context = format!("{{\"team\":\"{long}\"}}");
    for args in [["--team", &long], ["--tag", &long], ["--context", &context]] {
        let run = repo.run(["resolve"].into_iter().chain(args)).ends(2);
        assert!(run.stderr.contains(limit), "{}", run.stderr);
    }

    repo.write("requests.jsonl", &format!("{{\"context\":{context}}}\n{{\"context\":{{}}}}\n"));
    let run = repo.run(["resolve", "--batch", "requests.jsonl"]).ends(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("{\"error\"") && lines[0].contains(limit), "{}", lines[0]);
    assert!(lines[1].contains("\"pii\""), "{}", lines[1]);

    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n- name: c\n  context: ";
    repo.write("tests/t.yaml", &format!("{test}{context}\n  expect: {{}}\n"));
    let run = repo.run(["test"]).ends(1);
    assert!(format!("{}{}", run.stdout, run.stderr).contains(limit), "{}", run.stderr);
}
