//! The engine: section 3 of the design, step by step.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::index::{Entry, Index, Rank};
use super::{Context, Fields, Pinned, Request, Requested, candidates};
use crate::policy::{Attachment, ConditionId, GuardrailId, Patched, Pipeline, Policy, PolicyId, PolicySet};

/// A set with what it takes to answer from it quickly. Immutable; shared.
#[derive(Debug)]
pub struct Engine {
    set: Arc<PolicySet>,
    index: Arc<Index>,
    /// Of each policy, what its chain comes to.
    lines: Vec<Line>,
}

/// What a policy's chain comes to, as far as that is the same for every model.
#[derive(Debug, Clone)]
struct Line {
    /// A member without a condition makes it apply to every model.
    applies: bool,
    /// What it gives; `None` where a member has a condition: then it is worked out a request.
    guardrails: Option<Arc<[GuardrailId]>>,
}

/// An attachment that may match.
type Candidate = (Rank, Entry);

/// What a request gets.
#[derive(Debug)]
pub struct Resolution<'a> {
    /// The policies, attached ones first, in the order of evaluation.
    pub policies: Vec<ResolvedPolicy<'a>>,
    /// The union of their guardrails, sorted.
    pub guardrails: Vec<&'a str>,
    /// The pipelines, in the order of the policies.
    pub pipelines: Vec<ResolvedPipeline<'a>>,
    /// The guardrails that a pipeline runs, sorted.
    pub pipeline_guardrails: Vec<&'a str>,
    /// Names that the request asked for and nobody knows.
    pub unknown: Vec<String>,
}

/// One policy of an answer.
#[derive(Debug)]
pub struct ResolvedPolicy<'a> {
    /// Which policy.
    pub subject: Subject<'a>,
    /// Its place in the set; `None` of one beside it.
    pub id: Option<PolicyId>,
    /// Why; `None` where only the request named it.
    pub matched_via: Option<String>,
    /// Its guardrails for this model, sorted.
    pub guardrails: Vec<&'a str>,
    /// Itself and its ancestors, root first.
    pub chain: Vec<&'a str>,
}

/// A policy of the set, or one version beside it.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// Of the set.
    Served(&'a Policy),
    /// Beside it.
    Pinned(&'a Pinned),
}

impl<'a> Subject<'a> {
    /// The name as it is listed: `NAME`, or `NAME@N` of a pinned one.
    pub fn label(self) -> &'a str {
        match self {
            Self::Served(policy) => &policy.name,
            Self::Pinned(pinned) => &pinned.label,
        }
    }

    /// Its digest.
    pub fn digest(self) -> &'a str {
        match self {
            Self::Served(policy) => &policy.digest,
            Self::Pinned(pinned) => &pinned.digest,
        }
    }
}

/// One pipeline of an answer.
#[derive(Debug, Clone, Copy)]
pub struct ResolvedPipeline<'a> {
    /// The policy it belongs to, as listed.
    pub policy: &'a str,
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The set whose guardrails its steps speak of.
    pub set: &'a PolicySet,
}

/// Conditions already looked at for one model: each distinct pattern is run once a request.
struct Conditions<'a> {
    set: &'a PolicySet,
    model: Option<&'a str>,
    seen: Vec<(ConditionId, bool)>,
}

impl Conditions<'_> {
    fn holds(&mut self, policy: &Policy) -> bool {
        let Some(condition) = &policy.condition else { return true };
        let Some(model) = self.model else { return false };
        condition.iter().any(|id| {
            if let Some((_, held)) = self.seen.iter().find(|(seen, _)| seen == id) {
                return *held;
            }
            let held = self.set.conditions.get(id.0 as usize).is_some_and(|pattern| pattern.matches(model));
            self.seen.push((*id, held));
            held
        })
    }
}

impl Engine {
    /// Indexes a set.
    pub fn new(set: Arc<PolicySet>) -> Self {
        let index = Arc::new(Index::new(&set.attachments));
        let lines = set.policies.iter().map(|policy| Line::new(&set, policy)).collect();
        Self { set, index, lines }
    }

