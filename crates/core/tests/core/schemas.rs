//! The committed schemas: equal to the types, sound, and of one mind with the reader.
//!
//! `UPDATE=1 cargo test -p refguard-core --test core schemas` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use refguard_core::document::{Kind, Limits, Loaded, load_file, schema};
use serde_json::Value;

/// The top level of the project: `schema/` stands there, for editors.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// File and schema of each kind, and of all in one.
fn generated() -> Vec<(String, Value)> {
    let mut schemas: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| {
            (
                format!("schema/{}.json", kind.slug()),
                schema::schema_of(kind),
            )
        })
        .collect();
    schemas.push(("schema/refguard.json".to_owned(), schema::any_schema()));
    schemas
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let mut stale = Vec::new();
    for (file, schema) in generated() {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = root().join(&file);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(file);
        }
    }
    assert!(
        stale.is_empty(),
        "not what the types say: {}; write them anew with `UPDATE=1 cargo test -p refguard-core \
         --test core schemas`",
        stale.join(", ")
    );
}

#[test]
fn no_schema_is_left_behind() {
    let mut found: Vec<String> = fs::read_dir(root().join("schema"))
        .unwrap()
        .map(|entry| format!("schema/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    found.sort();
    let mut expected: Vec<String> = generated().into_iter().map(|(file, _)| file).collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_schemas_are_sound_by_the_meta_schema_of_2020_12() {
    for (file, schema) in generated() {
        assert_eq!(
            schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
            "{file}"
        );
        let error = jsonschema::draft202012::meta::validate(&schema)
            .err()
            .map(|error| error.to_string());
        assert_eq!(error, None, "{file}");
    }
}

/// The documents under `tests/data/documents`, each a file named after what it shows.
fn documents(folder: &str) -> Vec<(String, String)> {
    let dir = root().join("crates/core/tests/data/documents").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).unwrap()))
        .collect()
}

/// What a schema file says of a document, read by another YAML library, as an editor does.
fn accepts(schema_file: &str, text: &str) -> Result<(), String> {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join(schema_file)).unwrap()).unwrap();
    let instance: Value = serde_yaml::from_str(text).unwrap();
    jsonschema::draft202012::new(&schema)
        .unwrap()
        .validate(&instance)
        .map_err(|error| error.to_string())
}

fn schema_of(text: &str) -> String {
    let word = text
        .lines()
        .find_map(|line| line.strip_prefix("kind: "))
        .unwrap();
    format!("schema/{}.json", Kind::from_loose(word).unwrap().slug())
}

fn load(name: &str, text: &str) -> Loaded {
    load_file(
        format!("{name}.yaml"),
        text.as_bytes().to_vec(),
        &Limits::DEFAULT,
    )
}

#[test]
fn valid_documents_pass_the_schemas_and_the_reader() {
    let documents = documents("valid");
    assert!(documents.len() >= 15);
    for (name, text) in documents {
        for schema in [schema_of(&text), "schema/refguard.json".to_owned()] {
            assert_eq!(accepts(&schema, &text), Ok(()), "{name} by {schema}");
        }
        let loaded = load(&name, &text);
        assert_eq!(
            (loaded.documents.len(), &loaded.findings[..]),
            (1, &[][..]),
            "{name}"
        );
    }
}

#[test]
fn invalid_documents_fail_the_schemas_and_the_reader() {
    let documents = documents("invalid");
    assert!(documents.len() >= 45);
    for (name, text) in documents {
        for schema in [schema_of(&text), "schema/refguard.json".to_owned()] {
            assert!(accepts(&schema, &text).is_err(), "{name} passes {schema}");
        }
        let loaded = load(&name, &text);
        assert!(
            loaded.documents.is_empty() && !loaded.findings.is_empty(),
            "{name} passes the reader"
        );
    }
}
