//! What each source holds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::repo::testing::{TestRepo, everything, paths, texts};
use crate::repo::{EntryKind, Root};

fn work_tree(repo: &TestRepo) -> Vec<String> {
    paths(&repo.root().list_work_tree(&everything).unwrap())
}

#[test]
fn entries_are_sorted_by_bytes_and_carry_sizes_and_contents() {
    let repo = TestRepo::new();
    repo.write("a/z.yaml", "1")
        .write("a.yaml", "22")
        .write("a-b.yaml", "333")
        .write("B.yaml", "4444");
    let commit = repo.commit("all");
    let (root, git) = (repo.root(), repo.open());
    for listing in [
        root.list_work_tree(&everything).unwrap(),
        git.list_index("", &everything).unwrap(),
        git.list_commit(commit, "", &everything).unwrap(),
    ] {
        assert_eq!(
            paths(&listing),
            ["B.yaml", "a-b.yaml", "a.yaml", "a/z.yaml"]
        );
        assert_eq!(texts(&listing), ["4444", "333", "22", "1"]);
        assert_eq!(
            listing
                .entries
                .iter()
                .map(|entry| entry.size)
                .collect::<Vec<_>>(),
            [4, 3, 2, 1]
        );
    }
}

#[test]
fn only_what_is_wanted_is_listed() {
    let repo = TestRepo::new();
    repo.write("a.yaml", "a").write("b.txt", "b");
    let commit = repo.commit("all");
    let yaml = |path: &str, _: EntryKind| path.ends_with(".yaml");
    let (root, git) = (repo.root(), repo.open());
    assert_eq!(paths(&root.list_work_tree(&yaml).unwrap()), ["a.yaml"]);
    assert_eq!(paths(&git.list_index("", &yaml).unwrap()), ["a.yaml"]);
    assert_eq!(
        paths(&git.list_commit(commit, "", &yaml).unwrap()),
        ["a.yaml"]
    );
}

#[test]
fn ignored_files_are_left_out_unless_git_tracks_them() {
    let repo = TestRepo::new();
    repo.write(".gitignore", "/build/\n*.tmp.yaml\n!keep.tmp.yaml\n")
        .write("sub/.gitignore", "local.yaml\n");
    repo.write("sub/local.yaml", "")
        .write("local.yaml", "")
        .write("x.tmp.yaml", "")
        .write("keep.tmp.yaml", "");
    repo.write("build/out.yaml", "")
        .write("build/tracked.yaml", "")
        .write("t.tmp.yaml", "");
    repo.write("excluded.yaml", "")
        .write(".git/info/exclude", "excluded.yaml\n");
    repo.git(["add", "-f", "build/tracked.yaml", "t.tmp.yaml"]);
    let due = [
        ".gitignore",
        "build/tracked.yaml",
        "keep.tmp.yaml",
        "local.yaml",
        "sub/.gitignore",
        "t.tmp.yaml",
    ];
    assert_eq!(work_tree(&repo), due);
}

#[test]
fn rules_above_the_root_hold_in_it_and_an_ignored_root_is_read_whole() {
    let repo = TestRepo::new();
    repo.write(".gitignore", "*.tmp.yaml\n/target/\n")
        .write("set/a.tmp.yaml", "")
        .write("set/a.yaml", "");
    repo.write("target/set/b.yaml", "")
        .write("target/set/b.tmp.yaml", "");
    let list = |below: &str| {
        let root = Root::find(&repo.path().join(below), &repo.env()).unwrap();
        paths(&root.list_work_tree(&everything).unwrap())
    };
    assert_eq!(list("set"), ["a.yaml"]);
    assert_eq!(list("target/set"), ["b.tmp.yaml", "b.yaml"]);
}

#[test]
fn outside_git_gitignore_means_nothing() {
    let folder = TestRepo::plain();
    folder.write(".gitignore", "*.yaml\n").write("a.yaml", "");
    assert_eq!(work_tree(&folder), [".gitignore", "a.yaml"]);
}

#[test]
fn dot_folders_are_not_searched_in_any_source() {
    let repo = TestRepo::new();
    repo.write(".github/a.yaml", "")
        .write("x/.hidden/b.yaml", "")
        .write(".c.yaml", "")
        .write("d.yaml", "");
    let commit = repo.commit("all");
    assert_eq!(work_tree(&repo), [".c.yaml", "d.yaml"]);
    assert_eq!(
        paths(&repo.open().list_index("", &everything).unwrap()),
        [".c.yaml", "d.yaml"]
    );
    assert_eq!(
        paths(&repo.open().list_commit(commit, "", &everything).unwrap()),
        [".c.yaml", "d.yaml"]
    );
}

