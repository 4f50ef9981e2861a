//! Policies of LiteLLM, from its config or its database, as a repository.

use crate::support::TestRepo;

const CONFIG: &str = "\
model_list:
  - {model_name: gpt-4, litellm_params: {model: azure/gpt-4}}
guardrails:
  - guardrail_name: pii
    litellm_params: {guardrail: presidio, mode: pre_call, default_on: true}
  - guardrail_name: hipaa
    litellm_params: {guardrail: custom, mode: [pre_call, post_call], stream_scope: {post_call: non_streaming}}
  - guardrail_name: tagged
    litellm_params: {guardrail: custom, mode: {tags: {internal: logging_only}, default: pre_call}}
policies:
  # Demanded by the audit.
  base:
    guardrails: {add: [hipaa]}
  health:
    inherit: base
    guardrails: {add: [tagged, made_in_the_ui]}
    condition: {model: gpt-4}
policy_attachments:
  - {policy: base, scope: '*'}
  - {policy: health, teams: ['health*']}
";

#[test]
fn a_config_becomes_a_commit_that_holds_what_it_means() {
    let home = TestRepo::plain();
    home.write("config.yaml", CONFIG);
    let done = home.run(["import", "litellm", "config.yaml", "-o", "mine"]);
    let said = done.ok();
    // A comment is not carried over, and that is said with its place.
    for warning in ["RG311", "config.yaml:11:3", "RG312", "RG313"] {
        assert!(said.contains(warning), "{said}");
    }

    let catalog = home.read("mine/catalog.yaml");
    let want = "guardrails:\n  - name: pii\n    modes:\n      - pre_call\n    default_on: true\n  \
                - name: hipaa\n    modes:\n      - pre_call\n      - post_call\n    stream_scope:\n      post_call: non_streaming\n";
    assert!(catalog.contains(want), "{catalog}");
    assert!(catalog.contains("  - made_in_the_ui\n"), "{catalog}");
    assert!(catalog.starts_with("# yaml-language-server: $schema=.schema/catalog.json\n"));
    assert!(home.path().join("mine/.schema/policy.json").is_file());

    // It is committed, and its tests and invariants hold.
    assert_eq!(home.git(["-C", "mine", "status", "--porcelain"]), "");
    assert_eq!(home.git(["-C", "mine", "rev-list", "--count", "main"]), "1");
    let _ = home.run(["-C", "mine", "test"]).ok();
    let _ = home.run(["-C", "mine", "prove"]).ok();
    let proof = home.run(["-C", "mine", "prove", "--format", "json"]).json();
    let names: Vec<&str> = proof["invariants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"every-request"), "{names:?}");
    let _ = home
        .run(["-C", "mine", "promote", "--reason", "as LiteLLM has it"])
        .ok();

    // A guardrail less is found.
    let policy = home
        .read("mine/policies/health.yaml")
        .replace("    - tagged\n", "");
    home.write("mine/policies/health.yaml", &policy);
    let _ = home.run(["-C", "mine", "test"]).fails(1);
}

#[test]
fn what_holds_no_policies_is_refused_with_the_place_where_they_are() {
    let home = TestRepo::plain();
    let indented = CONFIG
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect::<String>();
    for key in ["proxy_config", "litellm_settings"] {
        home.write("config.yaml", &format!("{key}:\n{indented}"));
        let done = home.run([
            "import",
            "litellm",
            "config.yaml",
            "-o",
            "mine",
            "--format",
            "json",
        ]);
        let said = done.ends(1).stdout;
        assert!(
            said.contains(&format!("they stand under `{key}`")),
            "{said}"
        );
    }
    assert!(!home.path().join("mine").exists());
}

#[test]
fn a_folder_within_a_repository_is_committed_there() {
    let repo = TestRepo::new();
    repo.write("config.yaml", CONFIG);
    let _ = repo
        .run(["import", "litellm", "config.yaml", "-o", "policies-of-llm"])
        .ok();
    let files = repo.git(["show", "--name-only", "--format=", "HEAD"]);
    assert!(
        files.contains("policies-of-llm/catalog.yaml") && !files.contains("config.yaml"),
        "{files}"
    );
}

#[test]
fn a_database_without_policies_is_refused() {
    let home = TestRepo::plain();
    home.write("policies.json", "{\"policies\": [], \"total_count\": 0}");
    home.write("attachments.json", "{\"attachments\": []}");
    let files = [
        "--policies",
        "policies.json",
        "--attachments",
        "attachments.json",
    ];
    let done = home.run([&["import", "litellm"], &files[..], &["-o", "mine"]].concat());
    let said = done.ends(1).stdout;
    assert!(
        said.contains("policies.json:1:1") && said.contains("no policies"),
        "{said}"
    );
    assert!(!home.path().join("mine").exists());
}

#[test]
fn a_version_whose_time_cannot_be_right_has_the_time_that_the_import_says() {
    let row = |name: &str, number: u8, status: &str, time: &str| {
        format!(
            r#"{{"policy_name": "{name}", "version_number": {number}, "version_status": "{status}",
                "guardrails_add": ["g"], "created_at": "{time}", "created_by": "ada"}}"#
        )
    };
    let times = |home: &TestRepo, rows: &[String]| -> (String, Vec<String>) {
        home.write("p.json", &format!("[{}]", rows.join(", ")))
            .write("a.json", r#"[{"policy_name": "p", "scope": "*"}]"#);
        let files = ["--policies", "p.json", "--attachments", "a.json"];
        let line = [&["import", "litellm"], &files[..], &["-o", "mine"]].concat();
        let said = home.run(line).ok().to_owned();
        let made = [
            "for-each-ref",
            "--format=%(refname:short) %(authordate:short)",
        ];
        let dates = home.git([&["-C", "mine"], &made[..], &["refs/heads"]].concat());
        (said, dates.lines().map(str::to_owned).collect())
    };

    // The first version tells none, the second one before 1970, and a draft of another policy none.
    let home = TestRepo::plain();
    let rows = [
        row("p", 1, "published", "soon"),
        row("p", 2, "published", "2026-02-01T00:00:00Z"),
        row("p", 3, "production", "1960-01-01T00:00:00Z"),
        row("q", 1, "draft", "9999-12-31T00:00:00Z"),
    ];
    let (said, dates) = times(&home, &rows);
    for sentence in [
        "version 1 of `p` has no time that can be right, and nor has a version before it: its \
         commit has the earliest time",
        "version 3 of `p` has no time that can be right: its commit has the time of the version \
         before it",
        "version 1 of `q` has no time that can be right, and nor has a version before it: its \
         commit has the latest time",
    ] {
        assert!(said.contains(sentence), "{said}");
    }
    let log = ["-C", "mine", "log", "--format=%as", "main"];
    assert!(
        home.git(log).lines().all(|day| day == "2026-02-01"),
        "{}",
        home.git(log)
    );
    assert!(
        dates.contains(&"draft/q-1 2026-02-01".to_owned()),
        "{dates:?}"
    );

    // Where no row tells a time, it is that of the import, and not the year 1970.
    let home = TestRepo::plain();
    let rows = [row("p", 1, "production", "soon"), row("q", 1, "draft", "")];
    let (_, dates) = times(&home, &rows);
    assert!(
        !dates.is_empty() && dates.iter().all(|date| !date.contains("1970")),
        "{dates:?}"
    );
}

