//! Objects, and the one step that moves refs.

use std::fs;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::{must_promote, production, promote, promotion, publish, story};
use crate::repo::git::GitCommand;
use crate::repo::testing::{TestRepo, branch, everything, paths, texts, write_script};
use crate::repo::{Expected, Locked, NewCommit, Outcome, Person, Repo, RepoError, Time, TreeItem};

#[test]
fn a_tree_is_built_from_another_by_paths() {
    let repo = TestRepo::new();
    repo.write("a/b/1.yaml", "1")
        .write("a/b/2.yaml", "2")
        .write("c/3.yaml", "3")
        .write("top.yaml", "t");
    let commit = repo.commit("base");
    let git = repo.open();
    let base = git.tree_of(commit).unwrap();
    let new = TreeItem::plain_file(git.write_blob("new").unwrap());
    let taken = git.item_at(base, "a/b/2.yaml").unwrap();
    let changes = [
        ("c/3.yaml", None),
        ("a/b/1.yaml", Some(new)),
        ("d/e/2.yaml", taken),
        ("top.yaml", None),
    ];
    // The name is known without writing, also of folders that git sorts by a slash.
    let named = git.tree_id_with(Some(base), changes).unwrap();
    let tree = git.tree_with(Some(base), changes).unwrap();
    assert_eq!(named, tree);
    let listing = git.list_tree(tree, "", &everything).unwrap();
    assert_eq!(paths(&listing), ["a/b/1.yaml", "a/b/2.yaml", "d/e/2.yaml"]);
    assert_eq!(texts(&listing), ["new", "2", "2"]);
    assert!(
        git.item_at(tree, "c").unwrap().is_none(),
        "an empty folder vanishes"
    );

    assert_eq!(git.tree_with(Some(base), []).unwrap(), base);
    assert_eq!(
        git.tree_with(Some(base), [("a/x/y", None), ("top.yaml/z", None)])
            .unwrap(),
        base
    );
    let turned = git
        .tree_with(Some(base), [("top.yaml", None), ("top.yaml/z", Some(new))])
        .unwrap();
    assert!(git.item_at(turned, "top.yaml/z").unwrap().is_some());
    let empty = git.tree_with(None, [("x", None)]).unwrap();
    assert_eq!(
        empty.to_string(),
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    );
    for bad in ["", "/a", "a//b", "a/../b", ".git/config", "a/.GIT/x", "a/"] {
        assert!(
            matches!(
                git.tree_with(Some(base), [(bad, Some(new))]),
                Err(RepoError::BadPath { .. })
            ),
            "{bad}"
        );
    }
    repo.git(["fsck", "--strict"]);
}

#[test]
fn the_mode_of_a_file_goes_with_it() {
    let repo = TestRepo::new();
    repo.write("run.yaml", "r");
    repo.git(["add", "."]);
    repo.git(["update-index", "--chmod=+x", "run.yaml"]);
    repo.git(["commit", "-q", "-m", "x"]);
    let git = repo.open();
    let base = git.tree_of(repo.id("HEAD")).unwrap();
    let item = git.item_at(base, "run.yaml").unwrap();
    assert_eq!(git.tree_with(None, [("run.yaml", item)]).unwrap(), base);
}

#[test]
fn a_commit_takes_its_people_from_git_unless_told_otherwise() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    let new = NewCommit {
        tree: git.tree_of(first).unwrap(),
        parents: vec![first],
        message: "é\n".into(),
        author: None,
    };
    let plain = git.find_commit(git.write_commit(&new).unwrap()).unwrap();
    assert_eq!(
        (plain.author.name.as_str(), plain.committer.name.as_str()),
        ("Ada", "Bob")
    );
    assert_eq!(
        (plain.message.as_str(), plain.parents),
        ("é\n", vec![first])
    );
    let time = Time {
        seconds: 86_400,
        offset_minutes: -210,
    };
    let author = Person {
        name: "Eve".into(),
        email: "eve@example.org".into(),
        time,
    };
    let other = git
        .write_commit(&NewCommit {
            author: Some(author.clone()),
            ..new
        })
        .unwrap();
    assert_eq!(git.find_commit(other).unwrap().author, author);
}

