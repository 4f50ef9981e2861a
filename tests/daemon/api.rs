//! The endpoints as a client sees them.

use serde_json::{Value, json};

use crate::support::{Client, Daemon, JSON, Repo, policy};

const POLICIES: &str = "apiVersion: refguard/v1
kind: Policy
name: base
guardrails: {add: [pii]}
---
apiVersion: refguard/v1
kind: Policy
name: health
inherit: base
guardrails: {add: [hipaa, audit]}
condition: {model: \"gpt-4.*\"}
pipeline:
  mode: pre_call
  steps: [{guardrail: hipaa, on_pass: next}, {guardrail: audit}]
---
apiVersion: refguard/v1
kind: Policy
name: asked
guardrails: {add: [extra]}
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: base
scope: \"*\"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: health
teams: [\"health-*\"]
";

fn served() -> (Repo, Daemon, String) {
    let repo = Repo::new();
    repo.write("all.yaml", POLICIES);
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &["--max-batch", "3"]);
    daemon.until_served(&commit);
    (repo, daemon, commit)
}

#[test]
fn an_answer_is_whole_and_names_its_commit() {
    let (_repo, daemon, commit) = served();
    let body = r#"{"context":{"team_alias":"health-eu","key":null,"model":"gpt-4o","tags":[]},"policies":["asked","nobody"]}"#;
    let reply = daemon.post("/v1/resolve", body);
    assert_eq!(
        (reply.status, reply.header("x-refguard-commit")),
        (200, Some(commit.as_str()))
    );
    let mut answer = reply.json();
    for policy in answer["policies"].as_array_mut().unwrap() {
        // Null until history is read.
        assert!([json!(null), json!(1)].contains(&policy["version"].take()));
        assert_eq!(policy["digest"].take().as_str().map(str::len), Some(64));
    }
    let policy = |name: &str, via: Value, guardrails: Value, chain: Value| json!({"name": name, "version": null, "digest": null, "matched_via": via, "guardrails": guardrails, "chain": chain});
    let step = |name: &str, pass: &str| json!({"guardrail": name, "on_pass": pass, "on_fail": "block", "on_error": "block", "pass_data": false});
    let wanted = json!({
        "set": "production", "commit": commit, "promotion": null, "valid_until": null,
        "guardrails": ["audit", "extra", "hipaa", "pii"],
        "policies": [
            policy("base", json!("scope:*"), json!(["pii"]), json!(["base"])),
            policy("health", json!("team:health-eu"), json!(["audit", "hipaa", "pii"]), json!(["base", "health"])),
            policy("asked", json!(null), json!(["extra"]), json!(["asked"])),
        ],
        "pipelines": [{"policy": "health", "mode": "pre_call", "steps": [step("hipaa", "next"), step("audit", "allow")]}],
        "pipeline_guardrails": ["audit", "hipaa"],
        "unknown": ["nobody"],
    });
    assert_eq!(answer, wanted);
}

#[test]
fn versions_are_numbered_and_a_pinned_one_only_adds() {
    let repo = Repo::serving();
    let second = repo.generation(2);
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&second);
    daemon.until_numbered("p0", 2);
    let answer = daemon
        .post(
            "/v1/resolve",
            r#"{"context":{},"policies":["p0@1","p0@9","p9@1"]}"#,
        )
        .json();
    assert_eq!(answer["guardrails"], json!(["gen-1", "gen-2"]), "{answer}");
    assert_eq!(answer["unknown"], json!(["p0@9", "p9@1"]));
    let pinned = &answer["policies"][5];
    assert_eq!(
        (&pinned["name"], &pinned["version"]),
        (&json!("p0@1"), &json!(1))
    );
    assert_eq!(answer["policies"][0]["version"], json!(2));
    assert_eq!(
        daemon.get("/v1/policies/p0/versions").json()["versions"][0]["number"],
        json!(2)
    );
    // Who made what is served, of every policy at once; only where it is asked for.
    let listed = daemon.get("/v1/policies?published=true").json()["policies"].take();
    let versions = daemon.get("/v1/policies/p0/versions").json()["versions"].take();
    for field in ["commit", "time", "author"] {
        assert_eq!(
            listed[0]["published"][field], versions[0][field],
            "{listed}"
        );
    }
    assert_eq!(
        daemon.get("/v1/policies").json()["policies"][0].get("published"),
        None
    );
    assert_eq!(daemon.get("/v1/policies?published=perhaps").status, 400);
    let one = daemon.get("/v1/policies/p0/versions/1").json();
    assert_eq!(one["policy"]["guardrails"]["add"], json!(["gen-1"]));
    assert_eq!(daemon.get("/v1/policies/p0/versions/9").status, 404);
    assert_eq!(daemon.get("/v1/policies/p0/versions/x").status, 400);
    assert_eq!(daemon.get("/v1/policies/nobody/versions").status, 404);
    // All versions with their documents, in one answer.
    let page = |query: &str| daemon.get(&format!("/v1/policies/p0/versions?{query}"));
    let pages = page("documents=true").json();
    assert_eq!(
        (pages["versions"].as_array().unwrap().len(), &pages["next"]),
        (2, &json!(null))
    );
    assert_eq!(pages["versions"][1]["policy"], one["policy"]);
    let older = page("documents=true&cursor=2").json();
    assert_eq!(older["versions"], json!([pages["versions"][1]]));
    assert_eq!(page("documents=false").json()["versions"], versions);
    assert_eq!(page("cursor=2").json()["versions"], json!([versions[1]]));
    for query in [
        "cursor=0",
        "documents=true&cursor=0",
        "cursor=18446744073709551615",
        "cursor=x",
        "documents=perhaps",
    ] {
        assert_eq!(page(query).status, 400, "{query}");
    }
    let compared = |query: &str| daemon.get(&format!("/v1/policies/p0/compare?{query}"));
    let changed = json!([{"path": "guardrails.add", "a": ["gen-1"], "b": ["gen-2"]}]);
    for query in ["from=1&to=2", "from=1&to=latest", "from=1&to=production"] {
        assert_eq!(compared(query).json()["fields"], changed, "{query}");
    }
    // Only what was published, or is served, can be compared: no draft, no revision.
    for (query, status) in [
        ("from=1&to=9", 404),
        ("from=1&to=HEAD", 404),
        ("from=1&to=", 404),
        ("from=1", 400),
    ] {
        assert_eq!(compared(query).status, status, "{query}");
    }
    // A new version is numbered without a restart.
    let third = repo.generation(3);
    repo.promote("HEAD");
    daemon.until_served(&third);
    daemon.until_numbered("p0", 3);
}

