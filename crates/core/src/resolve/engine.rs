//! The engine: from a request to its policies and guardrails, step by step.
//!
//! For a request of the team `health-eu` for `gpt-4`, and the set
//!
//! ```text
//! baseline    scope: "*"              adds log, pii
//! health      teams: ["health-*"]     inherits baseline, adds hipaa, removes log; condition: gpt-4.*
//! late        teams: ["health-*"]     default: true
//! ```
//!
//! 1. the index finds the attachments that match, in the order of evaluation: all three;
//! 2. those stay whose policy applies, which is if some member of its chain has no condition or one
//!    that holds: all three;
//! 3. default ones stay only where there are no others: `late` goes;
//! 4. each policy's chain is walked from its root ancestor: `health` gives hipaa and pii. The
//!    request gets the union, so `log` too: a `remove` takes nothing away that another matched
//!    policy gives;
//! 5. policies that the request names come after those, each once, and only if they apply;
//! 6. pipelines are those of the listed policies whose own condition holds.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use jiff::Timestamp;
use rustc_hash::FxHashSet;

use super::candidates::{self, Reason};
use super::chain_table::{ChainTable, Conditions};
use super::index::{AttachmentIndex, MatchedAttachment, Rank};
use super::resolution::{Beside, PolicySource, Resolution, ResolvedPipeline, ResolvedPolicy};
use super::wording::Wording;
use super::{Context, Pinned, Request, Requested};
use crate::policy::{
    Attachment, GuardrailId, Patched, Policy, PolicyId, PolicySet, add_then_remove,
};

/// A set with what it takes to answer from it quickly. Immutable; shared.
#[derive(Debug)]
pub struct Engine {
    set: Arc<PolicySet>,
    index: Arc<AttachmentIndex>,
    chains: Arc<ChainTable>,
    wording: Arc<Wording>,
    /// What was left out of the set as expired.
    expired: Vec<Arc<Attachment>>,
    valid_until: Option<Timestamp>,
}

impl Engine {
    /// Indexes a set.
    pub fn new(set: Arc<PolicySet>) -> Self {
        let index = Arc::new(AttachmentIndex::new(&set.attachments));
        let (chains, wording) = (
            Arc::new(ChainTable::new(&set)),
            Arc::new(Wording::new(&set)),
        );
        Self {
            set,
            index,
            chains,
            wording,
            expired: Vec::new(),
            valid_until: None,
        }
    }

    /// The same set as it is at an instant: without the attachments that are expired by then. What
    /// does not depend on time is shared. An engine that was made by [`Self::new`] has them all;
    /// only of such a one it is asked.
    pub fn as_of(self: &Arc<Self>, now: Timestamp) -> Arc<Self> {
        if self
            .set
            .attachments
            .iter()
            .all(|attachment| attachment.expires.is_none())
        {
            return self.clone();
        }

        let (set, expired) = self.set.split_expired(now);
        let index = match expired.is_empty() {
            true => self.index.clone(),
            false => Arc::new(AttachmentIndex::new(&set.attachments)),
        };

        let valid_until = set.attachments.iter().filter_map(|it| it.expires).min();
        let (chains, wording) = (self.chains.clone(), self.wording.clone());
        Arc::new(Self {
            set: Arc::new(set),
            index,
            chains,
            wording,
            expired,
            valid_until,
        })
    }

    /// The instant from which on the same request may get something else, without a change of
    /// documents.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// The last instant, of those before the one that it answers for, at which an attachment of the
    /// set ended; `None`: nothing of it has ended.
    pub fn instant(&self) -> Option<Timestamp> {
        self.expired
            .iter()
            .filter_map(|attachment| attachment.expires)
            .max()
    }

    /// The attachments that are expired at the instant that it answers for.
    pub fn expired_attachments(&self) -> &[Arc<Attachment>] {
        &self.expired
    }

