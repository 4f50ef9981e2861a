//! Versions without a counter: what makes one, what does not, and which one is meant.

use std::fs;

use serde_json::{Value, json};

use crate::support::{TestRepo, policy};

/// `NUMBER STATE…` of each version, the newest first; a removal has a minus.
fn versions(repo: &TestRepo, name: &str) -> Vec<String> {
    listed(repo, name).iter().map(line).collect()
}

fn listed(repo: &TestRepo, name: &str) -> Vec<Value> {
    let list = repo.run(["versions", name, "--format", "json"]).json();
    assert_eq!(
        (&list["version"], &list["policy"]),
        (&json!(1), &json!(name))
    );
    list["versions"].as_array().unwrap().clone()
}

fn line(version: &Value) -> String {
    let states: Vec<&str> = version["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|state| state.as_str().unwrap())
        .collect();
    let sign = if version["digest"].is_null() { "-" } else { "" };
    format!("{}{sign} {}", version["number"], states.join(" "))
}

/// The numbers of all versions, the newest first.
fn numbers(repo: &TestRepo, name: &str) -> Vec<u64> {
    listed(repo, name)
        .iter()
        .map(|version| version["number"].as_u64().unwrap())
        .collect()
}

fn add(guardrails: &str) -> String {
    format!("guardrails: {{add: [{guardrails}]}}")
}

/// A repository with three versions of `base`.
fn three() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", &add("one")).commit("first");
    repo.policy("base", &add("two")).commit("second");
    repo.policy("base", &add("three")).commit("third");
    repo
}

#[test]
fn a_version_tells_who_when_and_what() {
    let repo = three();
    let found = listed(&repo, "base");
    assert_eq!(found.len(), 3);
    let newest = &found[0];
    assert_eq!(newest["number"], 3);
    assert_eq!(newest["commit"], json!(repo.id("main")));
    assert_eq!(newest["time"], "2024-01-01T00:02:00+00:00");
    assert_eq!(newest["author"], "Ada <ada@example.org>");
    assert_eq!(newest["summary"], "third");
    assert_eq!(
        (&newest["states"], &newest["latest"]),
        (&json!(["published"]), &json!(true))
    );
    assert_eq!(found[1]["latest"], false);
    let shown = repo.run(["show", "base", "--format", "json"]).json();
    assert_eq!(newest["digest"], shown["policy"]["digest"]);
    let table = repo.run(["versions", "base"]).ok();
    assert!(table.starts_with("VERSION  COMMIT"), "{table}");
    assert!(
        table
            .lines()
            .nth(1)
            .unwrap()
            .contains("published, latest  Ada <ada@example.org>  third"),
        "{table}"
    );
}

#[test]
fn back_to_an_old_text_is_a_new_version() {
    let repo = TestRepo::new();
    for text in ["a", "b", "a"] {
        repo.policy("base", &add(text)).commit(text);
    }
    let found = listed(&repo, "base");
    assert_eq!(found.len(), 3);
    assert_eq!(found[0]["digest"], found[2]["digest"]);
    assert_ne!(found[0]["digest"], found[1]["digest"]);
}

#[test]
fn moving_reformatting_and_commenting_make_no_version() {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [a, b]}")
        .commit("one");
    repo.git(["mv", "policies/base.yaml", "base.yml"]);
    repo.commit("moved");
    repo.write(
        "base.yml",
        "# why\nkind: Policy\nname: 'base' # same\nguardrails:\n  add:\n  - b\n  - a\n  - b\n\
         apiVersion: refguard/v1\n",
    );
    repo.commit("written otherwise");
    repo.write("base.yml", &policy("other", &add("x")))
        .write("deep/er/all.yaml", &policy("base", &add("b, a")));
    repo.commit("moved again, and another in its place");
    assert_eq!(numbers(&repo, "base"), [1]);
    assert_eq!(numbers(&repo, "other"), [1]);
    repo.write("deep/er/all.yaml", &policy("base", &add("b")))
        .commit("a change");
    assert_eq!(numbers(&repo, "base"), [2, 1]);
}

