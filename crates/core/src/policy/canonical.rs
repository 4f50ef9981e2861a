//! Canonical JSON and digests: what a policy and a set *are*, however they are written.
//!
//! Object keys are sorted (as `serde_json` keeps them), lists keep the order that has meaning and
//! sort the ones that have none, defaults are left out. Comments, files, formatting and key order
//! leave no trace.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Attachment, ConditionId, GuardrailId, Pattern, Pipeline, Policy, PolicySet, Step};
use crate::document::{Name, RawPipeline, RawPolicy, RawStep, Spanned};

/// A policy as canonical JSON; also what `compare` and `diff` go through field by field.
pub fn policy_json(set: &PolicySet, policy: &Policy) -> Value {
    let guardrails = |ids: &[GuardrailId]| ids.iter().map(|id| set.guardrail(*id)).collect();
    let condition = |ids: &Vec<ConditionId>| {
        ids.iter()
            .filter_map(|id| set.conditions.get(id.0 as usize))
            .map(|p| p.text())
            .collect()
    };

    policy_fields(Fields {
        name: &policy.name,
        description: policy.description.as_deref(),
        owner: policy.owner.as_deref(),
        inherit: policy
            .parent
            .and_then(|id| set.policy(id))
            .map(|parent| &*parent.name),
        add: guardrails(&policy.add),
        remove: guardrails(&policy.remove),
        condition: policy.condition.as_ref().map(condition),
        pipeline: policy
            .pipeline
            .as_ref()
            .map(|pipeline| pipeline_json(set, pipeline)),
        requestable: policy.requestable,
    })
}

/// A policy's document as canonical JSON: the same as [`policy_json`] in a set that holds it.
pub fn raw_policy_json(raw: &RawPolicy) -> Value {
    let own = raw.guardrails.as_ref();
    policy_fields(Fields {
        name: raw.name.as_str(),
        description: raw.description.as_ref().map(|text| text.as_str()),
        owner: raw.owner.as_ref().map(|text| text.as_str()),
        inherit: raw.inherit.as_ref().map(|text| text.as_str()),
        add: name_texts(own.and_then(|own| own.add.as_ref())),
        remove: name_texts(own.and_then(|own| own.remove.as_ref())),
        condition: raw
            .condition
            .as_ref()
            .map(|c| c.model.0.iter().map(|text| text.as_str()).collect()),
        pipeline: raw
            .pipeline
            .as_ref()
            .map(|pipeline| raw_pipeline_json(pipeline)),
        requestable: raw.requestable.is_some_and(|flag| flag.value),
    })
}

fn name_texts(names: Option<&Vec<Spanned<Name>>>) -> Vec<&str> {
    names
        .into_iter()
        .flatten()
        .map(|name| name.as_str())
        .collect()
}

/// The digest of a policy's document, as the set that holds it gives it.
pub fn raw_policy_digest(raw: &RawPolicy) -> Arc<str> {
    digest_value(&raw_policy_json(raw))
}

/// A policy's fields, defaults included.
struct Fields<'a> {
    name: &'a str,
    description: Option<&'a str>,
    owner: Option<&'a str>,
    inherit: Option<&'a str>,
    add: Vec<&'a str>,
    remove: Vec<&'a str>,
    condition: Option<Vec<&'a str>>,
    pipeline: Option<Value>,
    requestable: bool,
}

fn policy_fields(policy: Fields<'_>) -> Value {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    };

    let mut guardrails = Map::new();
    for (key, names) in [("add", policy.add), ("remove", policy.remove)] {
        if !names.is_empty() {
            guardrails.insert(key.to_owned(), sorted_texts(names));
        }
    }

    put("name", Some(json!(policy.name)));
    put("description", policy.description.map(Value::from));
    put("owner", policy.owner.map(Value::from));
    put("inherit", policy.inherit.map(Value::from));
    put(
        "guardrails",
        (!guardrails.is_empty()).then_some(Value::Object(guardrails)),
    );
    put(
        "condition",
        policy
            .condition
            .map(|texts| json!({ "model": sorted_texts(texts) })),
    );
    put("pipeline", policy.pipeline);
    put(
        "requestable",
        policy.requestable.then_some(Value::Bool(true)),
    );

    Value::Object(fields)
}

/// A list whose order has no meaning.
fn sorted_texts(mut texts: Vec<&str>) -> Value {
    texts.sort_unstable();
    texts.dedup();
    json!(texts)
}

fn pipeline_json(set: &PolicySet, pipeline: &Pipeline) -> Value {
    let steps: Vec<Value> = pipeline
        .steps
        .iter()
        .map(|step| step_json(set.guardrail(step.guardrail), step))
        .collect();

    json!({ "mode": pipeline.mode, "steps": steps })
}

