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
