//! Who may know whom: reads the sources of both crates and fails on a path that its folder must not
//! name.
//!
//! The table is the one of CONTRIBUTING.md. Test code (`#[cfg(test)]`) is free. That the core
//! depends on nothing of git, HTTP, async code or the command line is asked of cargo itself.

mod paths;

use std::fs;
use std::path::{Path, PathBuf};

use paths::{paths, test_modules};

/// The folders that hold sources, from the top of the project.
const ROOTS: [&str; 2] = ["src", "crates/core/src"];

/// What one folder under one of [`ROOTS`] may name.
struct Row {
    folder: &'static str,
    /// Folders of the two crates.
    knows: &'static [&'static str],
    /// Worlds outside that it must not touch.
    shuns: &'static [&'static World],
}

/// Something outside the crate, by the paths that lead to it.
struct World {
    name: &'static str,
    paths: &'static [&'static str],
}

const GIT: World = World {
    name: "git",
    paths: &["git2"],
};
const YAML_READER: World = World {
    name: "the YAML reader",
    paths: &["granit_parser"],
};
const YAML_WRITER: World = World {
    name: "YAML",
    paths: &["serde_yaml"],
};
const FILES: World = World {
    name: "files and processes",
    paths: &[
        "std::fs",
        "std::process",
        "std::env",
        "ignore",
        "include_dir",
        "notify",
        "tempfile",
        "walkdir",
    ],
};
const CLOCK: World = World {
    name: "the clock",
    paths: &["std::time"],
};
const TRANSPORT: World = World {
    name: "HTTP and async code",
    paths: &[
        "axum",
        "hyper",
        "hyper_util",
        "rustls",
        "std::net",
        "std::os::unix::net",
        "tokio",
        "tokio_rustls",
        "tower",
        "tower_http",
    ],
};
const ARGUMENTS: World = World {
    name: "the command line",
    paths: &["clap", "clap_complete", "clap_mangen"],
};
const TERMINAL: World = World {
    name: "the terminal",
    paths: &[
        "anstream",
        "indicatif",
        "terminal_size",
        "std::io::stdout",
        "std::io::stderr",
        "std::io::stdin",
    ],
};
const ANYHOW: World = World {
    name: "untyped errors",
    paths: &["anyhow"],
};

const PURE: &[&World] = &[
    &GIT,
    &YAML_READER,
    &YAML_WRITER,
    &FILES,
    &CLOCK,
    &TRANSPORT,
    &ARGUMENTS,
    &TERMINAL,
    &ANYHOW,
];

