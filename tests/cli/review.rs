//! What a reviewer is told of a change.

use serde_json::{Value, json};

use crate::support::{TestRepo, policy};

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

fn base() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .write("attachments/all.yaml", ATTACHED)
        .commit("one");
    repo.git(["checkout", "-q", "-b", "feature"]);
    repo
}

fn review(repo: &TestRepo) -> Value {
    repo.run(["review", "main", "HEAD", "--format", "json"]).json()
}

fn markdown(repo: &TestRepo) -> String {
    repo.run(["review", "main", "HEAD", "--format", "markdown"]).stdout
}

fn codes(review: &Value) -> Vec<&str> {
    review["findings"]["new"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["code"].as_str().unwrap())
        .collect()
}

#[test]
fn a_change_is_told_in_one_piece() {
    let repo = base();
    repo.policy("base", "guardrails: {add: [audit]}")
        .policy("extra", "guardrails: {add: [log]}")
        .commit("two");
    let told = review(&repo);
    assert_eq!(codes(&told), ["RG201"]);
    assert_eq!(told["diff"]["policies"]["changed"][0]["guardrails"]["lost"], json!(["pii"]));
    assert_eq!(
        (&told["impact"]["weakens"], &told["impact"]["regions"][0]["lost"]),
        (&json!(true), &json!(["pii"]))
    );
    let versions = json!([
        {"policy": "base", "number": 2, "removed": false},
        {"policy": "extra", "number": 1, "removed": false},
    ]);
    assert_eq!(told["versions"], versions);
    assert_eq!(
        (&told["environments"][0]["environment"], &told["environments"][0]["could"]),
        (&json!("production"), &json!(true))
    );
    let page = markdown(&repo);
    assert!(
        page.starts_with(
            "<!-- refguard review -->\n## Policies: `main` → `HEAD`\n\n1 new warning; "
        ),
        "{page}"
    );
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not in {page}"));
    assert!(
        at("RG201") < at("**Loses** policy `base`: `pii`")
            && at("**Loses**") < at("What this change does")
    );
    assert!(page.contains("- `base@2`\n") && page.contains("`production` could take it"), "{page}");
    let said = repo.run(["review", "main", "HEAD"]).ok();
    assert!(
        said.contains("new warning: RG201") && said.contains("the merge makes: base@2"),
        "{said}"
    );
}

#[test]
fn only_what_is_new_is_found() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}").write("attachments/all.yaml", ATTACHED);
    repo.policy("a", "guardrails: {add: [pii]}")
        .policy("b", "guardrails: {add: [pii]}")
        .commit("two that are unused");
    repo.git(["checkout", "-q", "-b", "feature"]);
    // Lines move, a file moves, one is mended, one is new.
    repo.write("policies/a.yaml", &format!("# a\n\n{}", policy("a", "guardrails: {add: [pii]}")));
    repo.git(["mv", "policies/b.yaml", "policies/moved.yaml"]);
    repo.commit("moves");
    let told = review(&repo);
    assert_eq!(
        (codes(&told), &told["findings"]["gone"], &told["versions"]),
        (vec![], &json!(0), &json!([]))
    );
    repo.remove("policies/a.yaml")
        .policy("c", "guardrails: {add: [pii]}")
        .commit("one for another");
    let told = review(&repo);
    assert_eq!((codes(&told), &told["findings"]["gone"]), (vec!["RG201"], &json!(1)));
}

#[test]
fn a_faulty_head_is_told_of_and_exits_1() {
    let repo = base();
    repo.policy("base", "gaurdrails: {add: [audit]}").commit("slip");
    let run = repo.run(["review", "main", "HEAD", "--format", "json"]).ends(1);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (codes(&told), &told["diff"], &told["faulty"]),
        (vec!["RG012"], &Value::Null, &json!(true))
    );
    assert_eq!(told["environments"][0]["could"], json!(false));
    // An error that was there before is no news, but is not passed over either.
    repo.git(["checkout", "-q", "main"]);
    repo.git(["merge", "-q", "feature"]);
    repo.git(["checkout", "-q", "feature"]);
    repo.write("README.md", "x").commit("three");
    let run = repo.run(["review", "main", "HEAD"]).ends(1);
    assert!(run.stdout.contains("1 error that was there before"), "{}", run.stdout);
}

#[test]
fn what_others_merged_since_is_no_part_of_the_change() {
    let repo = base();
    repo.policy("mine", "guardrails: {add: [log]}").commit("mine");
    repo.git(["checkout", "-q", "main"]);
    repo.policy("base", "guardrails: {add: [pii]}")
        .policy("other", "guardrails: {add: [log]}")
        .commit("others");
    repo.policy("mine", "guardrails: {add: [x]}").commit("mine too");
    repo.git(["checkout", "-q", "feature"]);
    let told = review(&repo);
    assert_eq!(told["diff"]["policies"]["added"], json!(["mine"]));
    assert_eq!(
        (&told["diff"]["policies"]["changed"], &told["diff"]["policies"]["removed"]),
        (&json!([]), &json!([]))
    );
    // The number is that of the branch as it stands.
    assert_eq!(told["versions"], json!([{"policy": "mine", "number": 2, "removed": false}]));
}

