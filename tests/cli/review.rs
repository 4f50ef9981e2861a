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
    repo.run(["review", "main", "HEAD", "--format", "json"])
        .json()
}

fn markdown(repo: &TestRepo) -> String {
    repo.run(["review", "main", "HEAD", "--format", "markdown"])
        .stdout
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
fn witnesses_have_names_of_the_catalog_where_one_fits() {
    let repo = TestRepo::new();
    let catalog = "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [pii, audit]\n\
        teams: [finance, health-eu]\nkeys: [prod-7]\nmodels: [gpt-4o, o1]\ntags: [phi-eu]\n\
        users: [u-17]\n";
    let attached = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\n\
        teams: [\"health-*\"]\nkeys: [\"prod-*\"]\nmodels: [\"gpt-*\"]\ntags: [\"phi*\"]\n\
        users: [\"u-*\"]\n";
    repo.write("catalog.yaml", catalog)
        .policy("base", "guardrails: {add: [pii, audit]}")
        .write("attachments/some.yaml", attached)
        .commit("one");
    repo.policy("base", "guardrails: {add: [audit]}")
        .commit("two");
    let impact = repo
        .run(["impact", "main~1", "main", "--format", "json"])
        .json();
    let region = &impact["regions"][0];
    assert_eq!(region["lost"], json!(["pii"]), "{impact}");
    let witness = &region["witness"];
    for (name, value) in [
        ("team", json!("health-eu")),
        ("key", json!("prod-7")),
        ("model", json!("gpt-4o")),
        ("user", json!("u-17")),
        ("tags", json!(["phi-eu"])),
    ] {
        assert_eq!(witness[name], value, "{witness}");
    }
}

#[test]
fn a_change_is_told_in_one_piece() {
    let repo = base();
    repo.policy("base", "guardrails: {add: [audit]}")
        .policy("extra", "guardrails: {add: [log]}")
        .commit("two");
    let told = review(&repo);
    assert_eq!(codes(&told), ["RG201"]);
    assert_eq!(
        told["diff"]["policies"]["changed"][0]["guardrails"]["lost"],
        json!(["pii"])
    );
    assert_eq!(
        (
            &told["impact"]["weakens"],
            &told["impact"]["regions"][0]["lost"]
        ),
        (&json!(true), &json!(["pii"]))
    );
    let versions = json!([
        {"policy": "base", "number": 2, "removed": false},
        {"policy": "extra", "number": 1, "removed": false},
    ]);
    assert_eq!(told["versions"], versions);
    assert_eq!(
        (
            &told["environments"][0]["environment"],
            &told["environments"][0]["could"]
        ),
        (&json!("production"), &json!(true))
    );
    let page = markdown(&repo);
    let verdict =
        "loses protection for some requests; weakens; 1 new warning; production could take it";
    assert_eq!(told["verdict"], verdict);
    let begin =
        format!("<!-- refguard review -->\n## Policies: `main` → `HEAD`\n\n**{verdict}**\n");
    assert!(page.starts_with(&begin), "{page}");
    let order = [
        "| any or none | any or none | `pii` |",
        "**Weakens**",
        "### New findings",
        "RG201",
        "### Whom to ask",
        "<summary>Documents that differ: 2",
        "- `base@2`\n",
        "<summary>Exactly, by patterns",
        "<summary>Requests that name a policy themselves",
    ];
    in_order(&page, &order);
    let said = repo.run(["review", "main", "HEAD"]).ok();
    let order = [
        verdict,
        "TEAMS ",
        "weakens: ",
        "new warning: RG201",
        "the merge makes: base@2",
    ];
    in_order(&said, &order);
}

/// Each text is there once, after the one before.
fn in_order(page: &str, texts: &[&str]) {
    let mut from = 0;
    for text in texts {
        let at = page
            .find(text)
            .unwrap_or_else(|| panic!("{text} is not in {page}"));
        assert!(at >= from, "{text} comes too early in {page}");
        assert_eq!(
            page.matches(text).count(),
            1,
            "{text} is said twice in {page}"
        );
        from = at;
    }
}

const CATALOG: &str = "apiVersion: refguard/v1\nkind: Catalog\n\
    teams: [eu, us, fin-ops, fin-research]\n\
     models: [gpt-4, o1]\nguardrails: [pii, audit, log, fin_check]\n";

#[test]
fn who_loses_what_is_told_in_names_and_whom_to_ask_and_where() {
    let repo = base();
    repo.git(["checkout", "-q", "main"]);
    let fin = ATTACHED
        .replace("base", "fin")
        .replace("scope: \"*\"", "teams: [\"fin-*\"]");
    repo.write("catalog.yaml", CATALOG)
        .policy("fin", "owner: fin-platform\nguardrails: {add: [fin_check]}")
        .write("attachments/fin.yaml", &fin)
        .commit("names");
    repo.git(["checkout", "-q", "-B", "feature"]);
    repo.policy(
        "fin",
        "owner: fin-platform\nguardrails: {add: [fin_check, log]}\ncondition: {model: o1}",
    )
    .write(
        "attachments/fin.yaml",
        &fin.replace("policy", "priority: 1\npolicy"),
    )
    .commit("only for one model");
    let told = review(&repo);
    assert_eq!(
        told["verdict"],
        "loses protection for 2 teams; weakens; production could take it"
    );
    let rows = &told["names"]["rows"];
    assert_eq!(rows[0]["teams"], json!(["fin-ops", "fin-research"]));
    assert_eq!(
        (&rows[0]["models"], &rows[0]["lost"]),
        (&json!(["gpt-4"]), &json!(["fin_check"]))
    );
    assert_eq!(
        (&rows[1]["models"], &rows[1]["gained"]),
        (&json!(["o1"]), &json!(["log"]))
    );
    assert_eq!(
        told["owners"],
        json!([{"owner": "fin-platform", "policies": ["fin"]}])
    );

    let template = "https://forge.example/p/blob/{commit}/{path}#L{line}";
    let line = [
        "review", "main", "HEAD", "--format", "markdown", "--link", template,
    ];
    let page = repo.run(line).ok();
    let link = format!(
        "[`policies/fin.yaml:1`](<https://forge.example/p/blob/{}/policies/fin.yaml#L1>)",
        repo.id("HEAD")
    );
    assert!(
        page.contains("| `fin-ops`, `fin-research` | `gpt-4` | `fin_check` |"),
        "{page}"
    );
    assert!(page.contains("- **fin\\-platform**: `fin`"), "{page}");
    assert!(page.contains(&link), "{page}");
    let said = repo
        .run([
            "review",
            "--format",
            "markdown",
            "--link",
            "javascript:{path}",
        ])
        .fails(2);
    assert!(said.contains("begins with http:// or https://"), "{said}");
}

#[test]
fn a_loss_that_comes_later_is_in_verdict_and_table_with_the_instant() {
    let repo = base();
    repo.git(["checkout", "-q", "main"]);
    let fin = ATTACHED
        .replace("base", "fin")
        .replace("scope: \"*\"", "teams: [\"fin-*\"]");
    let eu = ATTACHED
        .replace("base", "extra")
        .replace("scope: \"*\"", "teams: [eu]");
    repo.write("catalog.yaml", CATALOG)
        .policy("fin", "owner: fin-platform\nguardrails: {add: [fin_check]}")
        .policy("extra", "owner: eu-platform\nguardrails: {add: [log]}")
        .write("attachments/fin.yaml", &fin)
        .write("attachments/eu.yaml", &eu)
        .commit("names");
    repo.git(["checkout", "-q", "-B", "feature"]);
    let ending = format!("{fin}expires: 2090-12-05\n");
    repo.write("attachments/fin.yaml", &ending).commit("ends");

    let line = |now: &'static str, format: &'static str| {
        ["review", "main", "HEAD", "--now", now, "--format", format]
    };
    let verdict = |now: &'static str| {
        let told = repo.run(line(now, "json")).json();
        told["verdict"]
            .as_str()
            .unwrap()
            .split("; ")
            .next()
            .unwrap()
            .to_owned()
    };
    let later = "loses protection for 2 teams from 2090-12-06T00:00:00Z on";
    assert_eq!(verdict("2090-12-05"), later);
    assert_eq!(verdict("2090-12-07"), "loses protection for 2 teams");
    let told = repo.run(line("2090-12-05", "json")).json();
    let rows = told["names"]["rows"].as_array().unwrap();
    let [row] = rows.as_slice() else {
        panic!("{told:#}")
    };
    assert_eq!(row["teams"], json!(["fin-ops", "fin-research"]));
    assert_eq!(
        (&row["lost"], &row["at"], row.get("until")),
        (&json!(["fin_check"]), &json!("2090-12-06T00:00:00Z"), None)
    );
    let page = repo.run(line("2090-12-05", "markdown")).ok();
    let cells =
        "| `fin-ops`, `fin-research` | all 2 | from 2090-12-06T00:00:00Z on | `fin_check` |";
    assert!(
        page.contains("**loses protection for 2 teams from ") && page.contains(cells),
        "{page}"
    );
    let said = repo.run(line("2090-12-05", "human")).ok();
    assert!(
        said.starts_with(later) && said.contains("  WHEN "),
        "{said}"
    );

    // One that ends now, and one that ends and is there again for another reason until later.
    repo.git(["rm", "-q", "attachments/eu.yaml"]);
    repo.commit("and one at once");
    assert_eq!(
        verdict("2090-12-05"),
        "loses protection for 3 teams, 1 of them now and the others from 2090-12-06T00:00:00Z on"
    );
    let other = ending.replace("2090-12-05", "2091-01-31");
    repo.write("attachments/eu.yaml", &eu)
        .write("attachments/fin.yaml", &format!("{ending}---\n{other}"))
        .commit("longer");
    assert_eq!(
        verdict("2090-12-05"),
        "loses protection for 2 teams from 2091-02-01T00:00:00Z on"
    );
    // What ends on both sides alike is no loss.
    repo.git(["checkout", "-q", "-B", "next"]);
    repo.write(
        "attachments/fin.yaml",
        &format!("# alike\n{ending}---\n{other}"),
    )
    .commit("alike");
    let told = repo.run([
        "review",
        "feature",
        "next",
        "--now",
        "2090-12-05",
        "--format",
        "json",
    ]);
    let told = told.json();
    assert!(
        told["verdict"]
            .as_str()
            .unwrap()
            .starts_with("no request loses protection")
    );
    assert_eq!(told["names"]["rows"], json!([]));
}

#[test]
fn a_cause_is_one_entry_however_many_it_fails() {
    let repo = base();
    let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: matrix-eu\n\
        cases:\n  - name: all\n    \
         matrix: {teams: [a, b, c, d], models: [m1, m2, m3, m4, m5]}\n    expect: {includes: [pii]}\n";
    repo.git(["checkout", "-q", "main"]);
    repo.write("tests/t.yaml", test).commit("tested");
    repo.git(["checkout", "-q", "-B", "feature"]);
    repo.policy("base", "guardrails: {add: [audit]}");
    for number in 0..12 {
        repo.policy(&format!("p{number}"), "guardrails: {add: [nobody_has]}");
    }
    repo.write(
        "catalog.yaml",
        "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [pii, audit]\n",
    );
    repo.commit("much at once");
    let page = repo
        .run(["review", "main", "HEAD", "--format", "markdown"])
        .ends(1)
        .stdout;
    assert_eq!(page.matches("nobody_has").count(), 1, "{page}");
    assert!(
        page.contains(
            "`policies/p0.yaml:4`, `policies/p1.yaml:4`, `policies/p10.yaml:4` and 9 more"
        ),
        "{page}"
    );

    for number in 0..12 {
        repo.remove(&format!("policies/p{number}.yaml"));
    }
    repo.commit("less at once");
    let page = repo
        .run(["review", "main", "HEAD", "--format", "markdown"])
        .ends(1)
        .stdout;
    assert!(
        page.contains("- 20 of 20 cases of `matrix-eu`: misses `pii`; e.g. "),
        "{page}"
    );
    assert!(page.contains("20 of 20 tests fail"), "{page}");
}

#[test]
fn only_what_is_new_is_found() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED);
    repo.policy("a", "guardrails: {add: [pii]}")
        .policy("b", "guardrails: {add: [pii]}")
        .commit("two that are unused");
    repo.git(["checkout", "-q", "-b", "feature"]);
    // Lines move, a file moves, one is mended, one is new.
    repo.write(
        "policies/a.yaml",
        &format!("# a\n\n{}", policy("a", "guardrails: {add: [pii]}")),
    );
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
    assert_eq!(
        (codes(&told), &told["findings"]["gone"]),
        (vec!["RG201"], &json!(1))
    );
}