    /// The same for a set that was made from this one's: what did not change is shared.
    pub fn with_patch(&self, patched: Patched) -> Self {
        let Patched {
            set,
            policies: changed,
            attachments,
            renumbered,
        } = patched;

        if renumbered {
            return Self::new(Arc::new(set));
        }

        let index = if attachments {
            Arc::new(AttachmentIndex::new(&set.attachments))
        } else {
            self.index.clone()
        };

        let changed: FxHashSet<PolicyId> = changed.into_iter().collect();
        let descends = |policy: &Policy| policy.chain.iter().any(|member| changed.contains(member));
        let policies = (0..).map(PolicyId).zip(&set.policies);
        let differing = policies
            .filter(|(_, policy)| descends(policy))
            .map(|(id, _)| id)
            .collect();
        let chains = Arc::new(self.chains.with_patch(&set, &differing));
        let wording = Arc::new(self.wording.with_patch(&differing));
        let (set, expired) = (Arc::new(set), Vec::new());

        Self {
            set,
            index,
            chains,
            wording,
            expired,
            valid_until: None,
        }
    }

    /// The set it answers from.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// What a request gets.
    pub fn resolve<'a>(&'a self, request: &'a Request) -> Resolution<'a> {
        self.build_answer(self.index.matching_attachments(&request.context), request)
    }

    /// The same by looking at every attachment: what the index is held against in tests.
    pub fn resolve_by_scan<'a>(&'a self, request: &'a Request) -> Resolution<'a> {
        let every = (0..).zip(&self.set.attachments);
        let found = every
            .filter(|(_, attachment)| candidates::matches_context(attachment, &request.context));
        let found = found.map(|(rank, attachment)| {
            let Reason { names, tag, .. } = Reason::new(attachment, &request.context);
            MatchedAttachment {
                rank,
                policy: attachment.policy,
                names,
                tag,
            }
        });

        self.build_answer(found.collect(), request)
    }

    fn attachment_at(&self, rank: Rank) -> Option<&Attachment> {
        self.set
            .attachments
            .get(rank as usize)
            .map(|attachment| &**attachment)
    }

    /// The attachments that give a context its policies, in the order of evaluation; several may
    /// give the same one.
    pub fn counting_attachments(&self, context: &Context) -> Vec<&Attachment> {
        let conditions = Conditions::new(&self.set, context.model());
        let counting = self.counting(self.index.matching_attachments(context), &conditions);
        counting
            .into_iter()
            .filter_map(|found| self.attachment_at(found.rank))
            .collect()
    }

    /// The attachments that match a context, whether their policies apply or not, in the order of
    /// evaluation, each with why. For who judges the policies himself, and the default attachments
    /// after them.
    pub fn matching_attachments<'a>(
        &'a self,
        context: &'a Context,
    ) -> Vec<(&'a Attachment, Reason<'a>)> {
        let found = self.index.matching_attachments(context).into_iter();
        let attachments = found.filter_map(|found| self.attachment_at(found.rank));
        attachments
            .map(|attachment| (attachment, Reason::new(attachment, context)))
            .collect()
    }

    /// The policies whose conditions decide a request: those of every attachment that matches it,
    /// those it names, and their ancestors. Each once.
    pub fn considered_policies(&self, request: &Request) -> Vec<&Policy> {
        let attached = self
            .index
            .matching_attachments(&request.context)
            .into_iter()
            .map(|found| found.policy);
        let named = request
            .policies
            .iter()
            .filter_map(|requested| match requested {
                Requested::Named(name) => self.set.find_policy(name).map(|(id, _)| id),
                Requested::Pinned(_) | Requested::Missing(_) => None,
            });
        let mut seen = FxHashSet::default();
        let chains = attached
            .chain(named)
            .filter_map(|id| self.set.policy(id))
            .flat_map(|policy| policy.chain.iter());

        chains
            .filter(|id| seen.insert(**id))
            .filter_map(|id| self.set.policy(*id))
            .collect()
    }

    /// The guardrails of a request that names no policy, as numbers of the set. The same as
    /// [`Self::resolve`] gives, for callers that ask often and need nothing else.
    pub fn guardrails_of(&self, context: &Context) -> FixedBitSet {
        self.gather_attached(self.index.matching_attachments(context), context)
            .guardrails
    }

    fn build_answer<'a>(
        &'a self,
        found: Vec<MatchedAttachment>,
        request: &'a Request,
    ) -> Resolution<'a> {
        let mut builder = self.gather_attached(found, &request.context);
        for requested in &request.policies {
            builder.add_requested(requested);
        }

        builder.finish_answer()
    }

    fn gather_attached<'a>(
        &'a self,
        found: Vec<MatchedAttachment>,
        context: &'a Context,
    ) -> AnswerBuilder<'a> {
        let mut builder = AnswerBuilder::new(self, context);
        for found in self.counting(found, &builder.conditions) {
            builder.add_attached(found, context);
        }

        builder
    }

    /// The attachments that count, in the order of evaluation: of those that match, the ones whose
    /// policy applies; default ones only where there are no others.
    fn counting(
        &self,
        mut found: Vec<MatchedAttachment>,
        conditions: &Conditions<'_>,
    ) -> Vec<MatchedAttachment> {
        found.retain(|found| self.chains.policy_applies(found.policy, conditions));
        if found.iter().any(|found| !found.names.is_default()) {
            found.retain(|found| !found.names.is_default());
        }

        found
    }
}

