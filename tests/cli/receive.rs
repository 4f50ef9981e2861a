//! The repository that everybody pushes to: what its hook lets in, and what it refuses.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";
const SETTINGS: &str = "apiVersion: refguard/v1\nkind: Repository\n";

/// A bare repository with the hook, and an author's repository that knows it as `origin`.
fn guarded() -> (TestRepo, TestRepo) {
    let server = TestRepo::bare();
    let hook = server.path().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        format!(
            "#!/bin/sh\nexec '{}' hook pre-receive\n",
            env!("CARGO_BIN_EXE_refguard")
        ),
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let author = TestRepo::new();
    author.git([
        "remote",
        "add",
        "origin",
        &format!("file://{}", server.path().display()),
    ]);
    author.git(["config", "refguard.publishBranch", "main"]);
    author
        .policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    author.git(["push", "-q", "origin", "main"]);
    (server, author)
}

fn promoted() -> (TestRepo, TestRepo) {
    let (server, author) = guarded();
    author.run(["promote", "--push", "origin"]).ok();
    (server, author)
}

/// A push that must be refused; what the server said.
fn refused(repo: &TestRepo, refs: &[&str]) -> String {
    let args: Vec<&str> = ["push", "-q", "origin"]
        .into_iter()
        .chain(refs.iter().copied())
        .collect();
    let out = repo.try_git(&args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success(), "git push {refs:?} succeeded: {said}");
    assert!(said.contains("pre-receive hook declined"), "{said}");
    said
}

fn publish(repo: &TestRepo, fields: &str) -> String {
    let id = repo.policy("base", fields).commit(fields);
    repo.git(["push", "-q", "origin", "main"]);
    id
}

/// A commit like `model` but for its parents, tree or message.
fn forged(repo: &TestRepo, parents: &[&str], tree: &str, message: &str) -> String {
    let tree = repo.git(["rev-parse", &format!("{tree}^{{tree}}")]);
    let mut args = vec!["commit-tree", &tree, "-m", message];
    parents
        .iter()
        .for_each(|parent| args.extend(["-p", parent]));
    repo.git(args)
}

fn message(repo: &TestRepo, commit: &str) -> String {
    repo.git(["log", "-1", "--format=%B", commit])
}

#[test]
fn the_publish_branch_is_valid_and_goes_forward() {
    let (_server, author) = guarded();
    let first = author.id("main");
    publish(&author, "guardrails: {add: [pii, audit]}");
    author
        .policy("base", "gaurdrails: {add: [pii]}")
        .commit("slip");
    let said = refused(&author, &["main"]);
    assert!(
        said.contains("refguard refuses refs/heads/main: the set is not valid"),
        "{said}"
    );
    assert!(said.contains("policies/base.yaml:4: RG012"), "{said}");
    assert!(refused(&author, &[&format!("+{first}:main")]).contains("does not hold"));
    assert!(refused(&author, &[":main"]).contains("must stay"));
    // The old tip must be on the first-parent chain: the numbers of versions are counted there.
    author.git(["reset", "-q", "--hard", "origin/main"]);
    author.git(["checkout", "-q", "-b", "side", &first]);
    author.write("README.md", "x").commit("side");
    author.merge("main", "the wrong way round");
    assert!(refused(&author, &["side:main"]).contains("not the other way round"));
    author.git(["push", "-q", "origin", "side"]);
}

#[test]
fn promotions_rollbacks_and_holds_are_let_in() {
    let (server, author) = promoted();
    author
        .policy("other", "guardrails: {add: [log]}")
        .write("attachments/o.yaml", &ATTACHED.replace("base", "other"));
    publish(&author, "guardrails: {add: [pii, audit]}");
    author.run(["promote", "--push", "origin"]).ok();
    author.policy("other", "guardrails: {add: [log, more]}");
    publish(&author, "guardrails: {add: [pii, audit, x]}");
    author
        .run(["promote", "--policy", "base", "--push", "origin"])
        .ok();
    author
        .run(["rollback", "--push", "origin", "--reason", "too much"])
        .ok();
    author.run(["hold", "--push", "origin", "audit week"]).ok();
    assert_eq!(server.id("production"), author.id("production"));
    assert_eq!(
        server.id("refs/refguard/ledger/production"),
        author.id("production")
    );
    assert!(message(&server, "production").contains("Refguard-Promotion: 5"));
    assert!(
        !server.path().join("refguard").exists(),
        "the hook writes nothing"
    );
}