fn raw_pipeline_json(raw: &RawPipeline) -> Value {
    // The step's own guardrail id is not looked at.
    let step = |raw: &Spanned<RawStep>| {
        step_json(raw.guardrail.as_str(), &Step::from_raw(raw, GuardrailId(0)))
    };

    json!({ "mode": raw.mode.value, "steps": raw.steps.iter().map(step).collect::<Vec<_>>() })
}

fn step_json(guardrail: &str, step: &Step) -> Value {
    let mut fields = Map::new();
    fields.insert("guardrail".to_owned(), json!(guardrail));
    fields.insert("on_pass".to_owned(), json!(step.on_pass));
    fields.insert("on_fail".to_owned(), json!(step.on_fail));
    // Absent means "as on_fail": the same step, however it is written.
    fields.insert(
        "on_error".to_owned(),
        json!(step.on_error.unwrap_or(step.on_fail)),
    );
    fields.insert("pass_data".to_owned(), json!(step.pass_data));
    if let Some(message) = &step.modify_response_message {
        fields.insert("modify_response_message".to_owned(), json!(message));
    }

    Value::Object(fields)
}

/// An attachment as canonical JSON.
pub fn attachment_json(set: &PolicySet, attachment: &Attachment) -> Value {
    let mut fields = Map::new();
    let policy = set
        .policy(attachment.policy)
        .map_or("", |policy| &policy.name);
    fields.insert("policy".to_owned(), json!(policy));
    if attachment.everywhere {
        fields.insert("scope".to_owned(), json!("*"));
    }

    for (dimension, patterns) in attachment.targets.iter() {
        if let Some(patterns) = patterns {
            fields.insert(dimension.plural().to_owned(), patterns_json(patterns));
        }
    }

    if let Some(priority) = attachment.priority {
        fields.insert("priority".to_owned(), json!(priority));
    }

    if attachment.default {
        fields.insert("default".to_owned(), json!(true));
    }

    if let Some(expires) = attachment.expires {
        fields.insert("expires".to_owned(), json!(expires.to_string()));
    }

    if let Some(reason) = &attachment.reason {
        fields.insert("reason".to_owned(), json!(reason));
    }

    Value::Object(fields)
}

fn patterns_json(patterns: &[Pattern]) -> Value {
    let texts: Vec<String> = patterns.iter().map(Pattern::to_string).collect();
    sorted_texts(texts.iter().map(String::as_str).collect())
}

/// The set as canonical JSON: policies by name, attachments in the order of evaluation.
pub fn set_json(set: &PolicySet) -> Value {
    let policies: Vec<Value> = set
        .policies
        .iter()
        .map(|policy| policy_json(set, policy))
        .collect();
    let attachments: Vec<Value> = set
        .attachments
        .iter()
        .map(|a| attachment_json(set, a))
        .collect();

    json!({ "policies": policies, "attachments": attachments })
}

/// SHA-256 of a canonical JSON, lower-case hex.
fn digest_value(value: &Value) -> Arc<str> {
    hex_text(&Sha256::digest(value.to_string().as_bytes()))
}

/// Gives every policy and attachment its canonical JSON, and policies and set their digests:
/// SHA-256 of the canonical JSON, lower-case hex.
pub(super) fn seal_digests(set: &mut PolicySet) {
    let text = |value: Value| value.to_string().into_boxed_str();
    let policies: Vec<(Box<str>, Arc<str>)> = set
        .policies
        .par_iter()
        .map(|policy| {
            let canonical = text(policy_json(set, policy));
            let digest = hex_text(&Sha256::digest(canonical.as_bytes()));
            (canonical, digest)
        })
        .collect();
    let attachments: Vec<Box<str>> = set
        .attachments
        .par_iter()
        .map(|a| text(attachment_json(set, a)))
        .collect();

    for (policy, (canonical, digest)) in set.policies.iter_mut().zip(policies) {
        let policy = Arc::make_mut(policy);
        (policy.canonical, policy.digest) = (canonical, digest);
    }

    for (attachment, canonical) in set.attachments.iter_mut().zip(attachments) {
        Arc::make_mut(attachment).canonical = canonical;
    }

    set.digest = set_digest(set);
}

/// The digest of a set whose policies and attachments have their canonical JSON. It is hashed piece
/// by piece; of a large set it is never held whole.
pub(super) fn set_digest(set: &PolicySet) -> Arc<str> {
    let mut whole = Sha256::new();
    let attachments = set
        .attachments
        .iter()
        .map(|attachment| &attachment.canonical);
    let policies = set.policies.iter().map(|policy| &policy.canonical);
    whole.update("{\"attachments\":[");
    update_hash(&mut whole, attachments);
    whole.update("],\"policies\":[");
    update_hash(&mut whole, policies);
    whole.update("]}");

    hex_text(&whole.finalize())
}