#[test]
fn a_faulty_head_is_told_of_and_exits_1() {
    let repo = base();
    repo.policy("base", "gaurdrails: {add: [audit]}")
        .commit("slip");
    let run = repo
        .run(["review", "main", "HEAD", "--format", "json"])
        .ends(1);
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
    assert!(
        run.stdout
            .contains("is no valid set: 1 error, 1 that was there before"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_others_merged_since_is_no_part_of_the_change() {
    let repo = base();
    repo.policy("mine", "guardrails: {add: [log]}")
        .commit("mine");
    repo.git(["checkout", "-q", "main"]);
    repo.policy("base", "guardrails: {add: [pii]}")
        .policy("other", "guardrails: {add: [log]}")
        .commit("others");
    repo.policy("mine", "guardrails: {add: [x]}")
        .commit("mine too");
    repo.git(["checkout", "-q", "feature"]);
    let told = review(&repo);
    assert_eq!(told["diff"]["policies"]["added"], json!(["mine"]));
    assert_eq!(
        (
            &told["diff"]["policies"]["changed"],
            &told["diff"]["policies"]["removed"]
        ),
        (&json!([]), &json!([]))
    );
    // The number is that of the branch as it stands.
    assert_eq!(
        told["versions"],
        json!([{"policy": "mine", "number": 2, "removed": false}])
    );
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
        &ATTACHED
            .replace("base", "extra")
            .replace("scope: \"*\"", "teams: [x]"),
    );
    repo.write("tests/t.yaml", &test("other")).commit("two");
    let run = repo
        .run(["review", "main", "HEAD", "--format", "json"])
        .ends(1);
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
    assert!(
        page.contains("- the attachment of `extra` (`attachments/x.yaml:1`)"),
        "{page}"
    );
}

#[test]
fn the_gates_are_foreseen() {
    let repo = base();
    let strict = "apiVersion: refguard/v1\nkind: Repository\n\
        environments: [{name: production, gates: {weaken: refuse}}]\n";
    repo.git(["checkout", "-q", "main"]);
    repo.write("refguard.yaml", strict).commit("strict");
    repo.run(["promote"]).ok();
    repo.run(["hold", "audit week"]).ok();
    repo.git(["checkout", "-q", "-B", "feature"]);
    repo.policy("base", "guardrails: {add: [audit]}")
        .commit("less");
    let told = review(&repo);
    let gates = told["environments"][0]["gates"].as_array().unwrap();
    let named: Vec<(&str, &str)> = gates
        .iter()
        .map(|word| {
            (
                word["gate"].as_str().unwrap(),
                word["says"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(named, [("weaken", "refused"), ("hold", "refused")]);
    assert!(markdown(&repo).contains("production could not take it: gates weaken, hold**"));
}

#[test]
fn the_work_tree_and_the_index_are_reviewed_too() {
    let repo = base();
    repo.policy("base", "guardrails: {add: [audit]}")
        .git(["add", "-A"]);
    repo.policy("base", "guardrails: {add: []}");
    let lost = |args: &[&str]| {
        let told = repo
            .run(
                ["review", "--format", "json"]
                    .into_iter()
                    .chain(args.iter().copied()),
            )
            .json();
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
        &policy(
            &format!("\"{}\"", evil.replace("\\n", " ")),
            "guardrails: {add: [pii]}",
        ),
    );
    let test = format!(
        "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\n\
         cases:\n  - name: \"{evil}\"\n    expect: {{includes: [\"{}\"]}}\n",
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

/// Everybody gets `pii` where nothing else matches; two teams get more.
fn two_teams() -> TestRepo {
    let repo = TestRepo::new();
    let attached = |policy: &str, fields: &str| {
        format!("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {policy}\n{fields}\n")
    };
    repo.policy("base", "guardrails: {add: [pii]}")
        .policy("health", "inherit: base\nguardrails: {add: [phi, audit]}")
        .policy("light", "guardrails: {add: [log]}")
        .write(
            "attachments/all.yaml",
            &attached("base", "scope: \"*\"\ndefault: true"),
        )
        .write(
            "attachments/health.yaml",
            &attached("health", "teams: [health]"),
        )
        .write("attachments/lab.yaml", &attached("light", "teams: [lab]"))
        .commit("one");
    let _ = repo.run(["promote"]).ok();
    repo
}

#[test]
fn a_region_names_only_the_documents_that_do_it() {
    let repo = two_teams();
    // Both policies of one chain change: each has its own effect.
    repo.policy("base", "guardrails: {add: [pii, audit]}")
        .policy("health", "inherit: base\nguardrails: {add: [audit]}");
    let impact = repo
        .run(["impact", "production", "--format", "json"])
        .json();
    let regions = impact["regions"].as_array().unwrap();
    let because = |field: &str, guardrail: &str| -> Vec<String> {
        let has = |region: &&serde_json::Value| {
            region[field] == serde_json::json!([guardrail]) && region["requested"].is_null()
        };
        let region = regions
            .iter()
            .find(has)
            .unwrap_or_else(|| panic!("{impact:#}"));
        let causes = region["because"].as_array().unwrap().iter();
        causes
            .map(|cause| cause["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(because("lost", "phi"), ["health"]);
    assert_eq!(because("gained", "audit"), ["base"]);
    // A parent that is left is what takes its guardrails away.
    repo.policy("base", "guardrails: {add: [pii]}")
        .policy("health", "guardrails: {add: [phi, audit]}");
    let impact = repo
        .run(["impact", "production", "--format", "json"])
        .json();
    assert_eq!(
        impact["regions"][0]["because"][0]["name"], "health",
        "{impact:#}"
    );
}

#[test]
fn a_table_has_no_empty_column_and_a_loss_that_ends_says_until_when() {
    let repo = two_teams();
    repo.write(
        "attachments/eu.yaml",
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: light\nteams: [eu]\n\
         expires: 2999-12-31\nreason: pilot\n",
    )
    .commit("a pilot");
    let text = repo.run(["review", "production", "HEAD"]).stdout;
    let weakens = text
        .lines()
        .find(|line| line.starts_with("weakens"))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(weakens.contains("until 3000-01-01T00:00:00Z"), "{weakens}");

    let repo = two_teams();
    repo.policy("health", "inherit: base\nguardrails: {add: [audit]}")
        .commit("less");
    let head = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("TEAMS"))
            .unwrap()
            .to_owned()
    };
    let text = repo.run(["review", "production", "HEAD"]).stdout;
    assert!(
        head(&text).contains("LOSES") && !head(&text).contains("GAINS"),
        "{text}"
    );
    let page = repo
        .run(["review", "production", "HEAD", "--format", "markdown"])
        .stdout;
    assert!(
        page.contains("| teams | models | loses |\n") && !page.contains("gains"),
        "{page}"
    );
}
