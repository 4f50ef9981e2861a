//! A database's rows give the set that the same policies give as a config.

use proptest::prelude::*;
use refguard_core::document::{Limits, Loaded, load_file};
use refguard_core::interop::{DatabaseImport, import_config, import_database};
use refguard_core::policy::{Levels, PolicySet, check_documents};
use serde_json::{Value, json};

use super::support::config;

/// A config as LiteLLM would list it, had it come from a database; the newest row first, as it
/// lists them.
fn rows(config: &Value) -> (String, String) {
    let policies = config["policies"].as_object().expect("policies");
    let policy = |(name, body): (&String, &Value)| {
        json!({
            "policy_id": format!("id of {name}"),
            "policy_name": name,
            "version_number": 1,
            "version_status": "production",
            "inherit": body["inherit"],
            "description": body["description"],
            "guardrails_add": body["guardrails"]["add"],
            "guardrails_remove": body["guardrails"]["remove"],
            "condition": body["condition"],
            "pipeline": body["pipeline"],
            "created_at": "2026-01-01T00:00:00Z",
            "created_by": null,
        })
    };
    let attachment = |row: &Value| {
        let mut row = row.clone();
        let fields = row.as_object_mut().expect("an attachment");
        let policy = fields.remove("policy").expect("a policy");
        fields.insert("policy_name".to_owned(), policy);
        for key in ["teams", "keys", "models", "tags"] {
            fields.entry(key).or_insert_with(|| json!([]));
        }
        row
    };
    let attachments: Vec<Value> = config["policy_attachments"]
        .as_array()
        .expect("attachments")
        .iter()
        .map(attachment)
        .collect();
    let policies: Vec<Value> = policies.iter().rev().map(policy).collect();
    (
        json!({ "policies": policies }).to_string(),
        json!({ "attachments": attachments }).to_string(),
    )
}

/// The set of the production commit's tree.
fn production(imported: &DatabaseImport) -> PolicySet {
    let last = imported.production.expect("something in production");
    let mut tree = std::collections::BTreeMap::new();
    for (path, text) in imported.commits[..=last]
        .iter()
        .flat_map(|commit| &commit.files)
    {
        match text {
            Some(text) => tree.insert(path, text),
            None => tree.remove(path),
        };
    }
    let mut loaded = Loaded::default();
    for (path, text) in tree {
        loaded.append_loaded(load_file(
            path.as_str(),
            text.clone().into_bytes(),
            &Limits::DEFAULT,
        ));
    }
    check_documents(loaded, &Levels::default())
        .set
        .expect("a set")
}

fn import(policies: String, attachments: String) -> DatabaseImport {
    import_database(
        ("policies.json", policies),
        ("attachments.json", attachments),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn rows_give_the_set_of_the_config(text in config()) {
        let (policies, attachments) = rows(&serde_json::from_str(&text).expect("JSON"));
        let imported = import(policies, attachments);
        prop_assert!(!imported.findings.iter().any(|finding| finding.is_error()), "{:#?}", imported.findings);
        let from_config = import_config("config.yaml", text).set.expect("a set");
        prop_assert_eq!(&production(&imported).digest, &from_config.digest);
    }

    #[test]
    fn any_text_is_imported_or_refused(text in config(), cut in 0..800usize, noise in "[\\[\\]{}:, \"0-9a-z]{0,5}") {
        let (mut policies, mut attachments) = rows(&serde_json::from_str(&text).expect("JSON"));
        for text in [&mut policies, &mut attachments] {
            let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.insert_str(at, &noise);
        }
        let imported = import(policies, attachments);
        prop_assert_eq!(imported.commits.is_empty(), imported.findings.iter().any(|finding| finding.is_error()));
    }
}
