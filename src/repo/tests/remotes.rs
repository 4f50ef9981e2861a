//! Two clones and one bare remote.

use super::{production, promotion, publish};
use crate::repo::testing::{TestRepo, branch, write_script};
use crate::repo::{CommitId, Expected, Ledger, Outcome, PushOutcome, RefName, Repo, RepoError};

struct World {
    bare: TestRepo,
    first: CommitId,
}

fn world() -> World {
    let seed = TestRepo::new();
    let first = seed.commit_file("a", "1");
    World {
        bare: seed.cloned(&["--bare"]),
        first,
    }
}

/// Taken whole.
fn taken() -> PushOutcome {
    PushOutcome::Taken {
        missing: Vec::new(),
    }
}

fn names() -> [RefName; 2] {
    [
        branch("production"),
        RefName::of_ledger("production").unwrap(),
    ]
}

/// The remote's ledger, as just fetched.
fn fetched(git: &Repo) -> Ledger {
    let [tip, ledger] = names();
    let listed = git.list_remote("origin", None).unwrap();
    git.fetch_environments("origin", &listed, &["production".to_owned()])
        .unwrap();
    let copies = [
        tip.tracking_copy("origin"),
        RefName::remote_ledger("origin", "production"),
    ];
    let [at, recorded] = copies.map(|copy| git.read_ref(&copy.unwrap()).unwrap());
    assert_eq!(
        [listed.refs.get(&tip), listed.refs.get(&ledger)],
        [at.as_ref(), recorded.as_ref()]
    );
    git.ledger_from("production", &tip, at, recorded).unwrap()
}

fn push(git: &Repo, ledger: &Ledger, commit: CommitId) -> Result<PushOutcome, RepoError> {
    let (tip, recorded) = ledger.expected_refs();
    git.push_to("origin")
        .with_ref(&ledger.ref_name, tip, commit)
        .with_ref(&ledger.ledger_name, recorded, commit)
        .send_all()
}

#[test]
fn a_push_is_taken_and_fetched_by_the_next() {
    let world = world();
    let (one, two) = (world.bare.cloned(&[]), world.bare.cloned(&[]));
    let (git, other) = (one.open(), two.open());
    let ledger = fetched(&git);
    let commit = promotion(&git, &ledger, world.first, "one").unwrap();
    assert_eq!(push(&git, &ledger, commit).unwrap(), taken());
    assert_eq!(
        publish(&git, &production(&git), commit).unwrap(),
        Outcome::Moved
    );
    let ledger = fetched(&other);
    assert_eq!(
        (ledger.tip, ledger.next_number(), ledger.is_behind()),
        (Some(commit), 2, false)
    );
    let next = promotion(&other, &ledger, world.first, "two").unwrap();
    assert_eq!(push(&other, &ledger, next).unwrap(), taken());
    let tips = git.remote_refs("origin", &[&names()[0]]).unwrap();
    assert_eq!(tips.into_values().collect::<Vec<_>>(), [next]);
}

#[test]
fn of_two_clones_one_wins_and_the_other_is_told_who() {
    let world = world();
    let (one, two) = (world.bare.cloned(&[]), world.bare.cloned(&[]));
    let (git, other) = (one.open(), two.open());
    for round in ["first", "second"] {
        let (mine, theirs) = (fetched(&git), fetched(&other));
        let commit = promotion(&git, &mine, world.first, &format!("one {round}")).unwrap();
        let late = promotion(&other, &theirs, world.first, &format!("two {round}")).unwrap();
        assert_eq!(push(&git, &mine, commit).unwrap(), taken());
        match push(&other, &theirs, late).unwrap() {
            PushOutcome::Lost {
                name,
                expected,
                actual,
                ..
            } => {
                assert_eq!(
                    (name, expected, actual),
                    (branch("production"), theirs.expected_refs().0, Some(commit))
                );
            }
            outcome => panic!("{outcome:?}"),
        }
        assert_eq!(
            other.read_ref(&branch("production")).unwrap(),
            None,
            "local refs are untouched"
        );
    }
}