/// The parts of one answer while they are gathered.
struct AnswerBuilder<'a> {
    engine: &'a Engine,
    conditions: Conditions<'a>,
    policies: Vec<ResolvedPolicy<'a>>,
    /// Policies of the set that are listed already.
    listed: FixedBitSet,
    /// Guardrails of the set that some policy gives.
    guardrails: FixedBitSet,
    unknown: Vec<String>,
}

impl<'a> AnswerBuilder<'a> {
    fn new(engine: &'a Engine, context: &'a Context) -> Self {
        Self {
            engine,
            conditions: Conditions::new(&engine.set, context.model()),
            policies: Vec::with_capacity(32),
            listed: FixedBitSet::with_capacity(engine.set.policies.len()),
            guardrails: FixedBitSet::with_capacity(engine.set.guardrails.len()),
            unknown: Vec::new(),
        }
    }

    /// A policy counts once, by its first attachment.
    fn add_attached(&mut self, found: MatchedAttachment, context: &'a Context) {
        if !self.listed.put(found.policy.0 as usize) {
            self.add_policy(found.policy, Some((found, context)));
        }
    }

    /// A policy that the request names comes after the attached ones, once, and only if it applies.
    fn add_requested(&mut self, requested: &'a Requested) {
        match requested {
            Requested::Named(name) => match self.engine.set.find_policy(name) {
                Some((id, _)) => {
                    if self.engine.chains.policy_applies(id, &self.conditions)
                        && !self.listed.put(id.0 as usize)
                    {
                        self.add_policy(id, None);
                    }
                }
                None => self.say_unknown(name),
            },
            Requested::Missing(label) => self.say_unknown(label),
            Requested::Pinned(pinned) => {
                let known = self
                    .policies
                    .iter()
                    .any(|policy| policy.name() == pinned.label);
                let resolved = (!known).then(|| self.resolve_pinned(pinned)).flatten();
                self.policies.extend(resolved);
            }
        }
    }

    fn say_unknown(&mut self, name: &str) {
        if !self.unknown.iter().any(|said| said == name) {
            self.unknown.push(name.to_owned());
        }
    }

