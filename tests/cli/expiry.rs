//! Attachments that end: what a request gets at an instant, and what a change of an expiry does
//! from when on.

use crate::support::TestRepo;

const SCOPE: &str = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

fn attachment(policy: &str, fields: &str) -> String {
    format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{fields}\n")
}

/// Everybody gets `pii`; the team `eu` also `masker`, until an instant.
fn ending(expires: &str) -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .policy("extra", "guardrails: {add: [masker]}")
        .write("attachments/all.yaml", SCOPE)
        .write(
            "attachments/eu.yaml",
            &attachment(
                "extra",
                &format!("teams: [eu]\nexpires: {expires}\nreason: until the pilot ends"),
            ),
        )
        .commit("one");
    repo
}

fn guardrails(repo: &TestRepo, rest: &[&str]) -> (Vec<String>, Option<String>) {
    let args = ["resolve", "--team", "eu", "--format", "json"]
        .into_iter()
        .chain(rest.iter().copied());
    let answer = repo.run(args).json();
    let names = answer["guardrails"].as_array().unwrap().iter();
    let names = names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    (names, answer["valid_until"].as_str().map(str::to_owned))
}

#[test]
fn a_request_gets_what_is_in_force_at_its_instant_to_the_second() {
    for expires in [
        "2030-12-31",
        "\"2030-12-31\"",
        "2031-01-01T00:00:00Z",
        "'2031-01-01T01:00:00+01:00'",
    ] {
        let repo = ending(expires);
        let (before, until) = guardrails(&repo, &["--now", "2030-12-31T23:59:59Z"]);
        assert_eq!(
            (before, until.as_deref()),
            (
                vec!["masker".to_owned(), "pii".to_owned()],
                Some("2031-01-01T00:00:00Z")
            )
        );
        let (after, until) = guardrails(&repo, &["--now", "2031-01-01T00:00:00Z"]);
        assert_eq!((after, until), (vec!["pii".to_owned()], None), "{expires}");
        // By the clock it is not over yet.
        assert_eq!(guardrails(&repo, &[]).0.len(), 2);
    }
    assert_eq!(
        guardrails(&ending("2020-01-01"), &[]).0,
        ["pii"],
        "it was over when it was written"
    );
}

#[test]
fn the_explanation_and_why_name_what_is_expired() {
    let repo = ending("2020-01-01");
    let said = repo.run(["resolve", "--team", "eu", "--explain"]).ok();
    let word = "would match, but expired at 2020-01-02T00:00:00Z (until the pilot ends)";
    assert!(said.contains(word), "{said}");
    let why = repo
        .run([
            "why",
            "--worktree",
            "--team",
            "eu",
            "--guardrail",
            "masker",
            "--format",
            "json",
        ])
        .json();
    assert_eq!(why["policies"][0]["obstacles"][0]["kind"], "expired");
    assert_eq!(
        why["policies"][0]["obstacles"][0]["message"],
        "the attachment expired at 2020-01-02T00:00:00Z"
    );
}

#[test]
fn tests_run_at_an_instant_and_a_time_for_at_is_the_instant_too() {
    let repo = ending("2030-12-31");
    let case = "apiVersion: refguard/v1\nkind: PolicyTest\nname: eu\n\
        cases:\n  - name: masked\n    context: {team: eu}\n    expect: {includes: [masker]}\n";
    repo.write("tests/eu.yaml", case).commit("a test");
    repo.run(["test"]).ok();
    assert!(
        repo.run(["test", "--now", "2031-01-01"])
            .ends(1)
            .stdout
            .contains("1 failed")
    );

    repo.run(["promote"]).ok();
    // In production since 2024; at that time of 2031 the same set is there, and less is in force.
    let at = |time: &str| guardrails(&repo, &["--at", time]).0.len();
    assert_eq!(
        (at("2026-06-01T00:00:00Z"), at("2031-06-01T00:00:00Z")),
        (2, 1)
    );
}

