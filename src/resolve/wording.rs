//! What answers say of a policy whoever asks: its name, its digest, its chain, and mostly its guardrails. Written
//! as JSON the first time somebody gets the policy, and copied from then on.

use std::sync::OnceLock;

use super::ResolvedPolicy;
use super::json::Object;
use crate::policy::PolicySet;

/// The words of a set's policies, as far as they were needed.
#[derive(Debug)]
pub struct Wording(Box<[OnceLock<Words>]>);

/// One policy's part of an answer, but for its version and its reason: those differ from request to request.
#[derive(Debug)]
pub(super) struct Words {
    text: Box<[u8]>,
    version_at: usize,
    reason_at: usize,
    /// The case whose guardrails the text names.
    case: Option<u8>,
}

impl Wording {
    /// For the policies of a set; nothing is written yet.
    pub fn new(set: &PolicySet) -> Self {
        Self(set.policies.iter().map(|_| OnceLock::new()).collect())
    }

    /// The words of a policy of that set, in the case of the first who asked.
    pub(super) fn of(&self, policy: &ResolvedPolicy<'_>) -> Option<&Words> {
        let case = policy.case()?;
        let words = self.0.get(policy.served_id()?.0 as usize)?.get_or_init(|| Words::new(policy));
        (words.case == Some(case)).then_some(words)
    }
}

impl Words {
    pub(super) fn new(policy: &ResolvedPolicy<'_>) -> Self {
        let mut text = Vec::new();
        let mut object = Object::begin(&mut text);
        object.text("name", policy.name());
        let version_at = object.open("version");
        object.text("digest", policy.digest());
        let reason_at = object.open("matched_via");
        object.texts("guardrails", policy.guardrails());
        object.texts("chain", policy.chain());
        object.end();
        Self { text: text.into(), version_at, reason_at, case: policy.case() }
    }

    pub(super) fn before_version(&self) -> &[u8] {
        self.text.get(..self.version_at).unwrap_or_default()
    }

    pub(super) fn before_reason(&self) -> &[u8] {
        self.text.get(self.version_at..self.reason_at).unwrap_or_default()
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.text.get(self.reason_at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::document::{Limits, load_file};
    use crate::policy::{Levels, PolicyId, check};
    use crate::resolve::{Answer, Context, Engine, Fields, Origin, Request};

    const SET: &str = "\
apiVersion: refguard/v1
kind: Policy
name: base \"quoted\"
guardrails: {add: [log, 'say \"no\"']}
---
apiVersion: refguard/v1
kind: Policy
name: child
inherit: base \"quoted\"
guardrails: {add: [pii], remove: [log]}
condition: {model: gpt-.*}
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: child
teams: ['*']
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: base \"quoted\"
scope: '*'
";

    fn policies(engine: &Engine, wording: &Wording, model: &str, version: Option<u64>) -> Value {
        let context = Context { team: Some("a\"b".to_owned()), model: Some(model.to_owned()), ..Context::default() };
        let request = Request { context, policies: Vec::new() };
        let resolution = engine.resolve(&request);
        let version = |_: PolicyId, _: &ResolvedPolicy<'_>| version;
        let origin = Origin { set: "test", commit: None, promotion: None };
        let answer =
            Answer { origin, resolution: &resolution, version: &version, wording, fields: Fields::ALL, explain: None };
        let written: Value = serde_json::from_slice(&answer.to_json()).unwrap();
        let told = |policy: &ResolvedPolicy<'_>| {
            json!({
                "name": policy.name(), "version": policy.version(&version), "digest": policy.digest(),
                "matched_via": policy.matched_via().map(|reason| reason.to_string()),
                "guardrails": policy.guardrails().collect::<Vec<_>>(), "chain": policy.chain().collect::<Vec<_>>(),
            })
        };
        let told: Vec<Value> = resolution.policies.iter().map(told).collect();
        assert_eq!(written["policies"], json!(told));
        written["policies"].clone()
    }

    #[test]
    fn words_that_were_kept_are_those_that_are_told_in_every_case() {
        let loaded = load_file("set.yaml", SET.as_bytes().to_vec(), &Limits::DEFAULT);
        let engine = Engine::new(Arc::new(check(loaded, &Levels::default()).set.unwrap()));
        let wording = Wording::new(engine.set());
        let mut seen = Vec::new();
        // Each model twice: the second time what was kept of the first request is used, or is of another case.
        for (model, version) in [("gpt-4", None), ("o1", Some(1)), ("gpt-4", Some(20)), ("o1", None)] {
            seen.push(policies(&engine, &wording, model, version));
        }
        let child = |n: usize| seen[n].as_array().unwrap().iter().find(|p| p["name"] == "child").unwrap().clone();
        assert_eq!(child(0)["guardrails"], json!(["pii", "say \"no\""]));
        assert_eq!(child(1)["guardrails"], json!(["log", "say \"no\""]));
        assert_eq!(child(2)["version"], 20);
        assert_eq!(child(2)["matched_via"], "team:a\"b");
    }
}
