//! What a change would have done to the requests of a log, against asking both sets row by row.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::TestRepo;

fn attachment(policy: &str, fields: &str) -> String {
    format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{fields}\n")
}

/// Production gives teams `health-*` three guardrails; in the work tree they lose one and finance
/// gains one.
fn changed() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [log]}")
        .policy(
            "health",
            "guardrails: {add: [phi, audit]}\ncondition: {model: \"gpt-.*\"}",
        )
        .policy("finance", "guardrails: {add: [pci]}")
        .write("attachments/base.yaml", &attachment("base", "scope: \"*\""))
        .write(
            "attachments/health.yaml",
            &attachment("health", "teams: [\"health-*\"]\ntags: [phi]"),
        )
        .write(
            "attachments/finance.yaml",
            &attachment("finance", "teams: [finance]\nkeys: [\"prod-*\"]"),
        )
        .commit("one");
    let _ = repo.run(["promote", "--reason", "first"]).ok();
    repo.policy(
        "health",
        "guardrails: {add: [phi]}\ncondition: {model: \"gpt-.*\"}",
    )
    .write(
        "attachments/finance.yaml",
        &attachment("finance", "teams: [finance]"),
    );
    repo
}

/// A line of the decision log.
fn row(team: &str, key: &str, model: &str, tags: &[&str]) -> Value {
    let value = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    json!({
        "time": "2026-11-28T03:14:15Z", "by": "resolve", "set": "production", "commit": null, "policies": [],
        "guardrails": [], "unknown": [], "team": value(team), "key": value(key), "user": null, "tags": tags,
        "model": value(model), "tool": null,
    })
}

