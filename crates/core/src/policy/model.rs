//! The types that the engine answers from. Built only by [`super::check_documents`]; immutable.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::condition::ModelPattern;
use super::kept::UncheckedSet;
use super::{Context, Freeze, KnownGuardrail, Levels, Pattern};
use crate::document::{
    Action, Dimension, FinalAction, GateLevel, Outcome, PerDimension, PipelineMode, RawStep,
};

/// Index of a policy in its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyId(pub u32);

/// Index of a guardrail in its set; in the order of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuardrailId(pub u32);

/// Index of a distinct condition pattern in its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConditionId(pub u32);

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Path relative to the root, with `/`.
    pub file: Arc<str>,
    /// Line of the document's first field, from 1.
    pub line: u32,
}

/// Which guardrails.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Policy {
    /// Its identity.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// Who answers for it.
    pub owner: Option<Arc<str>>,
    /// The parent.
    pub parent: Option<PolicyId>,
    /// Itself and its ancestors, root first.
    pub chain: Arc<[PolicyId]>,
    /// Guardrails it adds, in its own order.
    pub add: Vec<GuardrailId>,
    /// Guardrails it removes, in its own order.
    pub remove: Vec<GuardrailId>,
    /// Its own condition: patterns, one of which must hold; `None`: always.
    pub condition: Option<Vec<ConditionId>>,
    /// Its own pipeline.
    pub pipeline: Option<Pipeline>,
    /// Whether keys, teams and requests may name it.
    pub requestable: bool,
    /// Where it stands.
    pub place: Place,
    /// SHA-256 of its canonical JSON, lower-case hex.
    pub digest: Arc<str>,
    /// Its canonical JSON: what digests are of, so that a set that changes in one place is not
    /// written anew.
    pub(super) canonical: Box<str>,
}

impl Policy {
    /// Its canonical JSON.
    pub fn canonical_json(&self) -> &str {
        &self.canonical
    }
}

/// Ordered execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// When it runs.
    pub mode: PipelineMode,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// One step, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The guardrail that runs.
    pub guardrail: GuardrailId,
    /// What follows a pass.
    pub on_pass: Action,
    /// What follows a fail.
    pub on_fail: Action,
    /// What follows an error; `None`: as `on_fail`.
    pub on_error: Option<Action>,
    /// Whether it hands on what it changed.
    pub pass_data: bool,
    /// The answer that `modify_response` gives.
    pub modify_response_message: Option<Arc<str>>,
}

impl Step {
    /// A step as it is written, defaults filled in.
    pub(super) fn from_raw(raw: &RawStep, guardrail: GuardrailId) -> Self {
        Self {
            guardrail,
            on_pass: raw.on_pass.map_or(Action::Allow, |a| a.value),
            on_fail: raw.on_fail.map_or(Action::Block, |a| a.value),
            on_error: raw.on_error.map(|a| a.value),
            pass_data: raw.pass_data.unwrap_or(false),
            modify_response_message: raw
                .modify_response_message
                .as_ref()
                .map(|m| m.as_str().into()),
        }
    }

    /// The action after an outcome; a guardrail that was skipped lets the pipeline go on.
    pub fn action_after(&self, outcome: Outcome) -> Action {
        match outcome {
            Outcome::Pass => self.on_pass,
            Outcome::Fail => self.on_fail,
            Outcome::Error => self.on_error.unwrap_or(self.on_fail),
            Outcome::Skip => Action::Next,
            Outcome::Unappliable => Action::Block,
        }
    }
}

/// A box of requests: the patterns of each dimension; `None`: not named, so that any value is in
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Targets(pub PerDimension<Option<Vec<Pattern>>>);

impl Targets {
    /// Whether a request lies in the box: each dimension that is named matches.
    pub fn matches_context(&self, context: &Context) -> bool {
        self.iter().all(|(dimension, patterns)| {
            patterns
                .as_deref()
                .is_none_or(|patterns| meets_values(dimension, patterns, context.values(dimension)))
        })
    }

