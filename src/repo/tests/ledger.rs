//! The chain of promotions, whatever else happens to the branch.

use super::{must_promote, production, promote, promotion, publish, record, story};
use crate::repo::testing::{TestRepo, branch};
use crate::repo::{HistoryEntry, Ledger, NewCommit, Outcome, RefName, RepoError};

const LEDGER: &str = "refs/refguard/ledger/production";

fn entries(ledger: &Ledger) -> Vec<String> {
    let show = |entry| match entry {
        HistoryEntry::Promotion(it) => it.record.number.to_string(),
        HistoryEntry::External(commit) => format!("external {}", commit.short()),
    };
    ledger.list_entries().map(show).collect()
}

#[test]
fn promotions_are_numbered_and_every_commit_stays_reachable() {
    let repo = TestRepo::new();
    let sources = ["1", "2", "3"].map(|text| repo.commit_file("a", text));
    let git = repo.open();
    let tips = sources.map(|source| must_promote(&git, source, "r"));
    let ledger = production(&git);
    assert_eq!(entries(&ledger), ["3", "2", "1"]);
    assert_eq!(git.find_commit(tips[0]).unwrap().parents, [sources[0]]);
    assert_eq!(
        git.find_commit(tips[2]).unwrap().parents,
        [tips[1], sources[2]]
    );
    assert_eq!((ledger.external_tip(), ledger.is_behind()), (None, false));
    assert_eq!(ledger.find_promotion(2).unwrap().record.source, sources[1]);
    assert_eq!(
        git.require_ref(&RefName::new(LEDGER).unwrap()).unwrap(),
        tips[2]
    );
    assert_eq!(
        git.promotion_at("production", tips[1])
            .unwrap()
            .unwrap()
            .record
            .number,
        2
    );
    assert_eq!(git.promotion_at("staging", tips[1]).unwrap(), None);
    assert_eq!(ledger.at_time(1_700_000_060).unwrap().record.number, 3);
    assert!(ledger.at_time(1_700_000_059).is_none());
}

#[test]
fn a_branch_that_was_there_before_the_first_promotion_is_an_external_entry() {
    let repo = TestRepo::new();
    let [first, second] = ["1", "2"].map(|text| repo.commit_file("a", text));
    repo.git(["branch", "production", &first.to_string()]);
    let git = repo.open();
    let ledger = production(&git);
    assert_eq!(
        (ledger.external_tip(), ledger.next_number()),
        (Some(first), 1)
    );
    let tip = must_promote(&git, second, "r");
    assert_eq!(git.find_commit(tip).unwrap().parents, [first, second]);
    assert_eq!(
        entries(&production(&git)),
        ["1".to_owned(), format!("external {}", first.short())]
    );
}

#[test]
fn an_external_move_is_one_entry_and_numbers_and_holds_go_on() {
    let repo = TestRepo::new();
    let [first, second, third] = ["1", "2", "3"].map(|text| repo.commit_file("a", text));
    let git = repo.open();
    let one = must_promote(&git, first, "r");
    let held = {
        let ledger = production(&git);
        let record = crate::repo::Record {
            hold: Some("audit".into()),
            ..record(&ledger, first, "hold")
        };
        let message = record.message("hold").unwrap();
        let new = NewCommit {
            tree: git.tree_of(one).unwrap(),
            parents: ledger.next_parents(None),
            message,
            author: None,
        };
        let commit = git.write_commit(&new).unwrap();
        assert_eq!(publish(&git, &ledger, commit).unwrap(), Outcome::Moved);
        commit
    };
    for external in [second, third] {
        repo.git(["branch", "-f", "production", &external.to_string()]);
    }
    let ledger = production(&git);
    assert_eq!(
        (ledger.external_tip(), ledger.next_number()),
        (Some(third), 3)
    );
    assert_eq!(ledger.standing_hold().unwrap().1, "audit");
    assert_eq!(
        entries(&ledger),
        [
            format!("external {}", third.short()),
            "2".into(),
            "1".into()
        ]
    );

    let tip = must_promote(&git, third, "r");
    assert_eq!(
        git.find_commit(tip).unwrap().parents,
        [third, held],
        "the tip is the source here"
    );
    repo.git(["branch", "-f", "production", &second.to_string()]);
    let again = must_promote(&git, third, "r");
    assert_eq!(
        git.find_commit(again).unwrap().parents,
        [second, third, tip]
    );
    let (x, y) = (
        format!("external {}", second.short()),
        format!("external {}", third.short()),
    );
    assert_eq!(entries(&production(&git)), ["4", &x, "3", &y, "2", "1"]);
}

