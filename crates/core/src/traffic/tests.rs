//! Rows as logs have them, and replays against trying every request.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::document::{Dimension, Limits, load_file};
use crate::policy::{Levels, check_documents};
use crate::prove::tests::brute::{Requests, got};
use crate::prove::tests::oracle::pair;
use crate::prove::tests::spans::{self, SPANS};
use crate::prove::{Budget, Detail, RegionBox, impact_from, impact_in_detail};
use crate::resolve::{Context, Engine};

fn engine(yaml: &str) -> Engine {
    let loaded = load_file("set.yaml", yaml.as_bytes().to_vec(), &Limits::DEFAULT);
    Engine::new(Arc::new(
        check_documents(loaded, &Levels::default()).set.unwrap(),
    ))
}

fn set(attachments: &[&str]) -> Engine {
    let mut yaml =
        "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {add: [g]}\n".to_owned();
    for fields in attachments {
        yaml.push_str(&format!(
            "---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\n{fields}\n"
        ));
    }

    engine(&yaml)
}

fn reader(engine: &Engine) -> RowReader {
    let asked = Asked::asked_by(engine.set(), engine.set());
    RowReader {
        asked,
        base: None,
        since: None,
        set: None,
    }
}

/// Of sets in which nothing expires any instant is as good.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn decider(engine: &Engine) -> Decider {
    Decider {
        commit: "c0".to_owned(),
        asked: Asked::asked_by(engine.set(), engine.set()),
        expiries: engine.set().expiries_after(Timestamp::MIN),
    }
}

fn seen(reader: &RowReader, line: &str) -> Seen {
    match reader.read_row(line.as_bytes()) {
        Row::Seen(seen) => seen,
        other => panic!("{line}: {other:?}"),
    }
}

const DECISION: &str = r#"{"time":"2026-11-28T03:14:15.9Z","by":"resolve","set":"production","commit":"c0",
    "policies":["p","asked"],"guardrails":["g"],"unknown":["gone"],"team":"eu","key":"k","user":null,
    "tags":["b","a","b"],"model":"gpt-4","tool":null}"#;

#[test]
fn a_line_of_the_decision_log_is_its_request() {
    let all = set(&["teams: [eu]\nkeys: [k]\ntags: [a]\nmodels: [m]\nusers: [u]\ntools: [s/t]"]);
    let mut reader = reader(&all);
    let expected = Context::from_values([
        (Dimension::Team, "eu"),
        (Dimension::Key, "k"),
        (Dimension::Model, "gpt-4"),
        (Dimension::Tag, "a"),
        (Dimension::Tag, "b"),
    ]);
    let line = DECISION.replace('\n', "");
    let read = seen(&reader, &line);
    assert_eq!(
        read,
        Seen {
            context: expected,
            named: vec!["gone".to_owned()],
            ..Seen::default()
        }
    );
    // Of what BASE decided, the policies tell which were named.
    reader.base = Some(decider(&all));
    assert_eq!(seen(&reader, &line).got, ["p", "asked"]);

    reader.set = Some("staging".to_owned());
    assert_eq!(reader.read_row(line.as_bytes()), Row::Passed);
    reader.set = Some("production".to_owned());
    reader.since = Some("2026-11-28T03:14:16Z".parse::<Timestamp>().unwrap());
    assert_eq!(reader.read_row(line.as_bytes()), Row::Passed);
    reader.since = Some("2026-11-28T03:14:15Z".parse::<Timestamp>().unwrap());
    assert!(matches!(reader.read_row(line.as_bytes()), Row::Seen(_)));

    assert_eq!(
        reader.read_row(
            br#"{"team":"eu","key":null,"tags":[],"model":null,"user":null,"tool":null}"#
        ),
        Row::Unclear(Unclear::NoTime)
    );
}