    /// The same for a set that was made from this one's: what did not change is shared.
    pub fn patched(&self, patched: Patched) -> Self {
        let Patched { set, policies: changed, attachments } = patched;
        let index = if attachments { Arc::new(Index::new(&set.attachments)) } else { self.index.clone() };
        let changed: FxHashSet<PolicyId> = changed.into_iter().collect();
        let mut lines = self.lines.clone();
        for (line, policy) in lines.iter_mut().zip(&set.policies) {
            if policy.chain.iter().any(|id| changed.contains(id)) {
                *line = Line::new(&set, policy);
            }
        }
        Self { set: Arc::new(set), index, lines }
    }

    /// The set it answers from.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// What a request gets.
    pub fn resolve<'a>(&'a self, request: &'a Request) -> Resolution<'a> {
        self.resolve_fields(request, Fields::ALL)
    }

    /// What a request gets, for somebody who wants only some fields of the answer: where `policies` is not among
    /// them, they are named, without what each of them gives and why.
    pub fn resolve_fields<'a>(&'a self, request: &'a Request, fields: Fields) -> Resolution<'a> {
        let found = self.candidates(&request.context);
        self.answer(&found, request, fields)
    }

    /// The same by looking at every attachment: what the index is held against in tests.
    pub fn resolve_by_scan<'a>(&'a self, request: &'a Request) -> Resolution<'a> {
        let every = (0..).zip(&self.set.attachments).filter_map(|(rank, _)| Some((rank, self.index.entry(rank)?)));
        let all: Vec<Candidate> = every.map(|(rank, entry)| (rank, Entry { decided: false, ..entry })).collect();
        self.answer(&all, request, Fields::ALL)
    }

    /// The attachments that may match, in the order of evaluation.
    fn candidates(&self, context: &Context) -> Vec<Candidate> {
        let mut found = Vec::with_capacity(64);
        self.index.candidates(context, &mut found);
        found.into_iter().filter_map(|rank| Some((rank, self.index.entry(rank)?))).collect()
    }

    fn attachment(&self, rank: Rank) -> Option<&Attachment> {
        self.set.attachments.get(rank as usize).map(|attachment| &**attachment)
    }

    /// The attachments that give a context its policies, in the order of evaluation; several may give
    /// the same one.
    pub fn counting_attachments(&self, context: &Context) -> Vec<&Attachment> {
        let mut conditions = Conditions { set: &self.set, model: context.model.as_deref(), seen: Vec::new() };
        let counting = self.counting(&self.candidates(context), context, &mut conditions);
        counting.into_iter().filter_map(|(rank, _)| self.attachment(rank)).collect()
    }

    /// The policies whose conditions decide a request: those of every attachment that matches it, those
    /// it names, and their ancestors. Each once.
    pub fn considered_policies(&self, request: &Request) -> Vec<&Policy> {
        let found = self.candidates(&request.context);
        let matching = found.iter().filter(|(rank, entry)| self.is_match(*rank, *entry, &request.context));
        let attached = matching.map(|(_, entry)| entry.policy);
        let named = request.policies.iter().filter_map(|requested| match requested {
            Requested::Named(name) => self.set.find(name).map(|(id, _)| id),
            Requested::Pinned(_) | Requested::Missing(_) => None,
        });
        let mut seen = FxHashSet::default();
        let chains = attached.chain(named).filter_map(|id| self.set.policy(id)).flat_map(|policy| policy.chain.iter());
        chains.filter(|id| seen.insert(**id)).filter_map(|id| self.set.policy(*id)).collect()
    }

    fn answer<'a>(&'a self, found: &[Candidate], request: &'a Request, fields: Fields) -> Resolution<'a> {
        let mut gathering = Gathering::new(self, request.context.model.as_deref(), fields);
        for (rank, entry) in self.counting(found, &request.context, &mut gathering.conditions) {
            gathering.attached(rank, entry.policy, &request.context);
        }
        for requested in &request.policies {
            gathering.requested(requested);
        }
        gathering.finish()
    }

    /// The attachments that count, in the order of evaluation: those that match and whose policy
    /// applies; default ones only where there are no others.
    fn counting(&self, found: &[Candidate], context: &Context, conditions: &mut Conditions<'_>) -> Vec<Candidate> {
        let mut counting: Vec<Candidate> = found
            .iter()
            .filter(|(rank, entry)| self.is_match(*rank, *entry, context))
            .filter(|(_, entry)| self.applies(entry.policy, conditions))
            .copied()
            .collect();
        if counting.iter().any(|(_, entry)| !entry.default) {
            counting.retain(|(_, entry)| !entry.default);
        }
        counting
    }

