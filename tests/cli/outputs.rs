//! What verbs print as JSON is what their schemas say, every field of it.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::TestRepo;

fn attachment(policy: &str, fields: &str) -> String {
    format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{fields}\n")
}

/// The schema of a verb, in which every object has only the fields that it names.
fn closed_schema(repo: &TestRepo, verb: &str) -> Validator {
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
    let mut schema = repo.run(["schema", "output", verb]).json();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

/// Runs a verb for JSON, whatever its exit, and holds what it prints against its schema.
fn judge(repo: &TestRepo, line: &[&str]) {
    let run = repo.run(line.iter().copied().chain(["--format", "json"]));
    let printed: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{line:?}: {error}: {}{}", run.stdout, run.stderr));
    let verb = if printed.get("error").is_some() { "error" } else { line[0] };
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
    let piped = "guardrails: {add: [pii, log]}\npipeline: {mode: pre_call, steps: [{guardrail: pii, on_pass: next, \
         on_fail: modify_response, modify_response_message: no}, {guardrail: log}]}";
    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n  - name: one\n    context: {team: eu}\n    \
         expect: {includes: [pii]}\n";
    let invariant = "apiVersion: refguard/v1\nkind: Invariant\nname: all-log\nrequire: [log]\n";
    repo.write("catalog.yaml", "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [pii, log, audit]\nteams: [eu, us, \"x-*\"]\n")
        .policy("base", &piped.replace("message: no}", "message: sorry}"))
        .policy("child", "owner: somebody\ninherit: base\nguardrails: {add: [audit], remove: [log]}\ncondition: {model: \"gpt-.*\"}")
        .write("attachments/all.yaml", &attachment("base", "scope: \"*\""))
        .write("attachments/eu.yaml", &attachment("child", "teams: [eu]\ntags: [phi]"))
        .write("tests/t.yaml", test)
        .write("invariants/i.yaml", invariant)
        .commit("one");
    judge(&repo, &["promote", "--dry-run"]);
    judge(&repo, &["promote", "--reason", "the first"]);
    repo.policy("base", "guardrails: {add: [log]}")
        .write("attachments/eu.yaml", &attachment("child", "teams: [eu, us]\npriority: 3"))
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
        &["resolve", "--at", "production", "--policy", "base@1", "--policy", "nobody"],
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
        &["promote", "--allow-weaken", "agreed", "--allow-safeguards", "agreed"],
        &["promote"],
        &["log"],
        &["why", "--team", "eu", "--guardrail", "pii"],
        &["why", "--team", "eu", "--model", "gpt-4", "--guardrail", "audit"],
        &["matrix"],
        &["blame", "--team", "eu"],
        &["rollback", "--dry-run"],
        &["rollback", "--reason", "back"],
        &["status"],
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
    for line in [&["validate"][..], &["review"], &["resolve"], &["diff"]] {
        judge(&repo, line);
    }
    judge(&TestRepo::plain(), &["init", "made"]);
}

#[test]
fn a_verb_without_a_schema_is_said_with_those_that_have_one() {
    let repo = TestRepo::plain();
    let said = repo.run(["schema", "output", "valdate"]).fails(2);
    assert!(said.contains("did you mean `validate`?") && said.contains("why"), "{said}");
    let _ = repo.run(["schema", "output"]).fails(2);
    let _ = repo.run(["schema", "policy", "validate"]).fails(2);
}