#[test]
fn links_under_the_root_are_followed_in_the_work_tree_and_reported_in_commits() {
    let repo = TestRepo::new();
    repo.write("real/a.yaml", "a");
    symlink("real/a.yaml", repo.path().join("b.yaml")).unwrap();
    symlink("/etc/hostname", repo.path().join("out.yaml")).unwrap();
    symlink("nowhere", repo.path().join("broken.yaml")).unwrap();
    symlink("..", repo.path().join("real/loop")).unwrap();
    let commit = repo.commit("links");
    let due = [
        "b.yaml",
        "broken.yaml LinkBroken",
        "out.yaml LinkOutside",
        "real/a.yaml",
        "real/loop LinkLoop",
    ];
    assert_eq!(work_tree(&repo), due);
    let due = [
        "b.yaml Symlink",
        "broken.yaml Symlink",
        "out.yaml Symlink",
        "real/a.yaml",
        "real/loop Symlink",
    ];
    assert_eq!(
        paths(&repo.open().list_commit(commit, "", &everything).unwrap()),
        due
    );
    assert_eq!(
        paths(&repo.open().list_index("", &everything).unwrap()),
        due
    );
}

#[test]
fn a_mounted_config_map_is_read_once_through_its_links() {
    let mount = TestRepo::plain();
    mount
        .write("..2026_01/policies/a.yaml", "a")
        .write("..2026_01/catalog.yaml", "c");
    symlink("..2026_01", mount.path().join("..data")).unwrap();
    symlink("..data/policies", mount.path().join("policies")).unwrap();
    symlink("..data/catalog.yaml", mount.path().join("catalog.yaml")).unwrap();
    let root = mount.root();
    let listing = root.list_work_tree(&everything).unwrap();
    assert_eq!(paths(&listing), ["catalog.yaml", "policies/a.yaml"]);
    assert_eq!(texts(&listing), ["c", "a"]);
}

#[test]
fn crossed_links_come_to_an_end() {
    let folder = TestRepo::plain();
    for name in ["a", "b", "c", "d", "e", "f"] {
        folder.write(&format!("{name}/{name}.yaml"), "");
        for other in ["a", "b", "c", "d", "e", "f"] {
            symlink(
                format!("../{other}"),
                folder.path().join(name).join(format!("to-{other}")),
            )
            .unwrap();
        }
    }
    let listed = work_tree(&folder);
    assert!(listed.iter().any(|path| path.ends_with("LinkLoop")));
    assert!(listed.len() < 200, "{}", listed.len());
}

#[test]
fn repositories_inside_are_not_entered() {
    let repo = TestRepo::new();
    repo.write("a.yaml", "");
    repo.git(["init", "-q", "inner"]);
    repo.write("inner/b.yaml", "");
    repo.git(["-C", "inner", "add", "."]);
    repo.git(["-C", "inner", "commit", "-q", "-m", "inner"]);
    repo.git([
        "-c",
        "advice.addEmbeddedRepo=false",
        "add",
        "a.yaml",
        "inner",
    ]);
    repo.git(["commit", "-q", "-m", "both"]);
    let due = ["a.yaml", "inner Submodule"];
    assert_eq!(work_tree(&repo), due);
    assert_eq!(
        paths(&repo.open().list_index("", &everything).unwrap()),
        due
    );
    assert_eq!(
        paths(
            &repo
                .open()
                .list_commit(repo.id("HEAD"), "", &everything)
                .unwrap()
        ),
        due
    );
}

#[test]
fn paths_that_are_not_utf8_are_entries_and_do_not_vanish() {
    let repo = TestRepo::new();
    fs::create_dir(repo.path().join(std::ffi::OsStr::from_bytes(b"d\xff"))).unwrap();
    fs::write(
        repo.path()
            .join(std::ffi::OsStr::from_bytes(b"d\xff/a.yaml")),
        "",
    )
    .unwrap();
    fs::write(
        repo.path().join(std::ffi::OsStr::from_bytes(b"x\xff.yaml")),
        "",
    )
    .unwrap();
    let commit = repo.commit("bytes");
    let due = ["d\u{fffd} NotUtf8", "x\u{fffd}.yaml NotUtf8"];
    assert_eq!(work_tree(&repo), due);
    assert_eq!(
        paths(&repo.open().list_commit(commit, "", &everything).unwrap()),
        due
    );
    let due = ["d\u{fffd}/a.yaml NotUtf8", "x\u{fffd}.yaml NotUtf8"];
    assert_eq!(
        paths(&repo.open().list_index("", &everything).unwrap()),
        due
    );
}

