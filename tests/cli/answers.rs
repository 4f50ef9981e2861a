//! Questions that people ask: why, since when, and who gets what.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Run, TestRepo};

const CATALOG: &str = "apiVersion: refguard/v1\nkind: Catalog\n\
    guardrails: [log, pii, audit, other]\n\
     teams: [eu, us, lab]\nmodels: [gpt-4, o1]\n";

fn attachment(policy: &str, fields: &str) -> String {
    format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{fields}\n")
}

/// Three teams, of which one is audited; nothing is promoted yet.
fn repo() -> TestRepo {
    let repo = TestRepo::new();
    repo.write("catalog.yaml", CATALOG)
        .policy("base", "guardrails: {add: [log]}")
        .policy("strict", "inherit: base\nguardrails: {add: [pii, audit]}")
        .policy("spare", "guardrails: {add: [pii]}")
        .policy(
            "lax",
            "inherit: strict\nguardrails: {remove: [pii]}\ncondition: {model: \"gpt-.*\"}",
        )
        .write("attachments/all.yaml", &attachment("base", "scope: \"*\""))
        .write("attachments/eu.yaml", &attachment("strict", "teams: [eu]"))
        .write("attachments/lab.yaml", &attachment("lax", "teams: [lab]"))
        .commit("one");
    repo
}

fn promote(repo: &TestRepo, more: &[&str]) {
    let _ = repo
        .run(["promote"].into_iter().chain(more.iter().copied()))
        .ok();
}

