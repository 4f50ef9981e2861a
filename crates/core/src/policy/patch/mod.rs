//! A set in which the documents of some files are others, made from the set before: what did not change is
//! shared, not judged and not built again.
//!
//! It rests on this: every rule whose breach is an error looks at one document, at the policies above it
//! or named by it, at the catalog and the settings. So where the names and the parents of the policies
//! stay as they are, no other document can become faulty, and the changed ones can be judged in that
//! company alone. Everything else is refused here and goes the long way; tests hold the two ways
//! against each other.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{
    Attachment, ConditionId, GuardrailId, Pipeline, Policy, PolicyId, PolicySet, Step, canonical,
    check_errors,
};
use crate::document::{Body, Document, Level, Loaded, RawPolicy};

/// What the files that changed held, and hold now.
#[derive(Debug, Clone, Copy)]
pub struct FileChange<'a> {
    /// Their documents before.
    pub before: &'a [Document],
    /// Their documents now, all of them sound in form.
    pub after: &'a [Document],
    /// The catalogs, the settings, and the policies that [`named_policies`] finds in `after`, with all above them.
    pub around: &'a [Document],
}

/// A set made from another.
#[derive(Debug)]
pub struct Patched {
    /// The set, the same in every respect as if it had been judged and built whole.
    pub set: PolicySet,
    /// The policies that are others now.
    pub policies: Vec<PolicyId>,
    /// Whether an attachment is another one, or stands at another place in the order.
    pub attachments: bool,
}

/// The policies that documents name: parents, and what is attached.
pub fn named_policies(documents: &[Document]) -> impl Iterator<Item = &str> {
    documents.iter().filter_map(|document| match &document.body {
        Body::Policy(raw) => raw.inherit.as_ref().map(|parent| parent.value.as_str()),
        Body::Attachment(raw) => Some(raw.policy.value.as_str()),
        _ => None,
    })
}

impl PolicySet {
    /// This set with some files changed; `None` where that cannot be told from the change alone, or where
    /// something is wrong with it: then the whole tree must be judged.
    pub fn patched(&self, change: FileChange<'_>) -> Option<Patched> {
        if !is_local(change) || raises_warnings(change.around) {
            return None;
        }
        let documents = [change.around, change.after].concat();
        let judged = check_errors(Loaded { documents, ..Loaded::default() }).set?;
        let patch = Patch { old: self, judged: &judged };
        let mut set = self.clone();
        let mut policies = Vec::new();
        for raw in policies_of(change.after) {
            let (id, policy) = patch.policy(raw)?;
            *set.policies.get_mut(id.0 as usize)? = Arc::new(policy);
            policies.push(id);
        }
        if !patch.uses_all(&set, &policies) {
            return None;
        }
        let attachments = patch.attachments(&mut set, change)?;
        set.digest = canonical::set_digest(&set);
        Some(Patched { set, policies, attachments })
    }
}

/// Whether only policies and attachments change, and no policy comes, goes, or gets another parent.
fn is_local(change: FileChange<'_>) -> bool {
    let plain =
        |document: &Document| matches!(document.body, Body::Policy(_) | Body::Attachment(_));
    let family = |documents| -> Vec<(String, Option<String>)> {
        let names = |raw: &RawPolicy| {
            (raw.name.as_str().to_owned(), raw.inherit.as_ref().map(|p| p.value.clone()))
        };
        let mut family: Vec<_> = policies_of(documents).map(names).collect();
        family.sort_unstable();
        family
    };
    change.before.iter().chain(change.after).all(plain)
        && family(change.before) == family(change.after)
}

/// Whether the settings make a warning an error: warnings look at everything.
fn raises_warnings(around: &[Document]) -> bool {
    around.iter().any(|document| match &document.body {
        Body::Repository(raw) => {
            raw.rules.iter().flat_map(|rules| &rules.0).any(|(_, l)| l.value == Level::Error)
        }
        _ => false,
    })
}

fn policies_of(documents: &[Document]) -> impl Iterator<Item = &RawPolicy> {
    documents.iter().filter_map(|document| match &document.body {
        Body::Policy(raw) => Some(&**raw),
        _ => None,
    })
}

/// From the small set in which the change was judged to the old set's own ids.
struct Patch<'a> {
    old: &'a PolicySet,
    judged: &'a PolicySet,
}

