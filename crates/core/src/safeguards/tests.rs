//! Sets that are written as YAML, and what one of them keeps of the other's safeguards.

use jiff::Timestamp;

use super::*;
use crate::diff::tests::set;
use crate::document::Level;

const POLICIES: &str = "\
kind: Policy
name: baseline
guardrails: {add: [audit, pii]}
---
kind: PolicyAttachment
policy: baseline
scope: '*'
";

const CASE: &str = "\
kind: PolicyTest
name: everyone
cases:
  - name: a call is audited
    context: {team: eu, tags: [phi, vip]}
    expect: {includes: [audit, pii], excludes: [debug_log]}
";

/// The losses and gains from one pair of files to another, each as a sentence.
fn changes(base: &[(&str, &str)], head: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    changes_reading(base, head, &|_| true)
}

fn changes_reading(
    base: &[(&str, &str)],
    head: &[(&str, &str)],
    is_read: &dyn Fn(&str) -> bool,
) -> (Vec<String>, Vec<String>) {
    let with_policies = |files: &[(&str, &str)]| {
        let all: Vec<_> = [("p.yaml", POLICIES)]
            .iter()
            .chain(files)
            .copied()
            .collect();

        set(&all)
    };

    let diff = compare_safeguards(
        &with_policies(base),
        &with_policies(head),
        is_read,
        now(),
        &Budget::default(),
    );
    let sentences = |list: &[SafeguardChange]| list.iter().map(|c| c.sentence()).collect();
    (sentences(&diff.lost), sentences(&diff.gained))
}

fn settings(text: &str) -> String {
    format!("kind: Repository\n{text}")
}

const NONE: [&str; 0] = [];

fn now() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

#[test]
fn a_freeze_or_soak_that_is_removed_or_softened_is_lost() {
    let environment = |fields: &str| {
        settings(&format!(
            "environments: [{{name: production, from: staging, {fields}}}]"
        ))
    };

    let change = |base: &str, head: &str| {
        let (base, head) = (environment(base), environment(head));
        changes(&[("refguard.yaml", &base)], &[("refguard.yaml", &head)])
    };

    let december = "freeze: [{from: 2026-12-20, to: 2027-01-02}]";
    let shorter = "freeze: [{from: 2026-12-21, to: 2027-01-02}]";
    let past = "freeze: [{from: 2026-11-01, to: 2026-11-02}]";
    let words = "gate `freeze` of `production`: no longer frozen from 2026-12-20T00:00:00Z to \
                 2027-01-03T00:00:00Z";

    assert_eq!(change(december, "").0, [words]);
    assert_eq!(change(december, shorter).0, [words]);
    assert_eq!(change(shorter, december).0, NONE);
    assert_eq!(change(past, "").0, NONE, "it is over");
    let weekly = "freeze: [{days: [fri, sat], from: \"16:00\", to: \"24:00\"}]";
    let less = "freeze: [{days: [fri], from: \"16:00\", to: \"24:00\", timezone: UTC}]";
    assert_eq!(
        change(weekly, less).0,
        ["gate `freeze` of `production`: no longer frozen fri, sat 16:00 to 24:00 UTC"]
    );
    assert_eq!(change(less, weekly).0, NONE);

    assert_eq!(
        change("soak: 24h", "soak: 12h").0,
        ["gate `soak` of `production`: 12h instead of 24h"]
    );
    assert_eq!(
        change("soak: 24h", "").0,
        ["gate `soak` of `production`: none instead of 24h"]
    );
    assert_eq!(change("soak: 24h", "soak: 1d").0, NONE);
    assert_eq!(
        change("", "soak: 24h").1,
        ["gate `soak` of `production`: 24h instead of none"]
    );
}

#[test]
fn a_case_that_is_renamed_and_moved_is_the_same_case() {
    let moved = CASE
        .replace("everyone", "all")
        .replace("a call is audited", "audited")
        .replace("[phi, vip]", "[vip, phi]");

    let (lost, gained) = changes(&[("tests/a.yaml", CASE)], &[("tests/b.yaml", &moved)]);

    assert_eq!(lost, NONE);
    assert_eq!(gained, NONE);
}

#[test]
fn a_case_that_is_gone_is_lost_with_its_place() {
    let base = set(&[("p.yaml", POLICIES), ("tests/a.yaml", CASE)]);
    let head = set(&[("p.yaml", POLICIES)]);

    let diff = compare_safeguards(&base, &head, &|_| true, now(), &Budget::default());

    let [lost] = diff.lost.as_slice() else {
        panic!("{diff:?}")
    };

    assert_eq!(
        lost.sentence(),
        "test `everyone: a call is audited` is gone"
    );
    assert_eq!(
        (lost.file.as_deref(), lost.line),
        (Some("tests/a.yaml"), Some(5))
    );
}