#[test]
fn without_a_name_nothing_is_written_and_the_help_says_what_to_do() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    repo.git(["config", "user.useConfigOnly", "true"]);
    let names = [
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
    ];
    let git = Repo::open_at(repo.path(), &repo.env_without(&names)).unwrap();
    let error = promote(&git, first, "r").unwrap_err();
    assert!(matches!(error, RepoError::NoIdentity), "{error}");
    assert!(
        error
            .help()
            .unwrap()
            .contains("git config --global user.name")
    );
    repo.write("b", "b");
    assert!(matches!(
        git.commit_files(["b"], "b"),
        Err(RepoError::NoIdentity)
    ));
    assert_eq!(git.read_ref(&branch("production")).unwrap(), None);
}

#[test]
fn commits_are_signed_where_git_says_so_and_nothing_moves_if_that_fails() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let gpg = repo.path().join(".git/fake-gpg");
    let script = "cat >/dev/null\n[ -e \"${0%/*}/no-key\" ] && exit 1\n\
        echo '[GNUPG:] SIG_CREATED ' >&2\necho '-----BEGIN PGP SIGNATURE-----'\n\
        echo '-----END PGP SIGNATURE-----'";
    write_script(&gpg, script);
    repo.git(["config", "gpg.program", gpg.to_str().unwrap()]);
    repo.git(["config", "commit.gpgSign", "yes"]);
    let git = repo.open();
    let tip = must_promote(&git, first, "signed");
    assert!(
        repo.git(["cat-file", "commit", &tip.to_string()])
            .contains("\ngpgsig -----BEGIN PGP SIGNATURE-----")
    );
    fs::write(repo.path().join(".git/no-key"), "").unwrap();
    let error = promote(&git, first, "unsigned").unwrap_err();
    assert!(matches!(error, RepoError::Git { .. }), "{error}");
    assert_eq!(git.read_ref(&branch("production")).unwrap(), Some(tip));
}

#[test]
fn a_wrong_lease_loses_and_says_what_is_there() {
    let repo = TestRepo::new();
    let commits = ["1", "2", "3"].map(|text| repo.commit_file("a", text));
    let (git, name) = (repo.open(), branch("production"));
    let set = |expected, new| {
        git.begin_transaction("test")
            .set_ref(&name, expected, new)
            .commit_all()
            .unwrap()
    };
    let lost = |outcome| match outcome {
        Outcome::Lost(lost) => (lost.expected, lost.actual),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        lost(set(Expected::At(commits[0]), commits[1])),
        (Expected::At(commits[0]), None)
    );
    assert_eq!(set(Expected::Absent, commits[0]), Outcome::Moved);
    assert_eq!(
        lost(set(Expected::Absent, commits[1])),
        (Expected::Absent, Some(commits[0]))
    );
    repo.git(["pack-refs", "--all"]);
    assert_eq!(
        lost(set(Expected::At(commits[1]), commits[2])),
        (Expected::At(commits[1]), Some(commits[0]))
    );
    assert_eq!(set(Expected::At(commits[0]), commits[1]), Outcome::Moved);
    assert_eq!(git.read_ref(&name).unwrap(), Some(commits[1]));
}

#[test]
fn both_refs_move_or_none() {
    let repo = TestRepo::new();
    let [first, second] = ["1", "2"].map(|text| repo.commit_file("a", text));
    let (git, tip, ledger) = (repo.open(), branch("production"), branch("ledger"));
    repo.git(["update-ref", ledger.as_str(), &second.to_string()]);
    let both = git
        .begin_transaction("test")
        .set_ref(&tip, Expected::Absent, second)
        .set_ref(&ledger, Expected::At(first), second);
    assert!(matches!(both.commit_all().unwrap(), Outcome::Lost(lost) if lost.name == ledger));
    assert_eq!(git.read_ref(&tip).unwrap(), None);
}

