//! From history to the work tree and to requests: `draft`, pinned versions, `status`.

use serde_json::{Value, json};

use crate::support::{TestRepo, policy};

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";

fn add(guardrails: &str) -> String {
    format!("guardrails: {{add: [{guardrails}]}}")
}

/// Three versions of `base`, which everything is attached to.
fn three() -> TestRepo {
    let repo = TestRepo::new();
    repo.write("attachments/all.yaml", ATTACHED);
    repo.policy(
        "base",
        &format!("# the first words\n{} # and the last", add("one")),
    )
    .commit("first");
    repo.policy("base", &add("two")).commit("second");
    repo.policy("base", &add("three")).commit("third");
    repo
}

mod draft {
    use super::*;

    #[test]
    fn an_old_text_comes_back_as_it_was_written() {
        let repo = three();
        let old = repo.git(["show", "main~2:policies/base.yaml"]);
        let done = repo
            .run(["draft", "base", "--from", "1", "--format", "json"])
            .json();
        assert_eq!(
            (&done["number"], &done["file"], &done["changed"]),
            (&json!(1), &json!("policies/base.yaml"), &json!(true))
        );
        assert_eq!(done["commit"], json!(repo.id("main~2")));
        assert_eq!(repo.read("policies/base.yaml").trim_end(), old);
        repo.commit("back to the first");
        let versions = repo.run(["versions", "base", "--format", "json"]).json();
        assert_eq!(
            (
                &versions["versions"][0]["number"],
                &versions["versions"][0]["digest"]
            ),
            (&json!(4), &versions["versions"][3]["digest"])
        );
    }

    #[test]
    fn the_newest_text_is_there_already() {
        let repo = three();
        let done = repo.run(["draft", "base", "--format", "json"]).json();
        assert_eq!(
            (&done["number"], &done["changed"]),
            (&json!(3), &json!(false))
        );
        assert_eq!(repo.git(["status", "--porcelain"]), "");
    }

    #[test]
    fn only_its_own_document_of_a_file_is_replaced() {
        let repo = TestRepo::new();
        let file = |middle: &str| {
            format!(
                "# head\n{}# tail of a\n---\n{middle}---\n{}",
                policy("a", &add("x")),
                policy("c", &add("z"))
            )
        };
        let old = format!("# about b\n{}", policy("b", &add("one")));
        repo.write("p.yaml", &file(&old)).commit("one");
        repo.write("p.yaml", &file(&policy("b", &add("two"))))
            .commit("two");
        let _ = repo.run(["draft", "b", "--from", "1"]).ok();
        assert_eq!(repo.read("p.yaml"), file(&old));
    }

    #[test]
    fn changes_that_no_commit_holds_are_not_overwritten() {
        let repo = three();
        let mine = policy("base", &add("mine"));
        repo.write("policies/base.yaml", &mine);
        let said = repo.run(["draft", "base", "--from", "1"]).fails(2);
        assert!(
            said.contains("not committed") && said.contains("--force"),
            "{said}"
        );
        assert_eq!(repo.read("policies/base.yaml"), mine);
        repo.git(["add", "-A"]);
        assert!(
            repo.run(["draft", "base", "--from", "1"])
                .fails(2)
                .contains("not committed")
        );
        let _ = repo.run(["draft", "base", "--from", "1", "--force"]).ok();
        assert!(
            repo.read("policies/base.yaml")
                .contains("# the first words")
        );
    }