#[test]
fn many_that_push_at_once_make_one_chain() {
    let world = world();
    let clones: Vec<TestRepo> = (0..4).map(|_| world.bare.cloned(&[])).collect();
    let ready = std::sync::Barrier::new(clones.len());
    let contend = |clone: &TestRepo, number: usize| {
        let git = clone.open();
        let ledger = fetched(&git);
        let commit = promotion(&git, &ledger, world.first, &format!("by {number}")).unwrap();
        ready.wait();
        (commit, push(&git, &ledger, commit).unwrap())
    };
    let ended: Vec<_> = std::thread::scope(|scope| {
        let contend = &contend;
        let all: Vec<_> = clones
            .iter()
            .enumerate()
            .map(|(n, clone)| scope.spawn(move || contend(clone, n)))
            .collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let tip = world.bare.id("production");
    for (commit, outcome) in &ended {
        match outcome {
            PushOutcome::Taken { .. } => assert_eq!(*commit, tip),
            PushOutcome::Lost { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        ended
            .iter()
            .filter(|(_, outcome)| *outcome == taken())
            .count(),
        1
    );
    assert_eq!(world.bare.id("refs/refguard/ledger/production"), tip);
}

#[test]
fn a_hook_of_the_remote_refuses_with_its_own_words() {
    let world = world();
    let clone = world.bare.cloned(&[]);
    let git = clone.open();
    for hook in ["pre-receive", "update"] {
        world
            .bare
            .hook(hook, "echo two reviews are needed >&2; exit 1");
        let ledger = fetched(&git);
        let commit = promotion(&git, &ledger, world.first, "r").unwrap();
        match push(&git, &ledger, commit).unwrap() {
            PushOutcome::Refused { reason, .. } => {
                assert!(reason.contains("hook declined: two reviews"), "{reason}")
            }
            other => panic!("{hook}: {other:?}"),
        }
        std::fs::remove_file(world.bare.path().join("hooks").join(hook)).unwrap();
    }
    assert!(
        git.remote_refs("origin", &[&names()[0]])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_lock_on_the_remote_is_a_lost_race() {
    let world = world();
    let clone = world.bare.cloned(&[]);
    let git = clone.open();
    std::fs::write(world.bare.path().join("refs/heads/production.lock"), "").unwrap();
    let ledger = fetched(&git);
    let commit = promotion(&git, &ledger, world.first, "r").unwrap();
    assert!(matches!(
        push(&git, &ledger, commit).unwrap(),
        PushOutcome::Lost { .. }
    ));
}

#[test]
fn where_there_is_no_answer_the_remote_is_asked() {
    let world = world();
    let clone = world.bare.cloned(&[]);
    let git = clone.open();
    let ledger = fetched(&git);
    let commit = promotion(&git, &ledger, world.first, "r").unwrap();
    let receive = clone.path().join(".git/receive");
    write_script(&receive, "exit 1");
    clone.git([
        "config",
        "remote.origin.receivepack",
        receive.to_str().unwrap(),
    ]);
    let error = push(&git, &ledger, commit).unwrap_err();
    assert!(
        matches!(error, RepoError::Git { .. }),
        "the remote still holds what was expected: {error}"
    );

    let pushed = format!("{commit}:refs/heads/production");
    let ledgered = format!("{commit}:refs/refguard/ledger/production");
    world.bare.git([
        "fetch",
        "-q",
        clone.path().to_str().unwrap(),
        &pushed,
        &ledgered,
    ]);
    assert_eq!(push(&git, &ledger, commit).unwrap(), taken());

    clone.git(["config", "remote.origin.url", "/nowhere"]);
    assert!(matches!(
        push(&git, &ledger, commit).unwrap(),
        PushOutcome::Unknown { .. }
    ));
    assert!(git.list_remote("origin", None).is_err());
    assert!(git.list_remote("--upload-pack=touch pwned", None).is_err());
    assert!(!clone.path().join("pwned").exists());
}

#[test]
fn a_push_never_goes_against_history() {
    let world = world();
    let clone = world.bare.cloned(&[]);
    let second = clone.commit_file("a", "2");
    let git = clone.open();
    let back = git
        .push_to("origin")
        .with_ref(&branch("main"), Expected::At(second), world.first)
        .send_all();
    assert!(matches!(back, Err(RepoError::NotAFastForward { .. })));
}

#[test]
fn a_plain_fetch_brings_the_remotes_branches() {
    let world = world();
    let (one, two) = (world.bare.cloned(&[]), world.bare.cloned(&[]));
    let second = one.commit_file("a", "2");
    one.git(["push", "-q", "origin", "main"]);
    let git = two.open();
    git.fetch_remote("origin").unwrap();
    assert_eq!(
        git.require_ref(&branch("main").tracking_copy("origin").unwrap())
            .unwrap(),
        second
    );
}

#[test]
fn a_remote_that_hides_its_ledgers_has_taken_the_branch_all_the_same() {
    let world = world();
    world
        .bare
        .git(["config", "receive.hideRefs", "refs/refguard"]);
    let clone = world.bare.cloned(&[]);
    let git = clone.open();
    let ledger = fetched(&git);
    let commit = promotion(&git, &ledger, world.first, "r").unwrap();
    let missing = vec![names()[1].clone()];
    assert_eq!(
        push(&git, &ledger, commit).unwrap(),
        PushOutcome::Taken { missing }
    );
    assert_eq!(world.bare.id("production"), commit);
}

#[test]
fn a_copy_of_what_the_remote_no_longer_has_is_dropped() {
    let world = world();
    let clone = world.bare.cloned(&[]);
    let git = clone.open();
    let ledger = fetched(&git);
    let commit = promotion(&git, &ledger, world.first, "r").unwrap();
    assert_eq!(push(&git, &ledger, commit).unwrap(), taken());
    assert_eq!(fetched(&git).tip, Some(commit));
    world
        .bare
        .git(["update-ref", "-d", "refs/heads/production"]);
    let ledger = fetched(&git);
    assert_eq!((ledger.tip, ledger.recorded), (None, Some(commit)));
}
