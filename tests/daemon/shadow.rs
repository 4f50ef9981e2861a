//! What another revision would say, counted beside the answers and never in them.

use serde_json::{Value, json};

use crate::support::{Daemon, Repo, StuckObject, until};

/// Serves `main`'s first commit; the branch `next` takes a guardrail from `eu` and gives one to
/// `us`.
fn shadowed() -> Repo {
    let repo = Repo::new();
    let attachment = |policy: &str, teams: &str| {
        format!(
            "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\nteams: {teams}\n"
        )
    };
    for name in ["log", "pii"] {
        let fields = format!("kind: Policy\nname: {name}\nguardrails: {{add: [{name}]}}");
        repo.write(
            &format!("policies/{name}.yaml"),
            &format!("apiVersion: refguard/v1\n{fields}\n"),
        );
    }
    repo.write("attachments/log.yaml", &attachment("log", "[eu, us]"));
    repo.write("attachments/pii.yaml", &attachment("pii", "[eu]"));
    let first = repo.commit();
    repo.promote(&first);
    repo.git(&["checkout", "-q", "-b", "next"]);
    repo.write("attachments/pii.yaml", &attachment("pii", "[us]"));
    repo.commit();
    repo.git(&["checkout", "-q", "main"]);
    repo
}

fn ask(daemon: &Daemon, team: &str, key: &str) -> Value {
    let request = json!({ "context": { "team": team, "key": key } });
    let reply = daemon.post("/v1/resolve?fields=guardrails", &request.to_string());
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["guardrails"].clone()
}

