//! `/ui/`: who may see pages, what they carry, and what they say. What browsers make of them is
//! tested in tests/pages.

use std::fs;

use std::time::Duration;

use jiff::Timestamp;

use super::support::{Client, Daemon, Reply, Repo, policy, until};

/// SHA-256 of `test`.
const TEST_HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The cookie that an answer sets, as a browser sends it back.
fn cookie(reply: &Reply) -> String {
    let cookie = reply.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn the_first_page_says_what_is_in_force_and_loads_nothing_from_elsewhere() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let commit = repo.git(&["rev-parse", "production"]);
    daemon.until_served(&commit);

    assert_eq!(daemon.get("/").header("location"), Some("/ui/"));
    let page = daemon.get("/ui/");
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains(commit.get(..10).unwrap()),
        "{}",
        page.body
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert!(!page.body.contains("<style") && !page.body.contains("style="));
    for part in page
        .body
        .split(['"'])
        .filter(|part| part.starts_with("/ui/refguard."))
    {
        assert_eq!(daemon.get(part).status, 200, "{part}");
    }

    let gone = daemon.get("/ui/nothing");
    assert_eq!(
        (gone.status, gone.header("content-type")),
        (404, Some("text/html; charset=utf-8"))
    );
    assert!(gone.body.contains("href=\"/ui/\""));
    let foreign = daemon.ask("GET", "/ui/", &[("host", "evil.example")], "");
    assert_eq!(foreign.status, 403);
    assert_eq!(daemon.get("/ui/?set=nope").status, 404);
    assert_eq!(daemon.get("/ui/?set=production").status, 200);
}

#[test]
fn a_daemon_without_pages_has_none() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--no-ui"]);
    for path in [
        "/",
        "/ui",
        "/ui/",
        "/ui/events",
        "/ui/refguard.css",
        "/ui/sign-in",
    ] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_browser_signs_in_with_a_token_and_out_again() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, format!("{TEST_HASH}\n")).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let sign_in = |body: &str, headers: &[(&str, &str)]| {
        daemon.ask("POST", "/ui/sign-in", &[&[FORM], headers].concat(), body)
    };
    let see = |path: &str, cookie: &str| daemon.ask("GET", path, &[("cookie", cookie)], "");

    let led = daemon.get("/ui/policies?q=a");
    assert_eq!(led.status, 303);
    assert_eq!(
        led.header("location"),
        Some("/ui/sign-in?next=%2Fui%2Fpolicies%3Fq%3Da")
    );
    assert_eq!(daemon.get("/ui/events").status, 401);
    assert_eq!(daemon.get("/ui/sign-in").status, 200);
    let by_token = daemon.ask("GET", "/ui/", &[("authorization", "Bearer test")], "");
    assert_eq!(by_token.status, 200);

    let wrong = sign_in("token=wrong", &[]);
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    assert!(!wrong.body.contains("value=\"wrong\""));
    let foreign = sign_in("token=test", &[("origin", "https://evil.example")]);
    assert_eq!((foreign.status, foreign.header("set-cookie")), (403, None));

    let right = sign_in("token=test&next=%2Fui%2Fpolicies%3Fq%3Da", &[]);
    assert_eq!(
        (right.status, right.header("location")),
        (303, Some("/ui/policies?q=a"))
    );
    let whole = right.header("set-cookie").unwrap();
    assert!(whole.contains("HttpOnly; SameSite=Strict") && whole.contains("Max-Age=28800"));
    assert!(!whole.contains("test") && !whole.contains(TEST_HASH));
    let cookie = cookie(&right);
    let page = see("/ui/", &cookie);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Sign out"));
    assert_eq!(
        see("/v1/status", &cookie).status,
        401,
        "the cookie is for pages only"
    );
    let elsewhere = sign_in("token=test&next=https%3A%2F%2Fevil.example%2F", &[]);
    assert_eq!(elsewhere.header("location"), Some("/ui/"));

    let out = daemon.ask("POST", "/ui/sign-out", &[FORM, ("cookie", &cookie)], "");
    assert_eq!(
        (out.status, out.header("location")),
        (303, Some("/ui/sign-in"))
    );
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(see("/ui/", &cookie).status, 303);
    let again = daemon.ask("POST", "/ui/sign-out", &[FORM, ("cookie", &cookie)], "");
    assert_eq!(
        (again.status, again.header("location")),
        (303, Some("/ui/sign-in"))
    );
    let led = Client::new(&daemon.address).head("/ui/policies");
    assert_eq!(
        led.header("location"),
        Some("/ui/sign-in?next=%2Fui%2Fpolicies")
    );
    let up = sign_in("token=test&next=%2Fui%2F..%2Fv1%2Fstatus", &[]);
    assert_eq!(up.header("location"), Some("/ui/"));
}