#[test]
fn several_promotions_and_what_they_come_from_go_in_one_push() {
    let (server, author) = guarded();
    for fields in ["guardrails: {add: [a]}", "guardrails: {add: [b]}"] {
        author.policy("base", fields).commit(fields);
        author.run(["promote", "--local"]).ok();
    }
    let said = refused(&author, &["production"]);
    assert!(said.contains("gate `published`"), "{said}");
    author.git(["push", "-q", "origin", "main", "production"]);
    // A plain push leaves the ledger behind; it may follow, and only to where it belongs.
    assert!(
        refused(&author, &["main:refs/refguard/ledger/production"])
            .contains("is not the last promotion")
    );
    author.git(["push", "-q", "origin", "refs/refguard/ledger/production"]);
    assert_eq!(
        server.id("refs/refguard/ledger/production"),
        author.id("production")
    );
}

#[test]
fn only_promotions_move_an_environment() {
    let (_server, author) = promoted();
    let first = author.id("production");
    publish(&author, "guardrails: {add: [pii, audit]}");
    let main = author.id("main");
    author.run(["promote", "--local"]).ok();
    let good = author.id("production");
    let text = message(&author, &good);
    let case = |commit: String, due: &str| {
        let said = refused(&author, &[&format!("{commit}:refs/heads/production")]);
        assert!(said.contains(due), "{due} is not in {said}");
    };
    case(
        forged(&author, &[&first], &main, "by hand"),
        "is no promotion to `production`",
    );
    case(
        forged(
            &author,
            &[&first, &main],
            &main,
            &text.replace("Promotion: 2", "Promotion: 3"),
        ),
        "2 is due",
    );
    case(
        forged(&author, &[&first], &main, &text),
        "its parents are not those",
    );
    case(
        forged(&author, &[&first, &main], &first, &text),
        "its tree is not what its trailers say",
    );
    let digest = text
        .lines()
        .find(|line| line.starts_with("Refguard-Digest"))
        .unwrap();
    let other = format!("Refguard-Digest: {}", "0".repeat(64));
    case(
        forged(
            &author,
            &[&first, &main],
            &main,
            &text.replace(digest, &other),
        ),
        "its digest is not that",
    );
    let passed = format!("{text}\nRefguard-Allow: older");
    case(
        forged(&author, &[&first, &main], &main, &passed),
        "does not list it",
    );
    case(
        forged(
            &author,
            &[&first, &main],
            &main,
            &text.replace("production", "staging"),
        ),
        "is no promotion",
    );
    let rollback = format!("{text}\nRefguard-Rollback: 1");
    case(
        forged(&author, &[&first, &main], &main, &rollback),
        "puts the environment on hold",
    );
    let held = format!("{text}\nRefguard-Hold: mine");
    case(forged(&author, &[&first], &main, &held), "its tree is not");
    // A sound promotion on top of an unsound commit is refused for what is below it.
    let below = forged(&author, &[&first], &main, "by hand");
    case(
        forged(&author, &[&below, &main], &main, &text),
        "is no promotion",
    );
    assert!(
        refused(&author, &[&format!("+{main}:refs/heads/production")]).contains("does not hold")
    );
    assert!(refused(&author, &[":production"]).contains("must stay"));
    author.git([
        "push",
        "-q",
        "--atomic",
        "origin",
        "production",
        "refs/refguard/ledger/production",
    ]);
}

#[test]
fn the_gates_are_asked_again() {
    let (_server, author) = promoted();
    author.git(["checkout", "-q", "-b", "feature"]);
    author
        .policy("base", "guardrails: {add: [pii, audit]}")
        .commit("unpublished");
    let said = author
        .run([
            "promote",
            "feature",
            "--allow-unpublished",
            "--push",
            "origin",
        ])
        .fails(1);
    assert!(
        said.contains("`bob@example.org` may not pass the gate `published`"),
        "{said}"
    );
    author.git(["checkout", "-q", "main"]);
    // Who may is read at the old tip: the list is promoted before it counts.
    let allow =
        format!("{SETTINGS}environments: [{{name: production, allow: [bob@example.org]}}]\n");
    author.write("refguard.yaml", &allow);
    publish(&author, "guardrails: {add: [pii, log]}");
    let said = author
        .run([
            "promote",
            "feature",
            "--allow-unpublished",
            "--push",
            "origin",
        ])
        .fails(1);
    assert!(said.contains("may not pass"), "{said}");
    author.run(["promote", "--push", "origin"]).ok();
    author.git(["branch", "-D", "feature"]);
    author.git(["checkout", "-q", "-b", "feature"]);
    author
        .policy("base", "guardrails: {add: [pii, other]}")
        .commit("unpublished");
    author
        .run([
            "promote",
            "feature",
            "--allow-unpublished",
            "--push",
            "origin",
        ])
        .ok();
}

