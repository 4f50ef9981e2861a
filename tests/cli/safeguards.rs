//! What a commit may not take away unseen: invariants, tests, gates, and which files are read.

use crate::support::TestRepo;

const ATTACHED: &str =
    "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: base\nscope: \"*\"\n";
const CASE: &str = "apiVersion: refguard/v1\nkind: PolicyTest\nname: everyone\ncases:\n  \
                    - name: a call is masked\n    context: {team: eu}\n    \
                    expect: {includes: [pii]}\n";

fn settings(gates: &str, rest: &str) -> String {
    format!(
        "apiVersion: refguard/v1\nkind: Repository\n{rest}environments:\n  - name: production\n    \
         gates: {{{gates}}}\n"
    )
}

/// A repository in production with a test and a gate that refuses to lose it.
fn guarded() -> TestRepo {
    let repo = TestRepo::new();
    repo.policy("base", "guardrails: {add: [pii]}")
        .write("attachments/all.yaml", ATTACHED)
        .write("tests/everyone.yaml", CASE)
        .write(
            "refguard.yaml",
            &settings("weaken: refuse, safeguards: refuse", ""),
        )
        .commit("one");
    repo.run(["promote"]).ok();
    repo
}

#[test]
fn a_commit_that_deletes_a_test_is_seen_by_every_verb_and_refused_by_the_gate() {
    let repo = guarded();
    repo.remove("tests/everyone.yaml").commit("tidy up");
    let lost = "safeguard lost: tests/everyone.yaml:5: \
                test `everyone: a call is masked` is gone";

    assert!(repo.run(["diff"]).ok().contains(lost));
    assert!(repo.run(["impact"]).ok().contains(lost));
    let review = repo.run(["review", "production", "HEAD"]).ok();
    assert!(
        review.contains(lost) && review.contains("1 safeguard removed"),
        "{review}"
    );
    assert!(review.contains("could not take it"), "{review}");

    let refused = repo.run(["promote", "--reason", "tidy up"]).fails(1);
    let word =
        "refused: gate `safeguards`: tests/everyone.yaml:5: test `everyone: a call is masked`";
    assert!(refused.contains(word), "{refused}");
    let tree = |revision: &str| repo.git(["rev-parse", &format!("{revision}^{{tree}}")]);
    assert_eq!(tree("production"), tree("main~1"));
}

const MASKED: &str = "apiVersion: refguard/v1\nkind: Invariant\nname: everyone-is-masked\n\
    for: {teams: [\"*\"]}\nrequire: [pii]\n";

/// Who may pass gates, where an environment takes its sets from, what holds for every request: none
/// of them goes unseen.
#[test]
fn what_a_commit_deletes_of_the_settings_and_invariants_is_told_by_every_verb() {
    let settings = |rest: &str| {
        format!(
            "apiVersion: refguard/v1\nkind: Repository\nenvironments:\n  - name: staging\n  \
             - name: production\n    gates: {{safeguards: refuse}}\n{rest}"
        )
    };
    let (from, allow) = ("    from: staging\n", "    allow: [bob@example.org]\n");
    let before = settings(&format!("{from}{allow}"));
    let eve = "    allow: [bob@example.org, eve@example.org]\n";
    for (invariant, after, lost) in [
        (None, before.clone(), "invariant `everyone-is-masked`"),
        (
            Some(MASKED),
            settings(allow),
            "from `production` takes its sets from",
        ),
        (
            Some(MASKED),
            settings(&format!("{from}{eve}")),
            "allow `eve@example.org` may now pass",
        ),
    ] {
        let repo = TestRepo::new();
        repo.policy("base", "guardrails: {add: [pii]}")
            .write("attachments/all.yaml", ATTACHED)
            .write("invariants/masked.yaml", MASKED)
            .write("refguard.yaml", &before)
            .commit("one");
        repo.run(["promote", "--to", "staging"]).ok();
        repo.run(["promote"]).ok();
        match invariant {
            None => drop(repo.remove("invariants/masked.yaml")),
            Some(_) => drop(repo.write("refguard.yaml", &after)),
        }
        repo.commit("tidy up");
        repo.run(["promote", "--to", "staging"]).ok();

        for verb in ["diff", "impact", "review"] {
            let said = repo.run([verb, "production", "HEAD"]).ok();
            let told = said
                .lines()
                .any(|line| line.contains("safeguard lost") && line.contains(lost));
            assert!(told, "{verb} does not tell {lost}: {said}");
        }
        let refused = repo.run(["promote"]).fails(1);
        assert!(
            refused.contains("refused: gate `safeguards`") && refused.contains(lost),
            "{refused}"
        );
    }
}

/// Without `allow:` a server lets nobody pass a gate, so its deletion takes a right away: it is told,
/// and it is no loss.
#[test]
fn a_list_of_who_may_pass_gates_that_is_deleted_is_told_and_refuses_nothing() {
    let repo = guarded();
    let gates = "weaken: refuse, safeguards: refuse";
    let open = format!("{}    allow: [bob@example.org]\n", settings(gates, ""));
    repo.write("refguard.yaml", &open).commit("bob may");
    repo.run(["promote", "--allow-safeguards", "bob is the one"])
        .ok();
    repo.write("refguard.yaml", &settings(gates, ""))
        .commit("nobody may");
    for verb in ["diff", "impact", "review"] {
        let said = repo.run([verb, "production", "HEAD"]).ok();
        let told = "allow `bob@example.org` may no longer pass the gates of `production`";
        assert!(said.contains(told), "{verb}: {said}");
        assert!(!said.contains("safeguard lost"), "{verb}: {said}");
    }
    repo.run(["promote"]).ok();
}