const TABLE: &[Row] = &[
    Row {
        folder: "document",
        knows: &["document"],
        shuns: &[
            &GIT,
            &YAML_WRITER,
            &FILES,
            &CLOCK,
            &TRANSPORT,
            &ARGUMENTS,
            &TERMINAL,
            &ANYHOW,
        ],
    },
    Row {
        folder: "policy",
        knows: &["document", "policy"],
        shuns: PURE,
    },
    Row {
        folder: "resolve",
        knows: &["document", "policy", "resolve"],
        shuns: PURE,
    },
    Row {
        folder: "effect",
        knows: &["document", "policy", "effect"],
        shuns: PURE,
    },
    Row {
        folder: "diff",
        knows: &["document", "policy", "resolve", "effect", "diff"],
        shuns: PURE,
    },
    Row {
        folder: "prove",
        knows: &["document", "policy", "resolve", "effect", "prove"],
        shuns: PURE,
    },
    Row {
        folder: "safeguards",
        knows: &[
            "document",
            "policy",
            "resolve",
            "diff",
            "prove",
            "safeguards",
        ],
        shuns: PURE,
    },
    Row {
        folder: "questions",
        knows: &["document", "policy", "resolve", "prove", "questions"],
        shuns: PURE,
    },
    Row {
        folder: "traffic",
        knows: &[
            "document", "policy", "resolve", "effect", "prove", "traffic",
        ],
        shuns: PURE,
    },
    Row {
        folder: "interop",
        knows: &["document", "policy", "interop"],
        shuns: &[
            &GIT,
            &YAML_READER,
            &FILES,
            &CLOCK,
            &TRANSPORT,
            &ARGUMENTS,
            &TERMINAL,
            &ANYHOW,
        ],
    },
    Row {
        folder: "repo",
        knows: &["repo"],
        shuns: &[
            &YAML_READER,
            &YAML_WRITER,
            &TRANSPORT,
            &ARGUMENTS,
            &TERMINAL,
            &ANYHOW,
        ],
    },
    Row {
        folder: "ops",
        knows: &[
            "document",
            "policy",
            "resolve",
            "diff",
            "prove",
            "safeguards",
            "questions",
            "traffic",
            "repo",
            "interop",
            "ops",
        ],
        shuns: &[&GIT, &YAML_READER, &TRANSPORT, &ARGUMENTS, &TERMINAL],
    },
    Row {
        folder: "output",
        knows: &[
            "document",
            "policy",
            "resolve",
            "diff",
            "prove",
            "safeguards",
            "questions",
            "traffic",
            "interop",
            "ops",
            "output",
        ],
        shuns: &[
            &GIT,
            &YAML_READER,
            &FILES,
            &TRANSPORT,
            &ARGUMENTS,
            &TERMINAL,
            &ANYHOW,
        ],
    },
    Row {
        folder: "daemon",
        knows: &[
            "document",
            "policy",
            "resolve",
            "diff",
            "prove",
            "safeguards",
            "questions",
            "traffic",
            "repo",
            "interop",
            "ops",
            "output",
            "daemon",
        ],
        shuns: &[&GIT, &YAML_READER, &TRANSPORT, &ARGUMENTS, &TERMINAL],
    },
    Row {
        folder: "pages",
        knows: &[
            "document",
            "policy",
            "resolve",
            "effect",
            "diff",
            "prove",
            "safeguards",
            "questions",
            "ops",
            "output",
            "daemon",
            "pages",
        ],
        shuns: &[
            &GIT,
            &YAML_READER,
            &YAML_WRITER,
            &FILES,
            &TRANSPORT,
            &ARGUMENTS,
            &TERMINAL,
            &ANYHOW,
        ],
    },
    Row {
        folder: "http",
        knows: &[
            "document",
            "policy",
            "resolve",
            "diff",
            "safeguards",
            "questions",
            "traffic",
            "interop",
            "ops",
            "output",
            "daemon",
            "pages",
            "http",
        ],
        shuns: &[
            &GIT,
            &YAML_READER,
            &YAML_WRITER,
            &FILES,
            &ARGUMENTS,
            &TERMINAL,
        ],
    },
    Row {
        folder: "cli",
        knows: &[
            "document",
            "policy",
            "resolve",
            "diff",
            "prove",
            "safeguards",
            "questions",
            "traffic",
            "repo",
            "interop",
            "ops",
            "output",
            "daemon",
            "pages",
            "http",
            "cli",
        ],
        shuns: &[&GIT, &YAML_READER, &YAML_WRITER],
    },
];

#[test]
fn every_folder_names_only_what_it_may_know() {
    let sources = sources();
    let tests = test_modules(&sources);
    let mut breaches = Vec::new();
    for (path, text) in &sources {
        let is_test = tests
            .iter()
            .any(|module| path == module || path.starts_with(module.with_extension("")));
        let inner = below_root(path);
        if !is_test && let Some(folder) = inner.iter().next().filter(|_| inner.iter().count() > 1) {
            let Some(row) = TABLE.iter().find(|row| folder == row.folder) else {
                panic!("{} has no row in the table of {}", path.display(), file!());
            };
            breaches.extend(judge(row, path, text));
        }
    }
    assert!(
        breaches.is_empty(),
        "imports against the table of CONTRIBUTING.md:\n{}",
        breaches.join("\n")
    );
}

#[test]
fn every_module_says_what_it_owns() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(
        silent.is_empty(),
        "these files do not open with `//!`: {}",
        silent.join(", ")
    );
}