#[test]
fn tests_and_coverage_stand_beside_those_of_before() {
    let repo = base();
    let test = |includes: &str| {
        let case = format!("  - name: everybody\n    expect: {{includes: [{includes}]}}\n");
        format!("apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n{case}")
    };
    repo.git(["checkout", "-q", "main"]);
    repo.write("tests/t.yaml", &test("pii")).commit("tested");
    repo.git(["checkout", "-q", "-B", "feature"]);
    repo.policy("extra", "guardrails: {add: [log]}").write(
        "attachments/x.yaml",
        &ATTACHED.replace("base", "extra").replace("scope: \"*\"", "teams: [x]"),
    );
    repo.write("tests/t.yaml", &test("other")).commit("two");
    let run = repo.run(["review", "main", "HEAD", "--format", "json"]).ends(1);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&told["tests"]["failed"], &told["tests"]["base"]["failed"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        (&told["coverage"]["base"], &told["coverage"]["head"]),
        (&json!(100.0), &json!(50.0))
    );
    assert_eq!(told["coverage"]["uncovered"][0]["policy"], json!("extra"));
    let page = markdown(&repo);
    assert!(
        page.contains("coverage 100.0% → 50.0%") && page.contains("### Failed tests"),
        "{page}"
    );
    assert!(page.contains("- the attachment of `extra` (`attachments/x.yaml:1`)"), "{page}");
}

#[test]
fn the_gates_are_foreseen() {
    let repo = base();
    let strict = "apiVersion: refguard/v1\nkind: Repository\nenvironments: [{name: production, gates: {weaken: refuse}}]\n";
    repo.git(["checkout", "-q", "main"]);
    repo.write("refguard.yaml", strict).commit("strict");
    repo.run(["promote"]).ok();
    repo.run(["hold", "audit week"]).ok();
    repo.git(["checkout", "-q", "-B", "feature"]);
    repo.policy("base", "guardrails: {add: [audit]}").commit("less");
    let told = review(&repo);
    let gates = told["environments"][0]["gates"].as_array().unwrap();
    let named: Vec<(&str, &str)> = gates
        .iter()
        .map(|word| (word["gate"].as_str().unwrap(), word["says"].as_str().unwrap()))
        .collect();
    assert_eq!(named, [("weaken", "refused"), ("hold", "refused")]);
    assert!(markdown(&repo).contains("`production` could **not** take it"));
}

#[test]
fn the_work_tree_and_the_index_are_reviewed_too() {
    let repo = base();
    repo.policy("base", "guardrails: {add: [audit]}").git(["add", "-A"]);
    repo.policy("base", "guardrails: {add: []}");
    let lost = |args: &[&str]| {
        let told =
            repo.run(["review", "--format", "json"].into_iter().chain(args.iter().copied())).json();
        told["diff"]["policies"]["changed"][0]["guardrails"]["lost"].clone()
    };
    assert_eq!(lost(&[]), json!(["audit", "pii"]));
    assert_eq!(lost(&["--staged"]), json!(["pii"]));
    assert_eq!(lost(&["main", "--staged"]), json!(["pii"]));
}

#[test]
fn text_from_policies_stays_text() {
    let repo = base();
    let evil = "x`</code>|@admin #1 [a](http://e) <!-- -->\\n::error::owned";
    repo.write(
        "policies/e.yaml",
        &policy(&format!("\"{}\"", evil.replace("\\n", " ")), "guardrails: {add: [pii]}"),
    );
    let test = format!(
        "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\ncases:\n  - name: \"{evil}\"\n    expect: {{includes: [\"{}\"]}}\n",
        evil.replace("\\n", " ").replace('@', "")
    );
    repo.write("tests/t.yaml", &test).commit("evil");
    let page = markdown(&repo);
    let outside = outside_code(&page);
    assert_eq!(outside.matches("<!--").count(), 1, "{page}");
    for line in page.lines() {
        assert!(!line.starts_with("::"), "{line}");
    }
    // Outside of code nothing of it is markup.
    for needle in ["@admin", "</code>|", "[a](http", "<!-- -->"] {
        assert!(!outside.contains(needle), "{needle} in {page}");
    }
}

/// The page without its code spans, as CommonMark reads them.
fn outside_code(page: &str) -> String {
    let mut kept = String::new();
    for line in page.lines() {
        let mut rest = line;
        while let Some(start) = rest.find('`') {
            let fence = rest[start..].chars().take_while(|c| *c == '`').count();
            kept.push_str(&rest[..start]);
            let after = &rest[start + fence..];
            let Some(end) = closing(after, fence) else {
                kept.push_str(&rest[start..start + fence]);
                rest = after;
                continue;
            };
            rest = &after[end + fence..];
        }
        kept.push_str(rest);
        kept.push('\n');
    }
    kept
}

fn closing(text: &str, fence: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let length = text[at + found..].chars().take_while(|c| *c == '`').count();
        if length == fence {
            return Some(at + found);
        }
        at += found + length;
    }
    None
}