    fn is_match(&self, rank: Rank, entry: Entry, context: &Context) -> bool {
        entry.decided || self.attachment(rank).is_some_and(|attachment| candidates::matches(attachment, context))
    }

    /// A policy applies when any member of its chain has no condition or one that holds.
    fn applies(&self, id: PolicyId, conditions: &mut Conditions<'_>) -> bool {
        if self.lines.get(id.0 as usize).is_some_and(|line| line.applies) {
            return true;
        }
        self.set.policy(id).is_some_and(|policy| {
            policy.chain.iter().filter_map(|id| self.set.policy(*id)).any(|member| conditions.holds(member))
        })
    }

    fn effective(&self, id: PolicyId, policy: &Policy, conditions: &mut Conditions<'_>) -> Cow<'_, [GuardrailId]> {
        if let Some(guardrails) = self.lines.get(id.0 as usize).and_then(|line| line.guardrails.as_deref()) {
            return guardrails.into();
        }
        let mut held: Vec<GuardrailId> = Vec::new();
        for member in policy.chain.iter().filter_map(|id| self.set.policy(*id)) {
            if conditions.holds(member) {
                held.extend_from_slice(&member.add);
                held.retain(|guardrail| !member.remove.contains(guardrail));
            }
        }
        held.sort_unstable();
        held.dedup();
        held.into()
    }

    fn names<'a>(&'a self, chain: &[PolicyId]) -> Vec<&'a str> {
        chain.iter().filter_map(|id| self.set.policy(*id)).map(|policy| &*policy.name).collect()
    }
}

impl Line {
    fn new(set: &PolicySet, policy: &Policy) -> Self {
        let free = |id: &PolicyId| set.policy(*id).is_some_and(|member| member.condition.is_none());
        let guardrails = policy.chain.iter().all(free).then(|| set.effective(policy, None).into());
        Self { applies: policy.chain.iter().any(free), guardrails }
    }
}

/// Guardrails of a set, each once.
struct Union(Vec<u64>);

impl Union {
    fn of(set: &PolicySet) -> Self {
        Self(vec![0; set.guardrails.len().div_ceil(64)])
    }

    fn add(&mut self, ids: &[GuardrailId]) {
        for id in ids {
            if let Some(word) = self.0.get_mut(id.0 as usize / 64) {
                *word |= 1 << (id.0 % 64);
            }
        }
    }

    /// In the order of their names.
    fn ids(&self) -> impl Iterator<Item = GuardrailId> {
        (0u32..).step_by(64).zip(&self.0).flat_map(|(first, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let at = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(GuardrailId(first + at))
            })
        })
    }
}

/// The parts of one answer while they are gathered.
struct Gathering<'a> {
    engine: &'a Engine,
    conditions: Conditions<'a>,
    policies: Vec<ResolvedPolicy<'a>>,
    /// Policies of the set that are listed already.
    listed: FxHashSet<PolicyId>,
    union: Union,
    /// Whether what is said of each policy is wanted.
    detailed: bool,
    /// Guardrails of versions beside the set.
    beside: Vec<&'a str>,
    unknown: Vec<String>,
}

