//! The machine formats against their published schemas (`tests/data/schemas/`).

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

use super::*;

const SARIF: &str = include_str!("../../../tests/data/schemas/sarif-2.1.0.json");
const GITLAB: &str = include_str!("../../../tests/data/schemas/gitlab-code-quality.json");
const JUNIT: &str = include_str!("../../../tests/data/schemas/junit-10.xsd");

/// What the schema has against a document.
fn faults(schema: &str, document: &Value) -> Vec<String> {
    // SARIF's pattern for `language` has a stray bracket that JavaScript lets pass and Rust does
    // not.
    let schema = parsed(&schema.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}?$"));
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn sarif_follows_its_schema() {
    assert_eq!(faults(SARIF, &parsed(&fixture_as(Format::Sarif))), [""; 0]);
    assert_eq!(faults(SARIF, &parsed(&clean_as(Format::Sarif))), [""; 0]);
    let mut broken = parsed(&fixture_as(Format::Sarif));
    broken["runs"][0]["results"][0]["level"] = "fatal".into();
    assert_eq!(faults(SARIF, &broken).len(), 1);
}

#[test]
fn sarif_results_name_their_rules() {
    let sarif = parsed(&fixture_as(Format::Sarif));
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), fixture().findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(
            run["tool"]["driver"]["rules"][index]["id"],
            result["ruleId"]
        );
    }
}

#[test]
fn gitlab_follows_its_schema() {
    assert_eq!(
        faults(GITLAB, &parsed(&fixture_as(Format::Gitlab))),
        [""; 0]
    );
    assert_eq!(faults(GITLAB, &parsed(&clean_as(Format::Gitlab))), [""; 0]);
    let mut broken = parsed(&fixture_as(Format::Gitlab));
    broken[0]["severity"] = "error".into();
    assert_eq!(faults(GITLAB, &broken).len(), 1);
}

#[test]
fn fingerprints_are_unique_and_outlive_a_move_of_lines() {
    let fingerprints = |text: &str| -> Vec<String> {
        let loaded = load_file(
            "policies/p.yaml",
            text.as_bytes().to_vec(),
            &Limits::DEFAULT,
        );
        let json = parsed(&rendered(
            &loaded.findings,
            &loaded.sources,
            Format::Gitlab,
            Style::default(),
        ));
        json.as_array()
            .unwrap()
            .iter()
            .map(|issue| issue["fingerprint"].as_str().unwrap().to_owned())
            .collect()
    };
    let two = format!("{TYPO}---\n{TYPO}");
    let before = fingerprints(&two);
    assert_eq!(before.len(), 2);
    assert_ne!(before[0], before[1]);
    assert_eq!(fingerprints(&format!("# a comment\n\n{two}")), before);
    assert_ne!(fingerprints(&two.replace("team:", "teem:")), before);
}

/// What the schema of JUnit allows an element: children, attributes, and those it must have.
#[derive(Debug, Default)]
struct Allowed {
    children: BTreeSet<String>,
    attributes: BTreeSet<String>,
    required: BTreeSet<String>,
}

fn attributes(tag: &BytesStart<'_>) -> BTreeMap<String, String> {
    tag.attributes()
        .map(|attribute| {
            let attribute = attribute.unwrap();
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .unwrap()
                .into_owned();
            (
                String::from_utf8(attribute.key.as_ref().to_vec()).unwrap(),
                value,
            )
        })
        .collect()
}

fn name(tag: &BytesStart<'_>) -> String {
    String::from_utf8(tag.local_name().as_ref().to_vec()).unwrap()
}

/// Reads the part of the schema that says which element may hold what.
fn junit_schema() -> BTreeMap<String, Allowed> {
    let mut schema: BTreeMap<String, Allowed> = BTreeMap::new();
    let mut element = String::new();
    let mut reader = Reader::from_str(JUNIT);
    loop {
        let tag = match reader.read_event().unwrap() {
            Event::Start(tag) | Event::Empty(tag) => tag,
            Event::Eof => return schema,
            _ => continue,
        };
        let values = attributes(&tag);
        let named = || values.get("name").cloned().unwrap_or_default();
        match (name(&tag).as_str(), values.get("ref")) {
            ("element", Some(child)) => {
                schema
                    .get_mut(&element)
                    .unwrap()
                    .children
                    .insert(child.clone());
            }
            ("element", None) => {
                element = named();
                schema.entry(element.clone()).or_default();
            }
            ("attribute", _) => {
                let allowed = schema.entry(element.clone()).or_default();
                allowed.attributes.insert(named());
                if values.get("use").is_some_and(|u| u == "required") {
                    allowed.required.insert(named());
                }
            }
            _ => {}
        }
    }
}

/// Reads a report and says what the schema has against it.
fn junit_faults(report: &str) -> Vec<String> {
    let schema = junit_schema();
    let mut faults = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut reader = Reader::from_str(report);
    loop {
        let event = reader.read_event().unwrap();
        let (tag, empty) = match &event {
            Event::Start(tag) => (tag, false),
            Event::Empty(tag) => (tag, true),
            Event::End(_) => {
                open.pop();
                continue;
            }
            Event::Eof => return faults,
            _ => continue,
        };
        let element = name(tag);
        let allowed = &schema[&element];
        if open
            .last()
            .is_some_and(|parent| !schema[parent].children.contains(&element))
        {
            faults.push(format!("<{element}> in <{}>", open.last().unwrap()));
        }
        let given: BTreeSet<String> = attributes(tag).into_keys().collect();
        faults.extend(
            given
                .difference(&allowed.attributes)
                .map(|extra| format!("<{element} {extra}>")),
        );
        faults.extend(
            allowed
                .required
                .difference(&given)
                .map(|missing| format!("<{element}> without {missing}")),
        );
        if !empty {
            open.push(element);
        }
    }
}

#[test]
fn junit_follows_its_schema() {
    assert_eq!(junit_faults(&fixture_as(Format::Junit)), [""; 0]);
    assert_eq!(junit_faults(&clean_as(Format::Junit)), [""; 0]);
    let broken = clean_as(Format::Junit).replace("<testsuites ", "<testsuites skipped=\"0\" ");
    assert_eq!(junit_faults(&broken), ["<testsuites skipped>"]);
}