    fn add_policy(&mut self, id: PolicyId, attached: Option<(MatchedAttachment, &'a Context)>) {
        let engine = self.engine;
        let gives = engine.chains.guardrails_of(id, &self.conditions);
        gives
            .guardrails
            .iter()
            .for_each(|guardrail| self.guardrails.insert(*guardrail as usize));

        self.policies.push(ResolvedPolicy {
            set: &engine.set,
            given: PolicySource::Served {
                id,
                attached,
                gives,
            },
        });
    }

    /// One version beside the set: its ancestors are the set's.
    fn resolve_pinned(&mut self, pinned: &'a Pinned) -> Option<ResolvedPolicy<'a>> {
        let engine = self.engine;
        let own = pinned.policy()?;
        let parent = pinned
            .parent
            .as_deref()
            .and_then(|name| engine.set.find_policy(name));
        let own_holds = pinned.condition_holds(self.conditions.model);
        let parent_applies =
            parent.is_some_and(|(id, _)| engine.chains.policy_applies(id, &self.conditions));
        if !own_holds && !parent_applies {
            return None;
        }

        let inherited = parent
            .map(|(id, _)| engine.chains.guardrails_of(id, &self.conditions))
            .unwrap_or_default();
        let mut guardrails: Vec<&str> = inherited
            .guardrails
            .iter()
            .map(|g| engine.set.guardrail(GuardrailId(*g)))
            .collect();

        if own_holds {
            let name = |guardrail: &GuardrailId| pinned.set.guardrail(*guardrail);
            let is_removed = |held: &&str| own.remove.iter().any(|removed| name(removed) == *held);
            add_then_remove(
                &mut guardrails,
                own.add.iter().map(name),
                is_removed,
                |_| {},
            );
        }

        guardrails.sort_unstable();
        guardrails.dedup();
        let above = parent.iter().flat_map(|(_, policy)| policy.chain.iter());
        let above = above
            .filter_map(|id| engine.set.policy(*id))
            .map(|policy| &*policy.name);
        let chain = above.chain([&*pinned.label]).collect();
        let given = PolicySource::Pinned(Box::new(Beside {
            pinned,
            guardrails,
            chain,
        }));

        Some(ResolvedPolicy {
            set: &engine.set,
            given,
        })
    }

    fn finish_answer(mut self) -> Resolution<'a> {
        let set = &self.engine.set;
        let mut guardrails: Vec<&str> = Vec::with_capacity(self.guardrails.count_ones(..));
        guardrails.extend(
            self.guardrails
                .ones()
                .filter_map(|id| set.guardrails.get(id))
                .map(|name| &**name),
        );
        let mut beside = self
            .policies
            .iter()
            .filter_map(ResolvedPolicy::beside)
            .peekable();

        if beside.peek().is_some() {
            guardrails.extend(beside.flat_map(|beside| &beside.guardrails));
            guardrails.sort_unstable();
            guardrails.dedup();
        }

        let pipelines = self.active_pipelines();
        let pipeline_guardrails = pipeline_guardrails(&pipelines);
        let (policies, unknown, wording) = (self.policies, self.unknown, &*self.engine.wording);
        let valid_until = self.engine.valid_until;

        Resolution {
            policies,
            guardrails,
            pipelines,
            pipeline_guardrails,
            unknown,
            valid_until,
            wording,
        }
    }

    /// Of the policies whose own condition holds; a pipeline is not inherited.
    fn active_pipelines(&mut self) -> Vec<ResolvedPipeline<'a>> {
        let (engine, conditions) = (self.engine, &self.conditions);
        let own = |resolved: &ResolvedPolicy<'a>| match &resolved.given {
            PolicySource::Served { id, .. } => {
                let policy = engine
                    .chains
                    .has_pipeline(*id)
                    .then(|| engine.set.policy(*id))
                    .flatten()?;
                let pipeline = policy
                    .pipeline
                    .as_ref()
                    .filter(|_| conditions.hold_for(policy))?;
                Some(ResolvedPipeline {
                    policy: &policy.name,
                    pipeline,
                    set: &engine.set,
                })
            }
            PolicySource::Pinned(beside) => {
                let pinned = beside.pinned;
                let pipeline = pinned
                    .pipeline()
                    .filter(|_| pinned.condition_holds(conditions.model))?;
                Some(ResolvedPipeline {
                    policy: &pinned.label,
                    pipeline,
                    set: &pinned.set,
                })
            }
        };

        self.policies.iter().filter_map(own).collect()
    }
}

/// The guardrails of the pipelines' steps, sorted.
fn pipeline_guardrails<'a>(pipelines: &[ResolvedPipeline<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = pipelines
        .iter()
        .flat_map(|p| {
            p.pipeline
                .steps
                .iter()
                .map(|step| p.set.guardrail(step.guardrail))
        })
        .collect();

    names.sort_unstable();
    names.dedup();
    names
}
