//! What verbs print as JSON is what their schemas say, every field of it.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{Run, TestRepo};

fn attachment(policy: &str, fields: &str) -> String {
    format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{fields}\n")
}

/// The schema of a verb, in which every object has only the fields that it names.
fn closed_schema(repo: &TestRepo, verb: &[&str]) -> Validator {
    fn close(schema: &mut Value) {
        if let Value::Object(fields) = schema {
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        } else if let Value::Array(items) = schema {
            items.iter_mut().for_each(close);
        }
    }
    let line = ["schema", "output"].into_iter().chain(verb.iter().copied());
    let mut schema = repo.run(line).json();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

/// Runs a verb for JSON, whatever its exit, and holds what it prints against its schema.
fn judge(repo: &TestRepo, line: &[&str]) {
    judge_run(
        repo,
        line,
        repo.run(line.iter().copied().chain(["--format", "json"])),
    );
}

/// Holds what a run printed against the schema of its verb.
fn judge_run(repo: &TestRepo, line: &[&str], run: Run) {
    let printed: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{line:?}: {error}: {}{}", run.stdout, run.stderr));
    let is_nested = matches!(line[0], "hook" | "import" | "export");
    let verb = match printed.get("error") {
        Some(_) => &["error"],
        None => &line[..if is_nested { 2 } else { 1 }],
    };
    let validator = closed_schema(repo, verb);
    let faults: Vec<String> = validator
        .iter_errors(&printed)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{line:?}: {faults:#?}\n{printed:#}");
}

#[test]
fn every_output_has_the_form_that_its_schema_says() {
    let repo = TestRepo::new();
    let piped = "guardrails: {add: [pii, log]}\n\
        pipeline: {mode: pre_call, steps: [{guardrail: pii, on_pass: next, \
         on_fail: modify_response, modify_response_message: no}, {guardrail: log}]}";
    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\n\
        cases:\n  - name: one\n    context: {team: eu}\n    \
         expect: {includes: [pii]}\n";
    let invariant = "apiVersion: refguard/v1\nkind: Invariant\nname: all-log\nrequire: [log]\n";
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\n\
        guardrails: [pii, log, audit]\nteams: [eu, us, \"x-*\"]\n",
    )
    .policy("base", &piped.replace("message: no}", "message: sorry}"))
    .policy(
        "child",
        "owner: somebody\ninherit: base\n\
            guardrails: {add: [audit], remove: [log]}\ncondition: {model: \"gpt-.*\"}",
    )
    .write("attachments/all.yaml", &attachment("base", "scope: \"*\""))
    .write(
        "attachments/eu.yaml",
        &attachment("child", "teams: [eu]\ntags: [phi]"),
    )
    .write("tests/t.yaml", test)
    .write("invariants/i.yaml", invariant)
    .commit("one");
    judge(&repo, &["promote", "--dry-run"]);
    judge(&repo, &["promote", "--reason", "the first"]);
    repo.policy("base", "guardrails: {add: [log]}")
        .write(
            "attachments/eu.yaml",
            &attachment("child", "teams: [eu, us]\npriority: 3"),
        )
        .write("attachments/us.yaml", &attachment("child", "models: [o1]"))
        .policy("spare", "guardrails: {add: [pii]}")
        .write("tests/t.yaml", &test.replace("pii", "audit"))
        .remove("invariants/i.yaml")
        .write(
            "log.jsonl",
            "{\"team\":\"eu\",\"tags\":[\"phi\"],\"model\":\"gpt-4\"}\n{\"team\":\"eu\"}\nno row\n",
        )
        .commit("two");
    for line in [
        &["validate"][..],
        &["test"],
        &["test", "--coverage"],
        &["resolve", "--team", "eu", "--tag", "phi", "--explain"],
        &[
            "resolve",
            "--at",
            "production",
            "--policy",
            "base@1",
            "--policy",
            "nobody",
        ],
        &["list"],
        &["list", "attachments"],
        &["show", "child"],
        &["show", "base@1"],
        &["diff", "production", "main", "--impact"],
        &["impact", "production", "main"],
        &["replay", "log.jsonl", "production", "main"],
        &["review", "production", "main", "--replay", "log.jsonl"],
        &["prove"],
        &["prove", "--at", "production"],
        &["review", "production", "main"],
        &["versions", "base"],
        &["compare", "base@1", "base@2"],
        &["draft", "base", "--from", "1"],
        &["status"],
        &["promote", "--dry-run"],
        &[
            "promote",
            "--allow-weaken",
            "agreed",
            "--allow-safeguards",
            "agreed",
        ],
        &["promote"],
        &["log"],
        &["why", "--team", "eu", "--guardrail", "pii"],
        &[
            "why",
            "--team",
            "eu",
            "--model",
            "gpt-4",
            "--guardrail",
            "audit",
        ],
        &["matrix"],
        &["blame", "--team", "eu"],
        &["rollback", "--dry-run"],
        &["rollback", "--reason", "back"],
        &["status"],
        &["hook", "install"],
        &["hook", "pre-commit"],
        &["export", "litellm"],
        &["explain"],
        &["explain", "unused-policy"],
        &["promote"],
        &["release", "sound again"],
        &["hold", "for an audit"],
        &["log"],
        &["show", "nobody"],
        &["why", "--guardrail", "nobody"],
        &["blame", "--env", "nobody"],
    ] {
        judge(&repo, line);
    }
    repo.policy("base", "gaurdrails: {}");
    for line in [
        &["validate"][..],
        &["review"],
        &["resolve"],
        &["diff"],
        &["export", "litellm"],
    ] {
        judge(&repo, line);
    }
    repo.git(["add", "-A"]);
    judge(&repo, &["hook", "pre-commit"]);
    judge(&TestRepo::plain(), &["init", "made"]);
}

#[test]
fn what_comes_of_an_import_has_the_form_that_its_schema_says() {
    let home = TestRepo::plain();
    let config = "policies: {base: {guardrails: {add: [pii]}}}\n\
                  policy_attachments: [{policy: base, scope: '*'}]\n";
    home.write("config.yaml", config)
        .write("broken.yaml", "policies: {a: {inherit: b}}\n");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/litellm");
    let (policies, attachments) = (
        format!("{data}/policies.json"),
        format!("{data}/attachments.json"),
    );
    for line in [
        &["import", "litellm", "config.yaml", "-o", "of-config"][..],
        &["import", "litellm", "broken.yaml", "-o", "of-broken"],
        &["import", "litellm", "nothing.yaml", "-o", "of-nothing"],
        &[
            "import",
            "litellm",
            "--policies",
            &policies,
            "--attachments",
            &attachments,
            "-o",
            "of-base",
        ],
    ] {
        judge(&home, line);
    }
    let line = [
        "import",
        "litellm",
        "config.yaml",
        "-o",
        "again",
        "--format",
        "json",
    ];
    let done = home.run(line).json();
    assert_eq!(
        done["commit"],
        json!(home.git(["-C", "again", "rev-parse", "HEAD"]))
    );
}

#[test]
fn refused_pushes_have_the_form_that_their_schema_says() {
    let repo = TestRepo::new();
    repo.policy("base", "gaurdrails: {}").commit("one");
    let sent = format!(
        "refs/heads/main {} refs/heads/main {}\n",
        repo.id("HEAD"),
        "0".repeat(40)
    );
    let received = format!("{} {} refs/heads/main\n", "0".repeat(40), repo.id("HEAD"));
    let pushed = ["hook", "pre-receive", "--format", "json"];
    let run = repo.run_with_input(pushed, &received).ends(1);
    assert!(
        run.stdout.contains("gaurdrails") && run.stderr.is_empty(),
        "{run:?}"
    );
    judge_run(&repo, &pushed, run);
    let pushed = ["hook", "pre-push", "origin", "--format", "json"];
    judge_run(&repo, &pushed, repo.run_with_input(pushed, &sent));
}

/// Every command that runs something: the words of its path.
fn leaves(command: &clap::Command, path: &[&str], out: &mut Vec<(Vec<String>, bool)>) {
    for verb in command.get_subcommands() {
        let path = [path, &[verb.get_name()]].concat();
        if verb.has_subcommands() {
            leaves(verb, &path, out);
            continue;
        }
        let format = verb
            .get_arguments()
            .find(|argument| argument.get_id() == "format");
        let values = format
            .map(clap::Arg::get_possible_values)
            .unwrap_or_default();
        let has_json = values.iter().any(|value| value.get_name() == "json");
        out.push((
            path.iter().map(|word| (*word).to_owned()).collect(),
            has_json,
        ));
    }
}

#[test]
fn every_verb_prints_json_by_a_schema_and_says_its_errors_so() {
    // What these print is a program's own form: a stream until they are stopped, JSON anyway,
    // scripts, pages.
    const OTHERS: [&str; 4] = ["serve", "schema", "completions", "man"];
    let (home, mut found) = (TestRepo::plain(), Vec::new());
    leaves(&refguard::cli::command(), &[], &mut found);
    assert!(found.len() > 30, "{found:?}");
    for (path, has_json) in found {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let [verb] = path.as_slice()
            && OTHERS.contains(verb)
        {
            continue;
        }
        assert!(has_json, "{path:?} has no `--format json`");
        let schema = ["schema", "output"].into_iter().chain(path.iter().copied());
        let schema = home.run(schema).json();
        assert_eq!(
            schema["title"],
            format!("refguard {} --format json", path.join(" "))
        );
        let line = path
            .iter()
            .copied()
            .chain(["--format", "json", "--no-such-flag"]);
        let run = home.run(line).ends(2);
        judge_run(&home, &path, run);
    }
}

#[test]
fn a_verb_without_a_schema_is_said_with_those_that_have_one() {
    let repo = TestRepo::plain();
    let said = repo.run(["schema", "output", "valdate"]).fails(2);
    assert!(
        said.contains("did you mean `validate`?") && said.contains("why"),
        "{said}"
    );
    let _ = repo.run(["schema", "output"]).fails(2);
    let _ = repo.run(["schema", "policy", "validate"]).fails(2);
}

#[test]
fn a_verb_with_verbs_below_it_leads_to_their_schemas() {
    let repo = TestRepo::plain();
    let said = repo.run(["schema", "output", "hook"]).fails(2);
    for verb in ["install", "pre-commit", "pre-push", "pre-receive"] {
        assert!(
            said.contains(&format!("`refguard schema output hook {verb}`")),
            "{said}"
        );
    }
    assert!(!said.contains("did you mean"), "{said}");
    let said = repo.run(["schema", "output", "import"]).fails(2);
    assert!(
        said.contains("`refguard schema output import litellm`"),
        "{said}"
    );
    let said = repo.run(["schema", "output", "staus"]).fails(2);
    assert!(said.contains("did you mean `status`?"), "{said}");
}
