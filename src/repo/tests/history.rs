//! Revisions, refs, and walks through history.

use std::fs;

use crate::repo::testing::{TestRepo, branch};
use crate::repo::{CommitId, RepoError};

fn chain(repo: &TestRepo, from: &str) -> Vec<Result<CommitId, String>> {
    let git = repo.open();
    git.first_parents(repo.id(from))
        .map(|step| step.map(|commit| commit.id).map_err(|e| e.to_string()))
        .collect()
}

#[test]
fn a_commit_is_read_whole() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let second = repo.write("a", "2").commit("a subject\n\nand a body");
    let commit = repo.open().find_commit(second).unwrap();
    assert_eq!(commit.parents, [first]);
    assert_eq!(
        (commit.summary(), commit.message.as_str()),
        ("a subject", "a subject\n\nand a body\n")
    );
    assert_eq!(commit.author.to_string(), "Ada <ada@example.org>");
    assert_eq!(commit.author.time.to_string(), "2023-11-14T23:13:20+01:00");
    assert_eq!(
        commit.committer.time.to_string(),
        "2023-11-14T22:14:20+00:00"
    );
}

#[test]
fn refs_are_read_loose_and_packed_and_absent() {
    let repo = TestRepo::new();
    let commit = repo.commit_file("a", "1");
    repo.git(["branch", "production"]);
    assert_eq!(
        repo.open().read_ref(&branch("production")).unwrap(),
        Some(commit)
    );
    repo.git(["pack-refs", "--all"]);
    assert!(!repo.path().join(".git/refs/heads/production").exists());
    assert_eq!(
        repo.open().read_ref(&branch("production")).unwrap(),
        Some(commit)
    );
    assert_eq!(repo.open().read_ref(&branch("staging")).unwrap(), None);
    let error = repo.open().require_ref(&branch("staging")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ref `refs/heads/staging` does not exist"
    );
}

#[test]
fn refs_that_are_no_plain_commit_are_errors_and_never_absent() {
    let repo = TestRepo::new();
    repo.commit_file("a", "1");
    let git = repo.open();
    repo.git(["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    let error = git.read_ref(&branch("alias")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ref `refs/heads/alias` is symbolic: it stands for `refs/heads/main`"
    );
    let tree = repo.git(["rev-parse", "HEAD^{tree}"]);
    fs::write(repo.path().join(".git/refs/heads/tree"), tree).unwrap();
    assert_eq!(
        git.read_ref(&branch("tree")).unwrap_err().to_string(),
        "`refs/heads/tree` is a tree, not a commit"
    );
    for broken in ["", "0123", "no object id at all, but long enough to be one"] {
        fs::write(repo.path().join(".git/refs/heads/broken"), broken).unwrap();
        assert!(git.read_ref(&branch("broken")).is_err(), "{broken:?}");
    }
    fs::write(
        repo.path().join(".git/refs/heads/broken"),
        "0123456789012345678901234567890123456789\n",
    )
    .unwrap();
    assert!(matches!(
        git.read_ref(&branch("broken")),
        Err(RepoError::MissingObject { .. })
    ));
}

#[test]
fn an_environment_and_any_branch_come_before_a_tag_of_their_name() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    repo.git(["tag", "production"]);
    let second = repo.commit_file("a", "2");
    repo.git(["update-ref", "refs/heads/production", "HEAD"]);
    let (git, production) = (repo.open(), branch("production"));
    let known = [("production", &production)];
    assert_eq!(git.resolve_revision("production", &known).unwrap(), second);
    assert_eq!(
        git.resolve_revision("refs/heads/production", &known)
            .unwrap(),
        second
    );
    assert_eq!(
        git.resolve_revision("refs/tags/production", &known)
            .unwrap(),
        first
    );
    assert_eq!(
        git.resolve_revision("production", &[]).unwrap(),
        second,
        "where it is only a branch, too"
    );
    assert_eq!(git.resolve_revision("production~1", &known).unwrap(), first);
    assert_eq!(
        git.resolve_revision("production^{commit}", &known).unwrap(),
        second
    );
    let error = git.resolve_revision("production~2", &known).unwrap_err();
    assert_eq!(error.to_string(), "no commit is named by `production~2`");
    repo.git(["update-ref", "-d", "refs/heads/production"]);
    assert!(matches!(
        git.resolve_revision("production", &known),
        Err(RepoError::NoSuchRef { .. })
    ));
}

#[test]
fn anything_git_understands_is_a_revision() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    repo.git(["tag", "-a", "v1", "-m", "annotated"]);
    let second = repo.commit_file("a", "2");
    let git = repo.open();
    for text in [
        "HEAD~1",
        "v1",
        "v1^{}",
        "main^",
        &first.to_string(),
        &format!("{first:.8}"),
        "HEAD@{1}",
        ":/a: 1",
    ] {
        assert_eq!(git.resolve_revision(text, &[]).unwrap(), first, "{text}");
    }
    repo.git(["checkout", "-q", "-b", "other"]);
    assert_eq!(git.resolve_revision("@{-1}", &[]).unwrap(), second);
    for text in ["", "nowhere", "-h", "--all", "HEAD~9", "0000000", "a\0b"] {
        let error = git.resolve_revision(text, &[]).unwrap_err();
        assert!(
            matches!(error, RepoError::NoSuchRevision { .. }),
            "{text:?}: {error}"
        );
    }
    assert_eq!(
        git.resolve_revision("HEAD:a", &[]).unwrap_err().to_string(),
        "`HEAD:a` is a blob, not a commit"
    );
}

#[test]
fn the_first_parent_walk_passes_merges_by() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    repo.git(["checkout", "-q", "-b", "side"]);
    let side = repo.commit_file("b", "1");
    repo.git(["checkout", "-q", "main"]);
    let second = repo.commit_file("a", "2");
    repo.git(["merge", "-q", "--no-ff", "side", "-m", "merge"]);
    let merge = repo.id("HEAD");
    assert_eq!(chain(&repo, "HEAD"), [Ok(merge), Ok(second), Ok(first)]);
    let git = repo.open();
    assert!(git.is_ancestor(side, merge).unwrap());
    assert!(git.is_ancestor(merge, merge).unwrap());
    assert!(!git.is_ancestor(merge, side).unwrap());
    assert!(!git.on_first_parents(side, merge).unwrap());
    assert!(git.on_first_parents(first, merge).unwrap());
    assert_eq!(git.merge_base(side, second).unwrap(), Some(first));
}

#[test]
fn a_shallow_clone_gives_an_error_where_it_was_cut_and_never_an_end() {
    let repo = TestRepo::new();
    let commits: Vec<CommitId> = ["1", "2", "3", "4"]
        .map(|text| repo.commit_file("a", text))
        .into();
    let clone = repo.cloned(&["--depth=2"]);
    let due = format!(
        "the history before commit {} is missing: this is a shallow clone",
        commits[2].short()
    );
    assert_eq!(
        chain(&clone, "HEAD"),
        [Ok(commits[3]), Ok(commits[2]), Err(due)]
    );
    let git = clone.open();
    assert!(git.is_ancestor(commits[2], commits[3]).unwrap());
    assert!(matches!(
        git.is_ancestor(commits[0], commits[3]),
        Err(RepoError::Shallow { .. })
    ));
    assert!(matches!(
        git.on_first_parents(commits[0], commits[3]),
        Err(RepoError::Shallow { .. })
    ));
    let whole = repo.cloned(&["--depth=9"]);
    assert_eq!(chain(&whole, "HEAD").len(), 4);
    assert!(chain(&whole, "HEAD").iter().all(Result::is_ok));
}