#[test]
fn policies_of_one_file_have_numbers_of_their_own() {
    let repo = TestRepo::new();
    let both = |a: &str, b: &str| format!("{}---\n{}", policy("a", &add(a)), policy("b", &add(b)));
    repo.write("p.yaml", &both("x", "x")).commit("both");
    repo.write("p.yaml", &both("v", "x")).commit("a");
    repo.write("p.yaml", &both("v", "v")).commit("b");
    repo.write("p.yaml", &both("z", "z")).commit("both again");
    repo.write("p.yaml", &policy("b", &add("z")))
        .write("a.yaml", &policy("a", &add("w")))
        .commit("a moves and changes");
    assert_eq!(numbers(&repo, "a"), [4, 3, 2, 1]);
    assert_eq!(numbers(&repo, "b"), [3, 2, 1]);
}

#[test]
fn a_removal_is_a_version_and_so_is_coming_back() {
    let repo = TestRepo::new();
    repo.policy("base", &add("a"))
        .policy("other", &add("a"))
        .commit("one");
    repo.remove("policies/base.yaml").commit("gone");
    assert_eq!(versions(&repo, "base"), ["2- published", "1 published"]);
    let shown = repo.run(["show", "base@2", "--format", "json"]).json();
    assert_eq!(
        (&shown["policy"], &shown["digest"], &shown["latest"]),
        (&Value::Null, &Value::Null, &json!(true))
    );
    assert!(repo.run(["show", "base@latest"]).ok().contains("removed"));
    repo.write("elsewhere.yaml", &policy("base", &add("a")))
        .commit("back");
    assert_eq!(
        versions(&repo, "base"),
        ["3 published", "2- published", "1 published"]
    );
}

#[test]
fn what_cannot_be_read_is_unchanged() {
    let repo = TestRepo::new();
    repo.policy("base", &add("a"))
        .policy("other", &add("a"))
        .commit("one");
    for broken in [
        "apiVersion: refguard/v1\nkind: Policy\nname: [\n",
        "{{ template }}",
        "nothing: of ours\n",
    ] {
        repo.write("policies/base.yaml", broken).commit("broken");
    }
    repo.policy("base", "guardrail: {add: [b]}")
        .commit("a mistyped field");
    repo.policy("base", &add("a")).commit("mended");
    assert_eq!(numbers(&repo, "base"), [1]);
    repo.policy("base", "guardrail: {add: [b]}")
        .commit("broken again");
    repo.policy("base", &add("b")).commit("mended and changed");
    assert_eq!(versions(&repo, "base"), ["2 published", "1 published"]);
    assert_eq!(listed(&repo, "base")[0]["summary"], "mended and changed");
    // A sound document beside a broken one counts, and the broken one keeps what it was.
    let both = format!(
        "{}---\n{}",
        policy("base", &add("c")),
        policy("other", "guardrail: {}")
    );
    repo.remove("policies/other.yaml")
        .write("policies/base.yaml", &both)
        .commit("half broken");
    assert_eq!(numbers(&repo, "base"), [3, 2, 1]);
    assert_eq!(versions(&repo, "other"), ["2- published", "1 published"]);
    let sound = format!(
        "{}---\n{}",
        policy("base", &add("c")),
        policy("other", &add("a"))
    );
    repo.write("policies/base.yaml", &sound).commit("whole");
    repo.write("policies/base.yaml", &both)
        .commit("half broken again");
    assert_eq!(
        versions(&repo, "other"),
        ["3 published", "2- published", "1 published"]
    );
}

