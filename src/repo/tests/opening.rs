//! Which repository, which root, and what is refused.

use crate::repo::testing::{TestRepo, everything, paths, texts};
use crate::repo::{GitEnv, Repo, RepoError, Root};

fn refusal(repo: &TestRepo) -> (String, String) {
    let error = Repo::open_at(repo.path(), &repo.env()).unwrap_err();
    (error.to_string(), error.help().unwrap_or_default())
}

#[test]
fn a_sha256_repository_is_refused_in_a_sentence() {
    let repo = TestRepo::plain();
    repo.git(["init", "-q", "--object-format=sha256"]);
    let (said, help) = refusal(&repo);
    assert!(
        said.contains("names its objects by sha256, which refguard cannot read"),
        "{said}"
    );
    assert!(help.contains("--object-format=sha1"), "{help}");
}

#[test]
fn a_reftable_repository_is_refused_in_a_sentence_and_never_has_no_refs() {
    let repo = TestRepo::plain();
    repo.git(["init", "-q", "--ref-format=reftable"]);
    let (said, help) = refusal(&repo);
    assert!(
        said.contains("keeps its refs as reftable, which refguard cannot read"),
        "{said}"
    );
    assert!(help.contains("git refs migrate"), "{help}");
    assert!(matches!(
        Root::find(repo.path(), &repo.env()),
        Err(RepoError::UnsupportedRepository { .. })
    ));
}

#[test]
fn an_extension_nobody_knows_is_refused_too() {
    let repo = TestRepo::new();
    repo.git(["config", "core.repositoryformatversion", "1"]);
    repo.git(["config", "extensions.moonphase", "full"]);
    assert!(refusal(&repo).0.contains("uses a format extension"));
}

#[test]
fn outside_git_there_is_a_root_but_no_repository() {
    let folder = TestRepo::plain();
    folder
        .write("set/refguard.yaml", "")
        .write("set/policies/a.yaml", "a");
    let root = Root::find(&folder.path().join("set/policies"), &folder.env()).unwrap();
    assert_eq!(root.dir().unwrap(), folder.path().join("set"));
    assert_eq!(
        paths(&root.list_work_tree(&everything).unwrap()),
        ["policies/a.yaml", "refguard.yaml"]
    );
    assert!(matches!(root.repo(), Err(RepoError::NotARepository { .. })));
}

#[test]
fn the_root_is_the_nearest_marked_folder_but_not_above_the_top_of_git() {
    let outer = TestRepo::plain();
    outer.write("refguard.yaml", "");
    let repo = TestRepo::new();
    repo.write("sets/eu/refguard.yaml", "")
        .write("sets/eu/policies/deep/a.yaml", "a")
        .write("other/b.yaml", "b");
    let find = |below: &str| Root::find(&repo.path().join(below), &repo.env()).unwrap();
    assert_eq!(find("sets/eu/policies/deep").prefix(), "sets/eu");
    assert_eq!(find("sets/eu").prefix(), "sets/eu");
    assert_eq!(find("other").prefix(), "other");
    assert_eq!(find("").prefix(), "");

    outer.git(["init", "-q", "inner"]);
    outer.write("inner/sub/a.yaml", "a");
    let root = Root::find(&outer.path().join("inner/sub"), &outer.env()).unwrap();
    assert_eq!(root.prefix(), "sub");
}

#[test]
fn the_prefix_is_the_same_in_commits_and_in_the_index() {
    let repo = TestRepo::new();
    repo.write("sets/eu/refguard.yaml", "")
        .write("sets/eu/policies/a.yaml", "a")
        .write("b.yaml", "b");
    let commit = repo.commit("first");
    let root = Root::find(&repo.path().join("sets/eu/policies"), &repo.env()).unwrap();
    let git = root.repo().unwrap();
    let due = ["policies/a.yaml", "refguard.yaml"];
    assert_eq!(paths(&root.list_work_tree(&everything).unwrap()), due);
    assert_eq!(
        paths(&git.list_index(root.prefix(), &everything).unwrap()),
        due
    );
    assert_eq!(
        paths(&git.list_commit(commit, root.prefix(), &everything).unwrap()),
        due
    );
    assert_eq!(
        paths(
            &git.list_commit(commit, "sets/nowhere", &everything)
                .unwrap()
        ),
        [""; 0]
    );
}

#[test]
fn a_bare_repository_has_commits_but_no_work_tree() {
    let repo = TestRepo::new();
    let commit = repo.commit_file("policies/a.yaml", "a");
    let bare = repo.cloned(&["--bare"]);
    let root = bare.root();
    assert_eq!(
        paths(
            &root
                .repo()
                .unwrap()
                .list_commit(commit, "", &everything)
                .unwrap()
        ),
        ["policies/a.yaml"]
    );
    assert!(matches!(
        root.list_work_tree(&everything),
        Err(RepoError::NoWorkTree { .. })
    ));
}