fn obstacles(why: &Value, policy: &str) -> Vec<String> {
    let policies = why["policies"].as_array().unwrap();
    let found = policies.iter().find(|it| it["policy"] == policy).unwrap();
    let kinds = found["obstacles"].as_array().unwrap().iter();
    kinds
        .map(|it| it["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn why_names_what_stands_between_a_request_and_each_policy() {
    let repo = repo();
    promote(&repo, &[]);
    let why = |args: &[&str]| -> Value {
        let line = ["why", "--format", "json"]
            .into_iter()
            .chain(args.iter().copied());
        repo.run(line).json()
    };
    let eu = why(&["--team", "eu", "--guardrail", "pii"]);
    assert_eq!(
        (&eu["version"], &eu["set"], &eu["has"]),
        (&json!(1), &json!("production"), &json!(true))
    );
    assert_eq!(eu["policies"][0]["policy"], "strict");
    assert_eq!(eu["policies"][0]["matched_via"], "team:eu");

    let us = why(&["--team", "us", "--model", "gpt-4", "--guardrail", "pii"]);
    assert_eq!(us["has"], false);
    assert_eq!(obstacles(&us, "strict"), ["pattern"]);
    assert_eq!(obstacles(&us, "spare"), ["no-attachment"]);
    assert_eq!(obstacles(&us, "lax"), ["pattern", "remove"]);
    let order: Vec<_> = us["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["policy"])
        .collect();
    assert_eq!(order, ["strict", "spare", "lax"]);

    let lab = why(&["--team", "lab", "--model", "o1", "--guardrail", "audit"]);
    assert_eq!(
        (&lab["has"], obstacles(&lab, "lax").is_empty()),
        (&json!(true), true)
    );

    // The change that it names gives the guardrail.
    let text = repo.run(["why", "--team", "us", "--guardrail", "pii"]).ok();
    assert!(
        text.contains("add `us` to `teams` at attachments/eu.yaml:1"),
        "{text}"
    );
    repo.write(
        "attachments/eu.yaml",
        &attachment("strict", "teams: [eu, us]"),
    );
    let line = [
        "why",
        "--team",
        "us",
        "--guardrail",
        "pii",
        "--worktree",
        "--format",
        "json",
    ];
    assert_eq!(repo.run(line).json()["has"], true);
}

#[test]
fn why_names_conditions_and_defaults() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [log]}")
        .policy(
            "gpt",
            "guardrails: {add: [pii]}\ncondition: {model: \"gpt-.*\"}",
        )
        .policy("late", "guardrails: {add: [pii]}")
        .write("attachments/a.yaml", &attachment("base", "scope: \"*\""))
        .write("attachments/b.yaml", &attachment("gpt", "scope: \"*\""))
        .write(
            "attachments/c.yaml",
            &attachment("late", "scope: \"*\"\ndefault: true"),
        )
        .commit("one");
    promote(&repo, &[]);
    let why = repo
        .run([
            "why",
            "--model",
            "o1",
            "--guardrail",
            "pii",
            "--format",
            "json",
        ])
        .json();
    assert_eq!(obstacles(&why, "gpt"), ["condition"]);
    assert_eq!(obstacles(&why, "late"), ["default"]);
    let text = repo
        .run(["why", "--model", "o1", "--guardrail", "pii"])
        .ok();
    assert!(
        text.starts_with("no: a request with model `o1` does not get pii\n"),
        "{text}"
    );
    assert!(
        text.contains("add `o1` to `condition.model` of `gpt` at policies/gpt.yaml:1"),
        "{text}"
    );
    assert!(
        text.contains("leave `default: true` out at attachments/c.yaml:1"),
        "{text}"
    );
}

#[test]
fn a_name_that_nobody_has_is_said_with_one_that_is_near() {
    let repo = repo();
    promote(&repo, &[]);
    let said = repo
        .run(["why", "--team", "eu", "--guardrail", "pij"])
        .fails(2);
    assert!(said.contains("did you mean `pii`?"), "{said}");
    let said = repo.run(["matrix", "--guardrail", "audt"]).fails(2);
    assert!(said.contains("did you mean `audit`?"), "{said}");
    let said = repo
        .run(["blame", "--team", "eu", "--guardrail", "pij"])
        .fails(2);
    assert!(said.contains("did you mean `pii`?"), "{said}");
    // One that only the catalog has is known; nothing gives it.
    let why = repo
        .run([
            "why",
            "--team",
            "eu",
            "--guardrail",
            "other",
            "--format",
            "json",
        ])
        .json();
    assert_eq!((&why["has"], &why["policies"]), (&json!(false), &json!([])));
    let said = repo.run(["resolve", "--team", "uu"]).ends(0).stderr;
    assert!(
        said.contains("no catalog lists the team `uu`; did you mean"),
        "{said}"
    );
}

#[test]
fn where_there_is_no_such_set_each_verb_says_so() {
    let each = |repo: &TestRepo, more: &[&str]| -> Vec<String> {
        let lines: [&[&str]; 3] = [&["why", "--guardrail", "pii"], &["matrix"], &["blame"]];
        let run = |line: &[&str]| -> Run { repo.run(line.iter().chain(more).copied()) };
        lines.iter().map(|line| run(line).fails(2)).collect()
    };
    for said in each(&TestRepo::plain(), &[]) {
        assert!(said.contains("is in no git repository"), "{said}");
    }
    let repo = repo();
    for said in each(&repo, &[]) {
        assert!(
            said.contains("nothing was promoted to `production` yet"),
            "{said}"
        );
    }
    promote(&repo, &[]);
    for said in each(&repo, &["--env", "prod"]) {
        assert!(
            said.contains("`prod`") && said.contains("production"),
            "{said}"
        );
    }
    let object = repo
        .run(["blame", "--env", "prod", "--format", "json"])
        .ends(2)
        .stdout;
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object["version"], 1);
    assert!(
        object["error"]["message"]
            .as_str()
            .unwrap()
            .contains("prod")
    );

    // A shallow clone has the set, but not the way that led to it.
    repo.policy("spare", "guardrails: {add: [pii, log]}")
        .commit("two");
    promote(&repo, &[]);
    let shallow = repo.cloned(&["--depth", "1", "--no-single-branch"]);
    let said = shallow.run(["blame", "--team", "eu"]).fails(2);
    assert!(said.contains("shallow"), "{said}");
    let whole = repo.cloned(&[]);
    let events = whole
        .run(["blame", "--team", "eu", "--format", "json"])
        .json();
    assert_eq!(events["events"].as_array().unwrap().len(), 3);
}

