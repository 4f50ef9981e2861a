//! Canonical JSON and digests: what a policy and a set *are*, however they are written.
//!
//! Object keys are sorted (as `serde_json` keeps them), lists keep the order that has meaning and sort
//! the ones that have none, defaults are left out. Comments, files, formatting and key order leave no trace.

use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Attachment, Pattern, Pipeline, Policy, PolicySet, Step};

/// A policy as canonical JSON; also what `compare` and `diff` go through field by field.
pub fn policy_json(set: &PolicySet, policy: &Policy) -> Value {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    };
    let names = |ids: &[super::GuardrailId]| {
        let mut names: Vec<&str> = ids.iter().map(|id| set.guardrail(*id)).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    put("name", Some(json!(policy.name)));
    put("description", policy.description.as_ref().map(|d| json!(d)));
    put("owner", policy.owner.as_ref().map(|o| json!(o)));
    put("inherit", policy.parent.and_then(|id| set.policy(id)).map(|parent| json!(parent.name)));
    let mut guardrails = Map::new();
    for (key, ids) in [("add", &policy.add), ("remove", &policy.remove)] {
        if !ids.is_empty() {
            guardrails.insert(key.to_owned(), json!(names(ids)));
        }
    }
    put("guardrails", (!guardrails.is_empty()).then_some(Value::Object(guardrails)));
    put(
        "condition",
        policy.condition.as_ref().map(|condition| {
            let mut texts: Vec<&str> =
                condition.iter().filter_map(|id| set.conditions.get(id.0 as usize)).map(|p| p.text()).collect();
            texts.sort_unstable();
            texts.dedup();
            json!({ "model": texts })
        }),
    );
    put("pipeline", policy.pipeline.as_ref().map(|pipeline| pipeline_json(set, pipeline)));
    Value::Object(fields)
}

fn pipeline_json(set: &PolicySet, pipeline: &Pipeline) -> Value {
    let steps: Vec<Value> = pipeline.steps.iter().map(|step| step_json(set, step)).collect();
    json!({ "mode": pipeline.mode, "steps": steps })
}

fn step_json(set: &PolicySet, step: &Step) -> Value {
    let mut fields = Map::new();
    fields.insert("guardrail".to_owned(), json!(set.guardrail(step.guardrail)));
    fields.insert("on_pass".to_owned(), json!(step.on_pass));
    fields.insert("on_fail".to_owned(), json!(step.on_fail));
    // Absent means "as on_fail": the same step, however it is written.
    fields.insert("on_error".to_owned(), json!(step.on_error.unwrap_or(step.on_fail)));
    fields.insert("pass_data".to_owned(), json!(step.pass_data));
    if let Some(message) = &step.modify_response_message {
        fields.insert("modify_response_message".to_owned(), json!(message));
    }
    Value::Object(fields)
}

/// An attachment as canonical JSON.
pub fn attachment_json(set: &PolicySet, attachment: &Attachment) -> Value {
    let mut fields = Map::new();
    let policy = set.policy(attachment.policy).map_or("", |policy| &policy.name);
    fields.insert("policy".to_owned(), json!(policy));
    if attachment.everywhere {
        fields.insert("scope".to_owned(), json!("*"));
    }
    let targets = &attachment.targets;
    for (key, patterns) in
        [("teams", &targets.teams), ("keys", &targets.keys), ("models", &targets.models), ("tags", &targets.tags)]
    {
        if let Some(patterns) = patterns {
            fields.insert(key.to_owned(), patterns_json(patterns));
        }
    }
    if let Some(priority) = attachment.priority {
        fields.insert("priority".to_owned(), json!(priority));
    }
    if attachment.default {
        fields.insert("default".to_owned(), json!(true));
    }
    Value::Object(fields)
}

fn patterns_json(patterns: &[Pattern]) -> Value {
    let mut texts: Vec<String> = patterns.iter().map(Pattern::to_string).collect();
    texts.sort_unstable();
    texts.dedup();
    json!(texts)
}

/// The set as canonical JSON: policies by name, attachments in the order of evaluation.
pub fn set_json(set: &PolicySet) -> Value {
    let policies: Vec<Value> = set.policies.iter().map(|policy| policy_json(set, policy)).collect();
    let attachments: Vec<Value> = set.attachments.iter().map(|a| attachment_json(set, a)).collect();
    json!({ "policies": policies, "attachments": attachments })
}

/// The digest of each policy, and of the set: SHA-256 of their canonical JSON, lower-case hex.
///
/// The JSON of the set is hashed piece by piece; of a large set it is never held whole.
pub(super) fn digests(set: &PolicySet) -> (Vec<Arc<str>>, Arc<str>) {
    let policies: Vec<String> = set.policies.par_iter().map(|policy| policy_json(set, policy).to_string()).collect();
    let attachments: Vec<String> = set.attachments.par_iter().map(|a| attachment_json(set, a).to_string()).collect();
    let mut whole = Sha256::new();
    for (key, items) in [("{\"attachments\":[", &attachments), ("],\"policies\":[", &policies)] {
        whole.update(key);
        for (i, item) in items.iter().enumerate() {
            whole.update(if i > 0 { "," } else { "" });
            whole.update(item);
        }
    }
    whole.update("]}");
    let own = policies.par_iter().map(|text| hex(&Sha256::digest(text.as_bytes()))).collect();
    (own, hex(&whole.finalize()))
}

fn hex(bytes: &[u8]) -> Arc<str> {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Limits, load_file};
    use crate::policy::{Levels, check};

    #[test]
    fn digests_are_of_the_canonical_json() {
        let header = "---\napiVersion: refguard/v1\nkind:";
        let text = format!(
            "{header} Policy\nname: base\nguardrails: {{add: [b, a]}}\n{header} Policy\nname: child\ninherit: base\n\
             {header} PolicyAttachment\npolicy: base\nscope: \"*\"\n{header} PolicyAttachment\npolicy: child\nteams: [t]\n"
        );
        let set = check(load_file("f.yaml", text.into_bytes(), &Limits::DEFAULT), &Levels::default()).set.unwrap();
        let of = |value: Value| hex(&Sha256::digest(value.to_string().as_bytes()));
        assert_eq!(set.digest, of(set_json(&set)));
        let own: Vec<Arc<str>> = set.policies.iter().map(|policy| of(policy_json(&set, policy))).collect();
        assert_eq!(set.policies.iter().map(|policy| policy.digest.clone()).collect::<Vec<_>>(), own);
        assert_eq!(&*hex(&[0x00, 0x0f, 0xa9]), "000fa9");
    }
}