#[test]
fn the_judge_finds_each_way_to_name_a_thing() {
    let policy = TABLE.iter().find(|row| row.folder == "policy").unwrap();
    let planted = [
        ("use git2::Oid;", "git2::Oid"),
        ("fn f() { let x = ::git2::Oid::zero(); }", "git2::Oid::zero"),
        (
            "use std::{collections::BTreeMap, fs::{self, File}};",
            "std::fs::self",
        ),
        (
            "use std::io;\nfn f() { std::io::stdout(); }",
            "std::io::stdout",
        ),
        ("use crate::{document::Span, repo as git};", "crate::repo"),
        ("fn f() { crate::output::write(); }", "crate::output::write"),
        ("use super::super::cli;", "crate::cli"),
        (
            "use refguard_core::interop::import_config;",
            "refguard_core::interop::import_config",
        ),
        (
            "mod inner { use super::super::super::ops::load; }",
            "crate::ops::load",
        ),
        ("pub use tokio as runtime;", "tokio"),
    ];
    for (text, named) in planted {
        let breaches = judge(policy, Path::new("policy/planted.rs"), text);
        assert!(
            breaches.iter().any(|b| b.contains(&format!("`{named}`"))),
            "{text}: {breaches:?}"
        );
    }
}

#[test]
fn the_judge_lets_words_and_tests_pass() {
    let policy = TABLE.iter().find(|row| row.folder == "policy").unwrap();
    let innocent = r##"
        //! Must not know `git2::Oid`.
        use crate::document::{Span, rules};
        use super::model;
        /* std::fs::read /* nested */ crate::cli */
        const TEXT: &str = "std::fs::read \" crate::cli::run";
        const RAW: &str = r#"std::fs::read " crate::cli::run"#;
        const QUOTE: char = '"';
        fn f<'a>(git2: &'a str) -> &'a str { git2 }
        fn g(x: Thing) { x.tokio(); my::git2::f(); }
        #[cfg(test)]
        mod tests { use std::fs; use crate::cli; }
    "##;
    assert_eq!(
        judge(policy, Path::new("policy/innocent.rs"), innocent),
        Vec::<String>::new()
    );
}

/// A path without the folder of [`ROOTS`] that it begins with.
fn below_root(path: &Path) -> &Path {
    ROOTS
        .iter()
        .find_map(|root| path.strip_prefix(root).ok())
        .unwrap_or(path)
}

/// Every Rust file under [`ROOTS`], by its path from the top of the project.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push((
                    path.strip_prefix(root).unwrap().to_owned(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for root in ROOTS {
        let before = found.len();
        walk(&top.join(root), top, &mut found);
        assert!(
            found.len() > before + 20,
            "only {} files under {root}",
            found.len() - before
        );
    }
    found.sort();
    found
}

/// The breaches of one file, each a line for a person.
fn judge(row: &Row, path: &Path, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (named, line) in paths(below_root(path), text) {
        let place = format!("{}:{line}", path.display());
        let mut segments = named.split("::");
        if matches!(
            segments.next(),
            Some("crate" | "refguard" | "refguard_core")
        ) {
            if let Some(module) = segments
                .next()
                .filter(|m| TABLE.iter().any(|row| row.folder == *m))
                && !row.knows.contains(&module)
            {
                breaches.push(format!(
                    "{place}: `{named}`, but `{}` may know only {}",
                    row.folder,
                    row.knows.join(", ")
                ));
            }
        } else if let Some(world) = row
            .shuns
            .iter()
            .find(|world| world.paths.iter().any(|p| leads_to(&named, p)))
        {
            breaches.push(format!(
                "{place}: `{named}`, but `{}` must not know {}",
                row.folder, world.name
            ));
        }
    }
    breaches
}

fn leads_to(named: &str, world: &str) -> bool {
    named
        .strip_prefix(world)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Instants are data to the core: it is told what time it is.
#[test]
fn the_core_reads_no_clock() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/core/src");
    let mut folders = vec![top];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for clock in ["Timestamp::now", "Zoned::now", "SystemTime::now"] {
                assert!(!text.contains(clock), "{}: `{clock}`", path.display());
            }
        }
    }
}