    /// The dimensions that keep some request out, with their patterns. Of a dimension that is no
    /// set `*` matches an absent value too; of a set it asks for some value.
    pub fn narrowing_patterns(&self) -> impl Iterator<Item = (Dimension, &[Pattern])> {
        let named = self
            .iter()
            .filter_map(|(of, patterns)| Some((of, patterns.as_deref()?)));
        named.filter(|(of, patterns)| of.is_set() || !patterns.iter().any(Pattern::is_any))
    }
}

impl std::ops::Deref for Targets {
    type Target = PerDimension<Option<Vec<Pattern>>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Whether the values of a request match one dimension of a box: any of them any of the patterns.
/// An absent value matches `*`, but for a set: its patterns ask for a value.
pub fn meets_values(dimension: Dimension, patterns: &[Pattern], values: &[String]) -> bool {
    match values {
        [] => !dimension.is_set() && patterns.iter().any(Pattern::is_any),
        values => values.iter().any(|value| is_asked_for(patterns, value)),
    }
}

/// Whether one of the patterns matches a value.
pub fn is_asked_for(patterns: &[Pattern], value: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(Some(value)))
}

/// Which requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attachment {
    /// The policy.
    pub policy: PolicyId,
    /// `scope: "*"`: no dimension is looked at.
    pub everywhere: bool,
    /// The dimensions, where `everywhere` is false.
    pub targets: Targets,
    /// As given.
    pub priority: Option<i32>,
    /// Only where no other matches.
    pub default: bool,
    /// The instant from which on it matches nothing.
    pub expires: Option<Timestamp>,
    /// Why it is there.
    pub reason: Option<Arc<str>>,
    /// Where it stands.
    pub place: Place,
    /// Its canonical JSON.
    pub(super) canonical: Box<str>,
}

/// Whether one attachment ends before another one does, by when each expires; `None`: never.
pub fn ends_earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (one, other) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(one), Some(other)) => one < other,
    }
}

impl Attachment {
    /// Its canonical JSON.
    pub fn canonical_json(&self) -> &str {
        &self.canonical
    }

    /// Whether it matches nothing any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The place in the order of evaluation, lower first: has a priority, priority, then
    /// specificity: the highest dimension (global 0, teams 1, keys 2, tags 3, models 4) and how
    /// many are named.
    pub fn evaluation_order(&self) -> (bool, i32, u8, u8) {
        let (mut highest, mut count) = (0, 0);
        for (rank, patterns) in (1u8..).zip(self.targets.values()) {
            if patterns.is_some() && !self.everywhere {
                (highest, count) = (rank, count + 1);
            }
        }

        (
            self.priority.is_none(),
            self.priority.unwrap_or(0),
            highest,
            count,
        )
    }
}

/// What exists. A list that no catalog gives is `None`: not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Guardrails, by name, each once.
    pub guardrails: Option<Vec<KnownGuardrail>>,
    /// Values of each dimension, perhaps patterns.
    pub values: PerDimension<Option<Vec<Arc<str>>>>,
}

impl Catalog {
    /// The names of the guardrails that it lists, sorted.
    pub fn guardrail_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.guardrails.iter().flatten().map(|known| &known.name)
    }

    /// What is known of a guardrail, if it is listed.
    pub fn guardrail(&self, name: &str) -> Option<&KnownGuardrail> {
        let list = self.guardrails.as_deref()?;
        let at = list
            .binary_search_by(|known| (*known.name).cmp(name))
            .ok()?;
        list.get(at)
    }
}

/// Settings, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The branch whose first-parent history makes versions.
    pub publish_branch: String,
    /// Named refs that promotions move, `production` first by default.
    pub environments: Vec<Environment>,
    /// Globs of the files to read; `None`: every file with a YAML name.
    pub include: Option<Vec<String>>,
    /// Globs of files to leave out.
    pub exclude: Vec<String>,
    /// Levels of warnings.
    pub levels: Levels,
    /// Where the Repository document stands; `None` where there is none.
    pub place: Option<Place>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            publish_branch: "main".to_owned(),
            environments: vec![Environment::named("production")],
            include: None,
            exclude: Vec::new(),
            levels: Levels::default(),
            place: None,
        }
    }
}