#[test]
fn a_session_ends_with_its_token_and_after_its_time() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, format!("{TEST_HASH}\n")).unwrap();
    let start = |more: &[&str]| {
        Daemon::start(
            &repo.path(),
            &[&["--tokens", tokens.to_str().unwrap()], more].concat(),
        )
    };
    let see =
        |daemon: &Daemon, cookie: &str| daemon.ask("GET", "/ui/", &[("cookie", cookie)], "").status;

    let daemon = start(&[]);
    let session = cookie(&daemon.ask("POST", "/ui/sign-in", &[FORM], "token=test"));
    assert_eq!(see(&daemon, &session), 200);
    fs::write(&tokens, format!("{}\n", TEST_HASH.replace('9', "8"))).unwrap();
    daemon.signal("HUP");
    until("the token is gone", || see(&daemon, &session) == 303);
    drop(daemon);

    fs::write(&tokens, format!("{TEST_HASH}\n")).unwrap();
    let daemon = start(&["--session-time", "1ms"]);
    let session = cookie(&daemon.ask("POST", "/ui/sign-in", &[FORM], "token=test"));
    until("the session is over", || see(&daemon, &session) == 303);
}

/// SHA-256 of `other`.
const OTHER_HASH: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

/// The status of the API for a token.
fn by_token(daemon: &Daemon, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    daemon
        .ask("GET", "/v1/status", &[("authorization", &bearer)], "")
        .status
}

#[test]
fn a_session_does_not_come_back_with_its_token() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, format!("{TEST_HASH}\n")).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let session = cookie(&daemon.ask("POST", "/ui/sign-in", &[FORM], "token=test"));
    for (hash, status) in [(OTHER_HASH, 401), (TEST_HASH, 200)] {
        fs::write(&tokens, format!("{hash}\n")).unwrap();
        daemon.signal("HUP");
        until("the tokens are read", || {
            by_token(&daemon, "test") == status
        });
    }
    assert_eq!(
        daemon
            .ask("GET", "/ui/", &[("cookie", &session)], "")
            .status,
        303
    );
}

#[test]
fn a_page_that_follows_is_told_nothing_once_it_may_not_look() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    let both = format!("{TEST_HASH}\n{OTHER_HASH}\n");
    fs::write(&tokens, &both).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let follow = |header: (&str, &str)| {
        let mut page = Client::new(&daemon.address);
        let reply = page.open_stream("/ui/events", &[header]);
        assert!(
            reply.status == 200 && reply.body.starts_with("event: change"),
            "{reply:?}"
        );
        page
    };
    let sign_in = |body: &str| cookie(&daemon.ask("POST", "/ui/sign-in", &[FORM], body));

    let session = sign_in("token=test");
    let mut page = follow(("cookie", &session));
    let out = daemon.ask("POST", "/ui/sign-out", &[FORM, ("cookie", &session)], "");
    assert_eq!(out.status, 303);
    page.until_stream_ends();

    let mut pages = [
        follow(("cookie", &sign_in("token=test"))),
        follow(("authorization", "Bearer test")),
    ];
    fs::write(&tokens, format!("{OTHER_HASH}\n")).unwrap();
    daemon.signal("HUP");
    pages.iter_mut().for_each(Client::until_stream_ends);
    drop(daemon);

    let short = ["--tokens", tokens.to_str().unwrap(), "--session-time", "3s"];
    let daemon = Daemon::start(&repo.path(), &short);
    let session = cookie(&daemon.ask("POST", "/ui/sign-in", &[FORM], "token=other"));
    let mut page = Client::new(&daemon.address);
    assert_eq!(
        page.open_stream("/ui/events", &[("cookie", &session)])
            .status,
        200
    );
    page.until_stream_ends();
}

