//! Whatever becomes of a tree, a tracked set says what a judgement of the whole tree says; and
//! nothing that stands in the git directory changes that.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use refguard_core::document::Release;
use refguard_core::policy::Checked;

use super::*;
use crate::repo::testing::TestRepo;

type Files = BTreeMap<String, String>;

const CATALOG: &str =
    "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [g0, g1, g2]\nteams: [t0, t1, t2]\n";

fn document(kind: &str, fields: &str) -> String {
    format!("--- {{apiVersion: refguard/v1, kind: {kind}, {fields}}}\n")
}

/// One of the usual values, and now and then one that breaks the set.
fn mostly(
    usual: &'static [&'static str],
    not: &'static str,
) -> impl Strategy<Value = &'static str> {
    prop_oneof![25 => select(usual), 1 => Just(not)]
}

/// The policy of a file, as a rule: `p3` of `f3.yaml`, perhaps from one with a lower number.
fn policy(file: u8) -> impl Strategy<Value = String> {
    let name = prop_oneof![20 => Just(file), 1 => 0..6u8];
    let parent = prop_oneof![20 => 0..=file, 1 => 0..6u8];
    let parent = proptest::option::weighted(0.3, parent);
    let guardrails = (
        mostly(&["g0", "g1", "g2"], "g3"),
        select(&["g0", "g1", "g2"][..]),
    );
    let condition = select(
        &[
            "",
            "",
            "condition: {model: 'gpt-.*'}, ",
            "condition: {model: m}, ",
        ][..],
    );
    (name, parent, guardrails, condition).prop_map(|(name, parent, (add, remove), condition)| {
        let parent = parent.filter(|parent| *parent != name);
        let parent = parent
            .map(|parent| format!("inherit: p{parent}, "))
            .unwrap_or_default();
        let guardrails = format!("guardrails: {{add: [{add}], remove: [{remove}]}}");
        document(
            "Policy",
            &format!("name: p{name}, {parent}{condition}{guardrails}"),
        )
    })
}

fn attachment() -> impl Strategy<Value = String> {
    let usual = &[
        "scope: '*'",
        "teams: [t0]",
        "teams: [t1, t2]",
        "keys: ['k*'], default: true",
        "models: [m], tags: ['*']",
    ];
    let target = mostly(usual, "teams: [t9]");
    (0..6u8, target).prop_map(|(name, target)| {
        document("PolicyAttachment", &format!("policy: p{name}, {target}"))
    })
}

/// Tests, invariants, a second catalog: what is looked at beside other documents.
fn other() -> impl Strategy<Value = String> {
    let test = (0..6u8, 0..4u8, 0..3u8).prop_map(|(policy, guardrail, name)| {
        document(
            "PolicyTest",
            &format!(
                "name: t{name}, cases: \
             [{{name: c, context: {{team: t0}}, outcomes: {{g{guardrail}: fail}}, \
             expect: {{policies: [p{policy}]}}}}]"
            ),
        )
    });
    let invariant = (0..4u8, 0..3u8, 0..3u8).prop_map(|(guardrail, team, name)| {
        document(
            "Invariant",
            &format!("name: i{name}, for: {{teams: [t{team}]}}, require: [g{guardrail}]"),
        )
    });
    let catalog = select(&["models: [m, gpt-4]", "guardrails: [g3]", "keys: ['k*', x]"][..]);
    prop_oneof![4 => test, 4 => invariant, 1 => catalog.prop_map(|list| document("Catalog", list))]
}

fn text(file: u8) -> impl Strategy<Value = String> {
    let more = prop_oneof![8 => attachment(), 1 => other()];
    let sound = (policy(file), proptest::collection::vec(more, 0..3))
        .prop_map(|(policy, more)| policy + &more.concat());
    let faulty = Just("apiVersion: refguard/v1\nkind: Policy\nnam: p0\n".to_owned());
    prop_oneof![30 => sound, 1 => faulty]
}

fn settings() -> impl Strategy<Value = String> {
    let fields = select(
        &[
            "",
            "exclude: ['f1*']\n",
            "rules: {unused-policy: error}\n",
            "rules: {add-and-remove: error}\n",
        ][..],
    );
    fields.prop_map(|fields| format!("apiVersion: refguard/v1\nkind: Repository\n{fields}"))
}

/// What becomes of some files in one step; `None`: the file is gone.
type Edit = (String, Option<String>);

fn edit() -> impl Strategy<Value = Edit> {
    let file = (0..7u8).prop_flat_map(|file| {
        let text = proptest::option::weighted(0.9, text(file));
        text.prop_map(move |text| (format!("f{file}.yaml"), text))
    });
    let catalog = select(
        &[
            Some(CATALOG),
            Some("apiVersion: refguard/v1\nkind: Catalog\nkeys: [k1]\n"),
            None,
        ][..],
    )
    .prop_map(|text| ("catalog.yaml".to_owned(), text.map(str::to_owned)));
    let settings = proptest::option::of(settings()).prop_map(|text| (SETTINGS.to_owned(), text));
    prop_oneof![40 => file, 1 => catalog, 1 => settings]
}