impl<'a> Gathering<'a> {
    fn new(engine: &'a Engine, model: Option<&'a str>, fields: Fields) -> Self {
        Self {
            engine,
            conditions: Conditions { set: &engine.set, model, seen: Vec::new() },
            policies: Vec::new(),
            listed: FxHashSet::default(),
            union: Union::of(&engine.set),
            detailed: fields.policies,
            beside: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// A policy counts once, by its first attachment.
    fn attached(&mut self, rank: Rank, policy: PolicyId, context: &Context) {
        if self.listed.insert(policy) {
            let attachment = self.engine.attachment(rank).filter(|_| self.detailed);
            self.list(policy, attachment.map(|attachment| candidates::reason(attachment, context)));
        }
    }

    /// A policy that the request names comes after the attached ones, once, and only if it applies.
    fn requested(&mut self, requested: &'a Requested) {
        match requested {
            Requested::Named(name) => match self.engine.set.find(name) {
                Some((id, _)) => {
                    if self.engine.applies(id, &mut self.conditions) && self.listed.insert(id) {
                        self.list(id, None);
                    }
                }
                None => self.say_unknown(name),
            },
            Requested::Missing(label) => self.say_unknown(label),
            Requested::Pinned(pinned) => {
                let known = self.policies.iter().any(|policy| policy.subject.label() == pinned.label);
                if let Some(resolved) = (!known).then(|| self.pinned(pinned)).flatten() {
                    self.beside.extend_from_slice(&resolved.guardrails);
                    self.policies.push(resolved);
                }
            }
        }
    }

    fn say_unknown(&mut self, name: &str) {
        if !self.unknown.iter().any(|said| said == name) {
            self.unknown.push(name.to_owned());
        }
    }

    fn list(&mut self, id: PolicyId, matched_via: Option<String>) {
        let engine = self.engine;
        let Some(policy) = engine.set.policy(id) else { return };
        let guardrails = engine.effective(id, policy, &mut self.conditions);
        self.union.add(&guardrails);
        let (guardrails, chain) = match self.detailed {
            true => (guardrails.iter().map(|g| engine.set.guardrail(*g)).collect(), engine.names(&policy.chain)),
            false => (Vec::new(), Vec::new()),
        };
        self.policies.push(ResolvedPolicy {
            subject: Subject::Served(policy),
            id: Some(id),
            matched_via,
            guardrails,
            chain,
        });
    }

    /// One version beside the set: its ancestors are the set's.
    fn pinned(&mut self, pinned: &'a Pinned) -> Option<ResolvedPolicy<'a>> {
        let engine = self.engine;
        let own = pinned.policy()?;
        let parent = pinned.parent.as_deref().and_then(|name| engine.set.find(name));
        let own_holds = pinned.holds(self.conditions.model);
        let parent_applies = parent.is_some_and(|(id, _)| engine.applies(id, &mut self.conditions));
        if !own_holds && !parent_applies {
            return None;
        }
        let inherited = parent.map(|(id, policy)| engine.effective(id, policy, &mut self.conditions));
        let mut guardrails: Vec<&str> =
            inherited.iter().flat_map(|ids| ids.iter()).map(|g| engine.set.guardrail(*g)).collect();
        if own_holds {
            guardrails.extend(own.add.iter().map(|g| pinned.set.guardrail(*g)));
            guardrails.retain(|name| !own.remove.iter().any(|g| pinned.set.guardrail(*g) == *name));
        }
        guardrails.sort_unstable();
        guardrails.dedup();
        let mut chain = parent.map(|(_, policy)| engine.names(&policy.chain)).unwrap_or_default();
        chain.push(&pinned.label);
        Some(ResolvedPolicy { subject: Subject::Pinned(pinned), id: None, matched_via: None, guardrails, chain })
    }

    fn finish(mut self) -> Resolution<'a> {
        let set = &self.engine.set;
        let mut guardrails: Vec<&str> = self.union.ids().map(|id| set.guardrail(id)).collect();
        if !self.beside.is_empty() {
            guardrails.append(&mut self.beside);
            guardrails.sort_unstable();
            guardrails.dedup();
        }
        let pipelines = self.pipelines();
        let pipeline_guardrails = captured(&pipelines);
        Resolution { policies: self.policies, guardrails, pipelines, pipeline_guardrails, unknown: self.unknown }
    }

    /// Of the policies whose own condition holds; a pipeline is not inherited.
    fn pipelines(&mut self) -> Vec<ResolvedPipeline<'a>> {
        let (engine, conditions) = (self.engine, &mut self.conditions);
        let own = |subject: Subject<'a>| match subject {
            Subject::Served(policy) => {
                let pipeline = policy.pipeline.as_ref().filter(|_| conditions.holds(policy))?;
                Some(ResolvedPipeline { policy: &policy.name, pipeline, set: &engine.set })
            }
            Subject::Pinned(pinned) => {
                let pipeline = pinned.pipeline().filter(|_| pinned.holds(conditions.model))?;
                Some(ResolvedPipeline { policy: &pinned.label, pipeline, set: &pinned.set })
            }
        };
        self.policies.iter().map(|policy| policy.subject).filter_map(own).collect()
    }
}

/// The guardrails of the pipelines' steps, sorted.
fn captured<'a>(pipelines: &[ResolvedPipeline<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        pipelines.iter().flat_map(|p| p.pipeline.steps.iter().map(|step| p.set.guardrail(step.guardrail))).collect();
    names.sort_unstable();
    names.dedup();
    names
}