#[test]
fn who_signs_in_often_takes_place_from_nobody_else() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, format!("{TEST_HASH}\n{OTHER_HASH}\n")).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let sign_in = |body: &str| cookie(&daemon.ask("POST", "/ui/sign-in", &[FORM], body));
    let see = |cookie: &str| daemon.ask("GET", "/ui/", &[("cookie", cookie)], "").status;
    let (other, first, second) = (
        sign_in("token=other"),
        sign_in("token=test"),
        sign_in("token=test"),
    );
    (0..99).for_each(|_| drop(sign_in("token=test")));
    assert_eq!(
        [&other, &first, &second].map(|session| see(session)),
        [200, 303, 200]
    );
}

#[test]
fn pages_that_follow_leave_connections_to_others() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &["--max-connections", "20"]);
    let open = || {
        let mut page = Client::new(&daemon.address);
        let status = page.open_stream("/ui/events", &[]).status;
        (page, status)
    };
    let pages: Vec<_> = (0..10).map(|_| open()).collect();
    assert!(pages.iter().all(|(_, status)| *status == 200));
    assert_eq!(open().1, 503);
    assert_eq!(daemon.get("/v1/status").status, 200);
    daemon.until_metrics(&["refguard_http_following 10"]);
    drop(pages);
    daemon.until_metrics(&["refguard_http_following 0"]);
    drop(daemon);

    let daemon = Daemon::start(&repo.path(), &["--max-connections", "200"]);
    let mut pages: Vec<_> = (0..51).map(|_| Client::new(&daemon.address)).collect();
    let statuses = pages
        .iter_mut()
        .map(|page| page.open_stream("/ui/events", &[]).status);
    let statuses: Vec<u16> = statuses.collect();
    assert_eq!(
        (statuses[..50].iter().all(|it| *it == 200), statuses[50]),
        (true, 429)
    );
}

#[test]
fn who_sends_wrong_tokens_has_to_wait() {
    let repo = Repo::serving();
    let tokens = repo.beside("tokens");
    fs::write(&tokens, format!("{TEST_HASH}\n")).unwrap();
    let daemon = Daemon::start(&repo.path(), &["--tokens", tokens.to_str().unwrap()]);
    let mut statuses: Vec<u16> = Vec::new();
    for _ in 0..12 {
        statuses.push(
            daemon
                .ask("POST", "/ui/sign-in", &[FORM], "token=wrong")
                .status,
        );
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert!(statuses.contains(&429), "{statuses:?}");
    until("a browser is told how long to wait", || {
        let reply = daemon.ask("POST", "/ui/sign-in", &[FORM], "token=wrong");
        reply.status == 429 && reply.header("retry-after") == Some("6")
    });
    let proxy = daemon.ask("GET", "/v1/status", &[("authorization", "Bearer test")], "");
    assert_eq!(proxy.status, 200);
}

#[test]
fn the_first_page_says_what_was_rejected_and_where() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving", |set| set["commit"].is_string());
    let broken = repo.broken();
    repo.promote("HEAD");
    daemon.until_rejected(&broken);
    let page = daemon.get("/ui/").body;
    assert!(page.contains("serving the last good set"), "{page}");
    assert!(
        page.contains(broken.get(..10).unwrap()) && page.contains("policies/p0.yaml:4"),
        "{page}"
    );
}