#[test]
fn what_a_line_does_not_say_is_unclear_only_where_a_set_asks_for_it() {
    let teams = reader(&set(&["teams: [eu]"]));
    let line = r#"{"team":"eu","model":"m"}"#;
    assert_eq!(
        seen(&teams, line).context.value(Dimension::Team),
        Some("eu")
    );
    let users = reader(&set(&["users: [u]"]));
    assert_eq!(
        users.read_row(line.as_bytes()),
        Row::Unclear(Unclear::Missing(Dimension::User))
    );
    for (line, why) in [
        ("[]", Unclear::Unreadable),
        ("{", Unclear::Unreadable),
        (r#"{"team":7}"#, Unclear::Unreadable),
        (
            r#"{"level":"info","message":"started"}"#,
            Unclear::Unreadable,
        ),
        (r#"{"context":{"colour":"red"}}"#, Unclear::Unreadable),
        (
            r#"{"context":{"team":"eu"},"policies":["p@3"]}"#,
            Unclear::Version,
        ),
        (
            &format!(r#"{{"team":"{}"}}"#, "x".repeat(1025)),
            Unclear::PastLimit,
        ),
        (r#"{"model":"m"}"#, Unclear::Missing(Dimension::Team)),
    ] {
        assert_eq!(
            teams.read_row(line.as_bytes()),
            Row::Unclear(why),
            "{line:.60}"
        );
    }

    assert_eq!(teams.read_row(b"  \r\n"), Row::Passed);
    assert_eq!(
        seen(&teams, r#"{"context":{"team":"eu"},"policies":["p"]}"#).named,
        ["p"]
    );
}

#[test]
fn a_hidden_key_is_found_by_its_hash() {
    let hash = "sha256:8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";
    let line = format!(r#"{{"key":"{hash}"}}"#);
    let key = |reader: &RowReader| {
        seen(reader, &line)
            .context
            .value(Dimension::Key)
            .map(str::to_owned)
    };

    assert_eq!(key(&reader(&set(&["keys: [k]"]))).as_deref(), Some("k"));
    // It is none of those that are named in full, and nothing else is asked.
    assert_eq!(
        key(&reader(&set(&["keys: [other]"]))).as_deref(),
        Some(hash)
    );
    assert_eq!(
        key(&reader(&set(&["teams: [\"*\"]"]))).as_deref(),
        Some(hash)
    );
    let starts = reader(&set(&["keys: [\"prod-*\"]"]));

    assert_eq!(
        starts.read_row(line.as_bytes()),
        Row::Unclear(Unclear::HiddenKey)
    );
}

#[test]
fn a_row_of_the_spend_log_is_the_request_that_the_proxy_matched() {
    let all = set(&["teams: [eu]\nkeys: [k]\ntags: [a]\nmodels: [m]\nusers: [u]\ntools: [s/t]"]);
    let reader = reader(&all);
    let expected = Context::from_values([
        (Dimension::Team, "eu"),
        (Dimension::Key, "app"),
        (Dimension::Model, "gpt-4"),
        (Dimension::User, "ann"),
        (Dimension::Tool, "search/web"),
        (Dimension::Tag, "phi"),
    ]);
    let metadata = r#"{"user_api_key":"88dc","user_api_key_alias":"app","user_api_key_team_alias":"eu",
        "user_api_key_user_id":"ann","user_api_key_team_id":"t-1","spend_logs_metadata":null}"#;
    let tags = r#"["User-Agent: curl","phi"]"#;
    let as_text = |text: &str| serde_json::to_string(&text.replace('\n', "")).unwrap();
    for (metadata, tags) in [
        (metadata.replace('\n', ""), tags.to_owned()),
        (as_text(metadata), as_text(tags)),
    ] {
        let line = format!(
            r#"{{"request_id":"r","call_type":"acompletion","api_key":"88dc","startTime":"2026-11-28 03:14:15.9","model":"azure/gpt-4-eu","model_group":"gpt-4","team_id":"t-1","user":"ann","metadata":{metadata},"request_tags":{tags},"mcp_namespaced_tool_name":"search/web","spend":0.1}}"#
        );
        assert_eq!(seen(&reader, &line).context, expected, "{line}");
        let mut late = reader.clone();
        late.since = Some("2026-11-28T03:14:16Z".parse().unwrap());
        assert_eq!(late.read_row(line.as_bytes()), Row::Passed);
    }

    // An older proxy does not say the aliases; a call without a team has none.
    let old = r#"{"call_type":"x","startTime":"2026-11-28","model":"m","team_id":"t-1","user":"","metadata":"{}","request_tags":"[]"}"#;
    assert_eq!(
        reader.read_row(old.as_bytes()),
        Row::Unclear(Unclear::Missing(Dimension::Team))
    );
    let teams = super::tests::reader(&set(&["teams: [eu]"]));
    let none = old.replace("\"t-1\"", "null");
    assert_eq!(seen(&teams, &none).context.value(Dimension::Team), None);
}

fn place(line: u64) -> LogPlace {
    LogPlace {
        log: "log".into(),
        line,
    }
}

#[test]
fn replay_names_the_policies_that_requests_named() {
    let policies = "apiVersion: refguard/v1\nkind: Policy\nname: p\nguardrails: {add: [g]}\n---\n\
        apiVersion: refguard/v1\nkind: Policy\nname: asked\nrequestable: true\n\
        guardrails: {add: [GIVES]}\n---\n\
        apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nteams: [eu]\n";
    let (base, head) = (
        engine(&policies.replace("GIVES", "h")),
        engine(&policies.replace("GIVES", "i")),
    );
    let mut reader = reader(&base);
    reader.base = Some(decider(&base));
    let mut tally = Tally::default();
    let lines = [
        r#"{"team":"eu","commit":"c0","policies":["p","asked"]}"#,
        r#"{"team":"eu","commit":"c0","policies":["p"]}"#,
        r#"{"team":"eu","commit":"c0","policies":["p","asked@2"]}"#,
        r#"{"team":"eu","commit":"another","policies":["p","asked"]}"#,
    ];

    for (number, line) in (1..).zip(lines) {
        tally.add_row(reader.read_row(line.as_bytes()), || place(number));
    }

    let impact = impact_in_detail(&base, &head, &Budget::default(), Detail::ALL);
    let report = replay_traffic(&Arc::new(base), &Arc::new(head), NOW, &impact, &tally);
    assert_eq!(
        (report.rows, report.changed, report.lost, report.gained),
        (4, 1, 1, 1)
    );
    assert_eq!(report.unclear, 1);
    // The region of the impact leaves out those that get something by an attachment: it has one of
    // its own.
    let [group] = report.groups.as_slice() else {
        panic!("{report:#?}")
    };

    assert_eq!(
        (&group.requested, group.region),
        (&vec!["asked".to_owned()], Some(1))
    );
}

#[test]
fn what_an_attachment_gave_that_has_expired_since_was_not_named() {
    let yaml = "apiVersion: refguard/v1\nkind: Policy\nname: p\nrequestable: true\n\
        guardrails: {add: [GIVES]}\n---\n\
        apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nteams: [eu]\nkeys: [k]\n\
        expires: 2026-11-20\n";
    let [base, head] = ["h", "i"].map(|gives| Arc::new(engine(&yaml.replace("GIVES", gives))));
    let now: Timestamp = "2026-11-28T00:00:00Z".parse().unwrap();
    let mut reader = reader(&base.as_of(now));
    reader.base = Some(decider(&base));
    let row = |time: &str, key: &str| {
        format!(r#"{{"time":{time},"team":"eu","key":"{key}","commit":"c0","policies":["p"]}}"#)
    };
    let changed = |line: &str| {
        let mut tally = Tally::default();
        tally.add_row(reader.read_row(line.as_bytes()), || place(1));
        let impact = impact_from(&base, &head, now, &Budget::default(), Detail::ALL);
        let report = replay_traffic(&base, &head, now, &impact, &tally);
        assert_eq!(report.rows, 1);
        (report.changed, report.unclear)
    };

    assert_eq!(changed(&row("\"2026-11-20T23:59:59Z\"", "k")), (0, 0));
    // A key that only the expired attachment names is found by its hash too.
    let hash = "sha256:8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";
    assert_eq!(changed(&row("\"2026-11-20T23:59:59Z\"", hash)), (0, 0));
    assert_eq!(changed(&row("\"2026-11-21T00:00:00Z\"", "k")), (1, 0));
    assert_eq!(changed(&row("null", "k")), (0, 1));
}

/// A replay of every request that a pair of random sets tells apart, of which attachments expire.
fn check_spans(seed: u64) -> bool {
    let Some((told, [base, head])) = spans::engines(seed) else {
        return false;
    };
    let requests = Requests::of(&[base.set(), head.set()]);
    if requests.len() > 150 {
        return false;
    }

    let now: Timestamp = SPANS[0].parse().unwrap();
    let impact = impact_from(&base, &head, now, &Budget::default(), Detail::ALL);
    let mut tally = Tally::default();
    for (number, context) in (0_u64..).zip(requests.all()) {
        tally.add_row(
            Row::Seen(Seen {
                context,
                ..Seen::default()
            }),
            || place(number),
        );
    }

    let report = replay_traffic(&base, &head, now, &impact, &tally);
    let told = || format!("{told}\n{report:#?}");
    assert_eq!((report.now, report.exact), (now, true), "{}", told());

    for span in SPANS {
        let at: Timestamp = span.parse().unwrap();
        let (before, after) = (base.as_of(at), head.as_of(at));
        let mut due = (0, 0, 0);
        for context in requests.all() {
            let (before, after) = (got(&before, &context, &[]), got(&after, &context, &[]));
            due.0 += u64::from(before != after);
            due.1 += u64::from(!before.guardrails.is_subset(&after.guardrails));
            due.2 += u64::from(!after.guardrails.is_subset(&before.guardrails));
        }

        let later = report.later.iter().rfind(|later| later.at <= at);
        let present = (report.changed, report.lost, report.gained);
        let said = later.map_or(present, |later| (later.changed, later.lost, later.gained));
        assert_eq!(said, due, "at {span} {}", told());
    }

    // Each region is told once: rows lie in it now, or later, or never.
    let is_seen = |traffic: &RegionTraffic| {
        let known = RegionBox::new(&traffic.told, [base.set(), head.set()]);
        traffic.told.requested.is_none()
            && requests.all().any(|context| known.has_request(&context))
    };

    for later in &report.later {
        for traffic in &later.regions {
            assert!(
                traffic.told.at == Some(later.at) && is_seen(traffic),
                "{}",
                told()
            );
        }
    }

    for quiet in &report.quiet_regions {
        assert!(!is_seen(quiet), "{quiet:#?} {}", told());
    }

    let later = report.later.iter().flat_map(|later| &later.regions);
    let all = report
        .regions
        .iter()
        .chain(&report.quiet_regions)
        .chain(later);
    let mut numbers: Vec<usize> = all
        .map(|it| it.region)
        .filter(|at| *at < impact.regions.len())
        .collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (0..impact.regions.len()).collect::<Vec<_>>(),
        "{}",
        told()
    );

    true
}

/// A replay of every request that a pair of random sets tells apart.
fn check_pair(seed: u64) -> bool {
    let Some(pair) = pair(seed) else { return false };
    let [base, head] = pair.engines.map(Arc::new);
    let requests = Requests::of(&[base.set(), head.set()]);
    if requests.len() > 250 {
        return false;
    }

    let impact = impact_in_detail(&base, &head, &Budget::default(), Detail::ALL);
    let mut tally = Tally::default();
    let mut due = [0; 4];
    for (number, context) in (0_u64..).zip(requests.all()) {
        let rows = 1 + number % 3;
        for _ in 0..rows {
            let seen = Seen {
                context: context.clone(),
                ..Seen::default()
            };

            tally.add_row(Row::Seen(seen), || place(number));
        }

        let (before, after) = (got(&base, &context, &[]), got(&head, &context, &[]));
        let loses = before.guardrails.difference(&after.guardrails).count() > 0;
        let gains = after.guardrails.difference(&before.guardrails).count() > 0;
        let flags = [true, before != after, loses, gains];
        due.iter_mut()
            .zip(flags)
            .for_each(|(sum, flag)| *sum += if flag { rows } else { 0 });
    }

    let report = replay_traffic(&base, &head, NOW, &impact, &tally);
    let told = || {
        format!(
            "seed {seed}\n{}\n---\n{}\n{report:#?}",
            pair.yaml[0], pair.yaml[1]
        )
    };

    assert_eq!(
        [report.rows, report.changed, report.lost, report.gained],
        due,
        "{}",
        told()
    );
    assert_eq!(
        report.groups.iter().map(|group| group.rows).sum::<u64>(),
        due[1],
        "{}",
        told()
    );
    let all: Vec<&RegionTraffic> = report.regions.iter().chain(&report.quiet_regions).collect();
    assert!(all.len() >= impact.regions.len(), "{}", told());
    for group in &report.groups {
        // A row that differs lies in a region, and loses and gains what that says.
        let at = group
            .region
            .unwrap_or_else(|| panic!("outside: {group:#?} {}", told()));
        let region = &all.iter().find(|one| one.region == at).unwrap().told;
        let within = |few: &[String], many: &[String]| {
            let many: BTreeSet<&String> = many.iter().collect();
            few.iter().all(|name| many.contains(name))
        };

        assert!(
            within(&region.lost, &group.lost) && within(&region.gained, &group.gained),
            "{}",
            told()
        );
    }

    // A region is quiet where no request that was seen lies in it.
    for quiet in report
        .quiet_regions
        .iter()
        .filter(|one| one.told.requested.is_none())
    {
        let known = RegionBox::new(&quiet.told, [base.set(), head.set()]);
        assert!(
            !requests.all().any(|context| known.has_request(&context)),
            "{quiet:#?} {}",
            told()
        );
    }

    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn replay_agrees_with_trying_and_rows_lie_in_regions(seed in any::<u64>()) {
        check_pair(seed);
    }

    #[test]
    fn replay_agrees_with_trying_each_span_of_time(seed in any::<u64>()) {
        check_spans(seed);
    }

    #[test]
    fn no_line_is_a_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let reader = reader(&set(&["teams: [eu]"]));
        let _ = reader.read_row(&line);
    }

    #[test]
    fn a_tally_is_the_same_in_whatever_parts_it_is_counted(rows in prop::collection::vec(0_u8..4, 0..40), cut in 0_usize..40) {
        let row = |number: &u8| match number {
            0 => Row::Unclear(Unclear::TooLong),
            team => Row::Seen(Seen { context: Context::from_values([(Dimension::Team, ["a", "b", "c"][usize::from(team - 1)])]), ..Seen::default() }),
        };

        let count = |from: usize, rows: &[u8]| {
            let mut tally = Tally::default();
            for (at, number) in rows.iter().enumerate() {
                tally.add_row(row(number), || place((from + at) as u64));
            }

            tally
        };

        let cut = cut.min(rows.len());
        let whole = count(0, &rows);
        let parts = count(cut, &rows[cut..]).merge_with(count(0, &rows[..cut]));
        prop_assert_eq!(whole.rows, parts.rows);
        prop_assert_eq!(&whole.requests, &parts.requests);

        prop_assert_eq!(&whole.unclear, &parts.unclear);
    }
}