/// What a request got after each promotion, as its events tell it.
fn replay(blame: &Value, until: u64) -> BTreeSet<String> {
    let mut got = BTreeSet::new();
    for event in blame["events"].as_array().unwrap().iter().rev() {
        if event["promotion"]
            .as_u64()
            .is_some_and(|number| number <= until)
        {
            let guardrail = event["guardrail"].as_str().unwrap().to_owned();
            let fits = match event["kind"].as_str().unwrap() {
                "gained" => got.insert(guardrail),
                _ => got.remove(&guardrail),
            };
            assert!(fits, "{event}");
        }
    }
    got
}

#[test]
fn blame_tells_of_every_promotion_what_resolving_there_tells() {
    let repo = repo();
    promote(&repo, &["--reason", "the first"]);
    repo.policy("base", "guardrails: {add: [log, other]}")
        .commit("more in a parent");
    promote(&repo, &[]);
    repo.remove("policies/strict.yaml")
        .policy("elsewhere/strict", "guardrails: {add: [audit]}")
        .write(
            "policies/elsewhere/strict.yaml",
            &crate::support::policy("strict", "guardrails: {add: [audit]}"),
        )
        .commit("moved, without a parent");
    promote(&repo, &["--allow-weaken", "a test"]);
    repo.policy("spare", "guardrails: {add: [pii]}\ncondition: {model: o1}")
        .write(
            "attachments/spare.yaml",
            &attachment("spare", "models: [o1]"),
        )
        .commit("touches one model");
    promote(&repo, &[]);
    repo.write("attachments/eu.yaml", &attachment("strict", "teams: [us]"))
        .commit("another team");
    promote(&repo, &["--reason", "moved on"]);
    let _ = repo.run(["rollback", "--reason", "back"]).ok();
    promote(&repo, &["--release-hold", "again"]);
    repo.remove("attachments/eu.yaml")
        .write("attachments/x.yaml", &attachment("lax", "teams: [us]"));
    repo.commit("the child instead");
    promote(&repo, &[]);
    repo.write(
        "refguard.yaml",
        "apiVersion: refguard/v1\nkind: Repository\nexclude: [attachments/all.yaml]\n",
    );
    repo.commit("leave a file out");
    promote(&repo, &[]);

    for context in [
        &["--team", "eu"][..],
        &["--team", "us", "--model", "gpt-4"],
        &["--team", "lab", "--model", "o1"],
    ] {
        let line = ["blame", "--format", "json"]
            .into_iter()
            .chain(context.iter().copied());
        let blame = repo.run(line).json();
        assert_eq!(blame["skipped"], json!([]));
        for number in 1..=9 {
            let at = format!("production#{number}");
            let line = ["resolve", "--at", &at, "--format", "json"];
            let due = repo
                .run(line.into_iter().chain(context.iter().copied()))
                .json();
            let due: BTreeSet<String> = serde_json::from_value(due["guardrails"].clone()).unwrap();
            assert_eq!(replay(&blame, number), due, "{context:?} at {number}");
        }
    }
}