#[test]
fn an_earlier_end_is_a_loss_from_then_on_and_the_gate_weighs_it() {
    let repo = ending("2030-12-31");
    let settings = "apiVersion: refguard/v1\nkind: Repository\n\
        environments:\n  - name: production\n    gates: {weaken: refuse}\n";
    repo.write("refguard.yaml", settings).commit("settings");
    repo.run(["promote"]).ok();
    repo.write(
        "attachments/eu.yaml",
        &attachment("extra", "teams: [eu]\nexpires: 2029-12-31"),
    )
    .commit("a year less");

    let impact = repo.run(["impact", "production", "HEAD"]).ok();
    let words = "from 2030-01-01T00:00:00Z until 2031-01-01T00:00:00Z, requests of a team `eu` \
        lose `masker`";
    assert!(impact.contains(words), "{impact}");
    assert!(
        impact.contains("weakens: from 2030-01-01T00:00:00Z until 2031-01-01T00:00:00Z, where"),
        "{impact}"
    );
    let json = repo
        .run(["impact", "production", "HEAD", "--format", "json"])
        .json();
    let region = &json["regions"][0];
    assert_eq!(
        (region["at"].as_str(), region["until"].as_str()),
        (Some("2030-01-01T00:00:00Z"), Some("2031-01-01T00:00:00Z"))
    );
    assert_eq!(region["because"][0]["file"], "attachments/eu.yaml");
    assert_eq!(
        region["because"][0]["change"], "expired",
        "it ends earlier; nobody removed it"
    );
    assert!(
        impact.contains("because of the attachment of `extra`, expired"),
        "{impact}"
    );

    let refused = repo.run(["promote"]).fails(1);
    assert!(
        refused.contains("gate `weaken`: from 2030-01-01T00:00:00Z on, less is blocked"),
        "{refused}"
    );
    // Once both are over there is nothing to lose.
    let later = repo
        .run(["impact", "production", "HEAD", "--now", "2031-01-01"])
        .ok();
    assert!(
        later.contains("no request gets other guardrails"),
        "{later}"
    );
}

/// One request loses for a while, another one later and for good: neither end is the end of all.
#[test]
fn a_weakening_ends_when_no_request_loses_any_more() {
    let repo = ending("2030-12-31");
    repo.write("attachments/us.yaml", &attachment("extra", "teams: [us]"))
        .commit("one more");
    let base = repo.id("HEAD");
    std::fs::remove_file(repo.path().join("attachments/eu.yaml")).unwrap();
    let weakening = |us: &str| {
        repo.write("attachments/us.yaml", &attachment("extra", us))
            .commit("less");
        let json = repo
            .run(["impact", &base, "HEAD", "--format", "json"])
            .json();
        (json["weakens"].clone(), json["weakening"].clone())
    };

    let (weakens, while_eu) = weakening("teams: [us]");
    assert_eq!(weakens, true);
    assert_eq!(while_eu["until"], "2031-01-01T00:00:00Z", "{while_eu}");
    // `us` loses from two years later on.
    let (weakens, for_good) = weakening("teams: [us]\nexpires: 2032-12-31");
    assert_eq!(weakens, true);
    assert!(for_good["until"].is_null(), "{for_good}");
    // Or at the very instant at which `eu` would have lost anyway.
    let (_, at_once) = weakening("teams: [us]\nexpires: 2030-12-31");
    assert!(at_once["until"].is_null(), "{at_once}");
}

#[test]
fn to_delete_what_is_over_changes_nothing() {
    let repo = ending("2020-01-01");
    let settings = "apiVersion: refguard/v1\nkind: Repository\n\
        environments:\n  - name: production\n    gates: {weaken: refuse, safeguards: refuse}\n";
    repo.write("refguard.yaml", settings).commit("settings");
    repo.run(["promote"]).ok();
    repo.remove("attachments/eu.yaml").commit("tidy up");

    assert!(
        repo.run(["impact", "production", "HEAD"])
            .ok()
            .contains("no request gets other")
    );
    assert!(
        repo.run(["diff", "production", "HEAD"])
            .ok()
            .contains("extra")
    );
    repo.run(["promote"]).ok();
}

#[test]
fn an_invariant_must_hold_for_all_time_from_now_on() {
    let repo = ending("2030-12-31");
    let invariant = "apiVersion: refguard/v1\nkind: Invariant\nname: eu-is-masked\n\
        for: {teams: [eu]}\nrequire: [masker]\n";
    repo.write("invariants/eu.yaml", invariant)
        .commit("an invariant");

    let proof = repo.run(["prove"]).ends(1).stdout;
    assert!(
        proof.contains("from 2031-01-01T00:00:00Z on, for example team `eu`"),
        "{proof}"
    );
    let refused = repo.run(["promote"]).fails(1);
    assert!(
        refused.contains("`eu-is-masked` does not hold from 2031-01-01T00:00:00Z on"),
        "{refused}"
    );
}

