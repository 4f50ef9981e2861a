//! What a commit may decide, and what not: content is judged and never chooses its judge.

use serde_json::{Value, json};

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";
const SETTINGS: &str = "apiVersion: refguard/v1\nkind: Repository\n";

/// One policy with two guardrails, promoted, whose loss is refused.
fn strict() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .write("attachments/all.yaml", ATTACHED)
        .write(
            "refguard.yaml",
            &environments("  - name: production\n    gates: {weaken: refuse}\n"),
        )
        .commit("one");
    repo.run(["promote"]).ok();
    repo
}

fn environments(lines: &str) -> String {
    format!("{SETTINGS}environments:\n{lines}")
}

fn weakened(repo: &TestRepo, settings: &str) {
    let fields = "guardrails: {add: [pii]}\npipeline: {mode: pre_call, steps: [{guardrail: pii}]}";
    repo.policy("base", fields)
        .write("refguard.yaml", settings)
        .commit("weaker");
}

fn guardrails(repo: &TestRepo) -> Value {
    repo.run(["resolve", "--at", "production", "--format", "json"])
        .json()["guardrails"]
        .clone()
}

#[test]
fn no_file_says_which_ref_is_an_environment() {
    let repo = strict();
    let before = repo.id("refs/heads/production");
    let elsewhere = "  - name: production\n    ref: refs/heads/prod\n    gates: {weaken: off}\n";
    repo.write("refguard.yaml", &environments(elsewhere))
        .commit("another ref");
    let said = repo.run(["promote"]).fails(1);
    assert!(said.contains("git branch -m prod production"), "{said}");
    assert!(
        !repo
            .try_git(&["rev-parse", "-q", "--verify", "refs/heads/prod"])
            .status
            .success()
    );
    // A branch that the file points at is served to nobody, and read by no verb.
    repo.git(["branch", "prod", &before]);
    let log = repo.run(["log", "--format", "json"]).json();
    assert_eq!(log["environment"], json!("production"));
    assert_eq!(
        repo.id("refs/refguard/ledger/production"),
        repo.id("refs/heads/production")
    );
}

#[cfg(feature = "daemon")]
#[test]
fn a_repository_of_before_with_another_ref_is_told_how_to_rename_it() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write(
            "refguard.yaml",
            &environments("  - name: production\n    ref: refs/heads/prod\n"),
        )
        .commit("one");
    repo.git(["branch", "prod"]);
    let said = repo.run(["serve", "--listen", "127.0.0.1:0"]).fails(1);
    assert!(said.contains("git branch -m prod production"), "{said}");
}

#[test]
fn a_deleted_branch_with_a_standing_ledger_makes_no_first_promotion() {
    let repo = strict();
    let last = repo.id("production");
    repo.git(["update-ref", "-d", "refs/heads/production"]);
    assert!(
        repo.run(["status"])
            .ok()
            .contains("its ledger stands at promotion 1")
    );
    weakened(
        &repo,
        &environments("  - name: production\n    gates: {weaken: off}\n"),
    );
    let said = repo.run(["promote"]).fails(1);
    assert!(
        said.contains(&format!("git update-ref refs/heads/production {last}")),
        "{said}"
    );
}