#[test]
fn a_commit_on_top_of_a_promotion_is_external_too() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    must_promote(&git, first, "r");
    repo.git(["checkout", "-q", "production"]);
    let pushed = repo.commit_file("a", "by hand");
    repo.git(["checkout", "-q", "main"]);
    for known in [true, false] {
        if !known {
            repo.git(["update-ref", "-d", LEDGER]);
        }
        let ledger = production(&git);
        assert_eq!(
            (
                ledger.external_tip(),
                ledger.next_number(),
                ledger.is_behind()
            ),
            (Some(pushed), 2, !known)
        );
    }
}

#[test]
fn a_ledger_that_a_crash_left_behind_is_healed_by_the_next_promotion() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    let one = must_promote(&git, first, "one");
    let two = must_promote(&git, first, "two");
    repo.git(["update-ref", LEDGER, &one.to_string()]);
    let ledger = production(&git);
    assert_eq!(
        (
            ledger.last_promotion().unwrap().commit.id,
            ledger.external_tip(),
            ledger.is_behind()
        ),
        (two, None, true)
    );
    must_promote(&git, first, "three");
    assert_eq!(story(&git), ["1 one", "2 two", "3 three"]);
    assert!(!production(&git).is_behind());
}

#[test]
fn a_branch_set_back_or_deleted_forgets_no_promotion() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    let one = must_promote(&git, first, "one");
    let two = must_promote(&git, first, "two");
    repo.git(["branch", "-f", "production", &one.to_string()]);
    let ledger = production(&git);
    assert_eq!(
        (ledger.external_tip(), ledger.next_number()),
        (Some(one), 3)
    );
    repo.git(["branch", "-D", "-q", "production"]);
    let ledger = production(&git);
    assert_eq!((ledger.tip, ledger.next_number()), (None, 3));
    assert_eq!(ledger.next_parents(Some(first)), [two, first]);
    must_promote(&git, first, "three");
    assert_eq!(story(&git), ["1 one", "2 two", "3 three"]);
}

#[test]
fn a_commit_that_only_claims_to_be_a_promotion_is_none() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    let one = must_promote(&git, first, "one");
    let claim = |number: u64, environment: &str, parents: &[crate::repo::CommitId]| {
        let record = crate::repo::Record {
            number,
            environment: environment.into(),
            ..record(&production(&git), first, "f")
        };
        let message = record.message("forged").unwrap();
        let tree = git.tree_of(first).unwrap();
        git.write_commit(&NewCommit {
            tree,
            parents: parents.into(),
            message,
            author: None,
        })
        .unwrap()
    };
    for forged in [
        claim(57, "production", &[one]),
        claim(2, "staging", &[one]),
        claim(2, "production", &[first]),
    ] {
        repo.git(["update-ref", "refs/heads/production", &forged.to_string()]);
        let ledger = production(&git);
        assert_eq!(
            (ledger.external_tip(), ledger.next_number()),
            (Some(forged), 2)
        );
        assert_eq!(git.promotion_at("production", forged).unwrap(), None);
    }
    let pair = claim(57, "production", &[claim(56, "production", &[one])]);
    repo.git(["update-ref", "refs/heads/production", &pair.to_string()]);
    assert_eq!(
        production(&git).external_tip(),
        Some(pair),
        "a chain that does not reach number 1 is none"
    );
}

#[test]
fn a_shallow_clone_knows_that_it_does_not_know() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    for reason in ["one", "two", "three"] {
        must_promote(&git, first, reason);
    }
    let clone = repo.cloned(&["--depth=1", "--branch=production"]);
    let git = clone.open();
    let ledger = git.ledger_from(
        "production",
        &branch("production"),
        Some(clone.id("HEAD")),
        None,
    );
    assert!(
        matches!(ledger, Err(RepoError::Shallow { .. })),
        "{ledger:?}"
    );
}

#[test]
fn a_thousand_promotions_are_read_at_once() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let mut stream = String::new();
    let template = record(&production(&repo.open()), first, "r");
    for number in 1..=1000 {
        let record = crate::repo::Record {
            number,
            ..template.clone()
        };
        let message = record.message("promote").unwrap();
        let from = if number == 1 {
            format!("from {first}\n")
        } else {
            String::new()
        };
        let who = "committer Bob <bob@example.org> 1700000000 +0000";
        stream.push_str(&format!(
            "commit refs/heads/production\n{who}\ndata {}\n{message}\n{from}\n",
            message.len()
        ));
    }
    repo.fast_import(&stream);
    let git = repo.open();
    let ledger = production(&git);
    assert_eq!(
        (ledger.promotions.len(), ledger.next_number()),
        (1000, 1001)
    );
    let commit = promotion(&git, &ledger, first, "next").unwrap();
    assert_eq!(publish(&git, &ledger, commit).unwrap(), Outcome::Moved);
    assert!(matches!(
        promote(&git, first, "and one more"),
        Ok(Outcome::Moved)
    ));
}
