//! What an author's editor makes of the schemas: by yaml-language-server, where the tests are told
//! of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{TestRepo, policy};

const MODELINE: &str = "# yaml-language-server: $schema=";

/// Every YAML file below a folder, relative to it; dot-folders are left out.
fn yaml_files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                found.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

/// The example in the source tree, and the repository that `init` makes of it.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies-example")
}

fn made() -> TestRepo {
    let repo = TestRepo::plain();
    repo.run(["init", "."]).ok();
    repo
}

#[test]
fn every_file_of_the_example_names_a_schema_that_is_there() {
    let repo = made();
    for root in [example(), repo.path().to_owned()] {
        let files = yaml_files(&root);
        assert!(files.len() > 8, "{files:?}");
        for file in files {
            let text = fs::read_to_string(root.join(&file)).unwrap();
            let named = text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix(MODELINE));
            let schema = root
                .join(&file)
                .parent()
                .unwrap()
                .join(named.unwrap_or_else(|| panic!("{file} names none")));
            let schema: Value =
                serde_json::from_str(&fs::read_to_string(&schema).unwrap()).unwrap();
            let kind = schema["title"]
                .as_str()
                .unwrap_or_else(|| panic!("{file}: {schema}"));
            assert!(
                text.contains(&format!("kind: {kind}\n")),
                "{file} is no {kind}"
            );
        }
    }
}

/// What the server says of some files, the last one at a place.
fn ask(server: &str, root: &Path, files: &[&str], place: Option<(usize, usize)>) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/editor/client.mjs");
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(server)
        .args(files)
        .current_dir(root);
    command.args(place.map(|(line, character)| format!("+{line}:{character}")));
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn yaml_language_server_completes_and_checks() {
    let Ok(server) = std::env::var("REFGUARD_TEST_YAML_LANGUAGE_SERVER") else {
        println!("REFGUARD_TEST_YAML_LANGUAGE_SERVER is not set: the editor is not tested");
        return;
    };
    let repo = made();
    for root in [example(), repo.path().to_owned()] {
        let files = yaml_files(&root);
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let said = ask(&server, &root, &files, None);
        for file in files {
            assert_eq!(said["diagnostics"][file], serde_json::json!([]), "{file}");
        }
    }
    let slips = format!(
        "{MODELINE}../.schema/policy.json\n{}",
        policy(
            "slips",
            "gaurdrails: {}\npipeline:\n  mode: pre_cal\n  steps: []"
        )
    );
    repo.write("policies/slips.yaml", &slips);
    let said = ask(&server, repo.path(), &["policies/slips.yaml"], None);
    let found: Vec<(u64, &str)> = said["diagnostics"]["policies/slips.yaml"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            (
                found["line"].as_u64().unwrap(),
                found["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(
        found
            .iter()
            .any(|(line, message)| *line == 4 && message.contains("gaurdrails")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|(line, message)| *line == 6 && message.contains("pre_call")),
        "{found:?}"
    );
    // On an empty line: the fields that are not there yet; after `mode:`: its values.
    repo.write(
        "policies/new.yaml",
        &format!("{MODELINE}../.schema/policy.json\n{}", policy("new", "")),
    );
    let completions = |place| {
        ask(&server, repo.path(), &["policies/new.yaml"], Some(place))["completions"].clone()
    };
    let fields = completions((4, 0));
    for due in ["guardrails", "inherit", "condition", "pipeline"] {
        assert!(
            fields.as_array().unwrap().iter().any(|label| label == due),
            "{due} is not in {fields}"
        );
    }
    repo.write(
        "policies/new.yaml",
        &format!(
            "{MODELINE}../.schema/policy.json\n{}",
            policy("new", "pipeline:\n  mode: ")
        ),
    );
    let modes = completions((5, 8));
    for due in ["pre_call", "post_call"] {
        assert!(
            modes.as_array().unwrap().iter().any(|label| label == due),
            "{due} is not in {modes}"
        );
    }
}
