//! The answer to a request. Details of each policy are looked up only when asked for, because most
//! callers need the guardrails only.

use super::candidates::{Reason, TagAt};
use super::chain_table::Gives;
use super::index::MatchedAttachment;
use super::wording::Wording;
use super::{Context, Pinned};
use crate::policy::{GuardrailId, Pipeline, Policy, PolicyId, PolicySet};
use jiff::Timestamp;

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
    /// Names that the request asked for and that exist nowhere.
    pub unknown: Vec<String>,
    /// The instant from which on an attachment of the set expires, so that the answer may be
    /// another one.
    pub valid_until: Option<Timestamp>,
    /// The parts of an answer about each policy that are the same for every request.
    pub(super) wording: &'a Wording,
}

/// One policy of an answer: of the set, or one version beside it.
#[derive(Debug)]
pub struct ResolvedPolicy<'a> {
    /// The set that it is resolved in.
    pub(super) set: &'a PolicySet,
    pub(super) given: PolicySource<'a>,
}

/// Where a policy's part of an answer comes from. It is looked up only when asked for: in a large
/// set each look is a wait for memory.
#[derive(Debug)]
pub(super) enum PolicySource<'a> {
    /// A policy of the set.
    Served {
        id: PolicyId,
        /// The first attachment that gives it, and to whom; `None` where only the request named it.
        attached: Option<(MatchedAttachment, &'a Context)>,
        /// What its chain gives.
        gives: Gives<'a>,
    },
    /// A version beside it: its names are its own.
    Pinned(Box<Beside<'a>>),
}

/// What an answer needs of a version beside the set.
#[derive(Debug)]
pub(super) struct Beside<'a> {
    pub pinned: &'a Pinned,
    pub guardrails: Vec<&'a str>,
    pub chain: Vec<&'a str>,
}

impl<'a> ResolvedPolicy<'a> {
    /// Its place in the set; `None` of a version beside it.
    pub fn served_id(&self) -> Option<PolicyId> {
        match self.given {
            PolicySource::Served { id, .. } => Some(id),
            PolicySource::Pinned(_) => None,
        }
    }

    /// The policy of the set.
    pub fn served(&self) -> Option<&'a Policy> {
        self.set.policy(self.served_id()?)
    }

    /// The version beside the set.
    pub fn pinned(&self) -> Option<&'a Pinned> {
        self.beside().map(|beside| beside.pinned)
    }

    /// What its chain gives, where it is a policy of the set.
    fn served_gives(&self) -> Option<&Gives<'a>> {
        match &self.given {
            PolicySource::Served { gives, .. } => Some(gives),
            PolicySource::Pinned(_) => None,
        }
    }

    /// Which of the policy's cases it is: in the same case it gives the same.
    pub(super) fn case_number(&self) -> Option<u8> {
        self.served_gives()?.case
    }

    pub(super) fn beside(&self) -> Option<&Beside<'a>> {
        match &self.given {
            PolicySource::Served { .. } => None,
            PolicySource::Pinned(beside) => Some(beside),
        }
    }

    /// The name as it is listed: `NAME`, or `NAME@N` of a version beside the set.
    pub fn name(&self) -> &'a str {
        self.told_by(|policy| &policy.name, |pinned| &pinned.label)
    }

    /// Its digest.
    pub fn digest(&self) -> &'a str {
        self.told_by(|policy| &policy.digest, |pinned| &pinned.digest)
    }

    fn told_by(
        &self,
        served: fn(&'a Policy) -> &'a str,
        pinned: fn(&'a Pinned) -> &'a str,
    ) -> &'a str {
        self.pinned()
            .map(pinned)
            .or_else(|| self.served().map(served))
            .unwrap_or_default()
    }

    /// Why; `None` where only the request named it.
    pub fn matched_via(&self) -> Option<Reason<'a>> {
        let PolicySource::Served {
            attached: Some((found, context)),
            ..
        } = self.given
        else {
            return None;
        };

        let tag = match found.tag {
            TagAt::NONE if found.names.has_tags() => {
                TagAt::find_match(self.set.attachments.get(found.rank as usize)?, context)
            }
            tag => tag,
        };

        Some(Reason {
            names: found.names,
            tag,
            context,
        })
    }

    /// Its guardrails for this model, sorted.
    pub fn guardrail_names(&self) -> impl Iterator<Item = &'a str> {
        let set = self.set;
        let own = self
            .served_gives()
            .into_iter()
            .flat_map(|gives| gives.guardrails.iter())
            .map(|id| set.guardrail(GuardrailId(*id)));

        own.chain(
            self.beside()
                .into_iter()
                .flat_map(|beside| beside.guardrails.iter().copied()),
        )
    }

    /// Itself and its ancestors, root first.
    pub fn chain_names(&self) -> impl Iterator<Item = &'a str> {
        let set = self.set;
        let served = self
            .served()
            .into_iter()
            .flat_map(|policy| policy.chain.iter());
        let own = served
            .filter_map(|id| set.policy(*id))
            .map(|policy| &*policy.name);

        own.chain(
            self.beside()
                .into_iter()
                .flat_map(|beside| beside.chain.iter().copied()),
        )
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