#[test]
fn no_push_lifts_the_guard_from_what_it_moves() {
    let (_server, author) = promoted();
    let elsewhere = format!("{SETTINGS}environments: [{{name: live}}]\n");
    author
        .write("refguard.yaml", &elsewhere)
        .commit("another environment");
    let by_hand = forged(&author, &["production"], "main", "by hand");
    let production = format!("{by_hand}:refs/heads/production");
    assert!(refused(&author, &["main", &production]).contains("is no promotion"));
    author.git(["push", "-q", "origin", "main"]);
    assert!(refused(&author, &[&production]).contains("is no promotion"));
    assert!(refused(&author, &["main:live"]).contains("is no promotion to `live`"));
    author
        .run(["promote", "--to", "live", "--push", "origin"])
        .ok();
}

#[test]
fn nothing_else_stands_for_an_environment() {
    let (server, author) = promoted();
    assert!(refused(&author, &["main:refs/tags/production"]).contains("git could take it"));
    assert!(refused(&author, &["main:refs/production"]).contains("git could take it"));
    assert!(refused(&author, &["main:refs/refguard/other"]).contains("only ledgers"));
    assert!(refused(&author, &["main:refs/refguard/ledger/staging"]).contains("only ledgers"));
    assert!(refused(&author, &[":refs/refguard/ledger/production"]).contains("must stay"));
    author.git([
        "push",
        "-q",
        "origin",
        "main:refs/tags/v1",
        "main:refs/heads/feature",
    ]);
    let replacement = format!("main:refs/replace/{}", author.id("main"));
    assert!(refused(&author, &[&replacement]).contains("no replacement is taken"));
    // A symbolic ref of the server's own.
    server.git(["symbolic-ref", "refs/heads/alias", "refs/heads/production"]);
    let by_hand = forged(&author, &["production"], "main", "by hand");
    assert!(
        refused(&author, &[&format!("{by_hand}:refs/heads/alias")]).contains("is no promotion")
    );
    for name in ["refs/tags/refs/heads/main", "refs/heads/refs/heads/main"] {
        assert!(refused(&author, &[&format!("main:{name}")]).contains("no branch or tag is named"));
    }
    for name in ["Production", "MAIN"] {
        let said = refused(&author, &[&format!("main:refs/heads/{name}")]);
        assert!(said.contains("do not tell upper from lower case"), "{said}");
    }
    // Where a daemon on a clone follows what was fetched.
    for name in ["origin/production", "a/b/production", "origin/main"] {
        let said = refused(&author, &[&format!("main:refs/remotes/{name}")]);
        assert!(
            said.contains("where a fetch keeps what a remote has"),
            "{said}"
        );
    }
    // Where production is another name of `main`, a push of `main` would be a promotion.
    server.git(["symbolic-ref", "refs/heads/production", "refs/heads/main"]);
    author
        .policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    assert!(refused(&author, &["main"]).contains("is symbolic"));
}

#[test]
fn no_promotion_lands_on_the_publish_branch() {
    let (_server, author) = promoted();
    author.git(["merge", "-q", "--ff-only", "production"]);
    assert!(refused(&author, &["main"]).contains("is a promotion to `production`"));
}

#[test]
fn a_refused_push_leaves_nothing_behind() {
    let (server, author) = promoted();
    let before = everything_in(server.path());
    author.policy("base", "gaurdrails: {}").commit("slip");
    refused(&author, &["main"]);
    let partial = forged(
        &author,
        &["production", "main"],
        "production",
        &message(&author, "production"),
    );
    refused(&author, &[&format!("{partial}:production")]);
    assert_eq!(everything_in(server.path()), before);
}

fn everything_in(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                // An empty folder is nothing to git.
                true => folders.push(entry.path()),
                false => drop(found.insert(entry.path().display().to_string())),
            }
        }
    }
    found
}