    #[test]
    fn a_policy_that_is_gone_comes_back_in_a_file_of_its_own() {
        let repo = three();
        repo.remove("policies/base.yaml")
            .remove("attachments/all.yaml")
            .policy("BASE", &add("x"))
            .commit("gone");
        repo.git(["mv", "policies/BASE.yaml", "policies/base.yaml"]);
        repo.commit("another policy takes its file");
        let done = repo.run(["draft", "base", "--format", "json"]).json();
        assert_eq!(
            (&done["number"], &done["file"]),
            (&json!(3), &json!("policies/base-2.yaml"))
        );
        assert_eq!(
            repo.read("policies/base-2.yaml"),
            policy("base", &add("three"))
        );
        let said = repo.run(["draft", "base", "--from", "latest"]).fails(2);
        assert!(said.contains("no document"), "{said}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_guessed_at() {
        let repo = three();
        repo.write(
            "policies/base.yaml",
            "apiVersion: refguard/v1\nkind: Policy\nname: [\n",
        );
        let said = repo
            .run(["draft", "base", "--from", "1", "--force"])
            .fails(2);
        assert!(
            said.contains("cannot be read") && said.contains("policies/base.yaml"),
            "{said}"
        );
        repo.policy("base", &add("a"))
            .write("copy.yaml", &policy("base", &add("b")));
        assert!(repo.run(["draft", "base"]).fails(2).contains("two places"));
    }
}

mod pins {
    use super::*;

    fn resolve(repo: &TestRepo, policies: &[&str]) -> Value {
        let asked = policies.iter().flat_map(|name| ["--policy", name]);
        repo.run(["resolve", "--format", "json"].into_iter().chain(asked))
            .json()
    }