#[test]
fn after_an_external_move_the_settings_of_the_ledger_still_count() {
    let repo = strict();
    // Somebody moves production by hand to a tree that switches everything off.
    let lax = environments(
        "  - name: production\n    gates: {weaken: off}\n    allow: [eve@example.org]\n",
    );
    repo.write("refguard.yaml", &lax).commit("lax");
    repo.git(["update-ref", "refs/heads/production", "main"]);
    repo.policy(
        "base",
        "guardrails: {add: [pii]}\npipeline: {mode: pre_call, steps: [{guardrail: pii}]}",
    );
    let elsewhere = "  - name: staging\n  - name: production\n    from: staging\n";
    repo.write("refguard.yaml", &environments(elsewhere));
    repo.commit("from elsewhere");
    // The source is the one that the last promotion names: the publish branch.
    let run = repo.run(["promote", "--dry-run"]);
    assert!(
        run.stderr.contains("refused: gate `weaken`"),
        "{}",
        run.stderr
    );
    assert!(
        !run.stderr.contains("history of `staging`"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_invalid_publish_branch_declares_no_environment() {
    let repo = strict();
    let declared = environments("  - name: production\n  - name: live\n");
    repo.write("refguard.yaml", &declared)
        .policy("bad", "gaurdrails: {}")
        .commit("broken");
    assert!(repo.run(["log", "--environment", "live"]).code != Some(0));
    let status = repo.run(["status", "--format", "json"]).json();
    assert_eq!(status["environments"].as_array().unwrap().len(), 1);
    repo.remove("policies/bad.yaml").commit("mended");
    let status = repo.run(["status", "--format", "json"]).json();
    assert_eq!(status["environments"].as_array().unwrap().len(), 2);
}

/// A freeze of all times, as a line of an environment.
const FROZEN: &str = "    freeze: [{from: 2000-01-01T00:00:00Z, to: 2999-01-01T00:00:00Z, \
    reason: the audit}]\n";

#[test]
fn a_first_promotion_that_brings_its_own_gates_is_judged_by_those_before() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write("refguard.yaml", &environments("  - name: production\n"))
        .commit("without a freeze");
    let frozen = environments(&format!("  - name: production\n{FROZEN}"));
    repo.write("refguard.yaml", &frozen).commit("a freeze");

    // Production has no promotion yet: the publish branch's tip says its gates, not what is promoted.
    let said = repo.run(["promote", "main~1"]).fails(1);
    assert!(said.contains("gate `freeze`"), "{said}");
    repo.run(["promote", "--allow-freeze", "the first one"])
        .ok();

    // Of another environment, production's last promotion.
    let with_staging = environments(&format!(
        "  - name: production\n  - name: staging\n{FROZEN}"
    ));
    repo.write("refguard.yaml", &with_staging).commit("staging");
    repo.run(["promote", "--allow-freeze", "for staging"]).ok();
    let lax = environments("  - name: production\n  - name: staging\n");
    repo.write("refguard.yaml", &lax).commit("no freeze");
    let said = repo.run(["promote", "--to", "staging"]).fails(1);
    assert!(said.contains("gate `freeze`"), "{said}");
}

#[test]
fn a_commit_on_the_publish_branch_does_not_choose_what_an_environment_takes_from() {
    let repo = TestRepo::new();
    let staged = "  - name: staging\n  - name: production\n    from: staging\n";
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write("refguard.yaml", &environments(staged))
        .commit("one");
    repo.run(["promote", "--to", "staging"]).ok();
    repo.run(["promote"]).ok();
    let first = repo.id("production");

    for settings in [
        "  - name: staging\n  - name: production\n",
        "  - name: staging\n  - name: lax\n  - name: production\n    from: lax\n",
        "  - name: staging\n    from: production\n  - name: production\n",
    ] {
        repo.write("refguard.yaml", &environments(settings))
            .policy("base", "guardrails: {add: [pii, never_staged]}")
            .commit("another way");
        let said = repo.run(["promote", "main"]).fails(1);
        assert!(said.contains("gate `published`"), "{settings}: {said}");
        assert!(said.contains("`staging`"), "{settings}: {said}");
        // Without a revision, what staging has is taken.
        let there = repo.run(["promote", "--format", "json"]).json();
        assert_eq!(there["changed"], json!(false), "{settings}");
        assert_eq!(repo.id("production"), first);
    }
}

#[test]
fn the_publish_branch_is_named_by_the_repository() {
    let repo = strict();
    repo.git(["checkout", "-q", "-b", "trunk"]);
    repo.write(
        "refguard.yaml",
        &format!("{SETTINGS}publish_branch: trunk\n"),
    )
    .commit("trunk");
    let said = repo.run(["promote", "trunk"]).fails(1);
    assert!(
        said.contains("`git config refguard.publishBranch trunk`"),
        "{said}"
    );
    repo.git(["config", "refguard.publishBranch", "trunk"]);
    let run = repo.run(["promote", "trunk"]);
    assert!(!run.stderr.contains("gate `published`"), "{}", run.stderr);
}

#[test]
fn a_tag_named_like_the_publish_branch_owns_nothing() {
    let repo = strict();
    repo.git(["checkout", "-q", "--orphan", "x"]);
    repo.write("refguard.yaml", &environments("  - name: evil\n"))
        .commit("x");
    repo.git(["update-ref", "refs/tags/refs/heads/main", "x"]);
    repo.git(["checkout", "-q", "main"]);
    let status = repo.run(["status", "--format", "json"]).json();
    assert_eq!(status["environments"][0]["name"], json!("production"));
    assert_eq!(status["environments"].as_array().unwrap().len(), 1);
    assert_eq!(
        status["published"]["commit"],
        json!(repo.id("refs/heads/main"))
    );
}

#[test]
fn what_was_rolled_away_does_not_come_back_with_the_next_rollback() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [good]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("good");
    repo.run(["promote"]).ok();
    repo.policy("base", "guardrails: {add: [bad]}")
        .commit("bad");
    repo.run(["promote"]).ok();
    repo.run(["rollback", "--reason", "bad is bad"]).ok();
    repo.policy("base", "guardrails: {add: [hotfix]}")
        .commit("hotfix");
    repo.git(["update-ref", "refs/heads/production", "main"]);
    assert_eq!(guardrails(&repo), json!(["hotfix"]));
    repo.run(["rollback", "--reason", "undo the hotfix"]).ok();
    assert_eq!(guardrails(&repo), json!(["good"]));
    assert!(
        repo.run(["rollback"])
            .fails(1)
            .contains("no earlier set to go back to")
    );
    // By name it can be brought back, and so can what somebody else had put there.
    repo.run(["rollback", "--to", "2"]).ok();
    assert_eq!(guardrails(&repo), json!(["bad"]));
    repo.run(["rollback", "--to", &repo.id("main")]).ok();
    assert_eq!(guardrails(&repo), json!(["hotfix"]));
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(
        message.contains(&format!("Refguard-Rollback: {}", repo.id("main"))),
        "{message}"
    );
}

#[test]
fn an_environment_belongs_to_one_root() {
    let repo = TestRepo::new();
    for (root, guardrail) in [("eu", "pii"), ("us", "log")] {
        let policy = crate::support::policy("base", &format!("guardrails: {{add: [{guardrail}]}}"));
        repo.write(&format!("{root}/refguard.yaml"), SETTINGS)
            .write(&format!("{root}/policies/base.yaml"), &policy)
            .write(&format!("{root}/attachments/all.yaml"), ATTACHED);
    }
    repo.commit("two roots");
    repo.run(["-C", "eu", "promote"]).ok();
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(message.contains("Refguard-Root: eu"), "{message}");
    let said = repo.run(["-C", "us", "promote"]).fails(2);
    assert!(
        said.contains("there are us/production") || said.contains("us/production"),
        "{said}"
    );
    repo.run(["-C", "us", "promote", "--to", "us/production"])
        .ok();
    let message = repo.git(["log", "-1", "--format=%B", "us/production"]);
    assert!(message.contains("Refguard-Root: us"), "{message}");
    let status = repo.run(["-C", "us", "status", "--format", "json"]).json();
    assert_eq!(status["environments"][0]["name"], json!("us/production"));
}

#[test]
fn every_later_promotion_names_the_one_before() {
    let repo = strict();
    let first = repo.id("production");
    repo.policy("base", "guardrails: {add: [pii, audit, log]}")
        .commit("two");
    repo.run(["promote"]).ok();
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(
        message.contains(&format!("Refguard-Previous: {first}")),
        "{message}"
    );
    assert!(message.contains("Refguard-Version: "), "{message}");
    assert!(message.contains("Refguard-Root: ."), "{message}");
}

/// A commit object as git's own checks would not let it be made.
fn odd_commit(repo: &TestRepo, header: &str) -> String {
    let file = repo.path().with_file_name("commit");
    std::fs::write(&file, format!("{header}\n\nold\n")).unwrap();
    repo.git([
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--literally",
        file.to_str().unwrap(),
    ])
}

/// A tree object from its entries, in their order, as git's own checks would not let it be made.
fn odd_tree(repo: &TestRepo, entries: &[(&str, &str, &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend(format!("{mode} {name}\0").into_bytes());
        let digits: Vec<char> = id.chars().collect();
        let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
        bytes.extend(pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap()));
    }
    let file = repo.path().with_file_name("tree");
    std::fs::write(&file, bytes).unwrap();
    repo.git([
        "hash-object",
        "-t",
        "tree",
        "-w",
        "--literally",
        file.to_str().unwrap(),
    ])
}

#[test]
fn a_tree_with_two_entries_of_one_name_is_no_set() {
    let repo = strict();
    let one = repo.git(["rev-parse", "main:policies/base.yaml"]);
    repo.policy("base", "guardrails: {add: [other]}")
        .commit("another");
    let other = repo.git(["rev-parse", "main:policies/base.yaml"]);
    let attachments = repo.git(["rev-parse", "main:attachments"]);
    let policies = odd_tree(
        &repo,
        &[
            ("100644", "base.yaml", &one),
            ("100644", "base.yaml", &other),
        ],
    );
    let top = odd_tree(
        &repo,
        &[
            ("40000", "attachments", &attachments),
            ("40000", "policies", &policies),
        ],
    );
    let twice = repo.git(["commit-tree", &top, "-p", "main", "-m", "twice"]);
    repo.git(["update-ref", "refs/heads/main", &twice]);

    let said = "the tree holds `policies/base.yaml` twice";
    for verb in [
        &["validate", "--at", "main"][..],
        &["resolve", "--at", "main"],
        &["list", "--at", "main"],
    ] {
        let refused = repo.run(verb.iter().copied()).fails(2);
        assert!(refused.contains(said), "{verb:?}: {refused}");
    }
    let before = repo.id("production");
    let refused = repo.run(["promote", "main"]).fails(2);
    assert!(refused.contains(said), "{refused}");
    assert_eq!(repo.id("production"), before);
}

#[test]
fn one_malformed_author_line_in_old_history_breaks_no_verb() {
    let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    for header in [
        format!(
            "tree {empty}\nauthor builder 1200000000 +0000\ncommitter builder 1200000000 +0000"
        ),
        format!("tree {empty}\ncommitter C <c@d> 99999999999999999999 +9999"),
        format!("tree {empty}"),
    ] {
        let repo = TestRepo::new();
        repo.git(["mktree", "--missing", "-z"].into_iter().take(1)); // the empty tree
        let old = odd_commit(&repo, &header);
        repo.git(["update-ref", "refs/heads/main", &old]);
        repo.policy("base", "guardrails: {add: [pii]}")
            .write("attachments/all.yaml", ATTACHED)
            .commit("one");
        repo.policy("base", "guardrails: {add: [pii, audit]}")
            .commit("two");
        repo.run(["versions", "base"]).ok();
        repo.run(["review", "main~1", "main"]).ok();
        repo.run(["promote"]).ok();
        repo.run(["log"]).ok();
        repo.run(["status"]).ok();
    }
}

#[test]
fn gits_own_answer_says_whether_a_foreign_repository_is_trusted() {
    let repo = strict();
    let chown = std::process::Command::new("chown")
        .args(["-R", "12345"])
        .arg(repo.path())
        .status();
    if !chown.is_ok_and(|status| status.success()) {
        println!("only root may give files away: not tested");
        return;
    }
    assert!(
        repo.run(["log"])
            .fails(2)
            .contains("belongs to another user")
    );
    let trusted = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ];
    repo.run_with(["log"], &trusted).ok();
    repo.run_with(["validate"], &trusted).ok();
    // A whole folder, where git takes that too.
    let folder = repo.path().parent().unwrap().join("*");
    let below = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", folder.to_str().unwrap()),
    ];
    let mut git = repo.prepared(std::process::Command::new("git"));
    let log = git.args(["log", "-1"]).envs(below).output().unwrap();
    assert_eq!(
        repo.run_with(["log"], &below).code == Some(0),
        log.status.success()
    );
    let explicit = repo.path().join(".git");
    repo.run_with(["log"], &[("GIT_DIR", explicit.to_str().unwrap())])
        .ok();
}

