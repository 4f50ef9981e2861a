//! Whatever happens in a history, the index says what a plain reading of every commit says.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use refguard_core::document::{Body, Finding, load_file};
use refguard_core::policy::raw_policy_digest;

use super::*;
use crate::ops::NoProgress;
use crate::ops::source::filter::Filter;
use crate::ops::source::load::LIMITS;
use crate::repo::testing::TestRepo;

const PATHS: [&str; 5] = [
    "policies/a.yaml",
    "policies/b.yaml",
    "x/c.yml",
    "x/d.yaml",
    "refguard.yaml",
];

/// What becomes of one file in one commit.
#[derive(Debug, Clone)]
enum Act {
    Write(usize, String),
    Remove(usize),
    Move(usize, usize),
}

fn document() -> impl Strategy<Value = String> {
    (
        prop::sample::select(vec!["a", "b", "c"]),
        0..3,
        prop::sample::select(vec!["name", "nam", "# why\nname"]),
    )
        .prop_map(|(name, version, key)| {
            format!(
                "apiVersion: refguard/v1\nkind: Policy\n{key}: {name}\n\
                description: text {version}\n"
            )
        })
}

fn act() -> impl Strategy<Value = Act> {
    let text = prop_oneof![
        4 => document(),
        3 => (document(), document()).prop_map(|(a, b)| format!("{a}---\n{b}")),
        1 => Just("{{ template }}\n".to_owned()),
        1 => Just("apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: a\nscope: \"*\"\n".to_owned()),
        1 => Just("somebody: else\n".to_owned()),
    ];
    let settings = prop::sample::select(vec![
        "",
        "exclude: [\"x/**\"]\n",
        "include: [\"x/**\"]\n",
        "exclude: no\n",
    ]);
    let settings =
        settings.prop_map(|more| format!("apiVersion: refguard/v1\nkind: Repository\n{more}"));
    prop_oneof![
        6 => (0..4_usize, text).prop_map(|(path, text)| Act::Write(path, text)),
        1 => settings.prop_map(|text| Act::Write(4, text)),
        2 => (0..5_usize).prop_map(Act::Remove),
        1 => (0..4_usize, 0..4_usize).prop_map(|(from, to)| Act::Move(from, to)),
    ]
}

/// The rules once more, as plainly as can be: every file of every commit is read.
#[derive(Default)]
struct Model {
    files: BTreeMap<&'static str, String>,
    held: BTreeMap<&'static str, Vec<(String, String)>>,
    filter: Filter,
    versions: BTreeMap<String, Vec<Option<String>>>,
}

impl Model {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Write(path, text) => {
                self.files.insert(PATHS[*path], text.clone());
            }
            Act::Remove(path) => {
                self.files.remove(PATHS[*path]);
            }
            Act::Move(from, to) => {
                if let Some(text) = self.files.remove(PATHS[*from]) {
                    self.files.insert(PATHS[*to], text);
                }
            }
        }
    }

    fn commit(&mut self) {
        let mut now: BTreeMap<&'static str, Vec<(String, String)>> = BTreeMap::new();
        for (path, text) in &self.files {
            let loaded = load_file(*path, text.clone().into_bytes(), &LIMITS);
            let broken = loaded.findings.iter().any(Finding::is_error);
            let mut held: Vec<(String, String)> = Vec::new();
            for document in &loaded.documents {
                if let Body::Policy(raw) = &document.body {
                    held.push((
                        raw.name.as_str().to_owned(),
                        raw_policy_digest(raw).to_string(),
                    ));
                }
            }
            if broken {
                let before = self.held.get(path).cloned().unwrap_or_default();
                let lost: Vec<_> = before
                    .into_iter()
                    .filter(|(name, _)| held.iter().all(|(n, _)| n != name))
                    .collect();
                held.extend(lost);
            }
            if *path == "refguard.yaml" && !broken {
                self.filter = Filter::of_documents(&loaded.documents).unwrap();
            }
            now.insert(path, held);
        }
        if !self.files.contains_key("refguard.yaml") {
            self.filter = Filter::default();
        }
        self.held = now;
        for name in ["a", "b", "c"] {
            let counted = self
                .held
                .iter()
                .filter(|(path, _)| self.filter.admits(path))
                .flat_map(|(_, held)| held);
            let found: Vec<&String> = counted
                .filter(|(held, _)| held == name)
                .map(|(_, digest)| digest)
                .collect();
            let versions = self.versions.entry(name.to_owned()).or_default();
            let before = versions.last().cloned().flatten();
            let now = match found[..] {
                [] => None,
                [digest] => Some(digest.clone()),
                _ => continue,
            };
            if now != before {
                versions.push(now);
            }
        }
    }
}

fn digests(index: &VersionIndex, name: &str) -> Vec<Option<String>> {
    index
        .versions(name)
        .into_iter()
        .map(|version| version.document.map(|document| document.digest))
        .collect()
}

fn read(repo: &Repo, tip: CommitId) -> VersionIndex {
    let published = PublishedTip { prefix: "", tip };
    VersionIndex::read(repo, published, Keep::InGitDir, Effort::Whole, &NoProgress)
        .unwrap()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn the_index_says_what_reading_every_commit_says(
        commits in prop::collection::vec((prop::collection::vec(act(), 1..4), any::<bool>()), 1..9),
    ) {
        let (folder, mut model, mut followed) = (TestRepo::new(), Model::default(), None::<VersionIndex>);
        for (acts, look) in &commits {
            acts.iter().for_each(|act| model.act(act));
            model.commit();
            for path in PATHS {
                match model.files.get(path) {
                    Some(text) => drop(folder.write(path, text)),
                    None => drop(fs::remove_file(folder.path().join(path))),
                }
            }
            let tip = folder.commit("next");
            if *look {
                // Through the file that is kept, and from the index in memory.
                let repo = folder.open();
                let index = read(&repo, tip);
                followed = Some(match followed {
                    Some(earlier) => earlier.follow(&repo, tip, &NoProgress).unwrap(),
                    None => index,
                });
            }
        }
        let (repo, tip) = (folder.open(), folder.id("HEAD"));
        let kept = read(&repo, tip);
        fs::remove_dir_all(folder.path().join(".git/refguard")).unwrap();
        let anew = read(&repo, tip);
        let followed = followed.unwrap_or_else(|| anew.clone()).follow(&repo, tip, &NoProgress).unwrap();
        for index in [&kept, &anew, &followed] {
            for name in ["a", "b", "c"] {
                prop_assert_eq!(&digests(index, name), &model.versions[name], "{}", name);
            }
        }
        for name in ["a", "b", "c"] {
            prop_assert_eq!(kept.versions(name), anew.versions(name));
            let newest = model.versions[name].iter().rposition(Option::is_some);
            if let Some(at) = newest {
                let digest = model.versions[name][at].clone().unwrap();
                prop_assert_eq!(anew.number(name, &digest), Some(at as u64 + 1));
            }
        }
    }
}
