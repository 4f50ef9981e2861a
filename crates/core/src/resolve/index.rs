//! From a context to the attachments that match it, without looking at the others.
//!
//! Each attachment is filed under its narrowest dimension (see [`Filing`]). A filed entry holds
//! all that is needed next, so that attachments and policies themselves are not touched. What the
//! other dimensions ask for, the *rest*, is kept once for all attachments that ask the same:
//!
//! ```text
//! a  teams: [eu], models: [gpt-4]     filed under the team `eu`, rest 1
//! b  teams: [us], models: [gpt-4]     filed under the team `us`, rest 1
//! c  keys: [ci]                       filed under the key `ci`, rest 0
//!
//! rest 0: nothing     rest 1: models: [gpt-4]
//! ```
//!
//! Whether a request matches rest 1 is worked out once a request, however many attachments it meets
//! that have it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Context;
use super::candidates::{NamedDimensions, TagAt};
use crate::document::Dimension;
use crate::policy::filing::{Crowd, Filing};
use crate::policy::{Attachment, PolicyId, Targets};

/// The position of an attachment in the order of evaluation.
pub(super) type Rank = u32;

/// An attachment that matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MatchedAttachment {
    pub rank: Rank,
    pub policy: PolicyId,
    pub names: NamedDimensions,
    /// The tag that it matched by, where it was found by its tags.
    pub tag: TagAt,
}

/// An attachment as it is filed: side by side in memory with those of the same pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Filed {
    /// Its tag is not known before a request comes.
    found: MatchedAttachment,
    /// What the dimensions ask that it is not filed under: an index of [`AttachmentIndex::rests`].
    rest: u32,
}

/// The index of a set's attachments.
#[derive(Debug, Default)]
pub(super) struct AttachmentIndex {
    filing: Filing<Filed>,
    /// Each distinct rest; the first asks nothing.
    rests: Vec<Targets>,
}

impl AttachmentIndex {
    /// Files every attachment; they come in the order of evaluation.
    pub(super) fn new(attachments: &[Arc<Attachment>]) -> Self {
        let mut crowd = Crowd::default();
        attachments
            .iter()
            .for_each(|attachment| crowd.count_patterns(attachment.targets.narrowing_patterns()));

        let mut index = Self {
            filing: Filing::default(),
            rests: vec![Targets::default()],
        };

        let mut known: FxHashMap<Targets, u32> = FxHashMap::default();
        for (rank, attachment) in (0..).zip(attachments) {
            let under = crowd.narrowest_dimension(attachment.targets.narrowing_patterns());
            let found = MatchedAttachment {
                rank,
                policy: attachment.policy,
                names: NamedDimensions::from_attachment(attachment),
                tag: TagAt::NONE,
            };

            let rest = match under {
                Some((dimension, _)) => index.number_rest(attachment, dimension, &mut known),
                None => 0,
            };

            index.filing.file_under(under, Filed { found, rest });
        }

        index
    }

    /// The number of an attachment's rest: what its other dimensions ask for.
    fn number_rest(
        &mut self,
        attachment: &Attachment,
        filed: Dimension,
        known: &mut FxHashMap<Targets, u32>,
    ) -> u32 {
        let mut rest = Targets::default();
        for (dimension, patterns) in attachment.targets.narrowing_patterns() {
            if dimension != filed {
                rest.0[dimension] = Some(patterns.to_vec());
            }
        }

        if rest == Targets::default() {
            return 0;
        }

        *known.entry(rest).or_insert_with_key(|rest| {
            let number = u32::try_from(self.rests.len()).unwrap_or(u32::MAX);
            self.rests.push(rest.clone());
            number
        })
    }

    /// The attachments that match, in the order of evaluation, each once.
    pub(super) fn matching_attachments(&self, context: &Context) -> Vec<MatchedAttachment> {
        let mut found = Vec::with_capacity(64);
        found.extend(self.filing.always_found().iter().map(|filed| filed.found));
        for dimension in Dimension::ALL {
            let shelf = self.filing.shelf_of(dimension);
            for (at, value) in context.values(dimension).iter().enumerate() {
                let before = found.len();
                shelf.find_matching(value, |list| self.take_matching(list, context, &mut found));
                if dimension == Dimension::Tag {
                    found
                        .iter_mut()
                        .skip(before)
                        .for_each(|found| found.tag = TagAt::new(at));
                }
            }
        }

        // Of several tags that an attachment asks for, the first.
        found.sort_unstable_by_key(|found| u64::from(found.rank) << 16 | u64::from(found.tag));
        found.dedup_by_key(|found| found.rank);

        found
    }

    /// Takes those of a list whose other dimensions match too.
    fn take_matching(&self, list: &[Filed], context: &Context, found: &mut Vec<MatchedAttachment>) {
        let matches = |rest: u32| {
            self.rests
                .get(rest as usize)
                .is_some_and(|rest| rest.matches_context(context))
        };

        for filed in list {
            if filed.rest == 0 || matches(filed.rest) {
                found.push(filed.found);
            }
        }
    }
}
