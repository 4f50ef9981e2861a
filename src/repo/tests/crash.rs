//! A process that dies or fails at every step of a promotion.

use std::process::{Command, ExitStatus};

use super::{must_promote, production, promote, story};
use crate::repo::testing::TestRepo;
use crate::repo::{FAULT_POINTS, GitEnv, Outcome, Repo, RepoError};

/// Names the repository in which the child is to promote.
const CHILD: &str = "REFGUARD_TEST_CHILD_IN";

/// No test of its own: the process that the others start.
#[test]
fn child() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let git = Repo::open_at(dir.as_ref(), &GitEnv::from_process()).unwrap();
        let source = git.resolve_revision("main", &[]).unwrap();
        assert_eq!(
            promote(&git, source, "by the child").unwrap(),
            Outcome::Moved
        );
    }
}

fn in_child(repo: &TestRepo, point: &str) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "repo::tests::crash::child", "--nocapture"]);
    command
        .env_clear()
        .envs(repo.vars())
        .env(CHILD, repo.path())
        .env("REFGUARD_TEST_CRASH_AT", point);
    command.output().unwrap().status
}

fn local_points() -> impl Iterator<Item = &'static str> {
    FAULT_POINTS
        .into_iter()
        .filter(|point| !point.contains("push"))
}

#[test]
fn the_child_promotes_where_nothing_stops_it() {
    let repo = TestRepo::new();
    repo.commit_file("a", "1");
    assert!(in_child(&repo, "nowhere").success());
    assert_eq!(story(&repo.open()), ["1 by the child"]);
}

#[test]
fn killed_anywhere_the_tip_is_the_old_or_the_new_one_and_the_next_promotion_works() {
    for point in local_points() {
        let repo = TestRepo::new();
        let source = repo.commit_file("a", "1");
        let old = must_promote(&repo.open(), source, "before");
        assert!(!in_child(&repo, point).success(), "{point}");
        let told = story(&repo.open());
        let moved = told.len() == 2;
        assert_eq!(moved, point == "after-ref", "{point}");
        assert_eq!(repo.id("production") == old, !moved, "{point}");
        must_promote(&repo.open(), source, "after");
        let ledger = production(&repo.open());
        assert_eq!(
            (
                ledger.promotions.len(),
                ledger.external_tip(),
                ledger.is_behind()
            ),
            (told.len() + 1, None, false)
        );
        repo.git(["fsck", "--strict"]);
    }
}

#[test]
fn a_write_that_fails_moves_nothing() {
    for point in local_points().filter(|point| !point.starts_with("after-")) {
        let repo = TestRepo::new();
        let source = repo.commit_file("a", "1");
        let old = must_promote(&repo.open(), source, "before");
        let git = Repo::open_at(
            repo.path(),
            &repo.env_with(&[("REFGUARD_TEST_FAIL_AT", point)]),
        )
        .unwrap();
        let error = promote(&git, source, "never").unwrap_err();
        assert!(matches!(error, RepoError::Io { .. }), "{point}: {error}");
        assert_eq!(repo.id("production"), old, "{point}");
        must_promote(&repo.open(), source, "after");
        assert_eq!(story(&repo.open()), ["1 before", "2 after"]);
    }
}