#[test]
fn fields_explanations_and_strictness_are_chosen_in_the_query() {
    let (_repo, daemon, _) = served();
    let body = r#"{"context":{"team":"legal"},"policies":["nobody"]}"#;
    let some = daemon
        .post("/v1/resolve?fields=guardrails,pipelines", body)
        .json();
    let mut names: Vec<&str> = some
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "commit",
            "guardrails",
            "pipelines",
            "promotion",
            "set",
            "valid_until"
        ]
    );
    let explained = daemon.post("/v1/resolve?explain=1", body).json();
    assert_eq!(
        explained["explain"][0]["verdict"],
        json!("matched"),
        "{explained}"
    );
    let refused = daemon.post("/v1/resolve?strict=1", body);
    assert_eq!(
        (refused.status, &refused.json()["unknown"]),
        (422, &json!(["nobody"]))
    );
    assert_eq!(
        daemon
            .post("/v1/resolve?strict=1", r#"{"context":{}}"#)
            .status,
        200
    );
}

#[test]
fn the_same_request_again_gets_the_same_bytes_until_something_else_is_served() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--worktree"]);
    daemon.until_numbered("p0", 1);
    daemon.until_status("drafts", |status| status["sets"][1]["digest"].is_string());
    let body = r#"{"context":{"team":"legal"},"policies":["nobody"]}"#;
    let repeated = || {
        let metrics = daemon.get("/metrics").body;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("refguard_http_answers_repeated_total "));
        line.unwrap().parse::<u32>().unwrap()
    };
    let first = daemon.post("/v1/resolve", body);
    let before = repeated();
    let again = daemon.post("/v1/resolve", body);
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(
        again.header("x-refguard-commit"),
        first.header("x-refguard-commit")
    );
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(repeated(), before + 1);
    // What is asked otherwise, of another set, or is refused, is not what was answered.
    let some = daemon.post("/v1/resolve?fields=guardrails", body).json();
    assert_eq!(
        (some.get("policies"), &some["guardrails"]),
        (None, &json!(["gen-1"]))
    );
    assert_eq!(
        daemon.post("/v1/resolve?set=worktree", body).json()["set"],
        json!("worktree")
    );
    let named = r#"{"context":{"team":"legal"},"policies":["p0@production"]}"#;
    // These are answered anew each time: a pin of an environment moves with its ref.
    for _ in 0..2 {
        assert_eq!(daemon.post("/v1/resolve?strict=1", body).status, 422);
        assert!(daemon.post("/v1/resolve?explain=1", body).json()["explain"].is_array());
        assert_eq!(
            daemon.post("/v1/resolve", named).json()["policies"][5]["version"],
            json!(1)
        );
    }
    assert_eq!(repeated(), before + 1);
    // The next set answers for itself, with its own commit and its own numbers.
    let second = repo.generation(2);
    repo.promote("HEAD");
    daemon.until_served(&second);
    daemon.until_numbered("p0", 2);
    let after = daemon.post("/v1/resolve", body);
    assert_eq!(
        (after.header("x-refguard-commit"), &after.json()["commit"]),
        (Some(&*second), &json!(second))
    );
    assert_eq!(
        (
            &after.json()["guardrails"],
            &after.json()["policies"][0]["version"]
        ),
        (&json!(["gen-2"]), &json!(2))
    );
    assert_eq!(
        daemon.post("/v1/resolve", named).json()["policies"][5]["version"],
        json!(2)
    );
}