#[test]
fn a_linked_work_tree_has_its_own_files_and_index_and_the_common_refs() {
    let repo = TestRepo::new();
    let first = repo.commit_file("policies/a.yaml", "a");
    repo.git(["worktree", "add", "-q", "-b", "eu", "../eu"]);
    let linked = repo.path().with_file_name("eu");
    std::fs::write(linked.join("b.yaml"), "b").unwrap();
    repo.git(["-C", "../eu", "add", "b.yaml"]);
    let root = Root::find(&linked, &repo.env()).unwrap();
    let git = root.repo().unwrap();
    assert_eq!(git.common_dir(), repo.path().join(".git"));
    assert_eq!(git.work_tree(), Some(linked.as_path()));
    assert_eq!(git.resolve_revision("main", &[]).unwrap(), first);
    assert_eq!(
        paths(&git.list_index("", &everything).unwrap()),
        ["b.yaml", "policies/a.yaml"]
    );
    assert_eq!(
        paths(&repo.open().list_index("", &everything).unwrap()),
        ["policies/a.yaml"]
    );
}

#[test]
fn git_dir_and_work_tree_variables_are_heeded() {
    let repo = TestRepo::new();
    let commit = repo.commit_file("a.yaml", "a");
    let elsewhere = TestRepo::plain();
    elsewhere.write("files/b.yaml", "b");
    let git_dir = repo.path().join(".git");
    let env = |more: &[(&str, &str)]| elsewhere.env_with(more);
    let named = env(&[("GIT_DIR", git_dir.to_str().unwrap())]);
    assert_eq!(
        Repo::open_at(elsewhere.path(), &named)
            .unwrap()
            .resolve_revision("HEAD", &[])
            .unwrap(),
        commit
    );
    let below = Repo::open_at(&repo.path().join(".git"), &env(&[("GIT_DIR", ".")])).unwrap();
    assert_eq!(below.work_tree(), Some(repo.path()));
    let both = env(&[
        ("GIT_DIR", git_dir.to_str().unwrap()),
        ("GIT_WORK_TREE", "files"),
    ]);
    let root = Root::find(elsewhere.path(), &both).unwrap();
    assert_eq!(
        paths(&root.list_work_tree(&everything).unwrap()),
        ["b.yaml"]
    );
}

#[test]
fn the_index_is_the_one_that_git_names() {
    let repo = TestRepo::new();
    repo.commit_file("a.yaml", "old");
    repo.write("a.yaml", "new").write("staged.yaml", "s");
    repo.git(["add", "staged.yaml"]);
    repo.hook("pre-commit", "cp \"$GIT_INDEX_FILE\" ../named-index");
    repo.git(["commit", "-q", "-m", "only a", "--", "a.yaml"]);
    let env = repo.env_with(&[("GIT_INDEX_FILE", "../named-index")]);
    let git = Repo::open_at(repo.path(), &env).unwrap();
    let listing = git.list_index("", &everything).unwrap();
    assert_eq!(
        (paths(&listing), texts(&listing)),
        (vec!["a.yaml".to_owned()], vec!["new".to_owned()])
    );
    assert_eq!(
        paths(&repo.open().list_index("", &everything).unwrap()),
        ["a.yaml", "staged.yaml"]
    );
}

#[test]
fn new_objects_in_quarantine_are_found() {
    let repo = TestRepo::new();
    let first = repo.commit_file("a.yaml", "a");
    let clone = repo.cloned(&[]);
    let second = clone.commit_file("b.yaml", "b");
    let objects = clone.path().join(".git/objects");
    let env: GitEnv = repo.env_with(&[
        ("GIT_DIR", repo.path().join(".git").to_str().unwrap()),
        ("GIT_OBJECT_DIRECTORY", objects.to_str().unwrap()),
        (
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            repo.path().join(".git/objects").to_str().unwrap(),
        ),
    ]);
    assert!(repo.open().find_commit(second).is_err());
    let git = Repo::open_at(repo.path(), &env).unwrap();
    assert_eq!(git.find_commit(second).unwrap().parents, [first]);
    assert_eq!(
        git.reopen().unwrap().find_commit(second).unwrap().parents,
        [first]
    );
}

#[test]
fn a_missing_folder_is_said_plainly() {
    let repo = TestRepo::new();
    let error = Repo::open_at(&repo.path().join("nowhere"), &repo.env()).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot open the folder `"),
        "{error}"
    );
}