#[test]
fn a_name_in_two_places_at_once_is_unchanged() {
    let repo = TestRepo::new();
    repo.policy("base", &add("a")).commit("one");
    repo.write("copy.yaml", &policy("base", &add("b")))
        .commit("twice");
    repo.write("copy.yaml", &policy("base", &add("c")))
        .commit("twice, changed");
    assert_eq!(numbers(&repo, "base"), [1]);
    repo.remove("policies/base.yaml").commit("the copy stays");
    assert_eq!(numbers(&repo, "base"), [2, 1]);
    let twice = format!(
        "{}---\n{}",
        policy("base", &add("d")),
        policy("base", &add("e"))
    );
    repo.write("copy.yaml", &twice).commit("twice in one file");
    assert_eq!(numbers(&repo, "base"), [2, 1]);
}

#[test]
fn only_the_first_parents_of_a_merge_count() {
    let repo = TestRepo::new();
    repo.policy("base", &add("a")).commit("one");
    repo.git(["checkout", "-q", "-b", "feature"]);
    repo.policy("base", &add("b")).commit("on the branch");
    repo.policy("base", &add("c")).commit("on the branch again");
    repo.policy("new", &add("x")).commit("another");
    repo.git(["checkout", "-q", "main"]);
    repo.policy("beside", &add("x")).commit("beside");
    assert_eq!(numbers(&repo, "base"), [1]);
    repo.merge("feature", "merged");
    let found = listed(&repo, "base");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["summary"], "merged");
    assert_eq!(numbers(&repo, "new"), [1]);
    // The version that a commit of the branch holds is named by its content, or not at all.
    assert_eq!(
        repo.run(["show", "base@feature", "--format", "json"])
            .json()["number"],
        2
    );
    let said = repo.run(["show", "base@feature~2"]).fails(2);
    assert!(said.contains("none of its versions"), "{said}");
}

#[test]
fn files_that_the_settings_leave_out_hold_no_policy() {
    let repo = TestRepo::new();
    let settings = |more: &str| format!("apiVersion: refguard/v1\nkind: Repository\n{more}");
    repo.policy("base", &add("a"))
        .write("old/base.yaml", &policy("base", &add("b")));
    repo.write("refguard.yaml", &settings("exclude: [\"old/**\"]\n"))
        .commit("one");
    repo.write("old/base.yaml", &policy("base", &add("c")))
        .commit("outside");
    assert_eq!(numbers(&repo, "base"), [1]);
    repo.write("refguard.yaml", &settings("include: [\"old/**\"]\n"))
        .commit("the other way round");
    assert_eq!(numbers(&repo, "base"), [2, 1]);
    repo.write("refguard.yaml", "no: settings\n")
        .commit("broken settings");
    assert_eq!(numbers(&repo, "base"), [2, 1]);
    repo.remove("refguard.yaml")
        .remove("old/base.yaml")
        .commit("none");
    assert_eq!(numbers(&repo, "base"), [3, 2, 1]);
}

#[test]
fn a_set_below_the_top_has_its_own_history() {
    let repo = TestRepo::new();
    repo.write(
        "set/refguard.yaml",
        "apiVersion: refguard/v1\nkind: Repository\n",
    );
    repo.write("set/p.yaml", &policy("base", &add("a")))
        .write("p.yaml", &policy("base", &add("z")))
        .commit("one");
    repo.write("p.yaml", &policy("base", &add("v")))
        .commit("outside");
    assert_eq!(
        repo.run(["-C", "set", "versions", "base"])
            .ok()
            .lines()
            .count(),
        2
    );
    // Seen from the top the name stands in two places.
    assert!(
        repo.run(["versions", "base"])
            .fails(2)
            .contains("never had a policy `base`")
    );
}