#[test]
fn a_database_becomes_commits_and_branches() {
    let home = TestRepo::plain();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/litellm");
    let (policies, attachments) = (
        format!("{data}/policies.json"),
        format!("{data}/attachments.json"),
    );
    let done = home.run([
        "import",
        "litellm",
        "--policies",
        &policies,
        "--attachments",
        &attachments,
        "-o",
        "mine",
    ]);
    let said = done.ok();
    assert!(said.contains("RG316"), "{said}");

    // Two drafts of one policy are two branches; the one that is older than production is none.
    let branches = home.git([
        "-C",
        "mine",
        "for-each-ref",
        "--format=%(refname:short)",
        "refs/heads/draft",
    ]);
    assert_eq!(
        branches.lines().collect::<Vec<_>>(),
        ["draft/health-4", "draft/health-5"]
    );
    let draft = home.git(["-C", "mine", "show", "draft/health-5:policies/health.yaml"]);
    assert!(draft.contains("topic"), "{draft}");
    assert_eq!(
        home.git([
            "-C",
            "mine",
            "log",
            "-1",
            "--format=%an %aI",
            "draft/health-4"
        ]),
        "user-2 2026-05-01T12:00:00Z"
    );
    assert_eq!(home.git(["-C", "mine", "status", "--porcelain"]), "");

    // Versions have their authors and times; a row without either has what can be told.
    let versions = home
        .run(["-C", "mine", "versions", "health", "--format", "json"])
        .json();
    let who: Vec<(&str, &str)> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["author"].as_str().unwrap(), v["time"].as_str().unwrap()))
        .collect();
    assert!(
        who[0].0.contains("user-2") && who[0].1.starts_with("2026-04-01T12:00:00"),
        "{who:?}"
    );
    assert!(who[1].0.contains("user-1"), "{who:?}");
    let base = home.git([
        "-C",
        "mine",
        "log",
        "--format=%an %aI",
        "main",
        "--",
        "policies/base.yaml",
    ]);
    assert_eq!(
        base.lines().next(),
        Some("litellm 2026-01-01T12:00:00Z"),
        "{base}"
    );
    assert_eq!(
        home.git([
            "-C",
            "mine",
            "log",
            "--format=%aI",
            "--max-parents=0",
            "main"
        ]),
        "2026-01-01T12:00:00Z"
    );
    assert!(home.read("mine/policies/base.yaml").contains('\u{1f600}'));
    let _ = home
        .run(["-C", "mine", "validate", "--at", "production"])
        .ok();
}
