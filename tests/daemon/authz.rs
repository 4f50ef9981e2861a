//! Forward auth: what a proxy asks, and what it may copy to the upstream.

use crate::support::{Daemon, Reply, Repo};

const POLICIES: &str = "apiVersion: refguard/v1
kind: Policy
name: health, eu
guardrails: {add: [hipaa audit, pii]}
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: health, eu
teams: [\"health-*\", \"é\"]
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: health, eu
tags: [\"a,b\"]
";

fn served(options: &[&str]) -> (Repo, Daemon, String) {
    let repo = Repo::new();
    repo.write("all.yaml", POLICIES);
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), options);
    daemon.until_served(&commit);
    (repo, daemon, commit)
}

/// The three headers that an upstream trusts; they are on every answer.
fn trusted(reply: &Reply) -> [&str; 3] {
    ["guardrails", "policies", "commit"].map(|name| {
        let values: Vec<&str> = reply
            .headers
            .iter()
            .filter(|(known, _)| *known == format!("x-refguard-{name}"))
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(values.len(), 1, "{name}: {reply:?}");
        values[0]
    })
}

const TEAM: (&str, &str) = ("X-Refguard-Team", "health-1");
const MODEL: (&str, &str) = ("X-Refguard-Model", "gpt-4");

#[test]
fn headers_go_in_and_come_out_by_any_method_and_below_any_path() {
    let (_repo, daemon, commit) = served(&[]);
    let wanted = ["hipaa%20audit,pii", "health%2C%20eu", commit.as_str()];
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"] {
        for path in [
            "/v1/authz",
            "/v1/authz/",
            "/v1/authz/v1/chat/completions?x=1",
        ] {
            let reply = daemon.ask(method, path, &[TEAM, MODEL], "");
            assert_eq!(
                (reply.status, trusted(&reply)),
                (200, wanted),
                "{method} {path}"
            );
        }
    }
    for header in [
        ("X-Refguard-Team", "%C3%A9"),
        ("X-Refguard-Tags", "x,a%2Cb"),
    ] {
        assert_eq!(
            trusted(&daemon.ask("GET", "/v1/authz", &[header, MODEL], "")),
            wanted
        );
    }
    assert_eq!(
        trusted(&daemon.ask("GET", "/v1/authz", &[MODEL], "")),
        ["", "", commit.as_str()]
    );
}

#[test]
fn every_refusal_carries_every_header_and_nothing_in_it() {
    let (_repo, daemon, commit) = served(&[]);
    let empty = ["", "", commit.as_str()];
    let long = "x".repeat(2 << 20);
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Headers<'_>, &str, u16); 8] = [
        (&[TEAM], "", 403),
        (&[TEAM, ("X-Refguard-Model", "")], "", 403),
        (&[TEAM, TEAM, MODEL], "", 400),
        (&[("X-Refguard-Team", "%f"), MODEL], "", 400),
        (&[("X-Refguard-Team", "%ff"), MODEL], "", 400),
        (
            &[TEAM, MODEL, ("Content-Type", "application/json")],
            "{\"model\":",
            400,
        ),
        (&[TEAM, MODEL], r#"{"model":"a","model":"b"}"#, 400),
        (&[TEAM, MODEL], &long, 413),
    ];
    for (headers, body, status) in cases {
        let reply = daemon.ask("POST", "/v1/authz", headers, body);
        assert_eq!(
            (reply.status, trusted(&reply)),
            (status, empty),
            "{headers:?}"
        );
    }
    let foreign = daemon.ask(
        "GET",
        "/v1/authz",
        &[TEAM, MODEL, ("Host", "evil.example")],
        "",
    );
    assert_eq!((foreign.status, trusted(&foreign)), (403, empty));
}

#[test]
fn the_model_is_taken_from_a_forwarded_body() {
    let (_repo, daemon, commit) = served(&[]);
    let body = r#"{"model":"gpt-4","messages":[]}"#;
    let reply = daemon.ask(
        "POST",
        "/v1/authz",
        &[TEAM, ("Content-Type", "application/json")],
        body,
    );
    assert_eq!((reply.status, trusted(&reply)[2]), (200, commit.as_str()));
}

#[test]
fn what_is_required_and_what_is_denied_can_be_chosen() {
    let (_repo, daemon, _) = served(&["--require", "team,model", "--deny-unmatched"]);
    assert_eq!(daemon.ask("GET", "/v1/authz", &[MODEL], "").status, 403);
    assert_eq!(
        daemon.ask("GET", "/v1/authz", &[TEAM, MODEL], "").status,
        200
    );
    let unmatched = daemon.ask(
        "GET",
        "/v1/authz",
        &[("X-Refguard-Team", "legal"), MODEL],
        "",
    );
    assert_eq!((unmatched.status, trusted(&unmatched)[0]), (403, ""));
    let (_repo, daemon, _) = served(&["--require", ""]);
    assert_eq!(daemon.ask("GET", "/v1/authz", &[], "").status, 200);
}