#[test]
fn each_way_to_expect_less_is_found() {
    let shrunk = [
        ("includes: [audit]", "`pii` is no longer asked for"),
        (
            "includes: [audit, pii]",
            "`debug_log` is no longer ruled out",
        ),
    ];

    for (expect, why) in shrunk {
        let head = CASE.replace("includes: [audit, pii], excludes: [debug_log]", expect);
        let (lost, _) = changes(&[("t.yaml", CASE)], &[("t.yaml", &head)]);
        assert_eq!(
            lost,
            [format!(
                "test `everyone: a call is audited` expects less: {why}"
            )]
        );
    }

    let exact = CASE.replace(
        "includes: [audit, pii], excludes: [debug_log]",
        "guardrails: [audit, pii]",
    );
    let (lost, _) = changes(&[("t.yaml", CASE)], &[("t.yaml", &exact)]);
    assert_eq!(lost, NONE, "an exact list asks for more");
    let (lost, _) = changes(&[("t.yaml", &exact)], &[("t.yaml", CASE)]);

    assert_eq!(
        lost,
        ["test `everyone: a call is audited` expects less: other guardrails may come out"]
    );
}

#[test]
fn an_expected_action_may_rise_and_not_fall() {
    let with = |action: &str| {
        CASE.replace(
            "includes: [audit, pii], excludes: [debug_log]",
            &format!("action: {action}"),
        )
        .replace("    expect:", "    outcomes: {pii: fail}\n    expect:")
    };

    let (allow, block) = (with("allow"), with("block"));

    assert_eq!(
        changes(&[("t.yaml", &allow)], &[("t.yaml", &block)]).0,
        NONE
    );
    assert_eq!(
        changes(&[("t.yaml", &block)], &[("t.yaml", &allow)]).0,
        ["test `everyone: a call is audited` expects less: the action allow instead of block"]
    );
}

#[test]
fn a_gate_an_address_and_a_source_are_safeguards_of_an_environment() {
    let base = settings(
        "environments: [{name: production, gates: {weaken: refuse}, allow: [ana@example.org]}]\n",
    );
    let head = settings(
        "environments: \
         [{name: production, from: staging, gates: {weaken: off, safeguards: refuse}, \
         allow: [eve@example.org]}, {name: staging}]\n",
    );

    let (lost, gained) = changes(&[("refguard.yaml", &base)], &[("refguard.yaml", &head)]);

    assert_eq!(
        lost,
        [
            "gate `weaken` of `production`: off instead of refuse",
            "allow `eve@example.org` may now pass the gates of `production`",
            "from `production` takes its sets from `staging` instead of the publish branch",
        ]
    );
    assert_eq!(
        gained,
        [
            "gate `safeguards` of `production`: refuse instead of warn",
            "allow `ana@example.org` may no longer pass the gates of `production`",
            "environment `staging` is declared",
        ]
    );
}

#[test]
fn settings_that_are_gone_fall_back_to_what_the_defaults_say() {
    let base = settings(
        "environments: [{name: production, gates: {weaken: refuse}}, {name: staging}]\n\
         rules: {unused-policy: error}\n",
    );

    let (lost, gained) = changes(&[("refguard.yaml", &base)], &[]);

    assert_eq!(
        lost,
        [
            "gate `weaken` of `production`: warn instead of refuse",
            "environment `staging` is no longer declared",
            "rule `unused-policy` is warn instead of error",
        ]
    );
    assert_eq!(gained, NONE);
}

const HEALTH: &str = "\
kind: Invariant
name: health-is-audited
for: {teams: [health*]}
require: [audit]
";

#[test]
fn an_invariant_may_be_renamed_and_split_and_not_be_narrowed() {
    let split = "\
kind: Invariant
name: health-eu
for: {teams: [health-eu]}
require: [audit]
---
kind: Invariant
name: health-elsewhere
for: {teams: [health*]}
except: {teams: [health-eu]}
require: [audit, pii]
";
    let narrowed = HEALTH.replace("[health*]", "[health-*]");

    assert_eq!(changes(&[("i.yaml", HEALTH)], &[("i.yaml", split)]).0, NONE);
    let (lost, _) = changes(&[("i.yaml", HEALTH)], &[("i.yaml", &narrowed)]);
    let [lost] = lost.as_slice() else {
        panic!("{lost:?}")
    };
    let said = "invariant `health-is-audited` is lost: `audit` is no longer required, for example";
    assert!(lost.starts_with(said), "{lost}");
}

#[test]
fn an_invariant_that_asks_for_more_is_gained() {
    let more = HEALTH.replace("[audit]", "[audit, pii]");

    let (lost, gained) = changes(&[("i.yaml", HEALTH)], &[("i.yaml", &more)]);

    assert_eq!(lost, NONE);
    assert_eq!(gained, ["invariant `health-is-audited` promises more"]);
}