#[test]
fn a_log_tells_who_loses_and_gains_what_and_which_regions_are_quiet() {
    let repo = changed();
    let lines = [
        row("health-eu", "k", "gpt-4", &["phi"]),
        row("health-eu", "k", "gpt-4", &["phi"]),
        row("health-us", "k", "gpt-4", &["phi"]),
        row("health-eu", "k", "claude", &["phi"]),
        row("finance", "prod-1", "gpt-4", &[]),
        json!({ "team": "health-eu", "tags": [], "model": "gpt-4" }),
        json!({ "level": "info" }),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    repo.write("../decisions.jsonl", &text);
    let report = repo
        .run(["replay", "../decisions.jsonl", "--format", "json"])
        .json();
    let numbers = ["rows", "distinct", "changed", "lost", "gained", "unclear"];
    assert_eq!(
        numbers.map(|field| report[field].as_u64().unwrap()),
        [7, 4, 3, 3, 0, 2],
        "{report:#}"
    );
    let groups = report["groups"].as_array().unwrap();
    let [first, second] = groups.as_slice() else {
        panic!("{report:#}")
    };
    assert_eq!(
        first["context"],
        json!({ "team": "health-eu", "model": "gpt-4" })
    );
    assert_eq!(
        (&first["rows"], &first["lost"]),
        (&json!(2), &json!(["audit"]))
    );
    assert_eq!(first["example"]["key"], json!("k"));
    assert_eq!(second["context"]["team"], json!("health-us"));

    // The region's number is its place in the list of `impact`, and the other region is quiet.
    let impact = repo.run(["impact", "--format", "json"]).json();
    let at = usize::try_from(first["region"].as_u64().unwrap()).unwrap();
    assert_eq!(impact["regions"][at]["lost"], json!(["audit"]));
    let quiet = report["quiet_regions"].as_array().unwrap();
    assert_eq!(quiet.len() + 1, impact["regions"].as_array().unwrap().len());
    assert!(
        quiet
            .iter()
            .any(|quiet| quiet["requests"]["gained"] == json!(["pci"])),
        "{quiet:#?}"
    );
    for quiet in quiet {
        let at = usize::try_from(quiet["region"].as_u64().unwrap()).unwrap();
        assert_eq!(
            quiet["requests"], impact["regions"][at],
            "the numbers are those of `impact`"
        );
    }
    let reasons: Vec<&str> = report["unclear_because"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        ["a line is no row of a log that is known", "no field `key`"]
    );

    let line = [
        "replay",
        "../decisions.jsonl",
        "--now",
        "2026-11-28T04:00:00Z",
        "--format",
    ];
    for format in ["human", "markdown"] {
        insta::assert_snapshot!(repo.run(line.into_iter().chain([format])).ok());
    }

    // Every other row; nothing that is older; nothing of another set.
    let rows = |more: &[&str]| {
        let line = ["replay", "../decisions.jsonl", "--format", "json"];
        repo.run(line.iter().chain(more).copied()).json()["rows"].clone()
    };
    assert_eq!(rows(&["--sample", "2"]), json!(4));
    assert_eq!(rows(&["--set", "staging"]), json!(2));
    assert_eq!(rows(&["--since", "2026-11-28T03:14:16Z"]), json!(2));
}

#[test]
fn packed_logs_of_two_kinds_and_standard_input_are_read_as_one() {
    let repo = changed();
    let own = format!("{}\n", row("health-eu", "k", "gpt-4", &["phi"]));
    let spend = |metadata: Value, tags: Value| {
        let line = json!({
            "request_id": "r-1", "call_type": "acompletion", "api_key": "88dc", "spend": 0.01,
            "startTime": "2026-11-28T03:14:15", "model": "azure/gpt-4", "model_group": "gpt-4", "user": "u",
            "team_id": "t-1", "metadata": metadata, "request_tags": tags,
        });
        format!("{line}\n")
    };
    let metadata = json!({ "user_api_key_alias": "k", "user_api_key_team_alias": "health-eu" });
    let spend = [
        spend(metadata.clone(), json!(["phi"])),
        spend(
            json!(metadata.to_string()),
            json!("[\"phi\", \"User-Agent: curl\"]"),
        ),
        spend(json!({}), json!([])),
    ]
    .concat();
    let folder = repo.path().parent().unwrap().to_owned();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(own.as_bytes()).unwrap();
    fs::write(folder.join("own.gz"), gzip.finish().unwrap()).unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(spend.as_bytes(), level);
    fs::write(folder.join("spend.zst"), &zstd).unwrap();
    let line = [
        "replay",
        "../own.gz",
        "../spend.zst",
        "-",
        "production",
        "--format",
        "json",
    ];
    let report = repo.run_with_input(line, &own).json();
    let numbers = ["rows", "distinct", "changed", "unclear"];
    assert_eq!(
        numbers.map(|field| report[field].as_u64().unwrap()),
        [5, 2, 4, 1],
        "{report:#}"
    );
    assert_eq!(
        report["unclear_because"][0]["first"],
        json!("../spend.zst:3")
    );

    // What is cut off is an error with the log's name, not the end of the log.
    fs::write(folder.join("cut.zst"), &zstd[..zstd.len() / 2]).unwrap();
    let said = repo.run(["replay", "../cut.zst"]).fails(2);
    assert!(said.contains("log `../cut.zst`"), "{said}");
    let said = repo.run(["replay", "../gone.jsonl"]).fails(2);
    assert!(said.contains("log `../gone.jsonl`"), "{said}");
    let said = repo.run(["replay", "../own.gz", "a", "b", "c"]).fails(2);
    assert!(said.contains("`a` names no file"), "{said}");
    let said = repo
        .run(["replay", "../own.gz", "--since", "soon"])
        .fails(2);
    assert!(said.contains("`soon` is no time"), "{said}");
}

#[test]
fn a_review_tells_what_a_log_would_have_seen() {
    let repo = changed();
    repo.write(
        "../log",
        &format!("{}\n", row("health-eu", "k", "gpt-4", &["phi"])),
    );
    let review = ["review", "production", "--replay", "../log"];
    let json = repo
        .run(review.iter().chain(&["--format", "json"]).copied())
        .json();
    assert_eq!(
        (&json["replay"]["changed"], &json["replay"]["lost"]),
        (&json!(1), &json!(1))
    );
    let markdown = repo
        .run(review.iter().chain(&["--format", "markdown"]).copied())
        .ok();
    assert!(markdown.contains("### Logged requests"), "{markdown}");
    assert!(
        markdown.contains("| 1 | `health-eu` | `gpt-4` | `audit` |"),
        "{markdown}"
    );
    assert_eq!(
        repo.run(["review", "production", "--format", "json"])
            .json()["replay"],
        Value::Null
    );
}

#[test]
fn what_becomes_of_the_rows_later_is_told_with_the_instant() {
    let repo = changed();
    repo.git(["checkout", "-q", "."]);
    let ending = attachment(
        "health",
        "teams: [\"health-*\"]\ntags: [phi]\nexpires: 2090-12-05",
    );
    repo.write("attachments/health.yaml", &ending);
    let log = [
        row("health-eu", "k", "gpt-4", &["phi"]),
        row("finance", "k", "gpt-4", &[]),
    ];
    repo.write("../log", &log.map(|row| format!("{row}\n")).concat());
    repo.write(
        "../other",
        &format!("{}\n", row("finance", "k", "gpt-4", &[])),
    );
    let run = |log: &'static str, now: &'static str, format: &'static str| {
        repo.run(["replay", log, "--now", now, "--format", format])
    };

    let report = run("../log", "2090-12-05", "json").json();
    assert_eq!(
        (&report["now"], &report["changed"], &report["groups"]),
        (&json!("2090-12-05T00:00:00Z"), &json!(0), &json!([]))
    );
    let later = report["later"].as_array().unwrap();
    let [then] = later.as_slice() else {
        panic!("{report:#}")
    };
    let counts = ["at", "changed", "lost", "gained"].map(|field| then[field].clone());
    assert_eq!(
        counts,
        [json!("2090-12-06T00:00:00Z"), json!(1), json!(1), json!(0)]
    );
    // The region is the one of `impact` from the same instant on.
    let impact = repo
        .run(["impact", "--now", "2090-12-05", "--format", "json"])
        .json();
    let told = &then["regions"][0];
    let at = usize::try_from(told["region"].as_u64().unwrap()).unwrap();
    assert_eq!(told["requests"], impact["regions"][at]);
    assert_eq!(told["requests"]["at"], json!("2090-12-06T00:00:00Z"));
    let said = run("../log", "2090-12-05", "human").ok();
    let verdict = "2 rows (2 distinct requests), answered as of 2090-12-05T00:00:00Z: none \
        changes; \
        from 2090-12-06T00:00:00Z on, 1 changes: 1 loses a guardrail, 0 gain one\n\
        rows are among these later:\n- from 2090-12-06T00:00:00Z on, requests of a team `health-*`";
    assert!(said.starts_with(verdict), "{said}");

    // A log without such rows says that it has none, and is not silent about the region.
    let report = run("../other", "2090-12-05", "json").json();
    assert_eq!(
        (&report["later"], &report["changed"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(
        report["quiet_regions"][0]["requests"]["at"],
        json!("2090-12-06T00:00:00Z")
    );
    let said = run("../other", "2090-12-05", "markdown").ok();
    let quiet = "No row is among these:\n\n- **loss** from 2090-12-06T00:00:00Z on, requests of";
    assert!(said.contains(quiet), "{said}");

    // As of a later instant the rows are answered as of that, in a review too.
    let report = run("../log", "2090-12-06", "json").json();
    assert_eq!(
        (&report["changed"], &report["later"]),
        (&json!(1), &json!([]))
    );
    let review = [
        "review",
        "production",
        "--replay",
        "../log",
        "--now",
        "2090-12-05",
    ];
    let report = repo
        .run(review.into_iter().chain(["--format", "json"]))
        .json();
    assert_eq!(report["replay"]["now"], json!("2090-12-05T00:00:00Z"));
    assert_eq!(report["replay"]["later"][0]["lost"], json!(1));
    let said = repo.run(review).ok();
    assert!(
        said.contains("none changes; from 2090-12-06T00:00:00Z on, 1 changes"),
        "{said}"
    );
    let said = run("../log", "soon", "json").fails(2);
    assert!(said.contains("`soon`"), "{said}");
}

#[test]
fn a_policy_whose_attachment_has_expired_since_was_not_named() {
    let repo = changed();
    repo.git(["checkout", "-q", "."]);
    let ended = attachment("health", "teams: [\"health-*\"]\nexpires: 2026-10-31");
    repo.policy(
        "health",
        "requestable: true\nguardrails: {add: [phi, audit]}",
    )
    .write("attachments/health.yaml", &ended)
    .commit("two");
    let _ = repo.run(["promote", "--reason", "second"]).ok();
    let commit = repo.id("production");
    repo.policy("health", "requestable: true\nguardrails: {add: [phi]}");
    let decided = |time: Value| {
        let mut row = row("health-eu", "k", "gpt-4", &[]);
        row["time"] = time;
        row["commit"] = json!(commit);
        row["policies"] = json!(["base", "health"]);
        format!("{row}\n")
    };
    let counts = |rows: &[Value]| {
        let log: String = rows.iter().map(|time| decided(time.clone())).collect();
        let report = repo
            .run_with_input(["replay", "-", "--format", "json"], &log)
            .json();
        ["rows", "distinct", "changed", "unclear"].map(|field| report[field].as_u64().unwrap())
    };
    // Until the end of October the attachment gave `health`; behind it only the request can have
    // named it.
    let (before, after) = (json!("2026-10-31T23:59:59Z"), json!("2026-11-01T00:00:00Z"));
    assert_eq!(counts(std::slice::from_ref(&before)), [1, 1, 0, 0]);
    assert_eq!(counts(std::slice::from_ref(&after)), [1, 1, 1, 0]);
    assert_eq!(counts(&[before.clone(), before, after]), [3, 2, 1, 0]);
    // Without a time it is not known which, so nothing is guessed.
    assert_eq!(counts(&[Value::Null]), [1, 0, 0, 1]);
}

/// How many rows the log has; `REFGUARD_REPLAY_ROWS` overrides.
fn rows() -> usize {
    std::env::var("REFGUARD_REPLAY_ROWS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000)
}

/// The guardrails of each request of a batch.
fn answers(repo: &TestRepo, batch: &str, at: &[&str]) -> Vec<BTreeSet<String>> {
    let line = ["resolve", "--batch", "-"];
    let text = repo
        .run_with_input(line.iter().chain(at).copied(), batch)
        .ok();
    let guardrails = |line: &str| {
        let answer: Value = serde_json::from_str(line).unwrap();
        let names = answer["guardrails"].as_array().unwrap().iter();
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    text.lines().map(guardrails).collect()
}

#[test]
fn a_replay_counts_what_asking_both_sets_row_by_row_gives() {
    let repo = changed();
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 11).unwrap() % below
    };
    let (mut log, mut batch) = (String::new(), String::new());
    for _ in 0..rows() {
        let team = ["health-eu", "health-us", "finance", "other", ""][next(5)];
        let key = ["prod-1", "prod-2", "k", ""][next(4)];
        let model = ["gpt-4", "gpt-4o", "claude", ""][next(4)];
        let tags = [&["phi"][..], &[], &["x", "phi"], &["phi-eu"]][next(4)];
        let row = row(team, key, model, tags);
        let context: Value = ["team", "key", "model", "tags"]
            .iter()
            .map(|it| ((*it).to_owned(), row[*it].clone()))
            .collect();
        writeln!(log, "{row}").unwrap();
        writeln!(batch, "{}", json!({ "context": context })).unwrap();
    }
    repo.write("../log", &log);
    let (before, after) = (
        answers(&repo, &batch, &["--at", "production"]),
        answers(&repo, &batch, &[]),
    );
    assert_eq!((before.len(), after.len()), (rows(), rows()));
    let count = |differs: fn(&BTreeSet<String>, &BTreeSet<String>) -> bool| {
        before
            .iter()
            .zip(&after)
            .filter(|(before, after)| differs(before, after))
            .count()
    };
    let due = [
        count(|before, after| before != after),
        count(|before, after| !before.is_subset(after)),
        count(|before, after| !after.is_subset(before)),
    ];
    let report = repo.run(["replay", "../log", "--format", "json"]).json();
    let found = ["changed", "lost", "gained"].map(|field| report[field].as_u64().unwrap());
    assert_eq!(
        found.map(|number| usize::try_from(number).unwrap()),
        due,
        "{report:#}"
    );
    assert!(due.iter().all(|number| *number > 0));
    assert!(
        report["groups"]
            .as_array()
            .unwrap()
            .iter()
            .all(|group| group["region"].is_u64())
    );
}

#[test]
fn requests_that_name_the_same_policies_in_another_order_are_one() {
    let repo = changed();
    let context = json!({ "team": "health-eu", "model": "gpt-4", "tags": ["phi"], "key": "k" });
    let text: String = [["finance", "base"], ["base", "finance"]]
        .map(|policies| format!("{}\n", json!({ "context": context, "policies": policies })))
        .concat();
    repo.write("requests.jsonl", &text);
    let report = repo
        .run(["replay", "requests.jsonl", "--format", "json"])
        .json();
    assert_eq!(
        (&report["rows"], &report["distinct"]),
        (&json!(2), &json!(1)),
        "{report}"
    );
    assert_eq!(report["groups"][0]["distinct"], json!(1), "{report}");
}

#[test]
fn what_is_no_log_is_an_error_and_lines_that_are_no_rows_are_counted() {
    let repo = changed();
    repo.write("no.bin", "\u{1}\u{2}garbage\nmore\n")
        .write("other.jsonl", "{\"a\":1}\n")
        .write("empty", "");
    for (log, lines) in [("no.bin", "2 lines"), ("other.jsonl", "1 line")] {
        for since in [&[][..], &["--since", "24h"]] {
            let run = repo.run(["replay", log].into_iter().chain(since.iter().copied()));
            let said = run.fails(2);
            let told = format!(
                "no row of a log was found: {lines} could not be read, the first is {log}:1"
            );
            assert!(said.contains(&told), "{said}");
        }
    }
    let said = repo
        .run(["review", "production", "--replay", "no.bin"])
        .fails(2);
    assert!(said.contains("no row of a log was found"), "{said}");

    let none = repo.run(["replay", "empty"]).ok();
    assert!(
        none.starts_with("0 rows") && none.contains("no row was there to answer"),
        "{none}"
    );
    let mixed = format!("no row\n{}\n", row("finance", "", "gpt-4", &[]));
    repo.write("mixed.jsonl", &mixed);
    let said = repo.run(["replay", "mixed.jsonl"]).ok();
    assert!(
        said.contains("1 changes") && said.contains("(first: mixed.jsonl:1)"),
        "{said}"
    );

    // A line that a crash tore makes no other log of one whose rows are all older.
    let torn = format!("{}\n{{\"time\":\"2026-1", row("finance", "", "gpt-4", &[]));
    repo.write("torn.jsonl", &torn);
    for verb in [
        &["replay", "torn.jsonl"][..],
        &["review", "production", "--replay", "torn.jsonl"],
    ] {
        let late = ["--since", "2026-11-29"];
        let run = repo.run(verb.iter().copied().chain(late));
        assert!(!run.stderr.contains("no row of a log"), "{}", run.stderr);
        assert_ne!(run.code, Some(2), "{}", run.stderr);
    }
}
