//! What an author meets: hooks that are installed, a commit that is judged as git would make it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{TestRepo, policy};

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";
const SOUND: &str = "guardrails: {add: [pii]}";
const BAD: &str = "gaurdrails: {add: [pii]}";

/// A sound set, committed, and the hooks.
fn hooked() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", SOUND)
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    repo.run(["hook", "install"]).ok();
    repo
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs git, which must fail; what it and the hook said.
fn refused(repo: &TestRepo, args: &[&str]) -> String {
    let out = repo.try_git(args);
    assert!(!out.status.success(), "git {args:?} succeeded");
    String::from_utf8(out.stderr).unwrap()
}

#[test]
fn a_broken_policy_is_not_committed() {
    let repo = hooked();
    repo.policy("base", BAD).git(["add", "-A"]);
    let said = refused(&repo, &["commit", "-m", "two"]);
    assert!(
        said.contains("policies/base.yaml:4:1") && said.contains("did you mean `guardrails`?"),
        "{said}"
    );
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .commit("two");
    repo.policy("base", BAD).git(["add", "-A"]);
    repo.git(["commit", "-q", "--no-verify", "-m", "three"]);
}

#[test]
fn what_counts_is_what_is_staged() {
    let repo = hooked();
    // Sound in the index, broken in the work tree.
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .git(["add", "-A"]);
    repo.policy("base", BAD).git(["commit", "-q", "-m", "two"]);
    // Broken in the index, sound in the work tree.
    repo.git(["add", "-A"]);
    repo.policy("base", SOUND);
    assert!(refused(&repo, &["commit", "-m", "three"]).contains("gaurdrails"));
    // `-a` and a path take the work tree's file.
    repo.git(["commit", "-q", "-a", "-m", "three"]);
    repo.policy("base", BAD)
        .policy("other", BAD)
        .git(["add", "policies/other.yaml"]);
    assert!(
        refused(&repo, &["commit", "-m", "four", "policies/base.yaml"])
            .contains("policies/base.yaml:4")
    );
    repo.policy("base", "guardrails: {add: [audit]}");
    repo.git(["commit", "-q", "-m", "four", "policies/base.yaml"]);
    assert!(refused(&repo, &["commit", "-a", "-m", "five"]).contains("policies/other.yaml:4"));
}

#[test]
fn a_commit_that_touches_no_policy_is_let_through_whatever_stands_there() {
    let repo = hooked();
    repo.policy("base", BAD).git(["add", "-A"]);
    repo.git(["commit", "-q", "--no-verify", "-m", "broken"]);
    repo.write("README.md", "x").git(["add", "-A"]);
    repo.git(["commit", "-q", "-m", "readme"]);
    repo.git(["commit", "-q", "--amend", "-m", "another message"]);
    let said = repo.run(["hook", "pre-commit", "--verbose"]).ends(0).stderr;
    assert!(said.contains("no policy is staged"), "{said}");
}

#[test]
fn a_removal_is_judged_by_what_it_leaves_behind() {
    let repo = hooked();
    repo.git(["rm", "-q", "policies/base.yaml"]);
    assert!(refused(&repo, &["commit", "-m", "two"]).contains("attachments/all.yaml:3"));
}

#[test]
fn tests_run_on_what_would_be_committed() {
    let repo = hooked();
    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\n\
        cases:\n  - name: everybody is checked\n    \
        expect: {includes: [pii]}\n";
    repo.write("tests/t.yaml", test).commit("two");
    repo.policy("base", "guardrails: {add: [audit]}")
        .git(["add", "-A"]);
    let said = refused(&repo, &["commit", "-m", "three"]);
    assert!(
        said.contains("everybody is checked") && said.contains("misses `pii`"),
        "{said}"
    );
}

#[test]
fn the_second_commit_is_judged_from_what_the_first_one_proved() {
    let repo = hooked();
    let verdict = |repo: &TestRepo| repo.run(["hook", "pre-commit", "-v"]).ends(0).stderr;
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .git(["add", "-A"]);
    assert_eq!(verdict(&repo), "refguard: the staged set is sound\n");
    repo.policy("base", "guardrails: {add: [audit]}")
        .git(["add", "-A"]);
    assert!(verdict(&repo).contains("1 files are new"));
    // What is kept may be spoilt or deleted at any time.
    let kept = repo.path().join(".git/refguard");
    let file = fs::read_dir(&kept)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .next()
        .unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(verdict(&repo), "refguard: the staged set is sound\n");
    fs::remove_dir_all(&kept).unwrap();
    assert_eq!(verdict(&repo), "refguard: the staged set is sound\n");
}

