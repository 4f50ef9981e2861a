//! What a request gets, from each source.

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

#[test]
fn a_commit_answers_from_its_own_tree() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    let first = repo.commit("one");
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let old = repo
        .run(["resolve", "--at", "HEAD~1", "--format", "json"])
        .json();
    assert_eq!(old["version"], 1);
    assert_eq!(
        (&old["guardrails"], &old["commit"]),
        (&serde_json::json!(["pii"]), &first.into())
    );
    let new = repo.run(["resolve", "--format", "json"]).json();
    assert_eq!(
        (&new["guardrails"], &new["commit"]),
        (
            &serde_json::json!(["audit", "pii"]),
            &serde_json::Value::Null
        )
    );
}

#[test]
fn an_invalid_set_answers_nothing() {
    let repo = TestRepo::new();
    repo.write(
        "attachments/all.yaml",
        &ATTACHED.replace("policy:", "policies:"),
    );
    let run = repo.run(["resolve"]).ends(1);
    assert_eq!(run.stdout, "");
    assert!(
        run.stderr.contains("attachments/all.yaml:3"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_folder_without_a_policy_is_no_answer() {
    let repo = TestRepo::new();
    let run = repo.run(["resolve", "--team", "health-eu"]).ends(2);
    assert!(run.stderr.contains("no policy here"), "{}", run.stderr);
    // An environment may be empty, on purpose: that no policy matches is its answer.
    repo.write(
        "refguard.yaml",
        "apiVersion: refguard/v1\nkind: Repository\n",
    );
    repo.commit("nothing yet");
    let answer = repo.run(["resolve", "--at", "HEAD"]).ok();
    assert!(answer.contains("no policy matches"), "{answer}");
}

#[test]
fn a_pipe_gets_whole_names_and_no_row_is_padded_to_a_long_one() {
    let repo = TestRepo::new();
    let names = |of: &str, count: usize| {
        (0..count)
            .map(|n| format!("{of}_{n:05}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    repo.policy(
        "wide",
        &format!("guardrails: {{add: [{}]}}", names("guardrail", 4_000)),
    );
    let teams = names("team", 6_000);
    let attachment = format!(
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: wide\nteams: [{teams}]\n"
    );
    repo.write("attachments/wide.yaml", &attachment);
    repo.commit(&"s".repeat(70_000));
    for verb in [
        &["list"][..],
        &["list", "attachments"],
        &["versions", "wide"],
    ] {
        let text = repo.run(verb.iter().copied()).ok();
        assert!(!text.contains(" characters)"), "{verb:?}");
    }
    let policies = repo.run(["list"]).ok();
    assert!(policies.contains("+guardrail_03999"), "{}", policies.len());
    assert!(
        policies.lines().next().unwrap().len() < 120,
        "the heading is padded to a long row"
    );
}

#[test]
fn a_value_beyond_the_limit_is_refused_at_every_door() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    let long = "x".repeat(1025);
    let limit = "has 1025 bytes: the limit `request-value` is 1024";

    let context = format!("{{\"team\":\"{long}\"}}");
    for args in [["--team", &long], ["--tag", &long], ["--context", &context]] {
        let run = repo.run(["resolve"].into_iter().chain(args)).ends(2);
        assert!(run.stderr.contains(limit), "{}", run.stderr);
    }

    repo.write(
        "requests.jsonl",
        &format!("{{\"context\":{context}}}\n{{\"context\":{{}}}}\n"),
    );
    let run = repo.run(["resolve", "--batch", "requests.jsonl"]).ends(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(
        lines[0].starts_with("{\"error\"") && lines[0].contains(limit),
        "{}",
        lines[0]
    );
    assert!(lines[1].contains("\"pii\""), "{}", lines[1]);

    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n- name: c\n  context: ";
    repo.write(
        "tests/t.yaml",
        &format!("{test}{context}\n  expect: {{}}\n"),
    );
    let run = repo.run(["test"]).ends(1);
    assert!(
        format!("{}{}", run.stdout, run.stderr).contains(limit),
        "{}",
        run.stderr
    );
}

/// The documents of a set that looks at users and tools.
fn users_and_tools() -> TestRepo {
    let repo = TestRepo::new();
    for name in ["contractors", "issues", "everyone"] {
        repo.policy(name, &format!("guardrails: {{add: [g_{name}]}}"));
    }
    let attachment = |policy: &str, lists: &str| {
        format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{lists}\n---\n")
    };
    let attachments = attachment("issues", "tools: [\"github/*\"]")
        + &attachment("contractors", "users: [\"c-*\"]\ntools: [\"*\"]")
        + &attachment("contractors", "users: [\"d-*\"]\ntools: [\"github/*\"]")
        + &attachment("everyone", "teams: [t]");
    repo.write("attachments/all.yaml", &attachments);
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\nusers: [\"c-*\", u-17]\n\
         tools: [github/create_issue]\n",
    );
    repo
}

#[test]
fn users_and_tools_choose_requests_as_teams_do() {
    let repo = users_and_tools();
    let request = [
        "--team",
        "t",
        "--user",
        "c-1",
        "--tool",
        "github/create_issue",
    ];
    let answer = repo
        .run(["resolve", "--format", "json"].into_iter().chain(request))
        .json();
    let policies: Vec<(&str, &str)> = answer["policies"]
        .as_array()
        .expect("policies")
        .iter()
        .map(|policy| {
            (
                policy["name"].as_str().unwrap(),
                policy["matched_via"].as_str().unwrap(),
            )
        })
        .collect();
    // Less specific first: teams; tools alone; tools and another dimension.
    assert_eq!(
        policies,
        [
            ("everyone", "team:t"),
            ("issues", "tool:github/create_issue"),
            ("contractors", "user:c-1+tool:github/create_issue"),
        ]
    );

    let context = "{\"user\":\"u-17\",\"tool\":\"github/x\"}";
    let answer = repo
        .run(["resolve", "--format", "json", "--context", context])
        .json();
    assert_eq!(answer["guardrails"], serde_json::json!(["g_issues"]));
    let near = repo
        .run([
            "resolve",
            "--user",
            "u-17",
            "--tool",
            "github/x",
            "--explain",
        ])
        .ok();
    assert!(near.contains("user `u-17` is not `d-*`"), "{near}");
}

#[test]
fn a_set_with_users_is_judged_tested_proven_and_not_exported() {
    let repo = users_and_tools();
    let invariant = "apiVersion: refguard/v1\nkind: Invariant\nname: contractors-are-watched\n\
        for: {users: [\"c-*\"]}\nrequire: [g_contractors]\n";
    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n\
        - name: c\n  context: {user: c-1}\n  matrix: {tools: [github/create_issue, other/x]}\n  expect: {includes: [g_contractors]}\n";
    repo.write("invariants/i.yaml", invariant)
        .write("tests/t.yaml", test);
    repo.run(["test"]).ok();
    repo.run(["prove"]).ok();

    repo.write(
        "invariants/i.yaml",
        &invariant.replace("for: {users: [\"c-*\"]}", "for: {tools: [\"github/*\"]}"),
    );
    let proof = repo.run(["prove", "--format", "json"]).ends(1).stdout;
    let proof: serde_json::Value = serde_json::from_str(&proof).expect("JSON");
    let example = &proof["invariants"][0]["counterexample"];
    assert_eq!(example["user"], serde_json::Value::Null, "{proof}");
    assert!(
        example["tool"]
            .as_str()
            .expect("a tool")
            .starts_with("github/"),
        "{proof}"
    );

    let refused = repo.run(["export", "litellm"]).ends(1);
    assert_eq!(refused.stdout, "");
    assert!(
        refused
            .stderr
            .contains("attachments/all.yaml:1: the attachment of `issues` names `tools`"),
        "{}",
        refused.stderr
    );

    repo.write(
        "attachments/typo.yaml",
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: everyone\nusers: [u-71]\n",
    );
    let findings = repo.run(["validate"]).ends(1).stdout;
    assert!(
        findings.contains("the catalog has no user `u-71`"),
        "{findings}"
    );
}