#[test]
fn versions_are_named_by_number_environment_and_revision() {
    let repo = three();
    repo.git(["update-ref", "refs/heads/production", "main~1"]);
    repo.git(["tag", "latest", "main~2"]);
    let number = |which: &str| {
        let shown = repo
            .run(["show", &format!("base@{which}"), "--format", "json"])
            .json();
        shown["number"].as_u64().unwrap()
    };
    let due = [
        ("1", 1),
        ("latest", 3),
        ("production", 2),
        ("main~1", 2),
        ("HEAD", 3),
        ("refs/tags/latest", 1),
    ];
    for (which, due) in due {
        assert_eq!(number(which), due, "{which}");
    }
    assert_eq!(
        versions(&repo, "base"),
        ["3 published", "2 published production", "1 published"]
    );
    repo.policy("base", &add("two")).commit("back to two");
    assert_eq!(number("production"), 4);
    assert_eq!(number("main~2"), 2);
    for (which, words) in [
        ("9", "no version 9 of `base`"),
        ("0", "no version 0"),
        ("nowhere", "no commit is named by `nowhere`"),
    ] {
        let said = repo.run(["show", &format!("base@{which}")]).fails(2);
        assert!(said.contains(words), "{said}");
    }
    let said = repo.run(["versions", "bas"]).fails(2);
    assert!(said.contains("did you mean `base`?"), "{said}");
    let said = repo.run(["show", "base@1", "--at", "HEAD"]).fails(2);
    assert!(said.contains("leave out"), "{said}");
}

#[test]
fn a_version_is_shown_as_it_was() {
    let repo = three();
    let shown = repo.run(["show", "base@1", "--format", "json"]).json();
    assert_eq!(shown["policy"]["guardrails"], json!({"add": ["one"]}));
    assert_eq!(
        (&shown["policy"]["file"], &shown["policy"]["line"]),
        (&json!("policies/base.yaml"), &json!(1))
    );
    assert_eq!(
        (&shown["number"], &shown["summary"]),
        (&json!(1), &json!("first"))
    );
    let text = repo.run(["show", "base@1"]).ok();
    assert!(
        text.starts_with("version      base@1\n") && text.contains("own          +one\n"),
        "{text}"
    );
}