impl Patch<'_> {
    fn policy(&self, raw: &RawPolicy) -> Option<(PolicyId, Policy)> {
        let (_, judged) = self.judged.find(&raw.name)?;
        let (id, old) = self.old.find(&raw.name)?;
        let condition = judged.condition.as_ref();
        Some((
            id,
            Policy {
                // Its line did not change, so neither did what is above it.
                parent: old.parent,
                chain: old.chain.clone(),
                add: self.guardrails(&judged.add)?,
                remove: self.guardrails(&judged.remove)?,
                condition: condition.map(|ids| self.conditions(ids).ok_or(())).transpose().ok()?,
                pipeline: judged
                    .pipeline
                    .as_ref()
                    .map(|p| self.pipeline(p).ok_or(()))
                    .transpose()
                    .ok()?,
                ..judged.clone()
            },
        ))
    }

    fn guardrails(&self, ids: &[GuardrailId]) -> Option<Vec<GuardrailId>> {
        ids.iter().map(|id| self.guardrail(*id)).collect()
    }

    /// A guardrail that no policy has named before has no id yet: all would have to be numbered anew.
    fn guardrail(&self, id: GuardrailId) -> Option<GuardrailId> {
        let name = self.judged.guardrail(id);
        let found = self.old.guardrails.binary_search_by(|known| (**known).cmp(name)).ok()?;
        u32::try_from(found).ok().map(GuardrailId)
    }

    fn conditions(&self, ids: &[ConditionId]) -> Option<Vec<ConditionId>> {
        let one = |id: &ConditionId| {
            let text = self.judged.conditions.get(id.0 as usize)?.text();
            let found =
                self.old.conditions.binary_search_by(|known| known.text().cmp(text)).ok()?;
            u32::try_from(found).ok().map(ConditionId)
        };
        ids.iter().map(one).collect()
    }

    fn pipeline(&self, judged: &Pipeline) -> Option<Pipeline> {
        let step =
            |step: &Step| Some(Step { guardrail: self.guardrail(step.guardrail)?, ..step.clone() });
        Some(Pipeline {
            mode: judged.mode,
            steps: judged.steps.iter().map(step).collect::<Option<_>>()?,
        })
    }

    /// Whether what the changed policies used before is still used by one: a set knows no name that
    /// nobody says.
    fn uses_all(&self, set: &PolicySet, changed: &[PolicyId]) -> bool {
        let (mut guardrails, mut conditions) = (FxHashSet::default(), FxHashSet::default());
        for policy in changed.iter().filter_map(|id| self.old.policy(*id)) {
            guardrails.extend(guardrails_of(policy));
            conditions.extend(policy.condition.iter().flatten().copied());
        }
        for policy in &set.policies {
            if guardrails.is_empty() && conditions.is_empty() {
                break;
            }
            for id in guardrails_of(policy) {
                guardrails.remove(&id);
            }
            for id in policy.condition.iter().flatten() {
                conditions.remove(id);
            }
        }
        guardrails.is_empty() && conditions.is_empty()
    }

    /// Puts the attachments of the files that changed into their places; says whether the order of
    /// evaluation is another one now.
    fn attachments(&self, set: &mut PolicySet, change: FileChange<'_>) -> Option<bool> {
        let files: BTreeSet<&str> =
            change.before.iter().chain(change.after).map(|d| &**d.file.path()).collect();
        let own = |attachment: &&Arc<Attachment>| files.contains(&*attachment.place.file);
        let fresh = |judged: &Arc<Attachment>| {
            let policy = &self.judged.policy(judged.policy)?.name;
            let (policy, _) = self.old.find(policy)?;
            Some(Arc::new(Attachment { policy, ..(**judged).clone() }))
        };
        let fresh: Vec<Arc<Attachment>> =
            self.judged.attachments.iter().filter(own).map(fresh).collect::<Option<_>>()?;
        let stale: Vec<usize> =
            (0..).zip(&set.attachments).filter(|(_, a)| own(a)).map(|(at, _)| at).collect();
        let said = |at: &usize| set.attachments.get(*at).map(|attachment| &attachment.canonical);
        if stale.iter().filter_map(said).eq(fresh.iter().map(|attachment| &attachment.canonical))
            && stay_in_place(set, &stale, &fresh)
        {
            for (at, attachment) in stale.into_iter().zip(fresh) {
                *set.attachments.get_mut(at)? = attachment;
            }
            return Some(false);
        }
        set.attachments.retain(|attachment| !own(&attachment));
        set.attachments.extend(fresh);
        set.attachments.sort_by(|a, b| evaluation(a).cmp(&evaluation(b)));
        Some(true)
    }
}

/// Whether attachments that say the same also stand in the same files: then their order is the same too.
fn stay_in_place(set: &PolicySet, stale: &[usize], fresh: &[Arc<Attachment>]) -> bool {
    let file = |at: &usize| set.attachments.get(*at).map(|attachment| &attachment.place.file);
    stale.iter().map(file).eq(fresh.iter().map(|attachment| Some(&attachment.place.file)))
}

/// The order of evaluation, to the last.
fn evaluation(attachment: &Attachment) -> ((bool, i32, u8, u8), &str, u32) {
    (attachment.order(), &attachment.place.file, attachment.place.line)
}

fn guardrails_of(policy: &Policy) -> impl Iterator<Item = GuardrailId> + '_ {
    let steps =
        policy.pipeline.iter().flat_map(|pipeline| &pipeline.steps).map(|step| step.guardrail);
    policy.add.iter().chain(&policy.remove).copied().chain(steps)
}