#[test]
fn the_digest_is_that_of_the_documents_whatever_the_instant() {
    let repo = ending("2030-12-31");
    let digest = |now: &str| {
        let answer = repo
            .run(["resolve", "--team", "us", "--now", now, "--format", "json"])
            .json();
        answer["policies"][0]["digest"].clone()
    };
    assert_eq!(digest("2030-01-01"), digest("2031-06-01"));
    let promoted = repo.run(["promote", "--format", "json"]).json();
    let listed = repo.run(["list", "attachments", "--format", "json"]).ok();
    assert!(
        listed.contains("2031-01-01T00:00:00Z"),
        "{listed} {promoted}"
    );
}

#[test]
fn what_is_no_instant_is_refused_with_its_place() {
    let repo = ending("31.12.2030");
    let said = repo.run(["validate"]).ends(1).stdout;
    assert!(
        said.contains("RG123") && said.contains("attachments/eu.yaml:5:10"),
        "{said}"
    );
    assert!(
        said.contains("is neither a date nor an RFC 3339 time"),
        "{said}"
    );
    let typed = repo.run(["resolve", "--now", "soon"]).fails(2);
    assert!(
        typed.contains("`soon` is no time: write a time with its offset"),
        "{typed}"
    );
}

#[test]
fn an_export_to_litellm_leaves_out_what_is_over_and_warns_of_the_rest() {
    let repo = ending("2030-12-31");
    let before = repo.run(["export", "litellm"]).ends(0);
    assert!(before.stdout.contains("policy: extra"), "{}", before.stdout);
    let word = "attachments/eu.yaml:1: the attachment of `extra` expires at 2031-01-01T00:00:00Z";
    assert!(before.stderr.contains(word), "{}", before.stderr);
    let after = repo
        .run(["export", "litellm", "--now", "2031-01-01"])
        .ends(0);
    assert!(
        !after.stdout.contains("policy: extra") && after.stderr.is_empty(),
        "{}",
        after.stdout
    );
}

#[test]
fn status_names_what_ends_next_and_blame_what_has_ended() {
    // Promoted in 2024, by the dates of these commits; over since 2025.
    let repo = ending("2025-06-30");
    repo.run(["promote", "--reason", "a pilot"]).ok();
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    let later = attachment(
        "base",
        "teams: [eu]\nexpires: 2090-12-31\nreason: as long as it lasts",
    );
    repo.write("attachments/later.yaml", &later).commit("three");
    let late = [("GIT_COMMITTER_DATE", "2025-09-01T00:00:00Z")];
    repo.run_with(["promote"], &late).ok();

    let status = repo.run(["status"]).ok();
    let line = "2091-01-01T00:00:00Z the attachment of base ends (attachments/later.yaml:1): as \
        long as it lasts";
    assert!(
        status.contains(line) && !status.contains("2025-07-01"),
        "{status}"
    );

    let blame = repo
        .run(["blame", "--team", "eu", "--format", "json"])
        .json();
    let events: Vec<(u64, &str, &str, &str)> = blame["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let text = |field: &str| event[field].as_str().unwrap();
            (
                event["promotion"].as_u64().unwrap(),
                text("kind"),
                text("guardrail"),
                text("time"),
            )
        })
        .collect();
    let at = "2025-07-01T00:00:00Z";
    assert_eq!(events[0].1, "gained");
    assert_eq!((events[0].0, events[0].2), (2, "audit"));
    assert_eq!(events[1], (1, "lost", "masker", at), "{events:?}");
    assert_eq!(
        events.len(),
        4,
        "masker and pii came with promotion 1: {events:?}"
    );
    let ended = &blame["events"][1];
    assert_eq!(
        (&ended["author"], &ended["reason"]),
        (&"expiry".into(), &"until the pilot ends".into())
    );
    assert_eq!(ended["because"][0]["change"], "expired");
    let said = repo.run(["blame", "--team", "eu"]).ok();
    assert!(
        said.contains(at) && said.contains("attachment of extra expired"),
        "{said}"
    );
}

#[test]
fn what_was_replaced_before_its_end_is_not_told_to_have_expired() {
    let repo = ending("2025-06-30");
    repo.run(["promote"]).ok();
    // Replaced in 2024: what of the first set would have ended in 2025 never did.
    repo.write("attachments/eu.yaml", &attachment("extra", "teams: [eu]"))
        .commit("for good");
    repo.run(["promote"]).ok();
    let events = |rest: &[&str]| {
        let args = ["blame", "--team", "eu", "--format", "json"].into_iter();
        repo.run(args.chain(rest.iter().copied())).json()["events"].clone()
    };
    for at in ["production#1", "production#2"] {
        let told = events(&["--at", at]);
        assert!(!told.to_string().contains("expire"), "{at}: {told}");
    }
    let at_a_time = events(&["--at", "2025-12-31T00:00:00Z"]);
    assert_eq!(at_a_time, events(&[]), "{at_a_time}");
}