/// A named ref that promotions move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Its full ref.
    pub reference: String,
    /// Where its sets come from: a branch or another environment; `None`: the publish branch.
    pub from: Option<String>,
    /// The gate for a loss of protection.
    pub weaken: GateLevel,
    /// The gate for a loss of what keeps a set honest: invariants, tests, settings.
    pub safeguards: GateLevel,
    /// Who may pass a gate, by e-mail address.
    pub allow: Vec<String>,
    /// When it takes no promotion.
    pub freeze: Vec<Freeze>,
    /// How long a set must have been in the environment that it comes from.
    pub soak: Option<SignedDuration>,
}

impl Environment {
    /// An environment with every default.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            reference: format!("refs/heads/{name}"),
            from: None,
            weaken: GateLevel::Warn,
            safeguards: GateLevel::Warn,
            allow: Vec::new(),
            freeze: Vec::new(),
            soak: None,
        }
    }
}

/// A PolicyTest document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestSuite {
    /// Its name.
    pub name: Arc<str>,
    /// Its cases.
    pub cases: Vec<TestCase>,
    /// Where it stands.
    pub place: Place,
}

/// One case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestCase {
    /// Its name.
    pub name: String,
    /// The request.
    #[serde(with = "super::kept::context_as_lists")]
    pub context: Context,
    /// Policies asked for by name.
    pub policies: Vec<String>,
    /// What guardrails return each time that they run, the last one from then on; others pass.
    pub outcomes: Vec<(String, Vec<Outcome>)>,
    /// What must come out.
    pub expect: Expect,
    /// Where it stands.
    pub place: Place,
}

/// What a case must get; what is `None` is not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// Exactly these guardrails.
    pub guardrails: Option<Vec<String>>,
    /// At least these.
    pub includes: Option<Vec<String>>,
    /// None of these.
    pub excludes: Option<Vec<String>>,
    /// Exactly these policies, in order.
    pub policies: Option<Vec<String>>,
    /// What happens in the end.
    pub action: Option<FinalAction>,
}

/// An Invariant document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invariant {
    /// Its name.
    pub name: Arc<str>,
    /// The requests it speaks of.
    pub applies: Targets,
    /// Requests it does not speak of; `None`: no exception.
    pub except: Option<Targets>,
    /// All of these.
    pub require: Vec<Arc<str>>,
    /// At least one of these; empty: not asked.
    pub any_of: Vec<Arc<str>>,
    /// None of these.
    pub forbid: Vec<Arc<str>>,
    /// Where it stands.
    pub place: Place,
}

/// All documents of one tree, parsed and checked together. A set that exists is valid. The default
/// is the empty set: what an environment holds before its first promotion.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "UncheckedSet")]
pub struct PolicySet {
    /// Settings.
    pub settings: Settings,
    /// What exists.
    pub catalog: Catalog,
    /// By name.
    pub policies: Vec<Arc<Policy>>,
    /// In the order of evaluation: [`Attachment::evaluation_order`], then file and place.
    pub attachments: Vec<Arc<Attachment>>,
    /// In the order of files and places.
    pub tests: Vec<TestSuite>,
    /// In the order of files and places.
    pub invariants: Vec<Invariant>,
    /// Every guardrail that a policy names, in the order of the names; [`GuardrailId`] is the
    /// index.
    pub guardrails: Vec<Arc<str>>,
    /// Distinct condition patterns; [`ConditionId`] is the index.
    pub conditions: Vec<ModelPattern>,
    /// Policies by name.
    #[serde(skip)]
    pub by_name: FxHashMap<Arc<str>, PolicyId>,
    /// SHA-256 of the canonical JSON of the set, lower-case hex.
    pub digest: Arc<str>,
}

impl Default for PolicySet {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            catalog: Catalog::default(),
            policies: Vec::new(),
            attachments: Vec::new(),
            tests: Vec::new(),
            invariants: Vec::new(),
            guardrails: Vec::new(),
            conditions: Vec::new(),
            by_name: FxHashMap::default(),
            digest: "".into(),
        }
    }
}

impl PolicySet {
    /// The set for those who only ask what requests get: without canonical JSON and digests of its
    /// documents, a quarter of its memory. It can neither be patched nor sent on.
    pub fn into_answers(mut self) -> Self {
        let none: Arc<str> = Arc::default();
        for policy in &mut self.policies {
            let policy = Arc::make_mut(policy);
            (policy.canonical, policy.digest) = (Box::default(), none.clone());
        }

        for attachment in &mut self.attachments {
            Arc::make_mut(attachment).canonical = Box::default();
        }

        self
    }