#[test]
fn the_first_commit_and_a_linked_work_tree_are_judged_too() {
    let repo = TestRepo::new();
    repo.run(["hook", "install"]).ok();
    repo.policy("base", BAD).git(["add", "-A"]);
    assert!(refused(&repo, &["commit", "-m", "one"]).contains("gaurdrails"));
    repo.policy("base", SOUND)
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    repo.git(["worktree", "add", "-q", "../linked"]);
    let linked = repo.path().with_file_name("linked");
    fs::write(linked.join("policies/base.yaml"), policy("base", BAD)).unwrap();
    let said = refused(&repo, &["-C", "../linked", "commit", "-a", "-m", "two"]);
    assert!(said.contains("policies/base.yaml:4:1"), "{said}");
    // The first work tree is as it was.
    repo.write("README.md", "x").commit("three");
}

#[test]
fn folders_of_policies_below_the_top_are_judged_each() {
    let repo = TestRepo::new();
    for folder in ["eu", "us and more"] {
        repo.write(
            &format!("{folder}/refguard.yaml"),
            "apiVersion: refguard/v1\nkind: Repository\n",
        );
        repo.write(
            &format!("{folder}/policies/base.yaml"),
            &policy("base", SOUND),
        );
        repo.write(&format!("{folder}/attachments/all.yaml"), ATTACHED);
        repo.run(["-C", folder, "hook", "install"]).ok();
    }
    repo.commit("one");
    for folder in ["eu", "us and more"] {
        let file = format!("{folder}/policies/base.yaml");
        repo.write(&file, &policy("base", BAD)).git(["add", "-A"]);
        assert!(refused(&repo, &["commit", "-m", "two"]).contains("policies/base.yaml:4:1"));
        repo.write(&file, &policy("base", SOUND));
    }
}

#[test]
fn a_hook_that_was_there_is_kept_and_called_first() {
    let repo = TestRepo::new();
    let hook = repo.path().join(".git/hooks/pre-commit");
    script(&hook, "echo the old one >&2; test ! -e stop");
    let first = repo.run(["hook", "install"]).ok();
    assert!(
        first.contains(
            "wrote .git/hooks/pre-commit; calls .git/hooks/pre-commit.before-refguard first"
        ),
        "{first}"
    );
    let written = fs::read(&hook).unwrap();
    assert!(
        repo.run(["hook", "install"])
            .ok()
            .contains("unchanged .git/hooks/pre-commit")
    );
    assert_eq!(fs::read(&hook).unwrap(), written);
    repo.policy("base", SOUND)
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    repo.write("stop", "")
        .policy("base", BAD)
        .git(["add", "-A"]);
    let said = refused(&repo, &["commit", "-m", "two"]);
    assert!(
        said.contains("the old one") && !said.contains("gaurdrails"),
        "{said}"
    );
    // Somebody puts another hook there: two cannot be kept.
    script(&hook, "true");
    assert!(
        repo.run(["hook", "install"])
            .fails(2)
            .contains("merge the two")
    );
}

#[test]
fn the_folder_that_git_is_told_of_gets_the_hooks() {
    let repo = TestRepo::new();
    repo.git(["config", "core.hooksPath", "my hooks"]);
    repo.run(["hook", "install"]).ok();
    assert!(
        repo.path().join("my hooks/pre-commit").exists()
            && repo.path().join("my hooks/pre-push").exists()
    );
    assert!(!repo.path().join(".git/hooks/pre-commit").exists());
    repo.policy("base", BAD).git(["add", "policies"]);
    assert!(refused(&repo, &["commit", "-m", "one"]).contains("gaurdrails"));
}