#[test]
fn two_that_write_the_very_same_commit_are_not_both_the_winner() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    let ledger = production(&git);
    let (one, two) = (
        promotion(&git, &ledger, first, "same").unwrap(),
        promotion(&git, &ledger, first, "same").unwrap(),
    );
    assert_eq!(one, two);
    assert_eq!(publish(&git, &ledger, one).unwrap(), Outcome::Moved);
    assert!(matches!(
        publish(&git, &ledger, two).unwrap(),
        Outcome::Lost(_)
    ));
}

#[test]
fn of_twenty_four_that_move_at_once_one_wins() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    must_promote(&repo.open(), first, "start");
    repo.git(["pack-refs", "--all"]);
    let ready = Barrier::new(24);
    let contend = |number: usize| {
        let git = repo.open();
        let ledger = production(&git);
        let commit = promotion(&git, &ledger, first, &format!("by {number}")).unwrap();
        ready.wait();
        (commit, publish(&git, &ledger, commit).unwrap())
    };
    let ended: Vec<_> = thread::scope(|scope| {
        let contend = &contend;
        let all: Vec<_> = (0..24)
            .map(|number| scope.spawn(move || contend(number)))
            .collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let tip = repo.id("production");
    for (commit, outcome) in &ended {
        match outcome {
            Outcome::Moved => assert_eq!(*commit, tip),
            Outcome::Lost(lost) => assert_eq!(lost.actual, Some(tip)),
            Outcome::Locked(locked) => panic!("{locked:?}"),
        }
    }
    assert_eq!(
        ended
            .iter()
            .filter(|(_, outcome)| *outcome == Outcome::Moved)
            .count(),
        1
    );
    assert_eq!(story(&repo.open()).len(), 2);
}

#[test]
fn winners_form_one_unbroken_chain() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let stubborn = |number: usize| {
        let git = repo.open();
        let won = |outcome| matches!(outcome, Outcome::Moved);
        while !won(promote(&git, first, &format!("by {number}")).unwrap()) {}
    };
    thread::scope(|scope| {
        let stubborn = &stubborn;
        (0..8).for_each(|number| drop(scope.spawn(move || stubborn(number))));
    });
    let mut told = story(&repo.open());
    assert_eq!(
        told.iter()
            .map(|line| line.split(' ').next().unwrap().parse().unwrap())
            .collect::<Vec<u64>>(),
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
    told.sort_by_key(|line| line.split_once(' ').unwrap().1.to_owned());
    assert_eq!(
        told.iter()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect::<Vec<_>>(),
        (0..8).map(|n| format!("by {n}")).collect::<Vec<_>>()
    );
}

#[test]
fn a_lock_that_a_dead_process_left_is_named() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let tip = must_promote(&repo.open(), first, "start");
    let lock = repo.path().join(".git/refs/heads/production.lock");
    fs::write(&lock, "").unwrap();
    match promote(&repo.open(), first, "next").unwrap() {
        Outcome::Locked(Locked { path, age }) => {
            assert_eq!((path, age.is_some()), (lock.clone(), true))
        }
        other => panic!("{other:?}"),
    }
    fs::remove_file(lock).unwrap();
    assert_eq!(
        repo.open().read_ref(&branch("production")).unwrap(),
        Some(tip)
    );
    must_promote(&repo.open(), first, "next");
}

#[test]
fn a_lock_that_is_soon_gone_is_waited_for() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    must_promote(&repo.open(), first, "start");
    let lock = repo.path().join(".git/refs/heads/production.lock");
    fs::write(&lock, "").unwrap();
    // The other process lets go as soon as ours has met the lock once.
    let script = format!(
        "git \"$@\"; ended=$?; [ $ended = 0 ] || rm -f '{}'; exit $ended",
        lock.display()
    );
    let git = Repo::open_at(repo.path(), &repo.env_with_git(&script)).unwrap();
    must_promote(&git, first, "next");
    assert!(!lock.exists());
}