#[test]
fn names_of_others_are_text() {
    let repo = Repo::new();
    repo.write("policies/p.yaml", &policy("p", "g"));
    let who = "Eve \" onmouseover=\"alert(1) \u{202e}";
    let what = "<img src=x onerror=alert(1)> \u{202e}<b>";
    repo.git(&["add", "-A"]);
    let message = format!("{what}</li><script>alert(2)</script>{}", "m".repeat(10_000));
    repo.git(&[
        "commit",
        "-q",
        "--author",
        &format!("{who} <a@example.org>"),
        "-m",
        &message,
    ]);
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving", |set| set["commit"].is_string());
    let page = daemon.get("/ui/").body;
    for markup in ["<img", "<script>", "\u{202e}", "<b>", "Eve \" on"] {
        assert!(!page.contains(markup), "{markup}: {page}");
    }
    assert!(
        page.contains("&lt;img") && page.contains("Eve &quot;"),
        "{page}"
    );
}

#[test]
fn an_answer_names_its_commit_and_stays_what_it_is() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    let first = repo.git(&["rev-parse", "production"]);
    daemon.until_served(&first);
    let led = daemon.get("/ui/ask?team=a");
    let address = led.header("location").unwrap().to_owned();
    assert_eq!(
        (led.status, address.contains(&first)),
        (303, true),
        "{address}"
    );
    let answer = daemon.get(&address);
    assert!(answer.body.contains("gen-1") && !answer.body.contains("looking at the past"));

    repo.generation(2);
    let second = repo.promote("HEAD");
    daemon.until_served(&second);
    let answer = daemon.get(&address);
    assert!(answer.body.contains("gen-1") && answer.body.contains("looking at the past"));
    let gained = leads(
        &daemon,
        &format!("/ui/ask?team=a&at={second}&against={first}"),
    );
    let gained = daemon.get(&gained).body;
    assert!(gained.contains("Had then, not here") && gained.contains("Has here, not then"));
    let gone = daemon.get("/ui/ask?team=a&at=HEAD~1");
    assert_eq!(
        gone.status, 404,
        "no revision but what was in force can be named"
    );
}

/// Where a page leads.
fn leads(daemon: &Daemon, address: &str) -> String {
    let reply = daemon.get(address);
    let to = reply
        .header("location")
        .unwrap_or_else(|| panic!("{address} leads on: {reply:?}"));
    to.to_owned()
}

/// The guardrails of an answer.
fn gets(page: &str) -> Vec<&str> {
    let (_, chips) = page
        .split_once("big-chips")
        .unwrap_or_else(|| panic!("no answer: {page}"));
    let (chips, _) = chips.split_once("</div>").unwrap();
    chips
        .split("<code>")
        .skip(1)
        .filter_map(|chip| chip.split('<').next())
        .collect()
}