#[test]
fn blame_names_who_why_and_the_document_that_did_it() {
    let repo = repo();
    promote(&repo, &["--reason", "the first"]);
    repo.policy("spare", "guardrails: {add: [pii, audit]}")
        .commit("touches nobody");
    promote(&repo, &[]);
    repo.policy("strict", "inherit: base\nguardrails: {add: [audit]}")
        .write("attachments/us.yaml", &attachment("spare", "teams: [us]"))
        .commit("two things");
    promote(
        &repo,
        &[
            "--allow-weaken",
            "agreed in review",
            "--reason",
            "less is more",
        ],
    );

    let blame = |more: &[&str]| -> Value {
        let line = [
            "blame",
            "--team",
            "eu",
            "--guardrail",
            "pii",
            "--format",
            "json",
        ];
        repo.run(line.into_iter().chain(more.iter().copied()))
            .json()
    };
    let found = blame(&[]);
    let [lost, gained] = &found["events"].as_array().unwrap()[..] else {
        panic!("{found}")
    };
    assert_eq!(
        (&lost["kind"], &lost["promotion"]),
        (&json!("lost"), &json!(3))
    );
    assert_eq!(lost["reason"], "less is more");
    assert_eq!(
        lost["because"],
        json!([{"kind": "Policy", "name": "strict", "file": "policies/strict.yaml", "line": 1, "change": "changed"}])
    );
    assert_eq!(
        (&gained["kind"], &gained["promotion"]),
        (&json!("gained"), &json!(1))
    );
    let files: Vec<&Value> = gained["because"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| &cause["file"])
        .collect();
    assert_eq!(files, ["policies/strict.yaml", "attachments/eu.yaml"]);

    let text = repo
        .run(["blame", "--team", "eu", "--guardrail", "pii"])
        .ok();
    assert!(
        text.contains("- pii  strict changed, policies/strict.yaml:1"),
        "{text}"
    );
    // From a promotion back, and no further than one.
    assert_eq!(
        blame(&["--at", "#2"])["events"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        blame(&["--since", "#2"])["events"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(blame(&["--since", "#2", "--at", "#2"])["events"], json!([]));
    assert!(repo.run(["blame", "--at", "main~9"]).code == Some(2));
}

#[test]
fn blame_passes_over_what_was_never_served() {
    let repo = repo();
    promote(&repo, &[]);
    // Somebody moves the branch by hand, to a set that is none.
    repo.git(["checkout", "-q", "--detach", "production"]);
    repo.policy("strict", "guardrails: {add: [audit]}")
        .policy("spare", "inherit: nobody");
    let broken = repo.commit("by hand");
    repo.git(["checkout", "-q", "main"]);
    repo.git(["branch", "-f", "production", &broken]);
    repo.policy("base", "guardrails: {add: [log, other]}")
        .commit("sound again");
    promote(&repo, &[]);

    let blame = repo
        .run(["blame", "--team", "eu", "--format", "json"])
        .json();
    assert_eq!(blame["skipped"][0]["commit"], json!(broken));
    let said = blame["skipped"][0]["message"].as_str().unwrap();
    assert!(
        said.contains("policies/spare.yaml:4") && said.contains("nobody"),
        "{said}"
    );
    let events: Vec<(&Value, &Value)> = blame["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (&event["promotion"], &event["guardrail"]))
        .collect();
    let due = [(2, "other"), (1, "audit"), (1, "log"), (1, "pii")];
    let due: Vec<(Value, Value)> = due
        .iter()
        .map(|(n, name)| (json!(n), json!(name)))
        .collect();
    assert_eq!(
        events,
        due.iter().map(|(n, name)| (n, name)).collect::<Vec<_>>()
    );
}

#[test]
fn a_matrix_is_written_for_people_programs_and_spreadsheets() {
    let repo = repo();
    repo.write(
        "catalog.yaml",
        &CATALOG.replace("[eu, us, lab]", "[eu, us, lab, \"=cmd|x\", \"<b>\"]"),
    )
    .commit("odd");
    promote(&repo, &[]);
    let run = |format: &str| {
        repo.run(["matrix", "--model", "gpt-4", "--format", format])
            .ok()
    };
    let object: Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!(
        (&object["version"], &object["by"]),
        (&json!(1), &json!(["team"]))
    );
    assert_eq!(
        object["rows"][0],
        json!({"names": {"team": ["<b>", "=cmd|x", "us"]}, "guardrails": ["log"]})
    );
    assert_eq!(
        run("csv"),
        "team,guardrails\r\n\"<b>, =cmd|x, us\",log\r\neu,\"audit, log, pii\"\r\n\
         lab,\"audit, log\"\r\n"
    );
    assert_eq!(
        run("human"),
        "TEAM             GUARDRAILS\n<b>, =cmd|x, us  log\neu               audit, log, pii\n\
         lab              audit, log\n"
    );
    let page = run("html");
    assert!(
        page.contains("<code>&lt;b&gt;</code>") && !page.contains("<b>"),
        "{page}"
    );
    let table = run("markdown");
    assert!(
        table.starts_with("| team | guardrails |\n| --- | --- |\n"),
        "{table}"
    );
    assert!(
        table.contains("<code>&#61;cmd&#124;x</code>") || table.contains("cmd&#124;x"),
        "{table}"
    );

    let csv = repo
        .run([
            "matrix",
            "--by",
            "team,model",
            "--guardrail",
            "pii",
            "--format",
            "csv",
        ])
        .ok();
    assert_eq!(
        csv,
        "team,model,guardrails\r\n\"<b>, =cmd|x, us\",\"gpt-4, o1\",\r\n\
         eu,\"gpt-4, o1\",pii\r\nlab,gpt-4,\r\nlab,o1,pii\r\n"
    );
    let said = repo.run(["matrix", "--by", "key"]).fails(2);
    assert!(
        said.contains("no catalog lists the names of keys"),
        "{said}"
    );
    let said = repo.run(["matrix", "--by", "team,team"]).fails(2);
    assert!(said.contains("named twice"), "{said}");
}

#[test]
fn a_name_that_there_is_not_leads_to_the_one_that_is_near_at_every_verb() {
    let repo = repo();
    repo.policy("healthcare-compliance", "guardrails: {add: [pii]}")
        .write(
            "attachments/h.yaml",
            &attachment("healthcare-compliance", "teams: [us]"),
        )
        .commit("two");
    promote(&repo, &[]);
    let means = |line: &str, near: &str| {
        let said = repo.run(line.split(' ')).fails(2);
        assert!(
            said.contains(&format!("did you mean `{near}`?")),
            "{line}: {said}"
        );
    };
    for line in [
        "show helthcare",
        "show healthcare",
        "versions helthcare",
        "log --policy helthcare",
        "draft helthcare",
        "compare helthcare@1 helthcare@latest",
        "promote --policy helthcare",
        "promote --remove helthcare",
    ] {
        means(line, "healthcare-compliance");
    }
    for line in [
        "show base@prodction",
        "diff prodction",
        "impact prodction~1",
        "replay policies/base.yaml prodction",
        "resolve --at prodction",
        "validate --at prodction",
        "log --env prodction",
        "rollback --env prodction",
        "blame --env prodction --team eu",
    ] {
        means(line, "production");
    }
    means("review production mian", "main");
    means("blame --team eu --guardrail pi", "pii");
    means("explain unusedpolicy", "unused-policy");
    means("schema polcy", "Policy");

    // What is answered all the same is said beside the answer.
    for (line, near) in [
        ("resolve --team ue", "eu"),
        ("blame --team ue", "eu"),
        ("why --team ue --guardrail pii", "eu"),
        ("matrix --team ue --by model", "eu"),
        ("resolve --policy helthcare", "healthcare-compliance"),
        (
            "why --policy helthcare --guardrail pii",
            "healthcare-compliance",
        ),
    ] {
        let run = repo.run(line.split(' ')).ends(0);
        assert!(
            run.stderr.contains(&format!("did you mean `{near}`?")),
            "{line}: {}",
            run.stderr
        );
    }
}

#[test]
fn a_time_is_read_alike_by_every_verb() {
    let repo = repo();
    promote(&repo, &[]);
    let now = "2999-01-01T00:00:00Z";
    for time in [now, "2999-01-01", "1s", "1d"] {
        let line = ["resolve", "--team", "eu", "--now", time];
        assert_eq!(repo.run(line).ends(0).stderr, "", "{time}");
    }
    // Tomorrow the promotion is in force; a day ago nothing was.
    for verb in [
        "resolve --team eu --at",
        "diff",
        "why --team eu --guardrail pii --at",
        "matrix --at",
    ] {
        for time in [now, "2999-01-01"] {
            let _ = repo.run(verb.split(' ').chain([time])).ok();
        }
        for time in ["2000-01-01", "2000-01-01T00:00:00Z", "9999d"] {
            let said = repo.run(verb.split(' ').chain([time])).fails(2);
            let when = match time {
                "9999d" => "nothing was in `production` 9999d ago (",
                _ => "nothing was in `production` at 2",
            };
            let since = "its first promotion was made at 20";
            assert!(
                said.contains(when) && said.contains(since),
                "{verb} {time}: {said}"
            );
        }
    }
    let _ = repo
        .run(["blame", "--team", "eu", "--at", "2999-01-01"])
        .ok();
    let _ = repo
        .run(["resolve", "--team", "eu", "--now", "yesterday"])
        .ok();
    let grammar = "a time with its offset, such as 2026-11-28T06:00:00Z, a date or `yesterday` \
        (its first moment in UTC), or so long ago";
    for line in [
        "resolve --now 2026-02-30",
        "list --now soon",
        "replay log --since 2026-02-30",
        "resolve --at 2026-02-30",
        "blame --team eu --since 2026-02-30T00:00:00Z",
    ] {
        let said = repo.run(line.split(' ')).fails(2);
        assert!(said.contains(grammar), "{line}: {said}");
    }
    for verb in [
        "resolve --now",
        "resolve --at",
        "matrix --at",
        "blame --team eu --since",
    ] {
        let said = repo.run(verb.split(' ').chain(["2026-11-31"])).fails(2);
        let absent = "`2026-11-31` is a day that does not exist: that month has 30 days";
        assert!(said.contains(absent), "{verb}: {said}");
    }
    // A name that the repository has is no date.
    repo.git(["tag", "2000-01-01", "main"]);
    let _ = repo
        .run(["resolve", "--team", "eu", "--at", "2000-01-01"])
        .ok();
}

#[test]
fn blame_counts_what_it_lists() {
    let repo = repo();
    promote(&repo, &[]);
    repo.policy("strict", "inherit: base\nguardrails: {add: [audit]}")
        .commit("two");
    promote(&repo, &[]);
    repo.policy("spare", "guardrails: {add: [log]}")
        .commit("three");
    promote(&repo, &[]);
    let said = repo.run(["blame", "--team", "eu"]).ok();
    let heading = "a request with team `eu`, in production: 3 gained and 1 lost, on 2 occasions (3 promotions and other moves looked at)\n";
    assert!(said.starts_with(heading), "{said}");
    let signs = |sign: &str| {
        said.lines()
            .filter(|line| line.starts_with(&format!("  {sign} ")))
            .count()
    };
    assert_eq!((signs("+"), signs("-")), (3, 1), "{said}");
}

#[test]
fn blame_of_a_while_does_not_speak_of_all_time() {
    let repo = repo();
    promote(&repo, &[]);
    repo.policy("spare", "guardrails: {add: [audit]}")
        .commit("two");
    promote(&repo, &[]);
    let said = |line: &[&str]| -> String {
        let start = ["blame", "--team", "eu"].into_iter();
        repo.run(start.chain(line.iter().copied())).ok()
    };
    // What did not change since is there, or is not.
    for (line, due) in [
        (
            &["--since", "#2"][..],
            "has audit, log, pii in production, unchanged since #2 (1 ",
        ),
        (
            &["--since", "#2", "--guardrail", "pii"],
            "has pii in production, unchanged since #2",
        ),
        (
            &["--since", "1m", "--guardrail", "other"],
            "has no other in production, unchanged since",
        ),
        (
            &["--guardrail", "other"],
            "never had other in production (2 ",
        ),
        (
            &["--guardrail", "other", "--at", "#1"],
            "never had other in production up to #1 (1 ",
        ),
    ] {
        let said = said(line);
        assert!(said.contains(due), "{line:?}: {said}");
    }
    // A time before the first promotion is as good as none.
    assert_eq!(said(&["--since", "2001-01-01"]), said(&[]));
    let late = repo.run(["blame", "--team", "eu", "--since", "#2", "--at", "#1"]);
    let late = late.fails(2);
    assert!(
        late.contains("`--since` names something newer than `--at`"),
        "{late}"
    );
}

#[test]
fn blame_compares_the_oldest_that_it_shows_with_a_valid_set() {
    let repo = repo();
    promote(&repo, &[]);
    repo.git(["checkout", "-q", "--detach", "production"]);
    repo.policy("spare", "inherit: nobody");
    let broken = repo.commit("by hand");
    repo.git(["checkout", "-q", "main"]);
    repo.git(["branch", "-f", "production", &broken]);
    repo.policy("base", "guardrails: {add: [log, other]}")
        .commit("sound again");
    promote(&repo, &[]);
    let blame = repo
        .run(["blame", "--team", "eu", "--since", "#2", "--format", "json"])
        .json();
    let events = blame["events"].as_array().unwrap();
    let gained: Vec<&Value> = events.iter().map(|event| &event["guardrail"]).collect();
    assert_eq!(gained, [&json!("other")], "{blame}");
}

#[test]
fn an_environment_whose_ledger_is_gone_is_no_plain_name() {
    let repo = TestRepo::new();
    let settings = "apiVersion: refguard/v1\nkind: Repository\nenvironments:\n  \
        - name: production\n  - name: staging\n";
    repo.write("refguard.yaml", settings)
        .policy("base", "guardrails: {add: [log]}")
        .write("attachments/all.yaml", &attachment("base", "scope: \"*\""))
        .commit("one");
    promote(&repo, &[]);
    repo.policy("base", "guardrails: {add: [log, pii]}")
        .commit("two");
    promote(&repo, &[]);
    let _ = repo.run(["rollback", "--reason", "back"]).ok();
    promote(&repo, &["--env", "staging"]);

    // In a shallow clone it cannot be told which environments there are.
    let shallow = repo.cloned(&["--depth", "1", "--no-single-branch"]);
    shallow.git(["branch", "staging", "origin/main"]);
    let said = shallow.run(["resolve", "--at", "staging"]).fails(2);
    assert!(said.contains("this is a shallow clone"), "{said}");
    let _ = shallow.run(["resolve", "--at", "main"]).ok();
}

#[test]
fn status_says_first_that_the_settings_cannot_be_used() {
    let repo = repo();
    promote(&repo, &[]);
    let first = |repo: &TestRepo| -> String {
        let said = repo.run(["status"]).ok();
        said.lines().next().unwrap_or_default().to_owned()
    };
    let start = "apiVersion: refguard/v1\nkind: Repository\n";
    let staging = format!("{start}environments:\n  - name: production\n  - name: staging\n");
    for (settings, due) in [
        (
            format!("{start}rulez: {{}}\n"),
            "! the settings of main cannot be used: refguard.yaml:3",
        ),
        (
            format!("{start}environments: ["),
            "! the settings of main cannot be used: refguard.yaml:",
        ),
        (
            format!("{start}environments:\n  - {{name: production, ref: refs/heads/live}}\n"),
            "! refguard.yaml puts `production` at `refs/heads/live`",
        ),
        (
            format!("{start}environments:\n  - {{name: production, from: nowhere}}\n"),
            "! refguard.yaml says that `production` takes its sets from `nowhere`",
        ),
    ] {
        repo.write("refguard.yaml", &settings).commit("settings");
        let said = first(&repo);
        assert!(said.starts_with(due), "{said}");
    }
    repo.write("refguard.yaml", &staging)
        .policy("broken", "inherit: nobody")
        .commit("an environment, and a set that is none");
    let said = first(&repo);
    assert!(
        said.starts_with("! main declares `staging`, but its set is not valid"),
        "{said}"
    );
    repo.remove("policies/broken.yaml").commit("sound");
    assert!(
        first(&repo).starts_with("published: main"),
        "{}",
        first(&repo)
    );
}

#[test]
fn a_word_that_is_no_verb_leads_to_one() {
    let repo = TestRepo::plain();
    for (line, verb) in [
        ("check", "validate"),
        ("chek", "validate"),
        ("help validat", "validate"),
        ("help check", "validate"),
        ("help hook instal", "install"),
        ("man validat", "validate"),
        ("man check", "validate"),
    ] {
        let said = repo.run(line.split(' ')).fails(2);
        let is_named = [format!("'{verb}'"), format!("`{verb}`")];
        assert!(
            is_named.iter().any(|name| said.contains(name)),
            "{line}: {said}"
        );
    }
    for line in ["schema Polcy", "schema output validat"] {
        let said = repo.run(line.split(' ')).fails(2);
        assert!(
            said.trim_end().ends_with('?') && !said.contains("?;"),
            "{said}"
        );
    }
}
