//! A set is what it says, not how it is written: two spellings of one random model have one digest,
//! and what is said of a tree does not depend on the order in which its files come.

mod spelling;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use refguard_core::document::{Limits, Loaded, load_file};
use refguard_core::policy::{Checked, Levels, check_documents};
use serde_json::{Value, json};

use spelling::{Whims, write};

/// Names that a careless writer of YAML would get wrong.
const NAMES: &[&str] = &[
    "baseline",
    "no",
    "0755",
    "1e3",
    "null",
    "a: b",
    "a #b",
    "- x",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "naïve 🦀",
    "{x}",
    "[x]",
    "*star",
    "&and",
    "!bang",
    "%percent",
    "2026-11-22",
    "y",
];
const GUARDRAILS: &[&str] = &["pii", "hipaa_audit", "toxicity filter", "off", "12:30", "é"];
const CONDITIONS: &[&str] = &[
    "gpt-4.*",
    "gpt-4o",
    "o1+",
    "claude-(opus|sonnet)-[0-9]+",
    "bedrock/.*",
    "(?i)llama",
];
const PATTERNS: &[&str] = &[
    "health-eu",
    "health-*",
    "prod-key-1",
    "1e3",
    "yes",
    "phi*",
    "a,b",
    "'q'*",
];

/// A random model: the documents of a set as values, attachments in their order.
fn models() -> impl Strategy<Value = Vec<Value>> {
    let names = subsequence(NAMES, 1..8).prop_shuffle();
    names.prop_flat_map(|names| {
        let count = names.len();
        let policies: Vec<_> = (0..count).map(|i| policy(names.clone(), i)).collect();
        let attachments = vec(attachment(names), 0..8);
        (policies, attachments).prop_map(|(mut documents, attachments)| {
            documents.extend(attachments);
            documents
        })
    })
}

fn policy(names: Vec<&'static str>, i: usize) -> impl Strategy<Value = Value> {
    // Parents come before their children, so there is no cycle.
    let parent = prop::option::of(any::<Index>())
        .prop_map(move |at| at.filter(|_| i > 0).map(|at| at.index(i)));
    let condition = prop::option::of(subsequence(CONDITIONS, 1..3));
    let add = subsequence(GUARDRAILS, 0..5);
    let remove = subsequence(GUARDRAILS, 0..3);
    let actions = vec((any::<bool>(), any::<bool>()), GUARDRAILS.len());
    (parent, condition, add, remove, prop::option::of(actions)).prop_map(
        move |(parent, condition, add, remove, pipe)| {
            let mut policy = json!({
                "apiVersion": "refguard/v1", "kind": "Policy", "name": names[i], "description": "one\n  two: 'three'\n",
                "guardrails": { "add": add, "remove": remove }
            });
            if let Some(parent) = parent {
                policy["inherit"] = json!(names[parent]);
            }
            if let Some(condition) = condition {
                policy["condition"] = json!({ "model": condition });
            }
            if let Some(actions) = pipe.filter(|_| !add.is_empty()) {
                let step = |(guardrail, (blocks, hands_on)): (&&str, (bool, bool))| {
                    let on_fail = if blocks { "block" } else { "modify_response" };
                    json!({ "guardrail": guardrail, "on_pass": "next", "on_fail": on_fail, "pass_data": hands_on })
                };
                let steps: Vec<Value> = add.iter().zip(actions).map(step).collect();
                policy["pipeline"] = json!({ "mode": "pre_call", "steps": steps });
            }
            policy
        },
    )
}

fn attachment(names: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let targets = btree_set(
        prop::sample::select(&["teams", "keys", "models", "tags"][..]),
        0..4,
    );
    let patterns = vec(subsequence(PATTERNS, 1..4), 4);
    let priority = prop::option::of(-3..3);
    (any::<Index>(), targets, patterns, priority, any::<bool>()).prop_map(
        move |(policy, dims, patterns, priority, default)| {
            let mut attachment =
                json!({ "apiVersion": "refguard/v1", "kind": "PolicyAttachment", "policy": policy.get(&names) });
            for (dimension, patterns) in dims.iter().zip(patterns) {
                attachment[*dimension] = json!(patterns);
            }
            if dims.is_empty() {
                attachment["scope"] = json!("*");
            }
            if let Some(priority) = priority {
                attachment["priority"] = json!(priority);
            }
            attachment["default"] = json!(default);
            attachment
        },
    )
}

fn judge<'a>(files: impl IntoIterator<Item = &'a (String, String)>) -> Checked {
    let mut loaded = Loaded::default();
    for (path, text) in files {
        loaded.append_loaded(load_file(
            path.as_str(),
            text.clone().into_bytes(),
            &Limits::DEFAULT,
        ));
    }
    check_documents(loaded, &Levels::default())
}

fn digest(files: &[(String, String)]) -> String {
    let checked = judge(files);
    let said: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
    checked
        .set
        .unwrap_or_else(|| panic!("{said:#?}\nin {files:#?}"))
        .digest
        .to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spelling_leaves_no_trace(model in models(), one in vec(any::<u8>(), 64), other in vec(any::<u8>(), 64)) {
        let (one, other) = (write(&model, Whims::new(&one)), write(&model, Whims::new(&other)));
        prop_assert_eq!(digest(&one), digest(&other), "{:#?}\nagainst {:#?}", one, other);
    }

    #[test]
    fn a_change_of_meaning_shows(model in models(), whims in vec(any::<u8>(), 64)) {
        let mut changed = model.clone();
        changed[0]["guardrails"]["add"].as_array_mut().unwrap().push(json!("one_more"));
        let (before, after) = (write(&model, Whims::new(&whims)), write(&changed, Whims::new(&whims)));
        prop_assert_ne!(digest(&before), digest(&after));
    }

    #[test]
    fn the_order_of_files_has_no_say(
        model in models(),
        whims in vec(any::<u8>(), 64),
        faults in vec((any::<Index>(), any::<Index>(), prop::sample::select(&["x: [", "\n", "name: no\n", "@", ": "][..])), 0..4),
        order in any::<u64>(),
    ) {
        let mut files = write(&model, Whims::new(&whims));
        let count = files.len();
        for (file, at, fault) in faults {
            let text = &mut files[file.index(count)].1;
            let at = text.floor_char_boundary(at.index(text.len() + 1));
            text.insert_str(at, fault);
        }
        let forth = judge(&files);
        let mut shuffled: Vec<_> = files.iter().enumerate().collect();
        shuffled.sort_by_key(|(i, _)| (*i as u64 + 1).wrapping_mul(order | 1));
        let back = judge(shuffled.into_iter().map(|(_, file)| file));
        prop_assert_eq!(&forth.findings, &back.findings);
        prop_assert_eq!(forth.counts, back.counts);
        prop_assert_eq!(forth.set.map(|set| set.digest), back.set.map(|set| set.digest));
    }
}
