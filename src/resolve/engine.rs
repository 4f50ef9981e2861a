//! The engine: section 3 of the design, step by step.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::index::{Index, Rank};
use super::{Context, Pinned, Request, Requested, candidates};
use crate::policy::{Attachment, ConditionId, GuardrailId, Pipeline, Policy, PolicyId, PolicySet};

/// A set with what it takes to answer from it quickly. Immutable; shared.
#[derive(Debug)]
pub struct Engine {
    set: Arc<PolicySet>,
    index: Index,
    /// The guardrails of each policy whose chain has no condition; the others are worked out a request.
    unconditional: Vec<Option<Vec<GuardrailId>>>,
}

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
        let index = Index::new(&set.attachments);
        let free =
            |policy: &Policy| policy.chain.iter().filter_map(|id| set.policy(*id)).all(|p| p.condition.is_none());
        let unconditional =
            set.policies.iter().map(|policy| free(policy).then(|| set.effective(policy, None))).collect();
        Self { set, index, unconditional }
    }

    /// The set it answers from.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// What a request gets.
    pub fn resolve<'a>(&'a self, request: &'a Request) -> Resolution<'a> {
        let mut found = Vec::new();
        self.index.candidates(&request.context, &mut found);
        self.answer(&found, request)
    }

    /// The same by looking at every attachment: what the index is held against in tests.
    pub fn resolve_by_scan<'a>(&'a self, request: &'a Request) -> Resolution<'a> {
        let all: Vec<Rank> = (0..).zip(&self.set.attachments).map(|(rank, _)| rank).collect();
        self.answer(&all, request)
    }

    fn answer<'a>(&'a self, found: &[Rank], request: &'a Request) -> Resolution<'a> {
        let mut conditions = Conditions { set: &self.set, model: request.context.model.as_deref(), seen: Vec::new() };
        let mut policies = Vec::new();
        let mut union: Vec<GuardrailId> = Vec::new();
        let mut seen: FxHashSet<PolicyId> = FxHashSet::default();
        for attachment in self.counting(found, &request.context, &mut conditions) {
            if seen.insert(attachment.policy)
                && let Some(policy) = self.set.policy(attachment.policy)
            {
                let reason = candidates::reason(attachment, &request.context);
                policies.push(self.resolved(attachment.policy, policy, Some(reason), &mut conditions, &mut union));
            }
        }
        let mut unknown = Vec::new();
        let mut beside: Vec<&'a str> = Vec::new();
        self.add_requested(request, &mut conditions, &mut seen, &mut policies, &mut union, &mut beside, &mut unknown);
        union.sort_unstable();
        union.dedup();
        let mut guardrails: Vec<&str> = union.iter().map(|id| self.set.guardrail(*id)).collect();
        if !beside.is_empty() {
            guardrails.append(&mut beside);
            guardrails.sort_unstable();
            guardrails.dedup();
        }
        let pipelines = self.pipelines(&policies, &mut conditions);
        let pipeline_guardrails = captured(&pipelines);
        Resolution { policies, guardrails, pipelines, pipeline_guardrails, unknown }
    }

    /// The attachments that count, in the order of evaluation: those that match and whose policy
    /// applies; default ones only where there are no others.
    fn counting<'a>(
        &'a self,
        found: &[Rank],
        context: &Context,
        conditions: &mut Conditions<'_>,
    ) -> Vec<&'a Attachment> {
        let mut counting: Vec<&Attachment> = found
            .iter()
            .filter_map(|rank| self.set.attachments.get(*rank as usize))
            .filter(|attachment| candidates::matches(attachment, context))
            .filter(|attachment| self.applies(attachment.policy, conditions))
            .collect();
        if counting.iter().any(|attachment| !attachment.default) {
            counting.retain(|attachment| !attachment.default);
        }
        counting
    }

    /// A policy applies when any member of its chain has no condition or one that holds.
    fn applies(&self, id: PolicyId, conditions: &mut Conditions<'_>) -> bool {
        self.set.policy(id).is_some_and(|policy| {
            policy.chain.iter().filter_map(|id| self.set.policy(*id)).any(|member| conditions.holds(member))
        })
    }

    fn effective(&self, id: PolicyId, policy: &Policy, conditions: &mut Conditions<'_>) -> Vec<GuardrailId> {
        if let Some(Some(guardrails)) = self.unconditional.get(id.0 as usize) {
            return guardrails.clone();
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
        held
    }

    fn resolved<'a>(
        &'a self,
        id: PolicyId,
        policy: &'a Policy,
        matched_via: Option<String>,
        conditions: &mut Conditions<'_>,
        union: &mut Vec<GuardrailId>,
    ) -> ResolvedPolicy<'a> {
        let guardrails = self.effective(id, policy, conditions);
        union.extend_from_slice(&guardrails);
        ResolvedPolicy {
            subject: Subject::Served(policy),
            matched_via,
            guardrails: guardrails.iter().map(|g| self.set.guardrail(*g)).collect(),
            chain: self.names(&policy.chain),
        }
    }

    fn names<'a>(&'a self, chain: &[PolicyId]) -> Vec<&'a str> {
        chain.iter().filter_map(|id| self.set.policy(*id)).map(|policy| &*policy.name).collect()
    }

    /// Policies that the request names come after the attached ones, each once, and only if they apply.
    #[expect(clippy::too_many_arguments, reason = "the parts of one answer, filled side by side")]
    fn add_requested<'a>(
        &'a self,
        request: &'a Request,
        conditions: &mut Conditions<'_>,
        seen: &mut FxHashSet<PolicyId>,
        policies: &mut Vec<ResolvedPolicy<'a>>,
        union: &mut Vec<GuardrailId>,
        beside: &mut Vec<&'a str>,
        unknown: &mut Vec<String>,
    ) {
        let mut pinned_seen: FxHashSet<&str> = FxHashSet::default();
        for requested in &request.policies {
            match requested {
                Requested::Named(name) => match self.set.find(name) {
                    None => unknown.push(name.clone()),
                    Some((id, policy)) => {
                        if self.applies(id, conditions) && seen.insert(id) {
                            policies.push(self.resolved(id, policy, None, conditions, union));
                        }
                    }
                },
                Requested::Missing(label) => unknown.push(label.clone()),
                Requested::Pinned(pinned) => {
                    if pinned_seen.insert(&pinned.label)
                        && let Some(resolved) = self.pinned(pinned, conditions)
                    {
                        beside.extend_from_slice(&resolved.guardrails);
                        policies.push(resolved);
                    }
                }
            }
        }
        let mut said = FxHashSet::default();
        unknown.retain(|name| said.insert(name.clone()));
    }

    /// One version beside the set: its ancestors are the set's.
    fn pinned<'a>(&'a self, pinned: &'a Pinned, conditions: &mut Conditions<'_>) -> Option<ResolvedPolicy<'a>> {
        let own = pinned.policy()?;
        let parent = pinned.parent.as_deref().and_then(|name| self.set.find(name));
        let own_holds = pinned.holds(conditions.model);
        if !own_holds && !parent.is_some_and(|(id, _)| self.applies(id, conditions)) {
            return None;
        }
        let mut guardrails: Vec<&str> = match parent {
            Some((id, policy)) => {
                self.effective(id, policy, conditions).iter().map(|g| self.set.guardrail(*g)).collect()
            }
            None => Vec::new(),
        };
        if own_holds {
            guardrails.extend(own.add.iter().map(|g| pinned.set.guardrail(*g)));
            guardrails.retain(|name| !own.remove.iter().any(|g| pinned.set.guardrail(*g) == *name));
        }
        guardrails.sort_unstable();
        guardrails.dedup();
        let mut chain = parent.map(|(_, policy)| self.names(&policy.chain)).unwrap_or_default();
        chain.push(&pinned.label);
        Some(ResolvedPolicy { subject: Subject::Pinned(pinned), matched_via: None, guardrails, chain })
    }

    fn pipelines<'a>(
        &'a self,
        policies: &[ResolvedPolicy<'a>],
        conditions: &mut Conditions<'_>,
    ) -> Vec<ResolvedPipeline<'a>> {
        let own = |subject: Subject<'a>| match subject {
            Subject::Served(policy) => {
                let pipeline = policy.pipeline.as_ref().filter(|_| conditions.holds(policy))?;
                Some(ResolvedPipeline { policy: &policy.name, pipeline, set: &self.set })
            }
            Subject::Pinned(pinned) => {
                let pipeline = pinned.pipeline().filter(|_| pinned.holds(conditions.model))?;
                Some(ResolvedPipeline { policy: &pinned.label, pipeline, set: &pinned.set })
            }
        };
        policies.iter().map(|policy| policy.subject).filter_map(own).collect()
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