    /// The set without the attachments that are expired at an instant, and those. Its digest stays:
    /// that is of the documents.
    pub fn split_expired(&self, now: Timestamp) -> (Self, Vec<Arc<Attachment>>) {
        let (expired, attachments) = self
            .attachments
            .iter()
            .cloned()
            .partition(|attachment| attachment.is_expired(now));

        (
            Self {
                attachments,
                ..self.clone()
            },
            expired,
        )
    }

    /// Every instant after another one at which an attachment expires, each once, in order.
    pub fn expiries_after(&self, now: Timestamp) -> Vec<Timestamp> {
        let all = self
            .attachments
            .iter()
            .filter_map(|attachment| attachment.expires);
        let mut instants: Vec<Timestamp> = all.filter(|instant| *instant > now).collect();
        instants.sort_unstable();
        instants.dedup();

        instants
    }

    /// Whether no request can get anything from it: it has no policy or no attachment.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() || self.attachments.is_empty()
    }

    /// A policy by its index. Indexes come from this set; a wrong one is a bug, and gives `None`.
    pub fn policy(&self, id: PolicyId) -> Option<&Policy> {
        self.policies.get(id.0 as usize).map(|policy| &**policy)
    }

    /// A policy by its name.
    pub fn find_policy(&self, name: &str) -> Option<(PolicyId, &Policy)> {
        let id = *self.by_name.get(name)?;
        Some((id, self.policy(id)?))
    }

    /// A guardrail's name.
    pub fn guardrail(&self, id: GuardrailId) -> &str {
        self.guardrails.get(id.0 as usize).map_or("", |name| name)
    }

    /// Compiles all conditions, so that no request that is answered has to: thousands of expressions
    /// take a tenth of a second.
    pub fn compile_conditions(&self) {
        self.conditions.par_iter().for_each(ModelPattern::compile);
    }

    /// Whether one of the patterns of a condition holds for a model. An absent model holds for
    /// none.
    pub fn condition_holds(&self, condition: &[ConditionId], model: Option<&str>) -> bool {
        let Some(model) = model else { return false };
        condition.iter().any(|id| {
            self.conditions
                .get(id.0 as usize)
                .is_some_and(|pattern| pattern.matches(model))
        })
    }

    /// A policy's guardrails, sorted: what its chain gives if those members hold for which `holds`
    /// is true.
    pub fn effective_guardrails(
        &self,
        policy: &Policy,
        holds: impl FnMut(&Policy) -> bool,
    ) -> Vec<GuardrailId> {
        let mut held = self.walk_chain(policy, holds, |_, _| {});
        held.sort_unstable();
        held.dedup();

        held
    }

    /// Walks a policy's chain from its root ancestor down, past the members that do not hold: each
    /// adds, then removes. Calls `removed` with each member and guardrail that it took away, and
    /// gives what is left.
    pub fn walk_chain<'a>(
        &'a self,
        policy: &'a Policy,
        mut holds: impl FnMut(&'a Policy) -> bool,
        mut removed: impl FnMut(&'a Policy, GuardrailId),
    ) -> Vec<GuardrailId> {
        let mut held = Vec::new();
        let members = policy.chain.iter().filter_map(|id| self.policy(*id));
        for member in members {
            if holds(member) {
                let is_removed = |guardrail: &GuardrailId| member.remove.contains(guardrail);
                add_then_remove(
                    &mut held,
                    member.add.iter().copied(),
                    is_removed,
                    |guardrail| {
                        removed(member, guardrail);
                    },
                );
            }
        }

        held
    }
}

/// One member's part in what a chain gives: what it adds joins what is held, then what it removes
/// leaves, its own additions too. Calls `removed` with each that leaves.
pub fn add_then_remove<G>(
    held: &mut Vec<G>,
    added: impl IntoIterator<Item = G>,
    is_removed: impl Fn(&G) -> bool,
    removed: impl FnMut(G),
) {
    held.extend(added);
    held.extract_if(.., |guardrail| is_removed(guardrail))
        .for_each(removed);
}