#[test]
fn reading_runs_nothing_that_the_repository_asks_for() {
    let repo = strict();
    let run = repo.path().join("ran");
    let watched = repo.path().join("watched");
    // Words are parted by spaces, without quotes.
    let command = format!("ext::touch {}", run.display());
    let monitor = format!("touch {}; false", watched.display());
    for (key, value) in [
        ("remote.origin.url", command.as_str()),
        ("remote.origin.promisor", "true"),
        ("extensions.partialClone", "origin"),
        ("protocol.ext.allow", "always"),
        ("core.repositoryformatversion", "1"),
        ("core.fsmonitor", monitor.as_str()),
    ] {
        repo.git(["config", key, value]);
    }
    let missing = "0123456789012345678901234567890123456789";
    let _ = repo.run(["resolve", "--at", missing]);
    let _ = repo.run(["status"]);
    let _ = repo.run(["versions", "base"]);
    let _ = repo.run(["validate", "--staged"]);
    assert!(!run.exists(), "a configured command was run");
    assert!(!watched.exists(), "a file monitor was run");

    // Git by itself falls for both, or the above would show nothing.
    let _ = repo.try_git(&["cat-file", "-e", missing]);
    let _ = repo.try_git(&["status"]);
    assert!(run.exists() && watched.exists(), "the trap does not work");
}