fn update_hash<'a>(whole: &mut Sha256, items: impl Iterator<Item = &'a Box<str>>) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            whole.update(",");
        }

        whole.update(item.as_bytes());
    }
}

fn hex_text(bytes: &[u8]) -> Arc<str> {
    HEXLOWER.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::{Body, Limits, load_file};
    use crate::policy::{Levels, check_documents};

    /// A list in flow style, with repetitions.
    fn list(of: &'static str) -> impl Strategy<Value = String> {
        proptest::collection::vec(of, 1..4).prop_map(|names| format!("[{}]", names.join(", ")))
    }

    fn step() -> impl Strategy<Value = String> {
        let action = || proptest::sample::select(vec!["", "next", "block"]);
        (action(), action(), action(), any::<bool>()).prop_map(|(pass, fail, error, data)| {
            let field = |key: &str, word: &str| {
                if word.is_empty() {
                    String::new()
                } else {
                    format!(", {key}: {word}")
                }
            };

            let on = [
                field("on_pass", pass),
                field("on_fail", fail),
                field("on_error", error),
            ]
            .concat();

            format!("{{guardrail: g1{on}, pass_data: {data}, modify_response_message: sorry}}")
        })
    }

    fn fields() -> impl Strategy<Value = String> {
        let some = |name: &'static str, values: BoxedStrategy<String>| {
            proptest::option::of(values)
                .prop_map(move |v| v.map(|v| format!("{name}: {v}\n")).unwrap_or_default())
        };

        let pipeline = (
            step(),
            proptest::sample::select(vec!["pre_call", "post_call"]),
        );
        (
            some("description", "text [a-z]{1,9}".boxed()),
            some("owner", "team-[a-z]{1,9}".boxed()),
            some("inherit", Just("root".to_owned()).boxed()),
            (list("g[1-3]"), proptest::option::of(list("g[4-6]")))
                .prop_map(|(add, remove)| {
                    remove
                        .map(|r| format!("add: {add}, remove: {r}"))
                        .unwrap_or(format!("add: {add}"))
                })
                .prop_map(|both| {
                    format!("guardrails: {{{}}}\n", both.replace("add: [", "add: [g1, "))
                }),
            some(
                "condition",
                list("m[1-3]")
                    .prop_map(|models| format!("{{model: {models}}}"))
                    .boxed(),
            ),
            some(
                "pipeline",
                pipeline
                    .prop_map(|(s, mode)| format!("{{mode: {mode}, steps: [{s}]}}"))
                    .boxed(),
            ),
        )
            .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_document_alone_has_the_digest_that_the_set_gives_it(fields in fields()) {
            let header = "apiVersion: refguard/v1\nkind: Policy\nname:";
            let text = format!("{header} p\n{fields}---\n{header} root\nguardrails: {{add: [g4, g5, g6]}}\n");
            let loaded = load_file("p.yaml", text.clone().into_bytes(), &Limits::DEFAULT);
            let raw = loaded.documents.iter().find_map(|document| match &document.body {
                Body::Policy(raw) if raw.name.as_str() == "p" => Some(raw.clone()),
                _ => None,
            });
            let checked = check_documents(loaded, &Levels::default());
            prop_assert!(checked.set.is_some(), "{text}{:?}", checked.findings);
            let set = checked.set.unwrap();
            let (_, policy) = set.find_policy("p").unwrap();
            let raw = raw.unwrap();
            prop_assert_eq!(raw_policy_json(&raw), policy_json(&set, policy));
            prop_assert_eq!(raw_policy_digest(&raw), policy.digest.clone());

            prop_assert_eq!(&set.digest, &digest_value(&set_json(&set)));
        }
    }

    #[test]
    fn digests_are_of_the_canonical_json() {
        let header = "---\napiVersion: refguard/v1\nkind:";
        let text = format!(
            "{header} Policy\nname: base\nguardrails: {{add: [b, a]}}\n{header} Policy\nname: child\ninherit: base\n\
             {header} PolicyAttachment\npolicy: base\nscope: \"*\"\n{header} PolicyAttachment\npolicy: child\nteams: [t]\n"
        );
        let set = check_documents(
            load_file("f.yaml", text.into_bytes(), &Limits::DEFAULT),
            &Levels::default(),
        )
        .set
        .unwrap();

        assert_eq!(set.digest, digest_value(&set_json(&set)));
        let own: Vec<Arc<str>> = set
            .policies
            .iter()
            .map(|policy| digest_value(&policy_json(&set, policy)))
            .collect();

        assert_eq!(
            set.policies
                .iter()
                .map(|policy| policy.digest.clone())
                .collect::<Vec<_>>(),
            own
        );
    }
}