#[test]
fn symbolic_refs_checked_out_branches_and_other_objects_are_refused() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let git = repo.open();
    repo.git(["symbolic-ref", "refs/heads/production", "refs/heads/main"]);
    assert!(matches!(
        git.begin_transaction("t")
            .set_ref(&branch("production"), Expected::At(first), first)
            .commit_all(),
        Err(RepoError::SymbolicRef { .. })
    ));
    repo.git(["symbolic-ref", "--delete", "refs/heads/production"]);

    let main = git
        .begin_transaction("t")
        .set_ref(&branch("main"), Expected::At(first), first)
        .commit_all();
    assert!(
        matches!(main, Err(RepoError::CheckedOut { work_tree, .. }) if work_tree == repo.path())
    );
    repo.git(["worktree", "add", "-q", "-b", "production", "../linked"]);
    let error = git
        .begin_transaction("t")
        .set_ref(&branch("production"), Expected::At(first), first)
        .commit_all()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the branch `production` is checked out in `"),
        "{error}"
    );
    assert!(error.to_string().ends_with("/linked`"), "{error}");

    let tree = git.tree_of(first).unwrap().to_string().parse().unwrap();
    assert!(
        git.begin_transaction("t")
            .set_ref(&branch("other"), Expected::Absent, tree)
            .commit_all()
            .is_err()
    );
    let missing = "0123456789012345678901234567890123456789".parse().unwrap();
    let error = git
        .begin_transaction("t")
        .set_ref(&branch("other"), Expected::Absent, missing)
        .commit_all()
        .unwrap_err();
    assert!(matches!(error, RepoError::MissingObject { .. }), "{error}");
}

#[test]
fn the_head_of_a_bare_repository_is_no_checkout() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    let bare = repo.cloned(&["--bare"]);
    bare.git(["symbolic-ref", "HEAD", "refs/heads/production"]);
    must_promote(&bare.open(), first, "in bare");
}

#[test]
fn a_hook_of_the_repository_has_its_say_and_the_reflog_its_line() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a", "1");
    must_promote(&repo.open(), first, "start");
    assert!(
        repo.git(["reflog", "show", "production"])
            .contains("refguard: promote")
    );
    repo.hook("reference-transaction", "echo the freeze is on >&2; exit 1");
    let error = promote(&repo.open(), first, "next").unwrap_err();
    assert!(error.to_string().contains("the freeze is on"), "{error}");
    assert_eq!(story(&repo.open()), ["1 start"]);
}

#[test]
fn a_child_that_does_not_end_is_stopped_and_one_that_leaves_a_pipe_open_is_not_waited_for() {
    let repo = TestRepo::new();
    let run = |alias: &str, limit| {
        GitCommand::new(repo.path(), &repo.env(), ["-c", alias, "nap"])
            .with_limit(limit)
            .run()
    };
    let slow = run("alias.nap=!sleep 20", Duration::from_millis(200));
    assert!(matches!(slow, Err(RepoError::Timeout { verb, .. }) if verb == "nap"));
    let left = run("alias.nap=!sleep 20 & echo done", Duration::from_secs(60));
    assert_eq!(left.unwrap().text(), "done");
}

#[test]
fn a_new_repository_has_the_files_in_its_first_commit() {
    let folder = TestRepo::plain();
    let dir = folder.path().join("new/policies");
    let env = folder.env_with(&[("GIT_DEFAULT_HASH", "sha256"), ("GIT_DIR", "/nowhere")]);
    let git = Repo::create_repository(&dir, &env).unwrap();
    folder
        .write("new/policies/a.yaml", "a")
        .write("new/policies/b/c.yaml", "c")
        .write("new/policies/stray", "s");
    let commit = git.commit_files(["a.yaml", "b"], "first").unwrap();
    assert_eq!(git.read_ref(&branch("main")).unwrap(), Some(commit));
    assert_eq!(
        paths(&git.list_commit(commit, "", &everything).unwrap()),
        ["a.yaml", "b/c.yaml"]
    );
    assert_eq!(git.find_commit(commit).unwrap().message, "first\n");
}