#[test]
fn a_list_that_is_too_long_is_refused_never_cut() {
    let (_repo, daemon, commit) = served(&["--max-header-bytes", "60"]);
    let reply = daemon.ask("GET", "/v1/authz", &[TEAM, MODEL], "");
    assert_eq!(
        (reply.status, trusted(&reply)),
        (503, ["", "", commit.as_str()])
    );
    assert_eq!(daemon.ask("GET", "/v1/authz", &[MODEL], "").status, 200);
}

#[test]
fn a_daemon_that_is_not_ready_lets_nothing_pass() {
    let repo = Repo::new();
    repo.broken();
    let broken = repo.promote("HEAD");
    for (options, status) in [(&[][..], 503), (&["--authz-not-ready", "403"][..], 403)] {
        let daemon = Daemon::start(&repo.path(), options);
        daemon.until_rejected(&broken);
        let reply = daemon.ask("GET", "/v1/authz", &[TEAM, MODEL], "");
        assert_eq!((reply.status, trusted(&reply)), (status, ["", "", ""]));
    }
}

#[test]
fn a_set_is_chosen_by_the_proxy_and_not_by_its_client() {
    let repo = Repo::new();
    repo.write("all.yaml", POLICIES);
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &["--worktree"]);
    daemon.until_served(&commit);
    daemon.until_status("the drafts", |status| status["sets"][1]["policies"] == 1);
    let commit_of = |path: &str, more: &[(&str, &str)]| {
        let reply = daemon.ask("GET", path, &[&[TEAM, MODEL], more].concat(), "");
        (reply.status, trusted(&reply)[2].to_owned())
    };
    // The work tree has no commit: that is how its answers are known.
    let (drafts, served) = ((200, String::new()), (200, commit));
    assert_eq!(commit_of("/v1/authz", &[]), served);
    assert_eq!(commit_of("/v1/authz?set=worktree", &[]), drafts);
    for path in ["/v1/authz", "/v1/authz/", "/v1/authz/v1/chat/completions"] {
        assert_eq!(
            commit_of(path, &[("X-Refguard-Set", "worktree")]),
            drafts,
            "{path}"
        );
        assert_eq!(
            commit_of(path, &[("X-Refguard-Set", "nowhere")]).0,
            404,
            "{path}"
        );
    }
    let both = commit_of(
        "/v1/authz?set=production",
        &[("X-Refguard-Set", "worktree")],
    );
    assert_eq!(
        both, served,
        "what the proxy wrote goes before what a client may have sent"
    );

    // These are the queries of a client: appended by Envoy, passed on by Caddy and Traefik.
    assert_eq!(commit_of("/v1/authz/v1/models?set=worktree", &[]), served);
    let forwarded = [("X-Forwarded-Uri", "/v1/models?set=worktree")];
    assert_eq!(commit_of("/v1/authz?set=worktree", &forwarded), served);
    assert_eq!(daemon.get("/readyz?set=worktree").status, 200);
    assert_eq!(daemon.get("/readyz?set=nowhere").status, 404);
    for body in [r#"["gpt-4"]"#, r#"[{"model":"gpt-4"}]"#] {
        let json = ("Content-Type", "application/json");
        assert_eq!(
            daemon.ask("POST", "/v1/authz", &[TEAM, json], body).status,
            400,
            "{body}"
        );
    }
}

/// Two dimensions of refguard's own: whose key it is, and which tool an MCP call runs.
#[test]
fn users_and_tools_are_judged_by_verified_headers_and_the_body_of_a_call() {
    let repo = Repo::new();
    repo.write(
        "all.yaml",
        "apiVersion: refguard/v1
kind: Policy
name: watched
guardrails: {add: [audit]}
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: watched
users: [u-17]
tools: [\"github/*\"]
",
    );
    let commit = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &["--require", "user,tool"]);
    daemon.until_served(&commit);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_issue","arguments":{}}}"#;
    let json = ("Content-Type", "application/json");
    let user = ("X-Refguard-User", "u-17");
    let ask = |headers: &[(&str, &str)], body: &str| {
        let reply = daemon.ask("POST", "/v1/authz", &[&[json], headers].concat(), body);
        (reply.status, trusted(&reply)[0].to_owned())
    };
    let watched = (200, "audit".to_owned());
    assert_eq!(ask(&[user, ("X-Refguard-Server", "github")], call), watched);
    assert_eq!(
        ask(&[user, ("X-Refguard-Tool", "github/create_issue")], ""),
        watched
    );
    assert_eq!(
        ask(&[user, ("X-Refguard-Server", "gitlab")], call),
        (200, String::new())
    );
    let other = ("X-Refguard-User", "u-18");
    assert_eq!(
        ask(&[other, ("X-Refguard-Server", "github")], call),
        (200, String::new())
    );
    for headers in [
        &[("X-Refguard-Server", "github")][..],
        &[user],
        &[
            user,
            ("X-Refguard-Server", "github"),
            ("X-Refguard-Tool", "gitlab/create_issue"),
        ],
    ] {
        assert_eq!(ask(headers, call), (403, String::new()), "{headers:?}");
    }
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(
        ask(&[user, ("X-Refguard-Server", "github")], list),
        (403, String::new())
    );
    let batch = format!("[{call}]");
    assert_eq!(
        ask(&[user, ("X-Refguard-Server", "github")], &batch),
        (400, String::new())
    );
}