#[test]
fn a_folder_below_the_top_is_named_to_the_hook() {
    let server = TestRepo::bare();
    let hook = server.path().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let program = env!("CARGO_BIN_EXE_refguard");
    fs::write(
        &hook,
        format!("#!/bin/sh\nexec '{program}' hook pre-receive --root policies/eu\n"),
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let author = TestRepo::new();
    author.git([
        "remote",
        "add",
        "origin",
        &format!("file://{}", server.path().display()),
    ]);
    author.write("policies/eu/refguard.yaml", SETTINGS).write(
        "policies/eu/a.yaml",
        "apiVersion: refguard/v1\nkind: Polcy\n",
    );
    author
        .write("broken.yaml", "apiVersion: refguard/v1\nkind: Polcy\n")
        .commit("one");
    assert!(refused(&author, &["main"]).contains(" a.yaml:2"));
    author.remove("policies/eu/a.yaml").commit("two");
    author.git(["push", "-q", "origin", "main"]);
}

#[test]
fn an_author_is_warned_before_the_push() {
    let (_server, author) = promoted();
    author.run(["hook", "install"]).ok();
    author
        .policy("base", "gaurdrails: {add: [pii]}")
        .git(["add", "-A"]);
    author.git(["commit", "-q", "--no-verify", "-m", "slip"]);
    let out = author.try_git(&["push", "-q", "origin", "main"]);
    let said = String::from_utf8(out.stderr).unwrap();
    let own: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("remote:"))
        .collect();
    assert!(
        own.contains(&"warning: the remote may refuse refs/heads/main: the set is not valid"),
        "{said}"
    );
    // A sound push is not talked about.
    author
        .policy("base", "guardrails: {add: [pii, audit]}")
        .commit("mended");
    let out = author.try_git(&["push", "-q", "origin", "main"]);
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    assert!(
        author
            .run(["promote", "--push", "origin"])
            .ok()
            .contains("promotion 2")
    );
}

/// `git http-backend` behind a small server; it ends with its input.
struct Http {
    child: Child,
    port: u16,
}