/// How a step is judged.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// A tree, by the set that followed the ones before: a daemon, or a verb with two trees.
    Tree,
    /// A tree, by a set that begins from what was kept: the next verb.
    NextRun,
    /// The index, by a set that begins from what was kept: the hook.
    Hook,
    /// The work tree, by the set that followed the steps before: a verb with a commit and a work
    /// tree.
    Disk,
    /// The work tree, by a set that begins from what was kept.
    NextDisk,
}

fn story() -> impl Strategy<Value = Vec<(Vec<Edit>, Way)>> {
    let ways = &[
        Way::Tree,
        Way::Tree,
        Way::NextRun,
        Way::Hook,
        Way::Disk,
        Way::NextDisk,
    ][..];
    let way = select(ways);
    proptest::collection::vec((proptest::collection::vec(edit(), 1..3), way), 2..10)
}

/// A repository in which trees are written without a process each.
struct House {
    repo: TestRepo,
    git: git2::Repository,
    workspace: Workspace,
}

impl House {
    fn new() -> Self {
        let repo = TestRepo::new();
        let git = git2::Repository::open(repo.path()).unwrap();
        let workspace = Workspace::open(repo.path()).unwrap();
        Self {
            repo,
            git,
            workspace,
        }
    }

    fn write_tree(&self, files: &Files) -> TreeId {
        let mut tree = self.git.treebuilder(None).unwrap();
        for (path, text) in files {
            let blob = self.git.blob(text.as_bytes()).unwrap();
            tree.insert(path, blob, 0o100_644).unwrap();
        }
        tree.write().unwrap().into()
    }

    fn sides(files: &Files) -> Vec<(Arc<str>, Side)> {
        let side = |text: &String| Side {
            kind: EntryKind::File,
            blob: Some(BlobId::of(text.as_bytes())),
        };
        files
            .iter()
            .map(|(path, text)| (path.as_str().into(), side(text)))
            .collect()
    }

    /// Makes the work tree hold these files and no others.
    fn write_disk(&self, files: &Files) {
        for entry in fs::read_dir(self.repo.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
        for (path, text) in files {
            fs::write(self.repo.path().join(path), text).unwrap();
        }
    }

    /// Judges the work tree; with whether it was followed to, instead of judged whole.
    fn judge_disk(&self, sets: &mut TrackedSet, files: &Files) -> (Judged, bool) {
        self.write_disk(files);
        let listing = self.workspace.root().list_work_tree(&load::wanted).unwrap();
        let judged = sets
            .judge_disk(&self.workspace, listing, &NoProgress)
            .unwrap();
        (judged, sets.engine.is_some())
    }

    /// The judgement of the whole tree.
    fn judge_whole(&self, tree: TreeId) -> Judged {
        let repo = self.workspace.repo().unwrap();
        let listing = repo.list_tree(tree, "", &load::wanted).unwrap();
        Judged::from(check_errors(
            load::read(listing, &NoProgress).unwrap(),
            Release::CURRENT,
        ))
    }

    fn kept_file(&self) -> PathBuf {
        let folder = self.repo.path().join(".git/refguard");
        let mut files = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("set-")
            })
            .unwrap()
    }

    fn forget(&self) {
        let _ = fs::remove_dir_all(self.repo.path().join(".git/refguard"));
    }
}

/// What there is to say of a judgement: the set to the last word, or its errors.
fn said(judged: &Judged) -> String {
    match judged {
        Judged::Sound(engine) | Judged::Outdated(engine, _) => {
            let set = engine.set();
            let conditions: Vec<&str> = set.conditions.iter().map(|c| c.text()).collect();
            let names: BTreeMap<_, _> = set.by_name.iter().collect();
            format!(
                "{:?}\n{:?}\n{:?}\n{:?}\n{:?} {conditions:?} {names:?}\n{:?} {:?} {}",
                set.policies,
                set.attachments,
                set.tests,
                set.invariants,
                set.guardrails,
                set.settings,
                set.catalog,
                set.digest
            )
        }
        Judged::Faulty(checked) => {
            let Checked { findings, .. } = &**checked;
            findings
                .iter()
                .filter(|f| f.is_error())
                .map(|f| format!("{f}\n"))
                .collect()
        }
    }
}

/// A judgement of the work tree as one of a tree is given.
fn count_followed((judged, is_followed): (Judged, bool)) -> (Judged, Option<usize>) {
    (judged, is_followed.then_some(0))
}