#[test]
fn the_index_tells_open_merges_and_leaves_out_what_is_only_intended() {
    let repo = TestRepo::new();
    repo.commit_file("a.yaml", "base");
    repo.git(["checkout", "-q", "-b", "other"]);
    repo.commit_file("a.yaml", "theirs");
    repo.git(["checkout", "-q", "main"]);
    repo.commit_file("a.yaml", "ours");
    assert!(!repo.try_git(&["merge", "-q", "other"]).status.success());
    repo.write("b.yaml", "b");
    repo.git(["add", "-N", "b.yaml"]);
    assert_eq!(
        paths(&repo.open().list_index("", &everything).unwrap()),
        ["a.yaml Unmerged"]
    );
    assert_eq!(work_tree(&repo), ["a.yaml", "b.yaml"]);
}

#[test]
fn special_files_and_unreadable_folders_are_told() {
    let folder = TestRepo::plain();
    let pipe = folder.path().join("pipe.yaml");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(work_tree(&folder), ["pipe.yaml Special"]);
}

#[test]
fn a_missing_blob_is_an_error_that_names_it() {
    let repo = TestRepo::new();
    let commit = repo.commit_file("a.yaml", "a");
    let blob = repo.git(["rev-parse", "HEAD:a.yaml"]);
    let (folder, file) = blob.split_at(2);
    fs::remove_file(repo.path().join(".git/objects").join(folder).join(file)).unwrap();
    let error = repo
        .open()
        .list_commit(commit, "", &everything)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the object {blob} is missing from the repository")
    );
}

#[test]
fn changes_are_found_in_changed_folders_and_moves_are_two() {
    let repo = TestRepo::new();
    repo.write("set/a/1.yaml", "1")
        .write("set/b/2.yaml", "2")
        .write("set/c.yaml", "c")
        .write("out.yaml", "o");
    let old = repo.commit("old");
    fs::remove_dir_all(repo.path().join("set/b")).unwrap();
    repo.write("set/b2/2.yaml", "2")
        .write("set/c.yaml", "C")
        .write("out.yaml", "O");
    repo.write("set/.hidden/x.yaml", "x")
        .write("set/b", "now a file");
    let new = repo.commit("new");
    let git = repo.open();
    let (old, new) = (
        Some(git.tree_of(old).unwrap()),
        Some(git.tree_of(new).unwrap()),
    );
    let show = |old, new, prefix: &str| -> Vec<String> {
        let changes = git.diff_trees(old, new, prefix, &everything).unwrap();
        let sign = |side: Option<_>| if side.is_some() { '+' } else { '-' };
        changes
            .iter()
            .map(|change| format!("{}{} {}", sign(change.old), sign(change.new), change.path))
            .collect()
    };
    assert_eq!(
        show(old, new, "set"),
        ["-+ b", "+- b/2.yaml", "-+ b2/2.yaml", "++ c.yaml"]
    );
    assert_eq!(
        show(None, old, "set"),
        ["-+ a/1.yaml", "-+ b/2.yaml", "-+ c.yaml"]
    );
    assert_eq!(show(new, new, ""), [""; 0]);
    assert_eq!(show(old, None, "set/a"), ["+- 1.yaml"]);
}