#[test]
fn what_the_budget_does_not_allow_to_be_shown_counts_as_lost() {
    let base = set(&[("p.yaml", POLICIES), ("i.yaml", HEALTH)]);
    let split = HEALTH
        .replace("name: health-is-audited", "name: other")
        .replace("[audit]", "[pii, audit]");
    let head = set(&[("p.yaml", POLICIES), ("i.yaml", &split)]);

    let diff = compare_safeguards(&base, &head, &|_| true, now(), &Budget::with_units(0));

    assert_eq!(diff.lost.len(), 1, "{diff:?}");
    assert!(diff.lost.iter().all(|lost| lost.is_open), "{diff:?}");
}

#[test]
fn a_file_that_is_left_out_is_lost_and_a_glob_that_hits_nothing_is_not() {
    let head = settings("exclude: ['tests/**', 'vendor/**']\n");

    let (lost, _) = changes_reading(
        &[("tests/a.yaml", CASE)],
        &[("refguard.yaml", &head)],
        &|path| !path.starts_with("tests/"),
    );

    assert_eq!(
        lost,
        [
            "test `everyone: a call is audited` is gone",
            "files `tests/a.yaml` is no longer read: `include` or `exclude` of refguard.yaml \
             leaves it out",
        ]
    );
}

#[test]
fn a_list_that_a_catalog_no_longer_gives_is_lost() {
    let base = "kind: Catalog\nguardrails: [audit, pii]\nteams: [eu]\n";
    let head = "kind: Catalog\nguardrails: [audit, pii]\nkeys: [ci]\n";

    let (lost, gained) = changes(&[("c.yaml", base)], &[("c.yaml", head)]);

    assert_eq!(
        lost,
        ["catalog `teams` is no longer listed, so a name that does not exist passes"]
    );
    assert_eq!(
        gained,
        ["catalog `keys` is listed, so a name that does not exist is found"]
    );
}

#[test]
fn a_list_with_a_star_finds_no_typo_and_counts_as_none() {
    let base = "kind: Catalog\nguardrails: [audit, pii]\nteams: [eu]\n";
    let head = "kind: Catalog\nguardrails: [audit, pii]\nteams: [eu, '*']\n";

    let (lost, _) = changes(&[("c.yaml", base)], &[("c.yaml", head)]);

    assert_eq!(
        lost,
        ["catalog `teams` is no longer listed, so a name that does not exist passes"]
    );
}

#[test]
fn levels_are_listed_by_the_names_of_their_rules() {
    let head = set(&[
        ("p.yaml", POLICIES),
        (
            "refguard.yaml",
            &settings("rules: {unused-policy: error, dead-default: off}\n"),
        ),
    ]);

    let levels = head.settings.levels.by_name();

    assert_eq!(
        levels.into_iter().collect::<Vec<_>>(),
        [
            ("dead-default", Level::Off),
            ("unused-policy", Level::Error)
        ]
    );
}

#[test]
fn a_set_keeps_its_own_safeguards() {
    let all = [
        ("t.yaml", CASE),
        (
            "c.yaml",
            "kind: Catalog\nguardrails: [audit, debug_log, pii]\n",
        ),
    ];

    assert_eq!(changes(&all, &all), (Vec::new(), Vec::new()));
}

#[test]
fn how_the_gateway_runs_a_guardrail_is_a_safeguard() {
    let with = |guardrail: &str| format!("kind: Catalog\nguardrails: [audit, pii, {guardrail}]");
    let of = |base: &str, head: &str| {
        changes(
            &[("catalog.yaml", &with(base))],
            &[("catalog.yaml", &with(head))],
        )
    };

    let (known, plain) = ("{name: g, modes: [pre_call], default_on: true}", "g");

    let (lost, gained) = of(known, plain);
    let said = [
        "catalog `guardrails: g` has another `default_on`: true before, not known after",
        "catalog `guardrails: g` has other modes: pre_call before, not known after",
    ];
    assert_eq!(lost, said);
    assert_eq!(gained, NONE);

    let (lost, gained) = of(plain, known);
    assert_eq!((lost.len(), gained.len()), (0, 2));
    assert_eq!(of(known, known), (vec![], vec![]));
}

#[test]
fn which_policies_requests_may_name_is_a_safeguard() {
    let plain = "kind: Policy\nname: asked\nguardrails: {add: [pii]}\n";
    let asked = format!("{plain}requestable: true\n");
    let of = |base: &str, head: &str| changes(&[("a.yaml", base)], &[("a.yaml", head)]);

    let (lost, gained) = of(&asked, plain);
    assert_eq!(
        lost,
        ["policy `asked` is no longer requestable, so strict gateways refuse calls that name it"]
    );
    assert_eq!(gained, NONE);

    assert_eq!(
        of(plain, &asked),
        (
            vec![],
            vec!["policy `asked` is requestable, so calls may name it".to_owned()]
        )
    );
}
