//! The completion of a real bash, as a person sees it behind TAB.

use std::path::Path;
use std::process::Command;

use crate::support::{Screen, TestRepo};

/// A repository with names to complete.
fn named() -> TestRepo {
    let repo = TestRepo::new();
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [phi_redaction, pii_masking]\n\
         teams: [health-eu, health-us, \"fin-*\"]\n",
    )
    .write(
        "refguard.yaml",
        "apiVersion: refguard/v1\nkind: Repository\n\
         environments:\n  - name: production\n  - name: staging\n",
    )
    .policy(
        "healthcare-compliance",
        "guardrails: {add: [phi_redaction]}",
    )
    .policy("baseline", "guardrails: {add: [pii_masking]}")
    .write(
        "attachments/all.yaml",
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: healthcare-compliance\n\
         scope: \"*\"\n",
    )
    .commit("one");
    let _ = repo.run(["promote", "--reason", "the first"]).ok();
    let _ = repo.run(["promote", "--to", "staging"]).ok();
    repo.policy("spare", "guardrails: {add: [pii_masking]}")
        .commit("two");
    let _ = repo.run(["promote", "--allow-safeguards", "a test"]).ok();
    repo
}

/// The PATH with the program that is tested before all others.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_refguard"));
    format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    )
}

/// What bash offers for the last word of a line, without options.
fn offered(repo: &TestRepo, line: &[&str]) -> Vec<String> {
    let script = "source <(refguard completions bash)\n\
         COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9\n\
         function=$(complete -p refguard | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         $function refguard \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"\n\
         printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = repo.prepared(Command::new("bash"));
    bash.args(["--norc", "--noprofile", "-c", script, "bash", "refguard"])
        .args(line);
    let out = bash.env("PATH", path()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.is_empty(), "{line:?}: {said}");
    let text = String::from_utf8(out.stdout).unwrap();
    let words = text.lines().map(str::trim).filter(|word| !word.is_empty());
    // After an empty word the options of the verb are offered too.
    words
        .filter(|word| !word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn bash_offers_the_names_that_a_repository_has() {
    let repo = named();
    for (line, due) in [
        (&["show", "h"][..], &["healthcare-compliance"][..]),
        (
            &["versions", ""],
            &["baseline", "healthcare-compliance", "spare"],
        ),
        (&["log", "--env", "s"], &["staging"]),
        (&["promote", "--to", ""], &["production", "staging"]),
        (&["rollback", "--to", ""], &["2", "1"]),
        (&["rollback", "--env", "staging", "--to", ""], &["1"]),
        (
            &["resolve", "--at", "production#"],
            &["production#2", "production#1"],
        ),
        (&["diff", "ma"], &["main"]),
        (&["explain", "unused-p"], &["unused-policy"]),
        (&["explain", "RG00"], &["RG001"]),
        (&["validate", "--level", "unused-pol"], &["unused-policy="]),
        (
            &["why", "--guardrail", "p"],
            &["phi_redaction", "pii_masking"],
        ),
        (&["resolve", "--team", ""], &["health-eu", "health-us"]),
        (&["wh"], &["why"]),
        (&["resolve", "--format", ""], &["human", "json"]),
    ] {
        let found = offered(&repo, line);
        let is_there = due.iter().all(|word| found.iter().any(|it| it == word));
        let is_all = found.len() == due.len() || line[0] == "explain" || due.contains(&"main");
        assert!(is_there && is_all, "{line:?}: {found:?}");
    }
    // Elsewhere by -C; with errors in the work tree from production; where there is nothing,
    // nothing.
    let elsewhere = TestRepo::plain();
    let dir = repo.path().to_str().unwrap();
    assert_eq!(offered(&elsewhere, &["-C", dir, "show", "b"]), ["baseline"]);
    repo.policy("spare", "gaurdrails: {}");
    assert_eq!(offered(&repo, &["show", "b"]), ["baseline"]);
    assert_eq!(offered(&elsewhere, &["show", "b"]), [""; 0]);
    assert_eq!(offered(&elsewhere, &["log", "--env", ""]), [""; 0]);
}

#[test]
fn a_name_is_completed_behind_a_tab_at_a_prompt() {
    let repo = named();
    repo.write("rc", "PS1='ready> '\nsource <(refguard completions bash)\n");
    let mut bash = repo.prepared(Command::new("bash"));
    bash.args(["--noprofile", "--rcfile", "rc", "-i"])
        .env("PATH", path())
        .env("TERM", "dumb");
    let typed = [("ready> ", "refguard show hea\t\n"), ("ready> ", "exit\n")];
    let seen = repo.at_prompt(bash, Screen::of(120, 40), &typed);
    assert!(
        seen.contains("refguard show healthcare-compliance"),
        "{seen}"
    );
    assert!(seen.contains("phi_redaction"), "{seen}");
}

#[test]
fn every_shell_has_a_script_that_asks_the_program() {
    let home = TestRepo::plain();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = home.run(["completions", shell]).ok();
        assert!(
            script.contains("REFGUARD_COMPLETE") && script.contains("refguard"),
            "{script}"
        );
        // A variable of another program does not switch the verbs off.
        assert!(
            home.run_with(["--version"], &[("COMPLETE", shell)])
                .ok()
                .starts_with("refguard ")
        );
    }
}