#[test]
fn an_answer_names_the_instant_and_stays_what_it_is_when_an_attachment_ends() {
    let repo = Repo::new();
    let ends = Timestamp::now() + Duration::from_secs(6);
    repo.write("policies/stays.yaml", &policy("stays", "stays"));
    let pilot = format!(
        "{}expires: {ends}\nreason: a pilot\n",
        policy("pilot", "pilot")
    );
    repo.write("policies/pilot.yaml", &pilot);
    repo.commit();
    repo.refguard(&["promote", "--reason", "a pilot"]);
    let commit = repo.git(&["rev-parse", "production"]);
    // As its commit says: a promotion is later than what it promotes.
    let then = repo
        .git(&["show", "-s", "--format=%ct", &commit])
        .parse()
        .unwrap();
    let then = Timestamp::from_second(then).unwrap();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&commit);
    let led = |address: &str| leads(&daemon, address);

    let shared = led("/ui/ask?team=a");
    assert!(
        shared.contains(&commit) && shared.contains("&now="),
        "{shared}"
    );
    assert_eq!(gets(&daemon.get(&shared).body), ["pilot", "stays"]);
    let policies = daemon.get("/ui/policies").body;
    assert!(
        policies.contains(&format!("at={commit}&amp;now=")),
        "{policies}"
    );

    until("the pilot has ended", || daemon.guardrails() == ["stays"]);
    let now = led("/ui/ask?team=a");
    assert_eq!(gets(&daemon.get(&now).body), ["stays"]);
    let before = daemon.get(&shared).body;
    assert_eq!(gets(&before), ["pilot", "stays"]);
    assert!(before.contains("looking at the past"), "{before}");

    let of_time = led(&format!("/ui/ask?team=a&at={then}"));
    assert!(of_time.contains(&format!("at={commit}&now=")), "{of_time}");
    assert_eq!(gets(&daemon.get(&of_time).body), ["pilot", "stays"]);
    let beside = led(&format!(
        "/ui/ask?team=a&at={commit}&now={now}&against={then}",
        now = "2999-01-01"
    ));
    let beside = daemon.get(&beside).body;
    assert_eq!(gets(&beside), ["stays"]);
    assert!(beside.contains("Had then, not here"), "{beside}");
    assert_eq!(daemon.get("/ui/ask?team=a&now=tomorrow").status, 400);
}

#[test]
fn what_is_not_promoted_yet_is_named_by_the_beginning_of_its_commit() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving", |set| set["commit"].is_string());
    let published = repo.generation(2);
    let start = published.get(..10).unwrap();
    let page = daemon.get(&format!("/ui/policies?at={start}"));
    assert_eq!(page.status, 200);
    assert!(page.body.contains("gen-2") && page.body.contains(&format!("at={published}")));
}

#[test]
fn other_pages_go_on_while_many_ask_for_differences() {
    let repo = Repo::new();
    let set = |guardrail: &str| {
        let policies = (0..150).map(|n| policy(&format!("p{n:03}"), guardrail));
        policies.collect::<Vec<_>>().join("---\n")
    };
    repo.write("policies/many.yaml", &set("g"));
    let first = repo.commit();
    repo.write("policies/many.yaml", &set("h"));
    let second = repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until_served(&second);

    let addresses = [(&first, &second), (&second, &first)];
    let addresses = addresses.map(|(from, to)| format!("/ui/difference?from={from}&to={to}"));
    let ask_all = || {
        let mut asked: Vec<Client> = Vec::new();
        for address in addresses.iter().cycle().take(30) {
            let mut client = Client::new(&daemon.address);
            client.send("GET", address, &[], "");
            asked.push(client);
        }
        for path in ["/ui/", "/ui/ask", "/ui/policies", "/ui/matrix"] {
            assert_eq!(daemon.get(path).status, 200, "{path}");
        }
        asked
            .iter_mut()
            .map(|client| client.reply().unwrap())
            .collect::<Vec<_>>()
    };
    for reply in ask_all() {
        let is_busy = reply.header("retry-after").is_some() && reply.body.contains("<h1>Busy</h1>");
        assert!(
            reply.status == 200 || reply.status == 503 && is_busy,
            "{reply:?}"
        );
    }
    for address in &addresses {
        until("the difference is known", || {
            daemon.get(address).status == 200
        });
    }
    assert!(
        ask_all().iter().all(|reply| reply.status == 200),
        "what is known is shown to all"
    );
}

#[test]
fn a_draft_is_on_no_page() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving", |set| set["commit"].is_string());
    repo.git(&["checkout", "-q", "-b", "draft"]);
    let draft = repo.generation(7);
    for path in [
        format!("/ui/policies?at={draft}"),
        format!("/ui/policies?at={}", draft.get(..10).unwrap()),
        "/ui/policies?at=draft".to_owned(),
        format!("/ui/difference?from=1&to={draft}"),
    ] {
        let page = daemon.get(&path);
        assert_eq!(page.status, 404, "{path}");
        assert!(!page.body.contains("gen-7"));
    }
}

