//! The JSON of a policy in answers: its name, digest and chain, and its guardrails in one case.
//! Written the first time that a request gets the policy, and copied from then on. Without it an
//! answer that lists policies takes twice the instructions.

use std::sync::{Arc, OnceLock};
use std::{array, fmt};

use rustc_hash::FxHashSet;

use super::ResolvedPolicy;
use super::json::Object;
use crate::policy::{PolicyId, PolicySet};

/// Policies a shelf. A set that was made from another one shares the shelves without a changed
/// policy: small shelves lose little by a change, large ones make a new set quickly.
const SHELF: usize = 64;

/// The words of some policies that follow each other; empty until they are needed.
type Shelf = [OnceLock<Arc<Words>>; SHELF];

/// The words of a set's policies. Sets that were made from each other share those that are the
/// same.
pub(super) struct Wording(Box<[Arc<Shelf>]>);

/// One policy's part of an answer, but for its version and its reason: those differ from request to
/// request.
#[derive(Debug)]
pub(super) struct Words {
    text: Box<[u8]>,
    version_at: usize,
    reason_at: usize,
    /// The case whose guardrails the text names.
    case: Option<u8>,
}

impl Wording {
    /// For the policies of a set. Nothing is written yet.
    pub(super) fn new(set: &PolicySet) -> Self {
        Self(
            set.policies
                .chunks(SHELF)
                .map(|_| Arc::new(empty_shelf()))
                .collect(),
        )
    }

    /// For a set that was made from this one's, in which the words of some policies differ.
    pub(super) fn with_patch(&self, differing: &FxHashSet<PolicyId>) -> Self {
        let mut shelves = self.0.clone();
        for PolicyId(id) in differing {
            let at = *id as usize;
            // The first of a shelf takes a copy of it; the words themselves stay shared.
            let shelf = shelves.get_mut(at / SHELF).map(Arc::make_mut);
            shelf
                .and_then(|shelf| shelf.get_mut(at % SHELF))
                .map(OnceLock::take);
        }

        Self(shelves)
    }

    /// The words of a policy of that set, in the case of the first who asked.
    pub(super) fn words_of(&self, policy: &ResolvedPolicy<'_>) -> Option<&Words> {
        let (case, at) = (policy.case_number()?, policy.served_id()?.0 as usize);
        let slot = self.0.get(at / SHELF)?.get(at % SHELF)?;
        let words = slot.get_or_init(|| Arc::new(Words::new(policy)));

        (words.case == Some(case)).then_some(words)
    }
}

impl fmt::Debug for Wording {
    /// How much of it was needed says nothing about an answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wording").finish_non_exhaustive()
    }
}

fn empty_shelf() -> Shelf {
    array::from_fn(|_| OnceLock::new())
}