#[test]
fn two_versions_are_compared_field_by_field() {
    let repo = three();
    let compared = repo
        .run(["compare", "base@1", "base@latest", "--format", "json"])
        .json();
    assert_eq!(
        compared["a"],
        json!({"number": 1, "commit": repo.id("main~2")})
    );
    assert_eq!(
        compared["b"],
        json!({"number": 3, "commit": repo.id("main")})
    );
    assert_eq!(
        compared["fields"],
        json!([{"path": "guardrails.add", "a": ["one"], "b": ["three"]}])
    );
    repo.policy(
        "base",
        "owner: me\ninherit: root\nguardrails: {add: [three]}",
    );
    let drafted = repo
        .run(["compare", "base@latest", "base", "--format", "json"])
        .json();
    assert_eq!(drafted["b"], json!({"number": null, "commit": null}));
    let paths: Vec<&str> = drafted["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["owner", "inherit"]);
    assert!(
        repo.run(["compare", "base@1", "other@1"])
            .fails(2)
            .contains("two policies")
    );
    assert!(
        repo.run(["compare", "base@1", "base@2"])
            .ok()
            .contains("guardrails.add")
    );
}

#[test]
fn a_shallow_clone_gives_an_error_and_never_a_number() {
    let repo = three();
    let clone = repo.cloned(&["--depth=2"]);
    for args in [
        &["versions", "base"][..],
        &["show", "base@1"],
        &["resolve", "--policy", "base@1"],
        &["draft", "base"],
    ] {
        let said = clone.run(args.iter().copied()).fails(2);
        assert!(
            said.contains("this is a shallow clone") && said.contains("git fetch --unshallow"),
            "{said}"
        );
    }
    // What does not need history works, and says no number.
    let answer = clone
        .run(["resolve", "--policy", "base", "--format", "json"])
        .json();
    assert_eq!(answer["policies"][0]["version"], Value::Null);
    clone.git(["fetch", "-q", "--unshallow"]);
    assert_eq!(numbers(&clone, "base"), [3, 2, 1]);
    assert_eq!(numbers(&repo.cloned(&["--depth=3"]), "base"), [3, 2, 1]);
}

#[test]
fn a_clone_without_the_branch_reads_the_copy_of_its_origin() {
    let repo = three();
    repo.git(["checkout", "-q", "-b", "feature"]);
    repo.git(["checkout", "-q", "main"]);
    let clone = repo.cloned(&["--branch=feature"]);
    assert_eq!(numbers(&clone, "base"), [3, 2, 1]);
    clone.git(["update-ref", "-d", "refs/remotes/origin/main"]);
    assert!(
        clone
            .run(["versions", "base"])
            .fails(2)
            .contains("the publish branch `main` does not exist")
    );
}

#[test]
fn bare_repositories_and_other_branches_have_versions_too() {
    let repo = three();
    let bare = TestRepo::bare();
    repo.git(["push", "-q", bare.path().to_str().unwrap(), "main"]);
    assert_eq!(numbers(&bare, "base"), [3, 2, 1]);
    repo.git(["branch", "trunk", "main~2"]);
    assert_eq!(
        numbers(&repo, "base"),
        [3, 2, 1],
        "of the usual names `main` comes first"
    );
    repo.git(["config", "refguard.publishBranch", "trunk"]);
    assert_eq!(numbers(&repo, "base"), [1]);
}

mod cache {
    use super::*;

    fn file(repo: &TestRepo) -> std::path::PathBuf {
        let mut files = fs::read_dir(repo.path().join(".git/refguard")).unwrap();
        let found = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        found
    }

    #[test]
    fn what_was_kept_is_continued_and_may_be_lost() {
        let repo = three();
        assert_eq!(numbers(&repo, "base"), [3, 2, 1]);
        let kept = file(&repo);
        let old = fs::read(&kept).unwrap();
        repo.policy("base", &add("four"))
            .policy("new", &add("x"))
            .commit("fourth");
        assert_eq!(numbers(&repo, "base"), [4, 3, 2, 1]);
        assert_eq!(numbers(&repo, "new"), [1]);
        assert_ne!(fs::read(&kept).unwrap(), old);
        fs::remove_dir_all(kept.parent().unwrap()).unwrap();
        assert_eq!(numbers(&repo, "base"), [4, 3, 2, 1]);
        fs::write(&kept, old).unwrap();
        assert_eq!(numbers(&repo, "base"), [4, 3, 2, 1]);
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let repo = three();
        let due = listed(&repo, "base");
        let kept = file(&repo);
        let sound = fs::read(&kept).unwrap();
        for at in (0..sound.len()).step_by(sound.len() / 20) {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x20;
            fs::write(&kept, damaged).unwrap();
            assert_eq!(listed(&repo, "base"), due, "byte {at}");
            fs::write(&kept, &sound[..at]).unwrap();
            assert_eq!(listed(&repo, "base"), due, "length {at}");
        }
        assert_eq!(fs::read(&kept).unwrap(), sound);
    }

    #[test]
    fn history_that_was_rewritten_is_read_anew() {
        let repo = three();
        assert_eq!(numbers(&repo, "base"), [3, 2, 1]);
        repo.git(["reset", "-q", "--hard", "main~1"]);
        assert_eq!(numbers(&repo, "base"), [2, 1]);
        repo.policy("base", &add("other")).commit("another third");
        repo.policy("base", &add("fourth")).commit("fourth");
        assert_eq!(numbers(&repo, "base"), [4, 3, 2, 1]);
        let elsewhere = three();
        assert_eq!(numbers(&elsewhere, "base"), [3, 2, 1]);
        fs::copy(file(&elsewhere), file(&repo)).unwrap();
        assert_eq!(numbers(&repo, "base"), [4, 3, 2, 1]);
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_missed() {
        let repo = three();
        fs::write(repo.path().join(".git/refguard"), "in the way").unwrap();
        assert_eq!(numbers(&repo, "base"), [3, 2, 1]);
        assert_eq!(repo.read(".git/refguard"), "in the way");
    }
}