fn follow(
    house: &House,
    steps: Vec<(Vec<Edit>, Way)>,
    short_steps: &Cell<usize>,
) -> Result<(), TestCaseError> {
    house.forget();
    let mut files = Files::from([("catalog.yaml".to_owned(), CATALOG.to_owned())]);
    for file in 0..6 {
        let fields = format!("name: p{file}, guardrails: {{add: [g0]}}");
        files.insert(format!("f{file}.yaml"), document("Policy", &fields));
    }
    let mut following = TrackedSet::default();
    for (edits, way) in steps {
        for (path, text) in edits {
            match text {
                Some(text) => files.insert(path, text),
                None => files.remove(&path),
            };
        }
        let tree = house.write_tree(&files);
        let target = Target::Tree(tree);
        let sides = House::sides(&files);
        let (workspace, mut next) = (&house.workspace, TrackedSet::default());
        let (judged, files_read) = match way {
            Way::Tree => following.judge_set(workspace, target, Release::CURRENT, &NoProgress),
            Way::NextRun => next.judge_set(workspace, target, Release::CURRENT, &NoProgress),
            Way::Hook => next.judge_index(workspace, &sides, &NoProgress),
            Way::Disk => Ok(count_followed(house.judge_disk(&mut following, &files))),
            Way::NextDisk => Ok(count_followed(house.judge_disk(&mut next, &files))),
        }
        .unwrap();
        short_steps.set(short_steps.get() + usize::from(files_read.is_some()));
        let whole = house.judge_whole(tree);
        prop_assert_eq!(said(&judged), said(&whole), "{:?} of {:#?}", way, files);
    }
    Ok(())
}

#[test]
fn a_tracked_set_says_what_the_whole_tree_says() {
    let (house, short_steps) = (House::new(), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 2000,
        ..ProptestConfig::default()
    });
    runner
        .run(&story(), |steps| follow(&house, steps, &short_steps))
        .unwrap();
    assert!(
        short_steps.get() > 500,
        "the short way was gone {} times",
        short_steps.get()
    );
}

fn base() -> Files {
    Files::from([
        (
            "a.yaml".to_owned(),
            document("Policy", "name: p0, guardrails: {add: [g0]}"),
        ),
        (
            "b.yaml".to_owned(),
            document("PolicyAttachment", "policy: p0, scope: '*'"),
        ),
    ])
}

fn with(path: &str, text: String) -> Files {
    let mut files = base();
    files.insert(path.to_owned(), text);
    files
}

/// Judges in a run of its own; with how many files it read, where it did not read all.
fn judge_next(house: &House, files: &Files) -> (String, Option<usize>) {
    let target = Target::Tree(house.write_tree(files));
    let judged = TrackedSet::default()
        .judge_set(&house.workspace, target, Release::CURRENT, &NoProgress)
        .unwrap();
    (said(&judged.0), judged.1)
}

fn whole(house: &House, files: &Files) -> String {
    said(&house.judge_whole(house.write_tree(files)))
}

#[test]
fn the_next_run_reads_what_changed_and_no_more() {
    let house = House::new();
    assert_eq!(judge_next(&house, &base()).1, None);
    assert_eq!(judge_next(&house, &base()).1, Some(0));
    let changes = [
        with(
            "a.yaml",
            document("Policy", "name: p0, guardrails: {add: [new]}"),
        ),
        with(
            "c.yaml",
            document("Policy", "name: p1, inherit: p0, guardrails: {add: [g1]}"),
        ),
        with(
            "c.yaml",
            document(
                "PolicyTest",
                "name: t, cases: [{name: c, expect: {includes: [g0]}}]",
            ),
        ),
        with("c.yaml", document("Invariant", "name: i, require: [g0]")),
    ];
    for files in changes {
        assert_eq!(
            judge_next(&house, &files),
            (whole(&house, &files), Some(1)),
            "{files:#?}"
        );
    }
}

#[test]
fn a_work_tree_is_followed_to_and_never_kept() {
    let house = House::new();
    judge_next(&house, &base());
    let kept = fs::read(house.kept_file()).unwrap();
    let drafts = [
        base(),
        with(
            "a.yaml",
            document("Policy", "name: p0, guardrails: {add: [draft]}"),
        ),
        with(
            "c.yaml",
            document("Policy", "name: p1, inherit: p0, guardrails: {add: [g1]}"),
        ),
        Files::from([("a.yaml".to_owned(), document("Policy", "name: p0"))]),
    ];
    for files in &drafts {
        let (judged, is_followed) = house.judge_disk(&mut TrackedSet::default(), files);
        assert!(is_followed, "{files:#?}");
        assert_eq!(said(&judged), whole(&house, files));
    }

    // What is at fault is judged whole, and the tree after it too.
    let mut sets = TrackedSet::default();
    let faulty = with("c.yaml", document("Policy", "name: p1, inherit: nobody"));
    let (judged, is_followed) = house.judge_disk(&mut sets, &faulty);
    assert!(!is_followed);
    assert_eq!(said(&judged), whole(&house, &faulty));
    let target = Target::Tree(house.write_tree(&base()));
    let (judged, files_read) = sets
        .judge_set(&house.workspace, target, Release::CURRENT, &NoProgress)
        .unwrap();
    assert_eq!((said(&judged), files_read), (whole(&house, &base()), None));
    assert_eq!(fs::read(house.kept_file()).unwrap(), kept);
}