    #[test]
    fn a_pinned_version_adds_and_replaces_nothing() {
        let repo = three();
        let answer = resolve(&repo, &["base@1"]);
        assert_eq!(answer["guardrails"], json!(["one", "three"]));
        let listed: Vec<(&Value, &Value)> = answer["policies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (&p["name"], &p["version"]))
            .collect();
        assert_eq!(
            listed,
            [(&json!("base"), &json!(3)), (&json!("base@1"), &json!(1))]
        );
        assert_eq!(answer["unknown"], json!([]));
    }

    #[test]
    fn the_parent_of_a_pinned_version_is_the_one_in_force() {
        let repo = three();
        repo.policy(
            "child",
            "inherit: base\nguardrails: {add: [own], remove: [three]}",
        )
        .commit("a child");
        repo.policy("child", "inherit: base").commit("a meek child");
        let pinned = resolve(&repo, &["child@1"]);
        let child = &pinned["policies"][1];
        assert_eq!(
            (&child["guardrails"], &child["chain"]),
            (&json!(["own"]), &json!(["base", "child@1"]))
        );
        let versions = repo.run(["versions", "child", "--format", "json"]).json();
        assert_eq!(child["digest"], versions["versions"][1]["digest"]);
    }

    #[test]
    fn words_stand_for_numbers_and_what_does_not_exist_is_unknown() {
        let repo = three();
        repo.git(["update-ref", "refs/heads/production", "main~1"]);
        let answer = resolve(
            &repo,
            &[
                "base@latest",
                "base@production",
                "base@9",
                "nobody@1",
                "base@main",
            ],
        );
        let names: Vec<&Value> = answer["policies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| &p["name"])
            .collect();
        assert_eq!(names, ["base", "base@3", "base@2"]);
        assert_eq!(
            answer["unknown"],
            json!(["base@9", "nobody@1", "base@main"])
        );
    }

    #[test]
    fn a_version_without_a_sound_document_is_unknown() {
        let repo = three();
        repo.policy(
            "other",
            "condition: {model: \"(?<!x)y\"}\nguardrails: {add: [x]}",
        )
        .commit("no such grammar");
        repo.remove("policies/other.yaml").commit("gone");
        assert_eq!(
            resolve(&repo, &["other@1", "other@2"])["unknown"],
            json!(["other@1", "other@2"])
        );
    }

    #[test]
    fn a_draft_has_no_number_and_an_old_commit_its_own() {
        let repo = three();
        repo.policy("base", &add("mine"));
        assert_eq!(resolve(&repo, &[])["policies"][0]["version"], Value::Null);
        let old = repo
            .run(["resolve", "--at", "main~1", "--format", "json"])
            .json();
        assert_eq!(old["policies"][0]["version"], json!(2));
        assert!(
            repo.run(["resolve", "--at", "main~1"])
                .ok()
                .contains("base@2")
        );
    }

    #[test]
    fn a_test_may_ask_for_a_version() {
        let repo = three();
        let test = "apiVersion: refguard/v1\nkind: PolicyTest\nname: pins\n\
            cases:\n  - name: the old one too\n    context: {}\n    policies: [base@1]\n    expect: {guardrails: [one, three], policies: [base, base@1]}\n";
        repo.write("tests/pins.yaml", test);
        let _ = repo.run(["test"]).ok();
    }
}

mod status {
    use super::*;

    fn status(repo: &TestRepo) -> Value {
        let status = repo.run(["status", "--format", "json"]).json();
        assert_eq!(status["version"], 1);
        status
    }

    fn changes(added: &[&str], removed: &[&str], changed: &[&str]) -> Value {
        json!({
            "added": added, "removed": removed, "changed": changed, "faulty": [], "documents": [],
        })
    }

    #[test]
    fn drafts_are_what_the_publish_branch_lacks() {
        let repo = three();
        assert_eq!(status(&repo)["drafts"], changes(&[], &[], &[]));
        repo.policy("other", &add("x")).commit("another");
        repo.policy("new", &add("x"))
            .policy("base", &add("four"))
            .remove("policies/other.yaml");
        repo.write("policies/moved.yaml", "# nothing\n");
        assert_eq!(
            status(&repo)["drafts"],
            changes(&["new"], &["other"], &["base"])
        );
        repo.git(["checkout", "-q", "-b", "feature"]);
        repo.commit("drafted");
        assert_eq!(
            status(&repo)["drafts"],
            changes(&["new"], &["other"], &["base"])
        );
        repo.write("policies/base.yaml", "name: [\n");
        let drafts = status(&repo)["drafts"].clone();
        assert_eq!(
            (&drafts["changed"], &drafts["removed"]),
            (&json!([]), &json!(["other"]))
        );
        assert_eq!(drafts["faulty"], json!(["policies/base.yaml"]));
        let text = repo.run(["status"]).ok();
        assert!(
            text.contains("    + new\n    - other\n    ! policies/base.yaml cannot be read"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_policy_is_a_draft_too() {
        let repo = three();
        repo.write(
            "attachments/new.yaml",
            &ATTACHED.replace("scope", "priority: 3\nscope"),
        )
        .write(
            "catalog.yaml",
            "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [x]\n",
        )
        .write(
            "tests/t.yaml",
            "apiVersion: refguard/v1\nkind: PolicyTest\nname: t\n\
                 cases: [{name: a, context: {}, expect: {}}]\n",
        );
        let text = repo.run(["status"]).ok();
        for line in [
            "+ attachment of base (attachments/new.yaml)",
            "+ catalog (catalog.yaml)",
            "+ test t (tests/t.yaml)",
        ] {
            assert!(text.contains(&format!("    {line}\n")), "{text}");
        }
        assert!(!text.contains("drafts: none"), "{text}");
        repo.commit("all of it");
        assert!(repo.run(["status"]).ok().contains("drafts: none"));
        repo.write(
            "attachments/new.yaml",
            &ATTACHED.replace("scope", "priority: 4\nscope"),
        )
        .remove("tests/t.yaml");
        let documents = status(&repo)["drafts"]["documents"].clone();
        assert_eq!(
            documents,
            json!([
                {"kind": "attachment", "name": "base", "change": "changed", "file": "attachments/new.yaml"},
                {"kind": "test", "name": "t", "change": "removed", "file": "tests/t.yaml"},
            ])
        );
    }

    #[test]
    fn a_moved_document_is_no_draft() {
        let repo = three();
        repo.git(["mv", "policies/base.yaml", "b.yaml"]);
        repo.write(
            "b.yaml",
            &format!("# moved\n{}", policy("base", &add("three"))),
        );
        assert_eq!(status(&repo)["drafts"], changes(&[], &[], &[]));
    }

    #[test]
    fn an_environment_tells_what_it_lacks() {
        let repo = three();
        let empty = &status(&repo)["environments"][0];
        assert_eq!(
            (&empty["name"], &empty["commit"], &empty["promotion"]),
            (&json!("production"), &Value::Null, &Value::Null)
        );
        let done = repo.run(["promote", "--format", "json"]).json();
        let found = &status(&repo)["environments"][0];
        assert_eq!(
            (&found["promotion"], &found["promoted"]),
            (&json!(1), &json!(repo.id("main")))
        );
        assert_eq!(
            (&found["commit"], &found["external"]),
            (&done["commit"], &json!(false))
        );
        assert_eq!((&found["ahead"], &found["behind"]), (&json!(0), &json!(0)));
        repo.policy("base", &add("four")).commit("fourth");
        repo.policy("new", &add("x"))
            .write("attachments/new.yaml", &ATTACHED.replace("base", "new"))
            .commit("fifth");
        let found = &status(&repo)["environments"][0];
        let mut lacking = changes(&["new"], &[], &["base"]);
        lacking["documents"] = json!([
            {"kind": "attachment", "name": "new", "change": "added", "file": "attachments/new.yaml"},
        ]);
        assert_eq!(
            (&found["behind"], &found["policies"]),
            (&json!(2), &lacking)
        );
        assert_eq!(found["hold"], Value::Null);
        let _ = repo.run(["hold", "wait for legal"]).ok();
        let hold = &status(&repo)["environments"][0]["hold"];
        assert_eq!(
            (&hold["reason"], &hold["promotion"]),
            (&json!("wait for legal"), &json!(2))
        );
        let text = repo.run(["status"]).ok();
        assert!(
            text.contains("2 commits behind main")
                && text.starts_with("! production: on hold since promotion 2"),
            "{text}"
        );
    }

    #[test]
    fn a_move_by_hand_is_told() {
        let repo = three();
        let _ = repo.run(["promote", "main~1"]).ok();
        repo.git(["update-ref", "refs/heads/production", "main"]);
        let found = &status(&repo)["environments"][0];
        assert_eq!(
            (&found["external"], &found["promotion"]),
            (&json!(true), &json!(1))
        );
        assert_eq!((&found["ahead"], &found["behind"]), (&json!(0), &json!(0)));
        let told = repo.run(["status"]).ok();
        assert!(
            told.starts_with("! production: something else than a promotion moved it"),
            "{told}"
        );

        // One that holds no valid set is the worst, and comes first.
        repo.git(["checkout", "-q", "--detach", "main"]);
        repo.policy("base", "inherit: nobody").commit("broken");
        repo.git(["update-ref", "refs/heads/production", "HEAD"]);
        let told = repo.run(["status"]).ok();
        assert!(
            told.starts_with("! production: its tip holds no valid set"),
            "{told}"
        );
        assert!(told.contains("policies/base.yaml:4"), "{told}");
    }

    #[test]
    fn bare_and_shallow_repositories_tell_what_they_can() {
        let repo = three();
        let bare = TestRepo::bare();
        repo.git(["push", "-q", bare.path().to_str().unwrap(), "main"]);
        assert_eq!(status(&bare)["drafts"], Value::Null);
        let shallow = repo.cloned(&["--depth=1"]);
        assert_eq!(status(&shallow)["published"]["branch"], "main");
        // Which promotion this is cannot be told without the history: no number is better than a
        // wrong one.
        shallow.git(["update-ref", "refs/heads/production", "main"]);
        let told = shallow.run(["status"]).fails(2);
        assert!(told.contains("git fetch --unshallow"), "{told}");
    }
}
