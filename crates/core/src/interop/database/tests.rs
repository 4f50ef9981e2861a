//! Rows as a database gives them, and the commits that they become.

use super::*;

const POLICIES: &str = r#"{"policies": [
  {"policy_id": "5", "policy_name": "health", "version_number": 3, "version_status": "draft", "inherit": "base",
   "description": null, "guardrails_add": ["hipaa"], "guardrails_remove": [], "condition": null, "pipeline": null,
   "created_at": "2024-03-01T00:00:00Z", "created_by": "dora", "definition_location": "db"},
  {"policy_id": "4", "policy_name": "health", "version_number": 2, "version_status": "published", "inherit": "base",
   "guardrails_add": ["hipaa", "phi"], "condition": {"model": null}, "pipeline": null,
   "created_at": "2024-02-01T00:00:00", "created_by": "carl"},
  {"policy_id": "3", "policy_name": "health", "version_number": 1, "version_status": "production", "inherit": "base",
   "guardrails_add": ["hipaa"], "condition": {"model": "gpt-4.*"},
   "pipeline": {"mode": "pre_call", "steps": [{"guardrail": "hipaa", "on_fail": "block", "on_pass": "allow",
     "on_error": null, "pass_data": false, "modify_response_message": null}]},
   "created_at": "2024-01-02T00:00:00.123000Z", "created_by": "bert"},
  {"policy_id": "base", "policy_name": "base", "version_number": 1, "version_status": "production",
   "guardrails_add": ["pii"], "guardrails_remove": [], "definition_location": "config"}
], "total_count": 4}"#;

const ATTACHMENTS: &str = r#"{"attachments": [
  {"attachment_id": "b", "policy_name": "health", "scope": null, "teams": ["health*"], "keys": [], "models": [],
   "tags": [], "priority": null, "default": false, "created_at": "2024-01-03T00:00:00Z"},
  {"attachment_id": "a", "policy_name": "gone", "scope": "*", "teams": [], "keys": [], "models": [], "tags": []},
  {"attachment_id": "config-0", "policy_name": "base", "scope": "*", "teams": [], "keys": [], "models": [],
   "tags": [], "definition_location": "config"}
]}"#;

fn import(policies: &str, attachments: &str) -> DatabaseImport {
    import_database(
        ("policies.json", policies.to_owned()),
        ("attachments.json", attachments.to_owned()),
    )
}

#[test]
fn versions_become_commits_and_production_is_one_of_them() {
    let imported = import(POLICIES, ATTACHMENTS);
    let said: Vec<(&str, Option<&str>)> = imported
        .commits
        .iter()
        .map(|commit| (commit.message.as_str(), commit.author.as_deref()))
        .collect();
    let want = [
        ("Begin a policy repository", None),
        ("base: as LiteLLM's config has it", None),
        ("health: version 1 of LiteLLM's database", Some("bert")),
        ("Attach the policies as LiteLLM's database does", None),
        ("health: version 2 of LiteLLM's database", Some("carl")),
    ];

    assert_eq!(said, want, "{:#?}", imported.findings);
    assert_eq!(imported.production, Some(3));
    assert_eq!(
        imported.commits[2].time,
        Some("2024-01-02T00:00:00.123Z".parse().expect("a time"))
    );
    let [(path, Some(text))] = imported.commits[3].files.as_slice() else {
        panic!("one file")
    };

    assert_eq!(path, "attachments/0001.yaml");
    assert!(
        text.find("policy: base") < text.find("policy: health"),
        "{text}"
    );
    let [draft] = imported.drafts.as_slice() else {
        panic!("one draft")
    };

    assert_eq!(
        (draft.policy.as_str(), draft.version, draft.path.as_str()),
        ("health", 3, "policies/health.yaml")
    );
    let codes: Vec<String> = imported
        .findings
        .iter()
        .map(|f| format!("{} {}", f.location.file, f.rule.code))
        .collect();

    assert_eq!(
        codes.iter().filter(|c| c.ends_with("RG309")).count(),
        1,
        "{codes:?}"
    );
    assert!(
        codes.contains(&"policies.json RG304".to_owned()),
        "{codes:?}"
    );
}

#[test]
fn of_two_rows_in_production_the_last_listed_is_taken_and_said() {
    let rows = |status: &str| {
        let row = |n: i64, status: &str| {
            format!(
                r#"{{"policy_name": "p", "version_number": {n}, "version_status": "{status}", "guardrails_add": ["g{n}"]}}"#
            )
        };

        format!("[{}, {}]", row(2, status), row(1, "production"))
    };

    let attachments = r#"[{"policy_name": "p", "scope": "*"}]"#;
    let imported = import(&rows("production"), attachments);
    assert!(
        imported
            .findings
            .iter()
            .any(|finding| finding.rule.code == "RG310"),
        "{:#?}",
        imported.findings
    );
    let production = imported.production.expect("a commit");
    let messages: Vec<&str> = imported
        .commits
        .iter()
        .map(|c| c.message.as_str())
        .collect();

    assert!(
        messages[..=production]
            .iter()
            .all(|m| !m.contains("version 2")),
        "{messages:?}"
    );
    assert!(import(&rows("archived"), attachments).commits.is_empty());
}

#[test]
fn what_is_no_saved_answer_is_refused() {
    let empty = ["[]", "{\"policies\": []}"];
    let no_answers = ["", "[", "{}", "{\"policies\": 3}", "- 1", "\u{0}"];
    for text in no_answers.into_iter().chain(empty) {
        let imported = import(text, ATTACHMENTS);
        assert!(imported.findings.iter().any(Finding::is_error), "{text}");
        assert!(imported.commits.is_empty() && imported.production.is_none());
    }
}

#[test]
fn escapes_of_json_are_read() {
    let policies = r#"[{"policy_name": "caf\u00e9 \ud83d\ude00\/x", "guardrails_add": ["g"]}]"#;
    let imported = import(policies, "[]");
    let texts: Vec<&str> = imported
        .commits
        .iter()
        .flat_map(|c| &c.files)
        .filter_map(|(_, t)| t.as_deref())
        .collect();

    assert!(
        texts
            .iter()
            .any(|text| text.contains("name: \"café 😀/x\"")),
        "{texts:?} {:#?}",
        imported.findings
    );
}