#[test]
fn changes_are_what_two_listings_tell_apart() {
    let repo = TestRepo::new();
    // Names that git sorts differently as a file and as a folder.
    let places = [
        "a", "a/x", "a/y/z", "a.b", "a-b/x", "a0", "b/x", "b.c/x", "c",
    ];
    let mut trees = Vec::new();
    for round in 0..10_usize {
        repo.git(["rm", "-rq", "--ignore-unmatch", "."]);
        let taken = |at: usize| (round * 7 + at * 5 + round / 5) % 3;
        for (at, place) in places.iter().enumerate().filter(|(at, _)| taken(*at) > 0) {
            let in_the_way = repo.path().join(place.split('/').next().unwrap()).is_file();
            if !in_the_way && !repo.path().join(place).is_dir() {
                repo.write(place, &format!("{}", taken(at)));
            }
        }
        trees.push(repo.open().tree_of(repo.commit("round")).unwrap());
    }
    let git = repo.open();
    let listed = |tree| {
        let entries = git.list_tree(tree, "", &everything).unwrap().entries;
        entries
            .into_iter()
            .map(|entry| (entry.path.to_string(), entry.blob))
            .collect::<BTreeMap<_, _>>()
    };
    for old in &trees {
        for new in &trees {
            let (before, after) = (listed(*old), listed(*new));
            let mut due: Vec<&String> = before.keys().chain(after.keys()).collect();
            due.sort();
            due.dedup();
            due.retain(|path| before.get(*path) != after.get(*path));
            let found = git
                .diff_trees(Some(*old), Some(*new), "", &everything)
                .unwrap();
            assert_eq!(
                found
                    .iter()
                    .map(|change| change.path.to_string())
                    .collect::<Vec<_>>(),
                due.into_iter().cloned().collect::<Vec<_>>()
            );
            for change in found {
                let blob = |side: Option<crate::repo::Side>| side.and_then(|side| side.blob);
                assert_eq!(
                    blob(change.old),
                    before.get(&*change.path).copied().flatten()
                );
                assert_eq!(
                    blob(change.new),
                    after.get(&*change.path).copied().flatten()
                );
            }
        }
    }
}

#[test]
fn a_sparse_checkout_hides_no_file_and_a_file_that_is_there_counts_as_it_is() {
    let repo = TestRepo::new();
    repo.write("a/1.yaml", "one")
        .write("b/2.yaml", "two")
        .write("top.yaml", "top")
        .commit("one");
    repo.git(["sparse-checkout", "set", "--no-cone", "/a/"]);
    assert!(!repo.path().join("b/2.yaml").exists());
    let listed = || texts(&repo.root().list_work_tree(&everything).unwrap());
    assert_eq!(listed(), ["one", "two", "top"]);
    // Whoever writes the file again means what it says now.
    repo.write("b/2.yaml", "mine");
    assert_eq!(listed(), ["one", "mine", "top"]);
}

#[test]
fn an_index_in_parts_is_read_as_git_reads_it() {
    let repo = TestRepo::new();
    repo.write("a.yaml", "one")
        .write("s/b.yaml", "two")
        .commit("one");
    let whole = repo.open().staged_sides("", &everything).unwrap();
    repo.git(["update-index", "--split-index"]);
    repo.write("s/b.yaml", "other").git(["add", "-A"]);
    let staged = repo.open().staged_sides("", &everything).unwrap();
    let names = |sides: &[(std::sync::Arc<str>, crate::repo::Side)]| -> Vec<String> {
        sides.iter().map(|(path, _)| path.to_string()).collect()
    };
    assert_eq!(names(&staged), names(&whole));
    assert_eq!(staged[0], whole[0]);
    assert_ne!(staged[1], whole[1]);
    let listing = repo.open();
    assert_eq!(
        texts(&listing.list_index("s", &everything).unwrap()),
        ["other"]
    );
}

#[test]
fn a_tree_with_two_entries_of_one_name_is_refused_by_every_reader() {
    let repo = TestRepo::new();
    let git = repo.open();
    let blob = |text: &str| git.write_blob(text).unwrap();
    let (one, two) = (blob("one"), blob("two"));
    let twice = |names: [&str; 2]| {
        let mut bytes = Vec::new();
        for (name, id) in names.into_iter().zip([one, two]) {
            bytes.extend(format!("100644 {name}\0").into_bytes());
            bytes.extend(id.to_bytes());
        }
        let raw = git2::Repository::open(repo.path()).unwrap();
        let odb = raw.odb().unwrap();
        odb.write(git2::ObjectType::Tree, &bytes).unwrap().into()
    };
    let sound: crate::repo::TreeId = twice(["a.yaml", "b.yaml"]);
    let unsound: crate::repo::TreeId = twice(["a.yaml", "a.yaml"]);
    let message = "the tree holds `a.yaml` twice";
    assert_eq!(
        git.list_tree(unsound, "", &everything)
            .unwrap_err()
            .to_string(),
        message
    );
    assert_eq!(
        git.tree_sides(unsound, "", &everything)
            .unwrap_err()
            .to_string(),
        message
    );
    for old in [None, Some(sound)] {
        let error = git
            .diff_trees(old, Some(unsound), "", &everything)
            .unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert!(
        git.diff_trees(Some(unsound), Some(sound), "", &everything)
            .is_ok()
    );
}