#[test]
fn versions_stay_known_of_policies_that_stay_and_are_learned_of_the_one_that_changes() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_numbered("p4", 1);
    let versions = || {
        let answer = daemon.post("/v1/resolve", r#"{"context":{}}"#).json();
        let policies = answer["policies"].as_array().unwrap().iter();
        policies
            .map(|policy| (policy["name"].to_string(), policy["version"].clone()))
            .collect::<Vec<_>>()
    };
    let all_but = |changed: &str, number: u64| {
        let number = |name: &str| {
            if name == changed {
                json!(number)
            } else {
                json!(1)
            }
        };
        ["p0", "p1", "p2", "p3", "p4"]
            .map(|name| (format!("{name:?}"), number(name)))
            .to_vec()
    };
    assert_eq!(versions(), all_but("", 0));
    let first = policy("p4", "gen-1");
    // Back to the first text: that is a version of its own.
    for (number, text) in [
        (
            2,
            first.replace("name: p4\n", "name: p4\ndescription: other\n"),
        ),
        (3, first),
    ] {
        repo.write("policies/p4.yaml", &text);
        let commit = repo.commit();
        repo.promote("HEAD");
        daemon.until_served(&commit);
        daemon.until_numbered("p4", number);
        assert_eq!(versions(), all_but("p4", number));
    }
    // History knows this one already: nothing but the set changes.
    let second = repo.promote("HEAD~1");
    daemon.until_served(&second);
    assert_eq!(versions(), all_but("p4", 2));
}