impl Http {
    fn serving(folder: &Path) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/http/server.py");
        let mut command = Command::new("python3");
        command
            .arg(script)
            .arg(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Some(Self {
            child,
            port: line.trim().parse().expect("the port of the server"),
        })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn the_hook_judges_pushes_over_http_too() {
    let (server, author) = guarded();
    let Some(http) = Http::serving(server.path().parent().unwrap()) else {
        println!("python3 is not there: smart HTTP is not tested");
        return;
    };
    let name = server.path().file_name().unwrap().to_str().unwrap();
    author.git([
        "remote",
        "set-url",
        "origin",
        &format!("http://127.0.0.1:{}/{name}", http.port),
    ]);
    author.run(["promote", "--push", "origin"]).ok();
    publish(&author, "guardrails: {add: [pii, audit]}");
    author.run(["promote", "--push", "origin"]).ok();
    assert_eq!(server.id("production"), author.id("production"));
    let by_hand = forged(&author, &["production"], "main", "by hand");
    assert!(
        refused(&author, &[&format!("{by_hand}:refs/heads/production")])
            .contains("is no promotion")
    );
    author.policy("base", "gaurdrails: {}").commit("slip");
    assert!(refused(&author, &["main"]).contains("policies/base.yaml:4"));
}

#[test]
fn an_environment_behind_another_takes_what_that_one_has() {
    let (server, author) = guarded();
    let settings = format!(
        "{SETTINGS}environments:\n  - name: production\n    from: staging\n    allow: [bob@example.org]\n  - name: staging\n"
    );
    author.write("refguard.yaml", &settings);
    publish(&author, "guardrails: {add: [pii, audit]}");
    author.run(["promote", "--to", "staging", "--local"]).ok();
    author.run(["promote", "--local"]).ok();
    let said = refused(&author, &["production"]);
    assert!(said.contains("gate `published`"), "{said}");
    author.git(["push", "-q", "origin", "staging", "production"]);
    assert_eq!(server.id("production"), author.id("production"));
    // What is allowed is recorded, and only what was needed.
    author.run(["hold", "--push", "origin", "audit week"]).ok();
    publish(&author, "guardrails: {add: [pii, log]}");
    author
        .run(["promote", "--to", "staging", "--push", "origin"])
        .ok();
    author
        .run(["promote", "--release-hold", "over", "--push", "origin"])
        .ok();
    author
        .policy("base", "guardrails: {add: [pii, log, audit]}")
        .commit("more");
    author.git(["push", "-q", "origin", "main"]);
    author
        .run(["promote", "--to", "staging", "--push", "origin"])
        .ok();
    let held = author.id("production");
    author.run(["promote", "--local"]).ok();
    let record = message(&author, "production");
    let parents: Vec<String> = author
        .git(["log", "-1", "--format=%P", "production"])
        .split(' ')
        .map(str::to_owned)
        .collect();
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    assert_eq!(parents[0], held);
    let forged = forged(
        &author,
        &parents,
        "production",
        &format!("{record}\nRefguard-Allow: weaken no need"),
    );
    let said = refused(&author, &[&format!("{forged}:refs/heads/production")]);
    assert!(
        said.contains("records a gate as passed that does not refuse it"),
        "{said}"
    );
}

/// Settings that let some people pass gates.
fn allowing(who: &str) -> String {
    format!("{SETTINGS}environments:\n  - name: production\n    allow: [{who}]\n")
}

#[test]
fn a_promotion_that_loses_a_safeguard_unsaid_is_refused() {
    let (server, author) = guarded();
    let gates = "    gates: {safeguards: refuse}\n    allow: [bob@example.org]\n";
    let case = "apiVersion: refguard/v1\nkind: PolicyTest\nname: everyone\ncases:\n  \
                - {name: masked, context: {team: eu}, expect: {includes: [pii]}}\n";
    author
        .write(
            "refguard.yaml",
            &format!("{SETTINGS}environments:\n  - name: production\n{gates}"),
        )
        .write("tests/everyone.yaml", case);
    publish(&author, "guardrails: {add: [pii, log]}");
    author.run(["promote", "--push", "origin"]).ok();
    let first = author.id("production");
    author.remove("tests/everyone.yaml");
    publish(&author, "guardrails: {add: [pii, log, audit]}");
    author
        .run([
            "promote",
            "--local",
            "--allow-safeguards",
            "an invariant says it",
        ])
        .ok();
    let said = message(&author, "production");
    let unsaid: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("Refguard-Allow:"))
        .collect();
    assert!(unsaid.len() < said.lines().count(), "{said}");

    let main = author.id("main");
    let forged = forged(&author, &[&first, &main], &main, &unsaid.join("\n"));
    let refused = refused(&author, &[&format!("{forged}:refs/heads/production")]);
    assert!(refused.contains("gate `safeguards`"), "{refused}");
    assert!(
        refused.contains("test `everyone: masked` is gone"),
        "{refused}"
    );
    author.git(["push", "-q", "origin", "production"]);
    assert_eq!(server.id("production"), author.id("production"));
}

/// As a test that is gone: an invariant, and who may pass gates.
#[test]
fn a_push_that_deletes_an_invariant_or_widens_who_may_pass_is_refused() {
    let invariant = "apiVersion: refguard/v1\nkind: Invariant\nname: masked\n\
        for: {teams: [\"*\"]}\nrequire: [pii]\n";
    let settings = |allow: &str| {
        format!(
            "{SETTINGS}environments:\n  - name: production\n    gates: {{safeguards: refuse}}\n    \
             allow: [{allow}]\n"
        )
    };
    for (is_kept, allow, lost) in [
        (false, "bob@example.org", "invariant `masked`"),
        (
            true,
            "bob@example.org, eve@example.org",
            "allow `eve@example.org` may now pass",
        ),
    ] {
        let (server, author) = guarded();
        author
            .write("refguard.yaml", &settings("bob@example.org"))
            .write("invariants/masked.yaml", invariant);
        publish(&author, "guardrails: {add: [pii, log]}");
        author.run(["promote", "--push", "origin"]).ok();
        let first = author.id("production");
        author.write("refguard.yaml", &settings(allow));
        if !is_kept {
            author.remove("invariants/masked.yaml");
        }
        publish(&author, "guardrails: {add: [pii, log, audit]}");
        author
            .run(["promote", "--local", "--allow-safeguards", "so be it"])
            .ok();
        let said = message(&author, "production");
        let unsaid: Vec<&str> = said
            .lines()
            .filter(|line| !line.starts_with("Refguard-Allow:"))
            .collect();
        let main = author.id("main");
        let forged = forged(&author, &[&first, &main], &main, &unsaid.join("\n"));
        let refused = refused(&author, &[&format!("{forged}:refs/heads/production")]);
        assert!(
            refused.contains("gate `safeguards`") && refused.contains(lost),
            "{refused}"
        );
        assert_eq!(server.id("production"), first);
    }
}

#[test]
fn an_empty_server_takes_the_publish_branch_that_it_names_with_the_first_promotion() {
    let (server, author) = guarded();
    server.git(["update-ref", "-d", "refs/heads/main"]);
    author.git(["branch", "-q", "-m", "main", "trunk"]);
    author.git(["config", "refguard.publishBranch", "trunk"]);
    author.run(["promote", "--local"]).ok();

    // While the server names another branch, nothing is published that could be promoted.
    let both = ["trunk", "production", "refs/refguard/ledger/production"];
    let said = refused(&author, &both);
    assert!(said.contains("symbolic-ref"), "{said}");
    server.git(["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    author.git([
        "push", "-q", "--atomic", "origin", both[0], both[1], both[2],
    ]);
    assert_eq!(server.id("production"), author.id("production"));
}

#[test]
fn another_publish_branch_is_guarded_and_main_is_a_branch_like_others() {
    let (server, author) = guarded();
    server.git(["update-ref", "-d", "refs/heads/main"]);
    server.git(["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    let first = author.id("main");
    author.git(["checkout", "-q", "-b", "trunk"]);
    author
        .policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    author.git(["push", "-q", "origin", "trunk", "main"]);

    assert!(refused(&author, &[&format!("+{first}:trunk")]).contains("does not hold"));
    assert!(refused(&author, &[":trunk"]).contains("must stay"));
    author.git(["push", "-q", "origin", "trunk:main"]);
    author.git(["push", "-q", "origin", &format!("+{first}:main")]);
    author.git(["push", "-q", "origin", ":main"]);
}

#[test]
fn a_rollback_to_settings_that_name_others_leaves_the_release_to_either_side() {
    let (server, author) = guarded();
    for who in ["gone@example.org", "bob@example.org"] {
        author.write("refguard.yaml", &allowing(who)).commit(who);
        author.git(["push", "-q", "origin", "main"]);
        author.run(["promote", "--push", "origin"]).ok();
    }
    // Both sides judge now, and name nobody in common: the other gates have nobody who may pass
    // them.
    author.run(["rollback"]).ok();
    let released = author
        .run(["release", "the detector is mended", "--format", "json"])
        .json();
    assert_eq!(
        (&released["promotion"], &released["changed"]),
        (&4.into(), &true.into())
    );
    assert_eq!(server.id("production"), author.id("production"));
    assert_eq!(
        server.git(["rev-parse", "production^{tree}"]),
        server.git(["rev-parse", "production~1^{tree}"])
    );

    publish(&author, "guardrails: {add: [pii, audit]}");
    author.run(["promote", "--allow-unpublished"]).ok();
    publish(&author, "guardrails: {add: [pii]}");
    author.run(["hold", "audit"]).ok();
    let stranger = [("GIT_COMMITTER_EMAIL", "eve@example.org")];
    let refused = author.run_with(["release", "mine"], &stranger).fails(1);
    assert!(refused.contains("does not list it"), "{refused}");
    assert_eq!(
        author.run(["log", "--format", "json"]).json()["promotions"][0]["kind"],
        "hold"
    );
}

#[test]
fn a_promotion_that_does_not_look_like_one_of_this_release_is_refused() {
    let (server, author) = promoted();
    publish(&author, "guardrails: {add: [pii, audit]}");
    author.run(["promote", "--local"]).ok();
    let (tip, tree) = (
        author.id("production"),
        author.git(["rev-parse", "production^{tree}"]),
    );
    let message = author.git(["log", "-1", "--format=%B", &tip]);
    let previous: String = message
        .lines()
        .filter(|line| !line.starts_with("Refguard-Previous"))
        .map(|line| format!("{line}\n"))
        .collect();
    let root = message.replace("Refguard-Root: .\n", "");
    let subject = message.replacen("promote ", "Promotes ", 1);
    for (message, why) in [
        (previous, "the promotion before it"),
        (root, "root"),
        (subject, "subject"),
    ] {
        let (first, second) = (author.id("production~1"), author.id("main"));
        let forged = author.git([
            "commit-tree",
            &tree,
            "-p",
            &first,
            "-p",
            &second,
            "-m",
            message.trim_end(),
        ]);
        let said = refused(&author, &[&format!("{forged}:refs/heads/production")]);
        assert!(said.contains(why), "{why}: {said}");
    }
    author.git([
        "push",
        "-q",
        "origin",
        "production",
        "refs/refguard/ledger/production",
    ]);
    assert_eq!(server.id("production"), tip);
}
