//! Import, export, import: the same set and the same answers. Write, read: the same documents.

use proptest::prelude::*;
use refguard_core::document::{Limits, Loaded, load_file};
use refguard_core::interop::{
    export_json, export_litellm, import_config, write_attachment, write_policy,
};
use refguard_core::policy::{Levels, PolicySet, check_documents};

use super::support::{answer, config, context, engine, request, requested};

/// The set that texts make, each a file of its own.
fn set_of(texts: impl IntoIterator<Item = String>) -> PolicySet {
    let mut loaded = Loaded::default();
    for (n, text) in (0..).zip(texts) {
        let n: u32 = n;
        loaded.append_loaded(load_file(
            format!("x/{n:05}.yaml"),
            text.into_bytes(),
            &Limits::DEFAULT,
        ));
    }
    let checked = check_documents(loaded, &Levels::default());
    let findings = checked.findings;
    checked.set.unwrap_or_else(|| panic!("{findings:#?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn export_and_import_give_the_same_set_and_answers(
        config in config(),
        requests in prop::collection::vec((context(), requested()), 12),
    ) {
        let first = engine(&config);
        let exported = export_litellm(first.set()).expect("LiteLLM's words");
        let second = engine(&exported.text);
        prop_assert_eq!(&first.set().digest, &second.set().digest, "{}", exported.text);
        prop_assert_eq!(&export_litellm(second.set()).expect("LiteLLM's words").text, &exported.text);
        let from_json = engine(&export_json(first.set()).expect("LiteLLM's words").to_string());
        prop_assert_eq!(&first.set().digest, &from_json.set().digest);
        for (context, names) in requests {
            let request = request(&context, &names);
            prop_assert_eq!(answer(&first.resolve(&request)), answer(&second.resolve(&request)));
        }
    }

    #[test]
    fn written_files_and_documents_are_the_set(config in config()) {
        let imported = import_config("config.yaml", config.clone());
        let set = imported.set.expect("a sound config");
        // The settings stand in a file of one name only.
        let of_set = imported.files.iter().filter(|(path, _)| path != "refguard.yaml");
        let texts = of_set.map(|(_, text)| text.clone());
        prop_assert_eq!(&set_of(texts).digest, &set.digest);
        let policies = set.policies.iter().map(|policy| write_policy(&set, policy));
        let attachments = set.attachments.iter().map(|attachment| write_attachment(&set, attachment));
        prop_assert_eq!(&set_of(policies.chain(attachments)).digest, &set.digest);
    }

    #[test]
    fn any_text_is_imported_or_refused_and_stays_inside(text in "[ -~\n\u{e9}]{0,80}") {
        sound(&text)?;
    }

    #[test]
    fn any_config_is_imported_or_refused_and_stays_inside(
        names in prop::collection::vec("[-a-zA-Z./\\\\ :@é~]{0,12}", 0..6),
        cut in 0..400usize,
        noise in "[\\[\\]{}:,#&*!|> \n\"'a-z-]{0,6}",
    ) {
        let policies: serde_json::Map<_, _> =
            names.iter().map(|name| (name.clone(), serde_json::json!({ "guardrails": ["pii"] }))).collect();
        let config = serde_json::json!({ "policies": policies, "guardrails": [{ "guardrail_name": "pii" }] });
        let mut text = serde_json::to_string_pretty(&config).expect("JSON");
        sound(&text)?;
        let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &noise);
        sound(&text)?;
    }
}

/// No panic; no file without a set; no path that leaves the folder or that Windows cannot hold.
fn sound(text: &str) -> Result<(), TestCaseError> {
    let imported = import_config("config.yaml", text.to_owned());
    prop_assert_eq!(imported.files.is_empty(), imported.set.is_none());
    prop_assert_eq!(
        imported.set.is_none(),
        imported.findings.iter().any(|finding| finding.is_error())
    );
    let mut seen = std::collections::HashSet::new();
    for (path, _) in &imported.files {
        prop_assert!(seen.insert(path.to_lowercase()), "{path} twice");
        let parts: Vec<&str> = path.split('/').collect();
        let sound = |part: &&str| {
            part.strip_suffix(".yaml")
                .unwrap_or(part)
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !part.starts_with('-')
                && *part != ".yaml"
                && *part != "con.yaml"
                && !part.is_empty()
        };
        prop_assert!(parts.len() <= 2 && parts.iter().all(sound), "{path}");
    }
    Ok(())
}