#[test]
fn what_is_malformed_is_refused_with_a_problem_document() {
    let (_repo, daemon, commit) = served();
    let many_tags = json!({"context": {"tags": vec!["t"; 257]}}).to_string();
    let bodies = [
        "",
        "[]",
        "{",
        "{}",
        r#"{"context":null}"#,
        r#"{"context":{"team":1}}"#,
        r#"{"context":{"teams":"a"}}"#,
        r#"{"context":{"team":"a","team_alias":"a"}}"#,
        r#"{"context":{"key":"a","key_alias":"b"}}"#,
        r#"{"context":{"team":"a","team":"b"}}"#,
        r#"{"context":{"tags":"a"}}"#,
        r#"{"context":{"tags":[1]}}"#,
        r#"{"context":{},"policies":"a"}"#,
        r#"{"context":{},"policy":["a"]}"#,
        r#"{"context":{},"requests":[]}"#,
        r#"{"requests":{}}"#,
        r#"{"requests":[{"context":{}},{}]}"#,
        r#"{"requests":[{"context":{}},{"context":{"x":1}}]}"#,
        r#"{"context":{}} {}"#,
        // An array is no object, though its values would do in their order.
        r#"["gpt-4o"]"#,
        r#"[{"team":"a"}]"#,
        r#"{"context":["a"]}"#,
        r#"{"context":[]}"#,
        r#"{"requests":[[{"team":"a"}]]}"#,
        &many_tags,
    ];
    for body in bodies {
        let reply = daemon.post("/v1/resolve", body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.body);
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(reply.header("x-refguard-commit"), Some(commit.as_str()));
        assert!(
            !reply.body.contains("invalid type: sequence"),
            "{}",
            reply.body
        );
        let problem = reply.json();
        assert_eq!(problem["status"], json!(400));
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
    }
    for query in [
        "fields=guardrail",
        "fields=",
        "explain=yes",
        "strict=2",
        "sets=production",
        "set=production&set=x",
    ] {
        assert_eq!(
            daemon
                .post(&format!("/v1/resolve?{query}"), r#"{"context":{}}"#)
                .status,
            400,
            "{query}"
        );
    }
    assert_eq!(
        daemon
            .post("/v1/resolve?set=nowhere", r#"{"context":{}}"#)
            .status,
        404
    );
    assert_eq!(daemon.get("/v1/resolve").status, 405);
    assert_eq!(daemon.get("/v1/nothing").status, 404);
    assert_eq!(daemon.get("/v1/policies?limit=0").status, 400);
    assert_eq!(daemon.get("/v1/policies?limit=1001").status, 400);
}

#[test]
fn a_batch_is_answered_in_its_order_from_one_snapshot_or_not_at_all() {
    let (_repo, daemon, commit) = served();
    let requests = |teams: &[&str]| {
        let requests: Vec<Value> = teams
            .iter()
            .map(|team| json!({"context": {"team": team, "model": "gpt-4"}}))
            .collect();
        json!({ "requests": requests }).to_string()
    };
    let results = daemon
        .post("/v1/resolve", &requests(&["x", "health-1", "y"]))
        .json()["results"]
        .clone();
    let counts: Vec<usize> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["guardrails"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [1, 3, 1]);
    assert!(
        results
            .as_array()
            .unwrap()
            .iter()
            .all(|answer| answer["commit"] == json!(commit))
    );
    assert_eq!(
        daemon.post("/v1/resolve", r#"{"requests":[]}"#).json(),
        json!({"results": []})
    );
    let too_many = daemon.post("/v1/resolve", &requests(&["a", "b", "c", "d"]));
    assert_eq!(too_many.status, 413);
    assert!(too_many.body.contains("`batch`"), "{}", too_many.body);
    let strict = r#"{"requests":[{"context":{}},{"context":{},"policies":["nobody"]}]}"#;
    let refused = daemon.post("/v1/resolve?strict=1", strict);
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("request 1"), "{}", refused.body);
}

#[test]
fn policies_and_attachments_come_in_pages() {
    let (repo, daemon, _) = served();
    let mut names = Vec::new();
    let mut path = "/v1/policies?limit=2".to_owned();
    loop {
        let page = daemon.get(&path).json();
        names.extend(
            page["policies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["name"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/policies?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["asked", "base", "health"]);
    let one = daemon.get("/v1/policies/health").json();
    assert_eq!(
        (&one["chain"], &one["policy"]["file"]),
        (&json!(["base", "health"]), &json!("all.yaml"))
    );
    assert_eq!(daemon.get("/v1/policies/nobody").status, 404);
    let first = daemon.get("/v1/attachments?limit=1").json();
    let next = first["next"].as_str().unwrap().to_owned();
    let second = daemon
        .get(&format!("/v1/attachments?limit=1&cursor={next}"))
        .json();
    assert_eq!(
        (
            &first["attachments"][0]["policy"],
            &second["attachments"][0]["policy"]
        ),
        (&json!("base"), &json!("health"))
    );
    assert_eq!(second["next"], json!(null));
    // A place in a set that is no longer served means nothing.
    repo.write("more.yaml", &policy("more", "more"));
    let commit = repo.commit();
    repo.promote("HEAD");
    daemon.until_served(&commit);
    assert_eq!(
        daemon.get(&format!("/v1/attachments?cursor={next}")).status,
        409
    );
    assert_eq!(daemon.get("/v1/attachments?cursor=x").status, 400);
}

#[test]
fn promotions_have_numbers_and_a_hold_is_shown() {
    let repo = Repo::new();
    repo.generation(1);
    let run = |args: &[&str]| {
        let out = crate::support::refguard()
            .arg("-C")
            .arg(repo.path())
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{args:?}: {out:?}");
    };
    run(&["promote", "--reason", "one"]);
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving promotion 1", |set| set["promotion"] == json!(1));
    repo.generation(2);
    run(&["promote", "--reason", "two"]);
    daemon.until("serving promotion 2", |set| {
        set["promotion"] == json!(2) && set["hold"].is_null()
    });
    run(&["rollback", "--reason", "three"]);
    let set = daemon.until("serving promotion 3", |set| set["promotion"] == json!(3));
    assert!(set["hold"]["reason"].is_string(), "{set}");
    assert_eq!(daemon.guardrails(), ["gen-1"]);
    let log = daemon.get("/v1/promotions").json();
    let kinds: Vec<&Value> = log["promotions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["kind"])
        .collect();
    assert_eq!(kinds, ["rollback", "promote", "promote"]);
}

#[test]
fn the_description_and_the_metrics_can_be_read() {
    let (_repo, daemon, commit) = served();
    assert_eq!(
        daemon.get("/openapi.json").json()["openapi"],
        json!("3.1.0")
    );
    daemon.guardrails();
    let metrics = daemon.get("/metrics").body;
    assert!(metrics.ends_with("# EOF\n"));
    for line in [
        "refguard_reloads_total{set=\"production\",result=\"ok\"} ",
        "refguard_http_requests_total{route=\"/v1/resolve\",status=\"200\"} 1",
        &format!("refguard_snapshot_info{{set=\"production\",commit=\"{commit}\""),
        "refguard_ready 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[test]
fn a_kept_connection_serves_many_requests() {
    let (_repo, daemon, _) = served();
    let mut client = Client::new(&daemon.address);
    for n in 0..50 {
        let body = json!({"context": {"team": format!("t{n}")}}).to_string();
        assert_eq!(
            client.ask("POST", "/v1/resolve", &[JSON], &body).status,
            200
        );
    }
}

#[test]
fn strict_requests_name_only_what_is_requestable() {
    let repo = Repo::new();
    let asked = "name: asked\nguardrails: {add: [extra]}\n";
    let requestable = POLICIES.replace(asked, &format!("{asked}requestable: true\n"));
    repo.write("all.yaml", &requestable);
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &["--strict-requests"]);
    daemon.until_served(&commit);

    let body = |name: &str| format!(r#"{{"context":{{"team":"x"}},"policies":["{name}"]}}"#);
    let answer = daemon.post("/v1/resolve", &body("asked"));
    assert_eq!(
        (answer.status, &answer.json()["guardrails"]),
        (200, &json!(["extra", "pii"]))
    );

    for name in ["health", "health@1", "base"] {
        let refused = daemon.post("/v1/resolve", &body(name));
        assert_eq!(
            (refused.status, &refused.json()["not_requestable"]),
            (422, &json!([name]))
        );
    }
    let unknown = daemon.post("/v1/resolve", &body("nobody"));
    assert_eq!(
        (unknown.status, &unknown.json()["unknown"]),
        (422, &json!(["nobody"]))
    );
    assert_eq!(daemon.post("/v1/resolve", r#"{"context":{}}"#).status, 200);
}