#[test]
fn policies_are_searched_and_paged_at_the_server() {
    let repo = Repo::new();
    let many: String = (0..120)
        .map(|n| policy(&format!("p{n:03}"), "g") + "---\n")
        .collect();
    repo.write("policies/many.yaml", many.trim_end_matches("---\n"));
    repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving", |set| set["commit"].is_string());
    let first = daemon.get("/ui/policies").body;
    assert!(first.contains("p000") && first.contains("p049") && !first.contains("p050"));
    assert!(first.contains("Page 1 of 3"), "{first}");
    let commit = repo.git(&["rev-parse", "production"]);
    let next = format!("/ui/policies?set=production&amp;at={commit}&amp;page=2");
    let policy = format!("/ui/policy?set=production&amp;at={commit}&amp;name=p000");
    assert!(first.contains(&next) && first.contains(&policy), "{first}");
    assert!(
        !daemon
            .get(&next.replace("&amp;", "&"))
            .body
            .contains("looking at the past")
    );
    let last = daemon.get("/ui/policies?page=3").body;
    assert!(last.contains("p119") && !last.contains("p099"));
    let found = daemon.get("/ui/policies?q=P07").body;
    assert!(found.contains("p070") && !found.contains("p080") && found.contains("10 of 120"));
    assert!(
        daemon
            .get("/ui/policies?q=nobody")
            .body
            .contains("No policy has that")
    );
}

#[test]
fn the_matrix_is_a_table_for_a_spreadsheet_too() {
    let repo = Repo::new();
    repo.write("policies/p.yaml", &policy("p", "g"));
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [g]\nteams: [a, b]\n",
    );
    repo.commit();
    repo.promote("HEAD");
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("serving", |set| set["commit"].is_string());
    let csv = daemon.get("/ui/matrix.csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let commit = repo.git(&["rev-parse", "production"]);
    let file = format!(
        "attachment; filename=\"matrix-{}.csv\"",
        commit.get(..10).unwrap()
    );
    assert_eq!(csv.header("content-disposition"), Some(file.as_str()));
    let page = daemon.get("/ui/matrix").body;
    let link = format!("/ui/matrix.csv?set=production&amp;at={commit}");
    assert!(page.contains(&link), "{page}");
    assert_eq!(csv.body.replace('\r', ""), "team,guardrails\n\"a, b\",g\n");
    let each = daemon.get("/ui/matrix.csv?rows=each&filter=b").body;
    assert_eq!(each.replace('\r', ""), "team,guardrails\nb,g\n");
    assert!(
        daemon
            .get("/ui/matrix?by=user")
            .body
            .contains("no catalog lists the names of users")
    );
}

#[test]
fn places_lead_to_the_forge_and_what_ends_is_told() {
    let repo = Repo::new();
    let ends = "expires: 2999-12-31\nreason: until the audit is over\n";
    repo.write(
        "set/policies/p.yaml",
        &format!("{}{ends}", policy("p", "g")),
    );
    repo.write(
        "set/refguard.yaml",
        "apiVersion: refguard/v1\nkind: Repository\n",
    );
    let commit = repo.commit();
    repo.promote("HEAD");
    let template = "https://forge.example/blob/{commit}/{path}#L{line}";
    let daemon = Daemon::start(&repo.path().join("set"), &["--link", template]);
    daemon.until("serving", |set| set["commit"].is_string());

    let page = daemon.get("/ui/policy?name=p").body;
    let address = format!("href=\"https://forge.example/blob/{commit}/set/policies/p.yaml#L1\"");
    assert!(page.contains(&address), "{page}");
    assert!(page.contains("until the audit is over"), "{page}");
    let now = daemon.get("/ui/").body;
    assert!(
        now.contains("Ends by itself") && now.contains("until the audit is over"),
        "{now}"
    );
    let answer = daemon
        .get(&leads(&daemon, &format!("/ui/ask?team=a&at={commit}")))
        .body;
    assert!(answer.contains("then an attachment ends"), "{answer}");
}
