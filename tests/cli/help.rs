//! The help of every verb, as it is printed where there is no terminal, and how errors are printed.

use crate::support::{TestRepo, policy};

/// The help texts of a command and of all below it. The snapshot is of the whole program: without
/// the feature `daemon` it has two verbs less.
#[cfg(feature = "daemon")]
fn collect_helps(home: &TestRepo, command: &clap::Command, path: &[&str], out: &mut String) {
    let text = home.run(path.iter().copied().chain(["--help"])).ok();
    out.push_str(&format!("$ refguard {} --help\n{text}\n", path.join(" ")));
    for verb in command.get_subcommands() {
        collect_helps(home, verb, &[path, &[verb.get_name()]].concat(), out);
    }
}

#[cfg(feature = "daemon")]
#[test]
fn the_help_of_every_verb() {
    let mut text = String::new();
    collect_helps(
        &TestRepo::plain(),
        &refguard::cli::command(),
        &[],
        &mut text,
    );
    // A text that was wrapped by hand and again by the program leaves lines of a word or two.
    assert!(text.lines().all(|line| line.chars().count() <= 100));
    insta::assert_snapshot!(text);
}

#[test]
fn an_error_is_an_object_where_json_was_asked_for() {
    let home = TestRepo::plain();
    let run = home.run(["log", "--format", "json"]).ends(2);
    let object: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(object["version"], 1);
    let message = object["error"]["message"].as_str().unwrap();
    assert!(message.contains("is in no git repository"), "{message}");
    assert!(
        object["error"]["help"]
            .as_str()
            .unwrap()
            .contains("refguard init")
    );
    assert!(
        run.stderr.starts_with(&format!("error: {message}\nhelp: ")),
        "{}",
        run.stderr
    );
    assert_eq!(home.run(["log"]).ends(2).stdout, "");
}

#[test]
fn a_verb_that_needs_a_valid_set_prints_its_errors_and_ends_with_1() {
    let repo = TestRepo::new();
    repo.write("policies/base.yaml", &policy("base", "gaurdrails: {}"));
    for verb in [
        &["list"][..],
        &["resolve"],
        &["test"],
        &["prove"],
        &["show", "base"],
    ] {
        let said = repo.run(verb.iter().copied()).fails(1);
        assert!(said.contains("policies/base.yaml:4:1"), "{verb:?}: {said}");
    }
    let run = repo.run(["list", "--format", "json"]).ends(1);
    let object: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(object["error"]["message"], "the policies have errors");
    let found = &object["error"]["findings"][0];
    assert_eq!(
        (&found["file"], &found["line"]),
        (&"policies/base.yaml".into(), &4.into())
    );
}

#[test]
fn a_demand_beside_the_results_fails_after_them() {
    let repo = TestRepo::new();
    repo.write(
        "policies/base.yaml",
        &policy("base", "guardrails: {add: [pii]}"),
    );
    let run = repo
        .run(["test", "--require-tests", "--format", "json"])
        .ends(1);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()["passed"],
        0
    );
    assert_eq!(
        run.stderr,
        "error: no test case ran, and `--require-tests` asks for one\n"
    );
}

#[test]
fn a_verb_of_another_program_leads_to_ours_and_help_tells_of_one() {
    let home = TestRepo::plain();
    for (typed, meant) in [
        ("check", "validate"),
        ("deploy", "promote"),
        ("valdate", "validate"),
    ] {
        let said = home.run([typed]).fails(2);
        assert!(said.contains(&format!("'{meant}'")), "{said}");
    }
    let told = home.run(["help", "why"]).ok();
    assert_eq!(told, home.run(["why", "--help"]).ok());
    let run = home.run(["check", "--format", "json"]).ends(2);
    let object: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(
        object["error"]["message"]
            .as_str()
            .unwrap()
            .contains("check"),
        "{object}"
    );
    assert!(
        object["error"]["help"]
            .as_str()
            .unwrap()
            .contains("validate"),
        "{object}"
    );
}

#[test]
fn a_verb_below_a_verb_has_a_manual_page() {
    let home = TestRepo::plain();
    let page = home.run(["man", "hook", "install"]).ok();
    assert!(
        page.contains("hook\\-install") || page.contains("hook install"),
        "{page}"
    );
    let said = home.run(["man", "hook", "instal"]).fails(2);
    assert!(said.contains("did you mean `install`?"), "{said}");
    let whole = home.run(["man"]).ok();
    assert!(
        whole.contains("refguard\\-hook") || whole.contains("refguard-hook"),
        "{whole}"
    );
}

#[test]
fn a_manual_page_has_values_defaults_a_footer_and_its_neighbours() {
    let home = TestRepo::plain();
    let page = home.run(["man", "why"]).ok();
    let heading = concat!(
        ".TH REFGUARD-WHY 1 \" \" \"refguard ",
        env!("CARGO_PKG_VERSION"),
        "\" \"refguard manual\""
    );
    let page_text = page.replace("\\-", "-");
    for part in [
        heading,
        "\\fBrefguard why\\fR [OPTIONS] --guardrail <GUARDRAIL>",
        "[default: production]",
        "json: For programs: versioned and stable",
        ".SH \"OPTIONS OF EVERY VERB\"",
        ".SH \"EXIT STATUS\"",
        ".SH \"SEE ALSO\"",
        "refguard\\fR(1)",
        "refguard-blame\\fR(1)",
    ] {
        assert!(page_text.contains(part), "{part}: {page_text}");
    }
    assert_eq!(page.matches(".ds Aq").count(), 2, "{page}");
    let nested = home
        .run(["man", "hook", "pre-commit"])
        .ok()
        .replace("\\-", "-");
    for part in [
        "\\fBrefguard hook pre-commit\\fR [OPTIONS]",
        "refguard-hook\\fR(1)",
        "refguard-hook-install\\fR(1)",
    ] {
        assert!(nested.contains(part), "{part}: {nested}");
    }
    let hook = home.run(["man", "hook"]).ok().replace("\\-", "-");
    assert!(hook.contains("refguard-hook-pre-receive(1)"), "{hook}");
    assert!(!hook.contains("refguard-hook-help"), "{hook}");
}