#[test]
fn a_work_tree_needs_no_object_of_what_was_kept() {
    let (house, other) = (House::new(), House::new());
    let mut files = base();
    files.insert(
        "c.yaml".to_owned(),
        document("Policy", "name: p1, inherit: p0"),
    );
    judge_next(&other, &files);
    fs::create_dir_all(house.repo.path().join(".git/refguard")).unwrap();
    let name = other.kept_file().file_name().unwrap().to_owned();
    fs::copy(
        other.kept_file(),
        house.repo.path().join(".git/refguard").join(name),
    )
    .unwrap();

    // Nothing of the set is an object of this repository.
    files.insert(
        "d.yaml".to_owned(),
        document("Policy", "name: p2, inherit: p1"),
    );
    let (judged, _) = house.judge_disk(&mut TrackedSet::default(), &files);
    assert_eq!(said(&judged), whole(&house, &files));
}

#[test]
fn a_file_of_the_work_tree_that_is_too_large_is_said_to_be() {
    let house = House::new();
    judge_next(&house, &base());
    fs::create_dir(house.repo.path().join("policies")).unwrap();
    let large = format!("# {}\n", "x".repeat(load::LIMITS.file_bytes));
    fs::write(house.repo.path().join("policies/large.yaml"), large).unwrap();
    let (judged, is_followed) = house.judge_disk(&mut TrackedSet::default(), &base());
    assert!(!is_followed);
    assert!(
        said(&judged).contains("policies/large.yaml"),
        "{}",
        said(&judged)
    );
}

#[test]
fn a_kept_file_that_is_not_as_it_was_written_is_as_good_as_none() {
    let house = House::new();
    judge_next(&house, &base());
    let (path, changed) = (
        house.kept_file(),
        with("c.yaml", document("Policy", "name: p1")),
    );
    let (sound, due) = (fs::read(&path).unwrap(), whole(&house, &changed));
    for at in (0..sound.len()).step_by(7) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(
            judge_next(&house, &changed),
            (due.clone(), None),
            "byte {at}"
        );
    }
    for length in (0..sound.len()).step_by(11) {
        fs::write(&path, &sound[..length]).unwrap();
        assert_eq!(
            judge_next(&house, &changed),
            (due.clone(), None),
            "cut at {length}"
        );
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(
        judge_next(&house, &changed),
        (due, None),
        "a folder in its place"
    );
}

#[test]
fn a_kept_file_of_another_repository_changes_no_answer() {
    let (house, other) = (House::new(), House::new());
    let theirs = with(
        "a.yaml",
        document("Policy", "name: p0, guardrails: {add: [theirs]}"),
    );
    judge_next(&house, &base());
    judge_next(&other, &theirs);
    fs::copy(other.kept_file(), house.kept_file()).unwrap();
    assert_eq!(judge_next(&house, &base()).0, whole(&house, &base()));
    // Of another folder: what it is of stands in it, whatever its name says.
    let folder = Workspace::imagined(house.repo.path(), Some("team"), BTreeMap::new()).unwrap();
    let name = crate::repo::AsideName::of_folder("set", "team");
    let repo = folder.repo().unwrap();
    let bytes = fs::read(house.kept_file()).unwrap();
    repo.write_aside(&name, u64::MAX, |out| out.write_all(&bytes[32..]))
        .unwrap();
    assert!(kept::read_kept(repo, "team").is_none());
    assert!(kept::read_kept(repo, "").is_some());
}

#[test]
fn a_repository_that_is_only_judged_neither_reads_nor_writes_a_kept_set() {
    let house = House::new();
    judge_next(&house, &base());
    let view = Workspace::imagined(house.repo.path(), Some(""), BTreeMap::new()).unwrap();
    let mut sets = TrackedSet::default();
    assert!(!sets.begin_from_kept(&view));
    house.forget();
    let target = Target::Tree(house.write_tree(&base()));
    assert_eq!(
        sets.judge_set(&view, target, Release::CURRENT, &NoProgress)
            .unwrap()
            .1,
        None
    );
    assert!(!house.repo.path().join(".git/refguard").exists());
}