impl Words {
    pub(super) fn new(policy: &ResolvedPolicy<'_>) -> Self {
        let mut text = Vec::new();
        let mut object = Object::begin_object(&mut text);
        object.add_text("name", policy.name());
        let version_at = object.open_text("version");
        object.add_text("digest", policy.digest());
        let reason_at = object.open_text("matched_via");
        object.add_texts("guardrails", policy.guardrail_names());
        object.add_texts("chain", policy.chain_names());
        object.end_object();

        Self {
            text: text.into(),
            version_at,
            reason_at,
            case: policy.case_number(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn before_version(&self) -> &[u8] {
        self.text.get(..self.version_at).unwrap_or_default()
    }

    pub(super) fn before_reason(&self) -> &[u8] {
        self.text
            .get(self.version_at..self.reason_at)
            .unwrap_or_default()
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
    use crate::document::{Dimension, Limits, load_file};
    use crate::policy::{Levels, Patched, PolicyId, check_documents};
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

    fn policies(engine: &Engine, model: &str, version: Option<u64>) -> Value {
        let context = Context::from_values([(Dimension::Team, "a\"b"), (Dimension::Model, model)]);
        let request = Request {
            context,
            policies: Vec::new(),
        };

        let resolution = engine.resolve(&request);
        let version = |_: PolicyId, _: &ResolvedPolicy<'_>| version;
        let origin = Origin {
            set: "test",
            commit: None,
            promotion: None,
        };

        let answer = Answer {
            origin,
            resolution: &resolution,
            version: &version,
            fields: Fields::ALL,
            explain: None,
        };

        let written: Value = serde_json::from_slice(&answer.to_json()).unwrap();
        let told = |policy: &ResolvedPolicy<'_>| {
            json!({
                "name": policy.name(), "version": policy.version_number(&version), "digest": policy.digest(),
                "matched_via": policy.matched_via().map(|reason| reason.to_string()),
                "guardrails": policy.guardrail_names().collect::<Vec<_>>(), "chain": policy.chain_names().collect::<Vec<_>>(),
            })
        };

        let told: Vec<Value> = resolution.policies.iter().map(told).collect();
        assert_eq!(written["policies"], json!(told));
        written["policies"].clone()
    }

    #[test]
    fn words_that_were_kept_are_those_that_are_told_in_every_case() {
        let loaded = load_file("set.yaml", SET.as_bytes().to_vec(), &Limits::DEFAULT);
        let engine = Engine::new(Arc::new(
            check_documents(loaded, &Levels::default()).set.unwrap(),
        ));
        let mut seen = Vec::new();
        // Each model twice: the second time what was kept of the first request is used, or is of
        // another case.
        for (model, version) in [
            ("gpt-4", None),
            ("o1", Some(1)),
            ("gpt-4", Some(20)),
            ("o1", None),
        ] {
            seen.push(policies(&engine, model, version));
        }

        let child = |n: usize| {
            seen[n]
                .as_array()
                .unwrap()
                .iter()
                .find(|p| p["name"] == "child")
                .unwrap()
                .clone()
        };

        assert_eq!(child(0)["guardrails"], json!(["pii", "say \"no\""]));
        assert_eq!(child(1)["guardrails"], json!(["log", "say \"no\""]));
        assert_eq!(child(2)["version"], 20);

        assert_eq!(child(2)["matched_via"], "team:a\"b");
    }

    /// So many policies that their words lie on three shelves; the last descends from the first.
    fn many(first_gives: &str) -> PolicySet {
        let policy = |n: usize| {
            let (inherit, gives) = match n {
                0 => ("", first_gives),
                129 => ("inherit: p000\n", "own"),
                _ => ("", "log"),
            };

            format!(
                "apiVersion: refguard/v1\nkind: Policy\nname: p{n:03}\n\
                 {inherit}guardrails: {{add: [{gives}]}}\n---\n\
                 apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p{n:03}\nscope: '*'\n\
                 ---\n"
            )
        };

        let text: String = (0..130).map(policy).collect();
        check_documents(
            load_file("set.yaml", text.into_bytes(), &Limits::DEFAULT),
            &Levels::default(),
        )
        .set
        .unwrap()
    }

    #[test]
    fn words_outlive_a_set_except_of_what_changed_and_of_what_descends_from_it() {
        let engine = Engine::new(Arc::new(many("log")));
        policies(&engine, "gpt-4", None);
        let set = many("own");
        let (changed, _) = set.find_policy("p000").unwrap();
        let patched = engine.with_patch(Patched {
            set,
            policies: vec![changed],
            attachments: false,
            renumbered: false,
        });
        let written = policies(&patched, "gpt-4", None);
        assert_eq!(
            written,
            policies(&Engine::new(Arc::new(many("own"))), "gpt-4", None)
        );
        let of = |n: usize| written[n]["guardrails"].clone();
        assert_eq!(
            [of(0), of(1), of(129)],
            [json!(["own"]), json!(["log"]), json!(["own"])]
        );
        let request = Request::default();
        let kept = |engine: &Engine, at: usize| {
            Arc::as_ptr(
                engine.resolve(&request).wording.0[at / SHELF][at % SHELF]
                    .get()
                    .unwrap(),
            )
        };

        for at in 0..130 {
            assert_eq!(
                kept(&engine, at) == kept(&patched, at),
                ![0, 129].contains(&at),
                "{at}"
            );
        }
    }
}