#[test]
fn a_gate_that_was_passed_is_recorded_with_its_reason() {
    let repo = guarded();
    repo.remove("tests/everyone.yaml").commit("tidy up");

    repo.run(["promote", "--allow-safeguards", "covered by an invariant"])
        .ok();

    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert!(
        message.contains("Refguard-Allow: safeguards covered by an invariant"),
        "{message}"
    );
}

#[test]
fn a_commit_that_switches_its_own_gates_off_is_judged_by_the_gates_before() {
    let repo = guarded();
    repo.write(
        "refguard.yaml",
        &settings(
            "weaken: \"off\", safeguards: \"off\"",
            "exclude: [\"tests/**\"]\n",
        ),
    )
    .commit("make room");

    let refused = repo.run(["promote"]).fails(1);

    for word in [
        "gate `weaken` of `production`: off instead of refuse",
        "gate `safeguards` of `production`: off instead of refuse",
        "files `tests/everyone.yaml` is no longer read",
        "test `everyone: a call is masked` is gone",
    ] {
        assert!(refused.contains(word), "{word} is missing in {refused}");
    }
}

#[test]
fn a_test_that_is_renamed_and_moved_is_not_lost() {
    let repo = guarded();
    repo.remove("tests/everyone.yaml")
        .write(
            "tests/all/masking.yaml",
            &CASE.replace("everyone", "masking"),
        )
        .commit("sort the tests");

    assert!(!repo.run(["diff"]).ok().contains("safeguard"));
    repo.run(["promote"]).ok();
}

#[test]
fn programs_get_safeguards_as_a_list_of_losses_and_gains() {
    let repo = guarded();
    repo.write("tests/everyone.yaml", &CASE.replace("team: eu", "team: us"))
        .commit("another team");

    let diff = repo.run(["diff", "--format", "json"]).json();

    let lost = &diff["safeguards"]["lost"][0];
    assert_eq!(
        (&lost["kind"], &lost["file"]),
        (&"test".into(), &"tests/everyone.yaml".into())
    );
    assert_eq!(diff["safeguards"]["gained"][0]["message"], "is new");
    for verb in ["impact", "review"] {
        let json = repo
            .run([verb, "production", "HEAD", "--format", "json"])
            .json();
        assert_eq!(json["safeguards"], diff["safeguards"], "{verb}");
    }
}

#[test]
fn where_the_set_before_is_not_valid_no_loss_can_be_ruled_out() {
    let repo = guarded();
    repo.git(["checkout", "-q", "production"]);
    repo.write("policies/base.yaml", "not: [a policy\n")
        .commit("a hand in production");
    repo.git(["checkout", "-q", "main"]);
    repo.remove("tests/everyone.yaml").commit("tidy up");

    let refused = repo
        .run(["promote", "--allow-weaken", "the set before is broken"])
        .fails(1);

    let word = "gate `safeguards`: what the environment has now is not valid";
    assert!(refused.contains(word), "{refused}");
}

#[test]
fn a_hand_that_moves_production_launders_no_loss() {
    let repo = guarded();
    repo.remove("tests/everyone.yaml").commit("tidy up");
    assert!(repo.run(["promote"]).fails(1).contains("gate `safeguards`"));
    repo.git(["branch", "-qf", "production", "main"]);
    let there = repo.run(["promote"]).ends(0);
    assert!(
        there
            .stderr
            .contains("something else than a promotion moved"),
        "{}",
        there.stderr
    );
    repo.policy("base", "description: a word\nguardrails: {add: [pii]}")
        .commit("a word");

    let refused = repo.run(["promote"]).fails(1);

    assert!(
        refused.contains("test `everyone: a call is masked` is gone"),
        "{refused}"
    );
    repo.run(["promote", "--allow-safeguards", "covered by an invariant"])
        .ok();
    let message = repo.git(["log", "-1", "--format=%B", "production"]);
    assert_eq!(
        message.matches("Refguard-Allow: safeguards").count(),
        1,
        "{message}"
    );
}

#[test]
fn a_lost_invariant_is_shown_by_a_team_of_the_catalog() {
    let repo = guarded();
    let invariant = |except: &str| {
        format!(
            "apiVersion: refguard/v1\nkind: Invariant\nname: masked\nfor: {{teams: [\"health-*\"]}}\n\
             {except}require: [pii]\n"
        )
    };
    let catalog = "apiVersion: refguard/v1\nkind: Catalog\nteams: [health-eu, health-us, eu]\n";
    repo.write("catalog.yaml", catalog)
        .write("invariants/masked.yaml", &invariant(""))
        .commit("an invariant");
    repo.run(["promote"]).ok();

    for (except, team) in [
        ("except: {teams: [\"health-e*\"]}\n", "health-eu"),
        ("except: {teams: [\"health-u*\"]}\n", "health-us"),
    ] {
        repo.write("invariants/masked.yaml", &invariant(except));
        let said = repo.run(["diff"]).ok();
        assert!(
            said.contains(&format!("for example of a request with team `{team}`")),
            "{said}"
        );
    }
    repo.remove("invariants/masked.yaml");
    let said = repo.run(["diff"]).ok();
    assert!(said.contains("with team `health-eu`"), "{said}");
}
