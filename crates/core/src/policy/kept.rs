//! A checked set as data that outlives the process: written by serde, and read back only where it
//! is coherent.
//!
//! Whoever keeps it answers for its being what was written (a checksum) and for its being of this
//! program's version: the rules are not asked again. What is made sure here is that no id leads out
//! of its list, so that a set that was read is as good to work with as one that was built.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::condition::ModelPattern;
use super::{
    Attachment, Catalog, GuardrailId, Invariant, Levels, Policy, PolicyId, PolicySet, Settings,
    TestSuite, rules,
};
use crate::document::Level;

/// The fields of a set as they are read, in the order in which [`PolicySet`] is written.
#[derive(serde::Deserialize)]
pub(super) struct UncheckedSet {
    settings: Settings,
    catalog: Catalog,
    policies: Vec<Arc<Policy>>,
    attachments: Vec<Arc<Attachment>>,
    tests: Vec<TestSuite>,
    invariants: Vec<Invariant>,
    guardrails: Vec<Arc<str>>,
    conditions: Vec<ModelPattern>,
    digest: Arc<str>,
}

/// A set whose parts do not fit together.
#[derive(Debug)]
pub(super) struct Incoherent;

impl fmt::Display for Incoherent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parts of the set do not fit together")
    }
}

impl TryFrom<UncheckedSet> for PolicySet {
    type Error = Incoherent;

    fn try_from(unchecked: UncheckedSet) -> Result<Self, Incoherent> {
        if !unchecked.is_coherent() {
            return Err(Incoherent);
        }

        let names = unchecked.policies.iter().map(|policy| policy.name.clone());
        let by_name: FxHashMap<Arc<str>, PolicyId> = names.zip((0..).map(PolicyId)).collect();
        Ok(Self {
            settings: unchecked.settings,
            catalog: unchecked.catalog,
            policies: unchecked.policies,
            attachments: unchecked.attachments,
            tests: unchecked.tests,
            invariants: unchecked.invariants,
            guardrails: unchecked.guardrails,
            conditions: unchecked.conditions,
            by_name,
            digest: unchecked.digest,
        })
    }
}

impl UncheckedSet {
    fn is_coherent(&self) -> bool {
        self.policies.is_sorted_by(|a, b| a.name < b.name)
            && self.guardrails.is_sorted_by(|a, b| a < b)
            && self.conditions.is_sorted_by(|a, b| a.text() < b.text())
            && self
                .attachments
                .is_sorted_by_key(|attachment| attachment.evaluation_order())
            && self.policies.iter().all(|policy| self.holds_ids_of(policy))
            && self
                .attachments
                .iter()
                .all(|attachment| self.has_policy(attachment.policy))
    }

    fn holds_ids_of(&self, policy: &Policy) -> bool {
        let steps = policy.pipeline.iter().flat_map(|pipeline| &pipeline.steps);
        let mut guardrails = policy
            .add
            .iter()
            .chain(&policy.remove)
            .copied()
            .chain(steps.map(|s| s.guardrail));
        let mut conditions = policy.condition.iter().flatten();

        guardrails.all(|GuardrailId(id)| (id as usize) < self.guardrails.len())
            && conditions.all(|id| (id.0 as usize) < self.conditions.len())
            && policy.parent.is_none_or(|parent| self.has_policy(parent))
            && policy.chain.iter().all(|member| self.has_policy(*member))
    }

    fn has_policy(&self, PolicyId(id): PolicyId) -> bool {
        (id as usize) < self.policies.len()
    }
}

/// A pattern is kept as its text.
impl Serialize for ModelPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for ModelPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// Levels are kept by the names of their rules.
impl Serialize for Levels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_name().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = std::collections::BTreeMap::<String, Level>::deserialize(deserializer)?;
        let (known, mut levels) = (rules::all_rules(), Self::default());
        for (name, level) in kept {
            let unknown = || D::Error::custom(format!("no warning is named `{name}`"));
            levels
                .set_level(&known, &name, level)
                .map_err(|_| unknown())?;
        }

        Ok(levels)
    }
}

/// A context is kept as a list of values for each dimension.
pub(super) mod context_as_lists {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::document::PerDimension;
    use crate::policy::Context;

    pub fn serialize<S: Serializer>(context: &Context, serializer: S) -> Result<S::Ok, S::Error> {
        let lists = PerDimension::from_fn(|dimension| context.values(dimension).to_vec());
        lists.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Context, D::Error> {
        let lists = PerDimension::<Vec<String>>::deserialize(deserializer)?;
        let values = lists.iter().flat_map(|(dimension, list)| {
            list.iter().map(move |value| (dimension, value.as_str()))
        });
        Ok(Context::from_values(values))
    }
}
