//! What answers say of a policy whoever asks: its name, its digest, its chain, and mostly its guardrails. Written
//! as JSON the first time somebody gets the policy, and copied from then on.

use std::sync::OnceLock;

use super::ResolvedPolicy;
use super::json::Object;
use crate::policy::{PolicyId, PolicySet};

/// The words of a set's policies, as far as they were needed.
#[derive(Debug)]
pub struct Wording(Box<[OnceLock<Words>]>);

/// One policy's part of an answer, but for its version and its reason: those differ from request to request.
#[derive(Debug)]
struct Words {
    text: Box<[u8]>,
    /// Bytes before the version.
    before_version: u16,
    /// Bytes from there to the reason.
    before_reason: u16,
    /// The case whose guardrails the text names: that of the first who asked.
    case: u8,
}

/// The pieces of a policy's part of an answer.
pub(super) struct Pieces<'w> {
    pub before_version: &'w [u8],
    pub before_reason: &'w [u8],
    pub rest: &'w [u8],
}

impl Wording {
    /// For the policies of a set; nothing is written yet.
    pub fn new(set: &PolicySet) -> Self {
        Self(set.policies.iter().map(|_| OnceLock::new()).collect())
    }

    /// The words of a policy of that set, if they name the guardrails that it gives here.
    pub(super) fn pieces(&self, id: PolicyId, policy: &ResolvedPolicy<'_>) -> Option<Pieces<'_>> {
        let case = policy.gives()?.case?;
        let words = self.0.get(id.0 as usize)?.get_or_init(|| Words::new(policy, case));
        if words.case != case {
            return None;
        }
        let (before_version, rest) = words.text.split_at_checked(words.before_version.into())?;
        let (before_reason, rest) = rest.split_at_checked(words.before_reason.into())?;
        Some(Pieces { before_version, before_reason, rest })
    }
}

impl Words {
    fn new(policy: &ResolvedPolicy<'_>, case: u8) -> Self {
        let mut text = Vec::new();
        let mut object = Object::begin(&mut text);
        object.text("name", policy.name());
        let version_at = object.open("version");
        object.text("digest", policy.digest());
        let reason_at = object.open("matched_via");
        object.texts("guardrails", policy.guardrails());
        object.texts("chain", policy.chain());
        object.end();
        // A name has at most 128 characters: what is longer is written anew each time.
        let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX);
        let (before_version, before_reason) = (length(version_at), length(reason_at - version_at));
        Self { text: text.into(), before_version, before_reason, case }
    }
}