#[test]
fn what_is_expired_is_a_note_that_fails_nothing() {
    let repo = ending("2020-01-01");
    let out = repo.run(["validate", "--deny-warnings"]).ends(0);
    assert_eq!(
        out.stderr,
        "note: 1 attachment is expired: it can be deleted, which changes no answer: \
         attachments/eu.yaml:1 of `extra` ended 2020-01-02T00:00:00Z\n"
    );
    assert_eq!(ending("2090-01-01").run(["validate"]).stderr, "");
}

#[test]
fn a_commit_is_judged_by_what_is_in_force_when_it_is_made() {
    let case = |name: &str, expect: &str| {
        format!(
            "apiVersion: refguard/v1\nkind: PolicyTest\nname: {name}\n\
             cases:\n  - name: one\n    context: {{team: eu}}\n    expect: {{{expect}}}\n"
        )
    };
    let repo = ending("2020-01-01");
    repo.run(["hook", "install"]).ok();
    repo.write("tests/eu.yaml", &case("over", "guardrails: [pii]"));
    repo.git(["add", "--all"]);
    assert!(
        repo.try_git(&["commit", "-m", "what is over gives nothing"])
            .status
            .success()
    );
    repo.write("tests/eu.yaml", &case("over", "includes: [masker]"));
    repo.git(["add", "--all"]);
    let refused = repo.try_git(&["commit", "-m", "a test that fails"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("misses `masker`"),
        "{said}"
    );
}

#[test]
fn a_list_says_what_has_ended_and_when_the_rest_does() {
    let repo = ending("2030-12-31");
    let attachments = |now: &str| repo.run(["list", "attachments", "--now", now]).ok();
    let before = attachments("2030-06-01");
    assert!(
        before.contains("  2031-01-01T00:00:00Z  attachments/eu.yaml"),
        "{before}"
    );
    let after = attachments("2031-06-01");
    assert!(
        after.contains("  expired 2031-01-01T00:00:00Z  attachments/eu.yaml"),
        "{after}"
    );
    let policies = repo.run(["list", "--now", "2031-06-01"]).ok();
    let line = |name: &str| {
        policies
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
    };
    assert!(line("POLICY").contains("ATTACHED UNTIL"), "{policies}");
    assert!(
        line("extra").contains("expired 2031-01-01T00:00:00Z"),
        "{policies}"
    );
    assert!(!line("base").contains("expired"), "{policies}");

    let json = repo
        .run([
            "list",
            "attachments",
            "--now",
            "2031-06-01",
            "--format",
            "json",
        ])
        .json();
    let expired: Vec<&serde_json::Value> = json["attachments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["expired"])
        .collect();
    assert!(
        expired.contains(&&true.into()) && expired.contains(&&serde_json::Value::Null),
        "{json}"
    );
    let shown = repo.run(["show", "extra"]).ok();
    assert!(shown.contains("until 2031-01-01T00:00:00Z"), "{shown}");

    // Another permanent attachment, and the policy has no end.
    repo.write("attachments/us.yaml", &attachment("extra", "teams: [us]"));
    assert!(
        !repo
            .run(["list", "--now", "2031-06-01"])
            .ok()
            .contains("expired")
    );
}

#[test]
fn a_policy_is_shown_as_of_the_time_that_is_asked_about() {
    let repo = ending("2030-12-31");
    repo.run(["promote"]).ok();
    let show = |line: &[&str]| {
        let start = ["show", "extra"].into_iter();
        repo.run(start.chain(line.iter().copied())).ok()
    };
    let expired = "expired 2031-01-01T00:00:00Z";
    for line in [["--now", "2031-06-01"], ["--at", "2031-06-01T00:00:00Z"]] {
        let said = show(&line);
        assert!(said.contains(expired), "{line:?}: {said}");
    }
    for line in [["--now", "2030-06-01"], ["--at", "2030-06-01T00:00:00Z"]] {
        let said = show(&line);
        assert!(!said.contains(expired), "{line:?}: {said}");
    }
    let said = repo
        .run(["show", "extra@1", "--now", "2030-06-01"])
        .fails(2);
    assert!(said.contains("--now"), "{said}");
}