/// Git in a repository, as a user whose configuration names a folder of hooks for all repositories.
fn git_with(config: &Path, repo: &TestRepo, args: &[&str]) -> std::process::Output {
    let mut git = repo.prepared(std::process::Command::new("git"));
    git.env("GIT_CONFIG_GLOBAL", config)
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn hooks_for_all_repositories_are_not_written_to_without_a_word() {
    let repo = TestRepo::new();
    let shared = repo.path().with_file_name("shared hooks");
    script(
        &shared.join("pre-commit"),
        "echo the shared one >&2; test ! -e stop",
    );
    script(&shared.join("commit-msg"), "true");
    let config = repo.path().with_file_name("gitconfig");
    fs::write(
        &config,
        format!("[core]\n\thooksPath = {}\n", shared.display()),
    )
    .unwrap();
    let env = [("GIT_CONFIG_GLOBAL", config.to_str().unwrap())];

    let said = repo.run_with(["hook", "install"], &env).fails(2);
    assert!(
        said.contains("shared hooks") && said.contains("gitconfig"),
        "{said}"
    );
    assert!(said.contains("refguard hook install --here"), "{said}");
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 2);
    assert!(!repo.path().join(".git/hooks/pre-commit").exists());

    let run = repo.run_with(["hook", "install", "--here"], &env).ends(0);
    assert!(
        run.stdout.contains("wrote .git/hooks/pre-commit; calls"),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr.contains("commit-msg` no longer runs"),
        "{}",
        run.stderr
    );
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 2);

    // Both judge, the shared one first; also after the hooks were renewed.
    assert!(
        repo.run_with(["hook", "install"], &env)
            .ok()
            .contains("unchanged .git/hooks/pre-commit; calls")
    );
    repo.policy("base", BAD).git(["add", "-A"]);
    let out = git_with(&config, &repo, &["commit", "-m", "one"]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("the shared one") && said.contains("gaurdrails"),
        "{said}"
    );
    repo.policy("base", SOUND)
        .write("stop", "")
        .git(["add", "-A"]);
    assert!(
        !git_with(&config, &repo, &["commit", "-m", "one"])
            .status
            .success()
    );
    repo.remove("stop");
    assert!(
        git_with(&config, &repo, &["commit", "-q", "-m", "one"])
            .status
            .success()
    );
}

#[test]
fn a_folder_that_the_command_line_names_is_nobodys_own() {
    let repo = TestRepo::new();
    let env = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.hooksPath"),
        ("GIT_CONFIG_VALUE_0", "elsewhere"),
    ];
    assert!(
        repo.run_with(["hook", "install"], &env)
            .fails(2)
            .contains("--here")
    );
}

#[test]
fn a_clean_merge_of_two_sound_branches_is_judged() {
    let repo = hooked();
    repo.git(["checkout", "-q", "-b", "theirs"]);
    repo.write("policies/a.yaml", &policy("twin", SOUND))
        .commit("theirs");
    repo.git(["checkout", "-q", "main"]);
    repo.write("policies/b.yaml", &policy("twin", SOUND))
        .commit("ours");
    let said = refused(&repo, &["merge", "-q", "--no-ff", "-m", "merge", "theirs"]);
    assert!(
        said.contains("policies/b.yaml:3") && said.contains("`twin`"),
        "{said}"
    );
}

#[test]
fn yaml_of_other_programs_stops_no_commit_where_there_is_no_set() {
    let kyverno = "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: x}\n";
    let repo = TestRepo::new();
    repo.run(["hook", "install"]).ok();
    repo.write("policies/k.yaml", kyverno).git(["add", "-A"]);
    let said = repo.run(["hook", "pre-commit", "-v"]).ends(0).stderr;
    assert!(said.contains("holds no policies of refguard"), "{said}");
    repo.commit("one");
    repo.write("policies/k.yaml", "not: [yaml").commit("two");
    // The first policy makes it a set; and a set does not stop being one by the change that breaks
    // it.
    repo.write("policies/base.yaml", &policy("base", BAD))
        .git(["add", "-A"]);
    assert!(refused(&repo, &["commit", "-m", "three"]).contains("gaurdrails"));
    let repo = hooked();
    repo.remove("attachments/all.yaml")
        .write("policies/base.yaml", kyverno)
        .git(["add", "-A"]);
    assert!(refused(&repo, &["commit", "-m", "two"]).contains("is not refguard's"));
}

#[test]
fn a_few_new_warnings_stand_beside_what_failed() {
    let repo = hooked();
    let attached = |policy: &str| ATTACHED.replace("base", policy);
    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n  - name: all\n    \
        expect: {includes: [audit]}\n";
    repo.policy("strict", "guardrails: {add: [audit]}")
        .policy("old", SOUND);
    repo.write("tests/t.yaml", test);
    repo.write("attachments/strict.yaml", &attached("strict"))
        .commit("two");
    // The attachment slips to another policy: the test fails, and the warning says why.
    repo.write("attachments/strict.yaml", &attached("old"))
        .git(["add", "-A"]);
    let said = refused(&repo, &["commit", "-m", "three"]);
    assert!(said.contains("misses `audit`"), "{said}");
    let warning = said
        .lines()
        .find(|line| line.starts_with("policies/strict.yaml:"))
        .unwrap();
    assert!(
        warning.contains("warning") && warning.contains("`strict`"),
        "{said}"
    );
    // A flood is counted, and a warning that was there before is none of the commit's.
    for n in 0..9 {
        repo.policy(&format!("unused{n}"), SOUND);
    }
    repo.git(["add", "-A"]);
    let said = refused(&repo, &["commit", "-m", "three"]);
    assert!(said.contains("and 5 more warnings"), "{said}");
}
