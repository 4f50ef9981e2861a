//! Faults are found where they are, in the work tree, in the index and in commits.

use crate::support::TestRepo;

#[test]
fn each_source_is_judged_for_itself() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}").commit("sound");
    repo.policy("base", "guardrail: {add: [pii]}");
    repo.git(["add", "-A"]);
    repo.policy("base", "guardrails: {add: [pii, audit]}");
    let _ = repo.run(["validate"]).ok();
    let _ = repo.run(["validate", "--at", "HEAD"]).ok();
    let report = repo.run(["validate", "--staged", "--format", "json"]).ends(1);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["line"]),
        (&"unknown-field".into(), &4.into()),
        "{report}"
    );
    assert_eq!(finding["file"], "policies/base.yaml");
}