#[test]
fn git_configuration_is_read_where_git_reads_it() {
    let repo = strict();
    repo.policy("slip", "gaurdrails: {}");
    repo.run(["validate"]).fails(1);
    let ignored = repo.path().with_file_name("excludes");
    std::fs::write(&ignored, "slip.yaml\n").unwrap();
    let excludes = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.excludesFile"),
        ("GIT_CONFIG_VALUE_0", ignored.to_str().unwrap()),
    ];
    repo.run_with(["validate"], &excludes).ok();

    let global = repo.path().with_file_name("global");
    let line = format!("[core]\nexcludesFile = {}\n", ignored.display());
    std::fs::write(&global, line).unwrap();
    repo.run_with(
        ["validate"],
        &[("GIT_CONFIG_GLOBAL", global.to_str().unwrap())],
    )
    .ok();

    // `git -c NAME=VALUE`, which hooks and aliases get.
    let option = format!("core.excludesFile={}", ignored.display());
    let alias = format!("alias.judge=!'{}' validate", env!("CARGO_BIN_EXE_refguard"));
    let judged = |options: &[&str]| {
        let words: Vec<&str> = options
            .iter()
            .copied()
            .chain(["-c", &alias, "judge"])
            .collect();
        repo.try_git(&words).status.code()
    };
    assert_eq!(judged(&["-c", &option]), Some(0));
    assert_eq!(judged(&[]), Some(1), "nothing of it stays");
}

