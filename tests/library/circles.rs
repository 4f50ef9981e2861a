//! No circle among the files of a folder: each can be read after those that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Folders without circles, each with its files side by side.
const FOLDERS: [&str; 1] = ["src/daemon"];

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// What a folder's `mod.rs` gives out, and the file that it comes from: `pub use hub::{Hub,
/// Unserved};`.
fn given_out(module: &str) -> BTreeMap<String, String> {
    let uses = module
        .split("pub use ")
        .skip(1)
        .filter_map(|rest| rest.split(';').next());
    let mut names = BTreeMap::new();
    for line in uses {
        let mut words = words(line).map(str::to_owned);
        let file = words.next().unwrap();
        names.extend(words.map(|name| (name, file.clone())));
    }
    names
}

/// The names after each `super::` of a file, its tests left out.
fn siblings(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let mut found = BTreeSet::new();
    for rest in code.split("super::").skip(1) {
        let end = if rest.starts_with('{') {
            rest.find('}').unwrap()
        } else {
            64.min(rest.len())
        };
        let names = rest.get(..end).unwrap_or(rest);
        let take = if rest.starts_with('{') { usize::MAX } else { 1 };
        found.extend(words(names).take(take).map(str::to_owned));
    }
    found
}

fn graph(folder: &Path) -> Graph {
    let module = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let given_out = given_out(&module);
    let mut graph = Graph::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "mod" || path.is_dir() {
            continue;
        }
        let named = siblings(&fs::read_to_string(&path).unwrap());
        let files = named
            .into_iter()
            .map(|word| given_out.get(&word).cloned().unwrap_or(word));
        graph.insert(name.clone(), files.filter(|file| *file != name).collect());
    }
    graph
}

/// The files that lead back to themselves.
fn circles(graph: &Graph) -> Vec<&str> {
    let leads_back = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = graph[start].iter().collect();
        while let Some(next) = open.pop() {
            if next == start {
                return true;
            }
            if seen.insert(next) {
                open.extend(graph.get(next).into_iter().flatten());
            }
        }
        false
    };
    graph
        .keys()
        .map(String::as_str)
        .filter(|file| leads_back(file))
        .collect()
}

#[test]
fn the_files_of_a_folder_name_each_other_in_one_direction() {
    for folder in FOLDERS {
        let graph = graph(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        let edges: usize = graph.values().map(BTreeSet::len).sum();
        assert!(graph.len() > 15 && edges > 40, "{folder}: {graph:?}");
        assert_eq!(circles(&graph), Vec::<&str>::new(), "{folder}");
    }
}

#[test]
fn a_circle_is_found() {
    let one = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let graph = Graph::from([
        ("a".to_owned(), siblings("use super::b::X;\n// super::c\n")),
        (
            "b".to_owned(),
            siblings("use super::{c, notes};\n#[cfg(test)]\nuse super::d;"),
        ),
        ("c".to_owned(), one(&["a"])),
        ("d".to_owned(), one(&["a"])),
    ]);
    assert_eq!(circles(&graph), ["a", "b", "c"]);
    assert_eq!(
        given_out("pub use hub::{Hub, Unserved};")["Unserved"],
        "hub"
    );
}