fn number(report: &Value, field: &str) -> u64 {
    report[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field}: {report:#}"))
}

/// The report once so many requests are counted.
fn report(daemon: &Daemon, requests: u64) -> Value {
    let mut found = Value::Null;
    until("the requests are counted", || {
        found = daemon.get("/v1/shadow").json();
        number(&found, "requests") >= requests
    });
    assert_eq!(number(&found, "requests"), requests);
    found
}

#[test]
fn a_shadow_counts_by_region_and_guardrail_and_changes_no_answer() {
    let repo = shadowed();
    let options = [
        "--shadow",
        "next",
        "--shadow-samples",
        "2",
        "--shadow-hash-keys",
    ];
    let daemon = Daemon::start(&repo.path(), &options);
    until("it is compared", || {
        daemon.get("/v1/shadow").json()["head"].is_string()
    });
    for _ in 0..3 {
        assert_eq!(ask(&daemon, "eu", "k"), json!(["log", "pii"]));
        assert_eq!(ask(&daemon, "us", "k"), json!(["log"]));
        assert_eq!(ask(&daemon, "other", "k"), json!([]));
    }
    let authz = daemon.ask(
        "GET",
        "/v1/authz",
        &[("X-Refguard-Team", "eu"), ("X-Refguard-Model", "m")],
        "",
    );
    assert_eq!(authz.header("x-refguard-guardrails"), Some("log,pii"));

    let report = report(&daemon, 10);
    let counts = ["same", "differs", "unclear", "shed"].map(|field| number(&report, field));
    assert_eq!(counts, [3, 7, 0, 0], "{report:#}");
    assert_eq!(
        (&report["lost"], &report["gained"]),
        (&json!({ "pii": 4 }), &json!({ "pii": 3 }))
    );
    let regions = report["regions"].as_array().unwrap();
    let within: u64 = regions
        .iter()
        .map(|region| number(region, "requests"))
        .sum();
    assert_eq!(
        within + number(&report, "outside"),
        number(&report, "differs"),
        "{report:#}"
    );
    let samples = report["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    let keys: Vec<&Value> = samples
        .iter()
        .map(|sample| &sample["context"]["key"])
        .collect();
    let hidden = |key: &&&Value| key.as_str().is_some_and(|key| key.starts_with("sha256:"));
    assert!(keys.iter().filter(|key| !key.is_null()).count() == keys.iter().filter(hidden).count());

    let metrics = daemon.get("/metrics").body;
    let counted = |result: &str| -> u64 {
        let start = format!("refguard_shadow_requests_total{{result=\"{result}\"");
        let lines = metrics.lines().filter(|line| line.starts_with(&start));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!((counted("same"), counted("differs")), (3, 7), "{metrics}");
    let lost = "refguard_shadow_guardrails_total{change=\"lost\",guardrail=\"pii\"} 4";
    assert!(metrics.contains(lost), "{metrics}");

    // Another revision begins anew, and one that is no valid set is said; answers go on.
    let broken = repo.broken();
    repo.git(&["update-ref", "refs/heads/next", &broken]);
    daemon.until_status("the note", |status| {
        status["notes"].to_string().contains("shadow `next`")
    });
    assert_eq!(ask(&daemon, "eu", "k"), json!(["log", "pii"]));
    let report = self::report(&daemon, 1);
    assert_eq!(
        (number(&report, "unclear"), &report["head"]),
        (1, &Value::Null)
    );
}

#[test]
fn a_page_shows_the_counts_to_people_and_is_there_only_with_a_shadow() {
    let repo = shadowed();
    let without = Daemon::start(&repo.path(), &[]);
    assert_eq!(without.get("/ui/shadow").status, 404);
    assert!(!without.get("/ui/").body.contains("/ui/shadow"));

    let options = ["--shadow", "next", "--shadow-samples", "5"];
    let daemon = Daemon::start(&repo.path(), &options);
    until("it is compared", || {
        daemon.get("/v1/shadow").json()["head"].is_string()
    });
    for team in ["eu", "us", "us", "other"] {
        ask(&daemon, team, "<script>");
    }
    report(&daemon, 4);
    let page = daemon.get("/ui/shadow").body;
    for told in [
        "What <bdi>next</bdi> would say",
        "4 requests",
        "<dd>3 <span class=\"muted\">(75.0 %)",
        "<strong>2 requests</strong>: requests of a team <code>us</code> gain <code>pii</code>",
        "<code>&lt;script&gt;</code>",
        "href=\"/ui/ask?set=production&amp;at=",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("<script>"), "{page}");
    assert!(daemon.get("/ui/").body.contains("href=\"/ui/shadow\""));

    // A revision that cannot be asked is said, with why.
    let broken = repo.broken();
    repo.git(&["update-ref", "refs/heads/next", &broken]);
    until("the page says so", || {
        daemon.get("/ui/shadow").body.contains("no valid set")
    });
}

#[test]
fn what_is_too_much_is_shed_and_counted_and_holds_up_no_answer() {
    let repo = shadowed();
    assert_eq!(
        Daemon::start(&repo.path(), &[]).get("/v1/shadow").status,
        404
    );

    // The thread that compares is stuck in reading the other set: what does not fit into its queue
    // is shed.
    let stuck = StuckObject::new(&repo, "next");
    let daemon = Daemon::start(&repo.path(), &["--shadow", "next"]);
    daemon.until("ready", |set| set["commit"].is_string());
    let request = json!({ "context": { "team": "eu" } });
    let batch = json!({ "requests": vec![request; 1_000] }).to_string();
    let mut sent = 0;
    let mut found = Value::Null;
    until("requests are shed", || {
        assert_eq!(
            daemon.post("/v1/resolve?fields=guardrails", &batch).status,
            200
        );
        sent += 1_000;
        found = daemon.get("/v1/shadow").json();
        number(&found, "shed") > 0
    });

    // What waits in the queue is neither shed nor compared yet.
    let waiting = sent - number(&found, "requests");
    assert!(waiting >= 1_000, "{found:#}");
    stuck.release();
    let report = self::report(&daemon, waiting);
    assert_eq!(number(&report, "differs"), waiting, "{report:#}");
}