/// A commit that says it is the next promotion, made by hand from the last one: with another tree
/// or text.
fn forge(repo: &TestRepo, tree: &str, change: impl Fn(String) -> String) -> String {
    let last = repo.id("production");
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    let lines = message
        .lines()
        .filter(|line| !line.starts_with("Refguard-Previous"));
    let message: String = lines.map(|line| format!("{line}\n")).collect();
    let number = repo.run(["log", "--format", "json"]).json()["promotions"][0]["number"].clone();
    let next = number.as_u64().unwrap() + 1;
    let message = message.replace(
        &format!("Refguard-Promotion: {number}"),
        &format!("Refguard-Promotion: {next}\nRefguard-Previous: {last}"),
    );
    let message = change(message);
    let source = repo.id("main");
    let commit = repo.git([
        "commit-tree",
        tree,
        "-p",
        &last,
        "-p",
        &source,
        "-m",
        message.trim_end(),
    ]);
    repo.git(["update-ref", "refs/heads/production", &commit]);
    commit
}

#[test]
fn a_promotion_that_somebody_made_by_hand_is_listed_with_what_speaks_against_it() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    repo.commit("one");
    repo.run(["promote"]).ok();
    let sound = repo.run(["log", "--format", "json"]).json();
    assert_eq!(sound["promotions"][0]["doubt"], serde_json::Value::Null);

    repo.git(["checkout", "-q", "-b", "evil"]);
    repo.policy("base", "guardrails: {}")
        .commit("nothing is left");
    let (evil, own) = (
        repo.git(["rev-parse", "evil^{tree}"]),
        repo.git(["rev-parse", "main^{tree}"]),
    );
    let doubt_after = |tree: &str, change: &dyn Fn(String) -> String| {
        let before = repo.id("production");
        let commit = forge(&repo, tree, change);
        let log = repo.run(["log", "--format", "json"]).json();
        assert_eq!(log["promotions"][0]["commit"], commit);
        assert!(repo.run(["log"]).ok().contains("doubtful: "));
        repo.git(["update-ref", "refs/heads/production", &before]);
        log["promotions"][0]["doubt"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let same = |message: String| message;
    assert!(doubt_after(&evil, &same).contains("not that of the commit that it names"));
    let of_evil = |message: String| message.replace(&repo.id("main"), &repo.id("evil"));
    let subject = |message: String| format!("hotfix\n\n{}", message.split_once("\n\n").unwrap().1);
    assert!(doubt_after(&own, &subject).contains("its subject is not"));
    let of_evil = |message: String| {
        let short = repo.id("evil").get(..10).unwrap().to_owned();
        let message = of_evil(message);
        let rest = message.split_once("\n\n").unwrap().1.to_owned();
        format!("promote {short} to production\n\n{rest}")
    };
    assert!(doubt_after(&evil, &of_evil).contains("its digest is not that of its set"));
}

/// Three promotions and three versions, the ones in the middle gone in some way.
fn without_history(cut: impl Fn(&TestRepo, &[String])) -> TestRepo {
    let repo = TestRepo::new();
    repo.write("attachments/all.yaml", ATTACHED);
    for guardrail in ["one", "two", "three"] {
        repo.policy("base", &format!("guardrails: {{add: [pii, {guardrail}]}}"))
            .commit(guardrail);
        repo.run(["promote", "--reason", guardrail]).ok();
    }
    let gone = [repo.id("production^1"), repo.id("main^1")];
    cut(&repo, &gone);
    repo
}

fn every_verb_says_that_history_is_gone(repo: &TestRepo, why: &str) {
    let refs = || repo.git(["for-each-ref"]);
    let before = refs();
    let verbs: [&[&str]; 22] = [
        &["status"],
        &["log"],
        &["versions", "base"],
        &["show", "base@1"],
        &["show", "base@production"],
        &["compare", "base@1", "base@2"],
        &["draft", "base", "--from", "base@1"],
        &["diff", "production#1", "production#3"],
        &["diff", "production#3", "main"],
        &["impact", "#1", "#3"],
        &["list", "--at", "#1"],
        &["resolve", "--at", "#1", "--model", "m"],
        &["resolve", "--model", "m", "--policy", "base@1"],
        &["why", "--model", "m", "--guardrail", "pii", "--at", "#1"],
        &["matrix", "--at", "#1"],
        &["blame", "--model", "m"],
        &["review"],
        &["promote", "--dry-run"],
        &["promote", "--reason", "x"],
        &["rollback"],
        &["hold", "x"],
        &["release", "x"],
    ];
    for verb in verbs {
        let said = repo.run(verb.iter().copied()).fails(2);
        assert!(said.contains(why), "{verb:?}: {said}");
        assert!(said.contains("help: "), "{verb:?}: {said}");
        assert!(!said.contains("panicked"), "{verb:?}: {said}");
    }
    assert_eq!(refs(), before, "nothing moves");
    // What needs no history goes on.
    repo.run(["validate"]).ok();
    repo.run(["resolve", "--worktree", "--model", "m"]).ok();
}

#[test]
fn history_that_a_shallow_clone_lacks_is_said_by_every_verb_that_walks_it() {
    let repo = without_history(|repo, gone| {
        std::fs::write(repo.path().join(".git/shallow"), gone.join("\n") + "\n").unwrap();
    });
    every_verb_says_that_history_is_gone(&repo, "this is a shallow clone");
}

#[test]
fn history_that_was_pruned_or_is_damaged_is_said_by_every_verb_that_walks_it() {
    let file = |repo: &TestRepo, id: &str| {
        let (folder, file) = id.split_at(2);
        repo.path().join(".git/objects").join(folder).join(file)
    };
    let pruned = without_history(|repo, gone| {
        gone.iter()
            .for_each(|id| std::fs::remove_file(file(repo, id)).unwrap());
    });
    every_verb_says_that_history_is_gone(&pruned, "is missing from the repository");
    let damaged = without_history(|repo, gone| {
        for id in gone {
            std::fs::remove_file(file(repo, id)).unwrap();
            std::fs::write(file(repo, id), "no object").unwrap();
        }
    });
    every_verb_says_that_history_is_gone(&damaged, "is damaged");
}

#[test]
fn what_only_a_ledger_says_is_in_status() {
    let repo = strict();
    let ledger = "refs/refguard/ledger/production";
    let first = repo.id("production");
    repo.policy("base", "guardrails: {add: [pii, audit, log]}")
        .commit("two");
    let moved = repo.id("main");
    repo.git(["update-ref", "refs/heads/production", &moved]);
    repo.run(["hold", "the audit"]).ok();
    let held = repo.id("production");
    repo.git(["update-ref", "refs/heads/production", &moved]);
    repo.git(["update-ref", ledger, &first]);
    let problems = || repo.run(["status", "--format", "json"]).json()["problems"].to_string();
    assert!(!problems().contains("on hold"), "{}", problems());

    repo.git(["update-ref", ledger, &held]);
    assert!(
        problems().contains("on hold since promotion 2"),
        "{}",
        problems()
    );
    repo.policy("base", "guardrails: {add: [pii, audit, log, more]}")
        .commit("three");
    assert!(repo.run(["promote"]).fails(1).contains("gate `hold`"));
    // One that names anything else is not believed, and does not go unsaid.
    repo.git(["update-ref", ledger, &moved]);
    assert!(
        problems().contains("which is no promotion that follows"),
        "{}",
        problems()
    );
}

#[test]
fn a_revision_that_speaks_of_no_environment_is_read_where_promotions_are_missing() {
    let repo = strict();
    repo.policy("base", "guardrails: {add: [pii, audit, log]}")
        .commit("two");
    repo.run(["promote"]).ok();
    let gone = repo.id("production");
    let (folder, file) = gone.split_at(2);
    std::fs::remove_file(repo.path().join(".git/objects").join(folder).join(file)).unwrap();

    let guardrails = json!(["audit", "log", "pii"]);
    for revision in ["main", "HEAD", "refs/heads/main", &repo.id("main")] {
        let answer = repo
            .run(["resolve", "--at", revision, "--format", "json"])
            .json();
        assert_eq!(answer["guardrails"], guardrails, "{revision}");
    }
    for revision in ["production", "#1", "production~1", "2024-01-01T00:00:00Z"] {
        let said = repo.run(["resolve", "--at", revision]).fails(2);
        assert!(
            said.contains("is missing from the repository"),
            "{revision}: {said}"
        );
    }
}

fn make_fifo(path: &std::path::Path) {
    let _ = std::fs::remove_file(path);
    assert!(
        std::process::Command::new("mkfifo")
            .arg(path)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn what_is_no_file_in_the_place_of_one_of_gits_files_is_refused_without_waiting_for_it() {
    for name in [
        "config",
        "packed-refs",
        "shallow",
        "index",
        "info/exclude",
        "refs/heads/main",
        "refs/heads/deep/er",
        "refs/refguard/ledger/production",
    ] {
        let repo = strict();
        let path = repo.path().join(".git").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        make_fifo(&path);
        for verb in [
            &["validate"][..],
            &["resolve", "--at", "main"],
            &["status"],
            &["promote"],
        ] {
            let run = repo.run(verb.iter().copied());
            let told = run.stderr.contains(&format!("{name}` is a FIFO"));
            assert!(
                told && run.code == Some(2),
                "{name} {verb:?}: {} {}",
                run.stdout,
                run.stderr
            );
        }
    }
}

/// Without a `HEAD` that is a file a folder is no repository, as git sees it.
#[test]
fn a_head_that_is_no_file_makes_no_repository() {
    let repo = strict();
    make_fifo(&repo.path().join(".git/HEAD"));
    assert!(
        repo.run(["status"])
            .fails(2)
            .contains("is in no git repository")
    );
    let _ = repo.run(["validate"]).ok();
}

#[test]
fn what_refguard_keeps_beside_git_is_not_waited_for() {
    let repo = strict();
    repo.run(["log"]).ok();
    repo.run(["versions", "base"]).ok();
    let folder = repo.path().join(".git/refguard");
    let kept: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    assert!(!kept.is_empty());
    kept.iter().for_each(|path| make_fifo(path));
    make_fifo(&repo.path().join(".git/FETCH_HEAD"));
    repo.run(["log"]).ok();
    repo.run(["versions", "base"]).ok();
    repo.run(["status"]).ok();
}

#[test]
fn a_common_folder_that_is_another_repositorys_is_refused() {
    let (repo, other) = (strict(), TestRepo::new());
    let own = repo.path().join(".git");
    let run = |common: &std::path::Path| {
        let named = [("GIT_COMMON_DIR", common.to_str().unwrap())];
        repo.run_with(
            ["resolve", "--at", "production", "--format", "json"],
            &named,
        )
    };
    assert_eq!(run(&own).json()["guardrails"], guardrails(&repo));
    let said = run(&other.path().join(".git")).fails(2);
    assert!(said.contains("`GIT_COMMON_DIR`"), "{said}");
}
